/* SPDX-License-Identifier: Apache-2.0 */
/* Services in guests that need no more than files and links; and what all enabling shares. */
#include "imgconv/inject/enable.h"

#include <dirent.h>
#include <stdio.h>

#include "lib/fs.h"
#include "lib/str.h"

#define RC_LEVELS 7
#define NETWORK 10 /* Red Hat's number for it: what has a lower one is to come before */
#define SERVICE_MAX (64 * KIB)

static const struct overlay_attr dir_attr = {.mode = 0755};

/* ---- from the host --------------------------------------------------------------------------- */

int enable_load_file(struct overlay *files, const char *dir, const char *name, size_t limit,
		     struct err *e)
{
	AUTO_FREE char *host = path_join(dir, name);
	AUTO_FREE char *path = str_format("/%s", name);
	AUTO_BUF data = BUF_INIT;
	int rc = host && path ? fs_read_file(host, limit, &data, e) : err_nomem(e);

	return rc < 0 ? rc
		      : overlay_add_file(files, path, buf_str(&data), data.len,
					 &(struct overlay_attr){.mode = 0755}, e);
}

static int is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int load_folder(struct overlay *files, const char *dir, const char *folder, struct err *e)
{
	AUTO_FREE char *host = path_join(dir, folder);
	struct dirent **list = NULL;
	int rc = 0, n;

	if (!host)
		return err_nomem(e);
	n = scandir(host, &list, is_visible, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "'%s'", host);
	for (int i = 0; i < n; i++) {
		AUTO_FREE char *name = path_join(folder, list[i]->d_name);

		if (rc >= 0)
			rc = name ? enable_load_file(files, dir, name, SERVICE_MAX, e)
				  : err_nomem(e);
		free(list[i]);
	}
	free(list);
	return rc;
}

int enable_load(struct overlay *files, const char *dir, struct err *e)
{
	static const char *const folders[] = {"systemd",     "upstart",     "openrc",
					      "sysv/debian", "sysv/redhat", "sysv/suse"};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders) && rc >= 0; i++)
		rc = load_folder(files, dir, folders[i], e);
	return rc;
}

/* ---- what they share ------------------------------------------------------------------------- */

int enable_each(struct enable *x, const char *prefix,
		int (*fn)(struct enable *x, const struct overlay_entry *file, const char *name))
{
	size_t len = strlen(prefix);
	bool any = false;
	int rc = 0;

	for (size_t i = 0; i < x->files->n && rc >= 0; i++) {
		const struct overlay_entry *f = &x->files->entries[i];

		if (strncmp(f->path, prefix, len) != 0 || strchr(f->path + len, '/'))
			continue;
		any = true;
		rc = fn(x, f, f->path + len);
	}
	if (rc >= 0 && !any)
		return err_set(x->e, ENOENT, "our files for '%s' are not installed", prefix + 1);
	return rc;
}

int enable_add_file(struct enable *x, const char *dir, const char *name,
		    const struct overlay_entry *file, unsigned mode)
{
	AUTO_FREE char *path = path_join(dir, name);

	if (!path)
		return err_nomem(x->e);
	return overlay_add_file(x->to, path, file->data, file->len,
				&(struct overlay_attr){.mode = mode}, x->e);
}

int enable_add_link(struct enable *x, const char *dir, const char *name, const char *target)
{
	AUTO_FREE char *path = path_join(dir, name);
	int rc = path ? overlay_add_dir(x->to, dir, &dir_attr, x->e) : err_nomem(x->e);

	return rc < 0 ? rc : overlay_add_symlink(x->to, path, target, x->e);
}

bool enable_exists(struct enable *x, const char *path)
{
	struct guest_stat st;

	return guest_fs_stat(x->fs, path, true, &st, NULL) >= 0;
}

/* ---- Upstart, OpenRC ------------------------------------------------------------------------- */

static int add_job(struct enable *x, const struct overlay_entry *file, const char *name)
{
	return enable_add_file(x, "/etc/init", name, file, 0644);
}

int enable_upstart(struct enable *x)
{
	return enable_each(x, "/upstart/", add_job);
}

/* Before OpenRC 0.13 its interpreter had another name. */
static int add_runscript(struct enable *x, const struct overlay_entry *file, const char *name)
{
	static const char now[] = "#!/sbin/openrc-run\n", then[] = "#!/sbin/runscript\n";
	AUTO_FREE char *path = path_join("/etc/init.d", name);
	AUTO_FREE char *text = NULL;

	if (!str_has_prefix(file->data, now) || enable_exists(x, "/sbin/openrc-run") ||
	    !enable_exists(x, "/sbin/runscript"))
		return enable_add_file(x, "/etc/init.d", name, file, 0755);
	text = str_format("%s%s", then, file->data + strlen(now));
	if (!path || !text)
		return err_nomem(x->e);
	return overlay_add_file(x->to, path, text, strlen(text),
				&(struct overlay_attr){.mode = 0755}, x->e);
}

static int add_to_runlevel(struct enable *x, const struct overlay_entry *file, const char *name)
{
	static const char key[] = "\n# runlevel: ";
	const char *level = strstr(file->data, key);
	AUTO_FREE char *target = path_join("/etc/init.d", name);
	AUTO_FREE char *dir = NULL;
	size_t len;
	int rc;

	if (!level)
		return err_set(x->e, EBADMSG, "'%s' has no line '# runlevel:'", name);
	level += strlen(key);
	len = strcspn(level, " \n");
	/* Debian's OpenRC runs System V init's scripts of the boot, the network's too, as sysinit. */
	if (len == 4 && !memcmp(level, "boot", len) &&
	    !enable_exists(x, "/etc/init.d/localmount")) {
		level = "sysinit";
		len = strlen(level);
	}
	dir = str_format("/etc/runlevels/%.*s", (int)len, level);
	rc = target && dir ? add_runscript(x, file, name) : err_nomem(x->e);
	return rc < 0 ? rc : enable_add_link(x, dir, name, target);
}

int enable_openrc(struct enable *x)
{
	return enable_each(x, "/openrc/", add_to_runlevel);
}

/* ---- chkconfig ------------------------------------------------------------------------------- */

struct chkconfig {
	char levels[16];
	unsigned start, stop;
};

static int parse_chkconfig(const char *text, struct chkconfig *ret)
{
	static const char key[] = "# chkconfig:";
	const char *s = strstr(text, key);

	return s && sscanf(s + strlen(key), " %15[0-6] %2u %2u", ret->levels, &ret->start,
			   &ret->stop) == 3
		       ? 0
		       : -EBADMSG;
}

static const char *rc_dir(struct enable *x)
{
	return enable_exists(x, "/etc/rc.d/rc3.d") ? "/etc/rc.d" : "/etc";
}

struct scan {
	const char *name; /* a script's */
	bool linked;
	unsigned network; /* the least number of what ctxd must come before */
};

static int scan_link(void *ctx, const char *link, const struct guest_stat *st)
{
	static const char *const later[] = {"network", "NetworkManager", "cloud-init-local",
					    "cloud-init"};
	struct scan *s = ctx;
	unsigned number;
	char kind;

	(void)st;
	if (strlen(link) < 4 || sscanf(link, "%c%2u", &kind, &number) != 2)
		return 0;
	if (!strcmp(link + 3, s->name))
		s->linked = true;
	for (size_t i = 0; kind == 'S' && i < ARRAY_SIZE(later); i++) {
		if (!strcmp(link + 3, later[i]))
			s->network = MIN(s->network, number);
	}
	return 0;
}

static int link_level(struct enable *x, const char *name, const struct chkconfig *c, unsigned level)
{
	bool starts = strchr(c->levels, (char)('0' + level)) != NULL;
	AUTO_FREE char *dir = str_format("%s/rc%u.d", rc_dir(x), level);
	AUTO_FREE char *link =
		str_format("%c%02u%s", starts ? 'S' : 'K', starts ? c->start : c->stop, name);
	AUTO_FREE char *target = path_join("../init.d", name);
	struct scan s = {.name = name, .network = 100};
	int rc;

	if (!dir || !link || !target)
		return err_nomem(x->e);
	rc = guest_fs_list(x->fs, dir, scan_link, &s, x->e);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	/* An administrator's own number stays. */
	if (s.linked)
		return 0;
	if (starts && c->start < NETWORK && s.network <= c->start)
		return err_set(x->e, ENOTSUP,
			       "the guest's network starts at number %u of runlevel %u: '%s', at "
			       "%u, would come too late",
			       s.network, level, name, c->start);
	return enable_add_link(x, dir, link, target);
}

static int add_chkconfig(struct enable *x, const struct overlay_entry *file, const char *name)
{
	struct chkconfig c;
	int rc = parse_chkconfig(file->data, &c);

	if (rc < 0)
		return err_set(x->e, EBADMSG, "'%s' has no line '# chkconfig:'", name);
	rc = enable_add_file(x, "/etc/init.d", name, file, 0755);
	for (unsigned level = 0; level < RC_LEVELS && rc >= 0; level++)
		rc = link_level(x, name, &c, level);
	return rc;
}

int enable_chkconfig(struct enable *x)
{
	return enable_each(x, "/sysv/redhat/", add_chkconfig);
}

/* ---- whatever the guest has ------------------------------------------------------------------ */

int enable_services(struct enable *x, const struct distro *d)
{
	switch (d->services) {
	case GUEST_SYSTEMD:
		return enable_systemd(x);
	case GUEST_UPSTART:
		return enable_upstart(x);
	case GUEST_OPENRC:
		return enable_openrc(x);
	case GUEST_SYSV:
	case GUEST_SYSV_SUSE:
		return enable_lsb(x, d->services);
	case GUEST_SYSV_REDHAT:
		return enable_chkconfig(x);
	case GUEST_SERVICES_UNKNOWN:
		break;
	}
	return err_set(x->e, ENOTSUP,
		       "the guest's init is %s, and it has none of the folders in which systemd, "
		       "Upstart, OpenRC or SysV init keep services",
		       d->init);
}
