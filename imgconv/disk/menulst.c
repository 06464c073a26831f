/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of menu.lst (GNU GRUB 0.97 manual, chapter 13 "Available commands", and its stage2
 * reader): one command a line, the name ended by a space, a tab or "="; "#" begins a comment
 * line; a backslash at the end joins lines. Commands before the first "title" set up the menu.
 *
 *	default N | saved     the entry to boot, from 0 ("saved": 0, what was saved is not known)
 *	title TEXT            begins an entry
 *	kernel [--OPT...] [(DEVICE)]FILE ARGS...
 *	initrd [(DEVICE)]FILE
 *	module [(DEVICE)]FILE ARGS...   of a hypervisor entry: the first is the kernel, the second
 *	                                the initrd, and `kernel` the hypervisor
 */
#include "imgconv/disk/menulst.h"

#include "lib/buf.h"
#include "lib/str.h"

#define TEXT_MAX (64 * KIB)
#define ENTRIES_MAX 100

struct parser {
	struct menulst *m;
	struct menulst_entry *entry; /* NULL before the first title */
	unsigned modules;            /* seen in this entry */
	struct err *e;
};

static void entry_release(struct menulst_entry *x)
{
	free(x->title);
	free(x->kernel);
	free(x->args);
	free(x->initrd);
}

void menulst_release(struct menulst *m)
{
	for (size_t i = 0; i < m->n_entries; i++)
		entry_release(&m->entries[i]);
	free(m->entries);
	*m = (struct menulst){0};
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static const char *skip_space(const char *s)
{
	while (is_space(*s))
		s++;
	return s;
}

static const char *word_end(const char *s)
{
	while (*s && !is_space(*s))
		s++;
	return s;
}

static int set_text(struct parser *p, char **to, const char *s, size_t len)
{
	char *copy = strndup(s, len);

	if (!copy)
		return err_nomem(p->e);
	free(*to);
	*to = copy;
	return 0;
}

/* A file name; "(hd0)" or "(hd0,0)" in front of it is dropped: there is one file system. */
static int set_file(struct parser *p, char **to, const char *s, const char **rest)
{
	const char *end = word_end(s);
	const char *close = *s == '(' ? memchr(s, ')', (size_t)(end - s)) : NULL;

	if (close)
		s = close + 1;
	*rest = skip_space(end);
	return set_text(p, to, s, (size_t)(end - s));
}

static int set_args(struct parser *p, const char *s)
{
	size_t len = strlen(s);

	while (len && is_space(s[len - 1]))
		len--;
	return set_text(p, &p->entry->args, s, len);
}

static int cmd_kernel(struct parser *p, const char *s)
{
	const char *rest;
	int rc;

	while (s[0] == '-' && s[1] == '-')
		s = skip_space(word_end(s));
	rc = set_file(p, &p->entry->kernel, s, &rest);
	p->modules = 0;
	return rc < 0 ? rc : set_args(p, rest);
}

static int cmd_module(struct parser *p, const char *s)
{
	const char *rest;
	int rc;

	if (p->modules++ == 0) {
		rc = set_file(p, &p->entry->kernel, s, &rest);
		return rc < 0 ? rc : set_args(p, rest);
	}
	if (p->modules == 2)
		return set_file(p, &p->entry->initrd, s, &rest);
	return 0;
}

static int cmd_title(struct parser *p, const char *s)
{
	struct menulst *m = p->m;
	struct menulst_entry *list;

	if (m->n_entries == ENTRIES_MAX)
		return err_set(p->e, EFBIG, "more than %d entries", ENTRIES_MAX);
	list = realloc(m->entries, (m->n_entries + 1) * sizeof(*list));
	if (!list)
		return err_nomem(p->e);
	m->entries = list;
	p->entry = &list[m->n_entries++];
	p->modules = 0;
	*p->entry = (struct menulst_entry){0};
	return set_text(p, &p->entry->title, s, strlen(s));
}

static void cmd_default(struct parser *p, const char *s)
{
	AUTO_FREE char *word = strndup(s, (size_t)(word_end(s) - s));
	uint64_t n;

	/* "saved", and whatever GRUB would not understand either, is the first entry. */
	if (word && str_to_u64(word, 0, ENTRIES_MAX, &n, NULL) >= 0)
		p->m->default_entry = (size_t)n;
}

static int parse_line(struct parser *p, const char *line)
{
	const char *s = skip_space(line);
	size_t len = strcspn(s, " \t\r=");
	const char *arg = s + len;

	if (*s == '#' || !*s)
		return 0;
	while (is_space(*arg) || *arg == '=')
		arg++;
	if (len == 5 && !strncmp(s, "title", len))
		return cmd_title(p, arg);
	if (len == 7 && !strncmp(s, "default", len) && !p->entry)
		cmd_default(p, arg);
	if (!p->entry)
		return 0;
	if (len == 6 && !strncmp(s, "kernel", len))
		return cmd_kernel(p, arg);
	if (len == 6 && !strncmp(s, "initrd", len))
		return set_file(p, &p->entry->initrd, arg, &arg);
	if (len == 6 && !strncmp(s, "module", len))
		return cmd_module(p, arg);
	return 0;
}

/* Entries without a kernel go; the default keeps pointing to the entry that it meant. */
static void drop_empty(struct menulst *m)
{
	size_t kept = 0, chosen = 0;

	for (size_t i = 0; i < m->n_entries; i++) {
		if (!m->entries[i].kernel || m->entries[i].kernel[0] != '/') {
			entry_release(&m->entries[i]);
			continue;
		}
		if (i == m->default_entry)
			chosen = kept;
		m->entries[kept++] = m->entries[i];
	}
	m->n_entries = kept;
	m->default_entry = chosen;
}

int menulst_parse(const char *text, size_t len, struct menulst *ret, struct err *e)
{
	AUTO(menulst_release) struct menulst m = {0};
	AUTO_BUF line = BUF_INIT;
	struct parser p = {.m = &m, .e = e};
	unsigned number = 0;
	int rc = 0;

	if (len > TEXT_MAX)
		return err_set(e, EFBIG, "%zu bytes are more than a menu.lst has", len);
	if (len && memchr(text, '\0', len))
		return err_set(e, EBADMSG, "a NUL in the text");
	for (size_t at = 0; at < len && rc >= 0;) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t n = nl ? (size_t)(nl - text) - at : len - at;
		/* The last line is not joined to anything. */
		bool joined = n && text[at + n - 1] == '\\' && at + n + 1 < len;

		number++;
		if (buf_add(&line, text + at, joined ? n - 1 : n) < 0)
			return err_nomem(e);
		at += n + 1;
		if (joined)
			continue;
		rc = parse_line(&p, buf_str(&line));
		buf_clear(&line);
	}
	if (rc < 0)
		return err_wrap(e, "line %u", number);
	drop_empty(&m);
	*ret = m;
	m = (struct menulst){0};
	return 0;
}
