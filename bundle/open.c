/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries are opened in a sandbox: see bundle/open.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "bundle/manifest.h"
#include "bundle/open.h"
#include "bundle/s3_input.h"
#include "imgconv/confine.h"
#include "lib/str.h"

enum {
	ASK_FILE = CONFINE_OWN,
	ASK_BESIDE,
	ASK_SCRATCH,
	ASK_PUBLIC_KEY,
	ASK_UNSEAL,
};

/* As imgconv has it: disks compress to a half or a third, seldom to a tenth. */
#define HONEST_RATIO 200
#define HONEST_LEAST (64 * MIB)

struct job {
	struct opening opening;
	const struct bundle_format *format;
	enum open_what what;
	struct s3_input *s3; /* NULL: the input is a file */
};

/* ---- in the sandbox --------------------------------------------------------------------------- */

int open_beside(const char *name, int *ret_fd, struct err *e)
{
	return worker_ask(ASK_BESIDE, name, strlen(name), ret_fd, NULL, e);
}

int open_scratch(int *ret_fd, struct err *e)
{
	return worker_ask(ASK_SCRATCH, "", 0, ret_fd, NULL, e);
}

/* Answers that are texts come with a descriptor all the same, of nothing. */
static int ask_text(unsigned what, const struct buf *text, char **ret, struct err *e)
{
	AUTO_FD int fd = -1;

	return worker_ask(what, buf_str(text), text->len, &fd, ret, e);
}

int open_public_key(const char *path, struct buf *pem, struct err *e)
{
	AUTO_FREE char *answer = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc = buf_adds(&text, path) < 0 ? err_nomem(e)
					   : ask_text(ASK_PUBLIC_KEY, &text, &answer, e);

	if (rc < 0)
		return rc;
	return buf_adds(pem, answer) < 0 ? err_nomem(e) : 0;
}

int open_unseal(const char *key_hex, const char *iv_hex, struct bundle_secret *ret, struct err *e)
{
	AUTO_FREE char *answer = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc;

	/* With the NUL between them. */
	if (buf_add(&text, key_hex, strlen(key_hex) + 1) < 0 || buf_adds(&text, iv_hex) < 0)
		return err_nomem(e);
	rc = ask_text(ASK_UNSEAL, &text, &answer, e);
	if (rc < 0)
		return rc;
	rc = hex_decode(answer, MIN(strlen(answer), (size_t)32), ret->key, sizeof(ret->key), e);
	if (rc == 0)
		rc = hex_decode(answer + 32, strlen(answer) - 32, ret->iv, sizeof(ret->iv), e);
	explicit_bzero(answer, strlen(answer));
	return rc;
}

/* The other files of an image that consists of several. They stay open until the child ends. */
static int make_companion(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	(void)ctx;
	return output_ask(ASK_FILE, name, ret_fd, e);
}

/* What their names begin with, in front of a hyphen. */
static char *stem_of(const char *file)
{
	size_t len = strlen(file);

	if (len > 5 && !strcasecmp(file + len - 5, ".vmdk"))
		len -= 5;
	return strndup(file, len);
}

int open_writer(struct opening *o, const char *name, uint64_t size, struct image_writer **ret,
		int *ret_fd, struct err *e)
{
	const struct open_args *a = o->a;
	bool is_raw = !strcmp(a->output_format, "raw");
	AUTO_FREE char *file = o->many ? str_format("%s.%s", name, a->output_format)
				       : strdup(path_base(a->output));
	AUTO_FREE char *stem = file ? stem_of(file) : NULL;
	int rc;

	if (!stem)
		return err_nomem(e);
	rc = output_ask(ASK_FILE, file, ret_fd, e);
	if (rc < 0)
		return rc;
	if (!is_raw || o->create.compression)
		size = image_padded_size(a->output_format, size, &o->create);
	o->companions = (struct image_companions){.create = make_companion, .stem = stem};
	o->create.companions = &o->companions;
	rc = image_create(*ret_fd, file, a->output_format, size, &o->create, ret, e);
	o->create.companions = NULL;
	return rc;
}

int open_explain(struct opening *o, const struct image_writer *w, int rc, struct err *e)
{
	if (rc >= 0 || !w || !image_writer_over_limit(w) || o->a->max_output != UINT64_MAX)
		return rc;
	return err_wrap(e,
			"'%s' holds more than its size makes likely (--max-output SIZE allows "
			"more)",
			o->a->input);
}

/* What was asked for and such deliveries do not have. */
static int check_wishes(const struct job *j, struct err *e)
{
	const struct open_args *a = j->opening.a;
	bool signature = a->ec2.require_signature || (a->ec2.own_cert && !a->ec2.ignore_signature);

	if (signature && !j->format->is_signed)
		return err_set(e, EBADMSG, "'%s': signature not checked: there is none", a->input);
	if (a->disk > 1 && j->format->most_images <= 1)
		return err_set(e, EINVAL, "'%s' has 1 disk", a->input);
	return 0;
}

static int run(void *ctx, struct err *e)
{
	struct job *j = ctx;
	int rc = check_wishes(j, e);

	if (rc < 0)
		return rc;
	switch (j->what) {
	case OPEN_IMAGE:
		return j->format->open(&j->opening, e);
	case OPEN_VERIFY:
		return j->format->verify(&j->opening, e);
	default:
		return j->format->info(&j->opening, e);
	}
}

/* ---- outside ---------------------------------------------------------------------------------- */

static int serve_beside(const struct job *j, const char *name, int *ret_fd, struct err *e)
{
	const struct open_args *a = j->opening.a;
	AUTO_FREE char *folder =
		a->ec2.parts_dir ? strdup(a->ec2.parts_dir) : path_folder(a->input);
	AUTO_FD int dir = -1;
	AUTO_FD int fd = -1;
	struct stat st;

	if (!folder)
		return err_nomem(e);
	if (!name_is_plain(name))
		return err_set(e, EACCES, "'%s' is no plain file name", name);
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ELOOP)
		return err_set(e, ELOOP, "'%s/%s' is a symbolic link", folder, name);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "opening '%s/%s'", folder, name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EACCES, "'%s/%s' is no regular file", folder, name);
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int serve_public_key(const struct job *j, const char *path, char **ret, struct err *e)
{
	const struct bundle_args *a = &j->opening.a->ec2;
	AUTO_BUF pem = BUF_INIT;
	int rc;

	if (!(a->cert && !strcmp(path, a->cert)) && !(a->key && !strcmp(path, a->key)))
		return err_set(e, EACCES, "'%s' is no key that was given", path);
	rc = manifest_public_key(path, &pem, e);
	if (rc < 0)
		return rc;
	*ret = buf_detach(&pem);
	return *ret ? 0 : err_nomem(e);
}

static int serve_unseal(const struct job *j, const char *text, size_t len, char **ret,
			struct err *e)
{
	const struct bundle_args *a = &j->opening.a->ec2;
	AUTO(bundle_secret_wipe) struct bundle_secret secret = {0};
	size_t first = strlen(text);
	char hex[65];
	int rc;

	if (!a->key || first == len)
		return err_set(e, EACCES, "there is no key to decrypt with");
	rc = manifest_unseal(a->key, text, text + first + 1, &secret, e);
	if (rc < 0)
		return rc;
	hex_encode(secret.key, sizeof(secret.key), hex);
	hex_encode(secret.iv, sizeof(secret.iv), hex + 32);
	*ret = strdup(hex);
	explicit_bzero(hex, sizeof(hex));
	return *ret ? 0 : err_nomem(e);
}

static int serve_text(const struct job *j, unsigned what, const char *text, size_t len,
		      struct worker_answer *ret, struct err *e)
{
	int rc = what == ASK_UNSEAL ? serve_unseal(j, text, len, &ret->text, e)
				    : serve_public_key(j, text, &ret->text, e);

	if (rc < 0)
		return rc;
	ret->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return ret->fd >= 0 ? 0 : err_errno(e, errno, "'/dev/null'");
}

static int serve(void *ctx, unsigned what, const char *text, size_t len, struct worker_answer *ret,
		 struct err *e)
{
	struct job *j = ctx;
	AUTO(atomic_file_abort) struct atomic_file scratch = ATOMIC_FILE_INIT;
	AUTO_FREE char *path = NULL;
	int rc;

	if (what == ASK_UNSEAL || what == ASK_PUBLIC_KEY)
		return serve_text(j, what, text, len, ret, e);
	if (strlen(text) == len && what == ASK_BESIDE)
		return j->s3 ? s3_input_part(j->s3, text, &ret->fd, e)
			     : serve_beside(j, text, &ret->fd, e);
	if (j->what == OPEN_IMAGE && strlen(text) == len && what == ASK_FILE)
		return output_serve(&j->opening.out, text, ret, e);
	if (j->what != OPEN_IMAGE || what != ASK_SCRATCH)
		return err_set(e, EACCES, "a request of the confined process makes no sense");
	path = path_join(j->opening.out.folder, "scratch");
	if (!path)
		return err_nomem(e);
	/* Never committed: gone with its last descriptor. */
	rc = atomic_file_begin(&scratch, path, 0, e);
	if (rc == 0)
		ret->fd = fcntl(scratch.fd, F_DUPFD_CLOEXEC, 0);
	return rc < 0 || ret->fd >= 0 ? rc : err_errno(e, errno, "dup");
}

/* A target that stands is replaced only by --force, and only if it is a file. */
static int check_target(const struct open_args *a, struct err *e)
{
	struct stat st;

	if (lstat(a->output, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "'%s'", a->output);
	if (!a->replace)
		return err_set(e, EEXIST, "'%s' exists; --force replaces it", a->output);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EEXIST, "'%s' is no regular file: not replaced", a->output);
	return 0;
}

/* What the sandbox may call files: the image, and what stands beside it; or the images of a folder. */
static int allow_names(struct opening *o, struct err *e)
{
	const char *format = o->a->output_format;
	const char *name = path_base(o->a->output);
	AUTO_FREE char *stem = stem_of(name);
	AUTO_FREE char *prefix = stem ? str_format("%s-", stem) : NULL;
	AUTO_FREE char *suffix = str_format(".%s", format);

	if (!prefix || !suffix)
		return err_nomem(e);
	if (o->many)
		return output_allow(&o->out, NULL, "", suffix, e);
	if (strcmp(format, "vmdk") != 0)
		return output_allow(&o->out, name, NULL, NULL, e);
	return output_allow(&o->out, name, prefix, suffix, e);
}

static int begin_output(struct job *j, struct err *e)
{
	struct opening *o = &j->opening;
	const struct open_args *a = o->a;
	struct stat st;
	uint64_t limit;
	int rc = 0;

	o->create = a->create;
	if (a->max_output != UINT64_MAX)
		o->create.max_data = MAX(a->max_output, 1);
	else if (u64_mul(o->file_size, HONEST_RATIO, &limit))
		o->create.max_data = MAX(limit, HONEST_LEAST);
	/* A folder is for as many disks as there are. */
	o->many = stat(a->output, &st) == 0 && S_ISDIR(st.st_mode);
	if (!o->many)
		rc = check_target(a, e);
	if (rc == 0)
		rc = output_begin(&o->out, a->output, o->many, a->replace, e);
	if (rc < 0)
		return rc;
	o->out.backwards = true;
	return allow_names(o, e);
}

static int recognise(struct job *j, struct err *e)
{
	uint8_t data[BUNDLE_HEAD], tail[BUNDLE_TAIL];
	struct bundle_head head = {.data = data, .tail = tail};
	struct opening *o = &j->opening;
	struct stat st;
	int rc;

	if (fstat(o->fd, &st) < 0)
		return err_errno(e, errno, "'%s'", o->a->input);
	/* Only a manifest may come through a pipe, or from S3. */
	if (!S_ISREG(st.st_mode) || j->s3) {
		j->format = &bundle_format_ec2;
		return 0;
	}
	head.file_size = o->file_size = (uint64_t)st.st_size;
	head.len = (size_t)MIN(head.file_size, (uint64_t)sizeof(data));
	rc = fs_pread(o->fd, data, head.len, 0, e);
	if (rc == 0 && head.file_size >= sizeof(tail))
		rc = fs_pread(o->fd, tail, sizeof(tail), head.file_size - sizeof(tail), e);
	if (rc < 0)
		return err_wrap(e, "'%s'", o->a->input);
	if (head.file_size < sizeof(tail))
		head.tail = NULL;
	for (size_t i = 0; !j->format && bundle_formats[i]; i++) {
		if (bundle_formats[i]->probe && bundle_formats[i]->probe(&head))
			j->format = bundle_formats[i];
	}
	return 0;
}

/* Which format it is is told by content, and that is hostile, too. */
static int run_confined(void *ctx, struct err *e)
{
	struct job *j = ctx;
	int rc = recognise(j, e);

	return rc < 0 ? rc : run(j, e);
}

/* *ret_s3 stays NULL for a file. */
static int open_input(const struct open_args *a, struct s3_input **ret_s3, int *ret_fd,
		      struct err *e)
{
	if (s3_url_is(a->input) && a->ec2.parts_dir)
		return err_set(e, EINVAL, "the parts of a bundle in S3 are beside its manifest");
	if (s3_url_is(a->input))
		return s3_input_open(&a->s3, a->input, ret_s3, ret_fd, e);
	*ret_fd = strcmp(a->input, "-") != 0 ? open(a->input, O_RDONLY | O_CLOEXEC)
					     : dup(STDIN_FILENO);
	return *ret_fd < 0 ? err_errno(e, errno, "opening '%s'", a->input) : 0;
}

int open_delivery(const struct open_args *a, enum open_what what, struct err *e)
{
	struct job j = {.opening = {.a = a}, .what = what};
	const struct confine c = {.run = run_confined, .serve = serve, .ctx = &j};
	AUTO(s3_input_free) struct s3_input *s3 = NULL;
	AUTO_FD int fd = -1;
	struct stat st;
	int rc = open_input(a, &s3, &fd, e);

	if (rc < 0)
		return rc;
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "opening '%s'", a->input);
	j.s3 = s3;
	j.opening.fd = fd;
	j.opening.file_size = (uint64_t)st.st_size;
	if (what == OPEN_IMAGE)
		rc = begin_output(&j, e);
	if (rc == 0)
		rc = confine_run(&c, e);
	if (rc == 0 && what == OPEN_IMAGE)
		rc = output_commit(&j.opening.out, e);
	output_abort(&j.opening.out);
	return rc;
}
