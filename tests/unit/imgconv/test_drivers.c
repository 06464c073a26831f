/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bus a guest finds its disk on, by configuration, modules.builtin and initrd; and what kernels
 * say of themselves. The file systems are made by mke2fs.
 */
#include "cpio.h"

#include "imgconv/disk/drivers.h"

static char *work;

static void shell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void shell(const char *fmt, ...)
{
	char cmd[8192];
	const char *argv[] = {"sh", "-ec", cmd, NULL};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	assert_ok(proc_run(argv, NULL, 0, NULL, 0, PATIENCE_S, e));
}

/* A guest with kernel 9.9, and what the script adds; `initrd NAME...` is what makes one. */
struct guest {
	const char *script;
	const char *const *initrd; /* names in it; NULL: there is none */
	bool compressed;
	size_t initrd_file; /* bytes of each file in it */
};

static struct guest_fs *make_guest(const struct guest *g, struct image **im)
{
	AUTO_FREE char *path = path_join(work, "fs");
	AUTO_FREE char *initrd = path_join(work, "initrd");
	struct guest_fs *fs = NULL;
	AUTO_BUF archive = BUF_INIT;

	if (g->initrd) {
		AUTO_BUF packed = BUF_INIT;

		cpio_make(&archive, g->initrd, g->initrd_file ? g->initrd_file : 10);
		if (g->compressed)
			compress_with((const char *const[]){"gzip", "-n1", NULL}, &archive,
				      &packed);
		else
			assert_int_equal(buf_add(&packed, archive.data, archive.len), 0);
		write_file(initrd, packed.data, packed.len);
	}
	shell("cd '%s'; rm -rf tree fs; mkdir -p tree/boot tree/lib/modules/9.9; cd tree; "
	      "head -c 510 /dev/zero >boot/vmlinuz-9.9; "
	      "printf '\\125\\252\\353\\152HdrS\\14\\2' >>boot/vmlinuz-9.9; "
	      "head -c 1000 /dev/zero >>boot/vmlinuz-9.9; "
	      "%s; %s; cd ..; truncate -s 24M fs; mke2fs -q -F -t ext4 -O ^has_journal -d tree fs",
	      work, g->initrd ? "cp ../initrd boot/initrd" : ":", g->script);
	assert_ok(image_open(path, &(struct image_open_opts){.format = "raw"}, im, e));
	assert_ok(guest_fs_open(*im, 0, image_size(*im), 0, &fs, e));
	return fs;
}

static void judge(const struct guest *g, unsigned flags, struct drivers_found *ret)
{
	AUTO(image_close) struct image *im = NULL;
	AUTO(guest_fs_close) struct guest_fs *fs = make_guest(g, &im);
	struct kernel_place place = {.fs = fs,
				     .boot = "/boot",
				     .root = fs,
				     .kernel = "/boot/vmlinuz-9.9",
				     .initrd = g->initrd ? "/boot/initrd" : NULL};

	assert_ok(drivers_judge(&place, flags, ret, e));
	guest_fs_close(fs);
	fs = NULL;
}

/* The verdict of both kinds of looking. */
static void expect(const struct guest *g, enum boot_bus bus, const char *why)
{
	for (unsigned flags = 0; flags <= BOOT_DEEP; flags += BOOT_DEEP) {
		AUTO(drivers_found_release) struct drivers_found f = {0};

		judge(g, flags, &f);
		assert_string_equal(boot_bus_name(f.verdict.bus), boot_bus_name(bus));
		if (!strstr(f.verdict.why, why))
			fail_msg("'%s' is not in '%s'", why, f.verdict.why);
		assert_string_equal(f.verdict.version, "9.9");
	}
}

#define CONFIG(text) "printf '" text "' >boot/config-9.9"
#define BUILTIN(text) "printf '" text "' >lib/modules/9.9/modules.builtin"
#define DEP(text) "printf '" text "' >lib/modules/9.9/modules.dep"

static const char *const virtio[] = {"usr/lib/modules/9.9/kernel/drivers/block/virtio_blk.ko.xz",
				     "lib/modules/9.9/kernel/drivers/virtio/virtio_pci.ko", NULL};
static const char *const virtio_scsi[] = {"m/virtio-scsi.ko.zst", "m/virtio-pci.ko.gz",
					  "m/sd_mod.ko", NULL};
static const char *const sata[] = {"m/ahci.ko", "m/sd_mod.ko", NULL};
static const char *const ide[] = {"m/piix.ko", "m/ide-gd_mod.ko", NULL};
static const char *const xen[] = {"m/xen-blkfront.ko", "virtio_blk.koala", "virtio_pci", NULL};

static void the_kernel_may_have_it(void **state)
{
	(void)state;
	expect(&(struct guest){.script = CONFIG("CONFIG_VIRTIO_PCI=y\\nCONFIG_VIRTIO_BLK=y\\n")},
	       BOOT_BUS_VIRTIO, "virtio_pci in the kernel, virtio_blk in the kernel");
	expect(&(struct guest){.script = BUILTIN("kernel/drivers/virtio/virtio_pci.ko\\n"
						 "kernel/drivers/block/virtio_blk.ko\\n")},
	       BOOT_BUS_VIRTIO, "in the kernel");
	expect(&(struct guest){.script = CONFIG("CONFIG_SATA_AHCI=y\\nCONFIG_BLK_DEV_SD=y\\n")},
	       BOOT_BUS_SATA, "ahci in the kernel");
	expect(&(struct guest){.script = CONFIG(
				       "CONFIG_BLK_DEV_PIIX=y\\nCONFIG_BLK_DEV_IDEDISK=y\\n")},
	       BOOT_BUS_IDE, "ide_disk in the kernel");
	expect(&(struct guest){.script = CONFIG("CONFIG_BLK_DEV_NVME=y\\n")}, BOOT_BUS_NVME,
	       "nvme in the kernel");
}

static void the_initrd_may_have_it(void **state)
{
	(void)state;
	for (unsigned compressed = 0; compressed < 2; compressed++) {
		expect(&(struct guest){":", virtio, compressed, 0}, BOOT_BUS_VIRTIO,
		       "virtio_blk in the initrd");
		expect(&(struct guest){":", virtio_scsi, compressed, 0}, BOOT_BUS_VIRTIO_SCSI,
		       "sd_mod in the initrd");
	}
	expect(&(struct guest){":", sata, true, 0}, BOOT_BUS_SATA, "ahci in the initrd");
	expect(&(struct guest){":", ide, true, 0}, BOOT_BUS_IDE, "piix in the initrd");
	expect(&(struct guest){CONFIG("CONFIG_VIRTIO_PCI=y\\nCONFIG_VIRTIO_BLK=m\\n"), virtio, true,
			       0},
	       BOOT_BUS_VIRTIO, "virtio_pci in the kernel, virtio_blk in the initrd");
}

static void a_module_on_the_disk_itself_is_of_no_use(void **state)
{
	(void)state;
	expect(&(struct guest){.script = CONFIG("CONFIG_VIRTIO_PCI=m\\nCONFIG_VIRTIO_BLK=m\\n")},
	       BOOT_BUS_NONE, "(modules on the disk itself: virtio_pci, virtio_blk)");
	expect(&(struct guest){CONFIG("CONFIG_VIRTIO_PCI=y\\nCONFIG_VIRTIO_BLK=m\\n"), xen, true,
			       0},
	       BOOT_BUS_NONE,
	       "in the kernel or the initrd (modules on the disk itself: virtio_blk");
	expect(&(struct guest){BUILTIN("kernel/a.ko\\n") "; " DEP("kernel/virtio_blk.ko: a\\n"),
			       xen, true, 0},
	       BOOT_BUS_NONE, "modules on the disk itself: virtio_blk");
	expect(&(struct guest){.script =
				       CONFIG("# CONFIG_VIRTIO_BLK is not set\\nCONFIG_XEN=y\\n")},
	       BOOT_BUS_NONE, "no driver for a disk of KVM in the kernel");
}

static void what_is_not_known_is_not_guessed(void **state)
{
	(void)state;
	expect(&(struct guest){.script = ":"}, BOOT_BUS_UNKNOWN, "neither /boot/config-*");
	expect(&(struct guest){":", xen, true, 0}, BOOT_BUS_UNKNOWN, "neither /boot/config-*");
	expect(&(struct guest){BUILTIN("kernel/a.ko\\n"), xen, true, 0}, BOOT_BUS_UNKNOWN,
	       "neither /boot/config-*");
	expect(
		&(struct guest){
			CONFIG("CONFIG_VIRTIO_PCI=m\\nCONFIG_VIRTIO_BLK=m\\n") "; echo text "
									       ">boot/initrd; "
									       "mkdir -p y",
			xen, true, 0},
		BOOT_BUS_UNKNOWN, "neither a cpio archive");
}

static void a_large_initrd_is_read_to_its_end_only_when_asked(void **state)
{
	const char *names[8] = {"a", "b", "c", "d", "m/virtio_blk.ko", "m/virtio_pci.ko", NULL};
	const struct guest g = {CONFIG("CONFIG_VIRTIO_PCI=m\\nCONFIG_VIRTIO_BLK=m\\n"), names, true,
				4000000};
	AUTO(drivers_found_release) struct drivers_found quick = {0};
	AUTO(drivers_found_release) struct drivers_found deep = {0};

	(void)state;
	judge(&g, 0, &quick);
	assert_int_equal(quick.verdict.bus, BOOT_BUS_UNKNOWN);
	assert_non_null(strstr(quick.why, "only the first"));
	assert_string_equal(quick.verdict.compression, "gzip");
	judge(&g, BOOT_DEEP, &deep);
	assert_int_equal(deep.verdict.bus, BOOT_BUS_VIRTIO);
}

/* ---- kernels --------------------------------------------------------------------------------- */

static void kernels_say_what_they_are(void **state)
{
	static uint8_t head[KERNEL_HEAD];
	struct kernel_image k;

	(void)state;
	kernel_image_parse(head, 0, &k);
	assert_int_equal(k.kind, BOOT_KERNEL_UNKNOWN);
	le16_put(head + 0x1fe, 0xaa55);
	memcpy(head + 0x202, "HdrS", 4);
	le16_put(head + 0x206, 0x020f);
	le16_put(head + 0x20e, 0x3000);
	head[0x211] = 1;
	head[0x236] = 1;
	snprintf((char *)head + 0x3200, 60, "6.1.0-56-cloud-amd64 (a@b) #1 SMP");
	kernel_image_parse(head, sizeof(head), &k);
	assert_int_equal(k.kind, BOOT_KERNEL_BZIMAGE);
	assert_int_equal(k.protocol, 0x020f);
	assert_true(k.loaded_high && k.is_64bit && !k.efi_stub);
	assert_string_equal(k.version, "6.1.0-56-cloud-amd64");
	memcpy(head, "MZ", 2);
	le32_put(head + 0x3c, 0x80);
	memcpy(head + 0x80, "PE\0\0", 4);
	/* A version that would lead somewhere else is none. */
	snprintf((char *)head + 0x3200, 60, "../../etc (a@b)");
	kernel_image_parse(head, sizeof(head), &k);
	assert_true(k.efi_stub);
	assert_string_equal(k.version, "");
	le16_put(head + 0x20e, 0xffff);
	le32_put(head + 0x3c, 0xffffffff);
	kernel_image_parse(head, sizeof(head), &k);
	assert_false(k.efi_stub);
	assert_string_equal(k.version, "");
	kernel_image_parse(head, 0x237, &k);
	assert_int_equal(k.kind, BOOT_KERNEL_UNKNOWN);
}

static void other_machines_kernels_are_known(void **state)
{
	uint8_t arm[256] = {'M', 'Z'};
	AUTO_BUF plain = BUF_INIT;
	AUTO_BUF packed = BUF_INIT;
	struct kernel_image k;

	(void)state;
	memcpy(arm + 0x38, "ARM\x64", 4);
	le32_put(arm + 0x3c, 0x40);
	memcpy(arm + 0x40, "PE\0\0", 4);
	kernel_image_parse(arm, sizeof(arm), &k);
	assert_int_equal(k.kind, BOOT_KERNEL_ARM64);
	assert_true(k.efi_stub);
	assert_int_equal(buf_add(&plain, arm, sizeof(arm)), 0);
	compress_with((const char *const[]){"gzip", NULL}, &plain, &packed);
	kernel_image_parse(packed.data, packed.len, &k);
	assert_int_equal(k.kind, BOOT_KERNEL_ARM64);
	memcpy(plain.data, "\177ELF", 4);
	memset(plain.data + 0x38, 0, 4);
	kernel_image_parse(plain.data, plain.len, &k);
	assert_int_equal(k.kind, BOOT_KERNEL_PV);
	buf_clear(&packed);
	compress_with((const char *const[]){"gzip", NULL}, &plain, &packed);
	kernel_image_parse(packed.data, packed.len, &k);
	assert_int_equal(k.kind, BOOT_KERNEL_PV);
	packed.len = 20;
	kernel_image_parse(packed.data, packed.len, &k);
	assert_true(k.kind == BOOT_KERNEL_PV || k.kind == BOOT_KERNEL_UNKNOWN);
	memcpy(arm + 4, "zimg", 4);
	memset(arm + 0x38, 0, 4);
	kernel_image_parse(arm, sizeof(arm), &k);
	assert_int_equal(k.kind, BOOT_KERNEL_ZBOOT);
}

static int setup(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/acclimate-drivers", &work, NULL);
}

static int teardown(void **state)
{
	(void)state;
	fs_remove_tree(work, NULL);
	free(work);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_may_have_it),
		cmocka_unit_test(the_initrd_may_have_it),
		cmocka_unit_test(a_module_on_the_disk_itself_is_of_no_use),
		cmocka_unit_test(what_is_not_known_is_not_guessed),
		cmocka_unit_test(a_large_initrd_is_read_to_its_end_only_when_asked),
		cmocka_unit_test(kernels_say_what_they_are),
		cmocka_unit_test(other_machines_kernels_are_known),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
