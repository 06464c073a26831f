/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File systems: everything that imgconv/guestfs.h can do, on a damaged one. The input is a
 * sequence of pieces, each two bytes (little endian), a number, and 64 bytes that lie at 64 times
 * that number; the rest of the 512 KiB is zeros. tests/fuzz/corpus/ext4/ is made by
 * tests/fuzz/ext4_seeds.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "imgconv/guestfs.h"
#include "lib/fs.h"

#define DISK_SIZE (512 * KIB)
#define PIECE 64
#define STEP (2 + PIECE)

static const char *const paths[] = {"/", "/etc", "/etc/passwd", "/dir", "/link", "/long", "/blob"};

static int unpack(const uint8_t *data, size_t size, int fd)
{
	static uint8_t disk[DISK_SIZE];

	memset(disk, 0, sizeof(disk));
	for (size_t at = 0; at + STEP <= size; at += STEP) {
		uint64_t off = (uint64_t)le16_get(data + at) * PIECE;

		if (off < DISK_SIZE)
			memcpy(disk + off, data + at + 2, PIECE);
	}
	return fs_pwrite(fd, disk, sizeof(disk), 0, NULL);
}

static int count(void *ctx, const char *name, const struct guest_stat *st)
{
	if (!*name || strchr(name, '/') || !st->ino)
		abort();
	return ++*(unsigned *)ctx > 100000 ? -E2BIG : 0;
}

static void read_pieces(struct guest_fs *fs, const char *path)
{
	static char piece[64 * KIB];
	struct guest_file *f = NULL;
	struct err e;
	size_t n = sizeof(piece);

	if (guest_file_open(fs, path, &f, &e) < 0)
		return;
	for (uint64_t off = 0; off < 4 * sizeof(piece) && n == sizeof(piece); off += n) {
		if (guest_file_read(f, piece, sizeof(piece), off, &n, &e) < 0)
			break;
	}
	guest_file_close(f);
}

static void look(struct guest_fs *fs)
{
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		AUTO_FREE char *real = NULL;
		AUTO_BUF out = BUF_INIT;
		struct guest_stat st;
		struct err e = {0};
		unsigned n = 0;

		guest_fs_stat(fs, paths[i], true, &st, &e);
		guest_fs_list(fs, paths[i], count, &n, &e);
		guest_fs_read_file(fs, paths[i], 256 * KIB, &out, &e);
		guest_fs_read_head(fs, paths[i], 100, &out, &e);
		guest_fs_readlink(fs, paths[i], &out, &e);
		read_pieces(fs, paths[i]);
		if (guest_fs_realpath(fs, paths[i], &real, &e) >= 0 && real[0] != '/')
			abort();
	}
}

static void change(struct guest_fs *fs)
{
	const struct overlay_attr a = {.mode = 0644, .uid = 1};
	static char text[5000];
	struct err e;

	guest_fs_set_time(fs, 1700000000);
	guest_fs_write_file(fs, "/dir/another-new-name-in-here", text, 10, &a, &e);
	guest_fs_write_file(fs, "/etc/passwd", text, sizeof(text), &a, &e);
	guest_fs_mkdir(fs, "/etc/sub", &a, &e);
	guest_fs_symlink(fs, "/link", "/somewhere", &e);
	guest_fs_set_xattr(fs, "/blob", "user.x", "y", 1, &e);
	guest_fs_remove(fs, "/dir", &e);
	guest_fs_remove(fs, "/blob", &e);
	guest_fs_commit(fs, &e);
}

static void with_image(int fd, unsigned flags)
{
	struct image_open_opts o = {.format = "raw",
				    .flags = flags & GUEST_FS_WRITE ? IMAGE_RDWR : 0};
	AUTO(image_close) struct image *im = NULL;
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	int own = dup(fd);
	struct err e;

	if (own < 0 || image_open_fd(own, "fuzz", &o, &im, &e) < 0)
		abort();
	if (guest_fs_open(im, 0, image_size(im), flags, &fs, &e) < 0)
		return;
	if (flags & GUEST_FS_WRITE)
		change(fs);
	else
		look(fs);
	guest_fs_close(fs);
	fs = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz_ext4", MFD_CLOEXEC);
	if (fd < 0 || unpack(data, size, fd) < 0)
		abort();
	with_image(fd, 0);
	with_image(fd, GUEST_FS_WRITE | GUEST_FS_REPLAY);
	/* What was written can be read again. */
	with_image(fd, 0);
	return 0;
}
