/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv convert: one image into another format, or a stream into an image, or out of it. */
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/args.h"
#include "imgconv/changes.h"
#include "imgconv/commands.h"
#include "imgconv/confine.h"
#include "imgconv/files.h"
#include "imgconv/layer.h"
#include "imgconv/target.h"
#include "imgconv/via_qemu.h"
#include "lib/log.h"
#include "lib/str.h"

#define TIMEOUT_MAX_S (366 * 24 * 3600)

struct convert {
	const char *format; /* of the target */
	struct image_open_opts open;
	struct image_create_opts create;
	struct create_args options; /* of create */
	struct change_args changes; /* to the guest's files, on the way */
	unsigned target_flags;
	bool verify;
	enum digest_kind digest_kind;
	struct digest *digest; /* NULL: not asked for */
	uint64_t size;         /* of a stream; UINT64_MAX: not given */
	uint64_t max_output;   /* UINT64_MAX: not given */
	const char *source, *target;
	bool via_qemu;
	uint64_t timeout_s; /* of QEMU; UINT64_MAX: not given */
	int raw_fd;         /* the disk as QEMU read it; -1: it is not needed */
	struct target t;
	char hex[2 * DIGEST_MAX + 1]; /* the digest, once it is known */
};

enum {
	OPT_DIGEST = 256,
	OPT_VERIFY,
	OPT_FORCE,
	OPT_DEVICE,
	OPT_SIZE,
	OPT_MAX_OUTPUT,
	OPT_VIA_QEMU,
	OPT_TIMEOUT,
};

static int take_option(struct convert *c, int opt, char *arg, struct err *e)
{
	uint64_t threads = 0;
	int rc = 0;

	switch (opt) {
	case 'f':
		c->open.format = arg;
		break;
	case 'O':
		c->format = arg;
		break;
	case 'o':
		return create_args_add(&c->options, &c->create, arg, e);
	case 'c':
		if (c->create.compression == IMAGE_COMPRESS_NONE)
			c->create.compression = IMAGE_COMPRESS_ZLIB;
		break;
	case 'j':
		rc = str_to_u64(arg, 1, 1024, &threads, e);
		c->create.threads = (unsigned)threads;
		return rc;
	case OPT_DIGEST:
		rc = digest_by_name(arg, &c->digest_kind, e);
		if (rc == 0 && !c->digest)
			rc = digest_new(c->digest_kind, &c->digest, e);
		return rc;
	case OPT_VERIFY:
		c->verify = true;
		break;
	case OPT_FORCE:
		c->target_flags |= TARGET_REPLACE;
		break;
	case OPT_DEVICE:
		c->target_flags |= TARGET_DEVICE;
		break;
	case OPT_SIZE:
		return str_to_size(arg, &c->size, e);
	case OPT_MAX_OUTPUT:
		return str_to_size(arg, &c->max_output, e);
	case OPT_VIA_QEMU:
		c->via_qemu = true;
		break;
	case OPT_TIMEOUT:
		return str_to_u64(arg, 0, TIMEOUT_MAX_S, &c->timeout_s, e);
	default:
		if (!open_args_take(&c->open, opt, arg))
			return change_args_take(&c->changes, opt, arg, e);
	}
	return 0;
}

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
		{"device", no_argument, NULL, OPT_DEVICE},
		{"size", required_argument, NULL, OPT_SIZE},
		{"max-output", required_argument, NULL, OPT_MAX_OUTPUT},
		{"via-qemu", no_argument, NULL, OPT_VIA_QEMU},
		{"timeout", required_argument, NULL, OPT_TIMEOUT},
		OPEN_LONGOPTS,
		CHANGE_LONGOPTS,
		{NULL, 0, NULL, 0},
	};
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "f:O:o:cj:", longopts)) != -1) {
		int rc = take_option(c, opt, optarg, &e);

		/* What a file holds that is to go in is no matter of usage. */
		if (rc < 0 && opt >= CHANGE_OPT_OVERLAY && !c->changes.misused)
			return cli_fail(&e);
		if (rc < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != 2)
		return cli_usage(self, "give a source and a target");
	if (!c->format)
		return cli_usage(self, "give the output's format with -O");
	if (image_format_options(c->format) && image_create_check(c->format, &c->create, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	c->source = argv[optind];
	c->target = argv[optind + 1];
	return 0;
}

/* ---- limits -------------------------------------------------------------------------------- */

/* The target's size: most formats count in sectors, some in more. */
static uint64_t target_size(const struct convert *c, uint64_t size)
{
	uint64_t padded = image_padded_size(c->format, size, &c->create);

	if (padded == size)
		return size;
	if (size % 512)
		log_warn("'%s' is %llu bytes, no multiple of 512: %llu zero bytes are added",
			 c->source, (unsigned long long)size, (unsigned long long)(padded - size));
	else
		log_warn("'%s' is %llu bytes; a %s image with these options has %llu: zeros are "
			 "added",
			 c->source, (unsigned long long)size, c->format,
			 (unsigned long long)padded);
	return padded;
}

/*
 * More data than this are not believed of a file of that size. Disks compress to a half or a
 * third, seldom to a tenth; deflate's limit, 1032, is reached by what was made to fill disks.
 */
#define HONEST_RATIO 200
#define HONEST_LEAST (64 * MIB)

static uint64_t max_data(const struct convert *c, uint64_t file_size)
{
	uint64_t limit;

	if (c->max_output != UINT64_MAX)
		return MAX(c->max_output, 1);
	if (__builtin_mul_overflow(file_size, (uint64_t)HONEST_RATIO, &limit))
		return 0;
	return MAX(limit, HONEST_LEAST);
}

/* The limit was ours, not the user's. */
static int explain_limit(const struct convert *c, struct err *e)
{
	if (c->max_output != UINT64_MAX)
		return -e->code;
	return err_wrap(
		e, "'%s' holds more than its size makes likely (--max-output SIZE allows more)",
		c->source);
}

/* ---- images -------------------------------------------------------------------------------- */

/* An image in a file that is open, and stays so. */
static int open_again(int fd, const char *name, const struct image_open_opts *o, struct image **ret,
		      struct err *e)
{
	int own = dup(fd);
	int rc;

	if (own < 0)
		return err_errno(e, errno, "%s", name);
	rc = image_open_fd(own, name, o, ret, e);
	if (rc < 0)
		close(own);
	return rc;
}

static int open_source(const struct convert *c, struct image **ret, struct err *e)
{
	struct image_open_opts raw = {.format = "raw"};

	if (c->raw_fd >= 0)
		return open_again(c->raw_fd, c->source, &raw, ret, e);
	if (strcmp(c->source, "-") != 0)
		return image_open(c->source, &c->open, ret, e);
	return open_again(STDIN_FILENO, "standard input", &c->open, ret, e);
}

static int tell_changes(const struct inject_report *r, struct err *e)
{
	/* Standard output may be the image. */
	for (const char *s = buf_str(&r->changes); *s;) {
		size_t len = strcspn(s, "\n");

		log_info("%.*s", (int)len, s);
		s += len + (s[len] == '\n');
	}
	return change_tell(r, false, e);
}

/*
 * What is copied: the source, or a layer over it with changes to the guest's files. *layer is to be
 * closed before src.
 */
static int change_source(const struct convert *c, struct image *src, bool tell,
			 struct image **layer, struct image **ret, struct err *e)
{
	AUTO(inject_report_release) struct inject_report r = {0};
	int rc;

	*ret = src;
	if (!c->changes.any)
		return 0;
	rc = image_layer_new(src, layer, e);
	if (rc == 0)
		rc = inject_apply(*layer, c->changes.overlay, &c->changes.opts, &r, e);
	if (rc == -ENOTSUP && c->verify)
		rc = err_wrap(e, "with --verify, which needs changes that are the same twice");
	if (rc == 0)
		rc = image_layer_seal(*layer, e);
	if (rc == 0 && tell)
		rc = tell_changes(&r, e);
	*ret = *layer;
	return rc;
}

static int verify(struct image *src, struct image *copy, const struct convert *c, struct err *e)
{
	struct progress *p = progress_start("verifying", image_size(copy));
	uint64_t where;
	int rc = image_compare(src, copy, &where, p, e);

	progress_end(p, rc == 0);
	if (rc < 0)
		return err_wrap(e, "verifying");
	if (rc > 0)
		return err_set(e, EIO, "verifying: '%s' differs from '%s' at byte %llu", c->target,
			       c->source, (unsigned long long)where);
	return 0;
}

/* In a sandbox: reads the target back, before it has its name. */
static int verify_unnamed(void *ctx, struct err *e)
{
	const struct convert *c = ctx;
	struct image_open_opts o = {.format = c->format};
	AUTO(image_close) struct image *src = NULL;
	AUTO(image_close) struct image *layer = NULL;
	AUTO(image_close) struct image *copy = NULL;
	struct image *changed = NULL;
	int rc = open_source(c, &src, e);

	if (rc == 0)
		rc = change_source(c, src, false, &layer, &changed, e);
	if (rc == 0)
		rc = open_again(c->t.fd, c->target, &o, &copy, e);
	return rc < 0 ? err_wrap(e, "verifying") : verify(changed, copy, c, e);
}

/* In a sandbox. Several files find each other by their names: they are read back when they have
 * them. */
static int verify_named(void *ctx, struct err *e)
{
	const struct convert *c = ctx;
	struct image_open_opts o = {.format = c->format, .flags = IMAGE_ALLOW_EXTENTS};
	AUTO(image_close) struct image *src = NULL;
	AUTO(image_close) struct image *layer = NULL;
	AUTO(image_close) struct image *copy = NULL;
	struct image *changed = NULL;
	int rc = open_source(c, &src, e);

	if (rc == 0)
		rc = change_source(c, src, false, &layer, &changed, e);
	if (rc == 0)
		rc = image_open(c->target, &o, &copy, e);
	return rc < 0 ? err_wrap(e, "verifying") : verify(changed, copy, c, e);
}

static int copy_image(struct convert *c, struct image *src, struct err *e)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc = image_create(c->t.fd, c->t.name, c->format, target_size(c, image_size(src)),
			      &c->create, &w, e);

	if (rc)
		return rc;
	p = progress_start("converting", image_size(src));
	rc = image_copy_digest(src, w, c->digest, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc < 0 && image_writer_over_limit(w) ? explain_limit(c, e) : rc;
}

static int copy_stream(struct convert *c, struct err *e)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	AUTO(image_stream_free) struct image_stream *s = NULL;
	struct progress *p;
	int rc = image_stream_open(STDIN_FILENO, "standard input", c->open.format, c->size, &s, e);

	if (rc == 0)
		rc = image_create(c->t.fd, c->t.name, c->format,
				  target_size(c, image_stream_size(s)), &c->create, &w, e);
	if (rc)
		return rc;
	p = progress_start("converting", image_stream_size(s));
	rc = image_stream_copy(s, w, c->digest, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
}

static bool source_is_pipe(const struct convert *c)
{
	return strcmp(c->source, "-") == 0 && lseek(STDIN_FILENO, 0, SEEK_CUR) < 0;
}

/* In a sandbox. */
static int copy(void *ctx, struct err *e)
{
	struct convert *c = ctx;
	AUTO(image_close) struct image *src = NULL;
	AUTO(image_close) struct image *layer = NULL;
	AUTO(image_info_release) struct image_info info = {0};
	struct image *changed = NULL;
	int rc;

	c->create.companions = confine_companions();
	if (source_is_pipe(c)) {
		c->create.max_data = c->max_output == UINT64_MAX ? 0 : MAX(c->max_output, 1);
		rc = copy_stream(c, e);
	} else {
		rc = open_source(c, &src, e);
		if (rc == 0)
			rc = image_info_read(src, &info, e);
		/* What QEMU read was measured by the image's own size. */
		c->create.max_data = c->via_qemu ? 0 : max_data(c, info.file_size);
		if (rc == 0)
			rc = change_source(c, src, true, &layer, &changed, e);
		if (rc == 0)
			rc = copy_image(c, changed, e);
	}
	if (rc == 0 && c->digest)
		digest_final_hex(c->digest, c->hex);
	return rc;
}

/* The source is hostile: another process reads it, while this one names the files that it makes. */
static int confined(struct convert *c, int (*run)(void *ctx, struct err *e), struct err *e)
{
	unsigned beneath = c->open.flags & (IMAGE_ALLOW_BACKING | IMAGE_ALLOW_EXTENTS);
	const struct confine_file files[] = {
		{.path = c->source, .beneath = beneath != 0},
		{.path = c->open.parent},
		{.path = run == verify_named ? c->target : NULL, .beneath = true},
	};
	const struct confine confine = {
		.files = files,
		.n_files = ARRAY_SIZE(files),
		/* What a machine writes differs from one time to the next. */
		.appliance = c->changes.any && !c->verify,
		.companions = run == copy ? c->create.companions : NULL,
		.run = run,
		.ctx = c,
		/* A child that computes none leaves it as it was. */
		.result = c->hex,
		.result_len = sizeof(c->hex),
	};

	return confine_run(&confine, e);
}

/* Has QEMU read the source, into a file beside the target. */
static int read_by_qemu(struct convert *c, struct err *e)
{
	const char *temporary = getenv("TMPDIR");
	AUTO_FREE char *folder = c->t.pipe || c->t.device
					 ? strdup(temporary && *temporary ? temporary : "/var/tmp")
					 : image_folder_of(c->target);
	struct via_qemu q = {.name = c->source, .folder = folder};
	AUTO_FD int fd = -1;
	struct stat st;
	int rc;

	if (!folder)
		return err_nomem(e);
	rc = image_opener->open(c->source, false, &fd, e);
	if (rc < 0)
		return rc;
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "'%s'", c->source);
	q.fd = fd;
	q.timeout_s = c->timeout_s == UINT64_MAX ? VIA_QEMU_TIMEOUT_S : (unsigned)c->timeout_s;
	q.max_output = c->create.max_data = max_data(c, (uint64_t)st.st_size);
	rc = via_qemu_read(&q, &c->raw_fd, e);
	return rc == -EFBIG ? explain_limit(c, e) : rc;
}

static int convert(struct convert *c, struct err *e)
{
	int rc = target_begin(&c->t, c->target, c->target_flags, &c->create, e);

	if (rc == 0 && c->t.device && strcmp(c->format, "raw") != 0)
		rc = err_set(e, EINVAL, "a device is written as raw alone");
	if (rc == 0 && c->via_qemu)
		rc = read_by_qemu(c, e);
	if (rc == 0)
		rc = confined(c, copy, e);
	if (rc == 0 && c->verify && !c->t.n_companions)
		rc = confined(c, verify_unnamed, e);
	if (rc == 0)
		rc = target_commit(&c->t, e);
	if (rc == 0 && c->verify && c->t.n_companions) {
		rc = confined(c, verify_named, e);
		if (rc < 0)
			target_unlink(&c->t);
	}
	target_abort(&c->t);
	if (c->raw_fd >= 0)
		close(c->raw_fd);
	return rc;
}

/* What cannot be, and why; 0 or an exit status. */
static int check_streams(const struct cli_command *self, const struct convert *c)
{
	bool in = source_is_pipe(c);
	bool out = strcmp(c->target, "-") == 0;
	bool raw = c->open.format && strcmp(c->open.format, "raw") == 0;
	const char *why = out ? image_why_no_pipe(c->format, &c->create) : NULL;

	if (why)
		return cli_usage(self, "%s cannot be written to standard output: %s", c->format,
				 why);
	if (out && isatty(STDOUT_FILENO))
		return cli_usage(self, "an image is not written to a terminal");
	if (out && c->verify)
		return cli_usage(self, "standard output cannot be read back for --verify");
	if (in && !c->open.format)
		return cli_usage(self, "name the format of what comes through the pipe with -f");
	if (in && image_format_options(c->open.format) && !image_format_streams(c->open.format))
		return cli_usage(self,
				 "%s images cannot be read from a pipe: they need to be read back "
				 "and forth",
				 c->open.format);
	if (in && raw && c->size == UINT64_MAX)
		return cli_usage(self, "give the size of the disk in the pipe with --size");
	if (in && c->changes.any)
		return cli_usage(self, "what comes through a pipe cannot be changed on the way");
	if (in && c->verify)
		return cli_usage(self, "a pipe cannot be read twice for --verify");
	if (!(in && raw) && c->size != UINT64_MAX)
		return cli_usage(self, "--size is for raw from a pipe");
	return 0;
}

/* What does not go together with --via-qemu; 0 or an exit status. */
static int check_via_qemu(const struct cli_command *self, const struct convert *c)
{
	if (!c->via_qemu && c->timeout_s != UINT64_MAX)
		return cli_usage(self, "--timeout is for --via-qemu");
	if (!c->via_qemu)
		return 0;
	if (c->open.format)
		return cli_usage(self, "--via-qemu recognises the format by itself: give no -f");
	if (c->open.flags || c->open.parent || c->open.snapshot)
		return cli_usage(self, "--via-qemu reads one file alone, and the disk as it is");
	if (strcmp(c->source, "-") == 0)
		return cli_usage(self, "--via-qemu needs the source to be a file");
	return 0;
}

int cmd_convert(const struct cli_command *self, int argc, char **argv)
{
	struct convert c = {.size = UINT64_MAX,
			    .max_output = UINT64_MAX,
			    .timeout_s = UINT64_MAX,
			    .raw_fd = -1,
			    .t = TARGET_INIT};
	AUTO(digest_free) struct digest *digest = NULL;
	AUTO(overlay_free) struct overlay *overlay = NULL;
	struct err e;
	int status;

	if (change_args_begin(&c.changes, &e) < 0)
		return cli_fail(&e);
	overlay = c.changes.overlay;
	status = parse_args(self, &c, argc, argv);
	digest = c.digest;
	if (status == 0) {
		ANALYZER_KNOWS(c.source && c.target);
		status = check_streams(self, &c);
		if (status == 0)
			status = check_via_qemu(self, &c);
	}
	if (status != 0)
		return status;
	if (convert(&c, &e) < 0)
		return cli_fail(&e);
	if (c.digest) {
		/* Standard output may be the image. */
		fprintf(strcmp(c.target, "-") == 0 ? stderr : stdout, "%s:%.*s\n",
			digest_name(c.digest_kind), (int)sizeof(c.hex), c.hex);
	}
	return cli_finish(EXIT_OK);
}
