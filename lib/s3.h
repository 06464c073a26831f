/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of S3, whole: read, written, asked about. On top of lib/aws.h, which signs, retries and
 * follows a bucket to its region. Messages name an object as "s3://BUCKET/KEY".
 */
#ifndef LIB_S3_H
#define LIB_S3_H

#include "lib/aws.h"
#include "lib/digest.h"
#include "lib/progress.h"

/* An object, or all whose keys begin so. */
struct s3_url {
	char *bucket;
	char *key; /* without a slash in front; "" for the bucket itself */
};
bool s3_url_is(const char *text); /* begins with "s3://" */
/* Parses "s3://BUCKET[/KEY]". Errors: EINVAL. */
int s3_url_parse(const char *text, struct s3_url *ret, struct err *e);
void s3_url_release(struct s3_url *u);
DEFINE_AUTO_STRUCT(struct s3_url, s3_url_release);

/*
 * Appends the object to data; what was there before is lost when a download has to begin anew. An attempt
 * ends after timeout_ms (0: as long as something comes), and the next goes on. Retries are noted on p,
 * which may be NULL. Errors: EFBIG over limit bytes; as aws_send.
 */
int s3_get(struct aws *a, struct httpc *c, const char *bucket, const char *key, uint64_t limit,
	   unsigned timeout_ms, struct progress *p, struct buf *data, struct err *e);

struct s3_object {
	uint64_t size;
	char etag[2 * DIGEST_MAX + 1]; /* without its quotes; "" if it has none, or a longer one */
};
/* What is known of an object. Errors: ENOENT there is none; as aws_send. */
int s3_head(struct aws *a, struct httpc *c, const char *bucket, const char *key,
	    struct s3_object *ret, struct err *e);

/*
 * Writes an object in one request: at most 5 GiB. Its MD5 goes along, so that what arrived damaged
 * is refused. acl: a canned ACL ("aws-exec-read"), NULL: the bucket's default. type: its
 * Content-Type, NULL: none. Errors: as aws_send.
 */
int s3_put(struct aws *a, struct httpc *c, const char *bucket, const char *key, const char *acl,
	   const char *type, const void *data, size_t len, struct err *e);

/*
 * The same of a file's first `size` bytes, of any number: in parts of 16 MiB or more, `workers` (0: 4)
 * of them at once and in memory, if it is larger than one. What was begun is taken back where it
 * fails. p gets the bytes, may be NULL. Errors: EBADMSG the file is shorter; as s3_put.
 */
int s3_put_file(struct aws *a, struct httpc *c, const char *bucket, const char *key,
		const char *acl, const char *type, int fd, uint64_t size, unsigned workers,
		struct progress *p, struct err *e);

#endif
