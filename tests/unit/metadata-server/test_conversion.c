/* SPDX-License-Identifier: Apache-2.0 */
/* What the process that parses hands over is taken whole, or not at all. */
#include "tests/unit/cmocka.h"

#include "metadata-server/conversion.h"

static void fill(struct conversion *x)
{
	x->from = &dialect_nocloud;
	assert_int_equal(strlist_add(&x->notes, "a note"), 0);
	assert_int_equal(strlist_add(&x->lost, "nics[0].mtu"), 0);
	assert_int_equal(buf_adds(&x->report, "{}"), 0);
	assert_int_equal(tree_new(&x->docs, NULL), 0);
	assert_int_equal(tree_add(x->docs, 0, "meta-data", "a\0b", 3, NULL), 0);
	assert_int_equal(tree_adds(x->docs, 0, "openstack/content/0000", "", NULL), 0);
	assert_int_equal(tree_seal(x->docs, NULL), 0);
}

static void what_is_handed_over_comes_back(void **state)
{
	AUTO(conversion_release) struct conversion x = {0};
	AUTO(conversion_release) struct conversion back = {0};
	AUTO_BUF packed = BUF_INIT, again = BUF_INIT;

	(void)state;
	fill(&x);
	assert_int_equal(conversion_pack(&x, &packed), 0);
	assert_int_equal(conversion_unpack(&back, packed.data, packed.len, NULL), 0);
	assert_ptr_equal(back.from, &dialect_nocloud);
	assert_int_equal(conversion_pack(&back, &again), 0);
	assert_int_equal(packed.len, again.len);
	assert_memory_equal(packed.data, again.data, packed.len);
}

static void what_is_cut_is_refused(void **state)
{
	AUTO(conversion_release) struct conversion x = {0};
	AUTO_BUF packed = BUF_INIT;
	unsigned whole = 0;

	(void)state;
	fill(&x);
	assert_int_equal(conversion_pack(&x, &packed), 0);
	for (size_t len = 0; len < packed.len; len++) {
		AUTO(conversion_release) struct conversion back = {0};
		AUTO_FREE char *copy = malloc(len ? len : 1);

		memcpy(copy, packed.data, len);
		whole += !conversion_unpack(&back, copy, len, NULL);
	}
	assert_int_equal(whole, 5); /* between two records */
}

#define RECORD(kind, path_len, value_len, rest) kind "\0\0\0" path_len "\0\0\0" value_len rest
#define FROM RECORD("f", "\0", "\7", "nocloud")

static void what_could_lead_elsewhere_is_refused(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} bad[] = {
#define BAD(text) {text, sizeof(text) - 1}
		BAD(""),
		BAD(RECORD("f", "\0", "\4", "none")),
		BAD(FROM RECORD("x", "\0", "\0", "")),
		BAD(FROM RECORD("d", "\0", "\0", "")),
		BAD(FROM RECORD("d", "\4", "\0", "../a")),
		BAD(FROM RECORD("d", "\6", "\0", "a/../b")),
		BAD(FROM RECORD("d", "\2", "\0", "/a")),
		BAD(FROM RECORD("d", "\2", "\0", "a/")),
		BAD(FROM RECORD("d", "\4", "\0", "a//b")),
		BAD(FROM RECORD("d", "\1", "\0", "\1")),
		BAD(FROM RECORD("d", "\1", "\0", "a") RECORD("d", "\1", "\0", "a")),
		BAD(FROM RECORD("d", "\1", "\0", "a") RECORD("d", "\3", "\0", "a/b")),
		BAD(FROM "n\xff\xff\xff\xff\xff\xff\xff\xff"),
		BAD(FROM "n\0\0\0\0\xff\xff\xff\xff"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(conversion_release) struct conversion back = {0};
		struct err e = {0};

		if (!conversion_unpack(&back, bad[i].data, bad[i].len, &e))
			fail_msg("number %zu is taken", i);
		assert_int_equal(e.msg[0] != 0, 1);
	}
}

static void lines_are_fit_to_be_shown(void **state)
{
	AUTO(conversion_release) struct conversion back = {0};
	static const char data[] = FROM RECORD("n", "\0", "\5", "\033[31m");

	(void)state;
	assert_int_equal(conversion_unpack(&back, data, sizeof(data) - 1, NULL), 0);
	assert_string_equal(back.notes.v[0], "\\x1b[31m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_handed_over_comes_back),
		cmocka_unit_test(what_is_cut_is_refused),
		cmocka_unit_test(what_could_lead_elsewhere_is_refused),
		cmocka_unit_test(lines_are_fit_to_be_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
