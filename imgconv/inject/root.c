/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the root file system by what lies in it. */
#include "imgconv/inject/root.h"

#include "imgconv/inject/appliance.h"
#include "lib/str.h"

static bool is_ext(const struct image_partition *p)
{
	return str_has_prefix(p->fs_type, "ext");
}

static bool holds_volumes(const struct image_partition *p)
{
	return !strcmp(p->fs_type, "LVM2_member") || !strcmp(p->fs_type, "linux_raid_member");
}

static bool has(struct guest_fs *fs, const char *path)
{
	struct guest_stat st;

	/* A link counts, wherever it leads. */
	return guest_fs_stat(fs, path, false, &st, NULL) >= 0;
}

static bool looks_like_root(struct image *im, const struct image_partition *p)
{
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;

	if (guest_fs_open(im, p->start, p->length, 0, &fs, NULL) < 0)
		return false;
	return has(fs, "/etc") && (has(fs, "/sbin/init") || has(fs, "/usr/sbin/init") ||
				   has(fs, "/etc/os-release") || has(fs, "/usr/lib/os-release"));
}

static int find_number(struct image *im, const struct image_layout *l, unsigned wanted,
		       const struct image_partition **ret, struct err *e)
{
	for (size_t i = 0; i < l->n_partitions; i++) {
		if (l->partitions[i].number == wanted) {
			*ret = &l->partitions[i];
			return 0;
		}
	}
	return err_set(e, ENOENT, "'%s' has no partition %u", image_name(im), wanted);
}

/* Why there is no root: what is there instead. */
static int no_root(struct image *im, const struct image_layout *l, struct err *e)
{
	AUTO_BUF others = BUF_INIT;
	size_t n_ext = 0;

	for (size_t i = 0; i < l->n_partitions; i++) {
		const struct image_partition *p = &l->partitions[i];

		if (is_ext(p))
			n_ext++;
		else if (p->fs_type[0] &&
			 buf_addf(&others, "%s%s", others.len ? ", " : "", p->fs_type) < 0)
			return err_nomem(e);
	}
	if (n_ext)
		return err_set(e, ENOENT,
			       "'%s': none of its ext2/3/4 file systems looks like a root (name "
			       "one with --partition)",
			       image_name(im));
	return err_set(e, ENOTSUP, "'%s': no file system for a root (%s)", image_name(im),
		       others.len ? others.data : "none that is known");
}

/* What libguestfs would find: a file system, or one in a volume. */
static bool may_hold_root(const struct image_layout *l)
{
	for (size_t i = 0; i < l->n_partitions; i++) {
		if (appliance_may_be_root(l->partitions[i].fs_type))
			return true;
	}
	return false;
}

/* A bare file system needs not look like anything. */
static bool is_bare(const struct image_partition *p)
{
	return !p->number && appliance_mounts(p->fs_type) && !holds_volumes(p);
}

/* NULL: none of what libext2fs reads is a root. */
static int find_root(struct image *im, const struct image_layout *l,
		     const struct image_partition **ret, struct err *e)
{
	*ret = NULL;
	for (size_t i = 0; i < l->n_partitions; i++) {
		const struct image_partition *p = &l->partitions[i];

		if (!p->number && (is_ext(p) || is_bare(p))) {
			*ret = p;
			return 0;
		}
		if (!is_ext(p) || !looks_like_root(im, p))
			continue;
		if (*ret)
			return err_set(e, EINVAL,
				       "'%s': partitions %u and %u both look like a root (choose "
				       "with --partition)",
				       image_name(im), (*ret)->number, p->number);
		*ret = p;
	}
	return 0;
}

static int open_found(struct image *im, const struct image_partition *p, unsigned flags,
		      struct guest_fs **ret, unsigned *ret_partition, struct err *e)
{
	if (appliance_mounts(p->fs_type))
		/* Which of the volumes it holds is the root is to be found. */
		return appliance_open(im, holds_volumes(p) ? 0 : p->number, NULL, is_bare(p), flags,
				      ret, ret_partition, e);
	if (!is_ext(p) && p->fs_type[0])
		return err_set(e, ENOTSUP, "'%s': partition %u is %s, which is not changed here",
			       image_name(im), p->number, p->fs_type);
	*ret_partition = p->number;
	return guest_fs_open(im, p->start, p->length, flags, ret, e);
}

int root_open(struct image *im, unsigned wanted, const char *volume, unsigned flags,
	      struct guest_fs **ret, unsigned *ret_partition, struct err *e)
{
	AUTO(image_layout_release) struct image_layout layout = {0};
	const struct image_partition *p = NULL;
	int rc = image_layout_read(im, &layout, e);

	if (rc < 0)
		return rc;
	/* What a volume lies in needs not be known. */
	if (volume)
		return appliance_open(im, wanted, volume, false, flags, ret, ret_partition, e);
	rc = wanted ? find_number(im, &layout, wanted, &p, e) : find_root(im, &layout, &p, e);
	if (rc)
		return rc;
	if (p)
		return open_found(im, p, flags, ret, ret_partition, e);
	if (!may_hold_root(&layout))
		return no_root(im, &layout, e);
	return appliance_open(im, 0, NULL, false, flags, ret, ret_partition, e);
}
