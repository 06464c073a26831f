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

/* The first and last bytes of a file, and its size: all that a probe may look at. */
#define IMAGE_HEAD_MAX 4096
#define IMAGE_TAIL_SIZE 512
struct image_head {
	const uint8_t *data; /* the first len bytes */
	size_t len;          /* up to IMAGE_HEAD_MAX */
	const uint8_t *tail; /* the last IMAGE_TAIL_SIZE bytes; NULL: the file is shorter */
	uint64_t file_size;
};

/* What an image is opened from. */
struct image_source {
	int fd;
	const char *name;     /* for messages */
	const char *path;     /* as given by the user; NULL: opened by descriptor */
	unsigned depth;       /* how many images lie above it in a backing chain */
	unsigned flags;       /* IMAGE_* */
	const char *snapshot; /* as in image_open_opts; NULL: none */
	const char *parent;
	bool is_part; /* the image is `length` bytes of the file, from `base` on */
	uint64_t base, length;
};

/* Common part of every open image; a format's own struct begins with it. */
struct image {
	const struct image_format *format;
	char *name;
	char *path; /* NULL: opened by descriptor */
	int fd;
	uint64_t size;      /* guest's bytes, set by open */
	uint64_t file_size; /* bytes of the file when it was opened */
	bool is_part;       /* of a larger file, in which it begins at `base`; else base is 0 */
	uint64_t base;
	unsigned flags; /* IMAGE_* */
	unsigned depth;
};

struct writer_stream;

/* Where bytes of the disk go. */
struct image_place {
	int fd;
	uint64_t off;
	size_t len;
};

/* Common part of every writer. */
struct image_writer {
	const struct image_format *format;
	char *name;
	int fd; /* the caller's */
	uint64_t size;
	uint64_t position; /* end of the last write: the hub checks that offsets ascend */
	uint32_t grain;    /* set by create: unit of write(), a power of two */
	bool encodes;      /* set by create: grains go through encode() first */
	uint32_t
		encoded_max; /* set by create: the most that encode() makes of a grain; 0: a grain */
	bool fixed;        /* set by create: place() follows from the offset alone, on any thread */
	bool pipe;         /* fd is written front to back: all by write(), never place() */
	unsigned threads;  /* wanted; 0: one a processor */
	bool over_backing; /* no writes: what is missing is not zeros */
	uint64_t align;    /* of image_writer_reserve */
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
	unsigned takes;      /* FORMAT_TAKES_*: which of image_create_opts create knows */
	const struct image_option *options; /* ended by key NULL; NULL: none of its own */
	bool has_snapshots; /* open() looks at image_source.snapshot, which others do not get */
	bool has_parent;    /* the same of image_source.parent */

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
	/* Appends what `imgconv info` shows of this format alone. */
	int (*info)(struct image *im, struct image_info *ret, struct err *e);
	/*
	 * Looks at all tables and adds what is wrong to c by image_check_add; goes on after a
	 * finding. p is told how far of the disk's size it is. EBADMSG and EFBIG end it with one
	 * more finding. The image may be opened IMAGE_INSPECT. NULL: there is nothing to look at.
	 */
	int (*check)(struct image *im, struct image_check *c, struct progress *p, struct err *e);
	/* The hub has seen that a smaller size loses nothing. NULL: not in place. */
	int (*resize)(struct image *im, uint64_t size, struct err *e);
	/* Frees all but the common part; copes with a half-built image. */
	void (*close)(struct image *im);

	/* The least size, at least `size`, that an image with these options can have; create
	 * refuses others. Bad options are create's to tell. NULL: a multiple of 512 bytes. */
	uint64_t (*padded_size)(uint64_t size, const struct image_create_opts *o);
	/* Starts a file of size 0. Allocates the writer and fills the common part by
	 * image_writer_init, then grain and encodes. */
	int (*create)(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
		      struct image_writer **ret, struct err *e);
	/* NULL result: such an image can be written to a pipe. NULL: none can, for its tables are
	 * known at the end and lie at the beginning. */
	const char *(*why_no_pipe)(const struct image_create_opts *o);
	/*
	 * Finds room for bytes that are not all zero, in whole grains; off is a multiple of the
	 * grain and above all offsets that were placed before; len is one too, or reaches the end
	 * of the disk. *ret says where the first ret->len (> 0, <= len) of them go; the hub writes
	 * them there, on any thread, before finish or checkpoint, and asks again for the rest.
	 * A writer that is `fixed` is asked in any order, by several threads at once.
	 * NULL: write() does it all.
	 */
	int (*place)(struct image_writer *w, uint64_t off, size_t len, struct image_place *ret,
		     struct err *e);
	/* The same bytes, to be written now: where there is no place(), and into pipes. */
	int (*write)(struct image_writer *w, const void *data, size_t len, uint64_t off,
		     struct err *e);
	/* A codec's state, one a thread. */
	int (*encoder_new)(const struct image_writer *w, void **ret, struct err *e);
	/*
	 * Encodes one grain, of which the first len bytes are the disk's (a whole grain but for the
	 * last one, which is padded with zeros), into out, which has room for encoded_max bytes.
	 * Returns the bytes used, or 0 if the grain is better kept as it is. Thread-safe.
	 */
	size_t (*encode)(const struct image_writer *w, void *encoder, const void *grain, size_t len,
			 void *out);
	void (*encoder_free)(void *encoder);
	/* Like write, for one encoded grain. */
	int (*write_encoded)(struct image_writer *w, const void *data, size_t len, uint64_t off,
			     struct err *e);
	int (*finish)(struct image_writer *w, struct err *e);
	/* The most that the file can become with these options; finish need not be reached. */
	uint64_t (*full_size)(const struct image_writer *w);
	/* position is a multiple of the grain or the size. */
	int (*checkpoint)(struct image_writer *w, uint64_t position, struct err *e);
	int (*resume)(int fd, const char *name, const struct image_create_opts *o,
		      struct image_writer **ret, struct err *e);
	/* Frees all but the common part; copes with a half-built writer. */
	void (*free)(struct image_writer *w);

	/*
	 * Reading front to back, where the format allows it (else all three are NULL): open reads
	 * what comes before the data (size is the disk's, for a format that does not say); next gives a piece of the disk, above all that came before
	 * (valid until the next call), returns 1, or 0 at the end of a whole image. What follows
	 * in the pipe is an error.
	 */
	int (*stream_open)(int fd, const char *name, uint64_t size, struct image_stream **ret,
			   struct err *e);
	int (*stream_next)(struct image_stream *s, uint64_t *ret_off, const uint8_t **ret_data,
			   size_t *ret_len, struct err *e);
	void (*stream_close)(struct image_stream *s); /* frees all but the common part */
};

/* Common part of every stream; the format's own struct begins with it. */
struct image_stream {
	const struct image_format *format;
	char *name;
	int fd; /* the caller's */
	uint64_t size;
};

enum {
	FORMAT_TAKES_CLUSTER_SIZE = 1u << 0,
	FORMAT_TAKES_ZLIB = 1u << 1, /* compression=zlib and its level */
	FORMAT_TAKES_ZSTD = 1u << 2,
	FORMAT_TAKES_GZIP = 1u << 5,
	FORMAT_TAKES_BACKING = 1u << 3,
	FORMAT_TAKES_COMPANIONS = 1u << 4,
};

/* All formats, ended by NULL; order: by magic first, raw last. */
extern const struct image_format *const image_formats[];
const struct image_format *image_format_by_name(const char *name);

extern const struct image_format image_format_qcow2;
extern const struct image_format image_format_raw;
extern const struct image_format image_format_vdi;
extern const struct image_format image_format_vhd;
extern const struct image_format image_format_vmdk;

/* ---- what the hub offers to formats -------------------------------------------------------- */

/* Fills the common part but for the size, which the format knows. Errors: ENOMEM, errno. */
int image_init(struct image *im, const struct image_format *f, const struct image_source *src,
	       struct err *e);
/* For an open that fails after image_init: frees all, leaves the descriptor open. */
void image_discard(struct image *im);
DEFINE_AUTO(struct image *, image_discard);
/*
 * Reads the image's own file; off counts from the image's beginning, wherever it begins in the file.
 * Errors: as fs_pread.
 */
int image_file_read(const struct image *im, void *buf, size_t len, uint64_t off, struct err *e);
/* The same, where bytes behind the end are no error: *ret_len is how many there are. */
int image_file_read_some(const struct image *im, void *buf, size_t len, uint64_t off,
			 size_t *ret_len, struct err *e);

/* What a probe may look at, into the two buffers. Errors: errno, EINVAL as image_fd_size. */
int image_head_read(int fd, uint8_t data[IMAGE_HEAD_MAX], uint8_t tail[IMAGE_TAIL_SIZE],
		    struct image_head *ret, struct err *e);
/* Bytes of a regular file or block device. */
int image_fd_size(int fd, uint64_t *ret, struct err *e);

/* The extent of data or of a hole that begins at off in the file and ends at `end` at the latest;
 * start and length are the file's. All is data where that is not known. */
int image_file_extent(const struct image *im, uint64_t off, uint64_t end, struct extent *ret,
		      struct err *e);
/* The same of any file that had file_size bytes when it was opened. Errors: EBADMSG it has become
 * shorter; errno. */
int image_fd_extent(int fd, uint64_t file_size, uint64_t off, uint64_t end, struct extent *ret,
		    struct err *e);
/* Errors: EBADMSG the image's own file is shorter now than when it was opened; errno. */
int image_file_check_length(const struct image *im, struct err *e);
/* The image's own file in memory: as mapped_get (lib/mapped.h). */
void *image_file_map(const struct image *im, uint64_t off, size_t len);

#define IMAGE_MAX_DEPTH 16 /* images in a backing chain */
/*
 * Opens the image that `im` names as its backing file, read-only. The name (len bytes, hostile)
 * is a path below the folder of im and nothing else; the format must be named, it is not guessed.
 * Errors: EACCES not allowed, outside of the folder; ELOOP chain too deep; as image_open.
 */
int image_open_backing(const struct image *im, const char *name, size_t len, const char *format,
		       struct image **ret, struct err *e);

/*
 * Opens the regular file that an image names as a part of it, for reading. The name (len bytes,
 * hostile) is a path below the folder of im, without symbolic links.
 * Errors: EACCES outside of the folder, or no regular file; EBADMSG no name; errno of openat2.
 */
int image_open_beneath(const struct image *im, const char *name, size_t len, int *ret_fd,
		       struct err *e);

/* The value of a "key=value" in o->options, NULL if it is not given. o may be NULL. */
const char *image_create_option(const struct image_create_opts *o, const char *key);
/* An option of the values in `names` (ended by NULL): the index of the one that was given, or
 * `none` if it was not. Errors: EINVAL another value. */
int image_create_choice(const struct image_create_opts *o, const char *key,
			const char *const *names, unsigned none, unsigned *ret, struct err *e);

#define IMAGE_UUID_SIZE 16
#define IMAGE_UUID_TEXT 37 /* with its NUL */
/*
 * What gives a new image its UUID: the same image always has the same, other images most likely
 * another one. `what` is the format and its options, in any form. Added is either which ranges of
 * the disk have data, ascending, in whatever pieces; or the disk's first bytes, read back from the
 * file or as they went by.
 */
struct image_identity;
#define IMAGE_IDENTITY_BYTES (2 * MIB)
int image_identity_new(const char *what, uint64_t size, struct image_identity **ret, struct err *e);
void image_identity_run(struct image_identity *id, uint64_t off, uint64_t len);
void image_identity_bytes(struct image_identity *id, const void *data, size_t len);
int image_identity_read(struct image_identity *id, int fd, uint64_t off, uint64_t len,
			struct err *e);
void image_identity_uuid(struct image_identity *id, uint8_t out[IMAGE_UUID_SIZE]); /* once */
void image_identity_free(struct image_identity *id);
DEFINE_AUTO(struct image_identity *, image_identity_free);
/* Bytes in the order of the text. */
void image_uuid_text(const uint8_t uuid[IMAGE_UUID_SIZE], char out[IMAGE_UUID_TEXT]);
/* The option "uuid". Errors: EINVAL it is none. */
int image_uuid_option(const struct image_create_opts *o, uint8_t out[IMAGE_UUID_SIZE],
		      bool *ret_given, struct err *e);

/* Adds n zeros, which may take hours. Errors: ECANCELED. */
int image_digest_zeros(struct digest *d, uint64_t n, struct err *e);

int image_stream_init(struct image_stream *s, const struct image_format *f, int fd,
		      const char *name, struct err *e);
void image_stream_discard(struct image_stream *s);
DEFINE_AUTO(struct image_stream *, image_stream_discard);

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
