/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: opens, verifies and shows a delivery in a sandbox. The format's functions run in
 * a process that can open nothing; what they need besides the delivery's own file they ask for.
 */
#ifndef BUNDLE_OPEN_H
#define BUNDLE_OPEN_H

#include "bundle/format.h"
#include "lib/cli.h"

struct open_args {
	const char *input;
	const char *output; /* of open */
	const char *output_format;
	struct image_create_opts create;
	uint64_t max_output; /* UINT64_MAX: what the input's size makes likely */
	unsigned disk;       /* from 1; 0: all */
	bool replace;
	enum cli_output show; /* of info */
};

struct opening {
	const struct open_args *a;
	int fd; /* the delivery's own file */
	uint64_t file_size;
	bool many; /* open: several disks come out, into a folder */
	struct output out;
	struct image_create_opts create; /* of a->create, with limits */
};

/* In the sandbox. The descriptors are the caller's. */
/* A regular file beside the delivery's own, no symbolic link; name is a plain file name. */
int open_beside(const char *name, int *ret_fd, struct err *e);
/* A file without a name beside the output, which is gone when it is closed. */
int open_scratch(int *ret_fd, struct err *e);
/*
 * Starts the image that comes out: of a disk of `size` bytes, called `name` if there are several.
 * *ret_fd: to be closed after the writer was freed.
 */
int open_writer(struct opening *o, const char *name, uint64_t size, struct image_writer **ret,
		int *ret_fd, struct err *e);
/* An error that came of our own limit on what comes out is told so. */
int open_explain(struct opening *o, const struct image_writer *w, int rc, struct err *e);

enum open_what {
	OPEN_IMAGE,
	OPEN_VERIFY,
	OPEN_INFO
};
/*
 * Recognises a->input by its content and does it. *ret_taken is false, and nothing was done, for a
 * manifest of EC2. Errors: ENOTSUP not recognised; as the formats.
 */
int open_delivery(const struct open_args *a, enum open_what what, bool *ret_taken, struct err *e);

#endif
