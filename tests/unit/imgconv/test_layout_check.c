/* SPDX-License-Identifier: Apache-2.0 */
/* What is told about partition tables that programs disagree about; and who boots from them. */
#include "helper.h"

#include "imgconv/disk/loader.h"

#define SIZE (16 * MIB)

static struct image_info info;

/* An empty disk, partitioned as the script says. */
static const char *make_disk(const char *script)
{
	const char *path = test_path("disk.raw");
	struct err e = {0};

	unlink(path);
	run_ok("truncate", "-s", "16M", path);
	if (*script &&
	    proc_run((const char *const[]){"sfdisk", "-q", "--no-tell-kernel", path, NULL}, script,
		     strlen(script), NULL, 0, PATIENCE_S, &e) < 0)
		fail_msg("%s", e.msg);
	return path;
}

static void poke(const char *path, const void *data, size_t len, uint64_t off)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(fs_pwrite(fd, data, len, off, e));
	close(fd);
}

static void poke8(const char *path, unsigned value, uint64_t off)
{
	poke(path, &(uint8_t){(uint8_t)value}, 1, off);
}

static void poke32(const char *path, uint32_t value, uint64_t off)
{
	uint8_t bytes[4];

	le32_put(bytes, value);
	poke(path, bytes, sizeof(bytes), off);
}

static void check(const char *path)
{
	struct image_open_opts o = {.format = "raw"};
	struct image *im = NULL;

	image_info_release(&info);
	assert_ok(image_open(path, &o, &im, e));
	assert_ok(image_layout_check(im, &info, e));
	image_close(im);
}

static void assert_warns(const char *path, const char *text)
{
	check(path);
	for (size_t i = 0; i < info.n_warnings; i++) {
		if (strstr(info.warnings[i], text))
			return;
	}
	fail_msg("no warning of %zu has '%s': %s", info.n_warnings, text,
		 info.n_warnings ? info.warnings[0] : "");
}

static void assert_sound(const char *path)
{
	check(path);
	if (info.n_warnings)
		fail_msg("%s", info.warnings[0]);
}

static const char two[] = "label: dos\nstart=2048, size=2048, type=83, bootable\n"
			  "start=4096, size=2048, type=82\n";
static const char gpt[] = "label: gpt\nlabel-id: 11111111-2222-4333-8444-555555555555\nstart=2048, "
			  "size=2048\nstart=4096, size=2048\n";

static void sound_tables_are_not_told(void **state)
{
	(void)state;
	assert_sound(make_disk(""));
	assert_sound(make_disk(two));
	assert_sound(make_disk(gpt));
	assert_sound(make_disk("label: dos\nstart=2048, size=2048\nstart=4096, size=8192, type=5\n"
			       "start=6144, size=1024\n"));
	for (unsigned bits = 12; bits <= 32; bits += bits == 12 ? 4 : 16) {
		const char *path = make_disk("");
		char text[4];

		snprintf(text, sizeof(text), "%u", bits);
		run_ok("truncate", "-s", "64M", path);
		run_ok("mkfs.vfat", "-F", text, path);
		assert_sound(path);
	}
}

static void an_mbr_that_makes_no_sense_is_told(void **state)
{
	const char *path = make_disk(two);

	(void)state;
	poke8(path, 0x81, 446);
	assert_warns(path, "partition 1 has the flag 0x81");
	poke8(path, 0x80, 446);
	poke8(path, 0x80, 446 + 16);
	assert_warns(path, "2 partitions are active");
	path = make_disk(two);
	poke8(path, 0x12, 446 + 32); /* of an entry that is not used */
	assert_warns(path, "partition 3 has the flag 0x12");
	path = make_disk(two);
	poke32(path, 3000, 446 + 16 + 8);
	assert_warns(path, "partitions 1 and 2 overlap");
	poke32(path, 1 << 30, 446 + 16 + 8);
	assert_warns(path, "partition 2 (2048 sectors from 1073741824) reaches past");
	poke32(path, 0, 446 + 16 + 8);
	assert_warns(path, "partition 2 has 2048 sectors from sector 0");
	path = make_disk(two);
	poke(path, (uint8_t[64]){0}, 64, 446);
	assert_warns(path, "no partition in the table");
}

static void a_protective_mbr_is_as_it_should_be(void **state)
{
	const char *path = make_disk(gpt);

	(void)state;
	poke8(path, 3, 446 + 2);
	assert_warns(path, "begins at the CHS address 00 03 00");
	path = make_disk(gpt);
	poke32(path, 2, 446 + 8);
	assert_warns(path, "begins in sector 2, not 1");
	path = make_disk(gpt);
	poke8(path, 0x83, 446 + 16 + 4);
	poke32(path, 2048, 446 + 16 + 8);
	poke32(path, 2048, 446 + 16 + 12);
	assert_warns(path, "programs disagree about where the partitions are");
	path = make_disk(gpt);
	poke8(path, 0x83, 446 + 4);
	assert_warns(path, "an MBR that does not protect it");
	/* A boot sector does not hide it. */
	path = make_disk(gpt);
	poke(path, "\xeb\x52\x90NTFS    ", 11, 0);
	poke32(path, 2, 446 + 8);
	assert_warns(path, "begins in sector 2, not 1");
}

static void both_copies_of_a_gpt_agree(void **state)
{
	const char *path = make_disk(gpt);

	(void)state;
	poke8(path, 0xff, 512 + 56);
	assert_warns(path, "GPT: the GPT header in sector 1 has a wrong checksum");
	path = make_disk(gpt);
	poke8(path, 0xff, SIZE - 512 + 56);
	assert_warns(path, "its copy is damaged or missing");
	path = make_disk(gpt);
	poke8(path, 0x55, 1024 + 40);
	assert_warns(path, "entries of the header in sector 1");
	path = make_disk(gpt);
	run_ok("truncate", "-s", "17M", path);
	assert_warns(path, "not at the disk's end: the disk was made larger");
	path = make_disk(gpt);
	run_ok("truncate", "-s", "15M", path);
	assert_warns(path, "does not fit the disk");
	/* The copy of another disk of the same size. */
	path = make_disk(gpt);
	run_ok("cp", path, test_path("other"));
	path = make_disk("label: gpt\nstart=8192, size=2048\n");
	{
		AUTO_BUF tail = BUF_INIT;
		int fd = open(test_path("other"), O_RDONLY | O_CLOEXEC);

		assert_int_equal(buf_reserve(&tail, 33 * 512), 0);
		assert_ok(fs_pread(fd, tail.data, 33 * 512, SIZE - 33 * 512, e));
		close(fd);
		poke(path, tail.data, 33 * 512, SIZE - 33 * 512);
	}
	assert_warns(path, "its copy says something else");
}

/*
 * What OpenStack's inspector (oslo.utils 10, imageutils.format_inspector.GPTInspector) does, rule by
 * rule: true if it looks at the sector and calls it unsafe.
 */
static bool oslo_says_unsafe(const uint8_t *sector)
{
	unsigned valid = 0;
	bool found_gpt = false, unsafe = false;

	if (le16_get(sector + 510) != 0xaa55 || (sector[0x10] == 2 && sector[0x15] == 0xf8))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *p = sector + 446 + (size_t)16 * i;

		unsafe |= p[0] != 0 && p[0] != 0x80;
		valid |= (p[4] != 0) << i;
		if (p[4] == 0xee) {
			found_gpt = true;
			unsafe |= p[1] != 0 || p[2] != 2 || p[3] != 0 || le32_get(p + 8) != 1;
		}
	}
	return unsafe || (found_gpt && valid != 1) || !valid;
}

static void we_warn_wherever_openstack_refuses(void **state)
{
	static const uint8_t values[] = {0, 1, 2, 0x80, 0x81, 0xee, 0x83, 0xf8, 0x55, 0xff};
	unsigned refused = 0;

	(void)state;
	rng_state = 99;
	for (unsigned round = 0; round < 3000; round++) {
		const char *path = test_path("disk.raw");
		uint8_t sector[512];
		int fd;

		if (round == 0 || round == 1500) {
			make_disk(round ? gpt : two);
			run_ok("cp", path, test_path("good"));
		}
		fd = open(test_path("good"), O_RDONLY | O_CLOEXEC);
		assert_ok(fs_pread(fd, sector, sizeof(sector), 0, e));
		close(fd);
		for (uint64_t n = rng(4); n; n--) {
			size_t at = rng(10)  ? 446 + 16 * rng(4) + (rng(2) ? 0 : rng(16))
				    : rng(2) ? 0x10
					     : 0x15;

			sector[at] = rng(3) ? values[rng(sizeof(values))] : (uint8_t)rng(256);
		}
		poke(path, sector, sizeof(sector), 0);
		check(path);
		refused += oslo_says_unsafe(sector);
		if (oslo_says_unsafe(sector) && !info.n_warnings)
			fail_msg("round %u", round);
	}
	if (refused < 1000 || refused > 2500)
		fail_msg("%u of 3000 were refused", refused);
}

/* ---- boot loaders ---------------------------------------------------------------------------- */

static struct loader identify(const char *begin, size_t len, const char *message)
{
	uint8_t sector[512] = {0};

	memcpy(sector, begin, len);
	memcpy(sector + 300, message, strlen(message));
	sector[510] = 0x55;
	sector[511] = 0xaa;
	return loader_identify(sector);
}

static void boot_loaders_are_known_by_their_code(void **state)
{
	static const struct {
		const char *begin;
		size_t len;
		const char *message, *name;
		enum loader_kind kind;
	} cases[] = {
		{"", 0, "", NULL, LOADER_NONE},
		{"\xeb\x48\x90", 3, "GRUB Geom", "GRUB legacy", LOADER_WHOLE},
		{"\xeb\x58\x90SYSLINUX", 11, "", "SYSLINUX", LOADER_WHOLE},
		{"\xeb\x58\x90"
		 "EXTLINUX",
		 11, "", "EXTLINUX", LOADER_WHOLE},
		{"\xfa\xeb\x7cllllLILO", 10, "", "an unknown boot loader", LOADER_UNKNOWN},
		{"\xfa\xeb\x21\1\xb4\1LILO", 10, "", "LILO", LOADER_WHOLE},
		{"\x33\xc0\x8e", 3, "Invalid partition table\0Error loading operating system",
		 "an unknown boot loader", LOADER_UNKNOWN},
		{"\xeb\x52\x90NTFS    ", 11, "BOOTMGR is missing", "Windows (BOOTMGR)",
		 LOADER_WHOLE},
		{"\xeb\x3c\x90mkfs.fat", 11, "This is not a bootable disk.  Please", NULL,
		 LOADER_NONE},
		{"\x33\xc0", 2, "hello", "an unknown boot loader", LOADER_UNKNOWN},
	};
	AUTO_BUF boot = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct loader l = identify(cases[i].begin, cases[i].len, cases[i].message);

		assert_int_equal(l.kind, cases[i].kind);
		if (cases[i].name)
			assert_string_equal(l.name, cases[i].name);
		else
			assert_null(l.name);
	}
	assert_int_equal(
		identify("\x33\xc0", 2, "Invalid partition table Error loading operating system")
			.kind,
		LOADER_CHAIN);
	assert_ok(fs_read_file("/usr/lib/grub/i386-pc/boot.img", MIB, &boot, e));
	assert_string_equal(loader_identify((const uint8_t *)boot.data).name, "GRUB 2");
	assert_int_equal(loader_identify((const uint8_t *)boot.data).next, 1);
}

static void find(const char *path, const char *expected)
{
	AUTO(image_layout_release) struct image_layout l = {0};
	struct image_open_opts o = {.format = "raw"};
	AUTO_FREE char *found = NULL;
	struct image *im = NULL;

	assert_ok(image_open(path, &o, &im, e));
	assert_ok(image_layout_read(im, &l, e));
	assert_ok(loader_find(im, &l, &found, e));
	image_close(im);
	if (expected)
		assert_string_equal(found, expected);
	else
		assert_null(found);
}

static void an_mbr_that_starts_the_active_partition_needs_one(void **state)
{
	static const char chain[] = "Missing operating system.\r\nOperating system load error.";
	const char *path = make_disk(two);
	AUTO_BUF boot = BUF_INIT;

	(void)state;
	find(path, NULL);
	poke(path, chain, sizeof(chain), 100);
	find(path, NULL);
	poke(path,
	     "\xeb\x58\x90"
	     "EXTLINUX",
	     11, MIB);
	poke(path, "\x55\xaa", 2, MIB + 510);
	find(path, "SYSLINUX's MBR, EXTLINUX in partition 1");
	/* GRUB 2 without what its boot sector loads. */
	path = make_disk(two);
	assert_ok(fs_read_file("/usr/lib/grub/i386-pc/boot.img", MIB, &boot, e));
	poke(path, boot.data, 440, 0);
	find(path, NULL);
	poke(path, "x", 1, 512);
	find(path, "GRUB 2 in the MBR");
	poke32(path, UINT32_MAX, 0x5c);
	find(path, NULL);
}

static int end(void **state)
{
	image_info_release(&info);
	return remove_test_dir(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_tables_are_not_told),
		cmocka_unit_test(an_mbr_that_makes_no_sense_is_told),
		cmocka_unit_test(a_protective_mbr_is_as_it_should_be),
		cmocka_unit_test(both_copies_of_a_gpt_agree),
		cmocka_unit_test(we_warn_wherever_openstack_refuses),
		cmocka_unit_test(boot_loaders_are_known_by_their_code),
		cmocka_unit_test(an_mbr_that_starts_the_active_partition_needs_one),
	};

	return cmocka_run_group_tests(tests, make_test_dir, end);
}
