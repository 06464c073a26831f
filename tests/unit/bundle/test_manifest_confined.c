/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests that leave a sandbox: as they were, and not otherwise. */
#include "tests/unit/cmocka.h"

#include "bundle/manifest.h"
#include "lib/str.h"

#define SHA1 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PART(i, name)                                                                              \
	"<part index='" i "'><filename>" name "</filename><digest algorithm='SHA1'>" SHA1          \
	"</digest></part>"
static const char full[] =
	"<manifest><version>2007-10-10</version><bundler><name>b</name></bundler>"
	"<machine_configuration><architecture>i386</architecture><block_device_mapping><mapping>"
	"<virtual>ami</virtual><device>sda1</device></mapping></block_device_mapping>"
	"<kernel_id>aki-1</kernel_id><product_codes><product_code>P</product_code></product_codes>"
	"</machine_configuration>"
	"<image><name>web</name><user>123456789012</user><type>machine</type>"
	"<ancestry><ancestor_ami_id>ami-1</ancestor_ami_id></ancestry>"
	"<digest algorithm='SHA1'>" SHA1 "</digest><size>4096</size>"
	"<bundled_size>1600</bundled_size><user_encrypted_key>00ff</user_encrypted_key>"
	"<user_encrypted_iv>ff00</user_encrypted_iv>"
	"<parts count='2'>" PART("0", "w.part.0")
		PART("1", "w.part.1") "</parts></image>"
				      "<signature>00ff</signature></manifest>";

static void pack_full(struct buf *out)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	struct err e = {0};

	if (manifest_parse(full, strlen(full), "m.xml", &m, &e) < 0 ||
	    manifest_pack(m, out, &e) < 0)
		fail_msg("%s", e.msg);
}

static void a_manifest_comes_out_of_the_sandbox_as_it_was(void **state)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO_BUF there = BUF_INIT;
	AUTO_BUF here = BUF_INIT;
	struct err e = {0};

	(void)state;
	pack_full(&here);
	if (manifest_parse_confined(full, strlen(full), "m.xml", &m, &e) < 0 ||
	    manifest_pack(m, &there, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(there.len, here.len);
	assert_memory_equal(there.data, here.data, here.len);
	assert_string_equal(m->text.data, full);
	assert_string_equal(m->kernel_id, "aki-1");
	assert_null(m->ramdisk_id);
	assert_string_equal(m->parts[1].filename, "w.part.1");
}

static void what_is_wrong_with_it_is_told_by_the_sandbox(void **state)
{
	struct manifest *m = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(manifest_parse_confined("<x/>", 4, "m.xml", &m, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "is not <manifest>"));
	assert_null(m);
}

static int unpack(const struct buf *form)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	struct err e = {0};

	return manifest_unpack(form->data, form->len, &m, &e);
}

static void a_form_that_ends_early_or_late_is_refused(void **state)
{
	AUTO_BUF form = BUF_INIT;
	size_t len;

	(void)state;
	pack_full(&form);
	len = form.len;
	assert_int_equal(unpack(&form), 0);
	for (form.len = 0; form.len < len; form.len++)
		assert_int_equal(unpack(&form), -EBADMSG);
	assert_int_equal(buf_addc(&form, 'x'), 0);
	assert_int_equal(unpack(&form), -EBADMSG);
}

/* The form with the first `from` overwritten. */
static int with(const char *from, const char *to)
{
	AUTO_BUF form = BUF_INIT;
	char *at;

	pack_full(&form);
	at = memmem(form.data, form.len, from, strlen(from));
	assert_non_null(at);
	memcpy(at, to, strlen(to));
	return unpack(&form);
}

static void what_no_parser_of_ours_says_is_refused(void **state)
{
	(void)state;
	assert_int_equal(with("w.part.1", "w.part.2"), 0);
	assert_int_equal(with("w.part.1", "w.part.0"), -EBADMSG);
	assert_int_equal(with("w.part.1", "../art.1"), -EBADMSG);
	assert_int_equal(with("w.part.1", "w.part\n1"), -EBADMSG);
	assert_int_equal(with("aki-1", "aki\t1"), -EBADMSG);
	assert_int_equal(with(SHA1, "g"), -EBADMSG);
	assert_int_equal(with(SHA1, "A"), -EBADMSG);
}

static void sizes_and_numbers_have_bounds(void **state)
{
	static const uint64_t wrong[] = {0, UINT64_C(1) << 63, UINT64_MAX};
	AUTO_BUF form = BUF_INIT;

	(void)state;
	pack_full(&form);
	for (size_t at = 0; at < 16; at += 8) {
		for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
			le64_put(form.data + at, wrong[i]);
			assert_int_equal(unpack(&form), -EBADMSG);
		}
		le64_put(form.data + at, 1);
		assert_int_equal(unpack(&form), 0);
	}
	/* The length of the version, which is needed. */
	le64_put(form.data + 16, UINT64_MAX);
	assert_int_equal(unpack(&form), -EBADMSG);
	le64_put(form.data + 16, UINT64_C(1) << 40);
	assert_int_equal(unpack(&form), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_comes_out_of_the_sandbox_as_it_was),
		cmocka_unit_test(what_is_wrong_with_it_is_told_by_the_sandbox),
		cmocka_unit_test(a_form_that_ends_early_or_late_is_refused),
		cmocka_unit_test(what_no_parser_of_ours_says_is_refused),
		cmocka_unit_test(sizes_and_numbers_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
