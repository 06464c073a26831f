/* SPDX-License-Identifier: Apache-2.0 */
/* lib/err, lib/buf, lib/str, lib/encode, lib/base. */
#include "tests/unit/cmocka.h"

#include "lib/str.h"

static void an_error_is_one_printable_line(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(err_set(&e, EBADMSG, "bad \n\x1b[31m'%s'", "x"), -EBADMSG);
	assert_string_equal(e.msg, "bad \\x0a\\x1b[31m'x'");
	assert_int_equal(e.code, EBADMSG);
}

static void context_wraps_from_outside(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, ENOENT, "inner");
	assert_int_equal(err_wrap(&e, "outer %d", 7), -ENOENT);
	assert_string_equal(e.msg, "outer 7: inner");
	assert_int_equal(err_wrap(NULL, "x"), -EIO);
}

static void a_long_message_is_cut_at_a_character(void **state)
{
	char text[3000];
	struct err e;

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	text[sizeof(text) - 2] = '\0';
	err_set(&e, EIO, "x%s", text);
	assert_true(strlen(e.msg) < sizeof(e.msg));
	assert_true(utf8_valid(e.msg, strlen(e.msg)));
	err_set(&e, EIO, "%s", text);
	assert_true(utf8_valid(e.msg, strlen(e.msg)));
}

static void a_buffer_stays_a_string(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_addf(&b, "%d-%s", 12, "ab"), 0);
	assert_string_equal(b.data, "12-ab");
	buf_consume(&b, 3);
	assert_string_equal(b.data, "ab");
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_addc(&b, 'z'), 0);
	assert_int_equal(b.len, 1002);
	assert_int_equal(b.data[b.len], 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 5), -ENOMEM);
	assert_int_equal(b.len, 1002);
}

static void numbers_are_whole_and_in_range(void **state)
{
	uint64_t v = 77;
	static const char *const bad[] = {"",     " 1", "1 ", "-1", "+1",
					  "0x10", "1.", "a",  "1a", "18446744073709551616"};

	(void)state;
	assert_int_equal(str_to_u64("18446744073709551615", 0, UINT64_MAX, &v, NULL), 0);
	assert_true(v == UINT64_MAX);
	v = 77;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(str_to_u64(bad[i], 0, UINT64_MAX, &v, NULL) < 0);
	assert_int_equal(str_to_u64("11", 0, 10, &v, NULL), -ERANGE);
	assert_int_equal(str_to_u64("1", 2, 10, &v, NULL), -ERANGE);
	assert_true(v == 77);
}

static void sizes_take_one_unit(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(str_to_size("10G", &v, NULL), 0);
	assert_true(v == 10 * GIB);
	assert_int_equal(str_to_size("512", &v, NULL), 0);
	assert_true(v == 512);
	assert_int_equal(str_to_size("1k", &v, NULL), 0);
	assert_true(v == 1024);
	assert_true(str_to_size("1KB", &v, NULL) < 0);
	assert_true(str_to_size("G", &v, NULL) < 0);
	assert_true(str_to_size("1 G", &v, NULL) < 0);
	assert_true(str_to_size("1 ", &v, NULL) < 0);
	assert_int_equal(str_to_size("16777216T", &v, NULL), -ERANGE);
}

static void base64_is_strict(void **state)
{
	AUTO_BUF b = BUF_INIT;
	static const char *const bad[] = {"A",     "AA",       "AAA",  "A===",  "AA=A",
					  "AAAA=", "AB==",     "AAB=", "AA==A", "====",
					  "AA-_",  "AA==AA==", "AA=",  "\xff=="};

	(void)state;
	assert_int_equal(base64_decode("Zm9v\nYmE=", 9, &b, NULL), 0);
	assert_string_equal(b.data, "fooba");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		buf_clear(&b);
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &b, NULL), -EBADMSG);
		assert_int_equal(b.len, 0);
	}
}

static void base64_survives_the_round_trip(void **state)
{
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 251);
	for (size_t n = 0; n <= sizeof(data); n++) {
		AUTO_BUF text = BUF_INIT, back = BUF_INIT, url = BUF_INIT;

		assert_int_equal(base64_encode(data, n, &text), 0);
		assert_int_equal(base64_decode(buf_str(&text), text.len, &back, NULL), 0);
		assert_int_equal(back.len, n);
		if (n)
			assert_memory_equal(back.data, data, n);
		assert_int_equal(base64url_encode(data, n, &url), 0);
		assert_null(n ? strpbrk(url.data, "+/") : NULL);
	}
}

static void hex_wants_every_digit(void **state)
{
	uint8_t out[2];
	char text[5];

	(void)state;
	assert_int_equal(hex_decode("aB09", 4, out, 2, NULL), 0);
	assert_int_equal(out[0], 0xab);
	hex_encode(out, 2, text);
	assert_string_equal(text, "ab09");
	assert_int_equal(hex_decode("ab0", 3, out, 2, NULL), -EBADMSG);
	assert_int_equal(hex_decode("ab0g", 4, out, 2, NULL), -EBADMSG);
	assert_int_equal(hex_decode("ab0900", 6, out, 2, NULL), -EBADMSG);
}

static void hostile_text_is_escaped(void **state)
{
	AUTO_BUF b = BUF_INIT;
	static const char text[] = "a\x1b\\\n\xff\xc3\xa4\xc2\x9b\x7f";

	(void)state;
	assert_int_equal(str_escape(text, sizeof(text) - 1, 100, &b), 0);
	assert_string_equal(b.data, "a\\x1b\\\\\\n\\xff\xc3\xa4\\xc2\\x9b\\x7f");
	/* What is printable already stays as it is. */
	b.len = 0;
	assert_int_equal(str_escape_shown("a\x1b\\x1b", 6, 100, &b), 0);
	assert_string_equal(b.data, "a\\x1b\\x1b");
}

static void utf8_has_no_short_cuts(void **state)
{
	static const char *const bad[] = {"\xc0\x80",         "\xed\xa0\x80", "\xf4\x90\x80\x80",
					  "\xe0\x80\x80",     "\xff",         "\xc3",
					  "\xf0\x80\x80\x80", "\x80"};

	(void)state;
	assert_true(utf8_valid("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10));
	assert_false(utf8_valid("a\0b", 3));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(utf8_valid(bad[i], strlen(bad[i])));
}

static void wildcards_match_the_whole(void **state)
{
	(void)state;
	assert_true(str_glob("debian-12-*", "debian-12-amd64"));
	assert_true(str_glob("*a*b?", "xxaxxbxbz"));
	assert_true(str_glob("*", ""));
	assert_false(str_glob("?", ""));
	assert_false(str_glob("a", "ab"));
	assert_false(str_glob("*b", "ba"));
	/* Many stars must not take for ever. */
	assert_false(str_glob("*a*a*a*a*a*a*a*a*a*a*a*a*b",
			      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void zero_is_found_at_every_place(void **state)
{
	uint8_t data[100] = {0};

	(void)state;
	for (size_t len = 0; len <= sizeof(data); len++) {
		assert_true(mem_is_zero(data, len));
		for (size_t at = 0; at < len; at++) {
			data[at] = 1;
			assert_false(mem_is_zero(data, len));
			data[at] = 0;
		}
	}
}

static void ranges_do_not_wrap(void **state)
{
	(void)state;
	assert_true(range_within(0, 10, 10));
	assert_false(range_within(1, 10, 10));
	assert_false(range_within(UINT64_MAX, 2, 10));
	assert_false(range_within(2, UINT64_MAX, 10));
	assert_true(range_within(10, 0, 10));
}

static void keys_that_meet_under_one_multiplier_part_under_another(void **state)
{
	const uint64_t known = UINT64_C(0x9e3779b97f4a7c15), m = hash_multiplier();
	unsigned count[1 << 10] = {0}, most = 0;
	size_t n = 0;

	(void)state;
	assert_true(m & 1);
	assert_true(hash_multiplier() != m);
	for (uint64_t key = 0; n < 4096; key++) {
		if (hash_slot(known, key, 10) != 7)
			continue;
		n++;
		most = MAX(most, ++count[hash_slot(m, key, 10)]);
	}
	assert_true(most < n / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_is_one_printable_line),
		cmocka_unit_test(context_wraps_from_outside),
		cmocka_unit_test(a_long_message_is_cut_at_a_character),
		cmocka_unit_test(a_buffer_stays_a_string),
		cmocka_unit_test(numbers_are_whole_and_in_range),
		cmocka_unit_test(sizes_take_one_unit),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(base64_survives_the_round_trip),
		cmocka_unit_test(hex_wants_every_digit),
		cmocka_unit_test(hostile_text_is_escaped),
		cmocka_unit_test(utf8_has_no_short_cuts),
		cmocka_unit_test(wildcards_match_the_whole),
		cmocka_unit_test(zero_is_found_at_every_place),
		cmocka_unit_test(ranges_do_not_wrap),
		cmocka_unit_test(keys_that_meet_under_one_multiplier_part_under_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
