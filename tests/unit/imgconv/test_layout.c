/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables and superblocks, made by sfdisk and the mkfs programs. */
#include "tests/unit/imgconv/helper.h"

static struct image_layout layout;

/* What is read from a raw image. */
static int read_layout(const char *path, struct err *e)
{
	struct image_open_opts o = {.format = "raw"};
	struct image *im = NULL;
	int rc = image_open(path, &o, &im, e);

	image_layout_release(&layout);
	if (rc < 0)
		return rc;
	rc = image_layout_read(im, &layout, e);
	image_close(im);
	return rc;
}

/* An empty disk, partitioned as the script says. */
static const char *make_disk(const char *script, const char *size)
{
	const char *path = test_path("disk.raw");
	struct err e = {0};

	unlink(path);
	run_ok("truncate", "-s", size, path);
	if (proc_run((const char *const[]){"sfdisk", "-q", "--no-tell-kernel", path, NULL}, script,
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

static void assert_partition(size_t i, unsigned number, uint64_t start, uint64_t length,
			     const char *type)
{
	assert_true(i < layout.n_partitions);
	assert_int_equal(layout.partitions[i].number, number);
	assert_int_equal(layout.partitions[i].start, start);
	assert_int_equal(layout.partitions[i].length, length);
	assert_string_equal(layout.partitions[i].type, type);
}

static void reads_mbr_with_logical_partitions(void **state)
{
	const char *path = make_disk("label: dos\n"
				     "label-id: 0xac11a7e0\n"
				     "start=2048, size=2048, type=83, bootable\n"
				     "start=4096, size=2048, type=82\n"
				     "start=6144, size=20480, type=5\n"
				     "start=8192, size=2048, type=83\n"
				     "start=12288, size=4096, type=8e\n",
				     "16M");

	(void)state;
	assert_ok(read_layout(path, e));
	assert_string_equal(layout.table, "mbr");
	assert_int_equal(layout.n_partitions, 5);
	assert_partition(0, 1, MIB, MIB, "83");
	assert_true(layout.partitions[0].bootable);
	assert_partition(1, 2, 2 * MIB, MIB, "82");
	assert_partition(2, 3, 3 * MIB, 10 * MIB, "5");
	assert_partition(3, 5, 4 * MIB, MIB, "83");
	assert_partition(4, 6, 6 * MIB, 2 * MIB, "8e");
	assert_false(layout.partitions[4].bootable);
	/* As blkid has it. */
	assert_string_equal(layout.partitions[4].uuid, "ac11a7e0-06");
}

static void reads_gpt_and_its_copy_when_it_is_damaged(void **state)
{
	const char *path =
		make_disk("label: gpt\n"
			  "start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\n"
			  "start=4096, size=8192, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, "
			  "attrs=\"LegacyBIOSBootable\", name=\"my root\", "
			  "uuid=AC11A7E0-0B00-4A7E-8000-000000000002\n",
			  "16M");

	(void)state;
	for (int damaged = 0; damaged < 2; damaged++) {
		assert_ok(read_layout(path, e));
		assert_string_equal(layout.table, "gpt");
		assert_int_equal(layout.n_partitions, 2);
		assert_partition(0, 1, MIB, MIB, "21686148-6449-6e6f-744e-656564454649");
		assert_partition(1, 2, 2 * MIB, 4 * MIB, "0fc63daf-8483-4772-8e79-3d69d8477de4");
		assert_false(layout.partitions[0].bootable);
		assert_true(layout.partitions[1].bootable);
		assert_string_equal(layout.partitions[0].name, "");
		assert_string_equal(layout.partitions[1].name, "my root");
		assert_string_equal(layout.partitions[1].uuid,
				    "ac11a7e0-0b00-4a7e-8000-000000000002");
		poke(path, "\xff", 1, 512 + 72);
	}
	poke(path, "\xff", 1, 16 * MIB - 512 + 72);
	assert_fails(read_layout(path, e), EBADMSG, "wrong checksum");
}

static void refuses_partitions_past_the_end(void **state)
{
	const char *path = make_disk("label: dos\nstart=2048, size=20480, type=83\n", "16M");

	(void)state;
	run_ok("truncate", "-s", "8M", path);
	assert_fails(read_layout(path, e), EBADMSG, "reaches past the disk's end");
}

static void refuses_a_chain_of_extended_partitions_that_turns_back(void **state)
{
	const char *path = make_disk("label: dos\n"
				     "start=2048, size=20480, type=5\n"
				     "start=4096, size=2048, type=83\n"
				     "start=8192, size=2048, type=83\n",
				     "16M");
	uint8_t start[4] = {0};

	(void)state;
	/* The second table leads back to the first one. */
	assert_ok(read_layout(path, e));
	assert_int_equal(layout.n_partitions, 3);
	poke(path, start, 4, MIB + 446 + 16 + 8);
	assert_fails(read_layout(path, e), EBADMSG, "does not ascend");
}

static void finds_file_systems_with_label_and_uuid(void **state)
{
	static const struct {
		const char *argv[12];
		const char *type, *label, *uuid;
	} cases[] = {
		{{"mke2fs", "-q", "-t", "ext4", "-L", "root", "-U",
		  "01234567-89ab-cdef-0123-456789abcdef"},
		 "ext4",
		 "root",
		 "01234567-89ab-cdef-0123-456789abcdef"},
		{{"mke2fs", "-q", "-t", "ext3", "-L", "sixteen-letters!"},
		 "ext3",
		 "sixteen-letters!",
		 NULL},
		{{"mke2fs", "-q", "-t", "ext2", "-L", ""}, "ext2", "", NULL},
		{{"mkswap", "-q", "-L", "swp", "-U", "01234567-89ab-cdef-0123-456789abcdef"},
		 "swap",
		 "swp",
		 "01234567-89ab-cdef-0123-456789abcdef"},
	};
	const char *path = test_path("fs.raw");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *argv[14] = {0};
		size_t n = 0;

		for (; cases[i].argv[n]; n++)
			argv[n] = cases[i].argv[n];
		argv[n] = path;
		unlink(path);
		run_ok("truncate", "-s", "8M", path);
		run_argv(argv);
		assert_ok(read_layout(path, e));
		assert_string_equal(layout.table, "none");
		assert_int_equal(layout.n_partitions, 1);
		assert_partition(0, 0, 0, 8 * MIB, "");
		assert_string_equal(layout.partitions[0].fs_type, cases[i].type);
		assert_string_equal(layout.partitions[0].fs_label, cases[i].label);
		if (cases[i].uuid)
			assert_string_equal(layout.partitions[0].fs_uuid, cases[i].uuid);
	}
}

/* The programs for these are not everywhere: the superblocks by hand. */
static void finds_file_systems_by_their_superblocks(void **state)
{
	const char *path = test_path("sb.raw");
	const uint8_t uuid[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
				  0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
	const char *text = "01234567-89ab-cdef-0123-456789abcdef";

	(void)state;
	for (int i = 0; i < 4; i++) {
		static const char *const types[] = {"xfs", "btrfs", "vfat", "LVM2_member"};
		const char *wanted = i == 2   ? "89AB-CDEF"
				     : i == 3 ? "abcdef-0123-4567-89AB-CDEF-ghij-klmnop"
					      : text;

		unlink(path);
		run_ok("truncate", "-s", "1M", path);
		if (i == 0) {
			poke(path, "XFSB", 4, 0);
			poke(path, uuid, 16, 32);
			poke(path, "data", 4, 108);
		} else if (i == 1) {
			poke(path, "_BHRfS_M", 8, 65536 + 64);
			poke(path, uuid, 16, 65536 + 32);
			poke(path, "data", 4, 65536 + 299);
		} else if (i == 2) {
			poke(path, "\0\2\4\1\0\2\0\2\0\0\xf8\x20\0", 13, 11);
			poke(path,
			     "\xef\xcd\xab\x89"
			     "data       FAT16   ",
			     23, 39);
			poke(path, "\x55\xaa", 2, 510);
		} else {
			poke(path, "LABELONE\1\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001", 32, 512);
			poke(path, "abcdef0123456789ABCDEFghijklmnop", 32, 512 + 32);
		}
		assert_ok(read_layout(path, e));
		assert_int_equal(layout.n_partitions, 1);
		assert_string_equal(layout.partitions[0].fs_type, types[i]);
		assert_string_equal(layout.partitions[0].fs_label, i == 3 ? "" : "data");
		assert_string_equal(layout.partitions[0].fs_uuid, wanted);
	}
}

/* What blkid, whose table is another one, says of the same file. */
static void finds_what_blkid_finds(void **state)
{
	static const char *const makers[][6] = {
		{"mkfs.vfat", "-n", "LABEL"},
		{"mkfs.xfs", "-q", "-L", "label"},
		{"mke2fs", "-q", "-text4", "-Llabel"},
		{"mkswap", "-q", "-L", "label"},
	};
	const char *path = test_path("made.raw");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		const char *argv[8] = {0};
		AUTO_BUF out = BUF_INIT;
		AUTO_BUF expected = BUF_INIT;
		const struct image_partition *p;
		size_t n = 0;

		for (; makers[i][n]; n++)
			argv[n] = makers[i][n];
		argv[n] = path;
		unlink(path);
		run_ok("truncate", "-s", "320M", path);
		run_argv(argv);
		assert_ok(read_layout(path, e));
		p = &layout.partitions[0];
		for (n = 0; n < 3; n++) {
			static const char *const keys[] = {"TYPE", "LABEL", "UUID"};
			const char *const values[] = {p->fs_type, p->fs_label, p->fs_uuid};

			buf_clear(&out);
			buf_clear(&expected);
			assert_int_equal(buf_addf(&expected, "%s\n", values[n]), 0);
			assert_ok(proc_run((const char *const[]){"blkid", "-p", "-o", "value", "-s",
								 keys[n], path, NULL},
					   NULL, 0, &out, MIB, PATIENCE_S, e));
			assert_string_equal(buf_str(&out), buf_str(&expected));
		}
	}
	unlink(path);
}

static void finds_what_has_a_few_bytes_of_its_own(void **state)
{
	static const struct {
		const char *type;
		const char *magic;
		size_t len;
		uint64_t at;
	} cases[] = {
		{"exfat", "EXFAT   ", 8, 3},
		{"ntfs", "NTFS    ", 8, 3},
		{"BitLocker", "-FVE-FS-", 8, 3},
		{"squashfs", "hsqs", 4, 0},
		{"apfs", "NXSB", 4, 32},
		{"f2fs", "\x10\x20\xf5\xf2", 4, 1024},
		{"erofs", "\xe2\xe1\xf5\xe0", 4, 1024},
		{"linux_raid_member", "\xfc\x4e\x2b\xa9\1", 5, 0},
		{"linux_raid_member", "\xfc\x4e\x2b\xa9\1", 5, 4096},
		{"linux_raid_member", "\xfc\x4e\x2b\xa9\1", 5, 2 * MIB - 8192},
		{"linux_raid_member", "\xfc\x4e\x2b\xa9\0", 5, 2 * MIB - 65536},
		{"zfs_member", "\x0c\xb1\xba\0\0\0\0", 8, 131072 + 7 * 1024},
		{"zfs_member", "\0\0\0\0\0\xba\xb1\x0c", 8, 131072},
		{"reiserfs", "ReIsEr2Fs", 9, 65536 + 52},
		{"jfs", "JFS1", 4, 32768},
		{"ufs", "\x19\x01\x54\x19", 4, 65536 + 1372},
		{"gfs2", "\x01\x16\x19\x70\0\0\0\1", 8, 65536},
		{"udf", "\0NSR02", 6, 32768},
		{"swsuspend", "S1SUSPEND", 9, 4086},
		{"swap", "SWAPSPACE2", 10, 16384 - 10},
		{"VMFS_volume_member", "\x0d\xd0\x01\xc0", 4, MIB},
		{"", "\x53\xef", 2, 1024 + 56}, /* two bytes do not make it an ext file system */
	};
	const char *path = test_path("magic.raw");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unlink(path);
		run_ok("truncate", "-s", "2M", path);
		poke(path, cases[i].magic, cases[i].len, cases[i].at);
		assert_ok(read_layout(path, e));
		assert_int_equal(layout.n_partitions, cases[i].type[0] ? 1 : 0);
		if (cases[i].type[0])
			assert_string_equal(layout.partitions[0].fs_type, cases[i].type);
	}
}

static void takes_tiny_and_empty_disks(void **state)
{
	const char *path = test_path("tiny.raw");

	(void)state;
	for (size_t size = 0; size < 5000; size += 499) {
		AUTO_FREE uint8_t *bytes = malloc(size + 1);

		memset(bytes, 0x5a, size);
		write_file(path, bytes, size);
		assert_ok(read_layout(path, e));
		assert_string_equal(layout.table, "none");
		assert_int_equal(layout.n_partitions, 0);
	}
}

static int end(void **state)
{
	image_layout_release(&layout);
	return remove_test_dir(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_mbr_with_logical_partitions),
		cmocka_unit_test(reads_gpt_and_its_copy_when_it_is_damaged),
		cmocka_unit_test(refuses_partitions_past_the_end),
		cmocka_unit_test(refuses_a_chain_of_extended_partitions_that_turns_back),
		cmocka_unit_test(finds_file_systems_with_label_and_uuid),
		cmocka_unit_test(finds_file_systems_by_their_superblocks),
		cmocka_unit_test(finds_what_blkid_finds),
		cmocka_unit_test(finds_what_has_a_few_bytes_of_its_own),
		cmocka_unit_test(takes_tiny_and_empty_disks),
	};

	return cmocka_run_group_tests(tests, make_test_dir, end);
}
