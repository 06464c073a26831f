/* SPDX-License-Identifier: Apache-2.0 */
/* What `check` finds in VMDK images: nothing in good ones, and each thing that is wrong. */
#include "tests/unit/imgconv/helper.h"

#include <sys/stat.h>

#include "imgconv/format/vmdk.h"

#define SIZE (70 * MIB) /* three grain tables */
/* Where a monolithicSparse of that size has its things, in sectors. */
#define RGD 21
#define RGT 22
#define GD 34
#define GT 35
#define GRAINS 128

static const char *const subformats[] = {"monolithicSparse", "streamOptimized", "monolithicFlat",
					 "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"};

static void make_raw(void)
{
	AUTO_FREE uint8_t *data = malloc(MIB);
	int fd = open(test_path("disk.raw"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	rng_state = 61;
	for (size_t i = 0; i < MIB; i++)
		data[i] = (uint8_t) "the quick brown fox"[rng(19)];
	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_ok(fs_pwrite(fd, data, MIB, 0, e));
	assert_ok(fs_pwrite(fd, data, 300000, 33 * MIB, e));
	assert_ok(fs_pwrite(fd, data, 1000, SIZE - 1000, e));
	close(fd);
}

static int make_companion(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	(void)ctx;
	*ret_fd = open(test_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? err_errno(e, errno, "'%s'", name) : 0;
}

/* "c.vmdk" of the raw disk. */
static void make_image(const char *subformat)
{
	char option[64];
	const char *options[] = {option, NULL};
	struct image_companions c = {make_companion, NULL, "c"};
	struct image_create_opts o = {.options = options, .companions = &c, .threads = 1};
	struct image_writer *w = NULL;
	struct image *im = NULL;
	int fd = open(test_path("c.vmdk"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	snprintf(option, sizeof(option), "subformat=%s", subformat);
	assert_ok(image_open(test_path("disk.raw"), NULL, &im, e));
	assert_ok(image_create(fd, "c.vmdk", "vmdk", SIZE, &o, &w, e));
	assert_ok(image_copy(im, w, NULL, e));
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	image_close(im);
	close(fd);
}

static void check(const char *path, struct image_check *c)
{
	struct image_open_opts o = {.format = "vmdk", .flags = IMAGE_INSPECT | IMAGE_ALLOW_EXTENTS};
	struct image *im = NULL;

	assert_ok(image_open(path, &o, &im, e));
	assert_ok(image_check_read(im, c, NULL, e));
	image_close(im);
}

/* So many errors and leaks, and one of the findings says so. */
static void expect(uint64_t errors, uint64_t leaks, const char *text)
{
	AUTO(image_check_release) struct image_check c = {0};
	bool found = !text;

	check(test_path("c.vmdk"), &c);
	for (size_t i = 0; i < c.n_findings && !found; i++)
		found = strstr(c.findings[i].text, text);
	if (c.n_errors != errors || c.n_leaks != leaks || !found) {
		for (size_t i = 0; i < c.n_findings; i++)
			print_message("%s\n", c.findings[i].text);
		fail_msg("%llu errors, %llu leaks; wanted '%s'", (unsigned long long)c.n_errors,
			 (unsigned long long)c.n_leaks, text ? text : "");
	}
}

static uint32_t peek(uint64_t off)
{
	AUTO_FD int fd = open(test_path("c.vmdk"), O_RDONLY | O_CLOEXEC);
	uint8_t v[4];

	assert_ok(fs_pread(fd, v, 4, off, e));
	return le32_get(v);
}

static void poke(uint64_t off, uint32_t value)
{
	AUTO_FD int fd = open(test_path("c.vmdk"), O_RDWR | O_CLOEXEC);
	uint8_t v[4];

	le32_put(v, value);
	assert_ok(fs_pwrite(fd, v, 4, off, e));
}

static void finds_nothing_in_good_images(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(subformats); i++) {
		make_image(subformats[i]);
		expect(0, 0, NULL);
	}
	run_ok("qemu-img", "convert", "-f", "raw", "-O", "vmdk", test_path("disk.raw"),
	       test_path("c.vmdk"));
	expect(0, 0, NULL);
	run_ok("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o",
	       "subformat=twoGbMaxExtentSparse", test_path("disk.raw"), test_path("c.vmdk"));
	expect(0, 0, NULL);
	/* QEMU leaves room behind its last compressed grain. */
	run_ok("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized",
	       test_path("disk.raw"), test_path("c.vmdk"));
	expect(0, 1, "are in use by nothing");
}

static void finds_what_is_wrong_with_tables(void **state)
{
	(void)state;
	make_image("monolithicSparse");
	assert_int_equal(peek(GT * SECTOR), GRAINS);
	poke(RGT * SECTOR + 4, 7);
	expect(1, 0, "redundant grain table 0 differs");
	make_image("monolithicSparse");
	poke(RGD * SECTOR + 4, 0);
	expect(1, 0, "redundant grain table 1 is missing");
	poke(RGD * SECTOR + 4, GT + 4);
	expect(1, 0, "redundant grain table 1 is the first copy itself");
	make_image("monolithicSparse");
	poke(GD * SECTOR + 4, 1000000);
	expect(1, 1, "grain directory's entry 1: the grain table at sector 1000000");
	make_image("monolithicSparse");
	poke(GD * SECTOR + 4, GT);
	/* Nor is it the second copy of the other one; which is lost, and its grains. */
	expect(2, 1, "grain table at sector 35 is in use twice");
}

static void finds_what_is_wrong_with_grains(void **state)
{
	(void)state;
	make_image("monolithicSparse");
	poke(GT * SECTOR + 4, GRAINS);
	expect(2, 1, "the grain at sector 128 is in use twice");
	make_image("monolithicSparse");
	poke(GT * SECTOR + 4, GRAINS + 5);
	expect(2, 1, "the grain at sector 133 is in use twice");
	make_image("monolithicSparse");
	poke(GT * SECTOR + 4, 0xfffffff0);
	expect(2, 1, "grain table 0, entry 1: the grain at sector 4294967280 lies past the end");
	make_image("monolithicSparse");
	poke(GT * SECTOR + 4, 0);
	poke(RGT * SECTOR + 4, 0);
	expect(0, 1, "128 sectors from 256 on are in use by nothing");
	make_image("monolithicSparse");
	/* 70 MiB are 1120 grains: 96 in the third table. */
	poke((GT + 8) * SECTOR + 96 * 4, GRAINS);
	poke((RGT + 8) * SECTOR + 96 * 4, GRAINS);
	expect(1, 0, "grain table 2: entry 96 lies past the disk's end");
}

static void finds_what_is_wrong_with_streams(void **state)
{
	uint64_t end, gd, gt;
	struct stat st;

	(void)state;
	make_image("streamOptimized");
	assert_int_equal(stat(test_path("c.vmdk"), &st), 0);
	end = (uint64_t)st.st_size;
	gd = (uint64_t)peek(end - 2 * SECTOR + HDR_GD) * SECTOR;
	gt = (uint64_t)peek(gd) * SECTOR;
	assert_int_equal(peek(gt), GRAINS);
	poke(GRAINS * SECTOR, 128);
	expect(1, 1, "the grain says it is for sector 128 of the disk, not 0");
	poke(GRAINS * SECTOR, 0);
	poke(gt + 4, GRAINS);
	expect(1, 1, "the grain says it is for sector 0 of the disk, not 128");
	make_image("streamOptimized");
	poke(end - 2 * SECTOR + HDR_OVERHEAD, 256);
	expect(1, 0, "footer and header differ at byte 64");
	make_image("streamOptimized");
	poke(gd + 4, 0);
	expect(0, 1, "are in use by nothing");
}

static void counts_what_it_does_not_keep(void **state)
{
	AUTO(image_check_release) struct image_check c = {0};

	(void)state;
	make_image("monolithicSparse");
	for (uint64_t i = 0; i < 512 + 512 + 96; i++) {
		poke(GT * SECTOR + i * 4, 0xffffff00);
		poke(RGT * SECTOR + i * 4, 0xffffff00);
	}
	check(test_path("c.vmdk"), &c);
	assert_int_equal(c.n_errors, 1120);
	assert_int_equal(c.n_findings, IMAGE_FINDINGS_MAX);
	assert_int_equal(c.n_leaks, 1);
	assert_int_equal(c.leaked, (16 + 5 + 1) * 128 * SECTOR);
}

static int set_up(void **state)
{
	int rc = make_test_dir(state);

	make_raw();
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_nothing_in_good_images),
		cmocka_unit_test(finds_what_is_wrong_with_tables),
		cmocka_unit_test(finds_what_is_wrong_with_grains),
		cmocka_unit_test(finds_what_is_wrong_with_streams),
		cmocka_unit_test(counts_what_it_does_not_keep),
	};

	return cmocka_run_group_tests(tests, set_up, remove_test_dir);
}
