/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init scripts with LSB headers, in order (Debian's policy-rc.d, insserv(8), startpar(8)). Where in a runlevel
 * one goes is imgconv/inject/lsb_level.c's.
 */
#include <ctype.h>

#include "imgconv/inject/lsb.h"
#include "imgconv/inject/lsb_level.h"
#include "lib/fs.h"
#include "lib/str.h"

#define CONF_MAX (64 * KIB)

static const char init_d[] = "/etc/init.d";

/* insserv.conf(5) where a guest has none. */
static const char default_conf[] = "$local_fs mountall mountall-bootclean mountoverflowtmp "
				   "boot.localfs\n"
				   "$network networking ifupdown network\n"
				   "$remote_fs $local_fs mountnfs mountnfs-bootclean\n";

/* ---- our scripts ----------------------------------------------------------------------------- */

struct ours {
	const struct overlay_entry *file;
	const char *name;
	struct lsb_script header;
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
		lsb_script_release(&s->list[i].header);
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
	return lsb_script_parse(&o->header, f->data, s->x->e);
}

static int put(const struct set *set, struct lsb_level *l, const struct ours *o)
{
	AUTO_FREE char *target = str_format("%s%s", set->link_prefix, o->name);

	return target ? lsb_level_put(l, o->name, target, o->file->data) : err_nomem(l->x->e);
}

/* One of those in the level that waits for no other of them; set->n: there is none. */
static size_t pick(const struct set *set, const struct lsb_level *l, const bool *in)
{
	for (size_t i = 0; i < set->n; i++) {
		bool ready = in[i];

		for (size_t j = 0; j < set->n && ready; j++)
			ready = j == i || !in[j] ||
				!lsb_precedes(l, &set->list[j].header, &set->list[i].header);
		if (ready)
			return i;
	}
	return set->n;
}

/* All of ours that belong to a level, such as are required by others of ours first. */
static int fill_level(struct set *set, struct lsb_level *l, const char *level)
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
	for (; left && rc >= 0; left--) {
		size_t next = pick(set, l, in);

		if (next == set->n)
			return err_set(set->x->e, EBADMSG, "our scripts require each other");
		rc = put(set, l, &set->list[next]);
		in[next] = false;
	}
	return rc < 0 ? rc : lsb_level_link(l);
}

static int do_level(struct set *set, const char *level)
{
	bool boot = isalpha((unsigned char)*level);
	const char *parent = set->kind == GUEST_SYSV_SUSE ? init_d : "/etc";
	AUTO_FREE char *dir = *level == 'B' ? str_format("%s/boot.d", init_d)
					    : str_format("%s/rc%s.d", parent, level);
	AUTO(lsb_level_release)
	struct lsb_level l = {
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
	rc = lsb_level_read(&l);
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
