/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the root file system by what lies in it. */
#include "imgconv/inject/root.h"

#include "lib/str.h"

static bool is_ext(const struct image_partition *p)
{
	return str_has_prefix(p->fs_type, "ext");
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
	return err_set(e, ENOTSUP, "'%s': no ext2, ext3 or ext4 file system (%s)", image_name(im),
		       others.len ? others.data : "none that is known");
}

static int find_root(struct image *im, const struct image_layout *l,
		     const struct image_partition **ret, struct err *e)
{
	const struct image_partition *found = NULL;

	for (size_t i = 0; i < l->n_partitions; i++) {
		const struct image_partition *p = &l->partitions[i];

		/* A bare file system needs not look like anything. */
		if (!p->number && is_ext(p)) {
			*ret = p;
			return 0;
		}
		if (!is_ext(p) || !looks_like_root(im, p))
			continue;
		if (found)
			return err_set(e, EINVAL,
				       "'%s': partitions %u and %u both look like a root (choose "
				       "with --partition)",
				       image_name(im), found->number, p->number);
		found = p;
	}
	if (!found)
		return no_root(im, l, e);
	*ret = found;
	return 0;
}

int root_open(struct image *im, unsigned wanted, unsigned flags, struct guest_fs **ret,
	      unsigned *ret_partition, struct err *e)
{
	AUTO(image_layout_release) struct image_layout layout = {0};
	const struct image_partition *p = NULL;
	int rc = image_layout_read(im, &layout, e);

	if (rc < 0)
		return rc;
	rc = wanted ? find_number(im, &layout, wanted, &p, e) : find_root(im, &layout, &p, e);
	if (rc)
		return rc;
	ANALYZER_KNOWS(p);
	if (!is_ext(p) && p->fs_type[0])
		return err_set(e, ENOTSUP, "'%s': partition %u is %s, not ext2/3/4", image_name(im),
			       p->number, p->fs_type);
	*ret_partition = p->number;
	return guest_fs_open(im, p->start, p->length, flags, ret, e);
}
