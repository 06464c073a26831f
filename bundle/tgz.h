/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: an image as the one member of a compressed tar archive, made in one pass on
 * several threads. What comes out depends on the options and on what the guest sees, not on how
 * the image lies in its file, and not on the number of threads.
 */
#ifndef BUNDLE_TGZ_H
#define BUNDLE_TGZ_H

#include "imgconv/imgconv.h"
#include "lib/digest.h"

struct tgz {
	const char *name;      /* of the member */
	uint64_t size;         /* of the member: the image's or more; what is more is zeros */
	bool dense;            /* no holes in the member */
	bool one_member;       /* of gzip: larger, and for readers that stop after the first */
	unsigned threads;      /* 0: one a processor */
	struct digest *digest; /* gets the tar stream; NULL: nothing does */
	/* Takes the compressed stream, in order, in the caller's thread. */
	int (*write)(void *ctx, const void *data, size_t len, struct err *e);
	void *ctx;
};

/*
 * im is read twice: first for where it has anything but zeros (64 KiB each), which the archive
 * tells before the data. p (may be NULL) is told the bytes of the disk that are done; its total is
 * the image's size. Memory: 3 MiB a thread and 8 MiB besides, and 16 bytes for each hole.
 * Errors: EFBIG more than two million holes; those of image_pread and write; ECANCELED.
 */
int tgz_write(struct image *im, const struct tgz *t, struct progress *p, struct err *e);

/*
 * The same of an image that comes through a pipe, read once: there are no holes before the image's
 * end, for the archive would have to tell them before it. t->write is called in another thread than
 * the caller's. Errors: also those of image_stream_copy.
 */
int tgz_write_stream(struct image_stream *s, const struct tgz *t, struct progress *p,
		     struct err *e);

#endif
