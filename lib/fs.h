/* SPDX-License-Identifier: Apache-2.0 */
/* Files: whole reads and writes, output that appears complete or not at all, folders. */
#ifndef LIB_FS_H
#define LIB_FS_H

#include "lib/buf.h"

/* Reads exactly len bytes at off. Errors: EBADMSG if the file ends before; errno of pread. */
int fs_pread(int fd, void *buf, size_t len, uint64_t off, struct err *e);
/* Writes all len bytes at off; survives short writes and EINTR. */
int fs_pwrite(int fd, const void *buf, size_t len, uint64_t off, struct err *e);
/* Writes all len bytes at the current position (pipes, terminals). */
int fs_write(int fd, const void *buf, size_t len, struct err *e);

/*
 * The whole file, at most limit bytes (EFBIG past it: nothing is cut in silence), appended to out.
 * Regular files, pipes and devices; "-" is standard input. The message names path.
 */
int fs_read_file(const char *path, size_t limit, struct buf *out, struct err *e);
/* The same from an open descriptor, to its end; name is for messages. */
int fs_read_fd(int fd, const char *name, size_t limit, struct buf *out, struct err *e);

/* A file in memory that holds data, at its beginning; the caller's. name is for the kernel's lists. */
int fs_memory_file(const char *name, const void *data, size_t len, int *ret_fd, struct err *e);

/*
 * Output that appears complete or not at all. begin makes a file without a name in path's folder
 * (mode 0600 until commit); commit syncs it, gives it `mode`, puts it in place of path (or, with
 * FS_NO_REPLACE, where nothing stands: EEXIST) and syncs the folder; abort drops it and is harmless
 * after commit. Nothing stays behind, however the process ends. Where a file system knows no files
 * without a name, it has a temporary one (".NAME.XXXXXXXXXXXX.tmp"), which then only a signal that
 * lib/stop.h does not handle leaves behind. What is there and is a device, a pipe or a socket, or a
 * link into /proc, is not replaced: EINVAL. One per struct; start from ATOMIC_FILE_INIT.
 */
struct atomic_file {
	int fd;     /* open for reading and writing while begun, else -1 */
	char *path; /* final name */
	char *tmp;  /* temporary name, NULL: none */
	unsigned flags;
	int guard; /* slot of lib/stop.h */
};
#define ATOMIC_FILE_INIT ((struct atomic_file){.fd = -1, .guard = -1})
#define FS_NO_REPLACE 1u /* commit fails with EEXIST if path exists by then */

int atomic_file_begin(struct atomic_file *f, const char *path, unsigned flags, struct err *e);
int atomic_file_commit(struct atomic_file *f, unsigned mode, struct err *e);
void atomic_file_abort(struct atomic_file *f);
DEFINE_AUTO_STRUCT(struct atomic_file, atomic_file_abort);

/* As many open files as this process may ever have. */
void fs_raise_file_limit(void);

/* The mode that a new file has by default: 0666 less the umask. Not while threads run. */
unsigned fs_file_mode(void);

/* Writes a whole small file atomically. */
int fs_write_file(const char *path, const void *data, size_t len, unsigned mode, struct err *e);

/* mkdir -p. */
int fs_mkdir_p(const char *path, unsigned mode, struct err *e);
/* rm -rf of a folder that we made; does not follow symbolic links; ENOENT is success. */
int fs_remove_tree(const char *path, struct err *e);
/* A new private folder (0700) "PREFIX.XXXXXX"; ret is the caller's to free. */
int fs_make_temp_dir(const char *prefix, char **ret, struct err *e);

/* dir/name, the caller's to free, NULL when memory is out. */
char *path_join(const char *dir, const char *name);
/* A path's folder, "." if there is none; the caller's to free, NULL when memory is out. */
char *path_folder(const char *path);
/* What stands behind the last slash, within path. */
const char *path_base(const char *path);
/* A plain file name: not empty, no '/', not "." or "..", no control characters, <= 255 bytes. */
bool name_is_plain(const char *name);

/*
 * Where the toolkit's own data files lie (share/acclimate): $ACCLIMATE_DATADIR, else
 * ../share/acclimate seen from the running program. ret is the caller's to free.
 */
int fs_data_dir(char **ret, struct err *e);
/* The path of the sibling program `name` next to the running one; the caller's to free. */
int fs_sibling_program(const char *name, char **ret, struct err *e);

#endif
