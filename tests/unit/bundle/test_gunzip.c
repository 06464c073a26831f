/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming gunzip against zlib's compressor, cut in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "bundle/gunzip.h"
#include "lib/buf.h"

/* Appends one gzip member. */
static void compress_member(struct buf *out, const void *data, size_t len, int level)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(buf_reserve(out, deflateBound(&z, len) + 64), 0);
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)len;
	z.next_out = (Bytef *)out->data + out->len;
	z.avail_out = (uInt)(out->cap - out->len - 1);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len = (size_t)((char *)z.next_out - out->data);
	deflateEnd(&z);
}

/* Half of it repeats, half does not. */
static void fill(struct buf *b, size_t len)
{
	uint32_t x = 12345;

	while (b->len < len) {
		x = x * 1664525 + 1013904223;
		(void)buf_addc(b, b->len / 300 % 2 ? "acclimate"[b->len % 9] : (char)(x >> 24));
	}
}

static int run(const struct buf *in, size_t in_step, size_t out_step, struct buf *out,
	       struct err *e)
{
	AUTO(gunzip_free) struct gunzip *g = NULL;
	AUTO_FREE char *chunk = malloc(out_step);
	int rc = gunzip_new(&g, e);

	buf_clear(out);
	for (size_t i = 0; rc == 0 && i < in->len; i += in_step) {
		size_t n = MIN(in_step, in->len - i), got;
		/* Of the exact size, and gone when it was taken. */
		AUTO_FREE char *piece = malloc(n);

		memcpy(piece, in->data + i, n);
		gunzip_input(g, piece, n);
		do {
			rc = gunzip_output(g, chunk, out_step, &got, e);
			if (rc == 0)
				assert_int_equal(buf_add(out, chunk, got), 0);
		} while (rc == 0 && got == out_step);
	}
	return rc < 0 ? rc : gunzip_finish(g, e);
}

static void expect_output(const struct buf *in, const struct buf *want, size_t in_step,
			  size_t out_step)
{
	AUTO_BUF out = BUF_INIT;
	struct err e = {0};

	if (run(in, in_step, out_step, &out, &e) < 0)
		fail_msg("in %zu, out %zu: %s", in_step, out_step, e.msg);
	assert_int_equal(out.len, want->len);
	if (want->len)
		assert_memory_equal(out.data, want->data, want->len);
}

static void what_zlib_compressed_comes_back_in_pieces_of_any_size(void **state)
{
	static const size_t steps[] = {1, 2, 3, 7, 8, 9, 100, 4096, 1 << 20};
	AUTO_BUF data = BUF_INIT;

	(void)state;
	fill(&data, 70000);
	for (int level = 0; level <= 9; level += 3) {
		AUTO_BUF in = BUF_INIT;

		compress_member(&in, data.data, data.len, level);
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
			expect_output(&in, &data, steps[i], 65536);
			expect_output(&in, &data, 65536, steps[i]);
		}
	}
}

/* A reader ahead of itself would swallow the next member's first bytes where input is cut. */
static void members_follow_each_other_wherever_the_input_is_cut(void **state)
{
	AUTO_BUF data = BUF_INIT;
	AUTO_BUF in = BUF_INIT;

	(void)state;
	fill(&data, 900);
	compress_member(&in, data.data, 400, 9);
	compress_member(&in, data.data + 400, 0, 9);
	compress_member(&in, data.data + 400, 1, 1);
	compress_member(&in, data.data + 401, 499, 0);
	for (size_t step = 1; step <= in.len; step++)
		expect_output(&in, &data, step, 1 + step % 50);
}

static void header_fields_are_passed_over_wherever_the_input_is_cut(void **state)
{
	/* FLG: all of FHCRC 2, FEXTRA 4, FNAME 8, FCOMMENT 16. */
	static const uint8_t head[] = {0x1f, 0x8b, 8,   0x1e, 0,   0,   0,   0,   0,
				       3,    5,    0,   'e',  'x', 't', 'r', 'a', 'n',
				       'a',  'm',  'e', 0,    'n', 'o', 't', 'e', 0};
	AUTO_BUF data = BUF_INIT;
	AUTO_BUF member = BUF_INIT;
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct err e;
	uint8_t crc[2];

	(void)state;
	fill(&data, 500);
	compress_member(&member, data.data, data.len, 6);
	le16_put(crc, (uint16_t)crc32(0, head, sizeof(head)));
	(void)buf_add(&in, head, sizeof(head));
	(void)buf_add(&in, crc, sizeof(crc));
	(void)buf_add(&in, member.data + 10, member.len - 10);
	for (size_t step = 1; step < 40; step++)
		expect_output(&in, &data, step, 64);
	in.data[sizeof(head)] ^= 1;
	assert_int_equal(run(&in, 1000, 64, &out, &e), -EBADMSG);
}

static void expect_error(const struct buf *in, const char *part)
{
	static const size_t steps[] = {1, 13, 1 << 20};
	AUTO_BUF out = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct err e = {0};

		assert_int_equal(run(in, steps[i], 4096, &out, &e), -EBADMSG);
		if (!strstr(e.msg, part))
			fail_msg("'%s' does not hold '%s'", e.msg, part);
	}
}

static void checksum_and_length_of_a_member_are_checked(void **state)
{
	AUTO_BUF data = BUF_INIT;
	AUTO_BUF in = BUF_INIT;

	(void)state;
	fill(&data, 3000);
	compress_member(&in, data.data, data.len, 6);
	for (size_t i = 1; i <= 8; i++) {
		in.data[in.len - i] ^= 1;
		expect_error(&in, "checksum or length is wrong");
		in.data[in.len - i] ^= 1;
	}
}

static void no_byte_of_a_member_can_change_unnoticed(void **state)
{
	AUTO_BUF data = BUF_INIT;
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	(void)state;
	fill(&data, 700);
	compress_member(&in, data.data, data.len, 6);
	/* Bytes 4 to 9 are time, flags of the compressor and system: they say nothing. */
	for (size_t i = 0; i < in.len; i = i == 3 ? 10 : i + 1) {
		in.data[i] ^= 0x10;
		if (run(&in, 1 << 20, 4096, &out, &e) == 0)
			assert_true(out.len == data.len && !memcmp(out.data, data.data, data.len));
		in.data[i] ^= 0x10;
	}
}

static void what_follows_the_last_member_is_refused(void **state)
{
	AUTO_BUF in = BUF_INIT;

	(void)state;
	compress_member(&in, "hello", 5, 6);
	(void)buf_addc(&in, '\0');
	(void)buf_add(&in, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 19);
	expect_error(&in, "are no further member");
}

static void data_that_ends_early_is_refused(void **state)
{
	AUTO_BUF in = BUF_INIT;
	AUTO_BUF empty = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	(void)state;
	compress_member(&in, "hello, bundle", 13, 6);
	while (--in.len)
		expect_error(&in, "ends inside of member 1");
	assert_int_equal(run(&empty, 1, 1, &out, &e), -EBADMSG);
	assert_string_equal(e.msg, "gzip: there is no data");
}

static void what_is_not_gzip_is_refused(void **state)
{
	AUTO_BUF in = BUF_INIT;

	(void)state;
	(void)buf_adds(&in, "BZh91AY&SY, something else altogether");
	expect_error(&in, "no gzip header");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_zlib_compressed_comes_back_in_pieces_of_any_size),
		cmocka_unit_test(members_follow_each_other_wherever_the_input_is_cut),
		cmocka_unit_test(header_fields_are_passed_over_wherever_the_input_is_cut),
		cmocka_unit_test(checksum_and_length_of_a_member_are_checked),
		cmocka_unit_test(no_byte_of_a_member_can_change_unnoticed),
		cmocka_unit_test(what_follows_the_last_member_is_refused),
		cmocka_unit_test(data_that_ends_early_is_refused),
		cmocka_unit_test(what_is_not_gzip_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
