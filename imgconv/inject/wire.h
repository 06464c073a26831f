/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the process that changes a guest's files and the one that has libguestfs
 * (appliance.h), over a socket of bytes; each side takes the other's for hostile. A message is
 *
 *	4 length of what follows   4 code   fields: 4 length, bytes
 *
 * all little-endian. In a request the code is what to do, in an answer 0 or an errno, whose text is
 * the only field; WIRE_PROGRESS, before an answer, tells how far it is (two numbers).
 */
#ifndef IMGCONV_INJECT_WIRE_H
#define IMGCONV_INJECT_WIRE_H

#include "lib/buf.h"

#define WIRE_MAX (272 * MIB) /* the largest file of an overlay, and what is said about it */
#define WIRE_PROGRESS 0x7fffffffu

/* Fields as in the comments; numbers are fields of 8 bytes. Each is answered. */
enum wire_request {
	WIRE_LAUNCH = 1,  /* -> progress ..., nothing */
	WIRE_FILESYSTEMS, /* -> for each: mountable, type, UUID, label */
	WIRE_MOUNT,       /* options, mountable, mount point */
	WIRE_UMOUNT,      /* all that is mounted */
	WIRE_STAT,        /* path, whether a link is followed -> ino, mode, uid, gid, size, links */
	WIRE_LIST,        /* folder -> names, a NUL behind each */
	WIRE_STATS, /* folder, names as above -> for each the numbers of WIRE_STAT; ino 0: gone */
	WIRE_READ,  /* path, offset, most bytes -> bytes */
	WIRE_READLINK,  /* path -> target */
	WIRE_REALPATH,  /* path -> path */
	WIRE_TRUE_CASE, /* path -> path, as the names are spelt */
	WIRE_WRITE,     /* path, bytes: a file is made or overwritten */
	WIRE_CHOWN,     /* path, uid, gid; a link is not followed */
	WIRE_CHMOD,     /* path, mode */
	WIRE_TOUCH,     /* path, seconds; a link is not followed */
	WIRE_RENAME,    /* from, to */
	WIRE_MKDIR,     /* path */
	WIRE_SYMLINK,   /* target, path */
	WIRE_REMOVE,    /* path, with all below it */
	WIRE_GET_XATTR, /* path, key -> value, or nothing if there is none */
	WIRE_SET_XATTR, /* path, key, value */
	WIRE_DMESG,     /* -> the kernel's messages */
	WIRE_FINISH,    /* unmounts, writes back and ends the machine */
};

/* ---- making ---------------------------------------------------------------------------------- */

/* Begins a message in m, which is cleared. What fails for memory makes wire_send fail. */
void wire_begin(struct buf *m, uint32_t code);
void wire_bytes(struct buf *m, const void *data, size_t len);
void wire_text(struct buf *m, const char *text);
void wire_number(struct buf *m, uint64_t n);
/* Errors: EPIPE the peer is gone; ENOMEM; EFBIG. */
int wire_send(int fd, struct buf *m, struct err *e);

/* ---- taking ---------------------------------------------------------------------------------- */

/*
 * The next message into m, its code into *code; 0 at the end of the peer, else 1. timeout_s: for
 * all of it. Errors: ETIMEDOUT; ECANCELED (lib/stop.h); EBADMSG; EFBIG over WIRE_MAX; ENOMEM.
 */
int wire_receive(int fd, unsigned timeout_s, struct buf *m, uint32_t *code, struct err *e);

struct wire_reader {
	const char *at;
	size_t left;
};
/* The fields of a message that was received. */
struct wire_reader wire_fields(const struct buf *m);
bool wire_end(const struct wire_reader *r);
/* false: there is no field more, or it is malformed. */
bool wire_take(struct wire_reader *r, const char **ret, size_t *ret_len);
/* A copy with a NUL behind it, the caller's; false too if there is a NUL inside, or no memory. */
bool wire_take_text(struct wire_reader *r, char **ret);
bool wire_take_number(struct wire_reader *r, uint64_t *ret);

#endif
