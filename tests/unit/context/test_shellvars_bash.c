/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bash as the other reader: files put together from pieces of shell syntax are read by both. Where
 * all statements are taken, bash must give every variable the same value, and no others.
 * (cloud-init reads a context.sh by a bash, so that is what guests have seen.)
 */
#include "tests/unit/cmocka.h"

#include <stdio.h>

#include "context/shellvars.h"
#include "lib/proc.h"

#define FILES 300
#define STATEMENTS 4

static const char *const names[] = {"A", "B", "C", "D_9"};

static uint32_t seed = 20240601;

static uint32_t next(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* A piece of a value; more than half of them are harmless. */
static void add_piece(struct buf *b)
{
	static const char *const pieces[] = {
		"word",   "'a b'",   "\"c d\"", "'it'\\''s'", "\\ ",        "\\\\",     "\"\\\"\"",
		"''",     "'\n'",    "\"\n\"",  "\\\n",       "\"\\\n\"",   "1.2-3",    "a=b",
		"#",      "'#'",     "'$x'",    "\"5$\"",     "$",          "\"a\\b\"", "%@!^*?",
		"[]{},+", "\"\\$\"", "'`'",     "\"$x\"",     "$x",         "`:`",      "$(:)",
		"~",      "x~",      ":~",      "\"`:`\"",    "'\xc3\xa4'", "\t",       " ",
		";",      "&",       "|",       ">/dev/null", "\r",
	};

	assert_return_code(buf_adds(b, pieces[next(ARRAY_SIZE(pieces))]), 0);
}

static void add_statement(struct buf *b)
{
	static const char *const before[] = {"", "", "", "export ", "  ", "# "};
	static const char *const after[] = {"\n", "\n", "\n", " # c\n", ";\n", "  \n", ";", "\n\n"};

	assert_return_code(buf_addf(b, "%s%s=", before[next(ARRAY_SIZE(before))],
				    names[next(ARRAY_SIZE(names))]),
			   0);
	for (uint32_t n = next(4); n; n--)
		add_piece(b);
	assert_return_code(buf_adds(b, after[next(ARRAY_SIZE(after))]), 0);
}

/* What bash has for each name: "=VALUE" or "-", with a NUL behind. False if it fails. */
static bool ask_bash(const struct buf *file, struct buf *out)
{
	static const char *const argv[] = {"bash", "--norc", "--noprofile", "-e", NULL};
	AUTO_BUF script = BUF_INIT;

	assert_return_code(buf_adds(&script, "unset A B C D_9\n"), 0);
	assert_return_code(buf_add(&script, buf_str(file), file->len), 0);
	assert_return_code(buf_adds(&script,
				    "\n:\nfor v in A B C D_9; do if [ \"${!v+set}\" ]; then "
				    "printf '=%s\\0' \"${!v}\"; else printf -- '-\\0'; "
				    "fi; done\n"),
			   0);
	return proc_run(argv, script.data, script.len, out, MIB, 20, NULL) == 0;
}

static void bash_reads_what_we_read(void **state)
{
	unsigned compared = 0;

	(void)state;
	for (int i = 0; i < FILES; i++) {
		AUTO(shellvars_release) struct shellvars s = {0};
		AUTO_BUF file = BUF_INIT, out = BUF_INIT;
		struct strlist notes = {0};
		struct err e;
		const char *p;
		size_t skipped;

		for (uint32_t n = 1 + next(STATEMENTS); n; n--)
			add_statement(&file);
		assert_return_code(shellvars_parse(buf_str(&file), file.len, &s, &notes, &e), 0);
		skipped = notes.n;
		strlist_release(&notes);
		/* The one known difference, and wanted: a CR at a line's end is dropped. */
		if (skipped || strchr(buf_str(&file), '\r'))
			continue;
		if (!ask_bash(&file, &out))
			fail_msg("bash fails on:\n%s", buf_str(&file));
		p = out.data;
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			const char *value = shellvars_get(&s, names[k]);

			if (*p != (value ? '=' : '-') || (value && strcmp(p + 1, value) != 0))
				fail_msg("%s is '%s' here and '%s' in bash:\n%s", names[k],
					 value ? value : "unset", p, buf_str(&file));
			p += strlen(p) + 1;
		}
		compared++;
	}
	assert_in_range(compared, FILES / 5, FILES);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bash_reads_what_we_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
