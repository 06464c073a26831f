/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local disk that an import makes: takes the image's bytes front to back, sees from the first
 * of them whether this is a whole disk or a bare partition, and writes one QCOW2 at once. A bare
 * partition is placed where BOOT_PARTITION_START says, so that it can be made bootable.
 *
 * Next to the disk lies a journal that says of which image and how it is being made; with it an
 * interrupted fetch is resumed.
 */
#ifndef CATALOG_TARGET_H
#define CATALOG_TARGET_H

#include "catalog/source.h"
#include "imgconv/imgconv.h"

struct target;

/*
 * dir: the folder for disk and journal. origin: what is fetched and how, in words that change when
 * the bytes could; a journal of another origin is no base to resume from. resumable: whether the
 * delivery can go on in the middle.
 */
int target_new(const char *dir, const char *origin, bool resumable,
	       const struct image_create_opts *o, struct target **ret, struct err *e);
void target_free(struct target *t);
DEFINE_AUTO(struct target *, target_free);

/* Whether the first 512 bytes are those of a disk, with a partition table, not of a partition. */
bool target_head_is_disk(const uint8_t *head);

struct fetch_sink target_sink(struct target *t);

/* After the last byte: the disk is a whole image then, on disk, the journal gone. */
int target_finish(struct target *t, struct err *e);

const char *target_disk(const struct target *t); /* path */
bool target_is_partition(const struct target *t);
uint64_t target_resumed_at(const struct target *t); /* 0: began anew */
bool target_can_resume(const struct target *t);     /* what there is is worth keeping */
/* After target_finish: the disk's digest by pieces, in hex, if it came with the writing; else NULL. */
const char *target_digest(const struct target *t);

#endif
