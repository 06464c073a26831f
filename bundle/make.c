/* SPDX-License-Identifier: Apache-2.0 */
/* What formats use while they make a delivery, and the commands around them: see bundle/format.h. */
#include <sys/mman.h>

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
	const char *slash = strrchr(m->a->output, '/');

	return slash ? slash + 1 : m->a->output;
}

int make_file(const char *name, int *ret_fd, struct err *e)
{
	return output_ask(ASK_FILE, name, ret_fd, e);
}

int make_copy(struct make *m, struct image *disk, const char *name, const char *format,
	      uint64_t size, struct image_create_opts *o, struct err *e)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	AUTO_FD int fd = -1;
	struct progress *p;
	int rc = make_file(name, &fd, e);

	if (rc < 0)
		return rc;
	o->threads = m->a->threads;
	size = image_padded_size(format, MAX(size, image_size(disk)), o);
	rc = image_create(fd, name, format, size, o, &w, e);
	if (rc < 0)
		return rc;
	p = progress_start("converting", image_size(disk));
	rc = image_copy(disk, w, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
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

/* In the sandbox. */
static int run(void *ctx, struct err *e)
{
	struct job *j = ctx;
	const struct make_args *a = j->make.a;
	int rc = 0;

	j->make.disks = calloc(a->n_images, sizeof(struct image *));
	if (!j->make.disks)
		return err_nomem(e);
	for (size_t i = 0; rc == 0 && i < a->n_images; i++)
		rc = image_open(a->images[i], &a->open, &j->make.disks[i], e);
	for (size_t i = 0; rc == 0 && i < a->n_images; i++) {
		if (!image_size(j->make.disks[i]))
			rc = err_set(e, EINVAL, "'%s' is empty", a->images[i]);
	}
	if (rc == 0)
		rc = j->format->run(&j->make, e);
	for (size_t i = 0; i < a->n_images; i++) {
		if (j->make.disks[i])
			image_close(j->make.disks[i]);
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
	for (size_t i = 0; i < a->n_images; i++)
		files[i] = (struct confine_file){.path = a->images[i],
						 .beneath = confine_beneath(&a->open)};
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
