/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk consists of, how large a copy of it becomes, and a part of it. */
#include "tests/unit/imgconv/helper.h"

#include <sys/stat.h>

#define SIZE (2 * MIB + 7 * 512)

#define HOLE (3 * 4096) /* at its beginning; ends inside of larger units */

/* The file, without holes but for this one. */
static void write_holed(const char *path, const uint8_t *disk)
{
	int fd;

	write_file(path, disk, SIZE);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, HOLE);
	close(fd);
}

/* A disk of runs; the same in raw files of different holes and in a QCOW2 of small clusters. */
static uint8_t *make_disks(void)
{
	struct image_create_opts o = {.cluster_size = 512, .threads = 2};
	uint8_t *disk = calloc(1, SIZE);
	const char *path = test_path("m.qcow2");
	struct image_writer *w = NULL;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_non_null(disk);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < 12; i++) {
		uint64_t off = rng(SIZE / 512) * 512;

		fill(disk + off, rng_len(100000, SIZE - off));
	}
	memset(disk, 0, HOLE);
	write_file(test_path("full.raw"), disk, SIZE);
	write_holed(test_path("holed.raw"), disk);
	copy_file(test_path("full.raw"), test_path("m.raw"));
	assert_ok(image_create(fd, path, "qcow2", SIZE, &o, &w, e));
	assert_ok(image_writer_write(w, disk, SIZE, 0, e));
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	close(fd);
	return disk;
}

struct seen {
	const uint8_t *disk;
	bool *edges; /* one a sector: an extent of the image begins there */
	uint64_t end;
	int last; /* kind; -1: none */
	uint32_t unit;
	unsigned left; /* extents until it fails; 0: never */
};

/*
 * No gap, no overlap, no two alike side by side; what is called zero is zero. With a unit, extents
 * begin where units do or extents of the image, and data in a unit that is not zero.
 */
static int look(void *ctx, const struct extent *x, struct err *e)
{
	struct seen *s = ctx;

	assert_int_equal(x->start, s->end);
	assert_true(x->length > 0 && x->length <= SIZE - x->start);
	assert_int_not_equal(x->kind, s->last);
	if (x->kind != EXTENT_DATA)
		assert_true(mem_is_zero(s->disk + x->start, x->length));
	if (s->unit)
		assert_true(x->start % s->unit == 0 || s->edges[x->start / 512]);
	else
		s->edges[x->start / 512] = true;
	for (unsigned side = 0; s->unit && x->kind == EXTENT_DATA && side < 2; side++) {
		uint64_t at = side ? x->start + x->length - 1 : x->start;
		uint64_t first = at - at % s->unit;

		assert_false(mem_is_zero(s->disk + first, MIN((uint64_t)s->unit, SIZE - first)));
	}
	s->end = x->start + x->length;
	s->last = (int)x->kind;
	if (s->left && !--s->left)
		return err_set(e, EPIPE, "that is enough");
	return 0;
}

static const char *const images[] = {"m.raw", "full.raw", "holed.raw", "m.qcow2"};

static void maps_every_byte_once(void **state)
{
	static const uint32_t units[] = {0, 512, 4096, 64 * KIB, MIB};

	(void)state;
	rng_state = 31;
	for (unsigned round = 0; round < 10; round++) {
		AUTO_FREE uint8_t *disk = make_disks();
		static bool edges[ARRAY_SIZE(images)][SIZE / 512];

		memset(edges, 0, sizeof(edges));
		for (size_t i = 0; i < ARRAY_SIZE(images) * ARRAY_SIZE(units); i++) {
			struct seen s = {.disk = disk,
					 .edges = edges[i % ARRAY_SIZE(images)],
					 .last = -1,
					 .unit = units[i / ARRAY_SIZE(images)]};
			AUTO(image_close) struct image *im = NULL;

			assert_ok(image_open(test_path(images[i % ARRAY_SIZE(images)]), NULL, &im,
					     e));
			assert_ok(image_map(im, s.unit, look, &s, NULL, e));
			assert_int_equal(s.end, SIZE);
		}
	}
}

static void ends_when_it_is_told_to(void **state)
{
	AUTO_FREE uint8_t *disk = NULL;

	(void)state;
	rng_state = 32;
	disk = make_disks();
	for (unsigned i = 0; i < 8; i++) {
		static bool edges[SIZE / 512];
		struct seen s = {.disk = disk, .edges = edges, .last = -1, .left = 1 + i / 2};
		AUTO(image_close) struct image *im = NULL;

		memset(edges, true, sizeof(edges));
		s.unit = i % 2 ? 512 : 0;
		assert_ok(image_open(test_path("m.qcow2"), NULL, &im, e));
		assert_fails(image_map(im, s.unit, look, &s, NULL, e), EPIPE, "that is enough");
	}
}

/* Bytes of the file that a copy really is. */
static uint64_t copied_size(const char *from, const struct image_create_opts *o)
{
	const char *path = test_path("copy.qcow2");
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	AUTO(image_close) struct image *im = NULL;
	struct image_writer *w = NULL;
	struct stat st;

	assert_true(fd >= 0);
	assert_ok(image_open(test_path(from), NULL, &im, e));
	assert_ok(image_create(fd, path, "qcow2", SIZE, o, &w, e));
	assert_ok(image_copy(im, w, NULL, e));
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static void measures_what_a_copy_becomes(void **state)
{
	(void)state;
	rng_state = 33;
	for (unsigned round = 0; round < 30; round++) {
		AUTO_FREE uint8_t *disk = make_disks();
		struct image_create_opts o = {.cluster_size = 512ull << rng(9)};
		const char *from = images[round % ARRAY_SIZE(images)];
		AUTO(image_close) struct image *im = NULL;
		struct image_measure exact, bound;
		uint64_t size = copied_size(from, &o);

		assert_ok(image_open(test_path(from), NULL, &im, e));
		assert_ok(image_measure(im, 0, "qcow2", &o, true, &exact, NULL, e));
		assert_ok(image_measure(im, 0, "qcow2", &o, false, &bound, NULL, e));
		assert_true(exact.exact);
		assert_int_equal(exact.size, SIZE);
		assert_int_equal(exact.required, size);
		assert_true(exact.allocated <= exact.required);
		assert_true(bound.required >= size && bound.allocated >= exact.allocated);
		o.compression = IMAGE_COMPRESS_ZLIB;
		assert_ok(image_measure(im, 0, "qcow2", &o, true, &bound, NULL, e));
		assert_false(bound.exact);
		assert_true(bound.required >= copied_size(from, &o));
	}
}

static void measures_nothing_that_cannot_be_made(void **state)
{
	struct image_create_opts o = {.compression = IMAGE_COMPRESS_ZSTD};
	struct image_measure m;

	(void)state;
	assert_fails(image_measure(NULL, MIB, "vhs", NULL, false, &m, NULL, e), ENOTSUP, "'vhs'");
	assert_fails(image_measure(NULL, MIB, "raw", &o, false, &m, NULL, e), ENOTSUP,
		     "not compressed that way");
	assert_fails(image_measure(NULL, 0, "raw", NULL, false, &m, NULL, e), EINVAL, "0 bytes");
	assert_fails(image_measure(NULL, INT64_MAX, "raw", NULL, false, &m, NULL, e), EINVAL,
		     "more than a raw image holds");
}

static void clips_what_is_zero_alone(void **state)
{
	AUTO_FREE uint8_t *disk = calloc(1, SIZE);
	uint8_t byte;

	(void)state;
	disk[MIB] = 1;
	write_file(test_path("m.raw"), disk, SIZE);
	for (unsigned i = 0; i < 2; i++) {
		AUTO(image_close) struct image *im = NULL;

		assert_ok(image_open(test_path("m.raw"), NULL, &im, e));
		assert_fails(image_clip(im, MIB, e), ENOSPC, "a smaller disk would lose");
		assert_int_equal(image_size(im), SIZE);
		assert_ok(image_clip(im, MIB + 1, e));
		assert_int_equal(image_size(im), MIB + 1);
		assert_ok(image_pread(im, &byte, 1, MIB, e));
		assert_int_equal(byte, 1);
		assert_fails(image_pread(im, &byte, 1, MIB + 1, e), EINVAL, "past the disk's end");
		/* It does not become larger again. */
		assert_ok(image_clip(im, SIZE, e));
		assert_int_equal(image_size(im), MIB + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_every_byte_once),
		cmocka_unit_test(ends_when_it_is_told_to),
		cmocka_unit_test(measures_what_a_copy_becomes),
		cmocka_unit_test(measures_nothing_that_cannot_be_made),
		cmocka_unit_test(clips_what_is_zero_alone),
	};

	return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
