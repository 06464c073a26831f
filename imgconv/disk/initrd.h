/* SPDX-License-Identifier: Apache-2.0 */
/* The names of what lies in an initial RAM disk, front to back. */
#ifndef IMGCONV_DISK_INITRD_H
#define IMGCONV_DISK_INITRD_H

#include "imgconv/imgconv.h"

/* Where its bytes come from: up to len at off (a multiple of 64 KiB), less only at the end. */
struct initrd_source {
	int (*read)(void *ctx, void *buf, size_t len, uint64_t off, size_t *ret, struct err *e);
	void *ctx;
	uint64_t size;
};
struct initrd_walk {
	/* Bytes that may be read, after decompression; what is skipped of an archive that is not
	 * compressed does not count, what is slow to decompress counts several times. */
	uint64_t limit;
	/* Called for each regular file; name is hostile. Returns true to see no more. */
	bool (*seen)(void *ctx, const char *name);
	void *ctx;
};
struct initrd_report {
	char compression[8]; /* "none", "gzip", "xz", "lzma", "bzip2", "lz4", "zstd" */
	uint64_t read;       /* bytes, after decompression */
	bool whole;          /* everything was seen; else `seen` or the limit made an end */
};
/*
 * Walks one or more cpio archives, the last of them compressed or not, as the kernel unpacks them.
 * Errors: EBADMSG no archive, or a damaged one; ENOTSUP a compression that is not known (lzo), or
 * that needs too much memory; errno of read. *ret holds what was found out until then.
 */
int initrd_walk(const struct initrd_source *source, const struct initrd_walk *w,
		struct initrd_report *ret, struct err *e);

#endif
