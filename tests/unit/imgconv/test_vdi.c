/* SPDX-License-Identifier: Apache-2.0 */
/* VDI: what check finds, blocks used twice, extents, holes of static images, random reads. */
#include "tests/unit/imgconv/helper.h"

#include <sys/stat.h>

#include "imgconv/format.h"

#define MAP MIB /* where the map is in what we write */
#define DATA (2 * MIB)
#define FREE 0xffffffffu
#define ZERO 0xfffffffeu

static uint8_t *disk; /* what the guest shall see */
static size_t disk_size;

static void new_disk(size_t size)
{
	free(disk);
	disk_size = size;
	disk = calloc(1, size);
	for (unsigned i = 0; i < 12; i++) {
		uint64_t off = rng(size);

		fill(disk + off, rng_len(size / 10 + 1, size - off));
	}
}

static int new_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

/* Writes the disk; returns the descriptor of the image, to be changed. */
static int make(const char *path, const char *const *options)
{
	struct image_create_opts o = {.options = options};
	struct image_writer *w = NULL;
	int fd = new_file(path);

	assert_ok(image_create(fd, path, "vdi", disk_size, &o, &w, e));
	assert_ok(image_writer_write(w, disk, disk_size, 0, e));
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	return fd;
}

/* The disk of 4 MiB of which blocks 0, 1 and 3 have data. */
static int make_holed(const char *path)
{
	free(disk);
	disk_size = 4 * MIB;
	disk = calloc(1, disk_size);
	memset(disk + 1000, 1, 100000);
	memset(disk + MIB, 2, MIB);
	memset(disk + 4 * MIB - 700, 3, 700);
	return make(path, NULL);
}

static uint64_t file_size(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static void put32(int fd, uint64_t at, uint32_t v)
{
	uint8_t b[4];

	le32_put(b, v);
	assert_ok(fs_pwrite(fd, b, 4, at, e));
}

static int open_image(const char *path, unsigned flags, struct image **ret, struct err *e)
{
	struct image_open_opts o = {.format = "vdi", .flags = flags};

	return image_open(path, &o, ret, e);
}

/* The findings, n of them, of which the last one has this text. */
static void assert_findings(const char *path, size_t n, uint64_t errors, uint64_t leaked,
			    const char *text)
{
	AUTO(image_check_release) struct image_check c = {0};
	AUTO(image_close) struct image *im = NULL;

	assert_ok(open_image(path, IMAGE_INSPECT, &im, e));
	assert_ok(image_check_read(im, &c, NULL, e));
	for (size_t i = 0; i < c.n_findings; i++)
		print_message("# %s\n", c.findings[i].text);
	assert_int_equal(c.n_findings, n);
	assert_int_equal(c.n_errors, errors);
	assert_int_equal(c.leaked, leaked);
	if (n && !strstr(c.findings[n - 1].text, text))
		fail_msg("'%s'", c.findings[n - 1].text);
}

static void assert_clean(const char *path)
{
	assert_findings(path, 0, 0, 0, "");
	run_ok("qemu-img", "check", "-q", "-f", "vdi", path);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void finds_nothing_wrong_in_what_it_writes(void **state)
{
	static const char *const options[][2] = {{"subformat=dynamic"}, {"subformat=static"}};
	static const size_t sizes[] = {512, 5120, MIB, MIB + 512, 5 * MIB - 1024};
	const char *path = test_path("clean.vdi");

	(void)state;
	rng_state = 41;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t o = 0; o < ARRAY_SIZE(options); o++) {
			new_disk(sizes[i]);
			close(make(path, options[o]));
			assert_clean(path);
			assert_contents(path, NULL, disk, disk_size);
		}
	}
}

static void reads_any_range_and_extents_cover_all(void **state)
{
	static const char *const options[][2] = {{"subformat=dynamic"}, {"subformat=static"}};
	const char *path = test_path("ranges.vdi");
	AUTO_FREE uint8_t *buf = malloc(5 * MIB);

	(void)state;
	rng_state = 42;
	for (size_t o = 0; o < 2; o++) {
		AUTO(image_close) struct image *im = NULL;
		uint64_t off = 0;

		new_disk(5 * MIB - 3 * 512);
		close(make(path, options[o]));
		assert_ok(open_image(path, 0, &im, e));
		for (unsigned i = 0; i < 300; i++) {
			uint64_t at = rng(disk_size);
			size_t len = rng_len(i % 10 ? 5000 : 3 * MIB, disk_size - at);

			assert_ok(image_pread(im, buf, len, at, e));
			assert_memory_equal(buf, disk + at, len);
		}
		while (off < disk_size) {
			struct extent x;

			assert_ok(image_next_extent(im, off, &x, e));
			assert_true(x.start == off && x.length && x.length <= disk_size - off);
			if (x.kind != EXTENT_DATA)
				assert_true(mem_is_zero(disk + off, x.length));
			off += x.length;
		}
	}
}

static void merges_extents_of_one_kind(void **state)
{
	const char *path = test_path("extents.vdi");
	AUTO(image_close) struct image *im = NULL;
	static const enum extent_kind kinds[] = {EXTENT_DATA, EXTENT_ZERO, EXTENT_DATA};
	static const uint64_t lengths[] = {2, 1, 1};
	uint64_t off = 0;
	int fd = make_holed(path);

	(void)state;
	put32(fd, MAP + 8, ZERO);
	close(fd);
	assert_ok(open_image(path, 0, &im, e));
	for (size_t i = 0; i < 3; i++) {
		struct extent x;

		assert_ok(image_next_extent(im, off, &x, e));
		assert_int_equal(x.kind, kinds[i]);
		assert_int_equal(x.length, lengths[i] * MIB);
		off += x.length;
	}
	assert_clean(path);
}

static void holes_of_the_file_are_holes_of_a_static_disk(void **state)
{
	static const char *const options[] = {"subformat=static", NULL};
	struct image_create_opts o = {.options = options};
	const char *path = test_path("static.vdi");
	AUTO(image_close) struct image *im = NULL;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct extent x = {0};
	uint64_t off = 0;
	int fd = new_file(path);

	(void)state;
	assert_ok(image_create(fd, path, "vdi", 100 * GIB, &o, &w, e));
	assert_ok(image_writer_write(w, "x", 1, 50 * GIB + 5000, e));
	assert_ok(image_writer_finish(w, e));
	close(fd);
	assert_ok(open_image(path, 0, &im, e));
	for (; off < 50 * GIB + 4096; off += x.length) {
		assert_ok(image_next_extent(im, off, &x, e));
		assert_int_equal(x.kind, EXTENT_HOLE);
	}
	assert_int_equal(off, 50 * GIB + 4096);
	assert_ok(image_next_extent(im, off, &x, e));
	assert_true(x.kind == EXTENT_DATA && x.length <= 64 * KIB);
	for (off += x.length; off < 100 * GIB; off += x.length) {
		assert_ok(image_next_extent(im, off, &x, e));
		assert_int_equal(x.kind, EXTENT_HOLE);
	}
	assert_int_equal(off, 100 * GIB);
}

/* ---- what is wrong -------------------------------------------------------------------------- */

static void check_finds_blocks_out_of_place_and_used_twice(void **state)
{
	const char *path = test_path("blocks.vdi");
	int fd = make_holed(path);

	(void)state;
	assert_clean(path);
	put32(fd, MAP + 8, 3);
	assert_findings(path, 2, 2, 0, "says 3 blocks are in the file, the map has 4");
	put32(fd, 388, 4);
	assert_findings(path, 1, 1, 0, "block 2 at 0x500000 reaches past the end");
	put32(fd, MAP + 8, 1);
	assert_findings(path, 1, 1, 0, "block 2 at 0x300000 is in use twice");
	close(fd);
}

static void check_finds_leaks(void **state)
{
	const char *path = test_path("leaks.vdi");
	int fd = make_holed(path);

	(void)state;
	put32(fd, MAP, FREE);
	put32(fd, MAP + 4, FREE);
	put32(fd, 388, 1);
	assert_findings(path, 1, 0, 2 * MIB, "2097152 bytes at 0x200000 are used by no block");
	assert_int_equal(ftruncate(fd, (off_t)file_size(fd) + 1000), 0);
	assert_findings(path, 2, 0, 2 * MIB + 1000, "1000 bytes at the end of the file");
	close(fd);
	fd = make_holed(path);
	put32(fd, 368, 3 * MIB);
	assert_findings(path, 1, 0, MIB, "block 3 is behind the disk's end");
	close(fd);
}

static void check_finds_a_cut_file(void **state)
{
	const char *path = test_path("cut.vdi");
	AUTO(image_close) struct image *im = NULL;
	uint8_t byte;
	int fd = make_holed(path);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)file_size(fd) - 1), 0);
	assert_findings(path, 2, 1, MIB - 1, "are no whole block");
	assert_ok(open_image(path, 0, &im, e));
	assert_fails(image_pread(im, &byte, 1, 3 * MIB, e), EBADMSG,
		     "block 3 at 0x400000 reaches past the end");
	assert_ok(image_pread(im, &byte, 1, 2 * MIB, e));
	close(fd);
}

static void refuses_to_copy_what_is_used_twice(void **state)
{
	const char *path = test_path("alias.vdi"), *to = test_path("alias.raw");
	AUTO(image_close) struct image *im = NULL;
	int fd = make_holed(path), out = new_file(to);
	AUTO(image_writer_free) struct image_writer *w = NULL;

	(void)state;
	put32(fd, MAP + 8, 1);
	assert_ok(open_image(path, 0, &im, e));
	assert_ok(image_create(out, to, "raw", 4 * MIB, NULL, &w, e));
	assert_fails(image_copy(im, w, NULL, e), EBADMSG, "block 2 at 0x300000 is in use twice");
	close(fd);
	close(out);
}

static void shows_but_does_not_read_what_has_a_parent(void **state)
{
	const char *path = test_path("parent.vdi");
	AUTO(image_close) struct image *im = NULL;
	AUTO(image_info_release) struct image_info info = {0};
	struct extent x;
	uint8_t byte;
	int fd = make_holed(path);

	(void)state;
	put32(fd, 76, 4);
	put32(fd, 424, 1);
	assert_fails(open_image(path, 0, &im, e), ENOTSUP, "differencing");
	assert_ok(open_image(path, IMAGE_INSPECT, &im, e));
	assert_fails(image_pread(im, &byte, 1, 0, e), ENOTSUP, "differencing");
	assert_fails(image_next_extent(im, 0, &x, e), ENOTSUP, "differencing");
	assert_ok(image_info_read(im, &info, e));
	assert_int_equal(info.n_warnings, 1);
	close(fd);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void refuses_options_that_make_no_image(void **state)
{
	static const struct {
		const char *options[2];
		uint64_t size;
		int code;
		const char *text;
	} cases[] = {
		{{NULL}, 0, EINVAL, "0 bytes"},
		{{NULL}, 1000, EINVAL, "multiple of 512"},
		{{NULL}, 1ull << 50, EINVAL, "more than a vdi image holds"},
		{{"subformat=thin"}, MIB, EINVAL, "none of dynamic, static, fixed"},
		{{"uuid=x"}, MIB, EINVAL, "no UUID"},
		{{"colour=red"}, MIB, ENOTSUP, "no option 'colour'"},
	};
	const char *path = test_path("x.vdi");
	struct image_writer *w = NULL;
	int fd = new_file(path);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct image_create_opts o = {.options = cases[i].options};

		assert_fails(image_create(fd, path, "vdi", cases[i].size, &o, &w, e), cases[i].code,
			     cases[i].text);
	}
	close(fd);
}

/* The map of 100 GiB is written in several pieces. */
static void writes_the_map_in_pieces(void **state)
{
	static const uint64_t places[] = {0, 16383 * MIB, 16384 * MIB + 5, 70 * GIB, 100 * GIB - 1};
	const char *path = test_path("pieces.vdi");
	AUTO(image_close) struct image *im = NULL;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	int fd = new_file(path);
	uint8_t byte;

	(void)state;
	assert_ok(image_create(fd, path, "vdi", 100 * GIB, NULL, &w, e));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		assert_ok(image_writer_write(w, "x", 1, places[i], e));
	assert_ok(image_writer_finish(w, e));
	close(fd);
	assert_clean(path);
	assert_ok(open_image(path, 0, &im, e));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		assert_ok(image_pread(im, &byte, 1, places[i], e));
		assert_int_equal(byte, 'x');
	}
}

static int end(void **state)
{
	free(disk);
	return remove_test_dir(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_nothing_wrong_in_what_it_writes),
		cmocka_unit_test(reads_any_range_and_extents_cover_all),
		cmocka_unit_test(merges_extents_of_one_kind),
		cmocka_unit_test(holes_of_the_file_are_holes_of_a_static_disk),
		cmocka_unit_test(check_finds_blocks_out_of_place_and_used_twice),
		cmocka_unit_test(check_finds_leaks),
		cmocka_unit_test(check_finds_a_cut_file),
		cmocka_unit_test(refuses_to_copy_what_is_used_twice),
		cmocka_unit_test(shows_but_does_not_read_what_has_a_parent),
		cmocka_unit_test(refuses_options_that_make_no_image),
		cmocka_unit_test(writes_the_map_in_pieces),
	};

	return cmocka_run_group_tests(tests, make_test_dir, end);
}
