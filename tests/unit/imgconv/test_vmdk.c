/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK: any writes, limits of memory and time, many readers. */
#include "tests/unit/imgconv/helper.h"

#include <pthread.h>
#include <sys/mman.h>

#include "imgconv/format/vmdk_write.h"

/* ---- writing ------------------------------------------------------------------------------- */

static int make_companion(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	int *fds = ctx;
	int fd = open(test_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, errno, "'%s'", name);
	while (*fds >= 0)
		fds++;
	*ret_fd = *fds = fd;
	return 0;
}

/* A writer of a new image "w.vmdk"; fds (ended by -1) are to be closed. */
static void create(const char *subformat, uint64_t size, unsigned level, struct image_writer **w,
		   int fds[16])
{
	static char option[64];
	const char *options[] = {option, NULL};
	struct image_companions c = {make_companion, fds, "w"};
	struct image_create_opts o = {.options = options,
				      .companions = &c,
				      .level = level,
				      .threads = 1 + (unsigned)rng(3)};

	for (size_t i = 0; i < 16; i++)
		fds[i] = -1;
	snprintf(option, sizeof(option), "subformat=%s", subformat);
	fds[0] = open(test_path("w.vmdk"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_ok(image_create(fds[0], "w.vmdk", "vmdk", size, &o, w, e));
}

static void finish(struct image_writer *w, const int fds[16])
{
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	for (size_t i = 0; i < 16; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static struct image *reopen(void)
{
	struct image_open_opts o = {.flags = IMAGE_ALLOW_EXTENTS};
	struct image *im = NULL;

	assert_ok(image_open(test_path("w.vmdk"), &o, &im, e));
	assert_string_equal(image_format_name(im), "vmdk");
	return im;
}

static const char *const subformats[] = {"monolithicSparse", "streamOptimized", "monolithicFlat",
					 "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"};

static void round_trip(const char *subformat, size_t size)
{
	AUTO_FREE uint8_t *disk = calloc(1, size);
	AUTO_FREE uint8_t *there = malloc(size);
	struct image_writer *w = NULL;
	struct image *im;
	int fds[16];

	for (unsigned i = 0; i < 8; i++) {
		uint64_t off = rng(size);

		fill(disk + off, rng_len(size / 5 + 1, size - off));
	}
	create(subformat, size, 0, &w, fds);
	for (size_t off = 0; off < size;) {
		size_t len = rng_len(rng(4) ? 10000 : 400000, size - off);

		if (!mem_is_zero(disk + off, len) || rng(2))
			assert_ok(image_writer_write(w, disk + off, len, off, e));
		off += len;
	}
	finish(w, fds);
	im = reopen();
	assert_int_equal(image_size(im), size);
	assert_ok(image_pread(im, there, size, 0, e));
	assert_memory_equal(there, disk, size);
	for (unsigned i = 0; i < 30; i++) {
		uint64_t off = rng(size);
		size_t len = rng_len(rng(2) ? 3000 : 300000, size - off);

		memset(there, 0xee, len);
		assert_ok(image_pread(im, there, len, off, e));
		assert_memory_equal(there, disk + off, len);
	}
	image_close(im);
	write_file(test_path("expected.raw"), disk, size);
	run_ok("qemu-img", "compare", "-q", "-f", "raw", "-F", "vmdk", test_path("expected.raw"),
	       test_path("w.vmdk"));
}

static void writes_any_pieces_into_every_subformat(void **state)
{
	static const size_t sizes[] = {512, 65536, 65536 + 512, 3 * MIB - 512, 33 * MIB + 1024};

	(void)state;
	rng_state = 52;
	for (size_t i = 0; i < ARRAY_SIZE(subformats); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++)
			round_trip(subformats[i], sizes[j]);
	}
}

static void splits_at_2047_mib(void **state)
{
	static const uint64_t at[] = {0, 2047 * MIB - 1, 2047 * MIB, 4094 * MIB - 1, 4095 * MIB};

	(void)state;
	for (size_t i = 3; i < ARRAY_SIZE(subformats); i++) {
		struct image_writer *w = NULL;
		struct image *im;
		struct extent x;
		int fds[16];

		create(subformats[i], 5000 * MIB, 0, &w, fds);
		assert_true(fds[3] >= 0 && fds[4] < 0);
		for (size_t j = 0; j < ARRAY_SIZE(at); j++)
			assert_ok(image_writer_write(w, "x", 1, at[j], e));
		finish(w, fds);
		im = reopen();
		assert_int_equal(image_size(im), 5000 * MIB);
		for (size_t j = 0; j < ARRAY_SIZE(at); j++) {
			char c = 0;

			assert_ok(image_pread(im, &c, 1, at[j], e));
			assert_int_equal(c, 'x');
		}
		assert_ok(image_next_extent(im, 4096 * MIB, &x, e));
		assert_int_equal(x.kind, EXTENT_HOLE);
		assert_int_equal(x.length, 904 * MIB);
		image_close(im);
	}
}

static void refuses_bad_wishes(void **state)
{
	static const struct {
		const char *option;
		enum image_compression compression;
		unsigned level;
		uint64_t size;
		const char *why;
	} cases[] = {
		{"subformat=vmfs", 0, 0, MIB, "'vmfs' is none of"},
		{"adapter_type=nvme", 0, 0, MIB, "'nvme' is none of"},
		{"hwversion=0", 0, 0, MIB, "hwversion"},
		{"hwversion=x\"", 0, 0, MIB, "hwversion"},
		{"subformat=monolithicSparse", 0, 3, MIB, "level 3"},
		{"subformat=streamOptimized", 0, 13, MIB, "level 13"},
		{"subformat=monolithicSparse", IMAGE_COMPRESS_ZLIB, 0, MIB, "not monolithicSparse"},
		{"subformat=monolithicSparse", 0, 0, 0, "a disk of 0 bytes"},
		{"subformat=streamOptimized", 0, 0, 1000, "no multiple of 512"},
		{"subformat=monolithicFlat", 0, 0, MIB, "consist of several files"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *options[] = {cases[i].option, NULL};
		struct image_create_opts o = {.options = options,
					      .compression = cases[i].compression,
					      .level = cases[i].level};
		struct image_writer *w = NULL;
		int fd = memfd_create("w", MFD_CLOEXEC);

		assert_fails(image_create(fd, "w", "vmdk", cases[i].size, &o, &w, e), EINVAL,
			     cases[i].why);
		close(fd);
	}
}

/* What the files of "w.vmdk" have together. */
static uint64_t sum_of_files(void)
{
	static const char *const names[] = {"w.vmdk", "w-flat.vmdk", "w-s001.vmdk", "w-f001.vmdk"};
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_FD int fd = open(test_path(names[i]), O_RDONLY | O_CLOEXEC);
		uint64_t size = 0;

		if (fd >= 0)
			assert_ok(image_fd_size(fd, &size, e));
		sum += size;
		unlink(test_path(names[i]));
	}
	return sum;
}

static void full_size_is_enough_for_noise(void **state)
{
	AUTO_FREE uint8_t *noise = malloc(3 * MIB);

	(void)state;
	rng_state = 54;
	for (size_t i = 0; i < 3 * MIB; i++)
		noise[i] = (uint8_t)rng(256);
	sum_of_files();
	for (size_t i = 0; i < ARRAY_SIZE(subformats); i++) {
		struct image_writer *w = NULL;
		uint64_t full, sum;
		int fds[16];

		create(subformats[i], 3 * MIB, i == 1, &w, fds);
		full = w->format->full_size(w);
		assert_ok(image_writer_write(w, noise, 3 * MIB, 0, e));
		finish(w, fds);
		sum = sum_of_files();
		/* A compressed grain may stay under its bound. */
		if (strcmp(subformats[i], "streamOptimized") == 0)
			assert_in_range(sum, full - 48 * SECTOR, full);
		else
			assert_int_equal(sum, full);
	}
}

static void a_file_ends_at_2_tib(void **state)
{
	static const uint8_t data[VMDK_GRAIN_SIZE] = {1};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct image_writer *w = NULL;
		int fds[16];

		create(subformats[i], 3ull << 40, 0, &w, fds);
		assert_ok(image_writer_write(w, data, sizeof(data), 0, e));
		to_vmdk_writer(w)->next = VMDK_FILE_SECTORS_MAX - (i ? 2 : 128);
		if (i == 0)
			assert_ok(image_writer_write(w, data, sizeof(data), 2ull << 40, e));
		assert_fails(i ? image_writer_finish(w, e)
			       : image_writer_write(w, data, sizeof(data), 5ull << 39, e),
			     EFBIG, "larger than 2 TiB");
		image_writer_free(w);
		close(fds[0]);
	}
}

static void names_and_numbers_of_files_have_limits(void **state)
{
	static const char *const options[] = {"subformat=twoGbMaxExtentFlat", NULL};
	int fds[16] = {-1};
	struct image_companions c = {make_companion, fds, "a\"b"};
	struct image_create_opts o = {.options = options, .companions = &c};
	struct image_writer *w = NULL;
	AUTO_FD int fd = memfd_create("w", MFD_CLOEXEC);

	(void)state;
	assert_fails(image_create(fd, "w", "vmdk", MIB, &o, &w, e), EINVAL,
		     "cannot be a part of names");
	c.stem = "../a";
	assert_fails(image_create(fd, "w", "vmdk", MIB, &o, &w, e), EINVAL,
		     "cannot be a part of names");
	c.stem = "a";
	assert_fails(image_create(fd, "w", "vmdk", 4097 * 2047 * MIB, &o, &w, e), EINVAL,
		     "more than 4096 extents");
}

/* ---- limits -------------------------------------------------------------------------------- */

/* The header of a monolithicSparse with nothing behind it but a directory. */
static int sparse_file(uint64_t sectors, uint64_t file_size, const uint32_t *gd, size_t n)
{
	uint8_t h[SECTOR] = {0};
	char text[512];
	int fd = memfd_create("limits", MFD_CLOEXEC);
	int len = snprintf(text, sizeof(text),
			   "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicSparse\"\n"
			   "RW %llu SPARSE \"x.vmdk\"\n",
			   (unsigned long long)sectors);

	le32_put(h, VMDK_MAGIC);
	le32_put(h + HDR_VERSION, 1);
	le64_put(h + HDR_CAPACITY, sectors);
	le64_put(h + HDR_GRAIN, 128);
	le64_put(h + HDR_DESCRIPTOR, 1);
	le64_put(h + HDR_DESCRIPTOR_SIZE, 1);
	le32_put(h + HDR_GT_ENTRIES, GT_ENTRIES);
	le64_put(h + HDR_GD, 2);
	assert_ok(fs_pwrite(fd, h, sizeof(h), 0, e));
	assert_ok(fs_pwrite(fd, text, (size_t)len, SECTOR, e));
	for (size_t i = 0; i < n; i++) {
		uint8_t entry[4];

		le32_put(entry, gd[i]);
		assert_ok(fs_pwrite(fd, entry, 4, 2 * SECTOR + i * 4, e));
	}
	assert_int_equal(ftruncate(fd, (off_t)file_size), 0);
	return fd;
}

/* A directory of 40 TiB is 5 MiB: two of them are over the limit. */
static void directories_of_all_extents_have_a_limit(void **state)
{
	struct image_open_opts o = {.flags = IMAGE_ALLOW_EXTENTS};
	AUTO_BUF text = BUF_INIT;
	struct image *im = NULL;

	(void)state;
	buf_adds(&text, "version=1\ncreateType=\"twoGbMaxExtentSparse\"\n");
	for (unsigned i = 0; i < 2; i++) {
		int fd = sparse_file(40ull << 31, 6 * MIB, NULL, 0);
		AUTO_FREE uint8_t *bytes = malloc(6 * MIB);
		char name[16];

		snprintf(name, sizeof(name), "e%u", i);
		assert_ok(fs_pread(fd, bytes, 6 * MIB, 0, e));
		write_file(test_path(name), bytes, 6 * MIB);
		buf_addf(&text, "RW %llu SPARSE \"e%u\"\n", 40ull << 31, i);
		close(fd);
	}
	write_file(test_path("two.vmdk"), text.data, text.len);
	assert_fails(image_open(test_path("two.vmdk"), &o, &im, e), EFBIG,
		     "directories of all extents are over the limit");
}

static struct image *open_limits(int fd)
{
	struct image_open_opts o = {.format = "vmdk"};
	struct image *im = NULL;

	assert_ok(image_open_fd(fd, "limits", &o, &im, e));
	return im;
}

static void an_empty_disk_is_one_extent(void **state)
{
	AUTO_FREE uint32_t *gd = calloc(32768, sizeof(*gd));
	struct extent x;
	struct image *im;

	(void)state;
	/* 64 TiB and no table at all; 1 TiB and all tables there. */
	im = open_limits(sparse_file(64ull << 31, 9 * MIB, NULL, 0));
	assert_ok(image_next_extent(im, 12345, &x, e));
	assert_int_equal(x.kind, EXTENT_HOLE);
	assert_int_equal(x.length, (64ull << 40) - 12345);
	image_close(im);
	for (uint32_t i = 0; i < 32768; i++)
		gd[i] = 1024 + i * GT_SECTORS;
	im = open_limits(sparse_file(1ull << 31, 70 * MIB, gd, 32768));
	assert_ok(image_next_extent(im, 0, &x, e));
	assert_int_equal(x.kind, EXTENT_HOLE);
	assert_int_equal(x.length, 1ull << 40);
	image_close(im);
}

static void a_directory_must_be_in_the_file(void **state)
{
	struct image_open_opts o = {.format = "vmdk"};
	struct image *im = NULL;
	int fd = sparse_file(64ull << 31, 8 * MIB, NULL, 0);

	(void)state;
	assert_fails(image_open_fd(fd, "limits", &o, &im, e), EBADMSG,
		     "grain directory at sector 2 reaches past the end");
	close(fd);
	fd = sparse_file((64ull << 31) + 1, 9 * MIB, NULL, 0);
	assert_fails(image_open_fd(fd, "limits", &o, &im, e), EFBIG, "over the limit");
	close(fd);
}

/* Neighbours in the file are one extent, up to a bound; what differs is not. */
static void merges_neighbours(void **state)
{
	struct image_writer *w = NULL;
	AUTO_FREE uint8_t *data = malloc(3 * MIB);
	struct extent x;
	struct image *im;
	int fds[16];

	(void)state;
	memset(data, 'x', 3 * MIB);
	for (size_t i = 0; i < 2; i++) {
		create(subformats[i], 100 * MIB, 0, &w, fds);
		assert_ok(image_writer_write(w, data, 3 * MIB, 31 * MIB, e));
		assert_ok(image_writer_write(w, data, MIB, 70 * MIB, e));
		finish(w, fds);
		im = reopen();
		assert_ok(image_next_extent(im, 0, &x, e));
		assert_true(x.kind == EXTENT_HOLE && x.length == 31 * MIB);
		assert_ok(image_next_extent(im, 31 * MIB + 77, &x, e));
		assert_true(x.kind == EXTENT_DATA && x.length == 3 * MIB - 77);
		assert_ok(image_next_extent(im, 34 * MIB, &x, e));
		assert_true(x.kind == EXTENT_HOLE && x.length == 36 * MIB);
		assert_ok(image_next_extent(im, 71 * MIB, &x, e));
		assert_true(x.kind == EXTENT_HOLE && x.length == 29 * MIB);
		image_close(im);
	}
}

/* ---- many readers ---------------------------------------------------------------------------- */

static struct image *shared;
static const uint8_t *shared_disk;
static size_t shared_size;

static void *read_at_random(void *arg)
{
	static char differs[] = "differs";
	AUTO_FREE uint8_t *buf = malloc(300000);
	uint64_t state = 1 + (uint64_t)(uintptr_t)arg;

	for (unsigned i = 0; i < 150; i++) {
		struct err e;
		uint64_t off;
		size_t len;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		off = (state >> 33) % shared_size;
		len = (size_t)MIN(1 + (state >> 20) % 300000, shared_size - off);
		if (image_pread(shared, buf, len, off, &e) < 0 ||
		    memcmp(buf, shared_disk + off, len) != 0)
			return differs;
	}
	return NULL;
}

static void many_threads_read_at_once(void **state)
{
	AUTO_FREE uint8_t *disk = calloc(1, 80 * MIB);
	pthread_t threads[4];
	struct image_writer *w = NULL;
	int fds[16];

	(void)state;
	rng_state = 53;
	for (size_t off = 0; off < 80 * MIB; off += 3 * MIB)
		fill(disk + off, rng_len(600000, 80 * MIB - off));
	create("streamOptimized", 80 * MIB, 1, &w, fds);
	assert_ok(image_writer_write(w, disk, 80 * MIB, 0, e));
	finish(w, fds);
	shared = reopen();
	shared_disk = disk;
	shared_size = 80 * MIB;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, (void *)i), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *result;

		pthread_join(threads[i], &result);
		assert_null(result);
	}
	image_close(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_any_pieces_into_every_subformat),
		cmocka_unit_test(splits_at_2047_mib),
		cmocka_unit_test(refuses_bad_wishes),
		cmocka_unit_test(full_size_is_enough_for_noise),
		cmocka_unit_test(a_file_ends_at_2_tib),
		cmocka_unit_test(names_and_numbers_of_files_have_limits),
		cmocka_unit_test(directories_of_all_extents_have_a_limit),
		cmocka_unit_test(an_empty_disk_is_one_extent),
		cmocka_unit_test(a_directory_must_be_in_the_file),
		cmocka_unit_test(merges_neighbours),
		cmocka_unit_test(many_threads_read_at_once),
	};

	return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
