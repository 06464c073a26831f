/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Media: block devices with an ISO 9660 or FAT volume whose name is a dialect's, and the folder of
 * containers. See ctxd/detect.h.
 *
 * Devices are opened for reading and without waiting for a medium, and a few sectors are read of
 * each; nothing is mounted. Device nodes come from the kernel's own devtmpfs, so they are there as
 * soon as /sys/class/block names them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "context/iso.h"
#include "context/opennebula.h"
#include "context/shellvars.h"
#include "ctxd/detect.h"
#include "ctxd/fat.h"
#include "lib/fs.h"
#include "lib/str.h"

#define DEVICES_MAX 1024

/*
 * On Amazon's own machines disks are NVMe or Xen ones, which a user attaches: a volume there that
 * calls itself CONTEXT is not the platform's.
 */
static bool is_user_disk(const char *name)
{
	return str_has_prefix(name, "nvme") || str_has_prefix(name, "xvd");
}

/* Devices that hold no medium of their own. FAT volumes may lie in a partition. */
static bool is_uninteresting(const char *name)
{
	static const char *const prefixes[] = {"loop", "ram", "zram", "dm-", "md", "nbd", "fd"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (str_has_prefix(name, prefixes[i]))
			return true;
	}
	return false;
}

static int cd_first(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	bool cd_x = str_has_prefix(x, "sr"), cd_y = str_has_prefix(y, "sr");

	return cd_x != cd_y ? cd_y - cd_x : strcmp(x, y);
}

/* The names in a folder (must: that has to be there), in the order in which they are looked at. */
static int list_names(const char *path, bool sys, bool must, struct strlist *names, struct err *e)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	int rc = 0;

	if (!dir)
		return errno == ENOENT && !must ? 0 : err_errno(e, errno, "opening '%s'", path);
	while (rc == 0 && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || (sys && is_uninteresting(d->d_name)))
			continue;
		if (names->n < DEVICES_MAX && strlist_add(names, d->d_name) < 0)
			rc = err_nomem(e);
	}
	closedir(dir);
	if (names->n)
		qsort(names->v, names->n, sizeof(*names->v), cd_first);
	return rc;
}

/* The dialect that calls its volumes so; further names are the standard's own. */
static const char *dialect_of(const char *label)
{
	static const char *const more[][2] = {{"OVF-TRANSPORT", "ovf"},
					      {"OVF TRANSPORT", "ovf"},
					      {"OVFENV", "ovf"},
					      {"OVF ENV", "ovf"}};

	for (size_t i = 0; context_dialects[i]; i++) {
		if (context_dialects[i]->volume_id &&
		    strcasecmp(context_dialects[i]->volume_id, label) == 0)
			return context_dialects[i]->name;
	}
	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		if (strcasecmp(more[i][0], label) == 0)
			return more[i][1];
	}
	return NULL;
}

/* What is on it: its kind and its name. Returns 1, 0, or the errno of reading. */
static int read_label(int fd, char label[ISO_VOLUME_ID_MAX + 1], enum media *media, struct err *e)
{
	char short_label[FAT_LABEL_MAX + 1];
	int rc = iso_volume_id(fd, label, e);

	*media = MEDIA_ISO;
	if (rc != 0)
		return rc;
	rc = fat_label(fd, short_label, e);
	if (rc > 0) {
		memcpy(label, short_label, sizeof(short_label));
		*media = MEDIA_FAT;
	}
	return rc;
}

/* Opens one device and reads its name. Returns 1 if it is taken. */
static int look_at(const struct detect_opts *o, struct detection *d, const char *path,
		   const char *name, struct err *e)
{
	static const char *const kinds[] = {"ISO 9660", "FAT"};
	AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	char label[ISO_VOLUME_ID_MAX + 1];
	const char *dialect;
	enum media media;
	struct err mine;
	struct stat st;
	int rc;

	if (fd < 0)
		return detect_step(d, e, path, "cannot be opened: %s", strerror(errno));
	if (fstat(fd, &st) < 0 || !(S_ISBLK(st.st_mode) || S_ISREG(st.st_mode)))
		return detect_step(d, e, path, "no block device");
	rc = read_label(fd, label, &media, &mine);
	if (rc < 0)
		return detect_step(d, e, path, "%s", mine.msg);
	if (rc == 0)
		return detect_step(d, e, path, "no ISO 9660 volume, and no FAT volume");
	dialect = dialect_of(label);
	if (!dialect)
		return detect_step(d, e, path, "%s volume '%s'", kinds[media], label);
	if (!o->force && is_user_disk(name) && detect_dmi_is(o->g, "sys_vendor", "Amazon EC2"))
		return detect_step(d, e, path,
				   "%s volume '%s' on a user's disk of Amazon EC2: "
				   "not taken without --force",
				   kinds[media], label);
	rc = detect_step(d, e, path, "%s volume '%s': %s", kinds[media], label, dialect);
	if (rc == 0)
		rc = detect_found(d, dialect, media, path, e);
	if (rc > 0)
		d->fd = steal_fd(&fd);
	return rc;
}

int detect_devices(const struct detect_opts *o, struct detection *d, struct err *e)
{
	AUTO_FREE char *sys = str_format("%s/sys/class/block", o->g->root);
	AUTO_FREE char *dev = o->dev ? strdup(o->dev) : str_format("%s/dev", o->g->root);
	AUTO(strlist_release) struct strlist names = {0};
	int rc;

	if (!sys || !dev)
		return err_nomem(e);
	/* A folder that was named and is not there is a mistake, not a machine without media. */
	rc = list_names(o->dev ? dev : sys, !o->dev, o->dev, &names, e);
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

/* The folder that OpenNebula gives to containers; of its files all that are plain ones. */
static int add_folder(struct detection *d, const char *dir, struct err *e)
{
	AUTO(strlist_release) struct strlist names = {0};
	size_t left = ISO_WRITE_MAX;
	int rc = list_names(dir, false, false, &names, e);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		AUTO_FREE char *path = path_join(dir, names.v[i]);
		AUTO_FD int fd = -1;
		AUTO_BUF data = BUF_INIT;
		struct stat st;

		if (!path)
			return err_nomem(e);
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		    !name_is_plain(names.v[i]))
			continue;
		rc = fs_read_fd(fd, path, left, &data, e);
		left -= rc == 0 ? data.len : 0;
		if (rc == 0)
			rc = detect_add_doc(d, names.v[i], data.data, data.len, e);
	}
	return rc;
}

int detect_folder(const struct detect_opts *o, struct detection *d, struct err *e)
{
	AUTO_FREE char *dir = str_format("%s/context", o->g->root);
	AUTO_FREE char *path = str_format("%s/context/" OPENNEBULA_FILE, o->g->root);
	struct stat st;
	int rc;

	if (!path || !dir)
		return err_nomem(e);
	if (lstat(path, &st) < 0)
		return detect_step(d, e, path, "%s",
				   errno == ENOENT ? "not there" : strerror(errno));
	if (!S_ISREG(st.st_mode))
		return detect_step(d, e, path, "no regular file");
	rc = add_folder(d, dir, e);
	if (rc == 0)
		rc = detect_step(d, e, path, "opennebula");
	return rc < 0 ? rc : detect_found(d, "opennebula", MEDIA_DOCS, path, e);
}
