/* SPDX-License-Identifier: Apache-2.0 */
/* What formats use while they make a delivery, and the commands around them: see bundle/format.h. */
#include <sys/mman.h>
#include <sys/stat.h>

#include "bundle/make.h"
#include "imgconv/confine.h"
#include "lib/str.h"

enum {
	ASK_FILE = CONFINE_OWN
};

void *shared_memory(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void shared_memory_free(void *p, size_t len)
{
	if (p)
		munmap(p, len);
}

const char *make_output_name(const struct make *m)
{
	return path_base(m->a->output);
}

int make_file(const char *name, int *ret_fd, struct err *e)
{
	return output_ask(ASK_FILE, name, ret_fd, e);
}

uint64_t make_disk_size(const struct make_disk *d)
{
	return d->im ? image_size(d->im) : image_stream_size(d->stream);
}

int make_fill(struct make_disk *d, struct image_writer *w, const char *what, struct err *e)
{
	struct progress *p = progress_start(what, make_disk_size(d));
	int rc = d->im ? image_copy(d->im, w, p, e) : image_stream_copy(d->stream, w, NULL, p, e);

	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
}

int make_look(const struct make_disk *d, int fd, uint64_t off, uint64_t len, const char *format,
	      struct machine *ret, struct err *e)
{
	const struct image_open_opts o = {.format = format};
	AUTO(image_close) struct image *copy = NULL;
	AUTO_FD int own = -1;
	int rc;

	if (d->im)
		return machine_read(d->im, ret, e);
	own = dup(fd);
	if (own < 0)
		return err_errno(e, errno, "dup");
	rc = image_open_part(own, off, len, "the copy", &o, &copy, e);
	if (rc < 0)
		return rc;
	(void)steal_fd(&own);
	return machine_read(copy, ret, e);
}

int make_copy(struct make *m, const char *format, struct image_create_opts *o,
	      struct machine *machine, struct err *e)
{
	struct make_disk *disk = &m->disks[0];
	const char *name = make_output_name(m);
	AUTO(image_writer_free) struct image_writer *w = NULL;
	AUTO_FD int fd = -1;
	struct stat st;
	int rc = make_file(name, &fd, e);

	if (rc < 0)
		return rc;
	o->threads = m->a->threads;
	rc = image_create(fd, name, format, image_padded_size(format, make_disk_size(disk), o), o,
			  &w, e);
	if (rc == 0)
		rc = make_fill(disk, w, "converting", e);
	if (rc < 0 || !machine)
		return rc;
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "'%s'", name);
	return make_look(disk, fd, 0, (uint64_t)st.st_size, format, machine, e);
}

/* The output's name with this in place of its suffix. */
static char *sibling(const struct make *m, const char *suffix)
{
	const char *own = make_output_name(m), *dot = strrchr(own, '.');
	int stem = (int)(dot && dot != own ? (size_t)(dot - own) : strlen(own));

	return str_format("%.*s%s", stem, own, suffix);
}

int make_text(struct make *m, const char *suffix, const void *data, size_t len, struct err *e)
{
	AUTO_FREE char *name = sibling(m, suffix);
	AUTO_FD int fd = -1;
	int rc = name ? make_file(name, &fd, e) : err_nomem(e);

	return rc < 0 ? rc : fs_write(fd, data, len, e);
}

int make_check_properties(struct make *m, struct err *e)
{
	for (size_t i = 0; i < m->a->n_properties; i++) {
		const char *p = m->a->properties[i], *equals = strchr(p, '=');

		if (!equals || equals == p || !utf8_valid(p, strlen(p)))
			return err_set(e, EINVAL, "property '%s' is not of the form KEY=VALUE", p);
		for (size_t k = 0; k < i; k++) {
			if (!strncmp(m->a->properties[k], p, (size_t)(equals + 1 - p)))
				return err_set(e, EINVAL, "property '%.*s' is given twice",
					       (int)(equals - p), p);
		}
	}
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

struct job {
	struct make make;
	const struct bundle_format *format;
};

static int serve(void *ctx, unsigned what, const char *text, size_t len, struct worker_answer *ret,
		 struct err *e)
{
	struct job *j = ctx;

	if (what != ASK_FILE || strlen(text) != len)
		return err_set(e, EACCES, "a request of the confined process makes no sense");
	return output_serve(&j->make.out, text, ret, e);
}

static bool is_pipe(const struct make_args *a, size_t i)
{
	return a->pipe && !strcmp(a->images[i], MAKE_PIPE);
}

static int open_disk(const struct make_args *a, size_t i, struct make_disk *ret, struct err *e)
{
	int rc;

	if (is_pipe(a, i))
		rc = image_stream_open(STDIN_FILENO, "standard input", a->open.format,
				       a->stream_size, &ret->stream, e);
	else
		rc = image_open(a->images[i], &a->open, &ret->im, e);
	if (rc == 0 && !make_disk_size(ret))
		rc = err_set(e, EINVAL, "'%s' is empty", a->images[i]);
	return rc;
}

/* In the sandbox. */
static int run(void *ctx, struct err *e)
{
	struct job *j = ctx;
	const struct make_args *a = j->make.a;
	int rc = 0;

	j->make.disks = calloc(a->n_images, sizeof(*j->make.disks));
	if (!j->make.disks)
		return err_nomem(e);
	for (size_t i = 0; rc == 0 && i < a->n_images; i++)
		rc = open_disk(a, i, &j->make.disks[i], e);
	if (rc == 0)
		rc = j->format->run(&j->make, e);
	for (size_t i = 0; i < a->n_images; i++) {
		if (j->make.disks[i].im)
			image_close(j->make.disks[i].im);
		if (j->make.disks[i].stream)
			image_stream_free(j->make.disks[i].stream);
	}
	free(STEAL(j->make.disks));
	return rc;
}

static int run_confined(struct job *j, struct err *e)
{
	const struct make_args *a = j->make.a;
	AUTO_FREE struct confine_file *files = calloc(a->n_images + 1, sizeof(*files));
	const struct confine c = {
		.files = files, .n_files = a->n_images + 1, .run = run, .serve = serve, .ctx = j};

	if (!files)
		return err_nomem(e);
	for (size_t i = 0; i < a->n_images; i++) {
		if (!is_pipe(a, i))
			files[i] = (struct confine_file){.path = a->images[i],
							 .beneath = confine_beneath(&a->open)};
	}
	files[a->n_images].path = a->open.parent;
	return confine_run(&c, e);
}

/* What the sandbox may call files: parts, or the output and what stands beside it. */
static int allow_names(const struct bundle_format *f, struct make *m, struct err *e)
{
	AUTO_FREE char *prefix =
		f->is_folder ? str_format("%s.part.", m->a->name) : sibling(m, ".");

	if (!prefix)
		return err_nomem(e);
	return output_allow(&m->out, f->is_folder ? NULL : make_output_name(m), prefix, "", e);
}

int make_delivery(const struct bundle_format *f, const struct make_args *a, bool replace,
		  struct err *e)
{
	struct job j = {.make = {.a = a}, .format = f};
	int rc = f->prepare ? f->prepare(&j.make, e) : 0;

	if (rc == 0)
		rc = output_begin(&j.make.out, a->output, f->is_folder, replace, e);
	if (rc == 0)
		rc = allow_names(f, &j.make, e);
	if (rc == 0)
		rc = run_confined(&j, e);
	if (rc >= 0 && f->complete)
		rc = f->complete(&j.make, e);
	if (rc >= 0)
		rc = output_commit(&j.make.out, e);
	output_abort(&j.make.out);
	if (f->release)
		f->release(&j.make);
	return rc;
}
