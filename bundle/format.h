/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: the seam of the delivery formats. One struct bundle_format a format, in one file
 * under format/, listed in formats.c. A format file includes this header, bundle/ and lib/, never
 * another format.
 *
 * What looks into an image or a bundle runs in a process that can open nothing (imgconv/confine.h);
 * what needs private keys, and what names files, runs outside of it.
 */
#ifndef BUNDLE_FORMAT_H
#define BUNDLE_FORMAT_H

#include "bundle/bundle.h"
#include "bundle/machine.h"
#include "bundle/output.h"

/* ---- making ---------------------------------------------------------------------------------- */

/* The name of standard input in make_args.images. */
#define MAKE_PIPE "-"

/* From the command line; NULL and 0: not given. */
struct make_args {
	const char *name;   /* of the image; by default the output's, or the first image's */
	const char *output; /* path: a folder, or the main file */
	char *const *images;
	size_t n_images;
	struct image_open_opts open;
	bool pipe;            /* the image called MAKE_PIPE comes through a pipe, in open.format */
	uint64_t stream_size; /* raw: its bytes */
	bool compress, dense, one_member;
	unsigned threads;
	const char *architecture;
	uint64_t memory; /* bytes of the machine */
	unsigned cpus;
	/* "key=value"; n_properties. */
	const char **properties;
	size_t n_properties;
	/* EC2 */
	const char *user, *key, *cert, *ec2_cert, *type, *kernel, *ramdisk, *kernel_name;
	const char *style, *enc_key, *enc_iv;
	struct manifest_mapping *mappings;
	size_t n_mappings;
	char **product_codes;
	size_t n_product_codes;
	uint64_t part_size;
};

/* One of the two: an image, or what comes through a pipe and is read once, front to back. */
struct make_disk {
	struct image *im;
	struct image_stream *stream;
};
uint64_t make_disk_size(const struct make_disk *d);

struct make {
	const struct make_args *a;
	struct output out;
	struct make_disk *disks; /* in run: a->n_images of them */
	void *own;               /* of the format */
};

/* In run: a new file beside the output (output_file); the descriptor is the caller's. */
int make_file(const char *name, int *ret_fd, struct err *e);
/* In run: copies the disk into w, and finishes it. */
int make_fill(struct make_disk *d, struct image_writer *w, const char *what, struct err *e);
/*
 * In run: copies the only disk into the output's main file, in an image format and of the least size
 * that this needs. machine (may be NULL) becomes what it boots on.
 */
int make_copy(struct make *m, const char *format, struct image_create_opts *o,
	      struct machine *machine, struct err *e);
/*
 * In run, when the disk was copied to these bytes of a file, in this format: what machine it boots
 * on. What came through a pipe is looked for in the copy.
 */
int make_look(const struct make_disk *d, int fd, uint64_t off, uint64_t len, const char *format,
	      struct machine *ret, struct err *e);
/* A new file with these bytes; its name is the output's with this suffix in place of its own. */
int make_text(struct make *m, const char *suffix, const void *data, size_t len, struct err *e);
/* For prepare: all properties are of the form KEY=VALUE, in UTF-8, none twice. Errors: EINVAL. */
int make_check_properties(struct make *m, struct err *e);
/* The output's own file name. */
const char *make_output_name(const struct make *m);

/* ---- recognising and opening ------------------------------------------------------------------ */

/* All that a probe may look at. */
#define BUNDLE_HEAD 4096
#define BUNDLE_TAIL 512
struct bundle_head {
	const uint8_t *data; /* the first len bytes */
	size_t len;
	const uint8_t *tail; /* the last BUNDLE_TAIL bytes; NULL: the file is shorter */
	uint64_t file_size;
};

struct opening; /* bundle/open.h */

/* ---- the seam ---------------------------------------------------------------------------------- */

struct bundle_format {
	const char *name;
	const char *summary;
	bool is_folder;     /* the output is a folder */
	size_t most_images; /* that one delivery can have */
	bool is_signed;     /* there can be a signature */
	/* Here, first: are all options there that are needed? *own is made. */
	int (*prepare)(struct make *m, struct err *e);
	/* In the sandbox, the disks are open. What it is to tell `complete` is in shared memory.
	 * NULL: such deliveries are opened, not made. */
	int (*run)(struct make *m, struct err *e);
	/* Here, when all is well, before anything has a name. NULL: nothing is left to do. */
	int (*complete)(struct make *m, struct err *e);
	/* Frees own. NULL: there is none. */
	void (*release)(struct make *m);

	/* True if what begins so is this format's. NULL: such a file is like any other image. */
	bool (*probe)(const struct bundle_head *h);
	/* All three in the sandbox. open makes the images; verify and info print. */
	int (*open)(struct opening *o, struct err *e);
	int (*verify)(struct opening *o, struct err *e);
	int (*info)(struct opening *o, struct err *e);
};

/* Ended by NULL. */
extern const struct bundle_format *const bundle_formats[];
const struct bundle_format *bundle_format_by_name(const char *name);

extern const struct bundle_format bundle_format_ec2;
extern const struct bundle_format bundle_format_ova;
extern const struct bundle_format bundle_format_gce;
extern const struct bundle_format bundle_format_azure;
extern const struct bundle_format bundle_format_openstack;
extern const struct bundle_format bundle_format_opennebula;
extern const struct bundle_format bundle_format_image;

/* Memory that a confined child shares with this process, all zero; NULL when there is none. */
void *shared_memory(size_t len);
void shared_memory_free(void *p, size_t len);

#endif
