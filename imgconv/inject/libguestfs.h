/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of libguestfs that are used, found in libguestfs.so.0 when they are needed: so
 * imgconv itself does not depend on it. Names, arguments and structures are those of guestfs(3),
 * which promises that they stay ("ABI GUARANTEE").
 */
#ifndef IMGCONV_INJECT_LIBGUESTFS_H
#define IMGCONV_INJECT_LIBGUESTFS_H

#include "lib/err.h"

typedef struct guestfs_h guestfs_h;

struct guestfs_statns {
	int64_t st_dev, st_ino, st_mode, st_nlink, st_uid, st_gid, st_rdev, st_size;
	int64_t st_blksize, st_blocks;
	int64_t st_times[6]; /* access, change of data, of inode: seconds, nanoseconds */
	int64_t st_spare[6];
};

struct guestfs_statns_list {
	uint32_t len;
	struct guestfs_statns *val;
};

typedef void guestfs_event_fn(guestfs_h *g, void *opaque, uint64_t event, int handle, int flags,
			      const char *buf, size_t buf_len, const uint64_t *array,
			      size_t array_len);

enum {
	GUESTFS_EVENT_PROGRESS = 0x0008,
	/* guestfs_add_drive_opts; the list ends with -1. */
	GUESTFS_DRIVE_FORMAT = 1,   /* const char * */
	GUESTFS_DRIVE_PROTOCOL = 5, /* const char * */
	GUESTFS_DRIVE_SERVER = 6,   /* char *const *, ended by NULL */
	GUESTFS_DRIVE_CACHE = 9,    /* const char * */
};

/*
 * X(type that is returned, name without "guestfs_", arguments). Those that return int return -1,
 * those that return a pointer NULL on an error; strings and lists are freed by free(3).
 */
#define LIBGUESTFS_FUNCTIONS(X)                                                                    \
	X(guestfs_h *, create, (void))                                                             \
	X(void, close, (guestfs_h *))                                                              \
	X(const char *, last_error, (guestfs_h *))                                                 \
	X(int, last_errno, (guestfs_h *))                                                          \
	X(void, set_error_handler,                                                                 \
	  (guestfs_h *, void (*)(guestfs_h *, void *, const char *), void *))                      \
	X(int, set_event_callback, (guestfs_h *, guestfs_event_fn *, uint64_t, int, void *))       \
	X(int, set_tmpdir, (guestfs_h *, const char *))                                            \
	X(int, set_backend, (guestfs_h *, const char *))                                           \
	X(int, set_backend_setting, (guestfs_h *, const char *, const char *))                     \
	X(int, add_drive_opts, (guestfs_h *, const char *, ...))                                   \
	X(int, launch, (guestfs_h *))                                                              \
	X(int, shutdown, (guestfs_h *))                                                            \
	X(char **, list_filesystems, (guestfs_h *))                                                \
	X(char *, vfs_uuid, (guestfs_h *, const char *))                                           \
	X(char *, vfs_label, (guestfs_h *, const char *))                                          \
	X(int, mount_options, (guestfs_h *, const char *, const char *, const char *))             \
	X(int, umount_all, (guestfs_h *))                                                          \
	X(struct guestfs_statns *, statns, (guestfs_h *, const char *))                            \
	X(struct guestfs_statns *, lstatns, (guestfs_h *, const char *))                           \
	X(struct guestfs_statns_list *, lstatnslist, (guestfs_h *, const char *, char *const *))   \
	X(void, free_statns, (struct guestfs_statns *))                                            \
	X(void, free_statns_list, (struct guestfs_statns_list *))                                  \
	X(int, ls0, (guestfs_h *, const char *, const char *))                                     \
	X(char *, pread, (guestfs_h *, const char *, int, int64_t, size_t *))                      \
	X(char *, readlink, (guestfs_h *, const char *))                                           \
	X(char *, realpath, (guestfs_h *, const char *))                                           \
	X(char *, case_sensitive_path, (guestfs_h *, const char *))                                \
	X(int, upload, (guestfs_h *, const char *, const char *))                                  \
	X(int, lchown, (guestfs_h *, int, int, const char *))                                      \
	X(int, chmod, (guestfs_h *, int, const char *))                                            \
	X(int, utimens, (guestfs_h *, const char *, int64_t, int64_t, int64_t, int64_t))           \
	X(int, rename, (guestfs_h *, const char *, const char *))                                  \
	X(int, mkdir, (guestfs_h *, const char *))                                                 \
	X(int, ln_s, (guestfs_h *, const char *, const char *))                                    \
	X(int, rm_rf, (guestfs_h *, const char *))                                                 \
	X(char *, lgetxattr, (guestfs_h *, const char *, const char *, size_t *))                  \
	X(int, lsetxattr, (guestfs_h *, const char *, const char *, int, const char *))            \
	X(char *, dmesg, (guestfs_h *))

struct libguestfs {
#define X(type, name, args) type(*name) args;
	LIBGUESTFS_FUNCTIONS(X)
#undef X
};

/* Errors: ENOPKG it is not installed, or too old. It stays loaded. */
int libguestfs_load(struct libguestfs *ret, struct err *e);

#endif
