/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runlevel of init scripts with LSB headers: see imgconv/inject/lsb_level.h.
 *
 * It is a folder of links SNNname. A script comes behind all that its header requires and before all
 * that it wants to be before, and the same for the headers of the guest's own scripts; NN is one more
 * than the greatest of the first. If that is the least of the second, those and all behind them move up by
 * one. In what other order the guest's own scripts stand is left alone.
 */
#include "imgconv/inject/lsb_level.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/inject/lsb.h"
#include "lib/fs.h"
#include "lib/str.h"

#define SCRIPTS_MAX 500
#define SCRIPT_HEAD (16 * KIB)
#define DEPEND_MAX (256 * KIB)
#define FACILITY_DEPTH 8
#define NUMBER_MAX 99

void lsb_script_release(struct lsb_script *s)
{
	free(s->name);
	free(s->target);
	buf_release(&s->provides);
	buf_release(&s->needs);
	buf_release(&s->before);
}

void lsb_level_release(struct lsb_level *l)
{
	for (size_t i = 0; i < l->n; i++)
		lsb_script_release(&l->list[i]);
	free(l->list);
}

/* ---- what headers say ------------------------------------------------------------------------ */

int lsb_script_parse(struct lsb_script *s, const char *text, struct err *e)
{
	if (lsb_words(text, "Provides", &s->provides) < 0 ||
	    lsb_words(text, "Required-Start", &s->needs) < 0 ||
	    lsb_words(text, "Should-Start", &s->needs) < 0 ||
	    lsb_words(text, "X-Start-Before", &s->before) < 0)
		return err_nomem(e);
	return 0;
}

/* The header of a guest's script; one that cannot be had is none. */
static int read_header(struct lsb_level *l, struct lsb_script *s, const char *link)
{
	AUTO_FREE char *override = str_format("/etc/insserv/overrides/%s", s->name);
	AUTO_FREE char *script = path_join(l->dir, link);
	const char *const paths[] = {override, script};
	int rc = override && script ? 0 : err_nomem(l->x->e);

	for (size_t i = 0; i < ARRAY_SIZE(paths) && rc >= 0 && !s->provides.len; i++) {
		AUTO_BUF head = BUF_INIT;

		if (guest_fs_read_head(l->x->fs, paths[i], SCRIPT_HEAD, &head, NULL) >= 0)
			rc = lsb_script_parse(s, buf_str(&head), l->x->e);
	}
	return rc;
}

/* Whether a word of a header, which is no facility, means this script. */
static bool is_meant(const struct lsb_script *s, const char *word, size_t len)
{
	size_t n = strlen(s->name);

	return (n == len && !memcmp(s->name, word, len)) ||
	       (n == len + 3 && !memcmp(s->name, word, len) && !strcmp(s->name + len, ".sh")) ||
	       lsb_has_word(buf_str(&s->provides), word, len);
}

/* Whether one of the words, facilities taken apart, means s. */
static bool names(const struct lsb_level *l, const char *words, const struct lsb_script *s,
		  unsigned depth)
{
	while (*words) {
		size_t len = strcspn(words, " ");
		AUTO_BUF parts = BUF_INIT;
		bool yes = is_meant(s, words, len);

		if (!yes && *words == '$' && depth < FACILITY_DEPTH &&
		    lsb_facility_words(l->conf, words, len, &parts) > 0)
			yes = names(l, buf_str(&parts), s, depth + 1);
		if (yes)
			return true;
		words += len + (words[len] == ' ');
	}
	return false;
}

bool lsb_precedes(const struct lsb_level *l, const struct lsb_script *a, const struct lsb_script *b)
{
	return names(l, buf_str(&b->needs), a, 0) || names(l, buf_str(&a->before), b, 0);
}

/* ---- what is there --------------------------------------------------------------------------- */

static struct lsb_script *add_script(struct lsb_level *l, const char *name)
{
	struct lsb_script *s = realloc(l->list, (l->n + 1) * sizeof(*s));

	if (!s)
		return NULL;
	l->list = s;
	s = &l->list[l->n];
	*s = (struct lsb_script){.name = strdup(name)};
	if (!s->name)
		return NULL;
	l->n++;
	return s;
}

static int see_link(void *ctx, const char *link, const struct guest_stat *st)
{
	struct lsb_level *l = ctx;
	struct lsb_script *s;

	if (link[0] != 'S' || !isdigit((unsigned char)link[1]) ||
	    !isdigit((unsigned char)link[2]) || !link[3] || strpbrk(link, " \t\r\n") ||
	    !S_ISLNK(st->mode))
		return 0;
	if (l->n == SCRIPTS_MAX)
		return err_set(l->x->e, EFBIG, "'%s' has more than %d scripts", l->dir,
			       SCRIPTS_MAX);
	s = add_script(l, link + 3);
	if (!s)
		return err_nomem(l->x->e);
	s->number = s->was = (unsigned)(link[1] - '0') * 10 + (unsigned)(link[2] - '0');
	return read_header(l, s, link);
}

int lsb_level_read(struct lsb_level *l)
{
	return guest_fs_list(l->x->fs, l->dir, see_link, l, l->x->e);
}

/* ---- placing --------------------------------------------------------------------------------- */

static struct lsb_script *find(const struct lsb_level *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!strcmp(l->list[i].name, name))
			return &l->list[i];
	}
	return NULL;
}

/* Each word of what s cannot do without means something in the boot level. */
static int check_required(const struct lsb_level *l, const struct lsb_script *s, const char *text)
{
	AUTO_BUF required = BUF_INIT;

	if (lsb_words(text, "Required-Start", &required) < 0)
		return err_nomem(l->x->e);
	for (const char *w = buf_str(&required); *w; w += strcspn(w, " ") + 1) {
		AUTO_FREE char *word = strndup(w, strcspn(w, " "));
		bool found = false;

		if (!word)
			return err_nomem(l->x->e);
		for (size_t i = 0; i < l->n && !found; i++)
			found = &l->list[i] != s && names(l, word, &l->list[i], 0);
		if (!found)
			return err_set(l->x->e, ENOTSUP,
				       "nothing in the guest's '%s' is %s, which '%s' needs",
				       l->dir, word, s->name);
	}
	return 0;
}

static int make_room(struct lsb_level *l, unsigned from)
{
	for (size_t i = 0; i < l->n; i++) {
		struct lsb_script *s = &l->list[i];

		if (s->number >= from && ++s->number > NUMBER_MAX)
			return err_set(l->x->e, ENOTSUP,
				       "'%s': no number is left behind that of '%s'", l->dir,
				       s->name);
	}
	return 0;
}

static int place(struct lsb_level *l, struct lsb_script *s)
{
	const struct lsb_script *last = NULL, *first = NULL;
	int rc;

	for (size_t i = 0; i < l->n; i++) {
		const struct lsb_script *other = &l->list[i];

		if (other == s)
			continue;
		if (lsb_precedes(l, other, s) && (!last || other->number > last->number))
			last = other;
		if (lsb_precedes(l, s, other) && (!first || other->number < first->number))
			first = other;
	}
	if (last && first && last->number >= first->number)
		return err_set(l->x->e, ENOTSUP,
			       "'%s' starts '%s' at %u and '%s' at %u: '%s' cannot be between",
			       l->dir, last->name, last->number, first->name, first->number,
			       s->name);
	s->number = 0;
	if (first && first->number <= (last ? last->number : 0) + 1) {
		rc = make_room(l, first->number);
		if (rc < 0)
			return rc;
	}
	s->number = (last ? last->number : 0) + 1;
	if (s->number > NUMBER_MAX)
		return err_set(l->x->e, ENOTSUP, "'%s': no number is left for '%s'", l->dir,
			       s->name);
	return 0;
}

/* ---- into the overlay ------------------------------------------------------------------------ */

static char *link_path(const struct lsb_level *l, unsigned number, const char *name)
{
	return str_format("%s/S%02u%s", l->dir, number, name);
}

int lsb_level_link(const struct lsb_level *l)
{
	int rc = 0;

	for (size_t i = 0; i < l->n && rc >= 0; i++) {
		const struct lsb_script *s = &l->list[i];
		AUTO_FREE char *old = link_path(l, s->was, s->name);
		AUTO_FREE char *new = link_path(l, s->number, s->name);

		if (!old || !new)
			rc = err_nomem(l->x->e);
		else if (!s->was)
			rc = overlay_add_symlink(l->x->to, new, s->target, l->x->e);
		else if (s->number != s->was)
			rc = overlay_add_move(l->x->to, old, new, l->x->e);
	}
	return rc;
}

static int collect(const struct lsb_level *l, const struct lsb_script *s, bool after,
		   struct buf *out)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct lsb_script *other = &l->list[i];

		if (other != s && (after ? lsb_precedes(l, other, s) : lsb_precedes(l, s, other)) &&
		    buf_addf(out, "%s ", other->name) < 0)
			return err_nomem(l->x->e);
	}
	return 0;
}

/* startpar's file, if the guest has one; earlier changes of ours are in the overlay. */
static int edit_depend(const struct lsb_level *l, const struct lsb_script *s, const char *path,
		       const char *after, const char *before)
{
	const struct overlay_entry *ours = overlay_find(l->x->to, path);
	AUTO_BUF text = BUF_INIT, out = BUF_INIT;
	struct guest_stat st = {0};
	struct overlay_attr attr;
	int rc;

	if (!ours && (guest_fs_stat(l->x->fs, path, true, &st, NULL) < 0 || !st.size))
		return 0;
	rc = ours ? buf_adds(&text, ours->data)
		  : guest_fs_read_file(l->x->fs, path, DEPEND_MAX, &text, l->x->e);
	if (rc < 0)
		return ours ? err_nomem(l->x->e) : rc;
	if (lsb_depend_add(buf_str(&text), s->name, after, before, &out) < 0)
		return err_nomem(l->x->e);
	if (ours)
		return overlay_replace(l->x->to, path, buf_str(&out), out.len, l->x->e);
	attr = (struct overlay_attr){.mode = st.mode & 07777, .uid = st.uid, .gid = st.gid};
	return overlay_add_shared(l->x->to, path, buf_str(&out), out.len, &attr, l->x->e);
}

static int add_depend(const struct lsb_level *l, const struct lsb_script *s)
{
	/* Debian has moved them, and its rc still looks for the first. */
	static const char *const folders[] = {"/etc/init.d", "/lib/insserv"};
	AUTO_BUF after = BUF_INIT, before = BUF_INIT;
	int rc = collect(l, s, true, &after);

	if (rc >= 0)
		rc = collect(l, s, false, &before);
	for (size_t i = 0; i < ARRAY_SIZE(folders) && rc >= 0; i++) {
		AUTO_FREE char *path = path_join(folders[i], l->depend);

		rc = path ? edit_depend(l, s, path, buf_str(&after), buf_str(&before))
			  : err_nomem(l->x->e);
	}
	return rc;
}

/* ---- one more -------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	const struct lsb_script *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* A script that is to be enabled. */
static int add_new(struct lsb_level *l, const char *name, const char *target, const char *text)
{
	struct lsb_script *s = add_script(l, name);
	int rc = s ? lsb_script_parse(s, text, l->x->e) : err_nomem(l->x->e);

	if (rc < 0)
		return rc;
	s->target = strdup(target);
	if (!s->target)
		return err_nomem(l->x->e);
	rc = l->boot ? check_required(l, s, text) : 0;
	return rc < 0 ? rc : place(l, s);
}

int lsb_level_put(struct lsb_level *l, const char *name, const char *target, const char *text)
{
	struct lsb_script *s = find(l, name);
	int rc;

	/* What is enabled stays where it is; its script is ours by now. */
	if (s) {
		buf_clear(&s->provides);
		buf_clear(&s->needs);
		buf_clear(&s->before);
		rc = lsb_script_parse(s, text, l->x->e);
	} else {
		rc = add_new(l, name, target, text);
	}
	if (rc < 0)
		return rc;
	qsort(l->list, l->n, sizeof(*l->list), by_number);
	return add_depend(l, find(l, name));
}
