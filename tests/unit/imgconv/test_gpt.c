/* SPDX-License-Identifier: Apache-2.0 */
/* The GPT: sfdisk and sgdisk read what we write, we read it from both ends; nonsense is refused. */
#include "helper.h"

#include "imgconv/disk/gpt.h"

#define SEED "6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b"

static struct gpt_entry entries[3];
static struct gpt sample = {.entries = entries, .n_entries = ARRAY_SIZE(entries)};

static void make_sample(void)
{
	entries[0] = (struct gpt_entry){1, GPT_TYPE_LINUX, {0}, 64 * MIB, 20 * MIB, "root"};
	entries[1] = (struct gpt_entry){128, GPT_TYPE_ESP, {0}, 2 * MIB, 62 * MIB, "the esp"};
	entries[2] = (struct gpt_entry){14, GPT_TYPE_BIOS_BOOT, {0}, 34 * 512, 512, ""};
	gpt_guid_derive(SEED, "disk", sample.guid);
	gpt_guid_derive(SEED, "root", entries[0].guid);
	gpt_guid_derive(SEED, "esp", entries[1].guid);
	gpt_guid_derive(SEED, "bios", entries[2].guid);
}

/* A disk with the sample's table. */
static const char *make_disk(uint64_t size)
{
	const char *path = test_path("disk");
	uint8_t head[GPT_HEAD_SIZE], tail[GPT_TAIL_SIZE];
	int fd;

	memset(head, 0xee, sizeof(head));
	memset(tail, 0xee, sizeof(tail));
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_ok(gpt_write(&sample, size, head, tail, e));
	for (unsigned i = 0; i < 440; i++)
		assert_int_equal(head[i], 0xee); /* the code area stays as it is */
	assert_ok(fs_pwrite(fd, head, sizeof(head), 0, e));
	assert_ok(fs_pwrite(fd, tail, sizeof(tail), size - sizeof(tail), e));
	close(fd);
	return path;
}

static void assert_says(const char *const *argv, const char *const *texts)
{
	AUTO_BUF out = BUF_INIT;

	assert_ok(proc_run(argv, NULL, 0, &out, MIB, PATIENCE_S, e));
	for (; *texts; texts++) {
		if (!strstr(buf_str(&out), *texts))
			fail_msg("%s does not say '%s': %s", argv[0], *texts, buf_str(&out));
	}
}

static void sfdisk_and_sgdisk_agree_with_what_was_written(void **state)
{
	const char *path = make_disk(128 * MIB);

	(void)state;
	assert_says((const char *const[]){"sgdisk", "-v", path, NULL},
		    (const char *const[]){"No problems found", NULL});
	assert_says((const char *const[]){"sfdisk", "--verify", path, NULL},
		    (const char *const[]){"No errors detected", NULL});
	assert_says((const char *const[]){"sfdisk", "--dump", path, NULL},
		    (const char *const[]){"label: gpt", "first-lba: 34", "last-lba: 262110",
					  "disk1 : start=      131072, size=       40960, "
					  "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4",
					  "name=\"root\"",
					  "disk14 : start=          34, size=           1, "
					  "type=21686148-6449-6E6F-744E-656564454649",
					  "disk128 : start=        4096, size=      126976, "
					  "type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
					  "name=\"the esp\"", NULL});
	/* A disk that 32 bits cannot count. */
	path = make_disk(3 * 1024 * GIB);
	assert_says((const char *const[]){"sgdisk", "-v", path, NULL},
		    (const char *const[]){"No problems found", NULL});
	unlink(path);
}

static void both_ends_say_the_same(void **state)
{
	const uint64_t lbas[] = {1, 128 * MIB / 512 - 1};
	struct image_open_opts o = {.format = "raw"};
	const char *path = make_disk(128 * MIB);
	struct image *im = NULL;

	(void)state;
	assert_ok(image_open(path, &o, &im, e));
	for (unsigned i = 0; i < 2; i++) {
		AUTO(gpt_table_release) struct gpt_table t = {0};
		char guid[37];

		assert_ok(gpt_read(im, lbas[i], &t, e));
		assert_int_equal(t.lba, lbas[i]);
		assert_int_equal(t.other_lba, lbas[1 - i]);
		assert_int_equal(t.n_entries, GPT_ENTRIES);
		assert_memory_equal(t.guid, sample.guid, 16);
		assert_true(gpt_table_slot(&t, 0).used);
		assert_false(gpt_table_slot(&t, 1).used);
		assert_int_equal(gpt_table_slot(&t, 0).first, 131072);
		assert_int_equal(gpt_table_slot(&t, 0).last, 131072 + 40960 - 1);
		assert_memory_equal(gpt_table_slot(&t, 127).guid, entries[1].guid, 16);
		gpt_guid_text(gpt_table_slot(&t, 127).type, guid);
		assert_string_equal(guid, GPT_TYPE_ESP);
	}
	image_close(im);
}

static void damage_is_found(void **state)
{
	static const struct {
		unsigned at;
		const char *text;
	} cases[] = {
		{0, "no GPT header"},
		{13, "size is"},
		{40, "wrong checksum"},
		{512 + 32, "entries of the header in sector 1 have a wrong checksum"},
	};
	struct image_open_opts o = {.format = "raw"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(gpt_table_release) struct gpt_table t = {0};
		const char *path = make_disk(128 * MIB);
		struct image *im = NULL;
		int fd = open(path, O_RDWR | O_CLOEXEC);

		assert_ok(fs_pwrite(fd, "\xff", 1, 512 + cases[i].at, e));
		close(fd);
		assert_ok(image_open(path, &o, &im, e));
		assert_fails(gpt_read(im, 1, &t, e), EBADMSG, cases[i].text);
		assert_fails(gpt_read(im, 128 * MIB / 512, &t, e), EBADMSG, "past the disk's end");
		image_close(im);
	}
}

static int try_write(uint64_t size, struct err *e)
{
	uint8_t head[GPT_HEAD_SIZE], tail[GPT_TAIL_SIZE];

	return gpt_write(&sample, size, head, tail, e);
}

static void what_a_gpt_cannot_say_is_not_written(void **state)
{
	(void)state;
	assert_fails(try_write(128 * MIB + 1, e), EINVAL, "no disk for a GPT");
	assert_fails(try_write(67 * 512, e), EINVAL, "no disk for a GPT");
	assert_fails(try_write(83 * MIB, e), EINVAL, "partition 1:");
	entries[0].start = 33 * 512;
	assert_fails(try_write(128 * MIB, e), EINVAL, "partition 1:");
	entries[0].start = 64 * MIB + 1;
	assert_fails(try_write(128 * MIB, e), EINVAL, "partition 1:");
	entries[0].start = 64 * MIB - 512;
	assert_fails(try_write(128 * MIB, e), EINVAL, "1 and 128 overlap");
	make_sample();
	entries[2].number = 1;
	assert_fails(try_write(128 * MIB, e), EINVAL, "overlap");
	entries[2].number = 0;
	assert_fails(try_write(128 * MIB, e), EINVAL, "number");
	entries[2].number = 129;
	assert_fails(try_write(128 * MIB, e), EINVAL, "number");
	entries[2].number = 2;
	entries[2].name = "a name of thirty-seven letters, which";
	assert_fails(try_write(128 * MIB, e), EINVAL, "name");
}

static void a_name_is_read_as_utf8(void **state)
{
	static const uint8_t full[72] = {'f', 0};
	static const uint8_t mixed[72] = {'l',  0,    0xf6, 0,    0xe5, 0x65, 0x3d,
					  0xd8, 0x00, 0xde, 0x3d, 0xd8, 'x',  0};
	uint8_t longest[72];
	struct gpt_slot x = {.name = full};
	char text[GPT_NAME_ROOM];

	(void)state;
	gpt_slot_name(&x, text);
	assert_string_equal(text, "f");
	/* Two, three and four bytes, and half of a pair. */
	x.name = mixed;
	gpt_slot_name(&x, text);
	assert_string_equal(text, "l\303\266\346\227\245\360\237\230\200\357\277\275x");
	memset(longest, 0xff, sizeof(longest));
	x.name = longest;
	gpt_slot_name(&x, text);
	assert_int_equal(strlen(text), 108);
}

static void guids_follow_from_their_seed(void **state)
{
	uint8_t a[16], b[16];
	char text[37];

	(void)state;
	gpt_guid_derive(SEED, "disk", a);
	gpt_guid_derive(SEED, "disk", b);
	assert_memory_equal(a, b, 16);
	gpt_guid_derive(SEED, "disc", b);
	assert_memory_not_equal(a, b, 16);
	gpt_guid_text(a, text);
	assert_int_equal(text[14], '8'); /* version */
	assert_non_null(strchr("89ab", text[19]));
}

static int each(void **state)
{
	(void)state;
	make_sample();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sfdisk_and_sgdisk_agree_with_what_was_written, each),
		cmocka_unit_test_setup(both_ends_say_the_same, each),
		cmocka_unit_test_setup(damage_is_found, each),
		cmocka_unit_test_setup(what_a_gpt_cannot_say_is_not_written, each),
		cmocka_unit_test_setup(a_name_is_read_as_utf8, each),
		cmocka_unit_test_setup(guids_follow_from_their_seed, each),
	};

	return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
