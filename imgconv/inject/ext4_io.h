/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block layer under libext2fs: a file system that lies somewhere inside a struct image, read
 * through a copy-on-write layer in memory. Writes stay on the layer until commit.
 */
#ifndef IMGCONV_INJECT_EXT4_IO_H
#define IMGCONV_INJECT_EXT4_IO_H

#include "imgconv/imgconv.h"

#define EXT4_IO_LAYER_MAX (256 * MIB) /* bytes that may be changed before a commit */

struct ext4_io;
struct struct_io_manager;

/* The bytes [start, start + length) of im, which stays the caller's and must outlive ret. */
int ext4_io_new(struct image *im, uint64_t start, uint64_t length, struct ext4_io **ret,
		struct err *e);
void ext4_io_free(struct ext4_io *io);
DEFINE_AUTO(struct ext4_io *, ext4_io_free);

/*
 * The io_manager to give to ext2fs_open2 together with any name; the channel that it opens is on
 * the io that was bound last by this thread.
 */
struct struct_io_manager *ext4_io_bind(struct ext4_io *io);

/*
 * How many blocks may be read or written from here on. Every walk over a damaged tree costs
 * reads, so that this bounds the time of a call on a hostile file system.
 */
void ext4_io_budget(struct ext4_io *io, uint64_t blocks);

/* Takes the message of the last failed read or write; 0 if there was none since the last time. */
int ext4_io_take_error(struct ext4_io *io, struct err *e);

/* Reads bytes with the layer's changes. Errors: EBADMSG outside the file system. */
int ext4_io_read(struct ext4_io *io, void *buf, size_t len, uint64_t off, struct err *e);

/* Onto the layer. Errors: EBADMSG outside the file system; EFBIG over EXT4_IO_LAYER_MAX. */
int ext4_io_write(struct ext4_io *io, const void *buf, size_t len, uint64_t off, struct err *e);

/*
 * Writes what really changed to the image, in ascending order, and flushes it; the layer is empty
 * afterwards. When a write fails, what was written is put back as it was.
 */
int ext4_io_commit(struct ext4_io *io, struct err *e);

#endif
