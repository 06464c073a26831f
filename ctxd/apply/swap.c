/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Swap: every swap area that is there is used, where the context wants that, and a swap file is
 * made where it names one.
 *
 * The header of a swap area, linux/swap.h (union swap_header), in a page of the machine's size:
 *	1024   4   version, 1        1028   4   last page     1032   4   bad pages, 0
 *	1036  16   UUID              1052  16   label         page - 10   10   "SWAPSPACE2"
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/swap.h>

#include "ctxd/apply.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

#define MAGIC "SWAPSPACE2"
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define SIZE_LEAST (40 * UINT64_C(1024)) /* that mkswap takes */

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static bool is_swap(int fd)
{
	char magic[MAGIC_LEN];

	return pread(fd, magic, sizeof(magic), (off_t)(page_size() - MAGIC_LEN)) ==
		       (ssize_t)sizeof(magic) &&
	       memcmp(magic, MAGIC, sizeof(magic)) == 0;
}

/* /proc/swaps has a line for it. */
static bool in_use(const struct guest *g, const char *path)
{
	AUTO_BUF text = BUF_INIT;
	size_t len = strlen(path);

	if (guest_read(g, "/proc/swaps", &text, NULL) <= 0)
		return false;
	for (const char *p = buf_str(&text); (p = strstr(p, path)); p += len) {
		if ((p == text.data || p[-1] == '\n') && (p[len] == ' ' || p[len] == '\t'))
			return true;
	}
	return false;
}

static int switch_on(struct apply *a, const char *path, struct err *e)
{
	if (in_use(a->g, path))
		return 0;
	if (guest_tell(a->g, e, "swap on %s", path) < 0)
		return -ENOMEM;
	if (!a->g->dry_run && swapon(path, 0) < 0 && errno != EBUSY)
		return err_errno(e, errno, "swapping on '%s'", path);
	return 0;
}

/* ---- devices ----------------------------------------------------------------------------- */

static int use_device(struct apply *a, const char *name, struct err *e)
{
	AUTO_FREE char *path = str_format("/dev/%s", name);
	AUTO_FD int fd = path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;

	if (!path)
		return err_nomem(e);
	return fd >= 0 && is_swap(fd) ? switch_on(a, path, e) : 0;
}

static int use_devices(struct apply *a, struct err *e)
{
	DIR *dir = opendir("/sys/class/block");
	struct dirent *d;
	int rc = 0;

	while (dir && rc == 0 && (d = readdir(dir))) {
		/* A loop device, or one in memory, is somebody's doing, not the platform's. */
		if (d->d_name[0] != '.' && !str_has_prefix(d->d_name, "loop") &&
		    !str_has_prefix(d->d_name, "ram") && !str_has_prefix(d->d_name, "zram") &&
		    !str_has_prefix(d->d_name, "sr") && !strchr(d->d_name, '!'))
			rc = use_device(a, d->d_name, e);
	}
	if (dir)
		closedir(dir);
	return rc;
}

/* ---- a file ------------------------------------------------------------------------------ */

/* page has room for one page. */
static int make_header(unsigned char *page, uint64_t size, struct err *e)
{
	uint32_t version = 1, last = (uint32_t)MIN(size / page_size() - 1, UINT32_MAX);

	/* In the byte order of the machine that uses it. */
	memcpy(page + 1024, &version, sizeof(version));
	memcpy(page + 1028, &last, sizeof(last));
	if (getrandom(page + 1036, 16, 0) != 16)
		return err_errno(e, errno, "no random numbers");
	page[1036 + 6] = (page[1036 + 6] & 0x0f) | 0x40;
	page[1036 + 8] = (page[1036 + 8] & 0x3f) | 0x80;
	memcpy(page + page_size() - MAGIC_LEN, MAGIC, MAGIC_LEN);
	return 0;
}

/* The kernel takes no file with holes. */
static int allocate(int fd, const char *full, const unsigned char *zeros, uint64_t size,
		    struct err *e)
{
	int rc = 0;

	if (fallocate(fd, 0, 0, (off_t)size) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return err_errno(e, errno, "'%s': allocating %llu bytes", full,
				 (unsigned long long)size);
	for (uint64_t at = 0; rc == 0 && at < size; at += page_size())
		rc = fs_pwrite(fd, zeros, page_size(), at, e);
	return rc;
}

static int make_file(const char *full, uint64_t size, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	AUTO_FREE unsigned char *page = calloc(1, page_size());
	int rc = page ? atomic_file_begin(&f, full, FS_NO_REPLACE, e) : err_nomem(e);

	if (rc == 0)
		rc = allocate(f.fd, full, page, size, e);
	if (rc == 0)
		rc = make_header(page, size, e);
	if (rc == 0)
		rc = fs_pwrite(f.fd, page, page_size(), 0, e);
	return rc < 0 ? rc : atomic_file_commit(&f, 0600, e);
}

static int use_file(struct apply *a, struct err *e)
{
	const char *path = a->c->swap_file;
	uint64_t size = a->c->swap_size / page_size() * page_size();
	AUTO_FREE char *full = path ? guest_path(a->g, path) : NULL;
	int rc = 0;

	if (!path)
		return 0;
	if (!full)
		return err_nomem(e);
	if (!guest_exists(a->g, path)) {
		if (size < SIZE_LEAST)
			return err_set(e, EINVAL, "swap file '%s': its size is not given", path);
		rc = guest_tell(a->g, e, "make %s", path);
		if (rc == 0 && !a->g->dry_run)
			rc = make_file(full, size, e);
	}
	return rc < 0 || !a->g->live ? rc : switch_on(a, path, e);
}

static int apply_swap(struct apply *a, struct err *e)
{
	int rc = 0;

	if (a->c->swap_devices == CHOICE_YES && a->g->live)
		rc = use_devices(a, e);
	return rc < 0 ? rc : use_file(a, e);
}

const struct part part_swap = {"swap", apply_swap, NULL};
