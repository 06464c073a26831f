/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of init scripts, and the files of insserv(8) and startpar(8): see lsb.h. */
#include "imgconv/inject/lsb.h"

#include "lib/str.h"

#define BLANKS " \t\r"

/* ---- words ----------------------------------------------------------------------------------- */

static int add_word(struct buf *out, const char *word, size_t len)
{
	return buf_add(out, word, len) < 0 || buf_addc(out, ' ') < 0 ? -ENOMEM : 0;
}

/* The next word of a line; *s moves behind it. NULL at the line's end. */
static const char *next_word(const char **s, size_t *ret_len)
{
	const char *word = *s + strspn(*s, BLANKS);

	*ret_len = strcspn(word, BLANKS "\n");
	*s = word + *ret_len;
	return *ret_len ? word : NULL;
}

static int add_words(const char *line, struct buf *out)
{
	const char *word;
	size_t len;

	while ((word = next_word(&line, &len))) {
		if (add_word(out, word, len) < 0)
			return -ENOMEM;
	}
	return 0;
}

bool lsb_has_word(const char *list, const char *word, size_t len)
{
	const char *w;
	size_t n;

	while ((w = next_word(&list, &n))) {
		if (n == len && !memcmp(w, word, len))
			return true;
	}
	return false;
}

static const char *next_line(const char *s)
{
	s += strcspn(s, "\n");
	return *s ? s + 1 : s;
}

/* ---- headers --------------------------------------------------------------------------------- */

int lsb_words(const char *text, const char *keyword, struct buf *out)
{
	size_t len = strlen(keyword);
	bool inside = false;

	for (const char *s = text; *s; s = next_line(s)) {
		const char *p = s;

		if (str_has_prefix(s, "### BEGIN INIT INFO"))
			inside = true;
		else if (str_has_prefix(s, "### END INIT INFO"))
			return 0;
		if (!inside || *p != '#')
			continue;
		p++;
		p += strspn(p, BLANKS);
		if (!strncasecmp(p, keyword, len) && p[len] == ':')
			return add_words(p + len + 1, out) < 0 ? -ENOMEM : 1;
	}
	return 0;
}

int lsb_facility_words(const char *conf, const char *name, size_t len, struct buf *out)
{
	int found = 0;

	for (const char *s = conf; *s; s = next_line(s)) {
		const char *p = s, *word;
		size_t n;

		word = next_word(&p, &n);
		if (!word || n != len || memcmp(word, name, len) != 0)
			continue;
		found = 1;
		while ((word = next_word(&p, &n))) {
			size_t optional = *word == '+';

			if (n > optional && add_word(out, word + optional, n - optional) < 0)
				return -ENOMEM;
		}
	}
	return found;
}

/* ---- dependencies ---------------------------------------------------------------------------- */

static bool is_targets(const char *line)
{
	return str_has_prefix(line, "TARGETS =") || str_has_prefix(line, "TARGETS=");
}

/* The list of all scripts; the new one before the first that waits for it. */
static int edit_targets(const char *line, const char *name, const char *before, struct buf *out)
{
	const char *p = strchr(line, '=') + 1, *word;
	bool there = lsb_has_word(p, name, strlen(name));
	size_t len;

	if (buf_adds(out, "TARGETS =") < 0)
		return -ENOMEM;
	while ((word = next_word(&p, &len))) {
		if (!there && lsb_has_word(before, word, len)) {
			there = true;
			if (buf_addf(out, " %s", name) < 0)
				return -ENOMEM;
		}
		if (buf_addc(out, ' ') < 0 || buf_add(out, word, len) < 0)
			return -ENOMEM;
	}
	if (!there && buf_addf(out, " %s", name) < 0)
		return -ENOMEM;
	return buf_addc(out, '\n');
}

struct rules {
	const char *name, *after, *before;
	struct buf seen; /* those of name and before that have a line */
};

static int own_rule(const struct rules *r, struct buf *out)
{
	if (!*r->after)
		return 0;
	if (buf_addf(out, "%s: %s", r->name, r->after) < 0)
		return -ENOMEM;
	out->data[out->len - 1] = '\n'; /* in place of the space behind the last word */
	return 0;
}

/* What one script waits for. */
static int edit_rule(const char *line, struct rules *r, struct buf *out)
{
	size_t len = strcspn(line, "\n"), script = strcspn(line, ": \t\n");
	bool rule = line[script] == ':';
	bool own = rule && script == strlen(r->name) && !memcmp(line, r->name, script);
	bool waits = rule && !own && lsb_has_word(r->before, line, script);

	if ((own || waits) && add_word(&r->seen, line, script) < 0)
		return -ENOMEM;
	if (own)
		return own_rule(r, out);
	if (buf_add(out, line, len) < 0)
		return -ENOMEM;
	if (waits && !lsb_has_word(line + script + 1, r->name, strlen(r->name)) &&
	    buf_addf(out, " %s", r->name) < 0)
		return -ENOMEM;
	return buf_addc(out, '\n');
}

static int missing_rules(const struct rules *r, struct buf *out)
{
	const char *seen = buf_str(&r->seen), *list = r->before, *word;
	size_t len;

	if (!lsb_has_word(seen, r->name, strlen(r->name)) && own_rule(r, out) < 0)
		return -ENOMEM;
	while ((word = next_word(&list, &len))) {
		if (!lsb_has_word(seen, word, len) &&
		    buf_addf(out, "%.*s: %s\n", (int)len, word, r->name) < 0)
			return -ENOMEM;
	}
	return 0;
}

int lsb_depend_add(const char *text, const char *name, const char *after, const char *before,
		   struct buf *out)
{
	struct rules r = {.name = name, .after = after, .before = before};
	bool targets = false;
	int rc = 0;

	for (const char *s = text; *s && !targets; s = next_line(s))
		targets = is_targets(s);
	if (!targets)
		return buf_adds(out, text);
	for (const char *s = text; *s && rc >= 0; s = next_line(s))
		rc = is_targets(s) ? edit_targets(s, name, before, out) : edit_rule(s, &r, out);
	if (rc >= 0)
		rc = missing_rules(&r, out);
	buf_release(&r.seen);
	return rc < 0 ? -ENOMEM : 0;
}

/* A line behind its ':' or '=' without the word. Returns how many words were left, or an error. */
static int copy_others(const char *words, const char *name, struct buf *out, bool *removed)
{
	const char *from = words, *word;
	size_t len;
	int n = 0;

	while ((word = next_word(&words, &len))) {
		if (len == strlen(name) && !memcmp(word, name, len)) {
			*removed = true;
		} else {
			n++;
			if (buf_add(out, from, (size_t)(words - from)) < 0)
				return -ENOMEM;
		}
		from = words;
	}
	return buf_add(out, from, strcspn(from, "\n")) < 0 ? -ENOMEM : n;
}

int lsb_depend_remove(const char *text, const char *name, struct buf *out)
{
	int any = 0;

	for (const char *s = text; *s; s = next_line(s)) {
		size_t len = strcspn(s, "\n"), head = strcspn(s, ":=\n"), before = out->len;
		bool rule = s[head] == ':', removed = false;
		int n = 0;

		if (rule && head == strlen(name) && !memcmp(s, name, head)) {
			any = 1;
			continue;
		}
		head += head < len;
		if (buf_add(out, s, head) < 0)
			return -ENOMEM;
		n = copy_others(s + head, name, out, &removed);
		if (n < 0 || (s[len] && buf_addc(out, '\n') < 0))
			return -ENOMEM;
		/* One that waited for nothing else had no line before. */
		if (removed && rule && !n) {
			out->len = before;
			out->data[before] = '\0';
		}
		any |= removed;
	}
	return any;
}
