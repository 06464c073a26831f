/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for a context: see ctxd/detect.h.
 *
 * Devices are opened for reading and without waiting for a medium, and one sector is read of each;
 * nothing is mounted. Device nodes come from the kernel's own devtmpfs, so they are there as soon
 * as /sys/class/block names them.
 */
#include "ctxd/detect.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "context/iso.h"
#include "context/opennebula.h"
#include "ctxd/coldplug.h"
#include "lib/fs.h"
#include "lib/str.h"

#define DEVICES_MAX 1024

/* ---- the account ----------------------------------------------------------------------------- */

static int step(struct detection *d, struct err *e, const char *what, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
static int step(struct detection *d, struct err *e, const char *what, const char *fmt, ...)
{
	AUTO_BUF why = BUF_INIT;
	struct detect_step *grown;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_vaddf(&why, fmt, ap);
	va_end(ap);
	grown = reallocarray(d->steps, d->n_steps + 1, sizeof(*grown));
	if (!grown || rc < 0)
		return err_nomem(e);
	d->steps = grown;
	grown[d->n_steps] = (struct detect_step){strdup(what), buf_detach(&why)};
	if (!grown[d->n_steps].what || !grown[d->n_steps].why) {
		free(grown[d->n_steps].what);
		free(grown[d->n_steps].why);
		return err_nomem(e);
	}
	d->n_steps++;
	return 0;
}

static void forget_steps(struct detection *d)
{
	for (size_t i = 0; i < d->n_steps; i++) {
		free(d->steps[i].what);
		free(d->steps[i].why);
	}
	free(d->steps);
	d->steps = NULL;
	d->n_steps = 0;
}

void detection_release(struct detection *d)
{
	forget_steps(d);
	free(d->where);
	if (d->fd >= 0)
		close(d->fd);
	*d = (struct detection){.fd = -1};
}

/* ---- the machine ----------------------------------------------------------------------------- */

static bool dmi_is(const struct guest *g, const char *file, const char *text)
{
	AUTO_FREE char *path = str_format("%s/sys/class/dmi/id/%s", g->root, file);
	AUTO_BUF b = BUF_INIT;

	return path && fs_read_file(path, 4 * KIB, &b, NULL) == 0 &&
	       str_has_prefix(buf_str(&b), text);
}

/* Clouds with a metadata service, on which no context medium is to be waited for. */
static const char *known_cloud(const struct guest *g)
{
	if (dmi_is(g, "sys_vendor", "Amazon EC2"))
		return "Amazon EC2";
	if (dmi_is(g, "sys_vendor", "Google"))
		return "Google Compute Engine";
	if (dmi_is(g, "chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77"))
		return "Microsoft Azure";
	return NULL;
}

/*
 * On Amazon's own machines disks are NVMe or Xen ones, which a user attaches: a volume there that
 * calls itself CONTEXT is not the platform's.
 */
static bool is_user_disk(const char *name)
{
	return str_has_prefix(name, "nvme") || str_has_prefix(name, "xvd");
}

/* ---- block devices --------------------------------------------------------------------------- */

/* Devices that hold no medium of their own. */
static bool is_uninteresting(const char *sys, const char *name)
{
	static const char *const prefixes[] = {"loop", "ram", "zram", "dm-", "md", "nbd", "fd"};
	AUTO_FREE char *partition = str_format("%s/%s/partition", sys, name);

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (str_has_prefix(name, prefixes[i]))
			return true;
	}
	return !partition || access(partition, F_OK) == 0;
}

static int cd_first(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	bool cd_x = str_has_prefix(x, "sr"), cd_y = str_has_prefix(y, "sr");

	return cd_x != cd_y ? cd_y - cd_x : strcmp(x, y);
}

/* The names in a folder, in the order in which they are looked at. */
static int list_names(const char *path, bool sys, struct strlist *names, struct err *e)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : err_errno(e, errno, "opening '%s'", path);
	while (rc == 0 && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || (sys && is_uninteresting(path, d->d_name)))
			continue;
		if (names->n < DEVICES_MAX && strlist_add(names, d->d_name) < 0)
			rc = err_nomem(e);
	}
	closedir(dir);
	if (names->n)
		qsort(names->v, names->n, sizeof(*names->v), cd_first);
	return rc;
}

/* Opens one device and reads its volume id. Returns 1 if it is taken. */
static int look_at(const struct detect_opts *o, struct detection *d, const char *path,
		   const char *name, struct err *e)
{
	char id[ISO_VOLUME_ID_MAX + 1];
	AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct err mine;
	struct stat st;
	int rc;

	if (fd < 0)
		return step(d, e, path, "cannot be opened: %s", strerror(errno));
	if (fstat(fd, &st) < 0 || !(S_ISBLK(st.st_mode) || S_ISREG(st.st_mode)))
		return step(d, e, path, "no block device");
	rc = iso_volume_id(fd, id, &mine);
	if (rc < 0)
		return step(d, e, path, "%s", mine.msg);
	if (rc == 0)
		return step(d, e, path, "no ISO 9660 volume");
	if (strcasecmp(id, OPENNEBULA_VOLUME_ID) != 0)
		return step(d, e, path, "ISO 9660 volume '%s'", id);
	if (!o->force && is_user_disk(name) && dmi_is(o->g, "sys_vendor", "Amazon EC2"))
		return step(d, e, path,
			    "ISO 9660 volume '%s' on a user's disk of Amazon EC2: "
			    "not taken without --force",
			    id);
	rc = step(d, e, path, "ISO 9660 volume '%s': an OpenNebula context", id);
	if (rc < 0)
		return rc;
	d->where = strdup(path);
	if (!d->where)
		return err_nomem(e);
	d->found = true;
	d->media = MEDIA_ISO;
	d->fd = steal_fd(&fd);
	return 1;
}

static void release_names(struct strlist *l)
{
	strlist_release(l);
}
DEFINE_AUTO_STRUCT(struct strlist, release_names);

static int look_at_devices(const struct detect_opts *o, struct detection *d, struct err *e)
{
	AUTO_FREE char *sys = str_format("%s/sys/class/block", o->g->root);
	AUTO_FREE char *dev = o->dev ? strdup(o->dev) : str_format("%s/dev", o->g->root);
	AUTO(release_names) struct strlist names = {0};
	int rc;

	if (!sys || !dev)
		return err_nomem(e);
	rc = list_names(o->dev ? dev : sys, !o->dev, &names, e);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		AUTO_FREE char *path = path_join(dev, names.v[i]);

		if (!path)
			return err_nomem(e);
		/* sysfs writes the '/' of a name as '!'. */
		for (char *p = path + strlen(dev) + 1; !o->dev && *p; p++) {
			if (*p == '!')
				*p = '/';
		}
		rc = look_at(o, d, path, names.v[i], e);
	}
	return rc;
}

/* ---- the folder of containers ---------------------------------------------------------------- */

static int look_at_folder(const struct detect_opts *o, struct detection *d, struct err *e)
{
	AUTO_FREE char *path = str_format("%s/context/" OPENNEBULA_FILE, o->g->root);
	AUTO_FD int fd = -1;
	struct stat st;

	if (!path)
		return err_nomem(e);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return step(d, e, path, "%s", errno == ENOENT ? "not there" : strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return step(d, e, path, "no regular file");
	if (step(d, e, path, "an OpenNebula context") < 0)
		return -ENOMEM;
	d->where = STEAL(path);
	d->found = true;
	d->media = MEDIA_FOLDER;
	d->fd = steal_fd(&fd);
	return 1;
}

/* ---- all together ---------------------------------------------------------------------------- */

static int look(const struct detect_opts *o, struct detection *d, struct err *e)
{
	int rc;

	forget_steps(d);
	rc = look_at_devices(o, d, e);
	return rc != 0 ? rc : look_at_folder(o, d, e);
}

/* The medium's driver may still be on its way: look again whenever a device appears. */
static int look_and_wait(const struct detect_opts *o, struct detection *d, struct err *e)
{
	AUTO(coldplug_free) struct coldplug *events = NULL;
	bool settled = false;
	int rc = coldplug_watch(o->wait_ms, &events, e); /* before the first look */

	if (rc == 0)
		rc = look(o, d, e);
	while (rc == 0 && !settled) {
		rc = coldplug_wait(events, &settled, e);
		if (rc == 0)
			rc = look(o, d, e);
	}
	return rc;
}

int detect(const struct detect_opts *o, struct detection *ret, struct err *e)
{
	const char *cloud = o->force ? NULL : known_cloud(o->g);
	int rc;

	*ret = (struct detection){.fd = -1};
	if (o->wait_ms && o->g->live && !o->dev && !cloud)
		rc = look_and_wait(o, ret, e);
	else
		rc = look(o, ret, e);
	if (rc == 0 && cloud)
		rc = step(ret, e, "machine", "%s: it has a metadata service of its own", cloud);
	return rc < 0 ? rc : 0;
}
