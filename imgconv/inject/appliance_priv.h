/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of appliance.h's implementation share. */
#ifndef IMGCONV_INJECT_APPLIANCE_PRIV_H
#define IMGCONV_INJECT_APPLIANCE_PRIV_H

#include <pthread.h>

#include "imgconv/guestfs_ops.h"
#include "imgconv/inject/appliance.h"
#include "imgconv/inject/wire.h"

#define APPLIANCE_STEP_TIMEOUT_S 900

struct appliance {
	struct guest_fs common;
	struct image *layer; /* the machine's disk */
	struct image_layout layout;
	int requests, disks;
	bool serving; /* the thread that serves the disk runs */
	pthread_t server;
	struct err disk_error; /* of that thread; to be read when it has ended */
	bool writable, changed, broken;
	bool folds_case;  /* names that differ in case alone are one (NTFS) */
	size_t dmesg_len; /* of the kernel's messages that were looked at */
	int64_t now;
	struct buf m; /* the message that is made or was received last */
};

static inline struct appliance *appliance_of(struct guest_fs *fs)
{
	return (struct appliance *)fs;
}

/* ---- appliance.c: the machine ---------------------------------------------------------------- */

/*
 * Sends the request in a->m and waits for its answer, whose fields *r then gives (may be NULL); they
 * are in a->m. Errors: what the answer says; EBADMSG.
 */
int appliance_call(struct appliance *a, struct wire_reader *r, struct err *e);
/* Begins a request about a path. */
void appliance_ask(struct appliance *a, enum wire_request what, const char *path);
/* That an answer made no sense. */
int appliance_nonsense(struct err *e);
/* By appliance_starter. */
void appliance_tell(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* For the table. */
void appliance_op_close(struct guest_fs *fs);
int appliance_op_commit(struct guest_fs *fs, struct err *e);

/* ---- appliance_fs.c: files ------------------------------------------------------------------- */

extern const struct guest_fs_ops appliance_ops;

/* ---- appliance_root.c: what is mounted ------------------------------------------------------- */

struct appliance_choice {
	unsigned wanted;    /* partition; 0: the root is looked for */
	const char *volume; /* NULL: likewise */
	bool bare, replay;
	unsigned partition; /* what was chosen; 0: none */
};
/* Finds and mounts. */
int appliance_mount_root(struct appliance *a, struct appliance_choice *c, struct err *e);
/*
 * Looks at the kernel's messages since the last look. Errors: EUCLEAN a journal was replayed and
 * that was not asked for, or errors are noted; EBADMSG it found the file system damaged.
 */
int appliance_check_messages(struct appliance *a, bool replay, struct err *e);

#endif
