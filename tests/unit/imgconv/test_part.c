/* SPDX-License-Identifier: Apache-2.0 */
/* Images inside of a larger file, as in an archive: they are read as if they were a file alone. */
#include "tests/unit/imgconv/helper.h"

#define SIZE (2 * MIB)
#define BEFORE 1536 /* no multiple of a page */
#define AFTER 70000
#define FOREIGN 0xab /* what is in the file around the image, and never in the disk */

static const struct kind {
	const char *format, *option;
	bool compressed, checkable;
} kinds[] = {
	{"raw", NULL, false, false},
	{"qcow2", "preallocation=off", false, true},
	{"qcow2", "preallocation=off", true, true},
	{"vmdk", "subformat=monolithicSparse", false, true},
	{"vmdk", "subformat=streamOptimized", false, true},
	{"vhd", "subformat=fixed", false, true},
	{"vhd", "subformat=dynamic", false, true},
	{"vdi", "subformat=dynamic", false, true},
	{"vdi", "subformat=fixed", false, true},
};

/* Runs of data without FOREIGN, and holes. */
static uint8_t *make_disk(void)
{
	uint8_t *disk = calloc(1, SIZE);

	assert_non_null(disk);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t off = rng(SIZE / 4096) * 4096;

		fill(disk + off, rng_len(150000, SIZE - off));
	}
	memset(disk + SIZE - 4096, 1, 4096);
	for (size_t i = 0; i < SIZE; i++)
		disk[i] = disk[i] == FOREIGN ? 0xac : disk[i];
	return disk;
}

static uint64_t make_image(const struct kind *k, const uint8_t *disk, const char *path)
{
	const char *const options[] = {k->option, NULL};
	struct image_create_opts o = {.options = k->option ? options : NULL,
				      .threads = 1,
				      .compression = k->compressed ? IMAGE_COMPRESS_ZLIB
								   : IMAGE_COMPRESS_NONE};
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct image_writer *w = NULL;
	uint64_t len;

	assert_true(fd >= 0);
	assert_ok(image_create(fd, path, k->format, SIZE, &o, &w, e));
	assert_ok(image_writer_write(w, disk, SIZE, 0, e));
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	len = (uint64_t)lseek(fd, 0, SEEK_END);
	close(fd);
	return len;
}

/* The file's bytes between foreign ones; what it ends with is cut off where `len` is smaller. */
static int embed(const char *path, uint64_t len)
{
	AUTO_FREE uint8_t *all = malloc(BEFORE + len + AFTER);
	AUTO_FD int from = open(path, O_RDONLY | O_CLOEXEC);
	int fd = open(test_path("archive"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_non_null(all);
	assert_true(fd >= 0);
	memset(all, FOREIGN, BEFORE + len + AFTER);
	assert_ok(fs_pread(from, all + BEFORE, len, 0, e));
	assert_ok(fs_pwrite(fd, all, BEFORE + len + AFTER, 0, e));
	return fd;
}

static void each_format_is_read_inside_of_a_file(void **state)
{
	AUTO_FREE uint8_t *disk = make_disk();
	AUTO_FREE uint8_t *got = malloc(SIZE);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *path = test_path("image");
		uint64_t len = make_image(&kinds[i], disk, path);
		int fd = embed(path, len);
		AUTO(image_check_release) struct image_check c = {0};
		AUTO(image_info_release) struct image_info info = {0};
		struct image *im = NULL;

		/* By its content, which is at its own beginning and end. */
		assert_ok(image_open_part(fd, BEFORE, len, "part", NULL, &im, e));
		assert_string_equal(image_format_name(im), kinds[i].format);
		assert_int_equal(image_size(im), SIZE);
		assert_ok(image_pread(im, got, SIZE, 0, e));
		assert_memory_equal(got, disk, SIZE);
		assert_ok(image_info_read(im, &info, e));
		assert_int_equal(info.file_size, len);
		if (kinds[i].checkable) {
			assert_ok(image_check_read(im, &c, NULL, e));
			assert_int_equal(c.n_findings, 0);
		}
		image_close(im);
	}
}

/* Whatever it does, it never gives what is behind it in the file. */
static void what_is_behind_the_image_is_not_read(void **state)
{
	AUTO_FREE uint8_t *disk = make_disk();
	AUTO_FREE uint8_t *got = malloc(SIZE);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct image_open_opts o = {.format = kinds[i].format};
		const char *path = test_path("image");
		uint64_t len = make_image(&kinds[i], disk, path);

		for (uint64_t cut = 1; cut < len; cut *= 5) {
			int fd = embed(path, len - cut);
			struct image *im = NULL;
			struct err why;
			int rc = image_open_part(fd, BEFORE, len - cut, "part", &o, &im, &why);

			if (rc < 0) {
				close(fd);
				continue;
			}
			for (uint64_t at = 0; at < image_size(im); at += 4096) {
				size_t n = (size_t)MIN(image_size(im) - at, (uint64_t)4096);

				if (image_pread(im, got, n, at, &why) == 0)
					assert_null(memchr(got, FOREIGN, n));
			}
			image_close(im);
		}
	}
}

static void a_part_lies_within_its_file_and_is_not_changed(void **state)
{
	const struct image_open_opts change = {.format = "raw", .flags = IMAGE_RDWR};
	const struct image_open_opts raw = {.format = "raw"};
	const uint64_t wrong[][2] = {
		{0, 4097}, {4096, 1}, {1, 4096}, {UINT64_MAX, 2}, {2, UINT64_MAX}};
	uint8_t zeros[4096] = {0};
	struct image *im = NULL;
	struct err why;
	AUTO_FD int fd = -1;

	(void)state;
	write_file(test_path("small"), zeros, sizeof(zeros));
	fd = open(test_path("small"), O_RDWR | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(
			image_open_part(fd, wrong[i][0], wrong[i][1], "part", &raw, &im, &why),
			-EBADMSG);
	assert_int_equal(image_open_part(fd, 0, 4096, "part", &change, &im, &why), -EINVAL);
}

static void holes_of_the_file_are_holes_of_the_disk(void **state)
{
	int fd = open(test_path("holed"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const struct image_open_opts o = {.format = "raw"};
	struct image *im = NULL;
	struct extent x;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 * MIB), 0);
	assert_ok(fs_pwrite(fd, "data", 4, 2 * MIB, e));
	assert_ok(image_open_part(fd, MIB, 3 * MIB, "part", &o, &im, e));
	assert_ok(image_next_extent(im, 0, &x, e));
	assert_int_equal(x.start, 0);
	if (x.kind == EXTENT_HOLE) {
		assert_int_equal(x.length, MIB);
		assert_ok(image_next_extent(im, MIB, &x, e));
		assert_int_equal(x.kind, EXTENT_DATA);
		assert_int_equal(x.start, MIB);
		assert_true(x.length < 2 * MIB);
	} else {
		assert_int_equal(x.length, 3 * MIB); /* the file system knows no holes */
	}
	image_close(im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_format_is_read_inside_of_a_file),
		cmocka_unit_test(what_is_behind_the_image_is_not_read),
		cmocka_unit_test(a_part_lies_within_its_file_and_is_not_changed),
		cmocka_unit_test(holes_of_the_file_are_holes_of_the_disk),
	};

	return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
