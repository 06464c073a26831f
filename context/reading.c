/* SPDX-License-Identifier: Apache-2.0 */
/* What readers of the clouds' own formats share: see context/reading.h. */
#include "context/reading.h"

#include <stdarg.h>

#include "context/bind.h"
#include "context/rules.h"
#include "lib/str.h"

#define HOSTNAME_MAX 253 /* RFC 1035 section 2.3.4, as text */
#define LABEL_MAX 63
#define FILES_MAX 1024
#define FILES_BYTES_MAX (64 * MIB)

static int PRINTF_LIKE(2, 0) vnote(struct reading *r, const char *fmt, va_list ap)
{
	AUTO_BUF text = BUF_INIT, shown = BUF_INIT;

	if ((r->where && buf_addf(&text, "%s: ", r->where)) || buf_vaddf(&text, fmt, ap) ||
	    str_escape(buf_str(&text), text.len, 256, &shown))
		return -ENOMEM;
	if (r->notes->n && !strcmp(r->notes->v[r->notes->n - 1], buf_str(&shown)))
		return 0; /* the same again */
	return strlist_add(r->notes, buf_str(&shown));
}

int reading_note(struct reading *r, const char *fmt, ...)
{
	va_list ap;
	int rc;

	if (!r->notes || r->notes->n >= READING_NOTES_MAX)
		return 0;
	va_start(ap, fmt);
	rc = vnote(r, fmt, ap);
	va_end(ap);
	return rc;
}

bool reading_is_full(struct reading *r, const char *name, size_t n)
{
	if (n == BIND_MAX_LIST)
		reading_note(r, "%s: more than %d of them", name, BIND_MAX_LIST);
	return n >= BIND_MAX_LIST;
}

bool reading_files_full(struct reading *r, size_t len)
{
	uint64_t sum = len;

	for (size_t i = 0; i < r->c->n_files; i++)
		sum += r->c->files[i].content.len;
	if (r->c->n_files < FILES_MAX && sum <= FILES_BYTES_MAX)
		return false;
	reading_note(r, "files: more than %d, or larger than 64 MiB together", FILES_MAX);
	return true;
}

/* ---- values ---------------------------------------------------------------------------------- */

int reading_text(struct reading *r, const char *name, const char *s, context_check_fn *check,
		 char **at)
{
	struct err why = {0};

	if (!s || !*s || *at)
		return 0;
	if (check && check(s, &why))
		return reading_note(r, "%s: '%s' %s", name, s, why.msg);
	return context_set(at, s);
}

/* A scalar's text; NULL (told) for what has none. */
static const char *scalar(struct reading *r, const struct value *v, int *rc)
{
	struct err why = {0};
	const char *s = NULL;

	*rc = 0;
	if (v && v->kind != VALUE_NULL && value_text(v, &s, &why))
		*rc = reading_note(r, "%s", why.msg);
	return s;
}

int reading_value(struct reading *r, const struct value *v, context_check_fn *check, char **at)
{
	int rc;
	const char *s = scalar(r, v, &rc);

	return rc || !s ? rc : reading_text(r, v->key ? v->key : "", s, check, at);
}

bool strlist_has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i], s))
			return true;
	return false;
}

int reading_item(struct reading *r, const char *name, const char *s, context_check_fn *check,
		 struct strlist *l)
{
	struct err why = {0};

	if (!*s || strlist_has(l, s))
		return 0;
	if (check && check(s, &why))
		return reading_note(r, "%s: '%s' %s", name, s, why.msg);
	if (l->n >= BIND_MAX_LIST)
		return reading_note(r, "%s: more than %d entries", name, BIND_MAX_LIST);
	return strlist_add(l, s);
}

int reading_list(struct reading *r, const struct value *v, context_check_fn *check,
		 struct strlist *l)
{
	const char *name = v && v->key ? v->key : "list";
	const char *s;
	int rc = 0;

	if (v && v->kind != VALUE_LIST) {
		s = scalar(r, v, &rc);
		return rc || !s ? rc : reading_item(r, name, s, check, l);
	}
	value_foreach (item, v) {
		s = scalar(r, item, &rc);
		if (!rc && s)
			rc = reading_item(r, name, s, check, l);
		if (rc)
			return rc;
	}
	return 0;
}

int reading_u32(struct reading *r, const struct value *v, uint32_t min, uint32_t max, uint32_t *at)
{
	int rc;
	const char *s = scalar(r, v, &rc);
	uint64_t n;

	if (rc || !s)
		return rc;
	if (str_to_u64(s, min, max, &n, NULL))
		return reading_note(r, "%s: '%s' is not a number from %u to %u",
				    v->key ? v->key : "", s, min, max);
	*at = (uint32_t)n;
	return 0;
}

int reading_choice(struct reading *r, const struct value *v, enum context_choice *at)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};
	int rc;
	const char *s = scalar(r, v, &rc);

	for (size_t i = 0; s && i < ARRAY_SIZE(yes); i++) {
		if (!strcasecmp(s, yes[i]))
			*at = CHOICE_YES;
		if (!strcasecmp(s, no[i]))
			*at = CHOICE_NO;
	}
	return rc;
}

static void note_fault(void *arg, const struct err *e)
{
	reading_note(arg, "%s", e->msg);
}

int reading_row(struct reading *r, const struct value *v, const struct context_field *f,
		void *object)
{
	struct bind_reader b = {.c = r->c, .folder = -1, .report = note_fault, .arg = r};
	struct err e = {0};
	int rc;

	if (!v || v->kind == VALUE_NULL || context_field_given(f, object))
		return 0;
	rc = bind_field(&b, v, f, object, &e);
	if (rc == -ENOMEM)
		return rc;
	return rc ? reading_note(r, "%s", e.msg) : 0;
}

int reading_member(struct reading *r, const struct value *v, const char *row)
{
	return reading_row(r, v, context_field(context_fields, row), r->c);
}

/* ---- host name ------------------------------------------------------------------------------- */

/* Appends one label: other characters become '-', none at its ends, cut at 63. */
static int add_label(struct buf *out, const char *label, size_t len)
{
	size_t start = out->len;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < len && out->len - start < LABEL_MAX; i++) {
		char c = label[i];
		bool legal =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (legal || out->len > start)
			rc = buf_addc(out, legal ? c : '-');
	}
	while (rc == 0 && out->len > start && out->data[out->len - 1] == '-')
		out->data[--out->len] = '\0';
	return rc;
}

int reading_hostname(struct reading *r, const char *s)
{
	AUTO_BUF name = BUF_INIT;
	const char *dot;
	int rc = 0;

	if (!s || !*s || r->c->hostname)
		return 0;
	for (const char *p = s; p && !rc; p = *dot ? dot + 1 : NULL) {
		size_t before = name.len;

		dot = strchrnul(p, '.');
		if (before)
			rc = buf_addc(&name, '.');
		if (!rc)
			rc = add_label(&name, p, (size_t)(dot - p));
		if (!rc && name.len == before + 1 && before)
			name.data[--name.len] = '\0'; /* an empty label: no dot for it */
		if (name.len > HOSTNAME_MAX) {
			name.len = before;
			name.data[before] = '\0';
			break;
		}
	}
	if (!rc && strcmp(buf_str(&name), s))
		rc = reading_note(r, "host name '%s' is taken as '%s'", s, buf_str(&name));
	return rc || !name.len ? rc : context_set(&r->c->hostname, name.data);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static int take_key(struct reading *r, const char *name, unsigned line, const char *p, size_t len,
		    struct strlist *to)
{
	AUTO_FREE char *key = NULL;
	struct err why = {0};

	while (len && memchr(" \t\r", p[len - 1], 3))
		len--;
	while (len && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	if (!len || *p == '#')
		return 0;
	key = strndup(p, len);
	if (!key)
		return -ENOMEM;
	if (context_check_ssh_key(key, &why))
		return reading_note(r, "%s: line %u %s", name, line, why.msg);
	if (reading_is_full(r, name, to->n))
		return 0;
	return strlist_has(to, key) ? 0 : strlist_add(to, key);
}

int reading_keys(struct reading *r, const char *name, const char *lines, size_t len,
		 struct strlist *to)
{
	const char *end = lines + len;
	unsigned line = 0;

	while (lines < end) {
		const char *lf = memchr(lines, '\n', (size_t)(end - lines));
		size_t n = (size_t)((lf ? lf : end) - lines);
		int rc = take_key(r, name, ++line, lines, n, to);

		if (rc)
			return rc;
		lines += n + 1;
	}
	return 0;
}

/* ---- NICs ------------------------------------------------------------------------------------ */

int reading_nic(struct reading *r, struct nic **ret)
{
	*ret = NULL;
	if (r->c->n_nics >= BIND_MAX_NICS)
		return reading_note(r, "more than %d network interfaces", BIND_MAX_NICS);
	*ret = context_add_nic(r->c);
	return *ret ? 0 : -ENOMEM;
}

int reading_mac(struct reading *r, const char *s, struct nic *n)
{
	struct err why = {0};
	char mac[18];

	if (!s || !*s)
		return 0;
	if (context_parse_mac(s, mac, &why))
		return reading_note(r, "'%s' %s", s, why.msg);
	for (size_t i = 0; i < r->c->n_nics; i++)
		if (&r->c->nics[i] != n && !strcmp(r->c->nics[i].mac, mac))
			return reading_note(r, "'%s' is another interface's MAC address too", s);
	memcpy(n->mac, mac, sizeof(mac));
	return 0;
}

int reading_nic_name(struct reading *r, const char *s, struct nic *n)
{
	for (size_t i = 0; s && *s && i < r->c->n_nics; i++)
		if (&r->c->nics[i] != n && r->c->nics[i].name && !strcmp(r->c->nics[i].name, s))
			return reading_note(r, "two interfaces named '%s'", s);
	return reading_text(r, "name", s, context_check_interface, &n->name);
}

/* ---- trees ----------------------------------------------------------------------------------- */

bool tree_leaf(const struct tree *t, const char *path, struct http_slice *ret)
{
	AUTO_BUF listing = BUF_INIT;

	return tree_lookup(t, UINT32_MAX, path, ret, &listing) == TREE_LEAF;
}
