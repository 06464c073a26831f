/* SPDX-License-Identifier: Apache-2.0 */
/* Shell assignments without a shell: see context/shellvars.h for the grammar. */
#include "context/shellvars.h"

#include <stdio.h>

struct lexer {
	const char *p, *end;
	const char *line_start;
	unsigned line;
	struct strlist *notes;
};

/* A statement on its way: what is wrong with it first, and where. */
struct trouble {
	const char *why; /* NULL: nothing */
	unsigned line, column;
	bool open_quote;
};

bool shellvars_name_valid(const char *name, size_t len)
{
	if (!len || len > SHELLVARS_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
			continue;
		if (i == 0 || c < '0' || c > '9')
			return false;
	}
	return true;
}

static struct context_pair *find(const struct shellvars *s, const char *name, size_t len)
{
	for (size_t i = s->n; i-- > 0;) {
		if (strncmp(s->v[i].key, name, len) == 0 && !s->v[i].key[len])
			return &s->v[i];
	}
	return NULL;
}

const char *shellvars_get(const struct shellvars *s, const char *name)
{
	const struct context_pair *p = find(s, name, strlen(name));

	return p ? p->value : NULL;
}

/* Takes value over, also on failure. */
static int put(struct shellvars *s, const char *name, size_t len, char *value, struct err *e)
{
	struct context_pair *p = find(s, name, len), *grown;

	if (p) {
		free(p->value);
		p->value = value;
		return 0;
	}
	if (s->n >= SHELLVARS_MAX) {
		free(value);
		return err_set(e, EFBIG, "more than %d variables", SHELLVARS_MAX);
	}
	grown = reallocarray(s->v, s->n + 1, sizeof(*s->v));
	if (grown)
		s->v = grown;
	p = grown ? &grown[s->n] : NULL;
	if (p)
		p->key = strndup(name, len);
	if (!p || !p->key) {
		free(value);
		return err_nomem(e);
	}
	p->value = value;
	s->n++;
	return 0;
}

int shellvars_set(struct shellvars *s, const char *name, const char *value, struct err *e)
{
	char *copy;

	if (!shellvars_name_valid(name, strlen(name)))
		return err_set(e, EINVAL, "'%s' is no name of a variable", name);
	copy = strdup(value);
	return copy ? put(s, name, strlen(name), copy, e) : err_nomem(e);
}

void shellvars_release(struct shellvars *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].key);
		free(s->v[i].value);
	}
	free(s->v);
	*s = (struct shellvars){0};
}

/* ---- reading --------------------------------------------------------------------------- */

static bool at_end(const struct lexer *l)
{
	return l->p == l->end;
}

/* The byte `ahead` of the current one, or NUL past the end (the text itself holds none). */
static char peek(const struct lexer *l, size_t ahead)
{
	return ahead < (size_t)(l->end - l->p) ? l->p[ahead] : '\0';
}

static char next(struct lexer *l)
{
	char c = *l->p++;

	if (c == '\n') {
		l->line++;
		l->line_start = l->p;
	}
	return c;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A line's end, with or without CR, or the text's. */
static bool at_eol(const struct lexer *l)
{
	return at_end(l) || *l->p == '\n' || (*l->p == '\r' && (peek(l, 1) == '\n' || !peek(l, 1)));
}

static void blame(const struct lexer *l, struct trouble *t, const char *why)
{
	if (t->why)
		return;
	t->why = why;
	t->line = l->line;
	t->column = (unsigned)(l->p - l->line_start) + 1;
}

static bool starts_expansion(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("_{([@*#?$!-", c));
}

/* The opening quote is consumed. */
static int lex_single(struct lexer *l, struct buf *v, struct trouble *t)
{
	while (!at_end(l)) {
		char c = next(l);

		if (c == '\'')
			return 0;
		if (buf_addc(v, c) < 0)
			return -ENOMEM;
	}
	t->open_quote = true;
	return 0;
}

static int lex_double(struct lexer *l, struct buf *v, struct trouble *t)
{
	while (!at_end(l)) {
		char c = *l->p;

		if (c == '`' || (c == '$' && starts_expansion(peek(l, 1))))
			blame(l, t, "a shell would expand or run this");
		next(l);
		if (c == '"')
			return 0;
		if (c == '\\' && !at_end(l) && strchr("\"\\$`\n", *l->p)) {
			c = next(l);
			if (c == '\n')
				continue;
		}
		if (buf_addc(v, c) < 0)
			return -ENOMEM;
	}
	t->open_quote = true;
	return 0;
}

/* What may not stand outside quotes. */
static void check_bare(const struct lexer *l, const char *value, struct trouble *t)
{
	char c = *l->p;

	if (c == '`' ||
	    (c == '$' && (starts_expansion(peek(l, 1)) || peek(l, 1) == '\'' || peek(l, 1) == '"')))
		blame(l, t, "a shell would expand or run this");
	else if (strchr("&|<>()", c))
		blame(l, t, "a shell operator outside of quotes");
	else if (c == '~' && (l->p == value || l->p[-1] == ':'))
		blame(l, t, "a shell would expand or run this");
}

/*
 * A word, up to an unquoted blank, ';' or line end. Once something is wrong with it, it goes on to
 * the line's end, still minding quotes, so that the next statement is found where a shell finds it.
 */
static int lex_value(struct lexer *l, struct buf *v, struct trouble *t)
{
	const char *value = l->p;
	unsigned line = l->line, column = (unsigned)(l->p - l->line_start) + 1;
	int rc = 0;

	while (rc == 0 && !t->open_quote && !at_eol(l)) {
		char c = *l->p;

		if (!t->why && (is_blank(c) || c == ';'))
			break;
		check_bare(l, value, t);
		next(l);
		if (c == '\'') {
			rc = lex_single(l, v, t);
		} else if (c == '"') {
			rc = lex_double(l, v, t);
		} else if (c == '\\' && !at_end(l)) {
			c = next(l);
			rc = c == '\n' ? 0 : buf_addc(v, c);
		} else {
			rc = buf_addc(v, c);
		}
	}
	if (t->open_quote)
		*t = (struct trouble){"a quote that is never closed: the rest is not read", line,
				      column, true};
	return rc;
}

static void skip_blanks(struct lexer *l)
{
	while (!at_eol(l) && is_blank(*l->p))
		next(l);
}

static void skip_comment(struct lexer *l)
{
	if (!at_end(l) && *l->p == '#') {
		while (!at_end(l) && *l->p != '\n')
			next(l);
	}
}

static void skip_export(struct lexer *l)
{
	if ((size_t)(l->end - l->p) > 7 && memcmp(l->p, "export", 6) == 0 && is_blank(l->p[6])) {
		l->p += 6;
		skip_blanks(l);
	}
}

/* Takes a name and '=' if they are there. */
static bool lex_name(struct lexer *l, const char **name, size_t *len)
{
	const char *p = l->p;

	while (p < l->end && *p != '=' && (size_t)(p - l->p) <= SHELLVARS_NAME_MAX)
		p++;
	if (p == l->end || *p != '=' || !shellvars_name_valid(l->p, (size_t)(p - l->p)))
		return false;
	*name = l->p;
	*len = (size_t)(p - l->p);
	l->p = p + 1;
	return true;
}

static int note(struct lexer *l, const struct trouble *t, struct err *e)
{
	char text[128];

	if (!l->notes || l->notes->n > SHELLVARS_NOTES_MAX)
		return 0;
	if (l->notes->n == SHELLVARS_NOTES_MAX)
		snprintf(text, sizeof(text), "%u:%u: and more of the kind", t->line, t->column);
	else
		snprintf(text, sizeof(text), "%u:%u: skipped: %s", t->line, t->column, t->why);
	return strlist_add(l->notes, text) < 0 ? err_nomem(e) : 0;
}

/* Anything but blanks and comments. */
static int lex_statement(struct lexer *l, struct shellvars *ret, struct err *e)
{
	AUTO_BUF value = BUF_INIT;
	struct trouble t = {0};
	const char *name = NULL;
	char *text;
	size_t len = 0;

	skip_export(l);
	if (!lex_name(l, &name, &len))
		blame(l, &t, "not NAME=value");
	if (lex_value(l, &value, &t) < 0)
		return err_nomem(e);
	if (!t.why) {
		bool blank = !at_eol(l) && is_blank(*l->p);

		skip_blanks(l);
		if (blank)
			skip_comment(l);
		if (!at_eol(l) && *l->p == ';')
			next(l);
		else if (!at_eol(l))
			blame(l, &t, "more text behind the value");
		if (t.why && lex_value(l, &value, &t) < 0)
			return err_nomem(e);
	}
	if (t.why) {
		if (t.open_quote)
			l->p = l->end;
		return note(l, &t, e);
	}
	text = buf_detach(&value);
	return text ? put(ret, name, len, text, e) : err_nomem(e);
}

int shellvars_parse(const char *text, size_t len, struct shellvars *ret, struct strlist *notes,
		    struct err *e)
{
	struct lexer l = {text, text + len, text, 1, notes};
	AUTO(shellvars_release) struct shellvars got = {0};
	const char *nul = len ? memchr(text, '\0', len) : NULL;
	int rc = 0;

	if (len > SHELLVARS_FILE_MAX)
		return err_set(e, EFBIG, "%zu bytes of variables; the limit is %llu", len,
			       (unsigned long long)SHELLVARS_FILE_MAX);
	if (nul)
		return err_set(e, EBADMSG, "a NUL byte at 0x%zx", (size_t)(nul - text));
	while (rc == 0 && !at_end(&l)) {
		skip_blanks(&l);
		skip_comment(&l);
		if (!at_eol(&l) && *l.p != ';')
			rc = lex_statement(&l, &got, e);
		else if (!at_end(&l))
			next(&l);
	}
	if (rc < 0)
		return rc;
	*ret = got;
	got = (struct shellvars){0};
	return 0;
}

/* ---- writing --------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct context_pair *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static int write_value(const char *value, struct buf *out)
{
	int rc = buf_addc(out, '\'');

	for (const char *p = value; rc == 0 && *p; p++)
		rc = *p == '\'' ? buf_adds(out, "'\\''") : buf_addc(out, *p);
	return rc < 0 ? rc : buf_addc(out, '\'');
}

int shellvars_write(struct shellvars *s, struct buf *out, struct err *e)
{
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_name);
	for (size_t i = 0; i < s->n; i++) {
		if (buf_adds(out, s->v[i].key) < 0 || buf_addc(out, '=') < 0 ||
		    write_value(s->v[i].value, out) < 0 || buf_addc(out, '\n') < 0)
			return err_nomem(e);
	}
	return 0;
}
