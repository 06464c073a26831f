/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the kernel of a guest, without running anything of it, and judging whether it boots on
 * an ordinary virtual machine: a bzImage does ("HdrS" at 0x202 and 0xaa55 at 0x1fe, Linux
 * Documentation/arch/x86/boot.rst, protocol 2.00 on), a kernel built for Xen's paravirtualization
 * alone is a compressed ELF file without that header.
 */
#include "imgconv/disk/kernel.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/disk/menulst.h"
#include "lib/str.h"

#define SETUP_OFF_MAGIC 0x1fe
#define SETUP_OFF_HEADER 0x202
#define SETUP_LEN 0x210

#define MENU_MAX (64 * KIB)
#define CONFIG_MAX MIB

static const char *const menu_paths[] = {
	"/boot/grub/menu.lst",
	"/boot/grub/grub.conf",
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

/* Names of the initrd of version %s, in /boot. */
static const char *const initrd_names[] = {
	"/boot/initrd.img-%s", "/boot/initramfs-%s.img", "/boot/initrd-%s",
	"/boot/initrd-%s.img", "/boot/initramfs-%s",
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

static bool config_has(const char *config, const char *option)
{
	size_t len = strlen(option);

	for (const char *s = config; (s = strstr(s, option)); s += len) {
		if ((s == config || s[-1] == '\n') && s[len] == '=' &&
		    (s[len + 1] == 'y' || s[len + 1] == 'm'))
			return true;
	}
	return false;
}

/* The version in a kernel's file name, NULL if it has none. */
static const char *version_of(const char *real_path)
{
	const char *base = strrchr(real_path, '/');

	base = base ? base + 1 : real_path;
	return str_has_prefix(base, "vmlinuz-") && base[8] ? base + 8 : NULL;
}

/* Where /boot/config-* is there, it says whether the kernel can reach a disk of KVM's. */
static int check_config(struct guest_fs *fs, const char *real_path, struct err *e)
{
	static const char *const disks[] = {"CONFIG_VIRTIO_BLK", "CONFIG_ATA_PIIX",
					    "CONFIG_SATA_AHCI", "CONFIG_SCSI_VIRTIO"};
	const char *version = version_of(real_path);
	AUTO_FREE char *path = version ? str_format("/boot/config-%s", version) : NULL;
	AUTO_BUF config = BUF_INIT;

	if (!path || !is_file(fs, path) ||
	    guest_fs_read_file(fs, path, CONFIG_MAX, &config, NULL) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
		if (config_has(buf_str(&config), disks[i]))
			return 0;
	}
	return err_set(e, ENOTSUP,
		       "kernel '%s' has no driver for a virtual disk outside Xen (see '%s')",
		       real_path, path);
}

static int check_kernel(struct guest_fs *fs, const char *path, struct err *e)
{
	AUTO_FREE char *real = NULL;
	AUTO_BUF head = BUF_INIT;
	int rc = guest_fs_realpath(fs, path, &real, e);

	if (rc >= 0)
		rc = guest_fs_read_head(fs, path, SETUP_LEN, &head, e);
	if (rc < 0)
		return err_wrap(e, "kernel");
	if (head.len < SETUP_LEN || le16_get(head.data + SETUP_OFF_MAGIC) != 0xaa55 ||
	    memcmp(head.data + SETUP_OFF_HEADER, "HdrS", 4) != 0)
		return err_set(e, ENOTSUP,
			       "kernel '%s' is no bzImage: it boots under Xen only (give another "
			       "with --kernel)",
			       path);
	return check_config(fs, real, e);
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
static char *initrd_of(struct guest_fs *fs, const char *kernel)
{
	AUTO_FREE char *real = NULL;
	const char *version;

	if (guest_fs_realpath(fs, kernel, &real, NULL) < 0)
		return NULL;
	version = version_of(real);
	for (size_t i = 0; version && i < ARRAY_SIZE(initrd_names); i++) {
		const char *percent = strchr(initrd_names[i], '%');
		char *path = str_format("%.*s%s%s", (int)(percent - initrd_names[i]),
					initrd_names[i], version, percent + 2);

		if (path && is_file(fs, path))
			return path;
		free(path);
	}
	return NULL;
}

/*
 * Each of these returns 1 and the report filled if it found a kernel that boots, 0 if it has
 * nothing to offer, a negative errno if what it offers does not do.
 */
static int from_options(struct guest_fs *fs, const struct boot_opts *o, struct boot_report *ret,
			struct err *e)
{
	AUTO_FREE char *own = NULL;
	const char *initrd = o->initrd;
	struct guest_stat st;
	int rc;

	if (!o->kernel)
		return 0;
	rc = check_kernel(fs, o->kernel, e);
	if (rc >= 0 && initrd)
		rc = guest_fs_stat(fs, initrd, true, &st, e);
	if (rc < 0)
		return rc;
	if (!initrd)
		initrd = own = initrd_of(fs, o->kernel);
	return report(ret, o->kernel, initrd, "ro", "--kernel", e);
}

static int from_entry(struct guest_fs *fs, const struct menulst_entry *x, const char *menu,
		      struct boot_report *ret, struct err *e)
{
	struct guest_stat st;
	int rc = check_kernel(fs, x->kernel, e);

	if (rc >= 0 && x->initrd)
		rc = guest_fs_stat(fs, x->initrd, true, &st, e);
	if (rc < 0)
		return err_wrap(e, "'%s', entry '%s'", menu, x->title ? x->title : "");
	return report(ret, x->kernel, x->initrd, x->args ? x->args : "", menu, e);
}

static int from_menu(struct guest_fs *fs, const char *menu, struct boot_report *ret, struct err *e)
{
	AUTO(menulst_release) struct menulst m = {0};
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!is_file(fs, menu))
		return 0;
	rc = guest_fs_read_file(fs, menu, MENU_MAX, &text, e);
	if (rc >= 0)
		rc = menulst_parse(buf_str(&text), text.len, &m, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", menu);
	if (!m.n_entries)
		return 0;
	rc = from_entry(fs, &m.entries[m.default_entry], menu, ret, e);
	/* The error to be told, if all fails, is the default entry's. */
	for (size_t i = 0; i < m.n_entries && rc < 0 && rc != -ENOMEM; i++) {
		if (from_entry(fs, &m.entries[i], menu, ret, NULL) > 0)
			return 1;
	}
	return rc;
}

static int from_links(struct guest_fs *fs, struct boot_report *ret, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(links) && rc <= 0; i++) {
		AUTO_FREE char *own = NULL;
		const char *initrd = is_file(fs, links[i].initrd) ? links[i].initrd : NULL;

		if (!is_file(fs, links[i].kernel))
			continue;
		rc = check_kernel(fs, links[i].kernel, e);
		if (rc < 0)
			continue;
		if (!initrd)
			initrd = own = initrd_of(fs, links[i].kernel);
		rc = report(ret, links[i].kernel, initrd, "ro", links[i].kernel, e);
	}
	return rc;
}

struct newest {
	struct guest_fs *fs;
	char *version;
	bool any;       /* a kernel was there */
	struct err why; /* why one did not do */
};

static int consider(void *ctx, const char *name, const struct guest_stat *st)
{
	struct newest *n = ctx;
	const char *version = version_of(name);
	AUTO_FREE char *path = NULL;
	char *copy;

	if (!version || S_ISDIR(st->mode) || strstr(version, "rescue"))
		return 0;
	if (n->version && kernel_version_compare(version, n->version) <= 0)
		return 0;
	n->any = true;
	path = str_format("/boot/%s", name);
	copy = strdup(version);
	if (!path || !copy) {
		free(copy);
		return err_nomem(&n->why);
	}
	if (check_kernel(n->fs, path, &n->why) < 0) {
		free(copy);
		return 0;
	}
	free(n->version);
	n->version = copy;
	return 0;
}

static int from_boot(struct guest_fs *fs, struct boot_report *ret, struct err *e)
{
	struct newest n = {.fs = fs};
	AUTO_FREE char *kernel = NULL;
	AUTO_FREE char *initrd = NULL;
	struct guest_stat st;
	int rc = 0;

	if (guest_fs_stat(fs, "/boot", true, &st, NULL) >= 0)
		rc = guest_fs_list(fs, "/boot", consider, &n, &n.why);
	if (rc >= 0 && n.version) {
		kernel = str_format("/boot/vmlinuz-%s", n.version);
		free(n.version);
		if (!kernel)
			return err_nomem(e);
		initrd = initrd_of(fs, kernel);
		return report(ret, kernel, initrd, "ro", "/boot", e);
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

int kernel_find(struct guest_fs *fs, const struct boot_opts *o, struct boot_report *ret,
		struct err *e)
{
	struct err first = {0}, later;
	struct guest_stat st;
	int rc;

	*ret = (struct boot_report){0};
	rc = from_options(fs, o, ret, e);
	if (rc)
		return rc < 0 ? rc : 0;
	for (size_t i = 0; i < ARRAY_SIZE(menu_paths) && rc <= 0; i++) {
		rc = from_menu(fs, menu_paths[i], ret, first.code ? &later : &first);
	}
	if (rc <= 0)
		rc = from_links(fs, ret, first.code ? &later : &first);
	if (rc <= 0)
		rc = from_boot(fs, ret, first.code ? &later : &first);
	if (rc <= 0) {
		boot_report_release(ret);
		if (!first.code)
			return err_set(e, ENOENT,
				       "no kernel: neither menu.lst, nor /vmlinuz, nor "
				       "/boot/vmlinuz-* (give one with --kernel)");
		if (e)
			*e = first;
		return -first.code;
	}
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

/* ---- command line ---------------------------------------------------------------------------- */

/* Words that make sense under Xen alone. */
static bool is_xen_word(const char *w)
{
	static const char *const prefixes[] = {"console=hvc", "console=xvc",
					       "xencons=", "earlyprintk=xen", "xen_"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (str_has_prefix(w, prefixes[i]))
			return true;
	}
	return false;
}

/*
 * Takes the next word as the kernel does: spaces part words, but not within double quotes. The
 * quotes go; GRUB sets them again around a word with spaces.
 */
int kernel_next_word(const char **s, struct buf *word, struct err *e)
{
	bool quoted = false;

	buf_clear(word);
	while (**s == ' ' || **s == '\t')
		(*s)++;
	for (; **s && (quoted || (**s != ' ' && **s != '\t')); (*s)++) {
		unsigned char c = (unsigned char)**s;

		if (c == '"') {
			quoted = !quoted;
			continue;
		}
		if (c < 0x20 || c >= 0x7f || c == '\'' || c == '\\')
			return err_set(e, ENOTSUP,
				       "the kernel's command line has a character (0x%02x) that "
				       "GRUB cannot pass on",
				       c);
		if (buf_addc(word, (char)c) < 0)
			return err_nomem(e);
	}
	if (quoted)
		return err_set(e, EBADMSG, "the kernel's command line has an open quote");
	return word->len > 0;
}

static int add_word(struct buf *line, const char *word, struct err *e)
{
	const char *quote = strpbrk(word, " \t") ? "\"" : "";

	if (buf_addf(line, "%s%s%s%s", line->len ? " " : "", quote, word, quote) < 0)
		return err_nomem(e);
	return 0;
}

int kernel_cmdline(const char *guest_cmdline, bool has_initrd, const char *fs_uuid,
		   uint32_t disk_signature, const char *append, char **ret, struct err *e)
{
	AUTO_BUF line = BUF_INIT;
	AUTO_BUF word = BUF_INIT;
	bool tty = false, serial = false;
	const char *s = guest_cmdline;
	int rc;

	rc = has_initrd ? buf_addf(&line, "root=UUID=%s", fs_uuid)
			: buf_addf(&line, "root=PARTUUID=%08x-01", disk_signature);
	if (rc < 0)
		return err_nomem(e);
	while ((rc = kernel_next_word(&s, &word, e)) > 0) {
		if (str_has_prefix(word.data, "root=") || is_xen_word(word.data))
			continue;
		tty |= str_has_prefix(word.data, "console=tty0");
		serial |= str_has_prefix(word.data, "console=ttyS0");
		rc = add_word(&line, word.data, e);
		if (rc < 0)
			return rc;
	}
	if (rc >= 0 && !serial && !tty)
		rc = add_word(&line, "console=tty0", e);
	if (rc >= 0 && !serial)
		rc = add_word(&line, "console=ttyS0,115200", e);
	for (s = append ? append : ""; rc >= 0 && (rc = kernel_next_word(&s, &word, e)) > 0;)
		rc = add_word(&line, word.data, e);
	if (rc < 0)
		return rc;
	*ret = buf_detach(&line);
	return *ret ? 0 : err_nomem(e);
}
