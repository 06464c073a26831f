/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: what is read, what is refused, what a signature covers, who can decrypt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "bundle/bundle.h"
#include "lib/fs.h"
#include "lib/str.h"

#define SHA1_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA1_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MACHINE "<machine_configuration><architecture>x86_64</architecture></machine_configuration>"
#define PART(i, name)                                                                              \
	"<part index='" i "'><filename>" name "</filename><digest algorithm='SHA1'>" SHA1_A        \
	"</digest></part>"
#define PARTS "<parts count='2'>" PART("0", "w.part.0") PART("1", "w.part.1") "</parts>"
#define IMAGE                                                                                      \
	"<image><name>web</name><user>123456789012</user><type>machine</type>"                     \
	"<digest algorithm='SHA1'>" SHA1_B "</digest><size>4096</size>"                            \
	"<bundled_size>1600</bundled_size>" PARTS "</image>"
#define MANIFEST                                                                                   \
	"<?xml version='1.0'?><manifest><version>2007-10-10</version>" MACHINE IMAGE               \
	"<signature>00ff</signature></manifest>"

/* MANIFEST with the first `from` replaced by `to`. */
static char *edited(const char *from, const char *to)
{
	const char *at = strstr(MANIFEST, from);
	char *text;

	assert_non_null(at);
	text = str_format("%.*s%s%s", (int)(at - MANIFEST), MANIFEST, to, at + strlen(from));
	assert_non_null(text);
	return text;
}

static struct manifest *parse(const char *text)
{
	struct manifest *m = NULL;
	struct err e;

	if (manifest_parse(text, strlen(text), "m.xml", &m, &e) < 0)
		fail_msg("%s", e.msg);
	return m;
}

static void expect_edit_error(const char *from, const char *to, int code, const char *part)
{
	AUTO_FREE char *text = edited(from, to);
	AUTO(manifest_free) struct manifest *m = NULL;
	struct err e = {0};
	int rc = manifest_parse(text, strlen(text), "m.xml", &m, &e);

	if (rc != -code || !strstr(e.msg, part) || !strstr(e.msg, "m.xml"))
		fail_msg("'%s' for '%s': %d '%s', not '%s'", to, from, rc, e.msg, part);
}

static void a_manifest_of_amazons_tool_is_read(void **state)
{
	AUTO(manifest_free) struct manifest *m = parse(MANIFEST);

	(void)state;
	assert_string_equal(m->version, "2007-10-10");
	assert_string_equal(m->name, "web");
	assert_string_equal(m->user, "123456789012");
	assert_string_equal(m->type, "machine");
	assert_string_equal(m->architecture, "x86_64");
	assert_null(m->kernel_id);
	assert_string_equal(m->digest, SHA1_B);
	assert_int_equal(m->size, 4096);
	assert_int_equal(m->bundled_size, 1600);
	assert_null(m->user_key);
	assert_int_equal(m->n_parts, 2);
	assert_string_equal(m->parts[1].filename, "w.part.1");
	assert_string_equal(m->parts[1].digest, SHA1_A);
	assert_string_equal(m->signature, "00ff");
	assert_string_equal(m->signed_text.data, MACHINE IMAGE);
	assert_string_equal(m->text.data, MANIFEST);
}

static void all_that_a_machine_configuration_can_hold_is_kept(void **state)
{
	AUTO_FREE char *text = edited(
		"</architecture>",
		"</architecture><block_device_mapping><mapping><virtual>ami</virtual>"
		"<device>sda1</device></mapping><mapping><virtual>swap</virtual>"
		"<device>sda2</device></mapping></block_device_mapping><product_codes>"
		"<product_code>A,B</product_code><product_code>C</product_code></product_codes>"
		"<kernel_id>aki-1</kernel_id><ramdisk_id>ari-2</ramdisk_id>");
	AUTO(manifest_free) struct manifest *m = parse(text);

	(void)state;
	assert_int_equal(m->n_mappings, 2);
	assert_string_equal(m->mappings[1].virtual_name, "swap");
	assert_string_equal(m->mappings[1].device, "sda2");
	assert_int_equal(m->n_product_codes, 2);
	assert_string_equal(m->product_codes[0], "A,B");
	assert_string_equal(m->kernel_id, "aki-1");
	assert_string_equal(m->ramdisk_id, "ari-2");
}

static void other_writers_ways_are_read(void **state)
{
	static const char euca[] =
		"<?xml version='1.0' encoding='ASCII'?>\n<manifest><version>2007-10-10</version>"
		"<bundler><name>euca2ools</name><version>3.4.1</version><release>0</release>"
		"</bundler>" MACHINE "<image><name>w</name><user>1</user><type>kernel</type>"
		"<kernel_name>vmlinuz</kernel_name><ancestry><ancestor_ami_id>ami-1"
		"</ancestor_ami_id></ancestry><digest algorithm=\"SHA1\">" SHA1_B "</digest>"
		"<size>1</size><bundled_size>16</bundled_size>"
		"<ec2_encrypted_key algorithm=\"AES-128-CBC\">AB12</ec2_encrypted_key>"
		"<user_encrypted_key algorithm=\"AES-128-CBC\"/><ec2_encrypted_iv>cd34"
		"</ec2_encrypted_iv><user_encrypted_iv/><parts count=\"1\"><part index=\"0\">"
		"<filename>w.part.00</filename><digest algorithm=\"SHA1\">" SHA1_A
		"</digest></part></parts></image><signature>UNSIGNED</signature></manifest>\n";
	AUTO(manifest_free) struct manifest *m = parse(euca);

	(void)state;
	assert_string_equal(m->bundler_name, "euca2ools");
	assert_null(m->signature);
	assert_null(m->user_key);
	assert_null(m->user_iv);
	assert_string_equal(m->ec2_key, "AB12");
	assert_string_equal(m->kernel_name, "vmlinuz");
	assert_int_equal(m->n_ancestors, 1);
	assert_string_equal(m->ancestors[0], "ami-1");
}

static void an_old_version_has_no_machine_configuration(void **state)
{
	AUTO_FREE char *text = edited(MACHINE, "");
	AUTO(manifest_free) struct manifest *m = parse(text);

	(void)state;
	assert_null(m->architecture);
	assert_string_equal(m->signed_text.data, IMAGE);
}

static void versions_from_3_to_2007_10_10_are_read(void **state)
{
	static const char *const good[] = {"3", "20070829", "2007-08-29"};
	static const char *const bad[] = {
		"2", "2007-10-11", "x", "99999999999999999999999", "0000000000000003x", "-"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		AUTO_FREE char *text = edited("2007-10-10", good[i]);
		AUTO(manifest_free) struct manifest *m = parse(text);

		assert_string_equal(m->version, good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect_edit_error("2007-10-10", bad[i], ENOTSUP, "is none from 3 to 2007-10-10");
}

static void parts_are_ordered_by_index_not_by_place_or_name(void **state)
{
	AUTO_FREE char *text = edited(PARTS, "<parts count='3'>" PART("2", "a") PART("0", "c")
						     PART("1", "b") "</parts>");
	AUTO(manifest_free) struct manifest *m = parse(text);

	(void)state;
	assert_string_equal(m->parts[0].filename, "c");
	assert_string_equal(m->parts[1].filename, "b");
	assert_string_equal(m->parts[2].filename, "a");
}

static void lists_of_parts_with_holes_or_twins_are_refused(void **state)
{
	(void)state;
	expect_edit_error("index='1'", "index='2'", EBADMSG, "does not fit 2 parts");
	expect_edit_error("index='1'", "index='0'", EBADMSG, "index 0 stands twice");
	expect_edit_error("index='1'", "index='-1'", EBADMSG, "index");
	expect_edit_error("index='1'", "", EBADMSG, "index");
	expect_edit_error("count='2'", "count='3'", EBADMSG, "count is 3 but 2 parts");
	expect_edit_error("w.part.1", "w.part.0", EBADMSG, "'w.part.0' is named for two parts");
	expect_edit_error(PARTS, "<parts count='0'></parts>", EBADMSG, "names no parts");
	expect_edit_error(PARTS, "", EBADMSG, "parts");
}

static void file_names_are_plain(void **state)
{
	static const char *const bad[] = {"../w", "/etc/passwd", "a/b", ".", "..", "a&#10;b"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect_edit_error("w.part.1", bad[i], EBADMSG, "filename");
	expect_edit_error("w.part.1", "", EBADMSG, "is empty");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect_edit_error("web", bad[i], EBADMSG, "name");
}

static void values_are_checked_with_their_place(void **state)
{
	(void)state;
	expect_edit_error(SHA1_B, "abc", EBADMSG, "m.xml:1:");
	expect_edit_error(SHA1_B, "abc", EBADMSG, "is not 40 hex digits");
	expect_edit_error(SHA1_B, "gggggggggggggggggggggggggggggggggggggggg", EBADMSG, "hex");
	expect_edit_error("'SHA1'>" SHA1_B, "'MD5'>" SHA1_B, ENOTSUP, "'MD5' is not SHA1");
	expect_edit_error("<size>4096", "<size>-1", EBADMSG, "size");
	expect_edit_error("<size>4096", "<size>0", ERANGE, "size");
	expect_edit_error("<size>4096", "<size>9223372036854775808", ERANGE, "size");
	expect_edit_error("<size>4096</size>", "", EBADMSG, "size");
	expect_edit_error("<bundled_size>1600", "<bundled_size>1e3", EBADMSG, "bundled_size");
	expect_edit_error("<user>", "<user><b/>", EBADMSG, "elements where text belongs");
	expect_edit_error("00ff", "00f", EBADMSG, "hex digits");
	expect_edit_error("00ff", "00fg", EBADMSG, "hex digits");
	expect_edit_error("<parts",
			  "<user_encrypted_key algorithm='AES-256-GCM'>00"
			  "</user_encrypted_key><parts",
			  ENOTSUP, "is not AES-128-CBC");
}

static void nothing_stands_twice(void **state)
{
	(void)state;
	expect_edit_error("<name>web</name>", "<name>web</name><name>b</name>", EBADMSG, "name");
	expect_edit_error(IMAGE, IMAGE IMAGE, EBADMSG, "image");
	expect_edit_error(MACHINE, MACHINE MACHINE, EBADMSG, "machine_configuration");
	expect_edit_error("<signature>", "<signature>11</signature><signature>", EBADMSG,
			  "signature");
}

/* The signature covers text that is found by searching; the parser must have read that text. */
static void what_is_signed_cannot_differ_from_what_is_read(void **state)
{
	(void)state;
	expect_edit_error("<version>", "<!-- " IMAGE " --><version>", EBADMSG,
			  "is not the first text");
	expect_edit_error("<version>", "<x>" IMAGE "</x><version>", EBADMSG,
			  "is not the first text");
	expect_edit_error("<version>", "<x><![CDATA[<image>]]></x><version>", EBADMSG,
			  "is not the first text");
	expect_edit_error("<name>web", "<x><![CDATA[</image>]]></x><name>web", EBADMSG,
			  "is not the first text");
	expect_edit_error("<image>", "<image >", EBADMSG, "is not the first text");
	expect_edit_error("</image>", "</image >", EBADMSG, "is not the first text");
	expect_edit_error(MACHINE, "<!-- <machine_configuration> -->", EBADMSG, "outside");
	expect_edit_error("<manifest>", "<!DOCTYPE manifest [<!ENTITY a 'b'>]><manifest>", ENOTSUP,
			  "m.xml");
}

static void what_is_no_manifest_is_refused(void **state)
{
	struct manifest *m = NULL;
	struct err e;

	(void)state;
	assert_int_equal(manifest_parse("", 0, "m.xml", &m, &e), -EBADMSG);
	assert_int_equal(manifest_parse("<a/>", 4, "m.xml", &m, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "<manifest>"));
	assert_null(m);
}

/* ---- keys ------------------------------------------------------------------------------------ */

struct keys {
	char *dir;
	EVP_PKEY *user, *ec2;
	char *user_path, *ec2_path, *public_path;
};

static void write_key(EVP_PKEY *key, const char *path, bool private)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	if (private)
		assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	else
		assert_int_equal(PEM_write_PUBKEY(f, key), 1);
	fclose(f);
}

static int make_keys(void **state)
{
	struct keys *k = calloc(1, sizeof(*k));

	if (!k || fs_make_temp_dir("/tmp/test_manifest", &k->dir, NULL) < 0)
		return -1;
	k->user = EVP_RSA_gen(1024);
	k->ec2 = EVP_RSA_gen(2048);
	k->user_path = path_join(k->dir, "user.pem");
	k->ec2_path = path_join(k->dir, "ec2.pem");
	k->public_path = path_join(k->dir, "public.pem");
	write_key(k->user, k->user_path, true);
	write_key(k->ec2, k->ec2_path, true);
	write_key(k->user, k->public_path, false);
	*state = k;
	return 0;
}

static int remove_keys(void **state)
{
	struct keys *k = *state;
	int rc = fs_remove_tree(k->dir, NULL);

	EVP_PKEY_free(k->user);
	EVP_PKEY_free(k->ec2);
	free(k->user_path);
	free(k->ec2_path);
	free(k->public_path);
	free(k->dir);
	free(k);
	return rc;
}

static char *sign(EVP_PKEY *key, const char *text)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[256];
	size_t len = sizeof(sig);
	char *hex = malloc(2 * sizeof(sig) + 1);

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha1(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(ctx);
	hex_encode(sig, len, hex);
	return hex;
}

static char *seal(EVP_PKEY *key, const char *text)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t out[256];
	size_t len = sizeof(out);
	char *hex = malloc(2 * sizeof(out) + 1);

	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_encrypt(ctx, out, &len, (const uint8_t *)text, strlen(text)), 1);
	EVP_PKEY_CTX_free(ctx);
	hex_encode(out, len, hex);
	return hex;
}

static int verify(const char *text, const char *key_path, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = parse(text);

	return manifest_verify(m, key_path, e);
}

static void a_signature_covers_the_two_elements_and_nothing_else(void **state)
{
	struct keys *k = *state;
	AUTO_FREE char *sig = sign(k->user, MACHINE IMAGE);
	const struct {
		const char *from, *to;
		bool good;
	} edits[] = {
		{"00ff", "00ff", true},
		{"<version>", "<bundler><name>other</name></bundler><version>", true},
		{"</machine_configuration><image>", "</machine_configuration>\n  <image>", true},
		{"<name>web", "<name>wab", false},
		{"x86_64", "i386", false},
		{"index='0'", "index=\"0\"", false},
		{"<size>4096", "<size>4097", false},
	};
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		AUTO_FREE char *text = edited(edits[i].from, edits[i].to);
		char *at = strstr(text, "00ff");
		AUTO_FREE char *signed_text =
			str_format("%.*s%s%s", (int)(at - text), text, sig, at + 4);

		assert_int_equal(verify(signed_text, k->public_path, &e),
				 edits[i].good ? 0 : -EBADMSG);
		assert_int_equal(verify(signed_text, k->user_path, &e),
				 edits[i].good ? 0 : -EBADMSG);
		assert_int_equal(verify(signed_text, k->ec2_path, &e), -EBADMSG);
	}
}

static void an_unsigned_manifest_does_not_verify(void **state)
{
	struct keys *k = *state;
	AUTO_FREE char *text = edited("00ff", "UNSIGNED");
	struct err e;

	assert_int_equal(verify(text, k->public_path, &e), -EBADMSG);
	assert_string_equal(e.msg, "manifest is not signed");
	assert_int_equal(verify(MANIFEST, "/dev/null", &e), -EINVAL);
}

static char *with_keys(const char *who, const char *key, const char *iv)
{
	AUTO_FREE char *parts = str_format("<%s_encrypted_key>%s</%s_encrypted_key>"
					   "<%s_encrypted_iv>%s</%s_encrypted_iv><parts",
					   who, key, who, who, iv, who);

	return edited("<parts", parts);
}

static int decrypt(const char *text, const char *path, struct bundle_secret *s, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = parse(text);

	return manifest_decrypt_secret(m, path, s, e);
}

static void either_pair_can_be_decrypted_by_its_key(void **state)
{
	struct keys *k = *state;
	static const char *const who[] = {"user", "ec2"};

	for (size_t i = 0; i < ARRAY_SIZE(who); i++) {
		EVP_PKEY *key = i ? k->ec2 : k->user;
		AUTO_FREE char *a = seal(key, "00112233445566778899aabbccddeeff");
		AUTO_FREE char *b = seal(key, "FFEEDDCCBBAA99887766554433221100");
		AUTO_FREE char *text = with_keys(who[i], a, b);
		struct bundle_secret s;
		struct err e;

		assert_int_equal(decrypt(text, i ? k->ec2_path : k->user_path, &s, &e), 0);
		assert_int_equal(s.for_user, i == 0);
		assert_int_equal(s.key[1], 0x11);
		assert_int_equal(s.iv[0], 0xff);
		assert_int_equal(decrypt(text, i ? k->user_path : k->ec2_path, &s, &e), -EACCES);
		assert_int_equal(decrypt(text, k->public_path, &s, &e), -EINVAL);
	}
}

static void only_32_hex_digits_are_a_secret(void **state)
{
	struct keys *k = *state;
	static const char *const bad[] = {
		"00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff0",
		"0x112233445566778899aabbccddeeff", "", "0123456789abcdef"};
	AUTO_FREE char *good = seal(k->user, "00112233445566778899aabbccddeeff");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO_FREE char *sealed = seal(k->user, bad[i]);
		AUTO_FREE char *text = with_keys("user", good, sealed);
		struct bundle_secret s;
		struct err e;

		assert_int_equal(decrypt(text, k->user_path, &s, &e), -EACCES);
		assert_non_null(strstr(e.msg, "does not fit"));
	}
}

static void a_manifest_without_keys_says_so(void **state)
{
	struct keys *k = *state;
	struct bundle_secret s;
	struct err e;

	assert_int_equal(decrypt(MANIFEST, k->user_path, &s, &e), -EBADMSG);
	assert_string_equal(e.msg, "manifest holds no encrypted key and IV");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_of_amazons_tool_is_read),
		cmocka_unit_test(all_that_a_machine_configuration_can_hold_is_kept),
		cmocka_unit_test(other_writers_ways_are_read),
		cmocka_unit_test(an_old_version_has_no_machine_configuration),
		cmocka_unit_test(versions_from_3_to_2007_10_10_are_read),
		cmocka_unit_test(parts_are_ordered_by_index_not_by_place_or_name),
		cmocka_unit_test(lists_of_parts_with_holes_or_twins_are_refused),
		cmocka_unit_test(file_names_are_plain),
		cmocka_unit_test(values_are_checked_with_their_place),
		cmocka_unit_test(nothing_stands_twice),
		cmocka_unit_test(what_is_signed_cannot_differ_from_what_is_read),
		cmocka_unit_test(what_is_no_manifest_is_refused),
		cmocka_unit_test(a_signature_covers_the_two_elements_and_nothing_else),
		cmocka_unit_test(an_unsigned_manifest_does_not_verify),
		cmocka_unit_test(either_pair_can_be_decrypted_by_its_key),
		cmocka_unit_test(only_32_hex_digits_are_a_secret),
		cmocka_unit_test(a_manifest_without_keys_says_so),
	};

	return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
