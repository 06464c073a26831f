/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an export to EBS sent: which blocks, and their digests. It makes an export resumable, and, kept
 * after its end, later ones incremental: what a snapshot holds is known without reading it.
 *
 *   STORE/exports/HEX.journal    an export under way or interrupted; HEX is of what is exported where
 *   STORE/exports/SNAPSHOT.blocks  what a snapshot from this store holds
 *
 * Both are text: "acclimate-export 1", a line of JSON, then "INDEX SHA256-HEX" a line, ascending. A
 * last line that is not whole is what a crash left, and is not there.
 */
#ifndef CATALOG_EXPORT_JOURNAL_H
#define CATALOG_EXPORT_JOURNAL_H

#include "catalog/store.h"

struct export_block {
	uint64_t index;
	uint8_t digest[32];
};
struct export_blocks {
	struct export_block *items; /* n of them, ascending */
	size_t n, cap;
};
void export_blocks_release(struct export_blocks *b);
DEFINE_AUTO_STRUCT(struct export_blocks, export_blocks_release);
int export_blocks_add(struct export_blocks *b, uint64_t index, const uint8_t digest[32],
		      struct err *e);

struct export_journal {
	char *path;
	int fd;         /* locked */
	char *snapshot; /* NULL: none was begun */
	uint64_t block_size;
	struct export_blocks sent;
};
#define EXPORT_JOURNAL_INIT ((struct export_journal){.fd = -1})
/*
 * Opens the journal of an export; origin: what is exported and where to, in words. Errors: EBUSY
 * another process does the same export.
 */
int export_journal_open(const struct store *s, const char *origin, struct export_journal *ret,
			struct err *e);
/* Forgets all, and begins with a snapshot. */
int export_journal_begin(struct export_journal *j, const char *snapshot, uint64_t block_size,
			 struct err *e);
/* A block was sent. */
int export_journal_add(struct export_journal *j, uint64_t index, const uint8_t digest[32],
		       struct err *e);
/* Forgets all. */
void export_journal_drop(struct export_journal *j);
void export_journal_close(struct export_journal *j);
DEFINE_AUTO_STRUCT(struct export_journal, export_journal_close);

/* Keeps, or reads, what a snapshot holds. Errors of reading: ENOENT it is not known; EBADMSG. */
int export_blocks_save(const struct store *s, const char *snapshot, uint64_t block_size,
		       uint64_t volume_gib, const struct export_blocks *b, struct err *e);
int export_blocks_load(const struct store *s, const char *snapshot, uint64_t *ret_block_size,
		       uint64_t *ret_volume_gib, struct export_blocks *ret, struct err *e);

#endif
