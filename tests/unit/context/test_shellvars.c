/* SPDX-License-Identifier: Apache-2.0 */
/* context.sh is read as data: what a shell would do with it, and nothing that a shell could do. */
#include "tests/unit/cmocka.h"

#include <stdio.h>

#include "context/shellvars.h"

static void parse(const char *text, struct shellvars *s, struct strlist *notes)
{
	struct err e;

	*s = (struct shellvars){0};
	*notes = (struct strlist){0};
	assert_return_code(shellvars_parse(text, strlen(text), s, notes, &e), 0);
}

static void release(struct shellvars *s, struct strlist *notes)
{
	shellvars_release(s);
	strlist_release(notes);
}

static void values_are_those_that_a_shell_gives(void **state)
{
	static const struct {
		const char *text, *name, *value;
	} cases[] = {
		{"A='x y'\n", "A", "x y"},
		{"A='x'", "A", "x"},
		{"A=''\n", "A", ""},
		{"A=\n", "A", ""},
		{"A='it'\\''s'\n", "A", "it's"},
		{"A='one\ntwo\n'\n", "A", "one\ntwo\n"},
		{"A='$x `y` \\ \"'\n", "A", "$x `y` \\ \""},
		{"A=bare-word.1\n", "A", "bare-word.1"},
		{"A=a'b'\"c\"d\n", "A", "abcd"},
		{"A=\"q\\\"\\\\\\$\\`\\z\"\n", "A", "q\"\\$`\\z"},
		{"A=\"x\\\ny\"\n", "A", "xy"},
		{"A=x\\\ny\n", "A", "xy"},
		{"A=x\\ y\n", "A", "x y"},
		{"A=\"5$\"\n", "A", "5$"},
		{"A=5$\n", "A", "5$"},
		{"A='x' # said\n", "A", "x"},
		{"A=x#y\n", "A", "x#y"},
		{"A='x';B='y'\n", "B", "y"},
		{"A='x'; # end\nB='y'", "B", "y"},
		{"export A='x'\n", "A", "x"},
		{"  \t A='x'  \n", "A", "x"},
		{"A='x'\r\nB=y\r\n", "B", "y"},
		{"A='x'\r\n", "A", "x"},
		{"A='x\r\ny'\n", "A", "x\r\ny"},
		{"A=1\nA=2\n", "A", "2"},
		{"# A=1\n\n\nA=3\n", "A", "3"},
		{"A=a=b\n", "A", "a=b"},
		{"_a9='x'\n", "_a9", "x"},
		{"A='\xc3\xa4'\n", "A", "\xc3\xa4"},
		{"A=x~\n", "A", "x~"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct shellvars s;
		struct strlist notes;

		parse(cases[i].text, &s, &notes);
		if (notes.n || !shellvars_get(&s, cases[i].name))
			fail_msg("%s: %s", cases[i].text, notes.n ? notes.v[0] : "no value");
		assert_string_equal(shellvars_get(&s, cases[i].name), cases[i].value);
		release(&s, &notes);
	}
}

/* Each is skipped, told with its place, and what stands behind it is read. */
static void what_a_shell_would_run_or_expand_is_skipped_alone(void **state)
{
	static const struct {
		const char *text, *place;
	} cases[] = {
		{"A=$(id)\n", "1:3: "},
		{"A=`id`\n", "1:3: "},
		{"A=\"$HOME\"\n", "1:4: "},
		{"A=\"`id`\"\n", "1:4: "},
		{"A=${B}\n", "1:3: "},
		{"A=$'x'\n", "1:3: "},
		{"A=~\n", "1:3: "},
		{"A=~root/x\n", "1:3: "},
		{"A=a:~\n", "1:5: "},
		{"A=x&\n", "1:4: "},
		{"A=x|y\n", "1:4: "},
		{"A=(1 2)\n", "1:3: "},
		{"A=x>f\n", "1:4: "},
		{"A='x' rm -rf /\n", "1:7: "},
		{"A=1 B0=2\n", "1:5: "},
		{"9A=1\n", "1:1: "},
		{"A-B=1\n", "1:1: "},
		{"A+=1\n", "1:1: "},
		{"export A\n", "1:8: "},
		{"echo hi\n", "1:1: "},
		{"A =x\n", "1:1: "},
		{"\n\n  =x\n", "3:3: "},
		{"A=$(echo '\nA=2\n')\n", "1:3: "},
		{"A=\"$X\nA=2\n\"\n", "1:4: "},
		{"A=x\\\n&\n", "2:1: "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_BUF text = BUF_INIT;
		struct shellvars s;
		struct strlist notes;

		assert_return_code(buf_addf(&text, "%sB='after'\n", cases[i].text), 0);
		parse(buf_str(&text), &s, &notes);
		if (notes.n != 1 || strncmp(notes.v[0], cases[i].place, strlen(cases[i].place)))
			fail_msg("%s: %zu notes, %s", cases[i].text, notes.n,
				 notes.n ? notes.v[0] : "");
		assert_null(shellvars_get(&s, "A"));
		assert_string_equal(shellvars_get(&s, "B"), "after");
		assert_int_equal(s.n, 1);
		release(&s, &notes);
	}
}

static void a_quote_that_is_never_closed_ends_the_reading(void **state)
{
	static const char *const texts[] = {"A=1\nB='x\nC=3\n", "A=1\nB=\"x\nC=3\n",
					    "A=1\necho 'x\nC=3\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct shellvars s;
		struct strlist notes;

		parse(texts[i], &s, &notes);
		assert_int_equal(s.n, 1);
		assert_string_equal(shellvars_get(&s, "A"), "1");
		assert_int_equal(notes.n, 1);
		assert_non_null(strstr(notes.v[0], "never closed"));
		assert_int_equal(strncmp(notes.v[0], "2:", 2), 0);
		release(&s, &notes);
	}
}

static void limits_are_kept(void **state)
{
	AUTO_BUF text = BUF_INIT;
	struct shellvars s = {0};
	struct strlist notes = {0};
	struct err e;

	(void)state;
	assert_int_equal(shellvars_parse("A=1\0B=2\n", 8, &s, NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "0x3"));
	for (int i = 0; i < SHELLVARS_MAX; i++)
		assert_return_code(buf_addf(&text, "A%d=\n", i), 0);
	assert_return_code(shellvars_parse(text.data, text.len, &s, NULL, &e), 0);
	assert_int_equal(s.n, SHELLVARS_MAX);
	shellvars_release(&s);
	assert_return_code(buf_adds(&text, "B=\n"), 0);
	assert_int_equal(shellvars_parse(text.data, text.len, &s, NULL, &e), -EFBIG);
	buf_clear(&text);
	while (text.len <= SHELLVARS_FILE_MAX)
		assert_return_code(buf_adds(&text, "# 0123456789012345678901234567890123456\n"), 0);
	assert_int_equal(shellvars_parse(text.data, text.len, &s, NULL, &e), -EFBIG);
	buf_clear(&text);
	for (int i = 0; i < 1000; i++)
		assert_return_code(buf_adds(&text, "what\n"), 0);
	assert_return_code(shellvars_parse(text.data, text.len, &s, &notes, &e), 0);
	assert_int_equal(notes.n, SHELLVARS_NOTES_MAX + 1);
	release(&s, &notes);
}

static void a_long_name_is_no_name(void **state)
{
	char text[SHELLVARS_NAME_MAX + 8];
	struct shellvars s;
	struct strlist notes;

	(void)state;
	memset(text, 'A', sizeof(text));
	strcpy(text + SHELLVARS_NAME_MAX, "=1\n");
	parse(text, &s, &notes);
	assert_int_equal(s.n, 1);
	release(&s, &notes);
	memset(text, 'A', sizeof(text));
	strcpy(text + SHELLVARS_NAME_MAX + 1, "=1\n");
	parse(text, &s, &notes);
	assert_int_equal(s.n, 0);
	assert_int_equal(notes.n, 1);
	release(&s, &notes);
}

static void what_is_written_is_read_back(void **state)
{
	static const char *const values[] = {"",   "x",      "it's",          "'",
					     "''", "a\nb\n", "$(id) `id` \\", "\"",
					     "#x", " lead",  "\r\n",          "\xff"};
	struct shellvars s = {0}, back;
	struct strlist notes;
	AUTO_BUF text = BUF_INIT;
	struct err e;
	char name[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		snprintf(name, sizeof(name), "V%zu", i);
		assert_return_code(shellvars_set(&s, name, values[i], &e), 0);
	}
	assert_return_code(shellvars_set(&s, "B", "first", &e), 0);
	assert_return_code(shellvars_set(&s, "B", "it's", &e), 0);
	assert_int_equal(shellvars_set(&s, "9", "", &e), -EINVAL);
	assert_return_code(shellvars_write(&s, &text, &e), 0);
	assert_ptr_equal(strstr(text.data, "B='it'\\''s'\nV0=''\nV1='x'\nV10='"), text.data);
	parse(text.data, &back, &notes);
	assert_int_equal(notes.n, 0);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		snprintf(name, sizeof(name), "V%zu", i);
		assert_string_equal(shellvars_get(&back, name), values[i]);
	}
	release(&back, &notes);
	shellvars_release(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_those_that_a_shell_gives),
		cmocka_unit_test(what_a_shell_would_run_or_expand_is_skipped_alone),
		cmocka_unit_test(a_quote_that_is_never_closed_ends_the_reading),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(a_long_name_is_no_name),
		cmocka_unit_test(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
