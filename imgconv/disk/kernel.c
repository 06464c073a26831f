/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the kernel of a guest, without running anything of it: by the menu of GRUB legacy, the
 * links that distributions keep, or the names in /boot; and judging whether it boots on an ordinary
 * virtual machine.
 */
#include "imgconv/disk/kernel.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/disk/drivers.h"
#include "imgconv/disk/kernel_image.h"
#include "imgconv/disk/menulst.h"
#include "lib/str.h"

#define MENU_MAX (64 * KIB)
#define CONFIG_MAX MIB
/* Of a folder of kernels: names that are looked at, and kernels among them. */
#define NAMES_MAX 10000
#define KERNELS_MAX 100

/* Where kernels are looked for, and what will do. */
struct search {
	struct guest_fs *fs;
	const char *boot; /* "/boot", or "" for a file system that is all of it */
	bool any;         /* kernels that boot under Xen only will do */
};

/* Below the folder of kernels, but for /etc. */
static const char *const menu_paths[] = {
	"%s/grub/menu.lst",
	"%s/grub/grub.conf",
	"/etc/grub.conf",
};

/* Links that distributions keep on their newest kernel. */
static const struct kernel_link {
	const char *kernel, *initrd;
} links[] = {
	{"/vmlinuz", "/initrd.img"},
	{"/boot/vmlinuz", "/boot/initrd.img"},
	{"/boot/vmlinuz", "/boot/initrd"},
};

/* Names of the initrd of a version, in the folder of kernels: what is before and behind it. */
static const char *const initrd_names[][2] = {
	{"initrd.img-", ""}, {"initramfs-", ".img"}, {"initrd-", ""},
	{"initrd-", ".img"}, {"initramfs-", ""},
};

int kernel_version_compare(const char *a, const char *b)
{
	while (*a && *b) {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			size_t na, nb;
			int c;

			a += strspn(a, "0");
			b += strspn(b, "0");
			na = strspn(a, "0123456789");
			nb = strspn(b, "0123456789");
			if (na != nb)
				return na < nb ? -1 : 1;
			c = memcmp(a, b, na);
			if (c)
				return c;
			a += na;
			b += nb;
		} else {
			if (*a != *b)
				return (unsigned char)*a - (unsigned char)*b;
			a++;
			b++;
		}
	}
	return (unsigned char)*a - (unsigned char)*b;
}

/* ---- is it a kernel that boots here? --------------------------------------------------------- */

static bool is_file(struct guest_fs *fs, const char *path)
{
	struct guest_stat st;

	return guest_fs_stat(fs, path, true, &st, NULL) >= 0 && S_ISREG(st.mode) && st.size > 0;
}

/* Where /boot/config-* is there, it says whether the kernel can reach a disk of KVM's. */
static int check_config(struct search *s, const char *real_path, struct err *e)
{
	static const char *const disks[] = {"CONFIG_VIRTIO_BLK",   "CONFIG_SCSI_VIRTIO",
					    "CONFIG_SATA_AHCI",    "CONFIG_ATA_PIIX",
					    "CONFIG_BLK_DEV_NVME", "CONFIG_BLK_DEV_PIIX"};
	const char *version = kernel_version_of(real_path);
	AUTO_FREE char *path = version ? str_format("%s/config-%s", s->boot, version) : NULL;
	AUTO_BUF config = BUF_INIT;

	if (!path || !is_file(s->fs, path) ||
	    guest_fs_read_file(s->fs, path, CONFIG_MAX, &config, NULL) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
		if (kernel_config_value(buf_str(&config), disks[i]))
			return 0;
	}
	return err_set(e, ENOTSUP,
		       "kernel '%s' has no driver for a virtual disk outside Xen (see '%s')",
		       real_path, path);
}

static int check_kernel(struct search *s, const char *path, struct err *e)
{
	AUTO_FREE char *real = NULL;
	AUTO_BUF head = BUF_INIT;
	struct kernel_image image;
	int rc = guest_fs_realpath(s->fs, path, &real, e);

	if (rc >= 0)
		rc = guest_fs_read_head(s->fs, path, KERNEL_HEAD, &head, e);
	if (rc < 0)
		return err_wrap(e, "kernel");
	kernel_image_parse(head.data, head.len, &image);
	if (s->any && image.kind != BOOT_KERNEL_UNKNOWN)
		return 0;
	if (image.kind == BOOT_KERNEL_PV)
		return err_set(e, ENOTSUP,
			       "kernel '%s' is no bzImage: it boots under Xen only (give another "
			       "with --kernel)",
			       path);
	if (image.kind == BOOT_KERNEL_UNKNOWN)
		return err_set(e, ENOTSUP, "'%s' is no kernel: neither a bzImage nor one for arm64",
			       path);
	return check_config(s, real, e);
}

/* ---- candidates ------------------------------------------------------------------------------ */

static int report(struct boot_report *ret, const char *kernel, const char *initrd,
		  const char *cmdline, const char *source, struct err *e)
{
	boot_report_release(ret);
	ret->kernel = strdup(kernel);
	ret->initrd = initrd ? strdup(initrd) : NULL;
	ret->cmdline = strdup(cmdline);
	ret->source = strdup(source);
	if (!ret->kernel || (initrd && !ret->initrd) || !ret->cmdline || !ret->source)
		return err_nomem(e);
	return 1;
}

/* The initrd that belongs to a kernel by its name; NULL if none does. */
static char *initrd_of(struct search *s, const char *kernel)
{
	AUTO_FREE char *real = NULL;
	const char *version;

	if (guest_fs_realpath(s->fs, kernel, &real, NULL) < 0)
		return NULL;
	version = kernel_version_of(real);
	for (size_t i = 0; version && i < ARRAY_SIZE(initrd_names); i++) {
		char *path = str_format("%s/%s%s%s", s->boot, initrd_names[i][0], version,
					initrd_names[i][1]);

		if (path && is_file(s->fs, path))
			return path;
		free(path);
	}
	return NULL;
}

/*
 * Each of these returns 1 and the report filled if it found a kernel that boots, 0 if it has
 * nothing to offer, a negative errno if what it offers does not do.
 */
static int from_options(struct search *s, const struct boot_opts *o, struct boot_report *ret,
			struct err *e)
{
	AUTO_FREE char *own = NULL;
	const char *initrd = o->initrd;
	struct guest_stat st;
	int rc;

	if (!o->kernel)
		return 0;
	rc = check_kernel(s, o->kernel, e);
	if (rc >= 0 && initrd)
		rc = guest_fs_stat(s->fs, initrd, true, &st, e);
	if (rc < 0)
		return rc;
	if (!initrd)
		initrd = own = initrd_of(s, o->kernel);
	return report(ret, o->kernel, initrd, "ro", "--kernel", e);
}

static int from_entry(struct search *s, const struct menulst_entry *x, const char *menu,
		      struct boot_report *ret, struct err *e)
{
	struct guest_stat st;
	int rc = check_kernel(s, x->kernel, e);

	if (rc >= 0 && x->initrd)
		rc = guest_fs_stat(s->fs, x->initrd, true, &st, e);
	if (rc < 0)
		return err_wrap(e, "'%s', entry '%s'", menu, x->title ? x->title : "");
	return report(ret, x->kernel, x->initrd, x->args ? x->args : "", menu, e);
}

static int from_menu(struct search *s, const char *menu, struct boot_report *ret, struct err *e)
{
	AUTO(menulst_release) struct menulst m = {0};
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!is_file(s->fs, menu))
		return 0;
	rc = guest_fs_read_file(s->fs, menu, MENU_MAX, &text, e);
	if (rc >= 0)
		rc = menulst_parse(buf_str(&text), text.len, &m, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", menu);
	if (!m.n_entries)
		return 0;
	rc = from_entry(s, &m.entries[m.default_entry], menu, ret, e);
	/* The error to be told, if all fails, is the default entry's. */
	for (size_t i = 0; i < m.n_entries && rc < 0 && rc != -ENOMEM; i++) {
		if (from_entry(s, &m.entries[i], menu, ret, NULL) > 0)
			return 1;
	}
	return rc;
}

static int from_links(struct search *s, struct boot_report *ret, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(links) && rc <= 0; i++) {
		AUTO_FREE char *own = NULL;
		const char *initrd = is_file(s->fs, links[i].initrd) ? links[i].initrd : NULL;

		if (!is_file(s->fs, links[i].kernel))
			continue;
		rc = check_kernel(s, links[i].kernel, e);
		if (rc < 0)
			continue;
		if (!initrd)
			initrd = own = initrd_of(s, links[i].kernel);
		rc = report(ret, links[i].kernel, initrd, "ro", links[i].kernel, e);
	}
	return rc;
}

struct newest {
	struct search *search;
	char *version;
	unsigned names, kernels;
	bool any;       /* a kernel was there */
	struct err why; /* why one did not do */
};

static int consider(void *ctx, const char *name, const struct guest_stat *st)
{
	struct newest *n = ctx;
	const char *version = kernel_version_of(name);
	AUTO_FREE char *path = NULL;
	char *copy;

	if (++n->names > NAMES_MAX || n->kernels > KERNELS_MAX)
		return 1;
	if (!version || S_ISDIR(st->mode) || strstr(version, "rescue"))
		return 0;
	if (n->version && kernel_version_compare(version, n->version) <= 0)
		return 0;
	n->any = true;
	n->kernels++;
	path = str_format("%s/%s", n->search->boot, name);
	copy = strdup(version);
	if (!path || !copy) {
		free(copy);
		return err_nomem(&n->why);
	}
	if (check_kernel(n->search, path, &n->why) < 0) {
		free(copy);
		return 0;
	}
	free(n->version);
	n->version = copy;
	return 0;
}

static int from_boot(struct search *s, struct boot_report *ret, struct err *e)
{
	const char *folder = *s->boot ? s->boot : "/";
	struct newest n = {.search = s};
	AUTO_FREE char *kernel = NULL;
	AUTO_FREE char *initrd = NULL;
	struct guest_stat st;
	int rc = 0;

	if (guest_fs_stat(s->fs, folder, true, &st, NULL) >= 0)
		rc = guest_fs_list(s->fs, folder, consider, &n, &n.why);
	if (rc >= 0 && n.version) {
		kernel = str_format("%s/vmlinuz-%s", s->boot, n.version);
		free(n.version);
		if (!kernel)
			return err_nomem(e);
		initrd = initrd_of(s, kernel);
		return report(ret, kernel, initrd, "ro", folder, e);
	}
	free(n.version);
	if (rc >= 0 && !n.any)
		return 0;
	if (e)
		*e = n.why;
	return -n.why.code;
}

/* ---- choice ---------------------------------------------------------------------------------- */

static bool same_file(struct guest_fs *fs, const char *a, const char *b)
{
	AUTO_FREE char *ra = NULL;
	AUTO_FREE char *rb = NULL;

	if (!a || !b)
		return a == b;
	return guest_fs_realpath(fs, a, &ra, NULL) >= 0 &&
	       guest_fs_realpath(fs, b, &rb, NULL) >= 0 && !strcmp(ra, rb);
}

/* A link that the guest keeps up to date is better than the name of a version. */
static int prefer_links(struct guest_fs *fs, struct boot_report *r, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		struct guest_stat st;
		char *kernel, *initrd;

		if (guest_fs_stat(fs, links[i].kernel, false, &st, NULL) < 0 || !S_ISLNK(st.mode))
			continue;
		if (!same_file(fs, links[i].kernel, r->kernel) ||
		    (r->initrd && !same_file(fs, links[i].initrd, r->initrd)))
			continue;
		kernel = strdup(links[i].kernel);
		initrd = r->initrd ? strdup(links[i].initrd) : NULL;
		if (!kernel || (r->initrd && !initrd)) {
			free(kernel);
			free(initrd);
			return err_nomem(e);
		}
		free(r->kernel);
		free(r->initrd);
		r->kernel = kernel;
		r->initrd = initrd;
		return 0;
	}
	return 0;
}

/* All places in their order; the error to be told is the first one's. */
static int search_all(struct search *s, struct boot_report *ret, struct err *e)
{
	struct err first = {0}, later;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(menu_paths) && rc <= 0; i++) {
		const char *below = strchr(menu_paths[i], '%');
		AUTO_FREE char *menu =
			below ? str_format("%s%s", s->boot, below + 2) : strdup(menu_paths[i]);

		if (!menu)
			return err_nomem(e);
		rc = from_menu(s, menu, ret, first.code ? &later : &first);
	}
	if (rc <= 0 && *s->boot)
		rc = from_links(s, ret, first.code ? &later : &first);
	if (rc <= 0)
		rc = from_boot(s, ret, first.code ? &later : &first);
	if (rc > 0)
		return 0;
	if (!first.code)
		return err_set(e, ENOENT,
			       "no kernel: neither menu.lst, nor /vmlinuz, nor %s/vmlinuz-* (give "
			       "one with --kernel)",
			       s->boot);
	if (e)
		*e = first;
	return -first.code;
}

int kernel_find(struct guest_fs *fs, const struct boot_opts *o, struct boot_report *ret,
		struct err *e)
{
	struct search s = {.fs = fs, .boot = "/boot"};
	struct guest_stat st;
	int rc;

	*ret = (struct boot_report){0};
	rc = from_options(&s, o, ret, e);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = search_all(&s, ret, e);
	if (rc >= 0)
		rc = prefer_links(fs, ret, e);
	if (rc >= 0 && o->initrd) {
		free(ret->initrd);
		ret->initrd = strdup(o->initrd);
		rc = ret->initrd ? guest_fs_stat(fs, o->initrd, true, &st, e) : err_nomem(e);
	}
	if (rc < 0)
		boot_report_release(ret);
	return rc;
}

int kernel_find_any(struct guest_fs *fs, const char *boot, struct boot_report *ret, struct err *e)
{
	struct search s = {.fs = fs, .boot = boot};
	int rc;

	*ret = (struct boot_report){0};
	rc = search_all(&s, ret, NULL);
	if (rc < 0) {
		boot_report_release(ret);
		s.any = true;
		rc = search_all(&s, ret, e);
	}
	if (rc >= 0 && *boot)
		rc = prefer_links(fs, ret, e);
	if (rc < 0)
		boot_report_release(ret);
	return rc;
}
