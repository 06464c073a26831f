/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing in place to QCOW2 images of every kind, against a twin in memory and qemu-img check; a
 * few writes to some kinds, but in test_qcow2_update_slow.
 */
#include "tests/unit/imgconv/helper.h"

#ifndef THOROUGH
#define THOROUGH false
#endif

#define SIZE (3 * MIB + 512)

static uint8_t *twin;

/* Patterns over an image that is made by qemu-img with the given options from a raw file. */
static void write_patterns(const char *path, unsigned rounds)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	AUTO_FREE uint8_t *data = malloc(SIZE);
	struct image *im = NULL;

	if (!THOROUGH)
		rounds = 4;
	assert_ok(image_open(path, &o, &im, e));
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t off = rng(SIZE);
		size_t len = rng_len(rng(8) ? 20000 : 300000, SIZE - off);

		fill(data, len);
		assert_ok(image_pwrite(im, data, len, off, e));
		memcpy(twin + off, data, len);
		if (rng(3) == 0) {
			assert_ok(image_flush(im, e));
			check_with_qemu(path);
		}
		/* What was written is read back before it is flushed. */
		off = rng(SIZE);
		len = rng_len(100000, SIZE - off);
		assert_ok(image_pread(im, data, len, off, e));
		assert_memory_equal(data, twin + off, len);
		/* What a crash would leave now is no corrupt image; leaks are none either. */
		if (rng(4) == 0) {
			copy_file(path, test_path("crash.qcow2"));
			check_with_qemu(test_path("crash.qcow2"));
		}
	}
	assert_ok(image_flush(im, e));
	image_close(im);
}

static void make_twin(void)
{
	twin = calloc(1, SIZE);
	for (unsigned i = 0; i < 12; i++) {
		uint64_t off = rng(SIZE);

		fill(twin + off, rng_len(200000, SIZE - off));
	}
	write_file(test_path("twin.raw"), twin, SIZE);
}

static void check_image(const char *path)
{
	check_with_qemu(path);
	assert_contents(path, "qcow2", twin, SIZE);
	write_file(test_path("twin.raw"), twin, SIZE);
	run_ok("qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", test_path("twin.raw"),
	       path);
}

struct kind {
	const char *options;
	bool compressed;
	unsigned rounds;
};

static void try_kind(const struct kind *k)
{
	const char *path = test_path("a.qcow2");

	make_twin();
	if (k->compressed)
		run_ok("qemu-img", "convert", "-q", "-c", "-f", "raw", "-O", "qcow2", "-o",
		       k->options, test_path("twin.raw"), path);
	else
		run_ok("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-o", k->options,
		       test_path("twin.raw"), path);
	write_patterns(path, k->rounds);
	check_image(test_path("a.qcow2"));
	free(STEAL(twin));
}

/* Ended by one without options; the first is the most particular. */
static void try_kinds(const struct kind *k)
{
	do
		try_kind(k++);
	while (THOROUGH && k->options);
}

static void writes_into_plain_images_of_all_cluster_sizes(void **state)
{
	static const struct kind kinds[] = {
		{"cluster_size=512", false, 12},     {"cluster_size=1024", false, 12},
		{"cluster_size=4096", false, 12},    {"cluster_size=65536", false, 30},
		{"cluster_size=2097152", false, 12}, {0},
	};

	(void)state;
	rng_state = 11;
	try_kinds(kinds);
}

static void writes_into_compressed_images(void **state)
{
	static const struct kind kinds[] = {
		{"cluster_size=65536", true, 30},
		{"cluster_size=512", true, 10},
		{"cluster_size=4096", true, 15},
		{"cluster_size=65536,compression_type=zstd", true, 20},
		{"cluster_size=2097152", true, 10},
		{0},
	};

	(void)state;
	rng_state = 12;
	try_kinds(kinds);
}

static void writes_into_version_2(void **state)
{
	static const struct kind kinds[] = {
		{"compat=0.10", true, 20},
		{"compat=0.10", false, 20},
		{0},
	};

	(void)state;
	rng_state = 13;
	try_kinds(kinds);
}

static void writes_with_all_refcount_widths(void **state)
{
	static const struct kind kinds[] = {
		{"refcount_bits=1", false, 10},
		{"refcount_bits=2", false, 10},
		{"refcount_bits=4", false, 10},
		{"refcount_bits=8", false, 10},
		{"refcount_bits=32", false, 10},
		{"refcount_bits=64", false, 10},
		{0},
	};

	(void)state;
	rng_state = 14;
	try_kinds(kinds);
}

static void writes_into_preallocated_and_lazy_images(void **state)
{
	static const struct kind kinds[] = {
		{"preallocation=metadata", false, 20},
		{"preallocation=full", false, 10},
		{"lazy_refcounts=on", false, 20},
		{0},
	};

	(void)state;
	rng_state = 15;
	try_kinds(kinds);
}

/* A small refcount table, so that the file outgrows it: 64 entries of 32 clusters of 512 bytes. */
static void grows_the_refcount_table(void **state)
{
	const char *path = test_path("g.qcow2");
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	AUTO_FREE uint8_t *data = malloc(64 * KIB);
	struct image *im = NULL;

	(void)state;
	rng_state = 16;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=512,refcount_bits=64",
	       path, "40M");
	assert_ok(image_open(path, &o, &im, e));
	for (uint64_t off = 0; off < 20 * MIB; off += 64 * KIB) {
		for (size_t i = 0; i < 64 * KIB; i++)
			data[i] = (uint8_t)(1 + off / (64 * KIB) + i / 512);
		assert_ok(image_pwrite(im, data, 64 * KIB, off, e));
	}
	assert_ok(image_flush(im, e));
	image_close(im);
	check_with_qemu(path);
	assert_ok(image_open(path, NULL, &im, e));
	for (uint64_t off = 0; off < 20 * MIB; off += 64 * KIB) {
		assert_ok(image_pread(im, data, 64 * KIB, off, e));
		for (size_t i = 0; i < 64 * KIB; i++)
			assert_int_equal(data[i], (uint8_t)(1 + off / (64 * KIB) + i / 512));
	}
	image_close(im);
}

static void writes_zero_clusters_that_keep_their_place(void **state)
{
	const char *path = test_path("z.qcow2");

	(void)state;
	rng_state = 17;
	make_twin();
	run_ok("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", test_path("twin.raw"),
	       path);
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -z 64k 1M", "-c", "write -z 2M 4k", path);
	memset(twin + 64 * KIB, 0, MIB);
	memset(twin + 2 * MIB, 0, 4 * KIB);
	write_patterns(path, 25);
	check_image(test_path("z.qcow2"));
	free(STEAL(twin));
}

/* The clone's reads go through to the backing image; writes stay in the clone. */
static void writes_into_a_clone_without_touching_its_backing_image(void **state)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR | IMAGE_ALLOW_BACKING};
	AUTO_FREE uint8_t *before = malloc(SIZE);
	uint8_t data[5000];
	struct image *im = NULL;

	(void)state;
	rng_state = 18;
	make_twin();
	memcpy(before, twin, SIZE);
	run_ok("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", test_path("twin.raw"),
	       test_path("base.qcow2"));
	assert_ok(image_create_clone(test_path("clone.qcow2"), test_path("base.qcow2"), "qcow2", 0,
				     e));
	assert_ok(image_open(test_path("clone.qcow2"), &o, &im, e));
	for (unsigned i = 0; i < 30; i++) {
		uint64_t off = rng(SIZE - sizeof(data));

		fill(data, sizeof(data));
		memcpy(twin + off, data, sizeof(data));
		assert_ok(image_pwrite(im, data, sizeof(data), off, e));
	}
	assert_ok(image_flush(im, e));
	image_close(im);
	check_with_qemu(test_path("clone.qcow2"));
	write_file(test_path("twin.raw"), twin, SIZE);
	run_ok("qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", test_path("twin.raw"),
	       test_path("clone.qcow2"));
	assert_contents(test_path("base.qcow2"), "qcow2", before, SIZE);
	free(STEAL(twin));
}

static void refuses_to_write_what_it_could_not_keep_right(void **state)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	const char *path = test_path("r.qcow2");
	struct image *im = NULL;

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", path, "1M");
	run_ok("qemu-img", "snapshot", "-c", "one", path);
	assert_fails(image_open(path, &o, &im, e), ENOTSUP, "snapshots");
	run_ok("qemu-img", "snapshot", "-d", "one", path);
	run_ok("qemu-img", "bitmap", "--add", path, "b");
	assert_fails(image_open(path, &o, &im, e), ENOTSUP, "bitmaps");
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-o", "extended_l2=on", path, "1M");
	assert_fails(image_open(path, &o, &im, e), ENOTSUP, "extended L2");
}

/* A cluster whose refcount is not 1 is shared with something we do not see. */
static void refuses_to_write_a_cluster_that_is_counted_twice(void **state)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	const char *path = test_path("c.qcow2");
	struct image *im = NULL;
	uint8_t two[2] = {0, 2};
	int fd;

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", path, "1M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 64k", path);
	/* Header, refcount table, refcount block, L1, L2, data: the block is cluster 2. */
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_ok(fs_pwrite(fd, two, 2, 2 * 65536 + 5 * 2, e));
	close(fd);
	assert_ok(image_open(path, &o, &im, e));
	assert_fails(image_pwrite(im, two, 2, 0, e), EBADMSG, "refcount");
	image_close(im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_into_plain_images_of_all_cluster_sizes),
		cmocka_unit_test(writes_into_compressed_images),
		cmocka_unit_test(writes_into_version_2),
		cmocka_unit_test(writes_with_all_refcount_widths),
		cmocka_unit_test(writes_into_preallocated_and_lazy_images),
		cmocka_unit_test(grows_the_refcount_table),
		cmocka_unit_test(writes_zero_clusters_that_keep_their_place),
		cmocka_unit_test(writes_into_a_clone_without_touching_its_backing_image),
		cmocka_unit_test(refuses_to_write_what_it_could_not_keep_right),
		cmocka_unit_test(refuses_to_write_a_cluster_that_is_counted_twice),
	};

	return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
