/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digest of a file by its pieces: the SHA-256 of the binary SHA-256s of its pieces of 512 KiB, one after
 * the other; the last piece may be shorter. EBS aggregates the checksums of a snapshot's blocks in this way
 * and calls it LINEAR. Pieces are digested on all processors, in any order. The same by hand:
 *
 *	split -b 512K --filter=sha256sum FILE | cut -c -64 | xxd -r -p | sha256sum
 */
#ifndef CATALOG_PIECES_H
#define CATALOG_PIECES_H

#include "lib/err.h"
#include "lib/progress.h"

#define PIECE_SIZE (512 * KIB)
#define PIECE_DIGEST 32

struct piece {
	bool known;
	uint8_t digest[PIECE_DIGEST];
};

/*
 * Of the first `size` bytes of a file, in lower-case hex. pieces: all of them, of which those that are known are not
 * read; NULL: none is. p may be NULL. Errors: of reading; ECANCELED.
 */
int pieces_digest(int fd, uint64_t size, const struct piece *pieces, struct progress *p,
		  char ret[65], struct err *e);
/* The plain SHA-256 instead, by which older stores name their disks. */
int pieces_digest_whole(int fd, uint64_t size, struct progress *p, char ret[65], struct err *e);

#endif
