/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels by file_contexts(5): lines "REGEX [TYPE] LABEL".
 *
 * REGEX is anchored at both ends; TYPE is "--" a file, "-d" a folder, "-l" a link and so on; LABEL
 * may be "<<none>>". Of lines without a special character the last one that is the path counts; else
 * the last line that matches. The files are read in this order: file_contexts, .homedirs, .local;
 * .subs and .subs_dist say which folders are labelled as if they were others.
 *
 * The expressions are the guest's, and hostile: PCRE2 has limits, and what exceeds them is no match.
 */
#include "imgconv/inject/selinux.h"

#include <ctype.h>
#include <sys/stat.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lib/str.h"

#define TEXT_MAX (16 * MIB)
#define LINES_MAX 200000
#define REGEX_MAX 4096
#define MATCH_LIMIT 20000
#define HEAP_LIMIT_KIB 4096
#define BLANKS " \t\r"

struct spec {
	const char *regex, *label; /* in text, not ended by a NUL */
	size_t regex_len, label_len;
	unsigned type; /* of st_mode; 0: any */
};

struct selinux {
	struct buf text, subs;
	struct spec *list;
	size_t n;
	pcre2_match_context *limits;
};

void selinux_free(struct selinux *s)
{
	if (!s)
		return;
	buf_release(&s->text);
	buf_release(&s->subs);
	free(s->list);
	pcre2_match_context_free(s->limits);
	free(s);
}

/* ---- reading --------------------------------------------------------------------------------- */

static unsigned type_of(const char *s, size_t len)
{
	static const struct {
		char c;
		unsigned type;
	} types[] = {
		{'-', S_IFREG}, {'d', S_IFDIR}, {'l', S_IFLNK},  {'b', S_IFBLK},
		{'c', S_IFCHR}, {'p', S_IFIFO}, {'s', S_IFSOCK},
	};

	for (size_t i = 0; len == 2 && *s == '-' && i < ARRAY_SIZE(types); i++) {
		if (s[1] == types[i].c)
			return types[i].type;
	}
	return 0;
}

/* One line, which ends at a newline or NUL; what is no specification is skipped. */
static int add_spec(struct selinux *s, const char *line, size_t *cap, struct err *e)
{
	struct spec x = {.regex = line + strspn(line, BLANKS)};
	const char *p;
	size_t n;

	if (*x.regex == '#')
		return 0;
	x.regex_len = strcspn(x.regex, BLANKS "\n");
	p = x.regex + x.regex_len;
	p += strspn(p, BLANKS);
	n = strcspn(p, BLANKS "\n");
	x.type = type_of(p, n);
	if (x.type) {
		p += n;
		p += strspn(p, BLANKS);
		n = strcspn(p, BLANKS "\n");
	}
	x.label = p;
	x.label_len = n;
	if (!x.regex_len || x.regex_len > REGEX_MAX || !n)
		return 0;
	if (s->n == *cap) {
		size_t more = *cap ? *cap * 2 : 1024;
		struct spec *list = realloc(s->list, more * sizeof(*list));

		if (!list)
			return err_nomem(e);
		s->list = list;
		*cap = more;
	}
	s->list[s->n++] = x;
	return s->n > LINES_MAX
		       ? err_set(e, EFBIG, "SELinux's policy has more than %d lines", LINES_MAX)
		       : 0;
}

static int parse(struct selinux *s, struct err *e)
{
	size_t cap = 0;
	int rc = 0;

	s->limits = pcre2_match_context_create(NULL);
	if (!s->limits)
		return err_nomem(e);
	pcre2_set_match_limit(s->limits, MATCH_LIMIT);
	pcre2_set_depth_limit(s->limits, MATCH_LIMIT);
	pcre2_set_heap_limit(s->limits, HEAP_LIMIT_KIB);
	for (const char *line = buf_str(&s->text); *line && rc >= 0;) {
		rc = add_spec(s, line, &cap, e);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return rc;
}

int selinux_parse(const char *contexts, const char *subs, struct selinux **ret, struct err *e)
{
	AUTO(selinux_free) struct selinux *s = calloc(1, sizeof(*s));
	int rc;

	if (!s || buf_adds(&s->text, contexts) < 0 || buf_adds(&s->subs, subs) < 0)
		return err_nomem(e);
	rc = parse(s, e);
	if (rc >= 0)
		*ret = STEAL(s);
	return rc < 0 ? rc : 0;
}

/* Appends a file of the guest, and a newline; that there is none is all the same. */
static int add_file(struct guest_fs *fs, const char *dir, const char *name, struct buf *out,
		    struct err *e)
{
	AUTO_FREE char *path = str_format("%s/%s", dir, name);
	int rc;

	if (!path)
		return err_nomem(e);
	rc = guest_fs_read_file(fs, path, TEXT_MAX - MIN(out->len, TEXT_MAX), out, e);
	if (rc == -EFBIG || rc == -ENOMEM)
		return rc;
	return buf_addc(out, '\n') < 0 ? err_nomem(e) : 0;
}

/* SELINUX= and SELINUXTYPE=; the folder of the policy, NULL: there is none. */
static int policy_dir(struct guest_fs *fs, char **ret, struct err *e)
{
	AUTO_BUF config = BUF_INIT;
	AUTO_FREE char *type = NULL;
	bool on = true;

	*ret = NULL;
	if (guest_fs_read_file(fs, "/etc/selinux/config", 64 * KIB, &config, NULL) < 0)
		return 0;
	for (const char *s = buf_str(&config); *s;) {
		size_t len = strcspn(s, "\n"), word;

		if (str_has_prefix(s, "SELINUX=disabled"))
			on = false;
		if (str_has_prefix(s, "SELINUXTYPE=")) {
			word = strcspn(s + 12, " \t\r\n");
			free(type);
			type = strndup(s + 12, word);
			if (!type)
				return err_nomem(e);
		}
		s += len + (s[len] == '\n');
	}
	if (!on || !type || !*type || strchr(type, '/'))
		return 0;
	*ret = str_format("/etc/selinux/%s/contexts/files", type);
	return *ret ? 0 : err_nomem(e);
}

int selinux_load(struct guest_fs *fs, struct selinux **ret, struct err *e)
{
	static const char *const files[] = {"file_contexts", "file_contexts.homedirs",
					    "file_contexts.local"};
	static const char *const subs[] = {"file_contexts.subs", "file_contexts.subs_dist"};
	AUTO_FREE char *dir = NULL;
	AUTO(selinux_free) struct selinux *s = NULL;
	int rc = policy_dir(fs, &dir, e);

	*ret = NULL;
	if (rc < 0 || !dir)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_nomem(e);
	for (size_t i = 0; i < ARRAY_SIZE(files) && rc >= 0; i++)
		rc = add_file(fs, dir, files[i], &s->text, e);
	for (size_t i = 0; i < ARRAY_SIZE(subs) && rc >= 0; i++)
		rc = add_file(fs, dir, subs[i], &s->subs, e);
	if (rc >= 0)
		rc = parse(s, e);
	if (rc < 0)
		return err_wrap(e, "SELinux's policy in the guest");
	*ret = STEAL(s);
	return 0;
}

/* ---- matching -------------------------------------------------------------------------------- */

/* path, with the folder that another is labelled like in its place; the caller's. */
static char *substitute(const struct selinux *s, const char *path)
{
	for (const char *line = buf_str(&s->subs); *line;) {
		const char *from = line + strspn(line, BLANKS), *to;
		size_t n = strcspn(from, BLANKS "\n"), m;

		to = from + n + strspn(from + n, BLANKS);
		m = strcspn(to, BLANKS "\n");
		if (n && m && *from == '/' && !strncmp(path, from, n) &&
		    (!path[n] || path[n] == '/'))
			return str_format("%.*s%s", (int)m, to, path + n);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return strdup(path);
}

enum fit {
	FIT_NO,
	FIT_MAYBE, /* only its beginning was looked at */
	FIT_EXACT, /* there is no special character in it, and it is the path */
};

/*
 * Compares as far as the expression is plain text: thousands of expressions are not worth being
 * compiled to be found different in the first byte.
 */
static enum fit compare(const struct spec *x, const char *path)
{
	const char *r = x->regex, *end = x->regex + x->regex_len;

	for (unsigned depth = 0; r < end; r++) {
		if (*r == '\\')
			r++;
		else if (*r == '(')
			depth++;
		else if (*r == ')' && depth)
			depth--;
		else if (*r == '|' && !depth)
			return FIT_MAYBE;
	}
	for (r = x->regex; r < end; r++, path++) {
		char c = *r;

		if (c == '\\' && r + 1 < end && !isalnum((unsigned char)r[1]))
			c = *++r;
		else if (strchr("\\^$.[]()|*+?{}", c))
			return FIT_MAYBE;
		/* What is repeated may be missing. */
		if (r + 1 < end && strchr("*+?{", r[1]))
			return FIT_MAYBE;
		if (c != *path)
			return FIT_NO;
	}
	return *path ? FIT_NO : FIT_EXACT;
}

static bool matches(const struct selinux *s, const struct spec *x, const char *path)
{
	pcre2_match_data *data = NULL;
	PCRE2_SIZE where;
	int code, rc = -1;
	pcre2_code *re = pcre2_compile((PCRE2_SPTR)x->regex, x->regex_len,
				       PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL |
					       PCRE2_NEVER_BACKSLASH_C,
				       &code, &where, NULL);

	if (re)
		data = pcre2_match_data_create(1, NULL);
	if (data)
		rc = pcre2_match(re, (PCRE2_SPTR)path, strlen(path), 0, 0, data, s->limits);
	pcre2_match_data_free(data);
	pcre2_code_free(re);
	return rc >= 0;
}

static const struct spec *find(const struct selinux *s, const char *path, unsigned type)
{
	for (size_t i = s->n; i-- > 0;) {
		if ((!s->list[i].type || s->list[i].type == type) &&
		    compare(&s->list[i], path) == FIT_EXACT)
			return &s->list[i];
	}
	for (size_t i = s->n; i-- > 0;) {
		if ((!s->list[i].type || s->list[i].type == type) &&
		    compare(&s->list[i], path) == FIT_MAYBE && matches(s, &s->list[i], path))
			return &s->list[i];
	}
	return NULL;
}

int selinux_lookup(struct selinux *s, const char *path, unsigned mode, struct buf *out,
		   struct err *e)
{
	AUTO_FREE char *real = substitute(s, path);
	const struct spec *x;

	if (!real)
		return err_nomem(e);
	x = find(s, real, mode & S_IFMT);
	if (!x)
		return 0;
	if (x->label_len == 8 && !memcmp(x->label, "<<none>>", 8))
		return 1;
	return buf_add(out, x->label, x->label_len) < 0 || buf_addc(out, '\0') < 0 ? err_nomem(e)
										   : 1;
}
