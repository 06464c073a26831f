/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB 2 (2.06). For BIOS: boot.img is a boot sector, which loads the first sector of the core image
 * from the sector that it names (64 bits at 0x5c); that one, diskboot.img, loads the rest by a list
 * of blocks at its end. As shipped they say 1 and 2, so that the two laid one behind the other are a
 * boot loader. For UEFI the core image is a program. It carries its menu in a memory disk, so that
 * nothing is read from the guest but kernel and initrd, and no command of its own is run.
 */
#include "imgconv/disk/grub.h"

#include "imgconv/disk/cmdline.h"
#include "imgconv/disk/grub_host.h"

#define SECTOR 512
#define BOOT_OFF_KERNEL_SECTOR 0x5c
#define BOOT_OFF_DRIVE_CHECK 0x66 /* a jump that only floppies need */
#define BOOT_OFF_SIGNATURE 440    /* from here on: disk signature and partition table */
#define BOOT_OFF_MAGIC 510
#define DISKBOOT_OFF_BLOCKLIST 0x1f4 /* first sector (8), count (2), segment (2) */

static const char *const platforms[] = {
	[GRUB_BIOS] = "i386-pc",
	[GRUB_EFI_X64] = "x86_64-efi",
	[GRUB_EFI_ARM64] = "arm64-efi",
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

/* ---- putting it together --------------------------------------------------------------------- */

static int make(enum grub_platform platform, const struct boot_report *r, const char *fs_uuid,
		struct buf *out, struct err *e)
{
	AUTO_BUF menu = BUF_INIT;
	int rc = grub_config(r, fs_uuid, &menu, e);

	return rc < 0 ? rc : grub_host->make(platforms[platform], buf_str(&menu), menu.len, out, e);
}

int grub_make_efi(enum grub_platform platform, const struct boot_report *r, const char *fs_uuid,
		  struct buf *out, struct err *e)
{
	int rc = make(platform, r, fs_uuid, out, e);

	if (rc >= 0 && (out->len < SECTOR || memcmp(out->data, "MZ", 2) != 0))
		return err_set(e, EIO, "grub-mkimage made a program of an unknown kind");
	return rc;
}

/* What the head of this file says about the two images holds for the GRUB that is installed. */
static int check_images(const struct buf *both, struct err *e)
{
	const char *b = both->data, *c = b + SECTOR;

	if (both->len < SECTOR || le16_get(b + BOOT_OFF_MAGIC) != 0xaa55 ||
	    le64_get(b + BOOT_OFF_KERNEL_SECTOR) != 1)
		return err_set(e, EIO, "boot.img is not one of GRUB 2's");
	if (both->len <= (size_t)2 * SECTOR || le64_get(c + DISKBOOT_OFF_BLOCKLIST) != 2 ||
	    (uint64_t)le16_get(c + DISKBOOT_OFF_BLOCKLIST + 8) * SECTOR <
		    both->len - (size_t)2 * SECTOR)
		return err_set(e, EIO, "grub-mkimage made a core image of an unknown kind");
	return 0;
}

int grub_make_bios(const struct boot_report *r, const char *fs_uuid, uint64_t core_start,
		   size_t core_max, uint8_t sector[SECTOR], struct buf *core, struct err *e)
{
	AUTO_BUF both = BUF_INIT;
	int rc = make(GRUB_BIOS, r, fs_uuid, &both, e);

	if (rc >= 0)
		rc = check_images(&both, e);
	if (rc < 0)
		return rc;
	if (both.len - SECTOR > core_max)
		return err_set(e, EFBIG, "the boot loader takes %zu bytes, %zu are there",
			       both.len - SECTOR, core_max);
	memcpy(sector, both.data, SECTOR);
	/*
	 * The jump is for floppies; on disks it must fall through. The bytes from the signature on
	 * are code for floppies too: left there, they would be read as partitions.
	 */
	memset(sector + BOOT_OFF_DRIVE_CHECK, 0x90, 2);
	memset(sector + BOOT_OFF_SIGNATURE, 0, BOOT_OFF_MAGIC - BOOT_OFF_SIGNATURE);
	le64_put(sector + BOOT_OFF_KERNEL_SECTOR, core_start / SECTOR);
	le64_put(both.data + SECTOR + DISKBOOT_OFF_BLOCKLIST, core_start / SECTOR + 1);
	return buf_add(core, both.data + SECTOR, both.len - SECTOR) < 0 ? err_nomem(e) : 0;
}
