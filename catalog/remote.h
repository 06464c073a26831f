/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file on a server (http, https, S3), read front to back: in ranges, several at a time, where the
 * server can do that; else in one go, resumed where it breaks off.
 */
#ifndef CATALOG_REMOTE_H
#define CATALOG_REMOTE_H

#include "catalog/source.h"

struct remote_file {
	char *url;     /* where redirects led to */
	char *secret;  /* "Name: value"; NULL: none */
	char *etag;    /* strong, with its quotes; NULL: none */
	char *version; /* words that change with the file: ETag, date; "" if nothing is told */
	char *digest;  /* "sha256:HEX" as the server tells it; NULL: it does not */
	const char *digest_by; /* where: "ETag", "SHA256SUMS" */
	uint64_t size;         /* 0: not told */
	bool ranges;
};
void remote_file_release(struct remote_file *f);
DEFINE_AUTO_STRUCT(struct remote_file, remote_file_release);

/* Asks what there is at im->url, and for its digest. Errors: ENOENT, EACCES, those of web_send and
 * aws_send. */
int remote_probe(struct session *s, const struct catalog_image *im, struct remote_file *ret,
		 struct err *e);

struct remote_sink {
	/* Front to back, without a gap. */
	int (*write)(void *ctx, const void *data, size_t len, uint64_t off, struct err *e);
	/* All that was written is to be made durable; called now and then, and when it ends early. */
	int (*checkpoint)(void *ctx, struct err *e);
	void *ctx;
};
/*
 * Reads the bytes from `first` on, to the file's end, into sink. expect: the number of bytes that
 * the file has to have; 0: what the server says. *ret_size: what it had.
 * Errors: EBADMSG it has another size; ESTALE it changed on the way; EFBIG it is longer than `most`.
 */
int remote_read(struct session *s, const struct remote_file *f, uint64_t first, uint64_t expect,
		uint64_t most, const struct remote_sink *sink, uint64_t *ret_size, struct err *e);

#endif
