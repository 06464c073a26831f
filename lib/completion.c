/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the texts of --help for completion: see lib/completion.h. */
#include "lib/completion.h"

#include "lib/str.h"

/* Characters of a line before the text of what an option does. */
#define MARGIN 30

int completion_print(const struct cli_program *p, const char *shell, struct err *e)
{
	if (strcmp(shell, "bash") == 0)
		completion_bash(p, stdout);
	else if (strcmp(shell, "zsh") == 0)
		completion_zsh(p, stdout);
	else
		return err_set(e, EINVAL, "'%s' is neither bash nor zsh", shell);
	return 0;
}

/* ---- options ------------------------------------------------------------------------------- */

static void copy(char *to, size_t room, const char *from, size_t len)
{
	snprintf(to, room, "%.*s", (int)len, from);
}

static void append(char *to, size_t room, const char *from, size_t len)
{
	size_t used = strlen(to);

	copy(to + used, room - used, from, len);
}

/* "-f, --format FMT   format of SRC": false if the line is none of an option. */
static bool parse_line(const char *line, size_t len, struct completion_option *o)
{
	const char *p = line + strspn(line, " ");
	const char *end = line + len;
	size_t n;

	*o = (struct completion_option){0};
	if (len > MARGIN && line[MARGIN - 1] == ' ') {
		copy(o->text, sizeof(o->text), line + MARGIN, len - MARGIN);
		end = line + MARGIN;
	}
	while (end > line && end[-1] == ' ')
		end--;
	if (end - p > 4 && p[0] == '-' && p[1] != '-' && p[2] == ',') {
		o->letter = p[1];
		p += 4;
	}
	if (end - p < 3 || p[0] != '-' || p[1] != '-')
		return false;
	p += 2;
	n = strcspn(p, " \n");
	copy(o->name, sizeof(o->name), p, n);
	p += n;
	if (p < end)
		copy(o->word, sizeof(o->word), p + 1, (size_t)(end - p) - 1);
	return true;
}

struct completion_options completion_options_of(const struct cli_command *c)
{
	if (c->help)
		return (struct completion_options){.at = c->help, .then = COMMON_HELP};
	return (struct completion_options){.at = COMMON_HELP};
}

bool completion_next(struct completion_options *it, struct completion_option *ret)
{
	bool found = false;

	for (;;) {
		size_t len, blanks;

		if (!*it->at && it->then && !found) {
			it->at = it->then;
			it->then = NULL;
		}
		if (!*it->at)
			return found;
		len = strcspn(it->at, "\n");
		blanks = strspn(it->at, " ");
		if (!found) {
			found = parse_line(it->at, len, ret);
		} else if (blanks >= MARGIN) {
			if (ret->text[0])
				append(ret->text, sizeof(ret->text), " ", 1);
			append(ret->text, sizeof(ret->text), it->at + blanks, len - blanks);
		} else {
			return true;
		}
		it->at += len + (it->at[len] == '\n');
	}
}

/* ---- arguments ----------------------------------------------------------------------------- */

/* True if the option as it stands in a synopsis ("-O", "--size") takes a value. */
static bool takes_value(const struct cli_command *c, const char *word)
{
	struct completion_options it = completion_options_of(c);
	struct completion_option o;

	while (completion_next(&it, &o)) {
		bool is_it = word[1] == '-' ? strcmp(word + 2, o.name) == 0
					    : word[1] == o.letter && !word[2];

		if (is_it)
			return o.word[0] != '\0';
	}
	return false;
}

static void add_argument(struct completion_arguments *a, const char *word)
{
	size_t len = strlen(word);

	a->repeats = str_has_suffix(word, "...");
	if (a->repeats)
		len -= 3;
	if (a->n < COMPLETION_ARGUMENTS_MAX)
		copy(a->words[a->n++], sizeof(a->words[0]), word, len);
}

/* What stands in brackets are options, or words that need not be: those are not offered. */
void completion_arguments_of(const struct cli_command *c, struct completion_arguments *ret)
{
	AUTO_FREE char *text = strdup(c->args);
	char *rest = text;
	char *word;
	int depth = 0;
	bool value = false;

	*ret = (struct completion_arguments){0};
	while (rest && (word = strsep(&rest, " "))) {
		int before = depth;

		for (const char *p = word; *p; p++)
			depth += (*p == '[') - (*p == ']');
		word += strspn(word, "(");
		word[strcspn(word, ")")] = '\0';
		if (before || depth || !*word || strpbrk(word, "[]") || strcmp(word, "|") == 0)
			continue;
		if (value)
			value = false;
		else if (*word == '-')
			value = takes_value(c, word);
		else
			add_argument(ret, word);
	}
}

/* ---- values -------------------------------------------------------------------------------- */

static const struct cli_value *find(const struct cli_value *table, const char *word, size_t len)
{
	for (; table && table->word; table++) {
		if (strlen(table->word) == len && memcmp(table->word, word, len) == 0)
			return table;
	}
	return NULL;
}

/* "text|json": all in lower case. */
static bool is_choice(const char *word)
{
	return strchr(word, '|') &&
	       word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-_|")] == '\0';
}

void completion_value_of(const struct cli_program *p, const char *word,
			 struct completion_value *ret)
{
	static const struct cli_value known[] = {
		{"FILE", CLI_VALUE_FILE, NULL},
		{"TAR", CLI_VALUE_FILE, NULL},
		{"DIR", CLI_VALUE_DIR, NULL},
		{0},
	};
	const struct cli_value *v = find(p->values, word, strlen(word));

	*ret = (struct completion_value){0};
	if (!v && is_choice(word)) {
		ret->kind = CLI_VALUE_ONE_OF;
		copy(ret->values, sizeof(ret->values), word, strlen(word));
		for (char *c = ret->values; *c; c++)
			*c = *c == '|' ? ' ' : *c;
		return;
	}
	if (v) {
		ret->kind = v->kind;
		copy(ret->values, sizeof(ret->values), v->values ? v->values : "",
		     v->values ? strlen(v->values) : 0);
		return;
	}
	/* "DIR|TAR" is what holds all of them: a file may be a folder too. */
	while (*word) {
		size_t n = strcspn(word, "|");

		v = find(p->values, word, n);
		if (!v)
			v = find(known, word, n);
		if (v && (ret->kind == CLI_VALUE_ANY || v->kind == CLI_VALUE_FILE))
			ret->kind = v->kind;
		word += n + (word[n] == '|');
	}
}
