/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: an OVF package, in a tar archive (OVA) or as files of a folder, of which the
 * descriptor is opened.
 */
#ifndef BUNDLE_OVA_H
#define BUNDLE_OVA_H

#include "bundle/open.h"
#include "bundle/ovf.h"
#include "bundle/tar_index.h"
#include "lib/digest.h"

/* A line of the manifest. */
struct ova_digest {
	char *name;
	enum digest_kind kind;
	char hex[2 * DIGEST_MAX + 1]; /* lower case */
};

struct ova {
	struct opening *o;
	bool is_tar;
	struct tar_index index; /* of a tar archive */
	char *ovf_name;
	struct buf ovf_text;
	struct ovf ovf;
	bool ovf_first; /* as the specification wants it */
	bool has_manifest;
	struct buf manifest;
	struct ova_digest *digests;
	size_t n_digests;
	bool has_cert;
	char *signer; /* of the certificate that verified; NULL: none */
};

/*
 * Reads descriptor, manifest and certificate, and checks them against each other: the signature,
 * the descriptor's digest, that every file of the References is there. Disks are not touched.
 */
int ova_read(struct opening *o, struct ova *ret, struct err *e);
void ova_release(struct ova *a);
DEFINE_AUTO_STRUCT(struct ova, ova_release);

/* A file of the package. */
struct ova_file {
	int fd;
	bool own; /* fd is to be closed */
	uint64_t offset, size;
};
int ova_open_file(struct ova *a, const char *name, struct ova_file *ret, struct err *e);
void ova_close_file(struct ova_file *f);
DEFINE_AUTO_STRUCT(struct ova_file, ova_close_file);
/* What the manifest says of a file; NULL: nothing. */
const struct ova_digest *ova_digest_of(const struct ova *a, const char *name);

/*
 * Reads a disk to its end, its digest checked. w_size and writer: see open_writer; with sink false
 * nothing is written and the disk is proven alone. *ret_looked_into: false where only its digest
 * could be checked. *ret_size: of the disk; 0: not known.
 */
int ova_read_disk(struct ova *a, const struct ovf_disk *d, bool sink, uint64_t *ret_size,
		  bool *ret_looked_into, struct err *e);

#endif
