/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back: an image of the store becomes one of a cloud, or a file. One struct export_type a
 * kind of target, each in its own file; export.c lists them.
 */
#ifndef CATALOG_EXPORT_H
#define CATALOG_EXPORT_H

#include "catalog/source.h"
#include "catalog/store.h"
#include "imgconv/imgconv.h"

/* From the command line; a NULL or zero member is not given. */
struct export_opts {
	const char *image;
	const char *dest;   /* what the target calls it: a path, s3://..., the new image's name */
	const char *format; /* of an image file */
	enum image_compression compression;
	const char *description;
	const char *architecture; /* in place of what is known */
	const char *boot_mode;    /* likewise: legacy-bios, uefi, uefi-preferred */
	const char *parent;       /* a snapshot that the new one is incremental against */
	const char *bundle;       /* s3://BUCKET/PREFIX: as a bundle, not as a snapshot */
	const char *ec2_cert;     /* of bundles */
	const char *user;         /* account number of bundles */
	const char *acl;          /* canned ACL of objects in S3 */
	bool no_register;         /* the snapshot or bundle alone */
	bool replace;             /* files that are there */
	unsigned workers;         /* 0: the target's default */
};

/* What was made; all is the struct's. NULL and 0: there is no such thing here. */
struct export_report {
	char *location; /* path, URL */
	char *image;    /* id in the cloud */
	char *snapshots[STORE_DISKS_MAX];
	size_t n_snapshots;
	uint64_t sent;    /* bytes of data that were sent */
	uint64_t resumed; /* of which an interrupted export had sent this much before */
	uint64_t same;    /* bytes that the parent snapshot has */
};
void export_report_release(struct export_report *r);
DEFINE_AUTO_STRUCT(struct export_report, export_report_release);

/* The image that is exported, held until it is released. */
struct export_disk {
	struct store_disk disk;
	int held;
	struct image *im;
};
struct export_source {
	struct store *store;
	const struct export_opts *opts;
	struct value *record;
	struct export_disk disks[STORE_DISKS_MAX];
	unsigned n_disks;
	const char *architecture; /* as EC2 calls it: x86_64, arm64; never NULL */
	bool bios, uefi;          /* what was found to boot it; both false: not known */
};
int export_source_open(struct store *s, const struct export_opts *o, struct export_source *ret,
		       struct err *e);
void export_source_release(struct export_source *x);
DEFINE_AUTO_STRUCT(struct export_source, export_source_release);
/* legacy-bios, uefi, uefi-preferred; NULL: not known. */
const char *export_boot_mode(const struct export_source *x);

/* The canned ACL that was asked for, NULL for "none"; else `otherwise`. */
const char *export_acl(const struct export_opts *o, const char *otherwise);

struct export_type {
	const char *name; /* of --to */
	/* s: NULL for targets that need no cloud. */
	int (*run)(struct session *s, const struct export_source *x, struct export_report *ret,
		   struct err *e);
	/* The options of export_opts that it takes, as "--format --acl": others are refused. */
	const char *options;
	/* Checks them before anything is done. Errors: EINVAL. */
	int (*check)(const struct export_opts *o, struct err *e);
	/* Whose session it needs; NULL: none. */
	const struct source_type *cloud;
};
extern const struct export_type *const export_types[];
const struct export_type *export_find_type(const char *name);
/* Checks what was given on the command line for a target. Errors: EINVAL. */
int export_check(const struct export_type *t, const struct export_opts *o, struct err *e);

extern const struct export_type export_ec2, export_s3, export_glance, export_file;

/* ---- parts ------------------------------------------------------------------------------------ */

/*
 * export_ebs.c: writes one disk as an EBS snapshot and waits until it is completed. What was sent is
 * noted in a journal of the store, so that the same export goes on where one was interrupted.
 * parent NULL: a snapshot of its own; else one that came from this store.
 * ret_id is the caller's. Errors: EACCES at once; ENOENT the snapshot, or parent, is gone;
 * EREMOTEIO the snapshot failed; those of aws_send and of the image; ECANCELED.
 */
int ebs_upload(struct session *s, const struct export_source *x, unsigned n_disk,
	       const char *parent, char **ret_id, struct export_report *report, struct err *e);

/* export_register.c: RegisterImage. snapshots or location (of a bundle's manifest, bucket/key). */
int ec2_register(struct session *s, const struct export_source *x, char *const *snapshots,
		 size_t n_snapshots, const char *location, char **ret_id, struct err *e);
/* export_bundle.c: a bundle in S3; ret_location is "bucket/key" of the manifest. */
int bundle_upload(struct session *s, const struct export_source *x, char **ret_location,
		  struct export_report *report, struct err *e);

#endif
