/* SPDX-License-Identifier: Apache-2.0 */
/* INI files of the AWS tools: see lib/ini.h. */
#include "lib/ini.h"

#include <strings.h>

#include "lib/str.h"

#define MAX_BYTES (1u << 20)
#define MAX_ENTRIES 10000

struct entry {
	char *section, *key, *value; /* key and value NULL: the section's own line */
	struct entry *next;
};

struct ini {
	struct entry *entries; /* the latest first */
	size_t n_entries;
};

/* What the lines before mean for the next one. */
struct state {
	const char *name;
	unsigned line;
	struct ini *ini;
	char *section;
	char *block; /* key with an empty value, under which a nested block may stand */
};

static void state_release(struct state *s)
{
	free(s->section);
	free(s->block);
}
DEFINE_AUTO_STRUCT(struct state, state_release);

void ini_free(struct ini *ini)
{
	struct entry *e, *next;

	for (e = ini ? ini->entries : NULL; e; e = next) {
		next = e->next;
		if (e->value)
			explicit_bzero(e->value, strlen(e->value));
		free(e->section);
		free(e->key);
		free(e->value);
		free(e);
	}
	free(ini);
}

/* Takes the strings away from the caller, whatever happens. */
static int add_entry(struct state *s, char *key, char *value, struct err *e)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry) {
		free(key);
		free(value);
		return err_nomem(e);
	}
	entry->key = key;
	entry->value = value;
	entry->section = strdup(s->section);
	entry->next = s->ini->entries;
	s->ini->entries = entry;
	if (!entry->section)
		return err_nomem(e);
	if (++s->ini->n_entries > MAX_ENTRIES)
		return err_set(e, EFBIG, "%s: more than %d lines", s->name, MAX_ENTRIES);
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **p, size_t *len)
{
	while (*len && is_blank(**p)) {
		(*p)++;
		(*len)--;
	}
	while (*len && is_blank((*p)[*len - 1]))
		(*len)--;
}

static int on_section(struct state *s, const char *p, size_t len, struct err *e)
{
	const char *end = memchr(p, ']', len);
	size_t name_len;

	if (!end)
		return err_set(e, EBADMSG, "%s:%u: '[' without ']'", s->name, s->line);
	p++;
	name_len = (size_t)(end - p);
	trim(&p, &name_len);
	free(s->section);
	s->section = strndup(p, name_len);
	free(STEAL(s->block));
	if (!s->section)
		return err_nomem(e);
	return add_entry(s, NULL, NULL, e);
}

static int on_pair(struct state *s, const char *p, size_t len, bool nested, struct err *e)
{
	const char *eq = memchr(p, '=', len);
	const char *value;
	size_t key_len, value_len;
	char *key;

	if (!eq)
		return err_set(e, EBADMSG, "%s:%u: neither [section] nor key = value", s->name,
			       s->line);
	if (!s->section)
		return err_set(e, EBADMSG, "%s:%u: a key before the first [section]", s->name,
			       s->line);
	key_len = (size_t)(eq - p);
	value = eq + 1;
	value_len = len - key_len - 1;
	trim(&p, &key_len);
	trim(&value, &value_len);
	if (!key_len)
		return err_set(e, EBADMSG, "%s:%u: '=' without a key", s->name, s->line);
	if (!nested) {
		free(s->block);
		s->block = value_len ? NULL : strndup(p, key_len);
		if (!value_len && !s->block)
			return err_nomem(e);
		key = strndup(p, key_len);
	} else {
		key = str_format("%s.%.*s", s->block, (int)key_len, p);
	}
	if (!key)
		return err_nomem(e);
	return add_entry(s, key, strndup(value, value_len), e);
}

static int on_line(struct state *s, const char *p, size_t len, struct err *e)
{
	bool indented = len && is_blank(*p);

	if (memchr(p, '\0', len))
		return err_set(e, EBADMSG, "%s:%u: a NUL character", s->name, s->line);
	trim(&p, &len);
	if (!len || *p == '#' || *p == ';')
		return 0;
	if (!indented)
		return *p == '[' ? on_section(s, p, len, e) : on_pair(s, p, len, false, e);
	/* A block's member; or the continuation of a value, which no key of ours has. */
	return s->block && memchr(p, '=', len) ? on_pair(s, p, len, true, e) : 0;
}

int ini_parse(const char *name, const void *data, size_t len, struct ini **ret, struct err *e)
{
	AUTO(ini_free) struct ini *ini = calloc(1, sizeof(*ini));
	AUTO(state_release) struct state s = {.name = name, .ini = ini};
	const char *p = data ? data : "", *end = p + len;
	int rc = 0;

	if (!ini)
		return err_nomem(e);
	if (len > MAX_BYTES)
		return err_set(e, EFBIG, "%s: more than %u bytes", name, MAX_BYTES);
	while (p < end && rc == 0) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *stop = newline ? newline : end;

		s.line++;
		rc = on_line(&s, p, (size_t)(stop - p), e);
		p = newline ? newline + 1 : end;
	}
	if (rc < 0)
		return rc;
	for (const struct entry *entry = ini->entries; entry; entry = entry->next) {
		if (entry->key && !entry->value)
			return err_nomem(e);
	}
	*ret = STEAL(ini);
	return 0;
}

bool ini_has_section(const struct ini *ini, const char *section)
{
	for (const struct entry *e = ini ? ini->entries : NULL; e; e = e->next) {
		if (!strcmp(e->section, section))
			return true;
	}
	return false;
}

const char *ini_get(const struct ini *ini, const char *section, const char *key)
{
	for (const struct entry *e = ini ? ini->entries : NULL; e; e = e->next) {
		if (e->key && !strcmp(e->section, section) && !strcasecmp(e->key, key))
			return e->value;
	}
	return NULL;
}
