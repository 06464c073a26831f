/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seams of the catalog.
 *
 * A source lists and finds images of some cloud: one struct source_type a kind of catalog. What it
 * finds says how the image's bytes are delivered; a struct delivery_type fetches those. Both lie in
 * files under source/, which include this header and lib/, never each other; sources.c lists them.
 * catalog/config.h says which sources a user has, catalog/index.h keeps what they listed.
 */
#ifndef CATALOG_SOURCE_H
#define CATALOG_SOURCE_H

#include "lib/aws.h"
#include "lib/progress.h"
#include "lib/value.h"

/* ---- what a catalog knows of an image ------------------------------------------------------- */

enum delivery_kind {
	DELIVERY_NONE,     /* nothing that could be fetched; why_not says why */
	DELIVERY_BUNDLE,   /* an EC2 bundle in S3: bucket, key of the manifest */
	DELIVERY_SNAPSHOT, /* an EBS snapshot: id, size */
	DELIVERY_FILE,     /* a file: url, format, size, digest */
};

/* All texts come from the catalog: hostile, UTF-8 or not; NULL: not given. */
struct catalog_image {
	char *id;
	char *name, *description;
	char *os, *release, *version; /* "ubuntu", "24.04", serial or number of the build */
	char *architecture;           /* as arch_name has them */
	char *state;
	char *owner, *owner_alias;
	char *root_device_type, *root_device_name;
	char *virtualization;
	char *boot_mode;
	char *platform;
	char *location; /* imageLocation */
	char *creation_date;
	char *kernel_id, *ramdisk_id;
	char *product_codes; /* separated by blanks */
	char *region;
	char *words; /* other names that it is found by, separated by blanks */
	char *why_not;
	char *bucket, *key;          /* DELIVERY_BUNDLE */
	char *snapshot;              /* DELIVERY_SNAPSHOT */
	char *url;                   /* DELIVERY_FILE: http, https, s3://BUCKET/KEY, file:///PATH */
	char *format;                /* of the file, as imgconv names it; NULL: to be recognised */
	char *digest;                /* "sha256:HEX" of the file */
	const char *digest_by;       /* who says so, static; NULL: the catalog */
	uint64_t snapshot_size;      /* bytes; 0: not told; likewise below */
	uint64_t size, virtual_size; /* of the file, of the disk in it */
	bool is_public;
	bool marketplace; /* one of its product codes is the marketplace's */
	bool older;       /* there is a newer one of the same kind */
	bool elsewhere;   /* only told of: another source has it (an AMI in simplestreams) */
	enum delivery_kind delivery;
};
void catalog_image_release(struct catalog_image *im);
DEFINE_AUTO_STRUCT(struct catalog_image, catalog_image_release);
int catalog_image_copy(const struct catalog_image *from, struct catalog_image *to);

/* The texts of an image with the names that JSON, the index and filters have for them. */
struct catalog_field {
	const char *name;
	size_t offset;
	bool shown;    /* in JSON */
	bool searched; /* words are looked for in it */
};
extern const struct catalog_field catalog_fields[]; /* ended by name NULL */
static inline char **catalog_field_of(const struct catalog_image *im, const struct catalog_field *f)
{
	return (char **)((char *)im + f->offset);
}

/* "x86_64", "arm64" ... for what catalogs call it ("amd64", "aarch64"); else as it is. Static or s.
 */
const char *arch_name(const char *s);
/* What is in "qcow2", "vmdk" ... by the end of a file's name; NULL: cannot be told. Static. */
const char *format_by_name(const char *name);
/* Whether a file of that name can be an image of a disk, packed or not. */
bool name_is_image(const char *name);
/* Sets *ret to a copy of text, if that is not empty. *ret is NULL before. */
int image_set(char **ret, const char *text, struct err *e);

/* ---- sources -------------------------------------------------------------------------------- */

/* A source as the user has it (catalog/config.h). Texts are NULL where nothing is said. */
struct source {
	char *name;
	const struct source_type *type;
	char *url;
	char *region, *endpoint_url, *profile; /* of AWS and the like */
	struct value_strings owners;
	char *bucket, *prefix;
	char *keyring;
	char *auth_url, *username, *password_file, *project, *user_domain, *project_domain;
	char *token_file;
	uint64_t depth;
};

enum freshness {
	FRESH_BY_AGE,  /* what is in the cache and not old */
	FRESH_ALWAYS,  /* each document is asked for again */
	FRESH_OFFLINE, /* no server is asked */
};

struct cache;

/* What all sources share: whom to ask, as whom. */
struct session {
	const struct source *source;
	struct aws *aws;
	struct httpc *http;  /* of the main thread */
	struct cache *cache; /* of the source's documents; NULL: none */
	enum freshness freshness;
	struct httpc_retry retry;
	/* Keys of EC2 bundles; NULL: not given. */
	const char *private_key, *certificate;
	bool require_signature;
	/* A folder, maybe not there, where a delivery may leave what it fetched until the image is
	 * whole, for an import that goes on; NULL: none. */
	const char *keep;
	unsigned workers;            /* parallel downloads; 0: the delivery's default */
	unsigned attempt_timeout_ms; /* of one request of a fetch; 0: the delivery's default */
	struct progress *progress;
	char *token, *endpoint; /* of Glance; NULL: not asked for yet */
};
/* For `note` of requests: shows what is waited for, on a terminal behind the bar, else as a line.
 * opaque: struct session. */
void session_note(void *opaque, const char *text);

struct list_filter {
	const struct aws_param *filters; /* name=value as DescribeImages has them; n_filters */
	size_t n_filters;
	const char *const *owners; /* n_owners; none: everyone's */
	size_t n_owners;
};

typedef int image_fn(void *ctx, const struct catalog_image *im);

struct source_type {
	const char *name;
	const char *summary;
	/* Keys of the configuration that it knows, those that are needed with '!' before them;
	 * separated by blanks. */
	const char *keys;
	/* What was listed is old after that many seconds. */
	unsigned max_age_s;
	/* Its list takes the owners, or the filters, of a list_filter; others ignore them. */
	bool by_owner, by_filter;
	/* It is asked by lib/aws.h: the session has one. */
	bool aws;
	/* True if the id can only be one of this kind of source ("ami-..."); NULL: never. */
	bool (*owns)(const char *id);
	/*
	 * Finds one image. NULL: the index of what was listed has all there is to know.
	 * Errors: ENOENT, EINVAL a malformed id, those of lib/aws.h.
	 */
	int (*find)(struct session *s, const char *id, struct catalog_image *ret, struct err *e);
	/* Calls fn for each image, in no order; fn returns 0 to go on, else what ends it. */
	int (*list)(struct session *s, const struct list_filter *f, image_fn *fn, void *ctx,
		    struct err *e);
	/* Headers that a download needs (tokens), to be added to; NULL: none. */
	int (*authorize)(struct session *s, struct buf *header, struct err *e);
};

/* ---- getting the bytes ---------------------------------------------------------------------- */

struct fetch_run {
	uint64_t off, len;
};

/*
 * Takes an image's bytes as they come. begin is called once, first, with the size of the image as
 * its cloud saw it, and says where to begin: 0, or, if an interrupted fetch of the same image is
 * resumed, the end of what its last checkpoint made durable. write goes front to back; checkpoint
 * may be called between writes. finish is called after the last write, in the process that wrote: it
 * may be a child that can open nothing (lib/worker.h). Where it is the importing one, that is not
 * needed. plan may be called after a begin at 0, before the first write: there is data in these runs
 * alone; NULL: of no use. After a plan, ahead may be called from any thread: it writes bytes, of which the
 * SHA-256 was checked, before their turn, and returns 1, or 0 if that cannot be now. In their turn they are not
 * given to write: pass is told that all is there up to their end.
 */
struct fetch_sink {
	int (*begin)(void *ctx, uint64_t size, uint64_t *ret_position, struct err *e);
	int (*write)(void *ctx, const void *data, size_t len, uint64_t off, struct err *e);
	int (*checkpoint)(void *ctx, struct err *e);
	int (*finish)(void *ctx, struct err *e);
	void *ctx;
	int (*plan)(void *ctx, const struct fetch_run *runs, size_t n, struct err *e);
	int (*ahead)(void *ctx, const void *data, size_t len, uint64_t off, const uint8_t *sha256,
		     struct err *e);
	void (*pass)(void *ctx, uint64_t end);
};

/* What was checked on the way, for the record and for people: a line each. */
struct fetch_report {
	struct buf verified; /* "part digests (SHA-1)\n..." */
	struct buf warnings; /* "the manifest's signature was not checked: ..." */
	bool kept;           /* session.keep holds something that can be gone on with */
};
void fetch_report_release(struct fetch_report *r);
DEFINE_AUTO_STRUCT(struct fetch_report, fetch_report_release);

struct delivery_type {
	enum delivery_kind kind;
	const char *name;
	/* Whether an interrupted fetch can go on in the middle of the image, where its last
	 * checkpoint was. */
	bool resumable;
	int (*fetch)(struct session *s, const struct catalog_image *im,
		     const struct fetch_sink *sink, struct fetch_report *report, struct err *e);
};

/* Ended by NULL. */
extern const struct source_type *const source_types[];
extern const struct delivery_type *const delivery_types[];

extern const struct source_type source_ec2, source_s3, source_ebs, source_ssm, source_simplestreams,
	source_opennebula, source_glance, source_directory;
extern const struct delivery_type delivery_s3_bundle;
extern const struct delivery_type delivery_ebs;

#endif
