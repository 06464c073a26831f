/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server tells of a file that no catalog has a digest of. It says that the file came as it lies
 * there, not that it is who made it.
 */
#ifndef CATALOG_REMOTE_DIGEST_H
#define CATALOG_REMOTE_DIGEST_H

#include "catalog/remote.h"

/*
 * Sets f->digest and f->digest_by from the answer to a HEAD, the strongest that is there: Repr-Digest
 * (RFC 9530) and Digest (RFC 3230) by SHA-512 or SHA-256; x-goog-hash, Content-MD5 and, of an object of
 * S3, an ETag that is its MD5. What is none of these is passed over.
 */
int remote_digest_of_head(const struct httpc_response *r, bool s3, struct remote_file *f,
			  struct err *e);
/*
 * Sets them from SHA512SUMS or SHA256SUMS beside the URL, if they are there and name its file: for a
 * file that no catalog told of.
 */
int remote_digest_beside(struct session *s, const char *url, struct remote_file *f, struct err *e);

#endif
