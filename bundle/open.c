/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries are opened in a sandbox: see bundle/open.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "bundle/open.h"
#include "imgconv/confine.h"
#include "lib/str.h"

enum {
	ASK_FILE = CONFINE_OWN,
	ASK_BESIDE,
	ASK_SCRATCH
};

/* As imgconv has it: disks compress to a half or a third, seldom to a tenth. */
#define HONEST_RATIO 200
#define HONEST_LEAST (64 * MIB)

struct job {
	struct opening opening;
	const struct bundle_format *format;
	enum open_what what;
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

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int open_writer(struct opening *o, const char *name, uint64_t size, struct image_writer **ret,
		int *ret_fd, struct err *e)
{
	const struct open_args *a = o->a;
	bool is_raw = !strcmp(a->output_format, "raw");
	AUTO_FREE char *file = o->many ? str_format("%s.%s", name, a->output_format)
				       : strdup(base_name(a->output));
	int rc;

	if (!file)
		return err_nomem(e);
	rc = output_ask(ASK_FILE, file, ret_fd, e);
	if (rc < 0)
		return rc;
	if (!is_raw || o->create.compression)
		size = image_padded_size(a->output_format, size, &o->create);
	return image_create(*ret_fd, file, a->output_format, size, &o->create, ret, e);
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

static int run(void *ctx, struct err *e)
{
	struct job *j = ctx;

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

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int serve_beside(const struct job *j, const char *name, int *ret_fd, struct err *e)
{
	AUTO_FREE char *folder = folder_of(j->opening.a->input);
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

static int serve(void *ctx, unsigned what, const char *text, size_t len, struct worker_answer *ret,
		 struct err *e)
{
	struct job *j = ctx;
	AUTO(atomic_file_abort) struct atomic_file scratch = ATOMIC_FILE_INIT;
	AUTO_FREE char *path = NULL;
	int rc;

	if (strlen(text) == len && what == ASK_BESIDE)
		return serve_beside(j, text, &ret->fd, e);
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
	return rc < 0 ? rc : output_begin(&o->out, a->output, o->many, a->replace, e);
}

static int recognise(struct job *j, const char *path, bool *ret_taken, struct err *e)
{
	uint8_t data[BUNDLE_HEAD], tail[BUNDLE_TAIL];
	struct bundle_head head = {.data = data, .tail = tail};
	struct stat st;
	int rc;

	if (fstat(j->opening.fd, &st) < 0)
		return err_errno(e, errno, "'%s'", path);
	head.file_size = j->opening.file_size = (uint64_t)st.st_size;
	head.len = (size_t)MIN(head.file_size, (uint64_t)sizeof(data));
	rc = fs_pread(j->opening.fd, data, head.len, 0, e);
	if (rc == 0 && head.file_size >= sizeof(tail))
		rc = fs_pread(j->opening.fd, tail, sizeof(tail), head.file_size - sizeof(tail), e);
	if (rc < 0)
		return err_wrap(e, "'%s'", path);
	if (head.file_size < sizeof(tail))
		head.tail = NULL;
	for (size_t i = 0; !j->format && bundle_formats[i]; i++) {
		if (bundle_formats[i]->probe && bundle_formats[i]->probe(&head))
			j->format = bundle_formats[i];
	}
	*ret_taken = j->format && j->format->open;
	return 0;
}

int open_delivery(const struct open_args *a, enum open_what what, bool *ret_taken, struct err *e)
{
	struct job j = {.opening = {.a = a}, .what = what};
	const struct confine c = {.run = run, .serve = serve, .ctx = &j};
	AUTO_FD int fd = -1;
	struct stat st;
	int rc;

	*ret_taken = false;
	/* A manifest may come through a pipe, nothing else. */
	if (!strcmp(a->input, "-") || (stat(a->input, &st) == 0 && !S_ISREG(st.st_mode)))
		return 0;
	fd = open(a->input, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "opening '%s'", a->input);
	j.opening.fd = fd;
	rc = recognise(&j, a->input, ret_taken, e);
	if (rc < 0 || !*ret_taken)
		return rc;
	if (what == OPEN_IMAGE)
		rc = begin_output(&j, e);
	if (rc == 0)
		rc = confine_run(&c, e);
	if (rc == 0 && what == OPEN_IMAGE)
		rc = output_commit(&j.opening.out, e);
	output_abort(&j.opening.out);
	return rc;
}
