/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ifupdown, ifupdown-ng and busybox (Alpine): a file "ctxd" in a folder that the guest's
 * /etc/network/interfaces sources, or, where it sources none, a block at its end.
 *
 * An interface that a person has described is left alone: ifupdown would do both descriptions.
 * Where all that is said of it is "DHCP", as image makers write it, that gives way: the file is
 * displaced by one without those lines. What cloud-init once wrote (interfaces.d/50-cloud-init) is
 * set aside too, since cloud-init is told to leave the network alone.
 */
#include "ctxd/apply/network_interfaces.h"

#include <dirent.h>

#include "lib/log.h"
#include "lib/str.h"

#define MAIN "/etc/network/interfaces"
#define CLOUD_INIT_FILE "/etc/network/interfaces.d/50-cloud-init"
#define NAME "ctxd"

/* Where a file may be sourced from; those in /run are gone after a boot, so they come first. */
static const char *const folders[] = {
	"/run/network/interfaces.d",
	"/etc/network/interfaces.d",
};

static int leave(struct apply *a, struct err *e);

static bool used(const struct guest *g)
{
	return guest_exists(g, MAIN) &&
	       (guest_exists(g, "/sbin/ifup") || guest_exists(g, "/usr/sbin/ifup"));
}

static const char *find_folder(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (interfaces_source(text, folders[i], NAME))
			return folders[i];
	}
	return NULL;
}

/* The file in folder, other than ours and cloud-init's, that describes the interface; or NULL. */
static char *describing_file(const struct guest *g, const char *folder, const char *name)
{
	AUTO_FREE char *full = guest_path(g, folder), *found = NULL;
	DIR *dir = full ? opendir(full) : NULL;
	struct dirent *d;

	while (dir && !found && (d = readdir(dir))) {
		AUTO_FREE char *path = str_format("%s/%s", folder, d->d_name);
		AUTO_BUF text = BUF_INIT;

		if (!path || strcmp(d->d_name, NAME) == 0 || strcmp(path, CLOUD_INIT_FILE) == 0 ||
		    guest_read(g, path, &text, NULL) <= 0)
			continue;
		if (interfaces_describe(buf_str(&text), name) != NOT_DESCRIBED)
			found = STEAL(path);
	}
	if (dir)
		closedir(dir);
	return STEAL(found);
}

/* ---- what is to be written ------------------------------------------------------------------- */

/* What cloud-init wrote about this interface is set aside; `undo` and leave() put it back. */
static int set_aside(struct apply *a, const char *name, struct err *e)
{
	static const char text[] = "# The interface is described in a file 'ctxd'.\n";
	AUTO_BUF old = BUF_INIT;
	int rc = guest_read(a->g, CLOUD_INIT_FILE, &old, e);

	if (rc <= 0 || interfaces_describe(buf_str(&old), name) == NOT_DESCRIBED)
		return rc < 0 ? rc : 0;
	rc = guest_displace(a->g, CLOUD_INIT_FILE, text, 0644, e);
	return rc < 0 ? rc : 0;
}

struct plan {
	const char *main, *folder; /* the text of MAIN; NULL: it sources none */
	struct buf stanzas;
	struct strlist drop; /* interfaces whose bare descriptions leave MAIN */
	bool any;
};

static void plan_release(struct plan *p)
{
	buf_release(&p->stanzas);
	strlist_release(&p->drop);
}
DEFINE_AUTO_STRUCT(struct plan, plan_release);

static int plan_nic(struct apply *a, const struct nic *n, struct plan *p, struct err *e)
{
	enum description described;
	AUTO_FREE char *other = NULL;
	char name[IF_NAMESIZE];

	if (!network_interface(a, n, name))
		return 0;
	described = interfaces_describe(p->main, name);
	other = described == DESCRIBED ? strdup(MAIN)
		: p->folder            ? describing_file(a->g, p->folder, name)
				       : NULL;
	if (other) {
		log_warn("%s is described in %s: left alone", name, other);
		return 0;
	}
	if (described == DESCRIBED_BARE && strlist_add(&p->drop, name) < 0)
		return err_nomem(e);
	if (set_aside(a, name, e) < 0)
		return -e->code;
	p->any = true;
	return interfaces_add(&p->stanzas, n, name) < 0 ? err_nomem(e) : 0;
}

/* MAIN without what gives way; and with the stanzas, where it sources no folder. */
static int write_main(struct apply *a, const struct plan *p, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	const char *stanzas = p->folder ? "" : buf_str(&p->stanzas);
	int rc;

	if (!p->drop.n) {
		rc = guest_restore(a->g, MAIN, e);
		return rc < 0 ? rc : guest_write_block(a->g, MAIN, stanzas, 0644, false, e);
	}
	if (buf_adds(&text,
		     "# What was here before is kept; of it is missing what said DHCP for an "
		     "interface of ctxd's.\n") < 0 ||
	    interfaces_without(p->main, &p->drop, &text) < 0 || buf_adds(&text, stanzas) < 0)
		return err_nomem(e);
	return guest_displace(a->g, MAIN, buf_str(&text), 0644, e);
}

/* ---- while the guest runs -------------------------------------------------------------------- */

/*
 * ifdown goes by what is still written, so it comes before the writing: *up gets the interfaces that
 * are new, or described otherwise than before. Those of ctxd's file that are described no more go
 * down for good.
 */
static int take_down(struct apply *a, const struct plan *p, const char *path, struct strlist *up,
		     struct err *e)
{
	AUTO(strlist_release) struct strlist old = {0}, new = {0};
	AUTO_BUF main = BUF_INIT, own = BUF_INIT;
	int rc = guest_read(a->g, MAIN, &main, e);

	if (rc >= 0 && path)
		rc = guest_read(a->g, path, &own, e);
	if (rc < 0)
		return rc;
	if (interfaces_names(buf_str(&own), &old) < 0 ||
	    interfaces_names(buf_str(&p->stanzas), &new) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < new.n; i++) {
		const char *const down[] = {"ifdown", new.v[i], NULL};
		AUTO_FREE char *now = interfaces_find(buf_str(&p->stanzas), new.v[i]);
		AUTO_FREE char *was = interfaces_find(buf_str(&own), new.v[i]);

		if (!was)
			was = interfaces_find(buf_str(&main), new.v[i]);
		if (now && was && strcmp(now, was) == 0)
			continue;
		if (was)
			network_run(a, down);
		if (strlist_add(up, new.v[i]) < 0)
			return err_nomem(e);
	}
	for (size_t i = 0; i < old.n; i++) {
		const char *const down[] = {"ifdown", old.v[i], NULL};
		AUTO_FREE char *now = interfaces_find(buf_str(&p->stanzas), old.v[i]);

		if (!now)
			network_run(a, down);
	}
	return 0;
}

static void bring_up(struct apply *a, const struct strlist *names)
{
	for (size_t i = 0; i < names->n; i++) {
		const char *const up[] = {"ifup", names->v[i], NULL};

		network_run(a, up);
	}
}

/* ---- the part -------------------------------------------------------------------------------- */

static int make_plan(struct apply *a, const char *main, struct plan *p, struct err *e)
{
	int rc = 0;

	p->main = main;
	p->folder = find_folder(main);
	for (size_t i = 0; rc == 0 && i < a->c->n_nics; i++) {
		if (network_wanted(&a->c->nics[i]))
			rc = plan_nic(a, &a->c->nics[i], p, e);
	}
	return rc;
}

static int apply(struct apply *a, struct err *e)
{
	AUTO(plan_release) struct plan p = {0};
	AUTO(strlist_release) struct strlist up = {0};
	AUTO_BUF main = BUF_INIT;
	AUTO_FREE char *path = NULL;
	int rc = guest_original(a->g, MAIN, &main, e);

	if (rc >= 0)
		rc = make_plan(a, buf_str(&main), &p, e);
	if (rc < 0 || !p.any)
		return rc < 0 ? rc : leave(a, e);
	path = p.folder ? str_format("%s/" NAME, p.folder) : NULL;
	if (p.folder && !path)
		return err_nomem(e);
	if (a->running)
		rc = take_down(a, &p, path, &up, e);
	if (rc == 0)
		rc = write_main(a, &p, e);
	if (rc >= 0 && path)
		rc = guest_write_own(a->g, path, buf_str(&p.stanzas), 0644, e);
	bring_up(a, &up); /* also if that failed: then as they were */
	a->network_configured = rc >= 0;
	return rc < 0 ? rc : 0;
}

static int leave(struct apply *a, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < ARRAY_SIZE(folders); i++) {
		AUTO_FREE char *path = str_format("%s/" NAME, folders[i]);

		rc = path ? guest_remove_own(a->g, path, e) : err_nomem(e);
	}
	if (rc >= 0)
		rc = guest_restore(a->g, CLOUD_INIT_FILE, e);
	if (rc >= 0)
		rc = guest_restore(a->g, MAIN, e);
	if (rc >= 0 && guest_exists(a->g, MAIN))
		rc = guest_write_block(a->g, MAIN, "", 0644, false, e);
	return rc < 0 ? rc : 0;
}

const struct network_backend network_ifupdown = {
	.name = "ifupdown",
	.used = used,
	.apply = apply,
	.leave = leave,
	.by_name = true,
};
