/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest mounts besides its root: fstab(5), which is as hostile as the rest of the guest. */
#ifndef IMGCONV_INJECT_FSTAB_H
#define IMGCONV_INJECT_FSTAB_H

#include "lib/err.h"

/* A file system as it can be mounted. */
struct volume {
	char *mountable; /* "/dev/sda3", "/dev/vg/root", "btrfsvol:/dev/sda3/root" */
	char *device;    /* without the subvolume */
	char *subvolume; /* "" if it is none */
	char *type, *uuid, *label;
	unsigned partition; /* 0: none */
	/* PARTUUID and PARTLABEL, not its own; NULL: none */
	const char *part_uuid, *part_label;
};
void volume_release(struct volume *v);

struct fstab_entry {
	char *spec;      /* "UUID=...", "/dev/mapper/vg-home" */
	char *dir;       /* absolute, not "/", no ".." */
	char *subvolume; /* of Btrfs, as an option: "subvol=@home", "subvolid=257"; NULL: not said */
};

#define FSTAB_ENTRIES_MAX 64u

struct fstab {
	struct fstab_entry *entries; /* those above before those below them */
	size_t n;
};

/*
 * The entries that are mounted at boot and are on a disk; lines that make no sense are left out.
 * Errors: ENOMEM alone.
 */
int fstab_parse(const char *text, struct fstab *ret, struct err *e);
void fstab_release(struct fstab *t);
DEFINE_AUTO_STRUCT(struct fstab, fstab_release);

/*
 * The one of n volumes that the entry means, never a subvolume; NULL: none. Disks by name are the
 * first of their kind (vda, sda, xvda, hda, nvme0n1).
 */
const struct volume *fstab_find(const struct fstab_entry *x, const struct volume *list, size_t n);

#endif
