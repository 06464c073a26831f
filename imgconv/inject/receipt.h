/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `--ctxd` has put into a guest, kept in the guest for `--remove-ctxd`: text, a line each,
 *
 *	file MODE SHA256 PATH
 *	dir PATH		that was not there before
 *	moved OLD NEW		a link of the guest's that made room
 *
 * and as hostile as the rest of the guest: what a line says is held against what is there.
 */
#ifndef IMGCONV_INJECT_RECEIPT_H
#define IMGCONV_INJECT_RECEIPT_H

#include "imgconv/inject/overlay.h"

#define RECEIPT_PATH "/etc/acclimate/ctxd"

enum receipt_kind {
	RECEIPT_FILE,
	RECEIPT_DIR,
	RECEIPT_MOVED,
};

struct receipt_line {
	enum receipt_kind kind;
	char *path;
	char *to;        /* of MOVED; else NULL */
	char digest[65]; /* of FILE: hex */
	unsigned mode;   /* likewise */
};

struct receipt {
	struct receipt_line *lines; /* folders above before those below them */
	size_t n;
};

/* Errors: EBADMSG a line that means nothing; EFBIG. text is used up. */
int receipt_parse(struct buf *text, struct receipt *ret, struct err *e);
/* That of a guest: 1; 0: it has none. ret is empty before. Errors: those of guest_fs_read_file, too. */
int receipt_read(struct guest_fs *fs, struct receipt *ret, struct err *e);
void receipt_release(struct receipt *m);
DEFINE_AUTO_STRUCT(struct receipt, receipt_release);

int receipt_add_dir(struct receipt *m, const char *path, struct err *e);
/* What was put in: files that are all ours, and links that were moved. A file that m has is renewed. */
int receipt_add_overlay(struct receipt *m, const struct overlay *o, struct err *e);
/* Appended to out. Errors: ENOMEM. */
int receipt_text(const struct receipt *m, struct buf *out);

/* Hex of the SHA-256 of a file's bytes. */
void receipt_digest(const void *data, size_t len, char ret[65]);

#endif
