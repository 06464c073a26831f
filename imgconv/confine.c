/* SPDX-License-Identifier: Apache-2.0 */
/* Commands' work in a sandbox, and the opening of files for it: see imgconv/confine.h. */
#include "imgconv/confine.h"

#include <sys/mman.h>

#include "imgconv/disk/grub_host.h"
#include "imgconv/files.h"
#include "imgconv/inject/appliance.h"
#include "imgconv/inject/appliance_host.h"
#include "lib/fs.h"
#include "lib/log.h"

#define GRUB_MAX (16 * MIB)

/*
 * Requests of the child; the text is a path; for BENEATH two: folder, NUL, name; for GRUB a
 * platform, NUL, a menu.
 */
enum {
	ASK_OPEN,
	ASK_OPEN_WRITABLE,
	ASK_BENEATH,
	ASK_COMPANION,
	ASK_GRUB,
	ASK_APPLIANCE, /* the text says whether with KVM; the answer's, whether it will be tried */
	ASK_APPLIANCE_DISKS,
	ASK_APPLIANCE_END,
};

#define WITH_KVM "kvm"
#define WITHOUT_KVM "tcg"

/* What a worker carries, which wants a pointer that is not const. */
struct scope {
	const struct confine *confine;
	struct appliance_host appliance;
};

/* In the child. */
static struct image_companions companions;

/* ---- in the parent ----------------------------------------------------------------------------- */

static int serve_open(const struct confine *c, const char *path, bool writable, int *ret_fd,
		      struct err *e)
{
	for (size_t i = 0; i < c->n_files; i++) {
		const struct confine_file *f = &c->files[i];

		if (f->path && strcmp(f->path, path) == 0 && (f->writable || !writable))
			return image_opener_self.open(f->path, writable, ret_fd, e);
	}
	return err_set(e, EACCES, "'%s' is none of the files that were given", path);
}

/* In the folder of one of the files, or below it. */
static int serve_beneath(const struct confine *c, const char *folder, const char *name, int *ret_fd,
			 char **ret_path, struct err *e)
{
	int rc = err_set(e, EACCES, "files beside the image were not allowed");

	for (size_t i = 0; rc == -EACCES && i < c->n_files; i++) {
		const struct confine_file *f = &c->files[i];
		AUTO_FREE char *root = f->beneath && f->path ? image_folder_of(f->path) : NULL;
		AUTO_FD int dir = -1;

		if (!root)
			continue;
		rc = image_open_folder(root, folder, &dir, e);
		if (rc == 0)
			rc = image_open_in(dir, folder, name, ret_path, ret_fd, e);
	}
	return rc;
}

/* Into a file in memory. */
static int serve_grub(const char *platform, const char *menu, size_t len, int *ret_fd,
		      struct err *e)
{
	AUTO_BUF made = BUF_INIT;
	AUTO_FD int fd = -1;
	int rc = grub_host_self.make(platform, menu, len, &made, e);

	if (rc < 0)
		return rc;
	fd = memfd_create("grub", MFD_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "making a file in memory");
	rc = fs_pwrite(fd, made.data, made.len, 0, e);
	if (rc == 0)
		*ret_fd = steal_fd(&fd);
	return rc;
}

static int serve_appliance(struct scope *s, unsigned what, const char *text,
			   struct worker_answer *ret, struct err *e)
{
	bool kvm = strcmp(text, WITH_KVM) == 0 && appliance_host_has_kvm();

	if (!s->confine->appliance)
		return err_set(e, EACCES, "libguestfs was not allowed");
	if (what == ASK_APPLIANCE) {
		ret->text = strdup(kvm ? WITH_KVM : WITHOUT_KVM);
		return ret->text ? appliance_host_start(&s->appliance, kvm, &ret->fd, e)
				 : err_nomem(e);
	}
	if (what == ASK_APPLIANCE_END) {
		appliance_host_end(&s->appliance);
		return err_set(e, ECANCELED, "libguestfs is ended");
	}
	if (s->appliance.disks < 0)
		return err_set(e, EINVAL, "libguestfs was not started");
	ret->fd = s->appliance.disks;
	s->appliance.disks = -1;
	return 0;
}

static int serve(void *ctx, unsigned what, const char *text, size_t len, struct worker_answer *ret,
		 struct err *e)
{
	const struct confine *c = ((const struct scope *)ctx)->confine;
	size_t first = strlen(text);

	if (what >= CONFINE_OWN && c->serve)
		return c->serve(c->ctx, what, text, len, ret, e);
	switch (what) {
	case ASK_OPEN:
	case ASK_OPEN_WRITABLE:
		return serve_open(c, text, what == ASK_OPEN_WRITABLE, &ret->fd, e);
	case ASK_BENEATH:
		if (first == len)
			break;
		return serve_beneath(c, text, text + first + 1, &ret->fd, &ret->text, e);
	case ASK_COMPANION:
		if (!c->companions)
			break;
		ret->keep = true;
		return c->companions->create(c->companions->ctx, text, &ret->fd, e);
	case ASK_GRUB:
		if (!c->boot_loader || first == len)
			break;
		return serve_grub(text, text + first + 1, len - first - 1, &ret->fd, e);
	case ASK_APPLIANCE:
	case ASK_APPLIANCE_DISKS:
	case ASK_APPLIANCE_END:
		return serve_appliance(ctx, what, text, ret, e);
	}
	return err_set(e, EACCES, "a request of the confined process makes no sense");
}

/* ---- in the child ------------------------------------------------------------------------------ */

static int ask_open(const char *path, bool writable, int *ret_fd, struct err *e)
{
	return worker_ask(writable ? ASK_OPEN_WRITABLE : ASK_OPEN, path, strlen(path), ret_fd, NULL,
			  e);
}

static int ask_beneath(const char *folder, const char *name, char **ret_path, int *ret_fd,
		       struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	/* With the NUL between them. */
	if (buf_add(&text, folder, strlen(folder) + 1) < 0 || buf_adds(&text, name) < 0)
		return err_nomem(e);
	return worker_ask(ASK_BENEATH, text.data, text.len, ret_fd, ret_path, e);
}

/* The descriptor is kept until the child ends, like the one that a target keeps. */
static int ask_companion(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	(void)ctx;
	return worker_ask(ASK_COMPANION, name, strlen(name), ret_fd, NULL, e);
}

static int ask_grub(const char *platform, const char *menu, size_t len, struct buf *out,
		    struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_FD int fd = -1;
	int rc;

	/* With the NUL between them. */
	if (buf_add(&text, platform, strlen(platform) + 1) < 0 || buf_add(&text, menu, len) < 0)
		return err_nomem(e);
	if (text.len > WORKER_TEXT_MAX)
		return err_set(e, EFBIG, "a boot menu of %zu bytes", len);
	rc = worker_ask(ASK_GRUB, text.data, text.len, &fd, NULL, e);
	return rc < 0 ? rc : fs_read_fd(fd, "the boot loader", GRUB_MAX, out, e);
}

static int ask_appliance(bool kvm, int *ret_requests, int *ret_disks, bool *used_kvm, struct err *e)
{
	const char *wish = kvm ? WITH_KVM : WITHOUT_KVM;
	AUTO_FREE char *got = NULL;
	int rc = worker_ask(ASK_APPLIANCE, wish, strlen(wish), ret_requests, &got, e);

	if (rc < 0)
		return rc;
	*used_kvm = strcmp(got, WITH_KVM) == 0;
	return worker_ask(ASK_APPLIANCE_DISKS, "", 0, ret_disks, NULL, e);
}

/* Its answer is an error in any case. */
static void end_appliance(void)
{
	int fd = -1;

	(void)worker_ask(ASK_APPLIANCE_END, "", 0, &fd, NULL, NULL);
}

static void tell_of_appliance(const char *text)
{
	log_info("%s", text);
}

const struct image_companions *confine_companions(void)
{
	return companions.create ? &companions : NULL;
}

static int run_confined(void *ctx, struct err *e)
{
	static const struct image_opener asks = {.open = ask_open, .open_beneath = ask_beneath};
	static const struct grub_host asks_for_grub = {.make = ask_grub};
	static const struct appliance_starter starter = {
		.start = ask_appliance, .end = end_appliance, .tell = tell_of_appliance};
	const struct confine *c = ((struct scope *)ctx)->confine;
	const struct image_opener *before = image_opener;
	const struct grub_host *grub_before = grub_host;
	int rc;

	image_opener = &asks;
	grub_host = &asks_for_grub;
	appliance_starter = c->appliance ? &starter : NULL;
	if (c->companions)
		companions = (struct image_companions){.create = ask_companion,
						       .stem = c->companions->stem};
	rc = c->run(c->ctx, e);
	/* Where it was no child. */
	image_opener = before;
	grub_host = grub_before;
	appliance_starter = NULL;
	companions = (struct image_companions){0};
	return rc;
}

int confine_run(const struct confine *c, struct err *e)
{
	struct scope scope = {.confine = c, .appliance = APPLIANCE_HOST_INIT};
	struct worker w = {
		.flags = c->flags,
		.run = run_confined,
		.serve = serve,
		.ctx = &scope,
		.result = c->result,
		.result_len = c->result_len,
	};
	int rc;

	rc = worker_run(&w, e);
	appliance_host_end(&scope.appliance);
	return rc;
}

static int confine_some(char *const *paths, size_t n_paths, const struct image_open_opts *o,
			bool appliance, int (*run)(void *ctx, struct err *e), void *ctx,
			struct err *e)
{
	AUTO_FREE struct confine_file *files = calloc(n_paths + 1, sizeof(*files));
	const struct confine c = {.files = files,
				  .n_files = n_paths + 1,
				  .appliance = appliance,
				  .run = run,
				  .ctx = ctx};

	if (!files)
		return err_nomem(e);
	for (size_t i = 0; i < n_paths; i++)
		files[i] = (struct confine_file){.path = paths[i], .beneath = confine_beneath(o)};
	files[n_paths].path = o->parent;
	return confine_run(&c, e);
}

int confine_images(char *const *paths, size_t n_paths, const struct image_open_opts *o,
		   int (*run)(void *ctx, struct err *e), void *ctx, struct err *e)
{
	return confine_some(paths, n_paths, o, false, run, ctx, e);
}

int confine_look(char *path, const struct image_open_opts *o, int (*run)(void *ctx, struct err *e),
		 void *ctx, struct err *e)
{
	return confine_some(&path, 1, o, true, run, ctx, e);
}
