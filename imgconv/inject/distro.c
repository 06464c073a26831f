/* SPDX-License-Identifier: Apache-2.0 */
/* Recognising distribution, init system and machine of a guest from its files. */
#include "imgconv/inject/distro.h"

#include <stdio.h>
#include <sys/stat.h>

#include "lib/str.h"

#define SMALL_FILE (64 * KIB)
#define NAME_SHOWN 120

/* ELF header (System V ABI, chapter 4). */
#define ELF_HEAD 20
#define EI_CLASS 4
#define EI_DATA 5
#define E_MACHINE 18

/* ---- small helpers --------------------------------------------------------------------------- */

static bool exists(struct guest_fs *fs, const char *path)
{
	struct guest_stat st;

	return guest_fs_stat(fs, path, true, &st, NULL) >= 0;
}

static bool read_small(struct guest_fs *fs, const char *path, struct buf *out)
{
	buf_clear(out);
	return guest_fs_read_file(fs, path, SMALL_FILE, out, NULL) >= 0 && out->len > 0;
}

/* The first line, spaces at the ends cut off; the caller's. */
static char *first_line(const char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strcspn(text, "\r\n");
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return len ? strndup(text, MIN(len, NAME_SHOWN)) : NULL;
}

/* ---- os-release ------------------------------------------------------------------------------ */

/* A shell word as os-release(5) allows it: quotes and backslashes, no expansions. */
static char *unquote(const char *s)
{
	AUTO_BUF out = BUF_INIT;
	char quote = 0;
	int rc = 0;

	for (; *s && *s != '\n' && rc >= 0; s++) {
		if (!quote && (*s == '"' || *s == '\'')) {
			quote = *s;
		} else if (quote && *s == quote) {
			quote = 0;
		} else if (*s == '\\' && quote != '\'' && s[1] && s[1] != '\n') {
			rc = buf_addc(&out, *++s);
		} else if (!quote && (*s == ' ' || *s == '\t' || *s == '\r')) {
			break;
		} else {
			rc = buf_addc(&out, *s);
		}
	}
	return rc < 0 ? NULL : buf_detach(&out);
}

char *os_release_value(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *s = text; s && *s;) {
		const char *nl = strchr(s, '\n');

		s += strspn(s, " \t");
		if (!strncmp(s, key, len) && s[len] == '=')
			return unquote(s + len + 1);
		s = nl ? nl + 1 : NULL;
	}
	return NULL;
}

/* Files that name the distribution, newest custom first; prefix goes before what they say. */
static const struct {
	const char *path, *prefix;
} release_files[] = {
	{"/etc/system-release", ""},
	{"/etc/redhat-release", ""},
	{"/etc/SuSE-release", ""},
	{"/etc/gentoo-release", ""},
	{"/etc/alpine-release", "Alpine Linux "},
	{"/etc/debian_version", "Debian GNU/Linux "},
	{"/etc/slackware-version", ""},
};

static char *find_name(struct guest_fs *fs)
{
	static const char *const os_release[] = {"/etc/os-release", "/usr/lib/os-release"};
	AUTO_BUF text = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(os_release); i++) {
		AUTO_FREE char *pretty = NULL;

		if (!read_small(fs, os_release[i], &text))
			continue;
		pretty = os_release_value(buf_str(&text), "PRETTY_NAME");
		if (!pretty || !*pretty) {
			free(pretty);
			pretty = os_release_value(buf_str(&text), "NAME");
		}
		if (pretty && *pretty)
			return first_line(pretty);
	}
	for (size_t i = 0; i < ARRAY_SIZE(release_files); i++) {
		AUTO_FREE char *line = NULL;

		if (!read_small(fs, release_files[i].path, &text))
			continue;
		line = first_line(buf_str(&text));
		if (line)
			return str_format("%s%s", release_files[i].prefix, line);
	}
	return NULL;
}

/* ---- init ------------------------------------------------------------------------------------ */

static const char *const init_paths[] = {"/sbin/init", "/usr/sbin/init", "/bin/init",
					 "/usr/bin/init"};

static const char *find_init(struct guest_fs *fs)
{
	AUTO_FREE char *real = NULL;
	const char *base = "";

	for (size_t i = 0; i < ARRAY_SIZE(init_paths) && !real; i++)
		guest_fs_realpath(fs, init_paths[i], &real, NULL);
	if (real)
		base = strrchr(real, '/') + 1;
	if (!strcmp(base, "systemd"))
		return "systemd";
	if (!strcmp(base, "upstart"))
		return "upstart";
	if (!strcmp(base, "openrc-init"))
		return "openrc";
	if (!real && (exists(fs, "/usr/lib/systemd/systemd") || exists(fs, "/lib/systemd/systemd")))
		return "systemd";
	/* What is called init has no more to say; its files have. */
	if (exists(fs, "/etc/runlevels") &&
	    (exists(fs, "/sbin/openrc") || exists(fs, "/sbin/rc") || exists(fs, "/usr/bin/openrc")))
		return "openrc";
	if (exists(fs, "/sbin/initctl") && exists(fs, "/etc/init"))
		return "upstart";
	if (exists(fs, "/etc/inittab") || exists(fs, "/etc/init.d/rc"))
		return "sysv";
	return "unknown";
}

/* Red Hat 6 and Amazon Linux 1 have Upstart run the scripts of System V. */
static enum guest_services find_services(struct guest_fs *fs, const char *init)
{
	if (!strcmp(init, "systemd"))
		return GUEST_SYSTEMD;
	if (!strcmp(init, "openrc"))
		return GUEST_OPENRC;
	if (strcmp(init, "upstart") != 0 && strcmp(init, "sysv") != 0)
		return GUEST_SERVICES_UNKNOWN;
	if (exists(fs, "/etc/rc.d/rc.sysinit") && exists(fs, "/etc/rc.d/rc3.d"))
		return GUEST_SYSV_REDHAT;
	if (!strcmp(init, "upstart"))
		return GUEST_UPSTART;
	if (exists(fs, "/etc/init.d/boot.d"))
		return GUEST_SYSV_SUSE;
	return exists(fs, "/etc/rcS.d") ? GUEST_SYSV : GUEST_SERVICES_UNKNOWN;
}

int distro_detect(struct guest_fs *fs, struct distro *ret, struct err *e)
{
	ret->name = find_name(fs);
	if (!ret->name)
		ret->name = strdup("unknown");
	ret->init = find_init(fs);
	ret->services = find_services(fs, ret->init);
	return ret->name ? 0 : err_nomem(e);
}

void distro_release(struct distro *d)
{
	free(d->name);
	d->name = NULL;
}

/* ---- machine --------------------------------------------------------------------------------- */

int elf_machine_of(const void *head, size_t len, struct elf_machine *ret)
{
	const uint8_t *h = head;

	if (len < ELF_HEAD || memcmp(h, "\177ELF", 4) != 0 ||
	    (h[EI_CLASS] != 1 && h[EI_CLASS] != 2) || (h[EI_DATA] != 1 && h[EI_DATA] != 2))
		return -ENOENT;
	ret->bits = h[EI_CLASS] == 2 ? 64 : 32;
	ret->big_endian = h[EI_DATA] == 2;
	ret->machine = ret->big_endian ? be16_get(h + E_MACHINE) : le16_get(h + E_MACHINE);
	return 0;
}

int distro_machine(struct guest_fs *fs, struct elf_machine *ret, struct err *e)
{
	static const char *const programs[] = {"/sbin/init", "/usr/sbin/init", "/bin/sh",
					       "/usr/bin/sh", "/bin/busybox"};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		AUTO_BUF head = BUF_INIT;

		if (guest_fs_read_head(fs, programs[i], ELF_HEAD, &head, NULL) >= 0 &&
		    elf_machine_of(head.data, head.len, ret) >= 0)
			return 0;
	}
	return err_set(
		e, ENOENT,
		"the guest's machine is unknown: neither /sbin/init nor /bin/sh is a program");
}

void elf_machine_name(const struct elf_machine *m, char out[32])
{
	static const struct {
		unsigned machine, bits;
		const char *name;
	} names[] = {
		{62, 64, "x86-64"}, {62, 32, "x32"},     {3, 32, "i386"},   {183, 64, "AArch64"},
		{40, 32, "ARM"},    {243, 64, "RISC-V"}, {22, 64, "S/390"}, {21, 64, "POWER"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].machine == m->machine && names[i].bits == m->bits) {
			snprintf(out, 32, "%s", names[i].name);
			return;
		}
	}
	snprintf(out, 32, "ELF machine %u", m->machine);
}
