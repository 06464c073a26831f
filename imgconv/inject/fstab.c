/* SPDX-License-Identifier: Apache-2.0 */
/* fstab(5) of a guest: see fstab.h. */
#include "imgconv/inject/fstab.h"

#include "lib/buf.h"
#include "lib/str.h"

#define BLANKS " \t\r"
#define MAPPER "/dev/mapper/"

void volume_release(struct volume *v)
{
	free(v->mountable);
	free(v->device);
	free(v->subvolume);
	free(v->type);
	free(v->uuid);
	free(v->label);
}

static void entry_release(struct fstab_entry *x)
{
	free(x->spec);
	free(x->dir);
	free(x->subvolume);
}

void fstab_release(struct fstab *t)
{
	for (size_t i = 0; i < t->n; i++)
		entry_release(&t->entries[i]);
	free(t->entries);
	*t = (struct fstab){0};
}

/* ---- parsing --------------------------------------------------------------------------------- */

static bool has_option(const char *options, const char *wanted)
{
	size_t len = strlen(wanted);

	for (const char *s = options; *s; s += *s == ',') {
		size_t n = strcspn(s, ",");

		if (n == len && !memcmp(s, wanted, n))
			return true;
		s += n;
	}
	return false;
}

/* What comes behind "KEY=" among the options; NULL: there is none. */
static const char *option_of(const char *options, const char *key, size_t *ret_len)
{
	size_t len = strlen(key);

	for (const char *s = options; *s; s += *s == ',') {
		size_t n = strcspn(s, ",");

		if (!strncmp(s, key, len) && s[len] == '=') {
			*ret_len = n - len - 1;
			return s + len + 1;
		}
		s += n;
	}
	return NULL;
}

/* "subvol=@/home" of "rw,subvol=/@/home", else "subvolid=257"; 1; 0: neither is said. */
static int subvolume_of(const char *options, char **ret)
{
	size_t len = 0, slashes;
	const char *name = option_of(options, "subvol", &len);

	if (name) {
		slashes = strspn(name, "/");
		*ret = str_format("subvol=%.*s", (int)(len - slashes), name + slashes);
	} else {
		name = option_of(options, "subvolid", &len);
		if (!name || !len || strspn(name, "0123456789") != len)
			return 0;
		*ret = str_format("subvolid=%.*s", (int)len, name);
	}
	return *ret ? 1 : -ENOMEM;
}

static bool on_disk(const char *type)
{
	static const char *const types[] = {"ext2", "ext3", "ext4", "xfs",     "btrfs",
					    "f2fs", "jfs",  "auto", "reiserfs"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(types[i], type))
			return true;
	}
	return false;
}

static bool is_dir_below_root(const char *dir)
{
	if (dir[0] != '/' || !dir[1] || strchr(dir, '\\'))
		return false;
	for (const char *s = dir; s; s = strchr(s, '/')) {
		s += strspn(s, "/");
		if (str_has_prefix(s, "..") && (!s[2] || s[2] == '/'))
			return false;
	}
	return true;
}

/* 1: an entry; 0: none that counts. */
static int parse_line(char *line, struct fstab_entry *ret, struct err *e)
{
	char *field[4], *rest = line;

	for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
		rest += strspn(rest, BLANKS);
		field[i] = rest;
		rest += strcspn(rest, BLANKS);
		if (*rest)
			*rest++ = '\0';
	}
	if (*field[0] == '#' || !*field[3] || !is_dir_below_root(field[1]) || !on_disk(field[2]) ||
	    has_option(field[3], "noauto") || has_option(field[3], "bind"))
		return 0;
	ret->spec = strdup(field[0]);
	ret->dir = strdup(field[1]);
	if (!ret->spec || !ret->dir || subvolume_of(field[3], &ret->subvolume) < 0) {
		entry_release(ret);
		return err_nomem(e);
	}
	return 1;
}

static int by_depth(const void *a, const void *b)
{
	const struct fstab_entry *x = a, *y = b;
	size_t m = strlen(x->dir), n = strlen(y->dir);

	return m != n ? (m < n ? -1 : 1) : strcmp(x->dir, y->dir);
}

int fstab_parse(const char *text, struct fstab *ret, struct err *e)
{
	int rc = 0;

	*ret = (struct fstab){.entries = calloc(FSTAB_ENTRIES_MAX, sizeof(*ret->entries))};
	if (!ret->entries)
		return err_nomem(e);
	while (*text && ret->n < FSTAB_ENTRIES_MAX && rc >= 0) {
		size_t len = strcspn(text, "\n");
		AUTO_FREE char *line = strndup(text, len);

		rc = line ? parse_line(line, &ret->entries[ret->n], e) : err_nomem(e);
		if (rc > 0)
			ret->n++;
		text += len + (text[len] == '\n');
	}
	if (rc < 0) {
		fstab_release(ret);
		return rc;
	}
	qsort(ret->entries, ret->n, sizeof(*ret->entries), by_depth);
	return 0;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* Compares with a value that may be in quotes. */
static bool same_value(const char *value, const char *with)
{
	size_t n;

	if (*value == '"')
		value++;
	n = strcspn(value, "\"");
	return with && *with && strlen(with) == n && !strncasecmp(value, with, n);
}

/* The device mapper doubles the hyphens of a name. */
static int add_escaped(struct buf *b, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (buf_addc(b, name[i]) < 0 || (name[i] == '-' && buf_addc(b, '-') < 0))
			return -ENOMEM;
	}
	return 0;
}

/* "/dev/mapper/vg-home" is "/dev/vg/home". */
static bool is_mapped(const char *spec, const char *device)
{
	AUTO_BUF name = BUF_INIT;
	const char *group = device + strlen("/dev/");
	const char *slash = strchr(group, '/');

	if (!str_has_prefix(spec, MAPPER) || !slash)
		return false;
	if (add_escaped(&name, group, (size_t)(slash - group)) < 0 || buf_addc(&name, '-') < 0 ||
	    add_escaped(&name, slash + 1, strlen(slash + 1)) < 0)
		return false;
	return !strcmp(spec + strlen(MAPPER), buf_str(&name));
}

/* The number of a partition of the first disk; 0: it is none. */
static unsigned partition_of(const char *spec)
{
	static const char *const disks[] = {"/dev/vda", "/dev/sda", "/dev/xvda", "/dev/hda",
					    "/dev/nvme0n1p"};
	uint64_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
		if (str_has_prefix(spec, disks[i]) &&
		    str_to_u64(spec + strlen(disks[i]), 1, 1024, &n, NULL) >= 0)
			return (unsigned)n;
	}
	return 0;
}

static bool means(const char *spec, const struct volume *v)
{
	const struct {
		const char *prefix, *value;
	} names[] = {
		{"UUID=", v->uuid},
		{"LABEL=", v->label},
		{"PARTUUID=", v->part_uuid},
		{"PARTLABEL=", v->part_label},
		{"/dev/disk/by-uuid/", v->uuid},
		{"/dev/disk/by-label/", v->label},
		{"/dev/disk/by-partuuid/", v->part_uuid},
		{"/dev/disk/by-partlabel/", v->part_label},
	};
	unsigned partition = partition_of(spec);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (str_has_prefix(spec, names[i].prefix))
			return same_value(spec + strlen(names[i].prefix), names[i].value);
	}
	return (partition && partition == v->partition) || !strcmp(spec, v->device) ||
	       is_mapped(spec, v->device);
}

const struct volume *fstab_find(const struct fstab_entry *x, const struct volume *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!*list[i].subvolume && means(x->spec, &list[i]))
			return &list[i];
	}
	return NULL;
}
