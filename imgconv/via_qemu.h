/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images of formats that are not read here, read by qemu-img in a jail (lib/jail.h), after our own
 * inspection in a sandbox found no other file that they refer to (imgconv/foreign.h).
 */
#ifndef IMGCONV_VIA_QEMU_H
#define IMGCONV_VIA_QEMU_H

#include "lib/err.h"

#define VIA_QEMU_TIMEOUT_S 3600

struct via_qemu {
	int fd;              /* the image, a regular file; the caller's */
	const char *name;    /* of it, for messages */
	const char *folder;  /* where the disk may lie while it is needed */
	unsigned timeout_s;  /* 0: none */
	uint64_t max_output; /* bytes of the disk that may be written */
};

/*
 * The disk as raw bytes, in a file without a name that is gone when *ret_fd is closed.
 * Errors: as foreign_inspect and jail_run, with what qemu-img said; EBADMSG it saw another disk
 * than we did.
 */
int via_qemu_read(const struct via_qemu *q, int *ret_fd, struct err *e);

#endif
