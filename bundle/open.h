/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: opens, verifies and shows a delivery in a sandbox. The format's functions run in
 * a process that can open nothing; what they need besides the delivery's own file they ask for.
 */
#ifndef BUNDLE_OPEN_H
#define BUNDLE_OPEN_H

#include "bundle/format.h"
#include "bundle/transfer.h"
#include "bundle/unlock.h"
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
	struct bundle_args ec2;
	struct transfer s3; /* how to get there, if input is a URL of S3 */
};

struct opening {
	const struct open_args *a;
	int fd; /* the delivery's own file */
	uint64_t file_size;
	bool many; /* open: several disks come out, into a folder */
	struct output out;
	struct image_create_opts create; /* of a->create, with limits */
	struct image_companions companions;
};

/* In the sandbox. The descriptors are the caller's. */
/* A regular file beside the delivery's own (or in a->ec2.parts_dir), no symbolic link; name is a
 * plain file name. */
int open_beside(const char *name, int *ret_fd, struct err *e);
/* For struct keyring: of the files in a->ec2, which the parent reads. */
int open_public_key(const char *path, struct buf *pem, struct err *e);
int open_unseal(const char *key_hex, const char *iv_hex, struct bundle_secret *ret, struct err *e);
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
 * Recognises a->input by its content and does it. Standard input and pipes are manifests for EC2, and
 * so is what "s3://BUCKET/KEY" names: its parts are fetched while they are read, none is kept.
 * Errors: as the formats; of S3, as s3_get.
 */
int open_delivery(const struct open_args *a, enum open_what what, struct err *e);

#endif
