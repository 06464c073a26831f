/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of the store: digests, links, bases, who has them in use; see catalog/store.h. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "catalog/pieces.h"
#include "catalog/store_private.h"
#include "imgconv/imgconv.h"
#include "lib/fs.h"
#include "lib/str.h"

#define LINK_PREFIX "../../disks/"
/* The kinds of digests: the one that disks get, and the one of older stores. */
#define PIECES "pieces"
#define WHOLE "sha256"
#define HEX_DIGITS 64
#define FIXED_MODE 0444
/* Where QEMU locks an image that it has open: permissions used from byte 100, not shared from 200. */
#define QEMU_LOCK_START 100
#define QEMU_LOCK_LENGTH 164

/* ---- names ------------------------------------------------------------------------------------ */

static bool is_hex_name(const char *file, const char *prefix, size_t digits)
{
	size_t n = strlen(prefix);

	return str_has_prefix(file, prefix) && strspn(file + n, "0123456789abcdef") == digits &&
	       strcmp(file + n + digits, ".qcow2") == 0;
}

bool store_is_fixed(const char *file)
{
	return is_hex_name(file, PIECES "-", HEX_DIGITS) ||
	       is_hex_name(file, WHOLE "-", HEX_DIGITS);
}

char *store_fixed_name(const char digest[65])
{
	return str_format(PIECES "-%s.qcow2", digest);
}

void store_digest_text(const char *file, char ret[STORE_DIGEST_TEXT])
{
	const char *dash = strchr(file, '-');

	snprintf(ret, STORE_DIGEST_TEXT, "%.*s:%.*s", (int)(dash - file), file, HEX_DIGITS,
		 dash + 1);
}

bool store_is_clone(const char *file)
{
	return is_hex_name(file, STORE_CLONE_PREFIX, 32);
}

void store_disk_release(struct store_disk *d)
{
	free(d->path);
	free(d->file);
	*d = (struct store_disk){0};
}

/* ---- an image's disks -------------------------------------------------------------------------- */

/* The regular file of an older store. */
static int old_disk(const char *path, const char *name, struct store_disk *ret, struct err *e)
{
	ret->kind = STORE_DISK_OLD;
	ret->path = strdup(path);
	ret->file = strdup(name);
	return ret->path && ret->file ? 0 : err_nomem(e);
}

int store_find_disk(const struct store *s, const char *name, unsigned n, struct store_disk *ret,
		    struct err *e)
{
	char disk[16], target[PATH_MAX];
	AUTO_FREE char *path = NULL;
	const char *file = target + strlen(LINK_PREFIX);
	ssize_t len;
	int rc = store_check_name(name, e);

	if (rc < 0)
		return rc;
	*ret = (struct store_disk){0};
	store_disk_name(n, disk);
	path = str_format("%s/%s/%s", s->images, name, disk);
	if (!path)
		return err_nomem(e);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0 && errno == EINVAL)
		return old_disk(path, disk, ret, e);
	if (len < 0)
		return err_set(e, ENOENT, "no image '%s' in the store '%s'", name, s->path);
	target[len] = '\0';
	if (!str_has_prefix(target, LINK_PREFIX) ||
	    (!store_is_fixed(file) && !store_is_clone(file)))
		return err_set(e, EBADMSG, "'%s' leads to '%s', which is no disk of the store",
			       path, target);
	ret->kind = store_is_fixed(file) ? STORE_DISK_FIXED : STORE_DISK_CLONE;
	if (ret->kind == STORE_DISK_FIXED)
		store_digest_text(file, ret->digest);
	ret->file = strdup(file);
	ret->path = path_join(s->disks, file);
	if (!ret->file || !ret->path) {
		store_disk_release(ret);
		return err_nomem(e);
	}
	return 0;
}

int store_count_disks(const struct store *s, const char *name, unsigned *ret, struct err *e)
{
	AUTO_FREE char *dir = path_join(s->images, name);
	unsigned n = 0;

	if (!dir)
		return err_nomem(e);
	if (store_check_name(name, NULL) < 0 || access(dir, F_OK) < 0)
		return err_set(e, ENOENT, "no image '%s' in the store '%s'", name, s->path);
	for (; n < STORE_DISKS_MAX; n++) {
		char disk[16];
		AUTO_FREE char *path = NULL;
		struct stat st;

		store_disk_name(n, disk);
		path = path_join(dir, disk);
		if (!path)
			return err_nomem(e);
		if (lstat(path, &st) < 0)
			break;
	}
	if (!n)
		return err_set(e, EBADMSG, "image '%s' has no disk", name);
	*ret = n;
	return 0;
}

int store_link_disk(const char *dir, unsigned n, const char *file, struct err *e)
{
	char disk[16];
	AUTO_FREE char *target = str_format("%s%s", LINK_PREFIX, file);
	AUTO_FREE char *path = NULL, *tmp = NULL;

	store_disk_name(n, disk);
	path = path_join(dir, disk);
	tmp = str_format("%s/.%s.tmp", dir, disk);
	if (!target || !path || !tmp)
		return err_nomem(e);
	/* In one step also where there is one already. */
	(void)unlink(tmp);
	if (symlink(target, tmp) < 0 || rename(tmp, path) < 0)
		return err_errno(e, errno, "making the link '%s'", path);
	return 0;
}

/* ---- who has it -------------------------------------------------------------------------------- */

int store_hold(const struct store_disk *d, int *ret_fd, struct err *e)
{
	AUTO_FD int fd = open(d->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, errno, "opening '%s'", d->path);
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		return err_set(e, EBUSY, "the disk '%s' is being removed", d->path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int store_claim(const struct store_disk *d, int *ret_fd, struct err *e)
{
	struct flock l = {.l_type = F_WRLCK,
			  .l_whence = SEEK_SET,
			  .l_start = QEMU_LOCK_START,
			  .l_len = QEMU_LOCK_LENGTH};
	AUTO_FD int fd = open(d->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, errno, "opening '%s'", d->path);
	if (fcntl(fd, F_OFD_SETLK, &l) < 0)
		return errno == EAGAIN || errno == EACCES
			       ? err_set(e, EBUSY, "the disk '%s' is in use", d->path)
			       : err_errno(e, errno, "locking '%s'", d->path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* ---- content ----------------------------------------------------------------------------------- */

typedef int digest_fn(int fd, uint64_t size, struct progress *p, char ret[65], struct err *e);

static int by_pieces(int fd, uint64_t size, struct progress *p, char ret[65], struct err *e)
{
	return pieces_digest(fd, size, NULL, p, ret, e);
}

static int digest_file(const char *path, digest_fn *fn, char ret[65], struct err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct progress *p;
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "opening '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EBADMSG, "'%s' is not a regular file", path);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	p = progress_start("digesting", (uint64_t)st.st_size);
	rc = fn(fd, (uint64_t)st.st_size, p, ret, e);
	progress_end(p, rc == 0);
	return rc < 0 ? err_wrap(e, "'%s'", path) : 0;
}

int store_digest(const char *path, char ret[65], struct err *e)
{
	return digest_file(path, by_pieces, ret, e);
}

int store_digest_again(const char *path, const char *file, char ret[STORE_DIGEST_TEXT],
		       struct err *e)
{
	bool whole = str_has_prefix(file, WHOLE "-");
	char hex[65] = "";
	int rc = digest_file(path, whole ? pieces_digest_whole : by_pieces, hex, e);

	snprintf(ret, STORE_DIGEST_TEXT, "%s:%s", whole ? WHOLE : PIECES, hex);
	return rc;
}

int store_put_disk(const struct store *s, const char *path, const char digest[65], struct err *e)
{
	AUTO_FREE char *file = store_fixed_name(digest);
	AUTO_FREE char *final = file ? path_join(s->disks, file) : NULL;
	AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (!final)
		return err_nomem(e);
	if (fd < 0)
		return err_errno(e, errno, "opening '%s'", path);
	/* A second name is one of a commit that was interrupted: whose it is, gc knows. */
	if (stat(final, &st) == 0 && st.st_nlink > 1) {
		struct store_garbage none;
		int rc = store_collect(s, 0, NULL, NULL, &none, e);

		if (rc < 0)
			return rc;
	}
	if (stat(final, &st) == 0) {
		if (unlink(path) < 0)
			return err_errno(e, errno, "removing '%s'", path);
		return 0;
	}
	if (fchmod(fd, FIXED_MODE) < 0 || fsync(fd) < 0)
		return err_errno(e, errno, "writing '%s'", path);
	if (rename(path, final) < 0)
		return err_errno(e, errno, "moving '%s' to the disks of the store", path);
	store_sync_dir(s->disks);
	return 0;
}

int store_disk_base(const struct store *s, const char *file, char **ret, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_INSPECT};
	AUTO(image_info_release) struct image_info info = {0};
	AUTO(image_close) struct image *im = NULL;
	AUTO_FREE char *path = path_join(s->disks, file);
	int rc = path ? image_open(path, &o, &im, e) : err_nomem(e);

	*ret = NULL;
	if (rc == 0)
		rc = image_info_read(im, &info, e);
	for (size_t i = 0; rc == 0 && i < info.n_facts; i++) {
		if (strcmp(info.facts[i].key, "backing-file") == 0 &&
		    !(*ret = strdup(info.facts[i].text)))
			rc = err_nomem(e);
	}
	return rc;
}

/* ---- clones' disks ------------------------------------------------------------------------------ */

static int write_clone(const char *path, const char *base, uint64_t size, struct err *e)
{
	const struct image_create_opts o = {.backing_file = base, .backing_format = "qcow2"};
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	int rc = atomic_file_begin(&f, path, FS_NO_REPLACE, e);

	if (rc == 0)
		rc = image_create(f.fd, path, "qcow2", size, &o, &w, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	return rc < 0 ? rc : atomic_file_commit(&f, 0644, e);
}

int store_make_clone(const struct store *s, const char *base, uint64_t size, char **ret_file,
		     struct err *e)
{
	uint8_t random[16];
	char hex[33];
	AUTO_FREE char *file = NULL, *path = NULL;
	int rc;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_errno(e, errno, "reading random bytes");
	hex_encode(random, sizeof(random), hex);
	file = str_format(STORE_CLONE_PREFIX "%s.qcow2", hex);
	path = file ? path_join(s->disks, file) : NULL;
	if (!path)
		return err_nomem(e);
	rc = write_clone(path, base, size, e);
	if (rc == 0)
		*ret_file = STEAL(file);
	return rc;
}
