/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seams of the catalog.
 *
 * A source lists and finds images of some cloud: one struct source_type a kind of catalog. What it
 * finds says how the image's bytes are delivered; a struct delivery_type fetches those. Both lie in
 * files under source/, which include this header and lib/, never each other; sources.c lists them.
 */
#ifndef CATALOG_SOURCE_H
#define CATALOG_SOURCE_H

#include "lib/aws.h"
#include "lib/progress.h"

/* ---- what a catalog knows of an image ------------------------------------------------------- */

enum delivery_kind {
	DELIVERY_NONE,     /* nothing that could be fetched; why_not says why */
	DELIVERY_BUNDLE,   /* an EC2 bundle in S3: bucket, key of the manifest */
	DELIVERY_SNAPSHOT, /* an EBS snapshot: id, size */
};

struct catalog_image {
	char *id;
	char *name, *description; /* NULL: not given; likewise below */
	char *state;
	char *owner, *owner_alias;
	char *architecture;
	char *root_device_type, *root_device_name;
	char *virtualization;
	char *boot_mode;
	char *platform;
	char *location; /* imageLocation */
	char *creation_date;
	char *kernel_id, *ramdisk_id;
	char *product_codes; /* separated by blanks */
	bool is_public;
	enum delivery_kind delivery;
	char *why_not;
	char *bucket, *key;     /* DELIVERY_BUNDLE */
	char *snapshot;         /* DELIVERY_SNAPSHOT */
	uint64_t snapshot_size; /* bytes; 0: not told */
};
void catalog_image_release(struct catalog_image *im);
DEFINE_AUTO_STRUCT(struct catalog_image, catalog_image_release);

/* What all sources share: whom to ask, as whom. */
struct session {
	struct aws *aws;
	struct httpc *http; /* of the main thread */
	/* Keys of EC2 bundles; NULL: not given. */
	const char *private_key, *certificate;
	bool require_signature;
	unsigned workers; /* parallel downloads; 0: the delivery's default */
};

struct list_filter {
	const struct aws_param *filters; /* name=value as DescribeImages has them; n_filters */
	size_t n_filters;
	const char *const *owners; /* n_owners */
	size_t n_owners;
};

struct source_type {
	const char *name;
	/* True if the id can only be one of this source's ("ami-..."). */
	bool (*owns)(const char *id);
	/* Finds one image. Errors: ENOENT, EINVAL a malformed id, those of lib/aws.h. */
	int (*find)(struct session *s, const char *id, struct catalog_image *ret, struct err *e);
	/* Calls fn for each image that matches, in no order; fn returns 0 to go on. */
	int (*list)(struct session *s, const struct list_filter *f,
		    int (*fn)(void *ctx, const struct catalog_image *im), void *ctx, struct err *e);
};

/* ---- getting the bytes ---------------------------------------------------------------------- */

/*
 * Takes an image's bytes as they come. begin is called once, first, with the size of the image as
 * its cloud saw it, and says where to begin: 0, or, if an interrupted fetch of the same image is
 * resumed, the end of what its last checkpoint made durable. write goes front to back; checkpoint
 * may be called between writes.
 */
struct fetch_sink {
	int (*begin)(void *ctx, uint64_t size, uint64_t *ret_position, struct err *e);
	int (*write)(void *ctx, const void *data, size_t len, uint64_t off, struct err *e);
	int (*checkpoint)(void *ctx, struct err *e);
	void *ctx;
};

/* What was checked on the way, for the record and for people: a line each. */
struct fetch_report {
	struct buf verified; /* "part digests (SHA-1)\n..." */
	struct buf warnings; /* "the manifest's signature was not checked: ..." */
};
void fetch_report_release(struct fetch_report *r);
DEFINE_AUTO_STRUCT(struct fetch_report, fetch_report_release);

struct delivery_type {
	enum delivery_kind kind;
	const char *name;
	/* Whether an interrupted fetch can go on where its last checkpoint was. */
	bool resumable;
	int (*fetch)(struct session *s, const struct catalog_image *im,
		     const struct fetch_sink *sink, struct fetch_report *report, struct err *e);
};

/* Ended by NULL. */
extern const struct source_type *const source_types[];
extern const struct delivery_type *const delivery_types[];

extern const struct source_type source_ec2;
extern const struct delivery_type delivery_s3_bundle;
extern const struct delivery_type delivery_ebs;

#endif
