/* SPDX-License-Identifier: Apache-2.0 */
/* A file is held against the digest that is given, or that its catalog tells, or else its server. */
#ifndef CATALOG_FILE_CHECK_H
#define CATALOG_FILE_CHECK_H

#include "catalog/remote.h"
#include "lib/digest.h"

struct file_check {
	struct digest *digest; /* NULL: nobody tells one */
	enum digest_kind kind;
	const char *by; /* who told it; NULL: the catalog */
	char hex[2 * DIGEST_MAX + 1];
};
void file_check_release(struct file_check *c);
DEFINE_AUTO_STRUCT(struct file_check, file_check_release);

/* remote is empty for a file of this machine, and outlives c. Errors: EBADMSG the digest is none. */
int file_check_start(const struct catalog_image *im, const struct remote_file *remote,
		     struct file_check *c, struct err *e);
void file_check_add(struct file_check *c, const void *data, size_t len);
/* Adds the first len bytes of a file. */
int file_check_add_file(struct file_check *c, int fd, uint64_t len, struct err *e);
/* Says in the report which check was made, or that there was none. Errors: EBADMSG it is another. */
int file_check_end(struct file_check *c, const struct catalog_image *im,
		   struct fetch_report *report, struct err *e);

#endif
