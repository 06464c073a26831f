/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For commands: all that looks into an image which somebody else made runs in a child that can
 * open nothing (lib/worker.h). In there image_open works as ever for the files that are listed
 * here, and for what lies below their folders where that was allowed; this process opens them and
 * hands them over.
 */
#ifndef IMGCONV_CONFINE_H
#define IMGCONV_CONFINE_H

#include "imgconv/imgconv.h"
#include "lib/worker.h"

#define CONFINE_OWN 16u

struct confine_file {
	const char *path; /* as image_open gets it; NULL: none */
	bool writable;
	bool beneath; /* files below its folder may be read too */
};

struct confine {
	unsigned flags;                   /* SANDBOX_* (lib/sandbox.h) */
	const struct confine_file *files; /* n_files of them */
	size_t n_files;
	/*
	 * File systems that libext2fs does not read may be changed, or looked at, by libguestfs,
	 * which a process beside this one has (imgconv/inject/appliance.h).
	 */
	bool appliance;
	/* What makes the other files of a new image, here; NULL: there are none. */
	const struct image_companions *companions;
	/*
	 * The child may have GRUB's programs run here (boot_make, boot_assemble): it names one of
	 * the platforms, and what it says of the menu is only handed on.
	 */
	bool boot_loader;
	/* In the child. What it returns is what confine_run returns. */
	int (*run)(void *ctx, struct err *e);
	void *ctx;
	/*
	 * Here: what else the child asks for by worker_ask (lib/worker.h), from CONFINE_OWN on; as
	 * worker.serve. NULL: nothing.
	 */
	int (*serve)(void *ctx, unsigned what, const char *text, size_t len,
		     struct worker_answer *ret, struct err *e);
	/* result_len bytes (at most WORKER_RESULT_MAX) that come back from the child. */
	void *result;
	size_t result_len;
};

/* Errors: as worker_run. */
int confine_run(const struct confine *c, struct err *e);

/* The same for images that are all opened by o, to be read: paths has n_paths of them. */
int confine_images(char *const *paths, size_t n_paths, const struct image_open_opts *o,
		   int (*run)(void *ctx, struct err *e), void *ctx, struct err *e);

/* The same for one image whose files are looked at, with .appliance. */
int confine_look(char *path, const struct image_open_opts *o, int (*run)(void *ctx, struct err *e),
		 void *ctx, struct err *e);

/* Whether an image that is opened so may have others beside it. */
static inline bool confine_beneath(const struct image_open_opts *o)
{
	return o->flags & (IMAGE_ALLOW_BACKING | IMAGE_ALLOW_EXTENTS);
}

/* In the child, what makes the other files of a new image; NULL: nothing does. */
const struct image_companions *confine_companions(void);

#endif
