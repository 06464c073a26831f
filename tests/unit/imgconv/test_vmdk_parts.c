/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of VMDK: which sectors of a file are in use; what descriptors say. */
#include "tests/unit/imgconv/helper.h"

#include "imgconv/format/vmdk.h"

/* ---- space --------------------------------------------------------------------------------- */

/* Against a byte for each sector; `offset` moves all far behind the beginning of a large file. */
static void try_space(uint64_t file_size, uint64_t offset)
{
	enum {
		N = 4096
	};
	AUTO(vmdk_space_free) struct vmdk_space *s = NULL;
	uint8_t used[N] = {0};
	uint64_t sector, n;
	struct err why;

	assert_ok(vmdk_space_new(file_size, &s, e));
	for (unsigned i = 0; i < 600; i++) {
		uint64_t at = rng(N);
		uint64_t len = rng_len(rng(3) ? 12 : 140, N - at);
		const uint8_t *conflict = memchr(used + at, 1, (size_t)len);

		/* What comes before a conflict may be taken or not: begin there. */
		if (conflict) {
			assert_int_equal(vmdk_space_take(s, "thing",
							 offset + (uint64_t)(conflict - used),
							 1 + rng(9), &why),
					 -EBADMSG);
			continue;
		}
		assert_ok(vmdk_space_take(s, "thing", offset + at, len, e));
		memset(used + at, 1, (size_t)len);
	}
	for (sector = offset; vmdk_space_next_free(s, &sector, &n) && sector < offset + N;
	     sector += n) {
		uint64_t at = sector - offset;

		assert_true(at == 0 || used[at - 1]);
		for (uint64_t i = 0; i < n && at + i < N; i++)
			assert_int_equal(used[at + i], 0);
		assert_true(at + n >= N || used[at + n]);
		memset(used + at, 1, (size_t)MIN(n, N - at));
	}
	assert_null(memchr(used, 0, N));
}

static void space_is_exact_whatever_the_size(void **state)
{
	(void)state;
	rng_state = 51;
	for (unsigned i = 0; i < 60; i++) {
		try_space(4 * MIB, 0);
		if (i % 5)
			continue;
		try_space(200 * GIB, 123 * GIB / SECTOR - 5);
		try_space(2048 * GIB, 2047 * GIB / SECTOR - 3);
	}
}

static void space_of_scattered_pieces_has_an_end(void **state)
{
	AUTO(vmdk_space_free) struct vmdk_space *s = NULL;
	struct err why;
	int rc = 0;

	(void)state;
	assert_ok(vmdk_space_new(2048 * GIB, &s, e));
	for (uint64_t i = 0; i < 1u << 21 && rc == 0; i++)
		rc = vmdk_space_take(s, "thing", i * 128 + 3, 1, &why);
	assert_int_equal(rc, -EFBIG);
}

static void space_behind_the_file_is_of_no_account(void **state)
{
	AUTO(vmdk_space_free) struct vmdk_space *s = NULL;
	uint64_t sector = 0, n = 0;

	(void)state;
	assert_ok(vmdk_space_new(1000 * SECTOR, &s, e));
	assert_ok(vmdk_space_take(s, "grain", 990, 128, e));
	assert_ok(vmdk_space_take(s, "grain", 2000, UINT64_MAX - 2000, e));
	assert_fails(vmdk_space_take(s, "grain", 999, 1, e), EBADMSG, "in use twice");
	assert_true(vmdk_space_next_free(s, &sector, &n));
	assert_int_equal(sector, 0);
	assert_int_equal(n, 990);
	sector = 990;
	assert_false(vmdk_space_next_free(s, &sector, &n));
}

/* ---- descriptors ----------------------------------------------------------------------------- */

#define FLAT_HEAD "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\n"

static int parse(const char *text, struct vmdk_descriptor *d, struct err *e)
{
	return vmdk_descriptor_parse(text, strlen(text), false, d, e);
}

static void reads_a_descriptor(void **state)
{
	AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};

	(void)state;
	assert_ok(
		parse("# Disk DescriptorFile\r\nVERSION=1\r\nCID=00c0ffee\r\nparentCID=ffffffff\r\n"
		      "createType=\"twoGbMaxExtentFlat\"\r\n\r\n"
		      "  RW 10 FLAT \"a b=c.vmdk\" 7\r\nRDONLY 20 FLAT \"\xc3\xa9.vmdk\" 0\r\nRW 5 "
		      "ZERO\r\n"
		      "ddb.adapterType = \"lsilogic\"\r\nddb.nonsense\r\n",
		      &d, e));
	assert_int_equal(d.type, VMDK_SPLIT_FLAT);
	assert_int_equal(d.refusal.code, 0);
	assert_int_equal(d.n_lines, 3);
	assert_int_equal(d.sectors, 35);
	assert_int_equal(d.cid, 0xc0ffee);
	assert_string_equal(d.lines[0].file, "a b=c.vmdk");
	assert_int_equal(d.lines[0].offset, 7);
	assert_int_equal(d.lines[2].kind, VMDK_ZERO);
	assert_string_equal(d.adapter, "lsilogic");
}

static void refuses_descriptors(void **state)
{
	static const struct {
		int code;
		const char *text, *why;
	} cases[] = {
		{EACCES, FLAT_HEAD "RW 1 FLAT \"/etc/passwd\" 0\n", "not a plain file name"},
		{EACCES, FLAT_HEAD "RW 1 FLAT \"..\" 0\n", "not a plain file name"},
		{EACCES, FLAT_HEAD "RW 1 FLAT \"\" 0\n", "not a plain file name"},
		{ENOTSUP, FLAT_HEAD "RW 1 VMFSRDM \"a\"\n", "type 'VMFSRDM'"},
		{ENOTSUP, FLAT_HEAD "NOACCESS 1 ZERO\n", "without access"},
		{EBADMSG, FLAT_HEAD "RW 1 SPARSE \"a\"\n", "extent 1 is sparse"},
		{ENOTSUP, "version=1\ncreateType=\"custom\"\nRW 1 FLAT \"a\" 0\n", "'custom'"},
		{ENOTSUP, "version=1\ncreateType=\"monolithicSparse\"\nRW 1 SPARSE \"a\"\n",
		 "in a file of its own"},
		{EACCES, FLAT_HEAD "parentCID=0\nRW 1 FLAT \"a\" 0\n", "delta disk"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};

		assert_ok(parse(cases[i].text, &d, e));
		assert_int_equal(d.refusal.code, cases[i].code);
		assert_non_null(strstr(d.refusal.msg, cases[i].why));
	}
}

static void fails_on_malformed_descriptors(void **state)
{
	static const char *const cases[][2] = {
		{FLAT_HEAD, "names no extent"},
		{FLAT_HEAD "RW 1 FLAT \"a\" 0 0\n", "more behind"},
		{FLAT_HEAD "RW 1 FLAT \"a\" x\n", "number of sectors"},
		{FLAT_HEAD "RW 1 FLAT a 0\n", "not in quotes"},
		{FLAT_HEAD "RW 1 FLAT\n", "not in quotes"},
		{FLAT_HEAD "RW\n", "number of sectors"},
		{FLAT_HEAD "RW 18014398509481984 ZERO\nRW 1 ZERO\n", "over the limit"},
		{FLAT_HEAD "RW 1 ZERO\x01\n", "no text"},
		{FLAT_HEAD "RW 1 ZERO\nrubbish\n", "line 5 of the descriptor"},
		{FLAT_HEAD "RW 1 ZERO\n# createtype=\n", "twice"},
		{FLAT_HEAD "RW 1 ZERO\nCID=123456789\n", "no number"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};

		assert_fails(parse(cases[i][0], &d, e), EBADMSG, cases[i][1]);
	}
}

static void extents_have_a_limit(void **state)
{
	AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};
	AUTO_BUF text = BUF_INIT;

	(void)state;
	buf_adds(&text, FLAT_HEAD);
	for (unsigned i = 0; i <= VMDK_EXTENTS_MAX; i++)
		buf_adds(&text, "RW 1 ZERO\n");
	assert_fails(parse(buf_str(&text), &d, e), EFBIG, "more than 4096 extents");
}

static void knows_descriptors_by_their_beginning(void **state)
{
	static const char *const yes[] = {"# Disk DescriptorFile\n", "# disk descriptorfile",
					  "#a\n\n# b\nversion=1\n", "\r\nVersion=3\r\n"};
	static const char *const no[] = {"",
					 "#",
					 "version=1",
					 "version=4\n",
					 "version=10\n",
					 "x\nversion=1\n",
					 "KDMV",
					 "# Disk Descriptor"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(vmdk_is_descriptor((const uint8_t *)yes[i], strlen(yes[i])));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(vmdk_is_descriptor((const uint8_t *)no[i], strlen(no[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(space_is_exact_whatever_the_size),
		cmocka_unit_test(space_of_scattered_pieces_has_an_end),
		cmocka_unit_test(space_behind_the_file_is_of_no_account),
		cmocka_unit_test(reads_a_descriptor),
		cmocka_unit_test(refuses_descriptors),
		cmocka_unit_test(fails_on_malformed_descriptors),
		cmocka_unit_test(extents_have_a_limit),
		cmocka_unit_test(knows_descriptors_by_their_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
