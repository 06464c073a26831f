/* SPDX-License-Identifier: Apache-2.0 */
/* GRUB's programs and files of this host: see imgconv/disk/grub_host.h. */
#include "imgconv/disk/grub_host.h"

#include <stdio.h>

#include "lib/fs.h"
#include "lib/proc.h"

#define GRUB_DIR "/usr/lib/grub"

#define SECTOR 512
#define MKIMAGE_SECONDS 120
#define CORE_MAX (8 * MIB)
#define MENU_MAX (64 * KIB)
#define TAR_BLOCK 512

static const struct platform {
	const char *name;        /* of its folder and for grub-mkimage */
	const char *package;     /* of Debian */
	const char *boot_sector; /* NULL: for UEFI */
	const char *modules[8];  /* that it needs besides the common ones */
} platforms[] = {
	{"i386-pc", "grub-pc-bin", "boot.img", {"biosdisk"}},
	/* A mode with pixels, which the kernel takes over as its console. */
	{"x86_64-efi", "grub-efi-amd64-bin", NULL, {"efi_gop", "efi_uga", "video"}},
	{"arm64-efi", "grub-efi-arm64-bin", NULL, {"efi_gop", "video", "gzio"}},
};

static const char *const common_modules[] = {
	"part_msdos", "part_gpt",   "ext2",    "memdisk", "tar",
	"normal",     "configfile", "search",  "linux",   "search_fs_uuid",
	"serial",     "terminal",   "test",    "true",    "echo",
	"sleep",      "ls",         "minicmd", "reboot",  "halt",
};

/* ---- the memory disk: a tar archive (POSIX.1-1988 ustar) of one file ------------------------- */

static int make_memdisk(const char *menu, size_t len, struct buf *out, struct err *e)
{
	char header[TAR_BLOCK] = {0};
	unsigned sum = 0;
	size_t padded = round_up(len, TAR_BLOCK) + 2 * TAR_BLOCK; /* two empty blocks end it */
	size_t before;

	snprintf(header, 100, "boot/grub/grub.cfg");
	snprintf(header + 100, 8, "%07o", 0644u);
	snprintf(header + 108, 8, "%07o", 0u);
	snprintf(header + 116, 8, "%07o", 0u);
	snprintf(header + 124, 12, "%011zo", len);
	snprintf(header + 136, 12, "%011o", 0u);
	memset(header + 148, ' ', 8);
	header[156] = '0';
	memcpy(header + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(header); i++)
		sum += (uint8_t)header[i];
	snprintf(header + 148, 8, "%06o", sum);
	if (buf_add(out, header, sizeof(header)) < 0 || buf_reserve(out, padded) < 0)
		return err_nomem(e);
	before = out->len;
	memset(out->data + before, 0, padded + 1);
	memcpy(out->data + before, menu, len);
	out->len += padded;
	return 0;
}

/* ---- putting it together --------------------------------------------------------------------- */

static const char *grub_dir(void)
{
	const char *dir = getenv("ACCLIMATE_GRUB_DIR");

	return dir && *dir ? dir : GRUB_DIR;
}

/* A file of the platform. */
static int read_grub_file(const struct platform *p, const char *name, struct buf *out,
			  struct err *e)
{
	AUTO_FREE char *dir = path_join(grub_dir(), p->name);
	AUTO_FREE char *path = dir ? path_join(dir, name) : NULL;
	int rc;

	if (!path)
		return err_nomem(e);
	rc = fs_read_file(path, MIB, out, e);
	if (rc == -ENOENT)
		return err_set(e, ENOENT,
			       "'%s' is missing: GRUB for %s is not installed (Debian package %s), "
			       "or set ACCLIMATE_GRUB_DIR",
			       path, p->name, p->package);
	return rc;
}

static int run_mkimage(const struct platform *p, const char *temp, struct buf *out, struct err *e)
{
	AUTO_FREE char *dir = path_join(grub_dir(), p->name);
	AUTO_FREE char *memdisk = path_join(temp, "memdisk.tar");
	AUTO_FREE char *core = path_join(temp, "core.img");
	const char *argv[16 + ARRAY_SIZE(common_modules) + ARRAY_SIZE(p->modules)];
	size_t n = 0;
	int rc;

	if (!dir || !memdisk || !core)
		return err_nomem(e);
	argv[n++] = "grub-mkimage";
	argv[n++] = "--format";
	argv[n++] = p->name;
	argv[n++] = "--directory";
	argv[n++] = dir;
	argv[n++] = "--prefix";
	argv[n++] = "(memdisk)/boot/grub";
	argv[n++] = "--memdisk";
	argv[n++] = memdisk;
	argv[n++] = "--output";
	argv[n++] = core;
	for (size_t i = 0; i < ARRAY_SIZE(common_modules); i++)
		argv[n++] = common_modules[i];
	for (size_t i = 0; i < ARRAY_SIZE(p->modules) && p->modules[i]; i++)
		argv[n++] = p->modules[i];
	argv[n] = NULL;
	rc = proc_run(argv, NULL, 0, NULL, 0, MKIMAGE_SECONDS, e);
	if (rc == -ENOENT)
		return err_set(e, ENOENT,
			       "grub-mkimage is not installed (Debian package grub-common)");
	if (rc < 0) {
		err_wrap(e, "making the boot loader");
		return rc;
	}
	return fs_read_file(core, CORE_MAX, out, e);
}

static int make_in(const struct platform *p, const char *temp, const char *menu, size_t len,
		   struct buf *core, struct err *e)
{
	AUTO_FREE char *memdisk_path = path_join(temp, "memdisk.tar");
	AUTO_BUF memdisk = BUF_INIT;
	int rc = memdisk_path ? make_memdisk(menu, len, &memdisk, e) : err_nomem(e);

	if (rc >= 0)
		rc = fs_write_file(memdisk_path, memdisk.data, memdisk.len, 0600, e);
	return rc < 0 ? rc : run_mkimage(p, temp, core, e);
}

static int make_core(const struct platform *p, const char *menu, size_t len, struct buf *core,
		     struct err *e)
{
	const char *tmpdir = getenv("TMPDIR");
	AUTO_BUF prefix = BUF_INIT;
	AUTO_FREE char *temp = NULL;
	int rc;

	if (buf_addf(&prefix, "%s/acclimate-grub", tmpdir && *tmpdir ? tmpdir : "/tmp") < 0)
		return err_nomem(e);
	rc = fs_make_temp_dir(buf_str(&prefix), &temp, e);
	if (rc < 0)
		return rc;
	rc = make_in(p, temp, menu, len, core, e);
	fs_remove_tree(temp, NULL);
	return rc;
}

static int make(const char *platform, const char *menu, size_t len, struct buf *out, struct err *e)
{
	const struct platform *p = NULL;
	AUTO_BUF unused = BUF_INIT;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++) {
		if (!strcmp(platforms[i].name, platform))
			p = &platforms[i];
	}
	if (!p)
		return err_set(e, EINVAL, "a boot loader for an unknown platform");
	if (len > MENU_MAX)
		return err_set(e, EFBIG, "a boot menu of %zu bytes", len);
	/* For UEFI a file that tells whether GRUB is there. */
	rc = read_grub_file(p, p->boot_sector ? p->boot_sector : "moddep.lst",
			    p->boot_sector ? out : &unused, e);
	if (rc == 0 && p->boot_sector && out->len != SECTOR)
		return err_set(e, EIO, "boot.img is not one of GRUB 2's");
	return rc < 0 ? rc : make_core(p, menu, len, out, e);
}

const struct grub_host grub_host_self = {.make = make};
const struct grub_host *grub_host = &grub_host_self;
