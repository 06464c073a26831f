/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine of libguestfs mounts: the guest's root, wherever it is (a partition, a logical
 * volume, a subvolume of Btrfs), and below it what the guest's own /etc/fstab says (fstab.c).
 */
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/inject/appliance_priv.h"
#include "imgconv/inject/fstab.h"
#include "lib/stop.h"
#include "lib/str.h"

#define DISK "/dev/sda"
#define SUBVOLUME "btrfsvol:"
#define VOLUMES_MOST 512u
#define PROBES_MOST 128u /* file systems that are mounted to be looked at */
#define FSTAB_MAX (64 * KIB)
#define TRIES 4u
#define PAUSE_MS 300

/* ---- what there is --------------------------------------------------------------------------- */

struct found {
	struct volume *list;
	size_t n;
	unsigned probes;
	struct err why; /* the last that could not be mounted; code 0: none */
};

static void found_release(struct found *f)
{
	for (size_t i = 0; i < f->n; i++)
		volume_release(&f->list[i]);
	free(f->list);
}
DEFINE_AUTO_STRUCT(struct found, found_release);

static bool is_subvolume(const struct volume *v)
{
	return str_has_prefix(v->mountable, SUBVOLUME);
}

/* "/dev/sda3" of itself and of "btrfsvol:/dev/sda3/root"; the name of the latter is "root". */
static int split(struct volume *v, struct err *e)
{
	const char *device = is_subvolume(v) ? v->mountable + strlen(SUBVOLUME) : v->mountable;
	const char *end = device + strlen(device);
	uint64_t number = 0;

	/* A logical volume's device has one more slash. */
	if (is_subvolume(v)) {
		unsigned slashes =
			str_has_prefix(device, DISK) || str_has_prefix(device, "/dev/md") ? 3 : 4;

		for (end = device; *end; end++) {
			if (*end == '/' && --slashes == 0)
				break;
		}
	}
	v->device = strndup(device, (size_t)(end - device));
	v->subvolume = strdup(*end ? end + 1 : "");
	if (!v->device || !v->subvolume)
		return err_nomem(e);
	if (str_has_prefix(v->device, DISK) && v->device[strlen(DISK)] &&
	    str_to_u64(v->device + strlen(DISK), 1, 1024, &number, NULL) < 0)
		number = 0;
	v->partition = (unsigned)number;
	return 0;
}

static bool is_file_system(const struct volume *v)
{
	return *v->type && strcmp(v->type, "swap") != 0 && strcmp(v->type, "unknown") != 0;
}

static void name_partition(struct volume *v, const struct image_layout *l)
{
	for (size_t i = 0; v->partition && i < l->n_partitions; i++) {
		if (l->partitions[i].number == v->partition) {
			v->part_uuid = l->partitions[i].uuid;
			v->part_label = l->partitions[i].name;
		}
	}
}

static int find_all(struct appliance *a, struct found *f, struct err *e)
{
	struct wire_reader r;
	int rc;

	wire_begin(&a->m, WIRE_FILESYSTEMS);
	rc = appliance_call(a, &r, e);
	if (rc < 0)
		return rc;
	f->list = calloc(VOLUMES_MOST, sizeof(*f->list));
	if (!f->list)
		return err_nomem(e);
	while (!wire_end(&r) && f->n < VOLUMES_MOST) {
		struct volume *v = &f->list[f->n++];

		if (!wire_take_text(&r, &v->mountable) || !wire_take_text(&r, &v->type) ||
		    !wire_take_text(&r, &v->uuid) || !wire_take_text(&r, &v->label))
			return appliance_nonsense(e);
		rc = split(v, e);
		if (rc < 0)
			return rc;
		name_partition(v, &a->layout);
	}
	return 0;
}

/* ---- looking at one --------------------------------------------------------------------------- */

/* The machine may still look at a device, or let go of it: it is asked again a little later. */
static bool again(int rc, unsigned *tries)
{
	if (rc >= 0 || rc == -ECANCELED || rc == -EPIPE || ++*tries == TRIES)
		return false;
	poll(NULL, 0, PAUSE_MS);
	return true;
}

static int mount_at(struct appliance *a, const char *options, const char *mountable,
		    const char *where, struct err *e)
{
	unsigned tries = 0;
	int rc;

	do {
		wire_begin(&a->m, WIRE_MOUNT);
		wire_text(&a->m, options);
		wire_text(&a->m, mountable);
		wire_text(&a->m, where);
		rc = appliance_call(a, NULL, e);
	} while (again(rc, &tries));
	return rc;
}

static int umount_all(struct appliance *a, struct err *e)
{
	unsigned tries = 0;
	int rc;

	do {
		wire_begin(&a->m, WIRE_UMOUNT);
		rc = appliance_call(a, NULL, e);
	} while (again(rc, &tries));
	return rc;
}

/* Without replaying anything. */
static const char *looking_options(const char *type)
{
	if (!strcmp(type, "xfs"))
		return "ro,norecovery";
	if (!strcmp(type, "btrfs"))
		return "ro,rescue=nologreplay";
	return str_has_prefix(type, "ext") ? "ro,noload" : "ro";
}

static bool has(struct appliance *a, const char *path)
{
	struct guest_stat st;

	return guest_fs_stat(&a->common, path, false, &st, NULL) >= 0;
}

static bool looks_like_root(struct appliance *a, struct found *f, const struct volume *v)
{
	if (f->probes == PROBES_MOST || !is_file_system(v) || stop_requested())
		return false;
	f->probes++;
	if (umount_all(a, &f->why) < 0 ||
	    mount_at(a, looking_options(v->type), v->mountable, "/", &f->why) < 0)
		return false;
	return has(a, "/etc") && (has(a, "/sbin/init") || has(a, "/usr/sbin/init") ||
				  has(a, "/etc/os-release") || has(a, "/usr/lib/os-release"));
}

/* ---- choosing -------------------------------------------------------------------------------- */

struct chosen {
	const struct volume *first, *second; /* NULL: none */
};

static void choose(struct chosen *c, const struct volume *v)
{
	if (!c->first)
		c->first = v;
	else if (!c->second)
		c->second = v;
}

/*
 * Among the subvolumes of a Btrfs whose default one is no root: those at its top come first, as
 * snapshots lie deeper.
 */
static void choose_subvolume(struct appliance *a, struct found *f, const struct volume *of,
			     struct chosen *c)
{
	for (unsigned deep = 0; deep < 2; deep++) {
		struct chosen here = {NULL, NULL};

		for (size_t i = 0; i < f->n; i++) {
			const struct volume *v = &f->list[i];

			if (is_subvolume(v) && !strcmp(v->device, of->device) &&
			    (strchr(v->subvolume, '/') != NULL) == deep && looks_like_root(a, f, v))
				choose(&here, v);
		}
		if (here.first) {
			choose(c, here.first);
			if (here.second)
				choose(c, here.second);
			return;
		}
	}
}

static void choose_root_of(struct appliance *a, struct found *f, const struct volume *v,
			   struct chosen *c)
{
	if (looks_like_root(a, f, v))
		choose(c, v);
	else if (!strcmp(v->type, "btrfs"))
		choose_subvolume(a, f, v, c);
}

static int one_of(const struct chosen *c, const struct volume **ret, struct err *e)
{
	if (c->second)
		return err_set(
			e, EINVAL,
			"'%s' and '%s' both look like a root (choose with --partition or --volume)",
			c->first->mountable, c->second->mountable);
	*ret = c->first;
	return 0;
}

static int choose_any(struct appliance *a, struct found *f, const struct volume **ret,
		      struct err *e)
{
	struct chosen c = {NULL, NULL};

	for (size_t i = 0; i < f->n; i++) {
		if (!is_subvolume(&f->list[i]) && is_file_system(&f->list[i]))
			choose_root_of(a, f, &f->list[i], &c);
	}
	if (!c.first && stop_check(e) < 0)
		return -ECANCELED;
	if (!c.first && f->why.code)
		return err_set(e, ENOENT,
			       "no file system that can be mounted looks like a root (%s)",
			       f->why.msg);
	if (!c.first)
		return err_set(e, ENOENT,
			       "none of its file systems looks like a root (name one with "
			       "--partition)");
	return one_of(&c, ret, e);
}

/* What was named needs not look like anything. */
static int choose_named(struct appliance *a, struct found *f, const struct appliance_choice *w,
			const struct volume **ret, struct err *e)
{
	struct chosen c = {NULL, NULL};
	const struct volume *v = NULL;

	for (size_t i = 0; i < f->n && !v; i++) {
		if (!is_subvolume(&f->list[i]) && is_file_system(&f->list[i]) &&
		    (w->bare ? !strcmp(f->list[i].device, DISK)
			     : f->list[i].partition == w->wanted))
			v = &f->list[i];
	}
	if (!v)
		return err_set(e, ENOTSUP,
			       "libguestfs finds no file system in %s that it can mount",
			       w->bare ? "it" : "that partition");
	if (!strcmp(v->type, "btrfs"))
		choose_root_of(a, f, v, &c);
	if (!c.first)
		c.first = v;
	return one_of(&c, ret, e);
}

/* "vg/root" and "/dev/vg/root"; "@/root" and "/@/root". */
static bool is_called(const struct volume *v, const char *name)
{
	if (is_subvolume(v))
		return !strcmp(v->subvolume, name + (*name == '/'));
	if (str_has_prefix(v->device, DISK) || !str_has_prefix(v->device, "/dev/"))
		return false;
	return !strcmp(v->device, name) || !strcmp(v->device + strlen("/dev/"), name);
}

/* "'/dev/sda1' (ext4), ..." */
static int add_all(const struct found *f, struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < f->n && !rc; i++)
		rc = buf_addf(out, "%s'%s' (%s)", i ? ", " : "", f->list[i].mountable,
			      f->list[i].type);
	return rc;
}

static int choose_volume(const struct found *f, const struct appliance_choice *w,
			 const struct volume **ret, struct err *e)
{
	struct chosen c = {NULL, NULL};
	AUTO_BUF all = BUF_INIT;

	for (size_t i = 0; i < f->n; i++) {
		if (is_file_system(&f->list[i]) && is_called(&f->list[i], w->volume) &&
		    (!w->wanted || w->wanted == f->list[i].partition))
			choose(&c, &f->list[i]);
	}
	if (!c.first && add_all(f, &all))
		return err_nomem(e);
	if (!c.first)
		return err_set(e, ENOENT, "there is no file system in a volume '%s', but: %.300s",
			       w->volume, buf_str(&all));
	if (c.second)
		return err_set(e, EINVAL,
			       "'%s' and '%s' are both so called (choose with "
			       "--partition)",
			       c.first->mountable, c.second->mountable);
	*ret = c.first;
	return 0;
}

/* ---- mounting -------------------------------------------------------------------------------- */

/* ext4's kernel would go on making what mkfs left unmade, all over the disk. */
static const char *using_options(const struct appliance *a, const char *type)
{
	if (!a->writable)
		return "ro";
	return str_has_prefix(type, "ext") ? "noinit_itable" : "";
}

static int mount_entry(struct appliance *a, const struct found *f, const struct volume *root,
		       const struct fstab_entry *x, struct err *e)
{
	const struct volume *v = fstab_find(x, f->list, f->n);
	AUTO_FREE char *options = NULL;
	int rc;

	if (!v) {
		appliance_tell("'%s' of the guest's /etc/fstab is not in this image", x->dir);
		return 0;
	}
	/* Small file systems for firmware are not what changes are for. */
	if (!strcmp(v->type, "vfat") || !strcmp(v->type, "ntfs") || (v == root && !x->subvolume))
		return 0;
	options = x->subvolume ? str_format("%s%s%s", using_options(a, v->type),
					    *using_options(a, v->type) ? "," : "", x->subvolume)
			       : strdup(using_options(a, v->type));
	if (!options)
		return err_nomem(e);
	rc = mount_at(a, options, v->mountable, x->dir, e);
	if (rc < 0)
		return err_wrap(e, "mounting what the guest's /etc/fstab has at '%s'", x->dir);
	return 0;
}

static int mount_fstab(struct appliance *a, const struct found *f, const struct volume *root,
		       struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	AUTO(fstab_release) struct fstab t = {0};
	int rc = guest_fs_read_file(&a->common, "/etc/fstab", FSTAB_MAX, &text, e);

	if (rc == -ENOENT || rc == -EISDIR || rc == -EINVAL || rc == -ENOTDIR)
		return 0;
	if (rc >= 0)
		rc = fstab_parse(buf_str(&text), &t, e);
	for (size_t i = 0; i < t.n && rc >= 0; i++)
		rc = mount_entry(a, f, root, &t.entries[i], e);
	return rc;
}

static int describe(struct appliance *a, const struct volume *v, struct appliance_choice *c,
		    struct err *e)
{
	snprintf(a->common.uuid, sizeof(a->common.uuid), "%s", v->uuid);
	a->common.keeps_owners = strcmp(v->type, "vfat") != 0 && strcmp(v->type, "exfat") != 0 &&
				 strcmp(v->type, "ntfs") != 0;
	a->folds_case = !strcmp(v->type, "ntfs");
	c->partition = v->partition;
	if (is_subvolume(v))
		a->common.volume = strdup(v->subvolume);
	else if (!str_has_prefix(v->device, DISK))
		a->common.volume = strdup(v->device);
	else
		return 0;
	return a->common.volume ? 0 : err_nomem(e);
}

static int find_root(struct appliance *a, struct found *f, const struct appliance_choice *c,
		     const struct volume **ret, struct err *e)
{
	int rc = find_all(a, f, e);

	if (rc < 0)
		return rc;
	if (c->volume)
		return choose_volume(f, c, ret, e);
	return c->wanted || c->bare ? choose_named(a, f, c, ret, e) : choose_any(a, f, ret, e);
}

int appliance_mount_root(struct appliance *a, struct appliance_choice *c, struct err *e)
{
	AUTO(found_release) struct found f = {0};
	const struct volume *root = NULL;
	unsigned tries = 0;
	int rc;

	/*
	 * A busy machine now and then does not know all that there is when it is asked at once, or
	 * cannot mount a Btrfs to list what is in it.
	 */
	do {
		found_release(&f);
		f = (struct found){0};
		rc = find_root(a, &f, c, &root, e);
	} while ((rc == -ENOENT || rc == -ENOTSUP || rc == -EIO) && again(rc, &tries));
	if (rc >= 0)
		rc = umount_all(a, e);
	if (rc < 0)
		return rc;
	ANALYZER_KNOWS(root);
	rc = mount_at(a, using_options(a, root->type), root->mountable, "/", e);
	if (rc >= 0)
		rc = describe(a, root, c, e);
	return rc < 0 ? rc : mount_fstab(a, &f, root, e);
}

/* ---- what the kernel says about it ------------------------------------------------------------ */

enum verdict {
	VERDICT_REPLAYED, /* a journal */
	VERDICT_UNCLEAN,
	VERDICT_DAMAGED,
};

static const struct {
	const char *words;
	enum verdict verdict;
} messages[] = {
	{"): Starting recovery", VERDICT_REPLAYED},      /* XFS */
	{"start tree-log replay", VERDICT_REPLAYED},     /* Btrfs */
	{"): recovery complete", VERDICT_REPLAYED},      /* ext4 */
	{"was not properly unmounted", VERDICT_UNCLEAN}, /* FAT, exFAT */
	{"mounting fs with errors", VERDICT_UNCLEAN},    /* ext4 */
	{"mounting unchecked fs", VERDICT_UNCLEAN},
	{"EXT4-fs error", VERDICT_DAMAGED},
	{"orruption detected", VERDICT_DAMAGED}, /* XFS */
	{"): Internal error", VERDICT_DAMAGED},
	{"BTRFS critical", VERDICT_DAMAGED},
	{"BTRFS error", VERDICT_DAMAGED},
	{"FAT-fs (sda", VERDICT_DAMAGED},
	{"I/O error, dev sda", VERDICT_DAMAGED},
};

static int judge(const char *line, size_t len, bool replay, bool mounted, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		enum verdict v = messages[i].verdict;

		if (!memmem(line, len, messages[i].words, strlen(messages[i].words)))
			continue;
		if (v == VERDICT_REPLAYED && !replay)
			return err_set(e, EUCLEAN,
				       "the journal must be replayed first (unclean shutdown): "
				       "--replay-journal does it (%.*s)",
				       (int)MIN(len, 200u), line);
		if (v == VERDICT_UNCLEAN && !replay)
			return err_set(e, EUCLEAN, "the file system must be checked first (%.*s)",
				       (int)MIN(len, 200u), line);
		if (v == VERDICT_DAMAGED && mounted)
			return err_set(e, EBADMSG, "the file system is damaged (%.*s)",
				       (int)MIN(len, 200u), line);
	}
	return 0;
}

int appliance_check_messages(struct appliance *a, bool replay, struct err *e)
{
	struct wire_reader r;
	const char *text;
	size_t len, at;
	bool mounted = a->dmesg_len; /* attempts to mount may have failed before the first look */
	int rc;

	wire_begin(&a->m, WIRE_DMESG);
	rc = appliance_call(a, &r, e);
	if (rc >= 0 && !wire_take(&r, &text, &len))
		rc = appliance_nonsense(e);
	if (rc < 0)
		return rc;
	at = len < a->dmesg_len ? 0 : a->dmesg_len;
	a->dmesg_len = MAX(len, 1u);
	while (at < len && rc >= 0) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t n = nl ? (size_t)(nl - text) - at : len - at;

		rc = judge(text + at, n, replay, mounted, e);
		at += n + 1;
	}
	return rc;
}
