/* SPDX-License-Identifier: Apache-2.0 */
/* lib/xml: byte offsets, names, what is refused, the strict getters. */
#include "tests/unit/cmocka.h"

#include "lib/xml.h"

static struct xml_node *parse(const char *text)
{
	struct xml_node *root = NULL;
	struct err e;

	if (xml_parse("t.xml", text, strlen(text), NULL, &root, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return root;
}

/* The element's bytes in the text. */
static void assert_bytes(const char *text, const struct xml_node *n, const char *expected)
{
	assert_non_null(n);
	assert_int_equal(n->end - n->start, strlen(expected));
	assert_memory_equal(text + n->start, expected, strlen(expected));
}

static void offsets_are_those_of_the_raw_bytes(void **state)
{
	static const char text[] =
		"<?xml version='1.0' encoding='ASCII'?>\n<manifest><version>2007-10-10</version>"
		"<machine_configuration><architecture>x86_64</architecture></machine_configuration "
		">"
		" <image a = '>' ><k "
		"algorithm=\"AES-128-CBC\"/><iv/><n>&amp;\xc3\xa9</n>\r\n</image>"
		"<signature>UNSIGNED</signature></manifest>\n";
	AUTO(xml_free) struct xml_node *root = parse(text);

	(void)state;
	assert_bytes(text, xml_child(root, "machine_configuration"),
		     "<machine_configuration><architecture>x86_64</architecture>"
		     "</machine_configuration >");
	assert_bytes(text, xml_child(root, "image"),
		     "<image a = '>' ><k algorithm=\"AES-128-CBC\"/><iv/><n>&amp;\xc3\xa9</n>\r\n"
		     "</image>");
	assert_bytes(text, xml_path(root, "image/k"), "<k algorithm=\"AES-128-CBC\"/>");
	assert_bytes(text, xml_path(root, "image/iv"), "<iv/>");
	assert_bytes(text, xml_path(root, "image/n"), "<n>&amp;\xc3\xa9</n>");
	assert_string_equal(xml_path(root, "image/n")->text, "&\xc3\xa9");
	assert_string_equal(xml_attr(xml_child(root, "image"), "a"), ">");
	assert_int_equal(xml_child(root, "image")->line, 2);
}

static void the_root_ends_behind_its_end_tag(void **state)
{
	static const char text[] = "<a>\n</a>\n<!-- after -->\n";
	AUTO(xml_free) struct xml_node *root = parse(text);
	AUTO(xml_free) struct xml_node *empty = parse(" <a/> ");

	(void)state;
	assert_bytes(text, root, "<a>\n</a>");
	assert_int_equal(empty->start, 1);
	assert_int_equal(empty->end, 5);
}

static void names_are_local_and_namespaces_kept(void **state)
{
	AUTO(xml_free)
	struct xml_node *root = parse(
		"<R xmlns='http://ec2/' xmlns:o='urn:o'><item>1</item><o:item o:key='v' b='w'/>"
		"<other/><item>2</item></R>");
	const struct xml_node *item = xml_child(root, "item");

	(void)state;
	assert_string_equal(root->ns, "http://ec2/");
	assert_int_equal(root->n_attrs, 0);
	assert_int_equal(xml_count(root, "item"), 3);
	assert_string_equal(item->text, "1");
	item = xml_next(item, "item");
	assert_string_equal(item->ns, "urn:o");
	assert_string_equal(xml_attr(item, "key"), "v");
	assert_string_equal(item->attrs[0].ns, "urn:o");
	assert_string_equal(item->attrs[1].ns, "");
	item = xml_next(item, "item");
	assert_string_equal(item->text, "2");
	assert_null(xml_next(item, "item"));
	assert_string_equal(xml_child_text(root, "none", "dflt"), "dflt");
	assert_null(xml_child(xml_child(root, "none"), "deeper"));
	assert_null(xml_path(root, "other/none"));
}

static void text_is_joined_over_comments_and_sections(void **state)
{
	AUTO(xml_free)
	struct xml_node *root =
		parse("<r><!-- c -->a<![CDATA[<&]]>b<x>in</x>c<e> <!-- d --> </e></r>");

	(void)state;
	assert_string_equal(root->text, "a<&bc");
	assert_int_equal(root->text_len, 5);
	assert_string_equal(xml_child_text(root, "x", NULL), "in");
}

static void hostile_documents_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *message;
	} cases[] = {
		{"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", -ENOTSUP, "t.xml:1:13: document type"},
		{"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", -ENOTSUP, "document type"},
		{"<a>&x;</a>", -EBADMSG, "t.xml:1:4: undefined entity"},
		{"<a><?php x?></a>", -ENOTSUP, "processing instructions ('php')"},
		{"<a>12<!-- -->34</a>", -ENOTSUP, "a comment in the middle"},
		{"<a>", -EBADMSG, "t.xml:1:4: no element found"},
		{"", -EBADMSG, "no element found"},
		{"<a></b>", -EBADMSG, "mismatched tag"},
		{"<a/><b/>", -EBADMSG, "junk after"},
		{"<a b='1' b='2'/>", -EBADMSG, "duplicate attribute"},
		{"<o:a/>", -EBADMSG, "unbound prefix"},
		{"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", -EILSEQ,
		 "t.xml: not UTF-8"},
		{"\xff\xfe<\0a\0/\0>\0", -EILSEQ, "t.xml: not UTF-8"},
		{"<a>\x01</a>", -EBADMSG, "invalid token"},
		{"<a xmlns='x&#10;y'/>", -EBADMSG, "t.xml"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct xml_node *root = NULL;
		struct err e = {.msg = ""};
		int rc = xml_parse("t.xml", cases[i].text, strlen(cases[i].text), NULL, &root, &e);

		if (rc != cases[i].rc || !strstr(e.msg, cases[i].message))
			fail_msg("%s: %d %s", cases[i].text, rc, e.msg);
		assert_null(root);
	}
}

static void limits_hold(void **state)
{
	static const struct xml_limits few = {.bytes = 60, .depth = 2, .nodes = 4};
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{"<a><b/></a>", 0},
		{"<a><b><c/></b></a>", -EFBIG},
		{"<a><b/><b/><b/></a>", 0},
		{"<a><b/><b/><b/><b/></a>", -EFBIG},
		{"<a b='' c='' d=''/>", 0},
		{"<a b='' c='' d='' e=''/>", -EFBIG},
		{"<a>...........................................................</a>", -EFBIG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(xml_free) struct xml_node *root = NULL;

		assert_int_equal(
			xml_parse("t", cases[i].text, strlen(cases[i].text), &few, &root, NULL),
			cases[i].rc);
	}
}

/* A few MiB are read in a moment, whatever they consist of: another program dies of them. */
static void nothing_takes_more_than_its_length(void **state)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	AUTO_BUF text = BUF_INIT;
	struct err e;
	size_t i;

	(void)state;
	alarm(60);
	/* Comments behind blanks. */
	assert_int_equal(buf_addf(&text, "<a>%1500000s", ""), 0);
	for (i = 0; i < 200000; i++)
		assert_int_equal(buf_adds(&text, "<!---->"), 0);
	assert_int_equal(buf_adds(&text, "</a>"), 0);
	root = parse(buf_str(&text));
	assert_int_equal(root->text_len, 1500000);
	/* What only looks like namespaces. */
	buf_clear(&text);
	assert_int_equal(buf_adds(&text, "<a>"), 0);
	for (i = 0; i < 400000; i++)
		assert_int_equal(buf_adds(&text, "xmlns"), 0);
	assert_int_equal(buf_adds(&text, "</a>"), 0);
	xml_free(root);
	root = parse(buf_str(&text));
	/* Names that would be copied for each element. */
	static const char *const forms[] = {"xmlns='", "xmlns:p=\"", "xmlns:p \n=\t'"};
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		struct xml_node *none = NULL;

		buf_clear(&text);
		assert_int_equal(
			buf_addf(&text, "<a><b %s%0257d%c/></a>", forms[i], 0, i == 1 ? '"' : '\''),
			0);
		assert_int_equal(xml_parse("t", text.data, text.len, NULL, &none, &e), -EFBIG);
		assert_string_equal(e.msg, "t: byte 6: a namespace's name of more than 256 bytes");
	}
	alarm(0);
}

static void strict_getters_want_exactly_one(void **state)
{
	AUTO(xml_free)
	struct xml_node *root = parse(
		"<image><size>10</size>\n<two/><two/><bad>1x</bad><neg>-1</neg><big>"
		"18446744073709551616</big><deep>1<x/></deep><parts count='3' z='q'/></image>");
	const struct xml_node *n;
	const char *s;
	uint64_t u = 0;
	struct err e;

	(void)state;
	assert_int_equal(xml_need_u64(root, "size", 0, 10, &u, &e), 0);
	assert_int_equal(u, 10);
	assert_int_equal(xml_need_u64(root, "size", 0, 9, &u, &e), -ERANGE);
	assert_string_equal(e.msg, "t.xml:1:8: <size>: '10' is not between 0 and 9");
	assert_int_equal(xml_need(root, "none", &n, &e), -EBADMSG);
	assert_string_equal(e.msg, "t.xml:1:1: <image>: has no <none>");
	assert_int_equal(xml_need(root, "two", &n, &e), -EBADMSG);
	assert_string_equal(e.msg, "t.xml:2:7: <two>: must be there once only");
	assert_int_equal(xml_need_u64(root, "bad", 0, 9, &u, &e), -EBADMSG);
	assert_int_equal(xml_need_u64(root, "neg", 0, 9, &u, &e), -EBADMSG);
	assert_int_equal(xml_need_u64(root, "big", 0, UINT64_MAX, &u, &e), -ERANGE);
	assert_int_equal(xml_need_text(root, "deep", &s, &e), -EBADMSG);
	n = xml_child(root, "parts");
	assert_int_equal(xml_need_attr_u64(n, "count", 1, 9, &u, &e), 0);
	assert_int_equal(u, 3);
	assert_int_equal(xml_need_attr_u64(n, "z", 1, 9, &u, &e), -EBADMSG);
	assert_int_equal(xml_need_attr(n, "none", &s, &e), -EBADMSG);
	assert_string_equal(e.msg, "t.xml:2:88: <parts>: has no attribute 'none'");
}

static void escaped_text_reads_back(void **state)
{
	static const char hostile[] = "a<b>&\"c'\r\n]]>";
	AUTO_BUF out = BUF_INIT;
	AUTO(xml_free) struct xml_node *root = NULL;

	(void)state;
	assert_int_equal(buf_adds(&out, "<a>"), 0);
	assert_int_equal(xml_escape(hostile, &out), 0);
	assert_int_equal(buf_adds(&out, "</a>"), 0);
	root = parse(buf_str(&out));
	assert_string_equal(root->text, hostile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_are_those_of_the_raw_bytes),
		cmocka_unit_test(the_root_ends_behind_its_end_tag),
		cmocka_unit_test(names_are_local_and_namespaces_kept),
		cmocka_unit_test(text_is_joined_over_comments_and_sections),
		cmocka_unit_test(hostile_documents_are_refused_with_their_place),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(nothing_takes_more_than_its_length),
		cmocka_unit_test(strict_getters_want_exactly_one),
		cmocka_unit_test(escaped_text_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
