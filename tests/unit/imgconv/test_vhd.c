/* SPDX-License-Identifier: Apache-2.0 */
/* VHD: what check finds, overlapping blocks, extents, parents, sizes, random reads. */
#include "tests/unit/imgconv/helper.h"

#include <sys/stat.h>

#include "imgconv/format.h"

#define BLOCK (2 * MIB)
#define BAT 1536u
#define HEADER 512u

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

	assert_ok(image_create(fd, path, "vhd", disk_size, &o, &w, e));
	assert_ok(image_writer_write(w, disk, disk_size, 0, e));
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	return fd;
}

/* The disk of 8 MiB of which blocks 0, 1 and 3 have data. */
static int make_holed(const char *path)
{
	free(disk);
	disk_size = 4 * BLOCK;
	disk = calloc(1, disk_size);
	memset(disk + 1000, 1, 100000);
	memset(disk + BLOCK, 2, BLOCK);
	memset(disk + 4 * BLOCK - 700, 3, 700);
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

	be32_put(b, v);
	assert_ok(fs_pwrite(fd, b, 4, at, e));
}

static uint32_t get32(int fd, uint64_t at)
{
	uint8_t b[4];

	assert_ok(fs_pread(fd, b, 4, at, e));
	return be32_get(b);
}

/* Makes the checksum of what was changed right again. */
static void seal(int fd, uint64_t at, size_t len, size_t field)
{
	uint8_t b[1024];
	uint32_t sum = 0;

	put32(fd, at + field, 0);
	assert_ok(fs_pread(fd, b, len, at, e));
	for (size_t i = 0; i < len; i++)
		sum += b[i];
	put32(fd, at + field, ~sum);
}

/* A field of 32 bits in both footers. */
static void put_footers(int fd, unsigned field, uint32_t v)
{
	uint64_t end = file_size(fd) - 512;

	put32(fd, field, v);
	put32(fd, end + field, v);
	seal(fd, 0, 512, 64);
	seal(fd, end, 512, 64);
}

static int open_image(const char *path, unsigned flags, struct image **ret, struct err *e)
{
	struct image_open_opts o = {.format = "vhd", .flags = flags};

	return image_open(path, &o, ret, e);
}

/* One finding, with this text, and of so many bytes. */
static void assert_finding(const char *path, enum image_finding_kind kind, uint64_t bytes,
			   const char *text)
{
	AUTO(image_check_release) struct image_check c = {0};
	AUTO(image_close) struct image *im = NULL;

	assert_ok(open_image(path, IMAGE_INSPECT, &im, e));
	assert_ok(image_check_read(im, &c, NULL, e));
	if (c.n_findings != 1 || c.findings[0].kind != kind || c.leaked != bytes ||
	    !strstr(c.findings[0].text, text))
		fail_msg("%zu findings, %llu bytes: '%s'", c.n_findings,
			 (unsigned long long)c.leaked, c.n_findings ? c.findings[0].text : "");
}

/* Others may follow from it. */
static void assert_first_finding(const char *path, const char *text)
{
	AUTO(image_check_release) struct image_check c = {0};
	AUTO(image_close) struct image *im = NULL;

	assert_ok(open_image(path, IMAGE_INSPECT, &im, e));
	assert_ok(image_check_read(im, &c, NULL, e));
	if (!c.n_findings || !strstr(c.findings[0].text, text))
		fail_msg("'%s', not '%s'", c.n_findings ? c.findings[0].text : "", text);
}

static void assert_clean(const char *path)
{
	AUTO(image_check_release) struct image_check c = {0};
	AUTO(image_close) struct image *im = NULL;

	assert_ok(open_image(path, 0, &im, e));
	assert_ok(image_check_read(im, &c, NULL, e));
	if (c.n_findings)
		fail_msg("%s", c.findings[0].text);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void finds_nothing_wrong_in_what_it_writes(void **state)
{
	static const char *const options[][2] = {{"subformat=dynamic"}, {"subformat=fixed"}};
	static const size_t sizes[] = {512, 5120, BLOCK, BLOCK + 512, 5 * BLOCK - 1024};
	const char *path = test_path("clean.vhd");

	(void)state;
	rng_state = 31;
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
	const char *path = test_path("ranges.vhd");
	AUTO(image_close) struct image *im = NULL;
	AUTO_FREE uint8_t *buf = malloc(5 * BLOCK);
	uint64_t off = 0;

	(void)state;
	rng_state = 32;
	new_disk(5 * BLOCK - 3 * 512);
	close(make(path, NULL));
	assert_ok(open_image(path, 0, &im, e));
	for (unsigned i = 0; i < 300; i++) {
		uint64_t at = rng(disk_size);
		size_t len = rng_len(i % 10 ? 5000 : 3 * BLOCK, disk_size - at);

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

static void merges_extents_of_one_kind(void **state)
{
	const char *path = test_path("extents.vhd");
	AUTO(image_close) struct image *im = NULL;
	static const enum extent_kind kinds[] = {EXTENT_DATA, EXTENT_HOLE, EXTENT_DATA};
	static const uint64_t lengths[] = {2, 1, 1};
	uint64_t off = 0;

	(void)state;
	close(make_holed(path));
	assert_ok(open_image(path, 0, &im, e));
	for (size_t i = 0; i < 3; i++) {
		struct extent x;

		assert_ok(image_next_extent(im, off, &x, e));
		assert_int_equal(x.kind, kinds[i]);
		assert_int_equal(x.length, lengths[i] * BLOCK);
		off += x.length;
	}
}

static void an_empty_disk_of_the_largest_size_is_few_extents(void **state)
{
	const char *path = test_path("largest.vhd");
	AUTO(image_close) struct image *im = NULL;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct extent x = {0};
	uint64_t off = 0;
	size_t n = 0;
	int fd = new_file(path);

	(void)state;
	assert_ok(image_create(fd, path, "vhd", 2040 * GIB, NULL, &w, e));
	assert_ok(image_writer_finish(w, e));
	close(fd);
	assert_ok(open_image(path, 0, &im, e));
	for (; off < 2040 * GIB; off += x.length, n++) {
		assert_ok(image_next_extent(im, off, &x, e));
		assert_int_equal(x.start, off);
		assert_int_equal(x.kind, EXTENT_HOLE);
	}
	assert_int_equal(off, 2040 * GIB);
	assert_true(n <= 64);
	assert_clean(path);
}

/* ---- what is wrong -------------------------------------------------------------------------- */

static void check_tells_which_field_of_the_footers_differs(void **state)
{
	static const struct {
		unsigned at;
		uint8_t flip;
		const char *name;
	} fields[] = {
		{11, 1, "features"},      {15, 1, "version"},      {22, 4, "header's offset"},
		{27, 1, "time stamp"},    {28, 1, "creator"},      {35, 1, "creator"},
		{46, 2, "original size"}, {54, 2, "current size"}, {58, 1, "geometry"},
		{70, 1, "UUID"},          {84, 1, "saved state"},  {300, 1, "reserved bytes"},
	};
	const char *path = test_path("differ.vhd");
	int fd = make_holed(path);
	uint64_t end = file_size(fd) - 512;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		AUTO(image_close) struct image *im = NULL;
		uint8_t byte;

		assert_ok(fs_pread(fd, &byte, 1, end + fields[i].at, e));
		byte ^= fields[i].flip;
		assert_ok(fs_pwrite(fd, &byte, 1, end + fields[i].at, e));
		seal(fd, end, 512, 64);
		assert_first_finding(path, fields[i].name);
		assert_fails(open_image(path, 0, &im, e), EBADMSG, fields[i].name);
		byte ^= fields[i].flip;
		assert_ok(fs_pwrite(fd, &byte, 1, end + fields[i].at, e));
		seal(fd, end, 512, 64);
	}
	assert_clean(path);
	close(fd);
}

static void check_finds_damaged_checksums_and_a_cut_file(void **state)
{
	const char *path = test_path("damaged.vhd");
	AUTO(image_close) struct image *im = NULL;
	uint8_t byte = 1;
	int fd = make_holed(path);
	uint64_t size = file_size(fd);
	const struct {
		uint64_t at;
		const char *text;
	} places[] = {
		{100, "the checksum of the footer's copy at the beginning is wrong"},
		{HEADER + 1000, "the checksum of the dynamic disk header is wrong"},
		{size - 100, "the footer's checksum is wrong"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		byte = 1;
		assert_ok(fs_pwrite(fd, &byte, 1, places[i].at, e));
		assert_finding(path, IMAGE_FINDING_ERROR, 0, places[i].text);
		assert_fails(open_image(path, 0, &im, e), EBADMSG, places[i].text);
		byte = 0;
		assert_ok(fs_pwrite(fd, &byte, 1, places[i].at, e));
	}
	/* Without its footer the file ends with a block. */
	assert_int_equal(ftruncate(fd, (off_t)size - 512), 0);
	assert_finding(path, IMAGE_FINDING_ERROR, 0, "does not end with a footer");
	assert_fails(open_image(path, 0, &im, e), EBADMSG, "does not end with a footer");
	close(fd);
}

static void data_of_a_damaged_image_are_not_read(void **state)
{
	const char *path = test_path("damaged.vhd");
	AUTO(image_close) struct image *im = NULL;
	uint8_t byte = 1;
	struct extent x;
	int fd = make_holed(path);

	(void)state;
	assert_ok(fs_pwrite(fd, &byte, 1, 100, e));
	assert_ok(open_image(path, IMAGE_INSPECT, &im, e));
	assert_fails(image_pread(im, &byte, 1, 0, e), EBADMSG, "checksum");
	assert_fails(image_next_extent(im, 0, &x, e), EBADMSG, "checksum");
	close(fd);
}

static void check_finds_a_table_that_is_none(void **state)
{
	const char *path = test_path("table.vhd");
	int fd = make_holed(path);

	(void)state;
	put32(fd, HEADER + 20, UINT32_MAX);
	seal(fd, HEADER, 1024, 36);
	assert_finding(path, IMAGE_FINDING_ERROR, 0, "reaches past the end of the file");
	close(fd);
}

static void check_finds_blocks_out_of_place(void **state)
{
	const char *path = test_path("blocks.vhd");
	int fd = make_holed(path);
	uint32_t first = get32(fd, BAT), second = get32(fd, BAT + 4);

	(void)state;
	put32(fd, BAT + 8, 1u << 30);
	assert_finding(path, IMAGE_FINDING_ERROR, 0, "block 2 at 0x8000000000 reaches past");
	put32(fd, BAT + 8, first);
	assert_finding(path, IMAGE_FINDING_ERROR, 0, "block 2 at 0xe00 overlaps another");
	put32(fd, BAT + 8, second - 1);
	assert_finding(path, IMAGE_FINDING_ERROR, 0, "block 2 at 0x201c00 overlaps another");
	put32(fd, BAT + 8, first + 1);
	assert_finding(path, IMAGE_FINDING_ERROR, 0, "block 2 at 0x1000 overlaps another");
	put32(fd, BAT + 8, 2);
	assert_finding(path, IMAGE_FINDING_ERROR, 0, "block 2 at 0x400 overlaps the header");
	close(fd);
}

static void check_finds_leaks(void **state)
{
	const char *path = test_path("leaks.vhd");
	int fd = make_holed(path);

	(void)state;
	/* Page by page: the gaps that only align data are no leaks. */
	put32(fd, BAT + 4, UINT32_MAX);
	assert_finding(path, IMAGE_FINDING_LEAK, BLOCK + 4096 + 3584,
		       "2104832 bytes at 0x201000 belong to no block");
	put32(fd, BAT + 12, UINT32_MAX);
	assert_finding(path, IMAGE_FINDING_LEAK, 2 * (BLOCK + 4096), "belong to no block");
	close(fd);

	/* A block behind the disk's end. */
	fd = make_holed(path);
	put_footers(fd, 52, 3 * BLOCK);
	assert_finding(path, IMAGE_FINDING_LEAK, BLOCK + 512, "block 3 is behind the disk's end");
	close(fd);
}

static void refuses_to_copy_overlapping_blocks(void **state)
{
	const char *path = test_path("alias.vhd"), *to = test_path("alias.raw");
	AUTO(image_close) struct image *im = NULL;
	int fd = make_holed(path), out = new_file(to);
	AUTO(image_writer_free) struct image_writer *w = NULL;

	(void)state;
	put32(fd, BAT + 8, get32(fd, BAT + 4));
	assert_ok(open_image(path, 0, &im, e));
	assert_ok(image_create(out, to, "raw", 4 * BLOCK, NULL, &w, e));
	assert_fails(image_copy(im, w, NULL, e), EBADMSG, "overlaps another block");
	close(fd);
	close(out);
}

/* ---- parents -------------------------------------------------------------------------------- */

/* Makes the image a differencing one of that parent. */
static void make_child(int fd, int parent)
{
	uint8_t uuid[16];

	assert_ok(fs_pread(parent, uuid, 16, 68, e));
	assert_ok(fs_pwrite(fd, uuid, 16, HEADER + 40, e));
	seal(fd, HEADER, 1024, 36);
	put_footers(fd, 60, 4);
}

static void reads_a_parent_where_bits_are_zero(void **state)
{
	const char *path = test_path("child.vhd"), *parent_path = test_path("parent.vhd");
	struct image_open_opts o = {.parent = parent_path};
	AUTO(image_close) struct image *im = NULL;
	AUTO_FREE uint8_t *expected = NULL, *there = malloc(5 * BLOCK);
	uint8_t none[256] = {0};
	struct extent x;
	int fd, parent;

	(void)state;
	rng_state = 33;
	new_disk(3 * BLOCK);
	memset(disk + 2 * BLOCK, 7, BLOCK);
	expected = calloc(1, 4 * BLOCK);
	memcpy(expected, disk, 3 * BLOCK);
	parent = make(parent_path, NULL);
	fd = make_holed(path);
	make_child(fd, parent);
	/* Of block 1 the second half is the parent's; all of blocks 0 and 3 is the child's. */
	assert_ok(fs_pwrite(fd, none, sizeof(none), (uint64_t)get32(fd, BAT + 4) * 512 + 256, e));
	memcpy(expected, disk, BLOCK + BLOCK / 2);
	memcpy(expected + 3 * BLOCK, disk + 3 * BLOCK, BLOCK);

	assert_fails(open_image(path, 0, &im, e), EACCES, "needs its parent");
	assert_ok(image_open(path, &o, &im, e));
	assert_ok(image_pread(im, there, 4 * BLOCK, 0, e));
	assert_memory_equal(there, expected, 4 * BLOCK);
	assert_ok(image_pread(im, there, 5000, BLOCK + BLOCK / 2 - 2001, e));
	assert_memory_equal(there, expected + BLOCK + BLOCK / 2 - 2001, 5000);
	assert_ok(image_next_extent(im, 2 * BLOCK, &x, e));
	assert_true(x.kind == EXTENT_DATA && x.length == BLOCK);
	close(fd);
	close(parent);
}

static void refuses_other_parents(void **state)
{
	const char *path = test_path("child.vhd"), *parent_path = test_path("parent.vhd");
	struct image_open_opts o = {.parent = parent_path};
	AUTO(image_close) struct image *im = NULL;
	int fd, parent;
	uint8_t byte;

	(void)state;
	parent = make_holed(parent_path);
	fd = make_holed(path);
	make_child(fd, parent);
	assert_ok(fs_pread(fd, &byte, 1, HEADER + 47, e));
	byte ^= 1;
	assert_ok(fs_pwrite(fd, &byte, 1, HEADER + 47, e));
	seal(fd, HEADER, 1024, 36);
	assert_fails(image_open(path, &o, &im, e), EBADMSG, "is not its parent");
	byte ^= 1;
	assert_ok(fs_pwrite(fd, &byte, 1, HEADER + 47, e));
	seal(fd, HEADER, 1024, 36);
	assert_ok(image_open(path, &o, &im, e));
	image_close(STEAL(im));
	make_child(parent, parent);
	assert_fails(image_open(path, &o, &im, e), EACCES, "parent: ");
	close(fd);
	close(parent);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void sizes_are_padded_by_the_options(void **state)
{
	static const char *const chs[] = {"geometry=chs", NULL};
	static const char *const azure[] = {"azure=on", NULL};
	struct image_create_opts o = {.options = NULL};

	(void)state;
	assert_int_equal(image_padded_size("vhd", 1, NULL), 512);
	assert_int_equal(image_padded_size("vhd", GIB, NULL), GIB);
	assert_int_equal(image_padded_size("raw", 1, NULL), 1);
	o.options = chs;
	assert_int_equal(image_padded_size("vhd", GIB, &o), 1073995776);
	assert_int_equal(image_padded_size("vhd", 256 * MIB, &o), 268886016);
	assert_int_equal(image_padded_size("vhd", 268886016, &o), 268886016);
	assert_int_equal(image_padded_size("vhd", 200 * GIB + 1, &o), 200 * GIB + 512);
	o.options = azure;
	assert_int_equal(image_padded_size("vhd", 20 * MIB + 1, &o), 21 * MIB);
	assert_int_equal(image_padded_size("vhd", UINT64_MAX, &o), UINT64_MAX);
}

static void refuses_options_that_make_no_image(void **state)
{
	static const struct {
		const char *options[3];
		uint64_t size;
		int code;
		const char *text;
	} cases[] = {
		{{NULL}, 0, EINVAL, "0 bytes"},
		{{NULL}, 1000, EINVAL, "1000 bytes"},
		{{NULL}, 2040 * GIB + 512, EINVAL, "2040 GiB"},
		{{NULL}, 33 * 1024 * GIB, EINVAL, "more than a vhd image holds"},
		{{"subformat=thin"}, MIB, EINVAL, "none of dynamic, fixed"},
		{{"geometry=chs"}, GIB, EINVAL, "not one of this kind"},
		{{"azure=on"}, 20 * MIB + 512, EINVAL, "not one of this kind"},
		{{"azure=on"}, 19 * MIB, EINVAL, "20 MiB to 32 TiB"},
		{{"azure=on", "subformat=dynamic"}, GIB, EINVAL, "fixed images only"},
		{{"colour=red"}, MIB, ENOTSUP, "no option 'colour'"},
	};
	const char *path = test_path("x.vhd");
	struct image_writer *w = NULL;
	int fd = new_file(path);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct image_create_opts o = {.options = cases[i].options};

		assert_fails(image_create(fd, path, "vhd", cases[i].size, &o, &w, e), cases[i].code,
			     cases[i].text);
	}
	assert_ok(image_create(fd, path, "vhd", MIB, NULL, &w, e));
	assert_fails(image_writer_checkpoint(w, e), ENOTSUP, "no checkpoints");
	image_writer_free(w);
	close(fd);
}

static void a_file_is_never_larger_than_its_full_size(void **state)
{
	static const char *const options[][2] = {{"subformat=dynamic"}, {"subformat=fixed"}};
	const char *path = test_path("full.vhd");

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct image_create_opts o = {.options = options[i]};
		struct image_writer *w = NULL;
		int fd = new_file(path);

		new_disk(3 * BLOCK + 512);
		memset(disk, 1, disk_size);
		assert_ok(image_create(fd, path, "vhd", disk_size, &o, &w, e));
		assert_ok(image_writer_write(w, disk, disk_size, 0, e));
		assert_ok(image_writer_finish(w, e));
		assert_true(file_size(fd) <= w->format->full_size(w));
		assert_true(file_size(fd) + 4096 >= w->format->full_size(w));
		image_writer_free(w);
		close(fd);
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
		cmocka_unit_test(an_empty_disk_of_the_largest_size_is_few_extents),
		cmocka_unit_test(check_tells_which_field_of_the_footers_differs),
		cmocka_unit_test(check_finds_damaged_checksums_and_a_cut_file),
		cmocka_unit_test(data_of_a_damaged_image_are_not_read),
		cmocka_unit_test(check_finds_a_table_that_is_none),
		cmocka_unit_test(check_finds_blocks_out_of_place),
		cmocka_unit_test(check_finds_leaks),
		cmocka_unit_test(refuses_to_copy_overlapping_blocks),
		cmocka_unit_test(reads_a_parent_where_bits_are_zero),
		cmocka_unit_test(refuses_other_parents),
		cmocka_unit_test(sizes_are_padded_by_the_options),
		cmocka_unit_test(refuses_options_that_make_no_image),
		cmocka_unit_test(a_file_is_never_larger_than_its_full_size),
	};

	return cmocka_run_group_tests(tests, make_test_dir, end);
}
