/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init scripts with LSB headers, in order (Debian's policy-rc.d, insserv(8), startpar(8)).
 *
 * A runlevel is a folder of links SNNname. A script comes behind all that its header requires and
 * before all that it wants to be before, and the same for the headers of the guest's own scripts;
 * NN is one more than the greatest of the first. If that is the least of the second, those and all
 * behind them move up by one. In what other order the guest's own scripts stand is left alone.
 */
#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/inject/enable.h"
#include "imgconv/inject/lsb.h"
#include "lib/fs.h"
#include "lib/str.h"

#define SCRIPTS_MAX 500
#define SCRIPT_HEAD (16 * KIB)
#define CONF_MAX (64 * KIB)
#define DEPEND_MAX (256 * KIB)
#define FACILITY_DEPTH 8
#define NUMBER_MAX 99

static const char init_d[] = "/etc/init.d";

/* insserv.conf(5) where a guest has none. */
static const char default_conf[] = "$local_fs mountall mountall-bootclean mountoverflowtmp "
				   "boot.localfs\n"
				   "$network networking ifupdown network\n"
				   "$remote_fs $local_fs mountnfs mountnfs-bootclean\n";

struct script {
	char *name;
	char *target;         /* of its link */
	unsigned number, was; /* was: NN of the link that is there; 0: none, it is ours */
	struct buf provides, needs, before; /* words, each with a space behind it */
};

/* A runlevel's folder. */
struct level {
	struct enable *x;
	const char *dir, *depend; /* depend: the name of what startpar goes by */
	const char *conf;
	bool boot; /* what is required is in this very level */
	struct script *list;
	size_t n;
};

static void script_release(struct script *s)
{
	free(s->name);
	free(s->target);
	buf_release(&s->provides);
	buf_release(&s->needs);
	buf_release(&s->before);
}

static void level_release(struct level *l)
{
	for (size_t i = 0; i < l->n; i++)
		script_release(&l->list[i]);
	free(l->list);
}
DEFINE_AUTO_STRUCT(struct level, level_release);

/* ---- what headers say ------------------------------------------------------------------------ */

static int parse_header(struct script *s, const char *text, struct err *e)
{
	if (lsb_words(text, "Provides", &s->provides) < 0 ||
	    lsb_words(text, "Required-Start", &s->needs) < 0 ||
	    lsb_words(text, "Should-Start", &s->needs) < 0 ||
	    lsb_words(text, "X-Start-Before", &s->before) < 0)
		return err_nomem(e);
	return 0;
}

/* The header of a guest's script; one that cannot be had is none. */
static int read_header(struct level *l, struct script *s, const char *link)
{
	AUTO_FREE char *override = str_format("/etc/insserv/overrides/%s", s->name);
	AUTO_FREE char *script = path_join(l->dir, link);
	const char *const paths[] = {override, script};
	int rc = override && script ? 0 : err_nomem(l->x->e);

	for (size_t i = 0; i < ARRAY_SIZE(paths) && rc >= 0 && !s->provides.len; i++) {
		AUTO_BUF head = BUF_INIT;

		if (guest_fs_read_head(l->x->fs, paths[i], SCRIPT_HEAD, &head, NULL) >= 0)
			rc = parse_header(s, buf_str(&head), l->x->e);
	}
	return rc;
}

/* Whether a word of a header, which is no facility, means this script. */
static bool is_meant(const struct script *s, const char *word, size_t len)
{
	size_t n = strlen(s->name);

	return (n == len && !memcmp(s->name, word, len)) ||
	       (n == len + 3 && !memcmp(s->name, word, len) && !strcmp(s->name + len, ".sh")) ||
	       lsb_has_word(buf_str(&s->provides), word, len);
}

/* Whether one of the words, facilities taken apart, means s. */
static bool names(const struct level *l, const char *words, const struct script *s, unsigned depth)
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

/* a is to be started before b. */
static bool precedes(const struct level *l, const struct script *a, const struct script *b)
{
	return names(l, buf_str(&b->needs), a, 0) || names(l, buf_str(&a->before), b, 0);
}

/* ---- what is there --------------------------------------------------------------------------- */

static struct script *add_script(struct level *l, const char *name)
{
	struct script *s = realloc(l->list, (l->n + 1) * sizeof(*s));

	if (!s)
		return NULL;
	l->list = s;
	s = &l->list[l->n];
	*s = (struct script){.name = strdup(name)};
	if (!s->name)
		return NULL;
	l->n++;
	return s;
}

static int see_link(void *ctx, const char *link, const struct guest_stat *st)
{
	struct level *l = ctx;
	AUTO_BUF target = BUF_INIT;
	AUTO_FREE char *path = path_join(l->dir, link);
	struct script *s;
	int rc;

	if (link[0] != 'S' || !isdigit((unsigned char)link[1]) ||
	    !isdigit((unsigned char)link[2]) || !link[3] || strpbrk(link, " \t\r\n") ||
	    !S_ISLNK(st->mode))
		return 0;
	if (l->n == SCRIPTS_MAX)
		return err_set(l->x->e, EFBIG, "'%s' has more than %d scripts", l->dir,
			       SCRIPTS_MAX);
	s = path ? add_script(l, link + 3) : NULL;
	if (!s)
		return err_nomem(l->x->e);
	s->number = s->was = (unsigned)(link[1] - '0') * 10 + (unsigned)(link[2] - '0');
	rc = guest_fs_readlink(l->x->fs, path, &target, l->x->e);
	if (rc < 0)
		return rc;
	s->target = strdup(buf_str(&target));
	return s->target ? read_header(l, s, link) : err_nomem(l->x->e);
}

/* ---- placing --------------------------------------------------------------------------------- */

static struct script *find(const struct level *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!strcmp(l->list[i].name, name))
			return &l->list[i];
	}
	return NULL;
}

/* Each word of what s cannot do without means something in the boot level. */
static int check_required(const struct level *l, const struct script *s, const char *text)
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

static int make_room(struct level *l, unsigned from)
{
	for (size_t i = 0; i < l->n; i++) {
		struct script *s = &l->list[i];

		if (s->number >= from && ++s->number > NUMBER_MAX)
			return err_set(l->x->e, ENOTSUP,
				       "'%s': no number is left behind that of '%s'", l->dir,
				       s->name);
	}
	return 0;
}

static int place(struct level *l, struct script *s)
{
	const struct script *last = NULL, *first = NULL;
	int rc;

	for (size_t i = 0; i < l->n; i++) {
		const struct script *other = &l->list[i];

		if (other == s)
			continue;
		if (precedes(l, other, s) && (!last || other->number > last->number))
			last = other;
		if (precedes(l, s, other) && (!first || other->number < first->number))
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

static char *link_path(const struct level *l, unsigned number, const char *name)
{
	return str_format("%s/S%02u%s", l->dir, number, name);
}

static int add_links(const struct level *l)
{
	int rc = 0;

	for (size_t i = 0; i < l->n && rc >= 0; i++) {
		const struct script *s = &l->list[i];
		AUTO_FREE char *old = link_path(l, s->was, s->name);

		if (s->was && s->number != s->was)
			rc = old ? overlay_add_delete(l->x->to, old, l->x->e) : err_nomem(l->x->e);
	}
	for (size_t i = 0; i < l->n && rc >= 0; i++) {
		const struct script *s = &l->list[i];
		AUTO_FREE char *new = link_path(l, s->number, s->name);

		if (s->number != s->was)
			rc = new ? overlay_add_symlink(l->x->to, new, s->target, l->x->e)
				 : err_nomem(l->x->e);
	}
	return rc;
}

static int collect(const struct level *l, const struct script *s, bool after, struct buf *out)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct script *other = &l->list[i];

		if (other != s && (after ? precedes(l, other, s) : precedes(l, s, other)) &&
		    buf_addf(out, "%s ", other->name) < 0)
			return err_nomem(l->x->e);
	}
	return 0;
}

/* startpar's file, if the guest has one; earlier changes of ours are in the overlay. */
static int edit_depend(const struct level *l, const struct script *s, const char *path,
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
	return overlay_add_file(l->x->to, path, buf_str(&out), out.len, &attr, l->x->e);
}

static int add_depend(const struct level *l, const struct script *s)
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

/* ---- our scripts ----------------------------------------------------------------------------- */

struct ours {
	const struct overlay_entry *file;
	const char *name;
	struct script header;
	bool done;
};

struct set {
	struct enable *x;
	enum guest_services kind;
	const char *prefix, *link_prefix;
	const char *conf;
	struct ours list[16];
	size_t n;
};

static void set_release(struct set *s)
{
	for (size_t i = 0; i < s->n; i++)
		script_release(&s->list[i].header);
}
DEFINE_AUTO_STRUCT(struct set, set_release);

static int add_ours(struct set *s, const struct overlay_entry *f)
{
	struct ours *o = &s->list[s->n];

	if (s->n == ARRAY_SIZE(s->list))
		return err_set(s->x->e, EFBIG, "more than %zu scripts of ours",
			       ARRAY_SIZE(s->list));
	*o = (struct ours){.file = f, .name = f->path + strlen(s->prefix)};
	s->n++;
	o->header.name = strdup(o->name);
	if (!o->header.name)
		return err_nomem(s->x->e);
	return parse_header(&o->header, f->data, s->x->e);
}

static int by_number(const void *a, const void *b)
{
	const struct script *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int place_ours(struct set *set, struct level *l, struct ours *o)
{
	struct script *s = find(l, o->name);
	int rc;

	/* What is enabled stays where it is; its script is ours by now. */
	if (s) {
		buf_clear(&s->provides);
		buf_clear(&s->needs);
		buf_clear(&s->before);
		rc = parse_header(s, o->file->data, l->x->e);
		if (rc < 0)
			return rc;
	} else {
		s = add_script(l, o->name);
		if (!s)
			return err_nomem(l->x->e);
		rc = parse_header(s, o->file->data, l->x->e);
		s->target = str_format("%s%s", set->link_prefix, o->name);
		if (rc >= 0 && !s->target)
			rc = err_nomem(l->x->e);
		if (rc >= 0 && l->boot)
			rc = check_required(l, s, o->file->data);
		if (rc >= 0)
			rc = place(l, s);
		if (rc < 0)
			return rc;
	}
	qsort(l->list, l->n, sizeof(*l->list), by_number);
	return add_depend(l, find(l, o->name));
}

/* All of ours that belong to a level, such as are required by others of ours first. */
static int fill_level(struct set *set, struct level *l, const char *level)
{
	bool in[ARRAY_SIZE(set->list)] = {false};
	size_t left = 0;
	int rc = 0;

	for (size_t i = 0; i < set->n; i++) {
		AUTO_BUF levels = BUF_INIT;

		if (lsb_words(set->list[i].file->data, "Default-Start", &levels) < 0)
			return err_nomem(set->x->e);
		in[i] = lsb_has_word(buf_str(&levels), level, strlen(level));
		left += in[i];
	}
	while (left && rc >= 0) {
		size_t pick = set->n;

		for (size_t i = 0; i < set->n && pick == set->n; i++) {
			bool ready = in[i];

			for (size_t j = 0; j < set->n && ready; j++)
				ready = j == i || !in[j] ||
					!precedes(l, &set->list[j].header, &set->list[i].header);
			if (ready)
				pick = i;
		}
		if (pick == set->n)
			return err_set(set->x->e, EBADMSG, "our scripts require each other");
		rc = place_ours(set, l, &set->list[pick]);
		in[pick] = false;
		left--;
	}
	return rc < 0 ? rc : add_links(l);
}

static int do_level(struct set *set, const char *level)
{
	bool boot = isalpha((unsigned char)*level);
	const char *parent = set->kind == GUEST_SYSV_SUSE ? init_d : "/etc";
	AUTO_FREE char *dir = *level == 'B' ? str_format("%s/boot.d", init_d)
					    : str_format("%s/rc%s.d", parent, level);
	AUTO(level_release)
	struct level l = {
		.x = set->x,
		.dir = dir,
		.depend = boot ? ".depend.boot" : ".depend.start",
		.conf = set->conf,
		.boot = boot,
	};
	int rc;

	if (!dir)
		return err_nomem(set->x->e);
	if (!enable_exists(set->x, dir))
		return 0;
	rc = guest_fs_list(set->x->fs, dir, see_link, &l, set->x->e);
	return rc < 0 ? rc : fill_level(set, &l, level);
}

struct conf {
	struct enable *x;
	struct buf text;
};

static int add_conf(void *ctx, const char *name, const struct guest_stat *st)
{
	struct conf *c = ctx;
	AUTO_FREE char *path = path_join("/etc/insserv.conf.d", name);

	(void)st;
	if (!path)
		return err_nomem(c->x->e);
	if (c->text.len < CONF_MAX &&
	    guest_fs_read_file(c->x->fs, path, CONF_MAX, &c->text, NULL) >= 0 &&
	    buf_addc(&c->text, '\n') < 0)
		return err_nomem(c->x->e);
	return 0;
}

static int read_conf(struct conf *c)
{
	int rc;

	if (guest_fs_read_file(c->x->fs, "/etc/insserv.conf", CONF_MAX, &c->text, NULL) < 0)
		return buf_adds(&c->text, default_conf) < 0 ? err_nomem(c->x->e) : 0;
	if (buf_addc(&c->text, '\n') < 0)
		return err_nomem(c->x->e);
	rc = guest_fs_list(c->x->fs, "/etc/insserv.conf.d", add_conf, c, c->x->e);
	return rc == -ENOENT ? 0 : rc;
}

static int add_all(struct set *set)
{
	static const char *const levels[] = {"S", "B", "2", "3", "4", "5"};
	struct enable *x = set->x;
	int rc = 0;

	for (size_t i = 0; i < x->files->n && rc >= 0; i++) {
		const struct overlay_entry *f = &x->files->entries[i];

		if (!str_has_prefix(f->path, set->prefix))
			continue;
		rc = enable_add_file(x, init_d, f->path + strlen(set->prefix), f, 0755);
		if (rc >= 0)
			rc = add_ours(set, f);
	}
	if (rc >= 0 && !set->n)
		return err_set(x->e, ENOENT, "our files for '%s' are not installed",
			       set->prefix + 1);
	for (size_t i = 0; i < ARRAY_SIZE(levels) && rc >= 0; i++)
		rc = do_level(set, levels[i]);
	return rc;
}

int enable_lsb(struct enable *x, enum guest_services kind)
{
	bool suse = kind == GUEST_SYSV_SUSE;
	struct conf conf = {.x = x};
	AUTO(set_release)
	struct set set = {
		.x = x,
		.kind = kind,
		.prefix = suse ? "/sysv/suse/" : "/sysv/debian/",
		.link_prefix = suse ? "../" : "../init.d/",
	};
	int rc = read_conf(&conf);

	set.conf = buf_str(&conf.text);
	if (rc >= 0)
		rc = add_all(&set);
	buf_release(&conf.text);
	return rc;
}
