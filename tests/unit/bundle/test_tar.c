/* SPDX-License-Identifier: Apache-2.0 */
/* The one-member tar reader, on archives that are put together here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bundle/tar.h"
#include "tests/unit/bundle/tarball.h"

#define SINK_SIZE 65536

struct sink {
	uint8_t data[SINK_SIZE];
	uint64_t end;
	unsigned writes;
	int fail; /* an errno to fail with */
};

static int sink_write(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct sink *s = ctx;

	if (s->fail)
		return err_set(e, s->fail, "the sink is full");
	assert_true(len > 0);
	assert_true(off >= s->end);
	assert_true(range_within(off, len, SINK_SIZE));
	memcpy(s->data + off, data, len);
	s->end = off + len;
	s->writes++;
	return 0;
}

/* Reads b in pieces of step bytes. */
static int read_in_steps(const struct buf *b, uint64_t size, size_t step, struct sink *s,
			 struct err *e)
{
	AUTO(tar_reader_free) struct tar_reader *t = NULL;
	const struct bundle_sink sink = {.write = sink_write, .ctx = s};
	int rc = tar_reader_new(size, s ? &sink : NULL, &t, e);

	for (size_t i = 0; rc == 0 && i < b->len; i += step)
		rc = tar_reader_feed(t, b->data + i, MIN(step, b->len - i), e);
	return rc < 0 ? rc : tar_reader_finish(t, e);
}

/* The archive is good and gives `want`, however it is cut. */
static void expect_file(const struct buf *b, const void *want, uint64_t size)
{
	static const size_t steps[] = {1, 7, 511, 512, 513, SIZE_MAX / 2};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct sink *s = calloc(1, sizeof(*s));
		struct err e = {0};

		if (read_in_steps(b, size, steps[i], s, &e) < 0)
			fail_msg("step %zu: %s", steps[i], e.msg);
		assert_memory_equal(s->data, want, size);
		free(s);
	}
}

static void expect_error(const struct buf *b, uint64_t size, int code, const char *part)
{
	struct sink *s = calloc(1, sizeof(*s));
	struct err e = {0};

	assert_int_equal(read_in_steps(b, size, 512, s, &e), -code);
	if (!strstr(e.msg, part))
		fail_msg("'%s' does not hold '%s'", e.msg, part);
	memset(s, 0, sizeof(*s));
	assert_int_equal(read_in_steps(b, size, 100, s, &e), -code);
	free(s);
}

static void a_plain_file_is_read_from_gnu_and_posix_headers(void **state)
{
	static const char types[] = {'0', '\0', '7'};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		AUTO_BUF b = BUF_INIT;

		tarball_header(&b, types[i % 3], 5, i < 3);
		tarball_data(&b, "hello", 5);
		tarball_zeros(&b, 1024);
		expect_file(&b, "hello", 5);
	}
}

static void a_size_in_base_256_is_read(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	tarball_header(&b, '0', 0, true);
	tarball_base256(b.data + 124, 5);
	tarball_checksum(b.data);
	tarball_data(&b, "hello", 5);
	expect_file(&b, "hello", 5);
}

static void a_negative_or_oversized_number_is_refused(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	tarball_header(&b, '0', 0, true);
	memset(b.data + 124, 0xff, 12);
	tarball_checksum(b.data);
	expect_error(&b, 5, EBADMSG, "size at byte 124");
	memcpy(b.data + 124, "00000000009\0", 12);
	tarball_checksum(b.data);
	expect_error(&b, 5, EBADMSG, "size at byte 124");
}

static void zeros_behind_the_file_are_no_error_and_needed_in_whole_blocks(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	tarball_header(&b, '0', 512, true);
	tarball_zeros(&b, 512);
	b.data[512] = 'x';
	b.data[1023] = 'y';
	expect_file(&b, b.data + 512, 512);
	tarball_zeros(&b, 10240);
	expect_file(&b, b.data + 512, 512);
	tarball_zeros(&b, 100);
	expect_error(&b, 512, EBADMSG, "in the padding behind the file");
	tarball_zeros(&b, 1 << 20);
	expect_error(&b, 512, EFBIG, "zeros follow the file");
}

static void long_names_and_pax_names_are_passed_over(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	tarball_header(&b, 'L', 7, true);
	tarball_data(&b, "../../a", 7);
	tarball_header(&b, 'g', 0, false);
	tarball_pax(&b, (const char *const[]){"path=/etc/passwd", "mtime=1.5", NULL});
	tarball_header(&b, '0', 5, true);
	tarball_data(&b, "hello", 5);
	tarball_zeros(&b, 1024);
	expect_file(&b, "hello", 5);
}

static void a_pax_size_replaces_the_headers(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	tarball_pax(&b, (const char *const[]){"size=5", NULL});
	tarball_header(&b, '0', 0, false);
	tarball_data(&b, "hello", 5);
	expect_file(&b, "hello", 5);
}

static void every_other_type_of_member_is_refused(void **state)
{
	(void)state;
	for (const char *type = "123456DMNVX"; *type; type++) {
		AUTO_BUF b = BUF_INIT;

		tarball_header(&b, *type, 0, true);
		tarball_zeros(&b, 1024);
		expect_error(&b, 5, EBADMSG, "no regular file");
	}
}

static void a_second_member_is_refused(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 2; i++) {
		tarball_header(&b, '0', 5, true);
		tarball_data(&b, "hello", 5);
	}
	tarball_zeros(&b, 1024);
	expect_error(&b, 5, EBADMSG, "a second member");
}

static void a_second_member_behind_the_end_mark_is_refused(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	tarball_header(&b, '0', 5, true);
	tarball_data(&b, "hello", 5);
	tarball_zeros(&b, 1024);
	tarball_header(&b, '0', 0, true);
	expect_error(&b, 5, EBADMSG, "tar at 0x800: more than zeros follow");
}

static void headers_that_are_damaged_are_refused(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	tarball_header(&b, '0', 5, true);
	tarball_data(&b, "hello", 5);
	b.data[0] ^= 1;
	expect_error(&b, 5, EBADMSG, "checksum is wrong");
	b.data[0] ^= 1;
	b.data[257] = 'U';
	expect_error(&b, 5, EBADMSG, "no tar header");
	memset(b.data, 0, 512);
	expect_error(&b, 5, EBADMSG, "ends without a file");
}

static void a_file_of_another_size_is_refused_before_its_data(void **state)
{
	AUTO_BUF b = BUF_INIT;
	struct sink *s = calloc(1, sizeof(*s));
	struct err e;

	(void)state;
	tarball_header(&b, '0', 6, true);
	tarball_data(&b, "hello!", 6);
	assert_int_equal(read_in_steps(&b, 5, 4096, s, &e), -EBADMSG);
	assert_int_equal(s->writes, 0);
	assert_non_null(strstr(e.msg, "file has 6 bytes, not 5"));
	free(s);
}

static void an_archive_that_ends_early_says_where(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	expect_error(&b, 5, EBADMSG, "tar ends at 0x0, before the file's data");
	tarball_header(&b, '0', 5, true);
	b.len = 500;
	expect_error(&b, 5, EBADMSG, "before the file's data");
	b.len = 512;
	expect_error(&b, 5, EBADMSG, "in the file's data");
	tarball_data(&b, "hello", 5);
	b.len = 512 + 4;
	expect_error(&b, 5, EBADMSG, "tar ends at 0x204, in the file's data");
	b.len = 512 + 5;
	expect_error(&b, 5, EBADMSG, "in the padding");
}

/* ---- sparse ---------------------------------------------------------------------------------- */

struct extent_at {
	uint64_t start, length;
};

/* An old-GNU sparse member; what is stored of extent i is the letter 'a' + i. */
static void gnu_sparse(struct buf *b, uint64_t size, const struct extent_at *x, size_t n)
{
	size_t header = b->len, in_header = MIN(n, 4), done = in_header;
	uint64_t stored = 0;

	tarball_header(b, 'S', 0, true);
	for (size_t i = 0; i < n; i++)
		stored += x[i].length;
	for (size_t i = 0; i < in_header; i++) {
		tarball_octal(b->data + header + 386 + 24 * i, x[i].start);
		tarball_octal(b->data + header + 398 + 24 * i, x[i].length);
	}
	b->data[header + 482] = n > in_header;
	tarball_octal(b->data + header + 483, size);
	tarball_octal(b->data + header + 124, stored);
	tarball_checksum(b->data + header);
	while (done < n) {
		char block[512] = {0};
		size_t k = MIN(n - done, 21);

		for (size_t i = 0; i < k; i++) {
			tarball_octal(block + 24 * i, x[done + i].start);
			tarball_octal(block + 24 * i + 12, x[done + i].length);
		}
		done += k;
		block[504] = done < n;
		(void)buf_add(b, block, sizeof(block));
	}
	for (size_t i = 0; i < n; i++) {
		char block[2048];

		assert_true(x[i].length <= sizeof(block));
		memset(block, 'a' + (int)(i % 26), sizeof(block));
		tarball_data(b, block, x[i].length);
	}
}

static void sparse_want(uint8_t *want, const struct extent_at *x, size_t n)
{
	memset(want, 0, SINK_SIZE);
	for (size_t i = 0; i < n; i++)
		memset(want + x[i].start, 'a' + (int)(i % 26), x[i].length);
}

static void an_old_gnu_sparse_file_keeps_its_holes(void **state)
{
	static const size_t counts[] = {0, 1, 4, 5, 24, 25, 26, 46, 47, 60};
	static uint8_t want[SINK_SIZE];
	struct extent_at x[60];

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		AUTO_BUF b = BUF_INIT;
		size_t n = counts[c];

		for (size_t i = 0; i < n; i++)
			x[i] = (struct extent_at){.start = i * 1024, .length = 512};
		if (n)
			x[n - 1].length = 100;
		gnu_sparse(&b, SINK_SIZE, x, n);
		tarball_zeros(&b, 1024);
		sparse_want(want, x, n);
		expect_file(&b, want, SINK_SIZE);
	}
}

static void a_last_map_entry_of_no_length_marks_the_size(void **state)
{
	static const struct extent_at x[] = {{0, 512}, {4096, 1024}, {60000, 0}};
	static uint8_t want[SINK_SIZE];
	AUTO_BUF b = BUF_INIT;

	(void)state;
	gnu_sparse(&b, 60000, x, ARRAY_SIZE(x));
	tarball_zeros(&b, 1024);
	sparse_want(want, x, ARRAY_SIZE(x));
	expect_file(&b, want, 60000);
}

static void sparse_maps_that_lie_are_refused(void **state)
{
	static const struct {
		struct extent_at x[3];
		const char *part;
	} cases[] = {
		{{{0, 512}, {256, 512}, {0, 0}}, "begins before the end"},
		{{{4096, 512}, {0, 512}, {0, 0}}, "begins before the end"},
		{{{0, 512}, {65024, 513}, {0, 0}}, "exceeds the file's 65536 bytes"},
		{{{0, 512}, {65536, 512}, {0, 0}}, "exceeds the file's 65536 bytes"},
		{{{0, 100}, {4096, 512}, {0, 0}}, "not whole blocks"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_BUF b = BUF_INIT;

		gnu_sparse(&b, SINK_SIZE, cases[i].x, 2);
		expect_error(&b, SINK_SIZE, EBADMSG, cases[i].part);
	}
}

static void a_sparse_map_must_add_up_to_what_is_stored(void **state)
{
	static const struct extent_at x[] = {{0, 512}, {4096, 1024}};
	AUTO_BUF b = BUF_INIT;

	(void)state;
	gnu_sparse(&b, SINK_SIZE, x, ARRAY_SIZE(x));
	tarball_octal(b.data + 124, 512);
	tarball_checksum(b.data);
	expect_error(&b, SINK_SIZE, EBADMSG, "describes 1536 bytes, the header says 512");
}

static void a_sparse_file_of_another_size_is_refused(void **state)
{
	static const struct extent_at x[] = {{0, 512}};
	AUTO_BUF b = BUF_INIT;

	(void)state;
	gnu_sparse(&b, 4096, x, ARRAY_SIZE(x));
	expect_error(&b, 8192, EBADMSG, "file has 4096 bytes, not 8192");
}

static void a_sparse_member_needs_a_gnu_header(void **state)
{
	static const struct extent_at x[] = {{0, 512}};
	AUTO_BUF b = BUF_INIT;

	(void)state;
	gnu_sparse(&b, 4096, x, ARRAY_SIZE(x));
	memcpy(b.data + 257,
	       "ustar\0"
	       "00",
	       8);
	tarball_checksum(b.data);
	expect_error(&b, 4096, EBADMSG, "needs a GNU header");
}

static void a_map_that_goes_on_after_its_end_is_refused(void **state)
{
	static const struct extent_at x[] = {{0, 512}};
	AUTO_BUF b = BUF_INIT;

	(void)state;
	gnu_sparse(&b, 4096, x, ARRAY_SIZE(x));
	b.data[482] = 1;
	tarball_checksum(b.data);
	expect_error(&b, 4096, EBADMSG, "goes on after its end");
}

static void pax_sparse_files_of_all_three_versions_are_read(void **state)
{
	static const struct extent_at x[] = {{0, 512}, {4096, 512}, {8192, 0}};
	static uint8_t want[SINK_SIZE];
	const char map[512] = "3\n0\n512\n4096\n512\n8192\n0\n";
	const char *const v00[] = {
		"GNU.sparse.size=8192",    "GNU.sparse.numblocks=3", "GNU.sparse.offset=0",
		"GNU.sparse.numbytes=512", "GNU.sparse.offset=4096", "GNU.sparse.numbytes=512",
		"GNU.sparse.offset=8192",  "GNU.sparse.numbytes=0",  NULL};
	const char *const v01[] = {"GNU.sparse.size=8192", "GNU.sparse.numblocks=3",
				   "GNU.sparse.map=0,512,4096,512,8192,0", NULL};
	const char *const v10[] = {"GNU.sparse.major=1", "GNU.sparse.minor=0",
				   "GNU.sparse.realsize=8192", NULL};
	const char *const *records[] = {v00, v01, v10};

	(void)state;
	sparse_want(want, x, ARRAY_SIZE(x));
	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		AUTO_BUF b = BUF_INIT;
		char block[512];

		tarball_pax(&b, records[i]);
		tarball_header(&b, '0', i == 2 ? 1536 : 1024, false);
		if (i == 2)
			(void)buf_add(&b, map, sizeof(map));
		for (int k = 0; k < 2; k++) {
			memset(block, 'a' + k, sizeof(block));
			tarball_data(&b, block, sizeof(block));
		}
		tarball_zeros(&b, 1024);
		expect_file(&b, want, 8192);
	}
}

static void a_pax_map_may_span_blocks(void **state)
{
	static uint8_t want[SINK_SIZE];
	AUTO_BUF b = BUF_INIT;
	AUTO_BUF map = BUF_INIT;
	char block[512];

	(void)state;
	(void)buf_addf(&map, "60\n");
	for (int i = 0; i < 60; i++)
		(void)buf_addf(&map, "%d\n512\n", i * 1024);
	tarball_pax(&b, (const char *const[]){"GNU.sparse.major=1", "GNU.sparse.minor=0",
					      "GNU.sparse.realsize=65536", NULL});
	tarball_header(&b, '0', round_up(map.len, 512) + 60 * (uint64_t)512, false);
	tarball_data(&b, map.data, map.len);
	assert_true(map.len > 512);
	memset(block, 'z', sizeof(block));
	for (int i = 0; i < 60; i++) {
		tarball_data(&b, block, sizeof(block));
		memset(want + (size_t)i * 1024, 'z', 512);
	}
	expect_file(&b, want, SINK_SIZE);
}

static void pax_records_that_lie_are_refused(void **state)
{
	static const struct {
		const char *record, *part;
	} cases[] = {
		{"GNU.sparse.map=0,512", "without its real size"},
		{"size=99999999999999999999", "a number has 20 digits"},
		{"size=9999999999999999999", "is too large"},
		{"size=-5", "no decimal number"},
		{"GNU.sparse.numbytes=5", "a length has no offset"},
		{"GNU.sparse.map=0,512,1", "an offset has no length"},
		{"GNU.sparse.major=2", "without its real size"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_BUF b = BUF_INIT;

		tarball_pax(&b, (const char *const[]){cases[i].record, NULL});
		tarball_header(&b, '0', 512, false);
		expect_error(&b, 512, EBADMSG, cases[i].part);
	}
}

static void an_unknown_sparse_version_is_named(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	tarball_pax(&b, (const char *const[]){"GNU.sparse.major=1", "GNU.sparse.minor=7",
					      "GNU.sparse.realsize=512", NULL});
	tarball_header(&b, '0', 512, false);
	expect_error(&b, 512, ENOTSUP, "GNU.sparse version 1.7");
}

static void pax_records_with_wrong_lengths_are_refused(void **state)
{
	static const char *const cases[] = {
		"5 a=b",   "99 a=b\n", "4 a=b\n", "x a=b\n",
		"6 abc\n", "6 =ab\n",  "0 \n",    "18446744073709551615 a=b\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_BUF b = BUF_INIT;

		tarball_header(&b, 'x', strlen(cases[i]), false);
		tarball_data(&b, cases[i], strlen(cases[i]));
		expect_error(&b, 5, EBADMSG, "PAX record");
	}
}

static void headers_without_end_are_refused(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	tarball_header(&b, 'x', UINT64_C(1) << 32, false);
	expect_error(&b, 5, EFBIG, "4294967296 bytes");
	buf_clear(&b);
	for (int i = 0; i < 20; i++)
		tarball_header(&b, 'x', 0, false);
	expect_error(&b, 5, EFBIG, "more than 16 headers");
}

static void an_error_of_the_sink_comes_through_unchanged(void **state)
{
	AUTO_BUF b = BUF_INIT;
	struct sink *s = calloc(1, sizeof(*s));
	struct err e;

	(void)state;
	s->fail = ENOSPC;
	tarball_header(&b, '0', 5, true);
	tarball_data(&b, "hello", 5);
	assert_int_equal(read_in_steps(&b, 5, 4096, s, &e), -ENOSPC);
	assert_string_equal(e.msg, "the sink is full");
	free(s);
}

static void without_a_sink_everything_is_checked_all_the_same(void **state)
{
	AUTO_BUF b = BUF_INIT;
	struct err e;

	(void)state;
	tarball_header(&b, '0', 5, true);
	tarball_data(&b, "hello", 5);
	assert_int_equal(read_in_steps(&b, 5, 4096, NULL, &e), 0);
	b.len = 515;
	assert_int_equal(read_in_steps(&b, 5, 4096, NULL, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_file_is_read_from_gnu_and_posix_headers),
		cmocka_unit_test(a_size_in_base_256_is_read),
		cmocka_unit_test(a_negative_or_oversized_number_is_refused),
		cmocka_unit_test(zeros_behind_the_file_are_no_error_and_needed_in_whole_blocks),
		cmocka_unit_test(long_names_and_pax_names_are_passed_over),
		cmocka_unit_test(a_pax_size_replaces_the_headers),
		cmocka_unit_test(every_other_type_of_member_is_refused),
		cmocka_unit_test(a_second_member_is_refused),
		cmocka_unit_test(a_second_member_behind_the_end_mark_is_refused),
		cmocka_unit_test(headers_that_are_damaged_are_refused),
		cmocka_unit_test(a_file_of_another_size_is_refused_before_its_data),
		cmocka_unit_test(an_archive_that_ends_early_says_where),
		cmocka_unit_test(an_old_gnu_sparse_file_keeps_its_holes),
		cmocka_unit_test(a_last_map_entry_of_no_length_marks_the_size),
		cmocka_unit_test(sparse_maps_that_lie_are_refused),
		cmocka_unit_test(a_sparse_map_must_add_up_to_what_is_stored),
		cmocka_unit_test(a_sparse_file_of_another_size_is_refused),
		cmocka_unit_test(a_sparse_member_needs_a_gnu_header),
		cmocka_unit_test(a_map_that_goes_on_after_its_end_is_refused),
		cmocka_unit_test(pax_sparse_files_of_all_three_versions_are_read),
		cmocka_unit_test(a_pax_map_may_span_blocks),
		cmocka_unit_test(pax_records_that_lie_are_refused),
		cmocka_unit_test(an_unknown_sparse_version_is_named),
		cmocka_unit_test(pax_records_with_wrong_lengths_are_refused),
		cmocka_unit_test(headers_without_end_are_refused),
		cmocka_unit_test(an_error_of_the_sink_comes_through_unchanged),
		cmocka_unit_test(without_a_sink_everything_is_checked_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
