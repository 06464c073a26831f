/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reads the documents of catalogs, apart from how they are fetched: for the sources, and for
 * tests and fuzzers. All input is hostile. fn returns 0 to go on; what else it returns ends the
 * reading and is returned.
 */
#ifndef CATALOG_PARSE_H
#define CATALOG_PARSE_H

#include "catalog/source.h"
#include "lib/digest.h"

/* ---- listing.c: web servers' listings of folders, files of check sums ------------------------ */

/* A line of SHA256SUMS and its like; digest is "sha256:HEX". */
typedef int sum_fn(void *ctx, const char *name, const char *digest, struct err *e);
/*
 * Lines of "HEX  NAME", "HEX *NAME" or "SHA256 (NAME) = HEX"; other lines are passed over, names that
 * are no plain file names (after a "./") too. The kind is told by the number of digits; MD5 and SHA-1
 * are not taken.
 */
int sums_parse(const char *text, size_t len, sum_fn *fn, void *ctx, struct err *e);

/*
 * The names in href="..." of a server's listing that lie directly in the listed folder, with %XX
 * and &amp; undone; a folder's has '/' at its end. Whatever else the page has is passed over.
 * Errors: EFBIG more than 100000 of them.
 */
typedef int href_fn(void *ctx, const char *name, struct err *e);
int hrefs_parse(const char *html, size_t len, href_fn *fn, void *ctx, struct err *e);

/* A digest as catalogs write it: kind and hex digits, lower case. ret is the caller's.
 * Errors: EBADMSG wrong number of digits, no hex. */
int digest_text(enum digest_kind kind, const char *hex, char **ret, struct err *e);
/* The other way round: "sha256:HEX". Errors: EBADMSG. */
int digest_text_parse(const char *text, enum digest_kind *ret_kind,
		      char ret_hex[2 * DIGEST_MAX + 1], struct err *e);
/* Fills os, release, architecture and version as far as a file's name tells them. */
int guess_by_name(const char *name, struct catalog_image *im, struct err *e);

/* ---- the sources' documents ------------------------------------------------------------------ */

/* streams/v1/index.json: the documents that are named in it. */
typedef int stream_fn(void *ctx, const char *datatype, const char *path, struct err *e);
int simplestreams_index(const char *name, const void *json, size_t len, stream_fn *fn, void *ctx,
			struct err *e);
/* A products document; base is the URL that paths in it are relative to. */
int simplestreams_products(const char *name, const void *json, size_t len, const char *base,
			   image_fn *fn, void *ctx, struct err *e);

/* The marketplace's list of appliances; base is the URL of the service. */
int opennebula_json(const char *name, const void *json, size_t len, const char *base, image_fn *fn,
		    void *ctx, struct err *e);
/* An appliance as YAML; id is what its images are called by. */
int opennebula_yaml(const char *name, const void *yaml, size_t len, const char *id, image_fn *fn,
		    void *ctx, struct err *e);

/* A page of Glance's list; *ret_next: where the next one is, the caller's, NULL at the end. */
int glance_images(const char *name, const void *json, size_t len, const char *endpoint,
		  image_fn *fn, void *ctx, char **ret_next, struct err *e);
/* The endpoint of the image service in Keystone's answer; region NULL: any. Errors: ENOENT. */
int keystone_endpoint(const char *name, const void *json, size_t len, const char *region,
		      char **ret, struct err *e);

/* An <item> of DescribeImages. */
int ec2_image(const struct xml_node *item, struct catalog_image *im, struct err *e);
/*
 * Parameters of DescribeImages or DescribeSnapshots for a page (token NULL: the first): filters,
 * owners, how many. *ret is the caller's, *ret_n of them; they point into names, which must outlive
 * them and is not to be written to meanwhile, and into the filter.
 */
int ec2_page_params(const struct list_filter *f, const char *token, struct buf *names,
		    struct aws_param **ret, size_t *ret_n, struct err *e);
/* What the parameter of that name holds, an AMI's id, the caller's. Errors: ENOENT; EINVAL no AMI. */
#define SSM_ID_PREFIX "ssm:"
int ssm_parameter(struct session *s, const char *name, char **ret, struct err *e);
/* A page of GetParametersByPath: fn gets each parameter that holds an AMI. *ret_next as below. */
typedef int parameter_fn(void *ctx, const char *name, const char *ami, struct err *e);
int ssm_page(const void *json, size_t len, parameter_fn *fn, void *ctx, char **ret_next,
	     struct err *e);
/* A page of ListObjectsV2; *ret_next: its continuation token, NULL at the end. */
int s3_objects(const char *name, const void *xml, size_t len, const char *bucket, image_fn *fn,
	       void *ctx, char **ret_next, struct err *e);

#endif
