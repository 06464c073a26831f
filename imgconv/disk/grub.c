/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB 2 (2.06). For BIOS: boot.img is a boot sector, which loads the first sector of the core image
 * from the sector that it names (64 bits at 0x5c); that one, diskboot.img, loads the rest by a list
 * of blocks at its end. As shipped they say 1 and 2, so that the two laid one behind the other are a
 * boot loader. For UEFI the core image is a program. It carries its menu in a memory disk, so that
 * nothing is read from the guest but kernel and initrd, and no command of its own is run.
 */
#include "imgconv/disk/grub.h"

#include <stdio.h>

#include "imgconv/disk/cmdline.h"
#include "lib/fs.h"
#include "lib/proc.h"

#define GRUB_DIR "/usr/lib/grub"

#define SECTOR 512
#define BOOT_OFF_KERNEL_SECTOR 0x5c
#define BOOT_OFF_DRIVE_CHECK 0x66 /* a jump that only floppies need */
#define BOOT_OFF_SIGNATURE 440    /* from here on: disk signature and partition table */
#define BOOT_OFF_MAGIC 510
#define DISKBOOT_OFF_BLOCKLIST 0x1f4 /* first sector (8), count (2), segment (2) */

#define MKIMAGE_SECONDS 120
#define CORE_MAX (8 * MIB)
#define TAR_BLOCK 512

static const struct platform {
	const char *name;       /* of its folder and for grub-mkimage */
	const char *package;    /* of Debian */
	const char *modules[8]; /* that it needs besides the common ones */
} platforms[] = {
	[GRUB_BIOS] = {"i386-pc", "grub-pc-bin", {"biosdisk"}},
	/* A mode with pixels, which the kernel takes over as its console. */
	[GRUB_EFI_X64] = {"x86_64-efi", "grub-efi-amd64-bin", {"efi_gop", "efi_uga", "video"}},
	[GRUB_EFI_ARM64] = {"arm64-efi", "grub-efi-arm64-bin", {"efi_gop", "video", "gzio"}},
};

static const char *const common_modules[] = {
	"part_msdos", "part_gpt",   "ext2",    "memdisk", "tar",
	"normal",     "configfile", "search",  "linux",   "search_fs_uuid",
	"serial",     "terminal",   "test",    "true",    "echo",
	"sleep",      "ls",         "minicmd", "reboot",  "halt",
};

/* ---- the menu -------------------------------------------------------------------------------- */

/* A word of GRUB's script language, whatever is in it. */
static int add_quoted(struct buf *out, const char *s, struct err *e)
{
	int rc = buf_adds(out, " '");

	for (; *s && rc >= 0; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			return err_set(e, ENOTSUP, "a control character (0x%02x) in '%s'", c, s);
		rc = c == '\'' ? buf_adds(out, "'\\''") : buf_addc(out, (char)c);
	}
	if (rc >= 0)
		rc = buf_addc(out, '\'');
	return rc < 0 ? err_nomem(e) : 0;
}

static int add_kernel(const struct boot_report *r, struct buf *out, struct err *e)
{
	AUTO_BUF word = BUF_INIT;
	const char *s = r->cmdline;
	int rc = buf_adds(out, "\t\tlinux") < 0 ? err_nomem(e) : add_quoted(out, r->kernel, e);

	while (rc >= 0 && (rc = kernel_next_word(&s, &word, e)) > 0)
		rc = add_quoted(out, word.data, e);
	if (rc >= 0 && r->initrd)
		rc = buf_adds(out, "\n\t\tinitrd") < 0 ? err_nomem(e)
						       : add_quoted(out, r->initrd, e);
	if (rc >= 0 && buf_adds(out, "\n") < 0)
		rc = err_nomem(e);
	return rc;
}

int grub_config(const struct boot_report *r, const char *fs_uuid, struct buf *out, struct err *e)
{
	int rc;

	if (buf_adds(out, "set timeout=0\n"
			  "if serial --unit=0 --speed=115200; then\n"
			  "\tterminal_input console serial\n"
			  "\tterminal_output console serial\n"
			  "fi\n"
			  "menuentry Linux {\n") < 0 ||
	    buf_addf(out, "\tif search --no-floppy --fs-uuid --set=root %s; then\n", fs_uuid) < 0)
		return err_nomem(e);
	rc = add_kernel(r, out, e);
	if (rc < 0)
		return rc;
	if (buf_addf(out,
		     "\telse\n"
		     "\t\techo 'The root file system, UUID %s, is on none of the disks.'\n"
		     "\t\tsleep 10\n"
		     "\tfi\n"
		     "}\n",
		     fs_uuid) < 0)
		return err_nomem(e);
	return 0;
}

/* ---- the memory disk: a tar archive (POSIX.1-1988 ustar) of one file ------------------------- */

static int make_memdisk(const struct buf *config, struct buf *out, struct err *e)
{
	char header[TAR_BLOCK] = {0};
	unsigned sum = 0;
	size_t padded =
		round_up(config->len, TAR_BLOCK) + 2 * TAR_BLOCK; /* two empty blocks end it */
	size_t before;

	snprintf(header, 100, "boot/grub/grub.cfg");
	snprintf(header + 100, 8, "%07o", 0644u);
	snprintf(header + 108, 8, "%07o", 0u);
	snprintf(header + 116, 8, "%07o", 0u);
	snprintf(header + 124, 12, "%011zo", config->len);
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
	memcpy(out->data + before, config->data, config->len);
	out->len += padded;
	return 0;
}

/* ---- putting it together --------------------------------------------------------------------- */

static const char *grub_dir(void)
{
	const char *dir = getenv("ACCLIMATE_GRUB_DIR");

	return dir && *dir ? dir : GRUB_DIR;
}

/* A file of the platform that tells whether it is there, and for BIOS is needed itself. */
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

static int make_in(const struct platform *p, const char *temp, const struct boot_report *r,
		   const char *fs_uuid, struct buf *core, struct err *e)
{
	AUTO_FREE char *memdisk_path = path_join(temp, "memdisk.tar");
	AUTO_BUF config = BUF_INIT;
	AUTO_BUF memdisk = BUF_INIT;
	int rc;

	if (!memdisk_path)
		return err_nomem(e);
	rc = grub_config(r, fs_uuid, &config, e);
	if (rc >= 0)
		rc = make_memdisk(&config, &memdisk, e);
	if (rc >= 0)
		rc = fs_write_file(memdisk_path, memdisk.data, memdisk.len, 0600, e);
	return rc < 0 ? rc : run_mkimage(p, temp, core, e);
}

static int make_core(const struct platform *p, const struct boot_report *r, const char *fs_uuid,
		     struct buf *core, struct err *e)
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
	rc = make_in(p, temp, r, fs_uuid, core, e);
	fs_remove_tree(temp, NULL);
	return rc;
}

int grub_make_efi(enum grub_platform platform, const struct boot_report *r, const char *fs_uuid,
		  struct buf *out, struct err *e)
{
	AUTO_BUF list = BUF_INIT;
	int rc = read_grub_file(&platforms[platform], "moddep.lst", &list, e);

	if (rc >= 0)
		rc = make_core(&platforms[platform], r, fs_uuid, out, e);
	if (rc >= 0 && (out->len < SECTOR || memcmp(out->data, "MZ", 2) != 0))
		return err_set(e, EIO, "grub-mkimage made a program of an unknown kind");
	return rc;
}

/* What the head of this file says about the two images holds for the GRUB that is installed. */
static int check_images(const struct buf *boot, const struct buf *core, struct err *e)
{
	const char *b = boot->data, *c = core->data;

	if (boot->len != SECTOR || le16_get(b + BOOT_OFF_MAGIC) != 0xaa55 ||
	    le64_get(b + BOOT_OFF_KERNEL_SECTOR) != 1)
		return err_set(e, EIO, "boot.img is not one of GRUB 2's");
	if (core->len <= SECTOR || le64_get(c + DISKBOOT_OFF_BLOCKLIST) != 2 ||
	    (uint64_t)le16_get(c + DISKBOOT_OFF_BLOCKLIST + 8) * SECTOR < core->len - SECTOR)
		return err_set(e, EIO, "grub-mkimage made a core image of an unknown kind");
	return 0;
}

int grub_make_bios(const struct boot_report *r, const char *fs_uuid, uint64_t core_start,
		   size_t core_max, uint8_t sector[SECTOR], struct buf *core, struct err *e)
{
	const struct platform *p = &platforms[GRUB_BIOS];
	AUTO_BUF boot = BUF_INIT;
	int rc = read_grub_file(p, "boot.img", &boot, e);

	if (rc >= 0)
		rc = make_core(p, r, fs_uuid, core, e);
	if (rc >= 0)
		rc = check_images(&boot, core, e);
	if (rc < 0)
		return rc;
	if (core->len > core_max)
		return err_set(e, EFBIG, "the boot loader takes %zu bytes, %zu are there",
			       core->len, core_max);
	/*
	 * The jump is for floppies; on disks it must fall through. The bytes from the signature on
	 * are code for floppies too: left there, they would be read as partitions.
	 */
	memset(boot.data + BOOT_OFF_DRIVE_CHECK, 0x90, 2);
	memset(boot.data + BOOT_OFF_SIGNATURE, 0, BOOT_OFF_MAGIC - BOOT_OFF_SIGNATURE);
	le64_put(boot.data + BOOT_OFF_KERNEL_SECTOR, core_start / SECTOR);
	le64_put(core->data + DISKBOOT_OFF_BLOCKLIST, core_start / SECTOR + 1);
	memcpy(sector, boot.data, SECTOR);
	return 0;
}
