/* SPDX-License-Identifier: Apache-2.0 */
/* FAT: fsck.vfat, mtools and 7-Zip read what we make; we read what mkfs.vfat and mtools made. */
#include "helper.h"

#include "imgconv/disk/fat.h"

static uint8_t program[700 * 1024 + 7];
static struct fat_file files[2];
static struct fat_volume sample;

static int each(void **state)
{
	(void)state;
	files[0] = (struct fat_file){"BOOTX64.EFI", program, sizeof(program)};
	files[1] = (struct fat_file){"EMPTY", NULL, 0};
	sample = (struct fat_volume){.size = 62 * MIB,
				     .start = 2 * MIB,
				     .serial = 0x1badcafe,
				     .label = "ESP",
				     .folder = "EFI/BOOT",
				     .files = files,
				     .n_files = 2};
	rng_state = 7;
	for (size_t i = 0; i < sizeof(program); i++)
		program[i] = (uint8_t)rng(256);
	return 0;
}

static const char *write_volume(const struct fat_volume *v)
{
	const char *path = test_path("fat");
	AUTO_BUF head = BUF_INIT;
	int fd;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_ok(fat_make(v, &head, e));
	assert_true(head.len < 8 * MIB); /* the rest is zeros */
	assert_ok(fs_pwrite(fd, head.data, head.len, 0, e));
	assert_int_equal(ftruncate(fd, (off_t)v->size), 0);
	close(fd);
	return path;
}

static void output_of(const char *const *argv, struct buf *out)
{
	buf_clear(out);
	assert_ok(proc_run(argv, NULL, 0, out, 2 * MIB, PATIENCE_S, e));
}
#define OUTPUT(out, ...) output_of((const char *const[]){__VA_ARGS__, NULL}, out)

static void assert_says(const struct buf *out, const char *text)
{
	if (!strstr(buf_str(out), text))
		fail_msg("'%s' is not in: %s", text, buf_str(out));
}

static void others_read_what_we_make(void **state)
{
	const uint64_t sizes[] = {FAT_MAKE_MIN, 62 * MIB, 300 * MIB + 512};
	AUTO_BUF out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const char *path;

		sample.size = sizes[i];
		path = write_volume(&sample);
		OUTPUT(&out, "fsck.vfat", "-nv", path);
		assert_says(&out, "32 bit entries");
		assert_says(&out, "5 files, 1404/"); /* with the folders: 1401 clusters and 3 */
		assert_says(&out, "4096 hidden sectors");
		OUTPUT(&out, "mtype", "-i", path, "::/EFI/BOOT/BOOTX64.EFI");
		assert_int_equal(out.len, sizeof(program));
		assert_memory_equal(out.data, program, sizeof(program));
		OUTPUT(&out, "7zz", "l", "-tfat", path);
		assert_says(&out, "2 files, 2 folders");
		assert_says(&out, "1980-01-01 00:00:00");
		OUTPUT(&out, "blkid", "-p", "-o", "export", path);
		assert_says(&out, "LABEL=ESP\n");
		assert_says(&out, "UUID=1BAD-CAFE\n");
		assert_says(&out, "VERSION=FAT32\n");
	}
}

static void the_same_volume_is_the_same_bytes(void **state)
{
	AUTO_BUF a = BUF_INIT;
	AUTO_BUF b = BUF_INIT;

	(void)state;
	assert_ok(fat_make(&sample, &a, e));
	assert_ok(fat_make(&sample, &b, e));
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
}

static void what_does_not_fit_is_refused(void **state)
{
	static const char *const bad[] = {"toolong89.EFI", "A.EFIX", "boot.efi", ".EFI", "A.",
					  "A B",           "A.B.C",  ""};
	AUTO_BUF out = BUF_INIT;
	AUTO_FREE uint8_t *big = calloc(1, 40 * MIB);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		files[0].name = bad[i];
		assert_fails(fat_make(&sample, &out, e), EINVAL, "8 and 3");
	}
	files[0] = (struct fat_file){"BIG", big, 40 * MIB};
	sample.size = 40 * MIB;
	assert_fails(fat_make(&sample, &out, e), ENOSPC, "do not fit");
	files[0].len = 0;
	sample.folder = "efi";
	assert_fails(fat_make(&sample, &out, e), EINVAL, "'efi'");
	sample.folder = "";
	assert_fails(fat_make(&sample, &out, e), EINVAL, "no folder");
	sample.folder = "EFI";
	sample.size = 33 * MIB;
	assert_fails(fat_make(&sample, &out, e), EINVAL, "cannot be made");
	sample.size = 40 * MIB + 1;
	assert_fails(fat_make(&sample, &out, e), EINVAL, "cannot be made");
}

/* ---- looking into one ------------------------------------------------------------------------ */

/* Names of a folder, a space behind each; folders with a slash. */
static int add_name(void *ctx, const struct fat_entry *x)
{
	return buf_addf(ctx, "%s%s:%u ", x->name, x->is_folder ? "/" : "", x->size);
}

static int list(const char *path, const char *folder, struct buf *out, unsigned *bits,
		struct err *e)
{
	struct image_open_opts o = {.format = "raw"};
	AUTO(image_close) struct image *im = NULL;
	AUTO(fat_close) struct fat *f = NULL;
	int rc = image_open(path, &o, &im, e);

	buf_clear(out);
	if (rc >= 0)
		rc = fat_open(im, 0, image_size(im), &f, e);
	if (rc < 0)
		return rc;
	*bits = fat_bits(f);
	rc = fat_list(f, folder, add_name, out, e);
	fat_close(f);
	f = NULL;
	return rc;
}

static void we_read_what_others_made(void **state)
{
	static const char *const kinds[][2] = {{"12", "4M"}, {"16", "32M"}, {"32", "64M"}};
	const char *hello = test_path("hello");
	AUTO_BUF out = BUF_INIT;

	(void)state;
	write_file(hello, "hello", 5);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *path = test_path("made");
		unsigned bits = 0;

		unlink(path);
		run_ok("truncate", "-s", kinds[i][1], path);
		run_ok("mkfs.vfat", "-F", kinds[i][0], "-n", "LABEL", path);
		run_ok("mmd", "-i", path, "::/EFI", "::/EFI/Boot", "::/EFI/Microsoft Corporation");
		for (unsigned n = 0; n < 40; n++) {
			char name[64];

			/* More than a cluster of entries. */
			snprintf(name, sizeof(name), "::/EFI/Boot/a rather long name %u.efi", n);
			run_ok("mcopy", "-i", path, hello, name);
		}
		run_ok("mcopy", "-i", path, hello, "::/EFI/Boot/grubx64.efi");
		run_ok("mcopy", "-i", path, hello,
		       "::/EFI/Boot/long and gr\303\274n\342\202\254.efi");
		run_ok("mdel", "-i", path, "::/EFI/Boot/a rather long name 7.efi");
		assert_ok(list(path, "", &out, &bits, e));
		assert_int_equal(bits, (unsigned)atoi(kinds[i][0]));
		assert_string_equal(out.data, "EFI/:0 ");
		assert_ok(list(path, "EFI", &out, &bits, e));
		assert_says(&out, "Boot/:0 Microsoft Corporation/:0 ");
		assert_ok(list(path, "efi/BOOT", &out, &bits, e));
		assert_says(&out, "a rather long name 39.efi:5 ");
		assert_says(&out, "grubx64.efi:5 ");
		assert_says(&out, "long and gr\303\274n\342\202\254.efi:5 ");
		assert_null(strstr(out.data, "name 7.efi"));
		assert_ok(list(path, "EFI/MICROS~1", &out, &bits, e));
		assert_fails(list(path, "EFI/none", &out, &bits, e), ENOENT, "EFI/none");
		assert_fails(list(path, "EFI/BOOT/GRUBX64.EFI", &out, &bits, e), ENOTDIR,
			     "no folder");
	}
}

static void we_read_what_we_make(void **state)
{
	const char *path = write_volume(&sample);
	AUTO_BUF out = BUF_INIT;
	unsigned bits = 0;

	(void)state;
	assert_ok(list(path, "EFI/BOOT", &out, &bits, e));
	assert_int_equal(bits, 32);
	assert_string_equal(out.data, "BOOTX64.EFI:716807 EMPTY:0 ");
}

static void damaged_volumes_are_refused(void **state)
{
	static const struct {
		uint32_t at;
		uint32_t value;
		unsigned len;
		const char *text;
	} cases[] = {
		{11, 513, 2, "no FAT"},
		{13, 3, 1, "no FAT"},
		{16, 3, 1, "no FAT"},
		{32, 4000000, 4, "do not fit the partition"},
		{36, 4, 4, "too short"},
		{32, 10000, 4, "do not fit its kind"},
		{44, 1, 4, "cluster 1"},
		{44, 500000, 4, "cluster 500000"},
		{16384 + 8, 2, 4, "more than"}, /* the root folder's chain turns back */
		{16384 + 8, 3000000, 4, "cluster 3000000"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *path = write_volume(&sample);
		AUTO_BUF out = BUF_INIT;
		uint8_t value[4];
		unsigned bits;
		int fd = open(path, O_RDWR | O_CLOEXEC), rc;
		struct err e = {0};

		le32_put(value, cases[i].value);
		rc = fs_pwrite(fd, value, cases[i].len, cases[i].at, &e);
		close(fd);
		assert_int_equal(rc, 0);
		rc = list(path, "EFI/BOOT", &out, &bits, &e);
		if ((rc != -EBADMSG && rc != -EFBIG) || !strstr(e.msg, cases[i].text))
			fail_msg("case %zu: %d '%s'", i, rc, e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(others_read_what_we_make, each),
		cmocka_unit_test_setup(the_same_volume_is_the_same_bytes, each),
		cmocka_unit_test_setup(what_does_not_fit_is_refused, each),
		cmocka_unit_test_setup(we_read_what_others_made, each),
		cmocka_unit_test_setup(we_read_what_we_make, each),
		cmocka_unit_test_setup(damaged_volumes_are_refused, each),
	};

	return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
