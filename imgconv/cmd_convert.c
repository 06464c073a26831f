/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv convert: one image into another format, or a stream into an image, or out of it. */
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/commands.h"
#include "imgconv/imgconv.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/stop.h"
#include "lib/str.h"

struct convert {
	const char *source_format;
	const char *format;
	struct image_create_opts create;
	unsigned open_flags;
	bool verify, force;
	enum digest_kind digest_kind;
	struct digest *digest; /* NULL: not asked for */
	uint64_t size;         /* of a stream; UINT64_MAX: not given */
	const char *source, *target;
};

static int parse_option(struct convert *c, const char *key, const char *value, struct err *e)
{
	uint64_t n;
	int rc;

	if (strcmp(key, "cluster_size") == 0)
		return str_to_size(value, &c->create.cluster_size, e);
	if (strcmp(key, "compression_level") == 0) {
		rc = str_to_u64(value, 1, 19, &n, e);
		c->create.level = rc == 0 ? (unsigned)n : 0;
		return rc;
	}
	if (strcmp(key, "compression") != 0)
		return err_set(e, EINVAL, "no such option");
	if (strcmp(value, "none") == 0)
		c->create.compression = IMAGE_COMPRESS_NONE;
	else if (strcmp(value, "zlib") == 0)
		c->create.compression = IMAGE_COMPRESS_ZLIB;
	else if (strcmp(value, "zstd") == 0)
		c->create.compression = IMAGE_COMPRESS_ZSTD;
	else
		return err_set(e, EINVAL, "'%s' is none of none, zlib, zstd", value);
	return 0;
}

/* "key=value,key=value" */
static int parse_options(struct convert *c, const char *text, struct err *e)
{
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy;
	char *pair;

	if (!copy)
		return err_nomem(e);
	while ((pair = strsep(&rest, ","))) {
		char *equals = strchr(pair, '=');
		int rc;

		if (!equals)
			return err_set(e, EINVAL, "'%s' is not of the form KEY=VALUE", pair);
		*equals = '\0';
		rc = parse_option(c, pair, equals + 1, e);
		if (rc < 0)
			return err_wrap(e, "%s", pair);
	}
	return 0;
}

enum {
	OPT_DIGEST = 256,
	OPT_VERIFY,
	OPT_FORCE,
	OPT_SIZE,
	OPT_BACKING,
};

/* 0, or an exit status. */
static int parse_args(const struct cli_command *self, struct convert *c, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output-format", required_argument, NULL, 'O'},
		{"options", required_argument, NULL, 'o'},
		{"compress", no_argument, NULL, 'c'},
		{"threads", required_argument, NULL, 'j'},
		{"digest", required_argument, NULL, OPT_DIGEST},
		{"verify", no_argument, NULL, OPT_VERIFY},
		{"force", no_argument, NULL, OPT_FORCE},
		{"size", required_argument, NULL, OPT_SIZE},
		{"allow-backing", no_argument, NULL, OPT_BACKING},
		{NULL, 0, NULL, 0},
	};
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "f:O:o:cj:", longopts)) != -1) {
		uint64_t threads = 0;
		int rc = 0;

		switch (opt) {
		case 'f':
			c->source_format = optarg;
			break;
		case 'O':
			c->format = optarg;
			break;
		case 'o':
			rc = parse_options(c, optarg, &e);
			break;
		case 'c':
			if (c->create.compression == IMAGE_COMPRESS_NONE)
				c->create.compression = IMAGE_COMPRESS_ZLIB;
			break;
		case 'j':
			rc = str_to_u64(optarg, 1, 1024, &threads, &e);
			c->create.threads = (unsigned)threads;
			break;
		case OPT_DIGEST:
			rc = digest_by_name(optarg, &c->digest_kind, &e);
			if (rc == 0 && !c->digest)
				rc = digest_new(c->digest_kind, &c->digest, &e);
			break;
		case OPT_VERIFY:
			c->verify = true;
			break;
		case OPT_FORCE:
			c->force = true;
			break;
		case OPT_SIZE:
			rc = str_to_size(optarg, &c->size, &e);
			break;
		case OPT_BACKING:
			c->open_flags |= IMAGE_ALLOW_BACKING;
			break;
		}
		if (rc < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != 2)
		return cli_usage(self, "give a source and a target");
	if (!c->format)
		return cli_usage(self, "give the output's format with -O");
	c->source = argv[optind];
	c->target = argv[optind + 1];
	return 0;
}

/* ---- targets ------------------------------------------------------------------------------- */

static int begin_target(const struct convert *c, struct atomic_file *f, struct err *e)
{
	struct stat st;

	if (stat(c->target, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, EEXIST, "'%s' exists and is not a regular file", c->target);
	if (!c->force && access(c->target, F_OK) == 0)
		return err_set(e, EEXIST, "'%s' exists already; --force replaces it", c->target);
	return atomic_file_begin(f, c->target, c->force ? 0 : FS_NO_REPLACE, e);
}

/* The target's size: formats other than raw count in sectors. */
static uint64_t target_size(const struct convert *c, uint64_t size)
{
	uint64_t padded = round_up(size, 512);

	if (strcmp(c->format, "raw") == 0 || padded == size)
		return size;
	log_warn("'%s' is %llu bytes, no multiple of 512: %u zero bytes are added", c->source,
		 (unsigned long long)size, (unsigned)(padded - size));
	return padded;
}

static int verify(struct image *src, const struct convert *c, int fd, struct err *e)
{
	struct image_open_opts o = {.format = c->format};
	AUTO(image_close) struct image *copy = NULL;
	struct progress *p;
	uint64_t where;
	int own = dup(fd);
	int rc;

	if (own < 0)
		return err_errno(e, errno, "dup");
	rc = image_open_fd(own, c->target, &o, &copy, e);
	if (rc < 0) {
		close(own);
		return err_wrap(e, "verifying");
	}
	p = progress_start("verifying", image_size(copy));
	rc = image_compare(src, copy, &where, p, e);
	progress_end(p, rc == 0);
	if (rc < 0)
		return err_wrap(e, "verifying");
	if (rc > 0)
		return err_set(e, EIO, "verifying: '%s' differs from '%s' at byte %llu", c->target,
			       c->source, (unsigned long long)where);
	return 0;
}

static int image_to_file(const struct convert *c, struct image *src, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc = begin_target(c, &f, e);

	if (rc == 0)
		rc = image_create(f.fd, c->target, c->format, target_size(c, image_size(src)),
				  &c->create, &w, e);
	if (rc)
		return rc;
	p = progress_start("converting", image_size(src));
	rc = image_copy_digest(src, w, c->digest, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	if (rc == 0 && c->verify)
		rc = verify(src, c, f.fd, e);
	return rc < 0 ? rc : atomic_file_commit(&f, fs_file_mode(), e);
}

/* ---- streams ------------------------------------------------------------------------------- */

static int stream_to_file(const struct convert *c, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	AUTO(image_stream_free) struct image_stream *s = NULL;
	struct progress *p;
	int rc =
		image_stream_open(STDIN_FILENO, "standard input", c->source_format, c->size, &s, e);

	if (rc == 0)
		rc = begin_target(c, &f, e);
	if (rc == 0)
		rc = image_create(f.fd, c->target, c->format, target_size(c, c->size), &c->create,
				  &w, e);
	if (rc)
		return rc;
	p = progress_start("converting", image_stream_size(s));
	rc = image_stream_copy(s, w, c->digest, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc < 0 ? rc : atomic_file_commit(&f, fs_file_mode(), e);
}

static int image_to_stream(const struct convert *c, struct image *src, struct err *e)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct image_create_opts o = c->create;
	struct progress *p;
	int rc;

	o.pipe = true;
	rc = image_create(STDOUT_FILENO, "standard output", c->format, image_size(src), &o, &w, e);
	if (rc)
		return rc;
	p = progress_start("converting", image_size(src));
	rc = image_copy_digest(src, w, c->digest, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
}

/* ---- what to what -------------------------------------------------------------------------- */

static int open_stdin(const struct convert *c, struct image **ret, struct err *e)
{
	struct image_open_opts o = {.format = c->source_format, .flags = c->open_flags};
	int fd = dup(STDIN_FILENO);
	int rc;

	if (fd < 0)
		return err_errno(e, errno, "standard input");
	rc = image_open_fd(fd, "standard input", &o, ret, e);
	if (rc < 0)
		close(fd);
	return rc;
}

static bool stdin_can_seek(void)
{
	return lseek(STDIN_FILENO, 0, SEEK_CUR) >= 0;
}

static int convert(const struct convert *c, struct err *e)
{
	struct image_open_opts o = {.format = c->source_format, .flags = c->open_flags};
	AUTO(image_close) struct image *src = NULL;
	int rc;

	if (strcmp(c->source, "-") == 0 && !stdin_can_seek())
		return stream_to_file(c, e);
	rc = strcmp(c->source, "-") == 0 ? open_stdin(c, &src, e)
					 : image_open(c->source, &o, &src, e);
	if (rc)
		return rc;
	if (strcmp(c->target, "-") == 0)
		return image_to_stream(c, src, e);
	return image_to_file(c, src, e);
}

/* What cannot be, and why; 0 or an exit status. */
static int check_streams(const struct cli_command *self, const struct convert *c)
{
	bool pipe_in = strcmp(c->source, "-") == 0 && !stdin_can_seek();
	bool out = strcmp(c->target, "-") == 0;

	if (out && strcmp(c->format, "raw") != 0)
		return cli_usage(self,
				 "%s cannot be written to standard output: its tables are known "
				 "only at the end, but lie at the beginning",
				 c->format);
	if (out && (pipe_in || c->digest || c->verify))
		return cli_usage(self, "standard output goes with neither a pipe as the source nor "
				       "--digest nor --verify");
	if (pipe_in && (!c->source_format || strcmp(c->source_format, "raw") != 0))
		return cli_usage(self, "a pipe can only be read as raw (-f raw): other formats "
				       "need to be read back and forth");
	if (pipe_in && c->size == UINT64_MAX)
		return cli_usage(self, "give the size of the disk in the pipe with --size");
	if (pipe_in && c->verify)
		return cli_usage(self, "a pipe cannot be read twice for --verify");
	if (!pipe_in && c->size != UINT64_MAX)
		return cli_usage(self, "--size is for a pipe as the source");
	return 0;
}

int cmd_convert(const struct cli_command *self, int argc, char **argv)
{
	struct convert c = {.size = UINT64_MAX};
	AUTO(digest_free) struct digest *digest = NULL;
	char hex[2 * DIGEST_MAX + 1];
	struct err e;
	int status = parse_args(self, &c, argc, argv);

	digest = c.digest;
	if (status == 0) {
		ANALYZER_KNOWS(c.source && c.target);
		status = check_streams(self, &c);
	}
	if (status != 0)
		return status;
	if (convert(&c, &e) < 0)
		return cli_fail(&e);
	if (c.digest) {
		digest_final_hex(c.digest, hex);
		printf("%s:%s\n", digest_name(c.digest_kind), hex);
	}
	return cli_finish(EXIT_OK);
}
