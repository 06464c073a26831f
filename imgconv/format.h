/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam of the image hub: one struct image_format a format, in one file under format/, listed
 * in formats.c. A format file includes this header and lib/, never another format.
 */
#ifndef IMGCONV_FORMAT_H
#define IMGCONV_FORMAT_H

#include "imgconv/imgconv.h"

/* The first bytes of a file, and its size: all that a probe may look at. */
struct image_head {
	const uint8_t *data; /* the first len bytes */
	size_t len;          /* up to 4096 */
	uint64_t file_size;
};

/* Common part of every open image; a format's own struct begins with it. */
struct image {
	const struct image_format *format;
	char *name;
	int fd;
	uint64_t size;      /* guest's bytes, set by open */
	uint64_t file_size; /* bytes of the file when it was opened */
	unsigned flags;     /* IMAGE_* */
};

/* Common part of every writer. */
struct image_writer {
	const struct image_format *format;
	char *name;
	int fd;
	uint64_t size;
	uint64_t position; /* end of the last write: the hub checks that offsets ascend */
};

struct image_format {
	const char *name;    /* lower case, unique: "qcow2" */
	const char *summary; /* for --help and --version */
	/* True if the head is this format's. Never for raw, which is what is left. */
	bool (*probe)(const struct image_head *head);
	/*
	 * Opens fd, which stays the caller's on failure and becomes the image's on success. Checks
	 * everything that can be checked without reading all of the tables.
	 */
	int (*open)(int fd, const char *name, const struct image_open_opts *o, struct image **ret,
		    struct err *e);
	int (*pread)(struct image *im, void *buf, size_t len, uint64_t off, struct err *e);
	int (*pwrite)(struct image *im, const void *buf, size_t len, uint64_t off, struct err *e);
	int (*flush)(struct image *im, struct err *e);
	int (*next_extent)(struct image *im, uint64_t off, struct extent *ret, struct err *e);
	/* Appends what `imgconv info` shows of this format alone, as JSON members without braces:
	 * "\"cluster-size\": 65536, ..."; may be NULL. */
	int (*info)(struct image *im, struct buf *json, struct err *e);
	/* Frees all but the common part; copes with a half-built image. */
	void (*close)(struct image *im);

	int (*create)(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
		      struct image_writer **ret, struct err *e);
	/* As image_writer_write; data is never empty and lies within the size. */
	int (*write)(struct image_writer *w, const void *data, size_t len, uint64_t off,
		     struct err *e);
	int (*finish)(struct image_writer *w, struct err *e);
	void (*free)(struct image_writer *w);
};

/* All formats, ended by NULL; order: by magic first, raw last. */
extern const struct image_format *const image_formats[];

extern const struct image_format image_format_qcow2;
extern const struct image_format image_format_raw;

#endif
