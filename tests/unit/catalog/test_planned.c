/* SPDX-License-Identifier: Apache-2.0 */
/* A disk whose places are known before its data: what is written is there, and the digest is the file's. */
#include <sys/mman.h>
#include <unistd.h>

#include "catalog/pieces.h"
#include "catalog/planned.h"
#include "lib/digest.h"
#include "tests/unit/cmocka.h"

#define BLOCK (512 * KIB)

/* The third one lies in two L2 tables, of 512 MiB each; moved by a MiB it does not. */
static const struct fetch_run runs[] = {
	{0, BLOCK}, {5 * MIB, 2 * BLOCK}, {512 * MIB - BLOCK, 2 * BLOCK}};

/* Each cluster is full of a byte of its own; every fourth is zeros. */
static void fill(uint8_t *data, uint64_t off)
{
	for (size_t at = 0; at < BLOCK; at += PLANNED_CLUSTER) {
		uint64_t cluster = (off + at) / PLANNED_CLUSTER;

		memset(data + at, cluster % 4 == 1 ? 0 : (int)(cluster * 7 % 255 + 1),
		       PLANNED_CLUSTER);
	}
}

/* known: with its SHA-256. */
static void give(struct planned *p, uint64_t off, uint64_t shift, bool known)
{
	static uint8_t data[BLOCK];
	uint8_t sha256[DIGEST_MAX];

	fill(data, off);
	digest_of(DIGEST_SHA256, data, sizeof(data), sha256);
	if (known) {
		assert_int_equal(planned_write(p, data, sizeof(data), off + shift, sha256, NULL),
				 0);
		return;
	}
	/* As a head is taken from the first block; what is told is not of a whole piece. */
	assert_int_equal(planned_write(p, data, 512, off + shift, sha256, NULL), 0);
	assert_int_equal(planned_write(p, data + 512, BLOCK - 512, off + shift + 512, sha256, NULL),
			 0);
}

/* Whether the digest is the file's. */
static bool is_digest(int fd, struct planned *p)
{
	char hex[65], wanted[65];
	off_t size = lseek(fd, 0, SEEK_END);

	assert_int_equal(planned_finish(p, hex, NULL), 0);
	assert_int_equal(pieces_digest(fd, (uint64_t)size, NULL, NULL, wanted, NULL), 0);
	return strcmp(hex, wanted) == 0;
}

static void check_disk(int fd, uint64_t shift)
{
	static uint8_t wanted[BLOCK], found[BLOCK];
	const struct image_open_opts o = {.format = "qcow2"};
	AUTO(image_close) struct image *im = NULL;

	assert_int_equal(image_open_fd(dup(fd), "disk", &o, &im, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		for (uint64_t off = runs[i].off; off < runs[i].off + runs[i].len; off += BLOCK) {
			fill(wanted, off);
			assert_int_equal(image_pread(im, found, BLOCK, off + shift, NULL), 0);
			assert_memory_equal(found, wanted, BLOCK);
		}
	}
	memset(wanted, 0, BLOCK);
	assert_int_equal(image_pread(im, found, BLOCK, 100 * MIB, NULL), 0);
	assert_memory_equal(found, wanted, BLOCK);
}

/* Back to front; of blocks from `known` on the SHA-256 is given, too. */
static void make(uint64_t shift, uint64_t known)
{
	AUTO_FD int fd = memfd_create("disk", MFD_CLOEXEC);
	AUTO(planned_free) struct planned *p = NULL;

	assert_int_equal(planned_new(fd, "disk", GIB, runs, ARRAY_SIZE(runs), shift, &p, NULL), 0);
	for (size_t i = ARRAY_SIZE(runs); i-- > 0;) {
		for (uint64_t at = runs[i].len; at; at -= BLOCK) {
			uint64_t off = runs[i].off + at - BLOCK;

			give(p, off, shift, off >= known);
		}
	}
	assert_true(is_digest(fd, p));
	check_disk(fd, shift);
}

static void the_digest_is_the_files_whatever_was_known(void **state)
{
	(void)state;
	make(0, UINT64_MAX);
	make(0, 0);
	make(MIB, 0);
	make(MIB, 5 * MIB + BLOCK);
}

/* Each block is a piece of the file: else what is told of it would not matter. */
static void what_is_told_of_a_block_is_believed(void **state)
{
	static uint8_t data[BLOCK];
	const uint8_t wrong[DIGEST_MAX] = {1};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(runs); i++) {
		const struct fetch_run *run = &runs[i / 2];
		AUTO_FD int fd = memfd_create("disk", MFD_CLOEXEC);
		AUTO(planned_free) struct planned *p = NULL;
		uint64_t shift = i % 2 ? MIB : 0;

		assert_int_equal(
			planned_new(fd, "disk", GIB, runs, ARRAY_SIZE(runs), shift, &p, NULL), 0);
		fill(data, run->off);
		assert_int_equal(planned_write(p, data, BLOCK, shift + run->off + run->len - BLOCK,
					       wrong, NULL),
				 0);
		assert_false(is_digest(fd, p));
	}
}

static void zeros_that_were_given_a_place_take_no_space(void **state)
{
	const struct fetch_run one = {0, 4 * MIB};
	AUTO_FD int fd = memfd_create("disk", MFD_CLOEXEC);
	AUTO(planned_free) struct planned *p = NULL;
	AUTO_FREE uint8_t *zeros = calloc(1, 4 * MIB);

	(void)state;
	assert_int_equal(planned_new(fd, "disk", GIB, &one, 1, 0, &p, NULL), 0);
	assert_int_equal(planned_write(p, zeros, 4 * MIB, 0, NULL, NULL), 0);
	/* What is in front of them may lie in a page of 2 MiB. */
	assert_true(lseek(fd, 2 * MIB, SEEK_DATA) < 0);
	assert_true(is_digest(fd, p));
}

static void data_where_none_were_planned_are_refused(void **state)
{
	AUTO_FD int fd = memfd_create("disk", MFD_CLOEXEC);
	AUTO(planned_free) struct planned *p = NULL;
	uint8_t data[512] = {0};
	struct err e;

	(void)state;
	assert_int_equal(planned_new(fd, "disk", GIB, runs, ARRAY_SIZE(runs), 0, &p, NULL), 0);
	assert_int_equal(planned_write(p, data, sizeof(data), MIB, NULL, &e), 0);
	data[511] = 1;
	assert_int_equal(planned_write(p, data, sizeof(data), MIB, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "where none were to come"));
	assert_int_equal(planned_write(p, data, sizeof(data), GIB - 512, NULL, &e), -EINVAL);
}

static void a_run_behind_the_disk_is_refused(void **state)
{
	const struct fetch_run behind = {GIB, BLOCK};
	AUTO_FD int fd = memfd_create("disk", MFD_CLOEXEC);
	struct planned *p = NULL;
	struct err e;

	(void)state;
	assert_int_equal(planned_new(fd, "disk", GIB, &behind, 1, 0, &p, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_is_the_files_whatever_was_known),
		cmocka_unit_test(what_is_told_of_a_block_is_believed),
		cmocka_unit_test(zeros_that_were_given_a_place_take_no_space),
		cmocka_unit_test(data_where_none_were_planned_are_refused),
		cmocka_unit_test(a_run_behind_the_disk_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
