/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam of the image hub: one struct image_format a format, in one file under format/ (or
 * several with the format's name in front), listed in formats.c. A format file includes this
 * header and lib/, never another format.
 *
 * The hub does what is the same for all: bounds of reads and writes, ascending order, cutting a
 * stream into grains, finding zeros, threads. A format knows its bytes alone.
 */
#ifndef IMGCONV_FORMAT_H
#define IMGCONV_FORMAT_H

#include "imgconv/imgconv.h"

/* The first bytes of a file, and its size: all that a probe may look at. */
#define IMAGE_HEAD_MAX 4096
struct image_head {
	const uint8_t *data; /* the first len bytes */
	size_t len;          /* up to IMAGE_HEAD_MAX */
	uint64_t file_size;
};

/* What an image is opened from. */
struct image_source {
	int fd;
	const char *name; /* for messages */
	const char *path; /* as given by the user; NULL: opened by descriptor */
	unsigned depth;   /* how many images lie above it in a backing chain */
	unsigned flags;   /* IMAGE_* */
};

/* Common part of every open image; a format's own struct begins with it. */
struct image {
	const struct image_format *format;
	char *name;
	char *path; /* NULL: opened by descriptor */
	int fd;
	uint64_t size;      /* guest's bytes, set by open */
	uint64_t file_size; /* bytes of the file when it was opened */
	unsigned flags;     /* IMAGE_* */
	unsigned depth;
};

struct writer_stream;

/* Common part of every writer. */
struct image_writer {
	const struct image_format *format;
	char *name;
	int fd; /* the caller's */
	uint64_t size;
	uint64_t position; /* end of the last write: the hub checks that offsets ascend */
	uint32_t grain;    /* set by create: unit of write(), a power of two */
	bool encodes;      /* set by create: grains go through encode() first */
	unsigned threads;  /* wanted; 0: one a processor */
	bool over_backing; /* no writes: what is missing is not zeros */
	struct writer_stream *stream; /* the hub's own */
};

/* What a checkpoint of a writer says (see image_writer_checkpoint). */
struct image_checkpoint {
	uint64_t size;     /* of the guest's disk */
	uint64_t position; /* all before it is written */
	uint64_t file_end; /* the file's bytes past it are of no account */
	uint32_t grain;
	uint32_t compression; /* enum image_compression */
};
#define IMAGE_CHECKPOINT_SIZE 48 /* bytes of the record on disk */

struct image_format {
	const char *name;    /* lower case, unique: "qcow2" */
	const char *summary; /* for --help and --version */
	uint64_t max_size;   /* bytes of a guest's disk that create takes */

	/* True if the head is this format's. Never for raw, which is what is left. */
	bool (*probe)(const struct image_head *head);
	/*
	 * Opens src->fd, which stays the caller's on failure and becomes the image's on success.
	 * Checks everything that can be checked without reading all of the tables. Allocates the
	 * image and fills the common part by image_init.
	 */
	int (*open)(const struct image_source *src, struct image **ret, struct err *e);
	/* The range lies within the size and is not empty, in all three. */
	int (*pread)(struct image *im, void *buf, size_t len, uint64_t off, struct err *e);
	int (*pwrite)(struct image *im, const void *buf, size_t len, uint64_t off, struct err *e);
	/* ret->length may reach past the end of the disk: the hub cuts it. */
	int (*next_extent)(struct image *im, uint64_t off, struct extent *ret, struct err *e);
	int (*flush)(struct image *im, struct err *e);
	/*
	 * Called once for each range, in ascending order, before it is copied: refuses an image
	 * (EBADMSG) that refers twice to the same bytes of its file, and so would grow beyond
	 * what its file can honestly hold. NULL where a format cannot alias.
	 */
	int (*claim)(struct image *im, uint64_t off, uint64_t len, struct err *e);
	/* Appends what `imgconv info` shows of this format alone, to the object that is open. */
	int (*info)(struct image *im, struct image_info *ret, struct err *e);
	/* Frees all but the common part; copes with a half-built image. */
	void (*close)(struct image *im);

	/* Starts a file of size 0. Allocates the writer and fills the common part by
	 * image_writer_init, then grain and encodes. */
	int (*create)(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
		      struct image_writer **ret, struct err *e);
	/*
	 * Bytes that are not all zero; off is a multiple of the grain and above all offsets that
	 * were written before; len is one too, or reaches the end of the disk.
	 */
	int (*write)(struct image_writer *w, const void *data, size_t len, uint64_t off,
		     struct err *e);
	/* A codec's state, one a thread. */
	int (*encoder_new)(const struct image_writer *w, void **ret, struct err *e);
	/*
	 * Encodes one whole grain (the last one padded with zeros) into out, which has room for a
	 * grain. Returns the bytes used, or 0 if the grain is better kept as it is. Thread-safe.
	 */
	size_t (*encode)(const struct image_writer *w, void *encoder, const void *grain, void *out);
	void (*encoder_free)(void *encoder);
	/* Like write, for one encoded grain. */
	int (*write_encoded)(struct image_writer *w, const void *data, size_t len, uint64_t off,
			     struct err *e);
	int (*finish)(struct image_writer *w, struct err *e);
	/* position is a multiple of the grain or the size. */
	int (*checkpoint)(struct image_writer *w, uint64_t position, struct err *e);
	int (*resume)(int fd, const char *name, const struct image_create_opts *o,
		      struct image_writer **ret, struct err *e);
	/* Frees all but the common part; copes with a half-built writer. */
	void (*free)(struct image_writer *w);
};

/* All formats, ended by NULL; order: by magic first, raw last. */
extern const struct image_format *const image_formats[];
const struct image_format *image_format_by_name(const char *name);

extern const struct image_format image_format_qcow2;
extern const struct image_format image_format_raw;

/* ---- what the hub offers to formats -------------------------------------------------------- */

/* Fills the common part but for the size, which the format knows. Errors: ENOMEM, errno. */
int image_init(struct image *im, const struct image_format *f, const struct image_source *src,
	       struct err *e);
/* For an open that fails after image_init: frees all, leaves the descriptor open. */
void image_discard(struct image *im);
DEFINE_AUTO(struct image *, image_discard);
/* Bytes of a regular file or block device. */
int image_fd_size(int fd, uint64_t *ret, struct err *e);

#define IMAGE_MAX_DEPTH 16 /* images in a backing chain */
/*
 * Opens the image that `im` names as its backing file, read-only. The name (len bytes, hostile)
 * is a path below the folder of im and nothing else; the format must be named, it is not guessed.
 * Errors: EACCES not allowed, outside of the folder; ELOOP chain too deep; as image_open.
 */
int image_open_backing(const struct image *im, const char *name, size_t len, const char *format,
		       struct image **ret, struct err *e);

int image_writer_init(struct image_writer *w, const struct image_format *f, int fd,
		      const char *name, uint64_t size, const struct image_create_opts *o,
		      struct err *e);
void image_writer_discard(struct image_writer *w);
DEFINE_AUTO(struct image_writer *, image_writer_discard);

/* A checkpoint's record: magic, fields, checksum. decode: EBADMSG if it is none. */
void image_checkpoint_encode(const struct image_checkpoint *c, uint8_t out[IMAGE_CHECKPOINT_SIZE]);
int image_checkpoint_decode(const uint8_t in[IMAGE_CHECKPOINT_SIZE], struct image_checkpoint *ret,
			    struct err *e);

#endif
