/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: the descriptor of a virtual appliance, OVF 1.x (DSP0243), read and written. */
#ifndef BUNDLE_OVF_H
#define BUNDLE_OVF_H

#include "lib/buf.h"

struct ovf_file {
	char *id, *href; /* href: a plain file name */
	uint64_t size;   /* bytes; 0: not told */
	bool is_gzip;    /* the file is compressed as a whole */
	bool in_chunks;  /* it is cut into several: not supported */
};
struct ovf_disk {
	char *id;
	struct ovf_file *file; /* NULL: an empty disk */
	uint64_t capacity;     /* bytes; 0: not told */
	char *format;          /* a URI; NULL: not told */
	bool has_parent;       /* only changes to another disk: not supported */
};
struct ovf_property {
	char *key;   /* "class.key.instance", without what is missing */
	char *type;  /* "string" */
	char *value; /* NULL: none */
	char *label;
};
/* Strings may be NULL where they are missing. */
struct ovf {
	char *name, *system_type, *os, *product, *vendor, *version, *annotation;
	unsigned cpus;   /* 0: not told */
	uint64_t memory; /* bytes; 0: not told */
	bool is_efi;
	bool is_collection; /* of several machines: those told of are the first one's */
	struct ovf_file *files;
	size_t n_files;
	struct ovf_disk *disks;
	size_t n_disks;
	struct ovf_property *properties;
	size_t n_properties;
};

#define OVF_LIMIT (8 * MIB) /* bytes of a descriptor */

/*
 * Parses a descriptor; origin is for messages. Errors: EBADMSG (with line and rule), ENOTSUP
 * another version, EFBIG over a limit.
 */
int ovf_parse(const void *xml, size_t len, const char *origin, struct ovf *ret, struct err *e);
void ovf_release(struct ovf *o);
DEFINE_AUTO_STRUCT(struct ovf, ovf_release);

/* Appends the descriptor of one machine; files and disks belong together by their place. */
int ovf_write(const struct ovf *o, struct buf *out, struct err *e);

#endif
