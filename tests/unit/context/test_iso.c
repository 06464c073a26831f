/* SPDX-License-Identifier: Apache-2.0 */
/* Context images: a function of their content, readable by name, and harmless when damaged. */
#include "tests/unit/cmocka.h"

#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "context/iso.h"
#include "lib/fs.h"

#define SECTOR 2048

static const struct iso_file files[] = {
	{"context.sh", "SET_HOSTNAME='x'\n", 17},
	{"a-longer-name.with.dots.txt", "", 0},
	{"init.sh", "#!/bin/sh\n", 10},
};

static void build(struct buf *image, const struct iso_file *f, size_t n)
{
	struct err e;

	if (iso_build("CONTEXT", f, n, image, &e) < 0)
		fail_msg("%s", e.msg);
}

static int open_image(const struct buf *image)
{
	int fd = memfd_create("iso", MFD_CLOEXEC);

	assert_return_code(fd, errno);
	assert_int_equal(write(fd, image->data, image->len), image->len);
	return fd;
}

static void files_are_read_back_by_name(void **state)
{
	AUTO_BUF image = BUF_INIT;
	char id[ISO_VOLUME_ID_MAX + 1];
	AUTO_FD int fd = -1;
	struct err e;

	(void)state;
	build(&image, files, ARRAY_SIZE(files));
	fd = open_image(&image);
	assert_int_equal(iso_volume_id(fd, id, &e), 1);
	assert_string_equal(id, "CONTEXT");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		AUTO_BUF out = BUF_INIT;

		assert_return_code(buf_adds(&out, "before "), 0);
		if (iso_read_file(fd, "memory", files[i].name, 1000, &out, &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_equal(out.len, 7 + files[i].len);
		assert_memory_equal(out.data + 7, files[i].data, files[i].len);
	}
}

static void a_name_may_differ_in_case_but_not_otherwise(void **state)
{
	static const struct iso_file both[] = {{"Context.SH", "other", 5}};
	AUTO_BUF image = BUF_INIT, out = BUF_INIT;
	AUTO_FD int fd = -1;
	struct err e;

	(void)state;
	build(&image, both, 1);
	fd = open_image(&image);
	assert_return_code(iso_read_file(fd, "memory", "context.sh", 10, &out, &e), 0);
	assert_string_equal(out.data, "other");
	assert_int_equal(iso_read_file(fd, "memory", "context.s", 10, &out, &e), -ENOENT);
	assert_string_equal(e.msg, "no file 'context.s' in 'memory'");
}

static void the_same_files_give_the_same_bytes_at_any_time_in_any_order(void **state)
{
	struct iso_file turned[ARRAY_SIZE(files)];
	AUTO_BUF a = BUF_INIT, b = BUF_INIT;
	struct timespec past_a_second = {1, 100000000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		turned[i] = files[ARRAY_SIZE(files) - 1 - i];
	build(&a, files, ARRAY_SIZE(files));
	nanosleep(&past_a_second, NULL);
	build(&b, files, ARRAY_SIZE(files));
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	buf_clear(&b);
	build(&b, turned, ARRAY_SIZE(files));
	assert_int_equal(a.len, b.len);
}

static void a_large_file_is_bounded(void **state)
{
	AUTO_BUF image = BUF_INIT, out = BUF_INIT;
	AUTO_FREE char *data = malloc(300000);
	struct iso_file f = {"context.sh", data, 300000};
	AUTO_FD int fd = -1;
	struct err e;

	(void)state;
	assert_non_null(data);
	for (int i = 0; i < 300000; i++)
		data[i] = (char)(i * 7 + i / 256);
	build(&image, &f, 1);
	fd = open_image(&image);
	assert_return_code(iso_read_file(fd, "memory", "context.sh", 300000, &out, &e), 0);
	assert_int_equal(out.len, 300000);
	assert_memory_equal(out.data, data, out.len);
	buf_clear(&out);
	assert_int_equal(iso_read_file(fd, "memory", "context.sh", 299999, &out, &e), -EFBIG);
}

static void what_is_no_name_is_not_written(void **state)
{
	static const char *const names[] = {"",     ".",     "..",           "a/..", "/a",
					    "a//b", "a/",    "a b",          "a;1",  "\xc3\xa4",
					    "a\nb", "a/b c", "1/2/3/4/5/6/7"};
	static const char *const ids[] = {"", "SEVENTEEN-LETTERS", "A B", "\xc3\xa4"};
	struct iso_file twice[] = {{"a", "1", 1}, {"A", "2", 1}};
	AUTO_BUF out = BUF_INIT;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct iso_file f = {names[i], "", 0};

		assert_int_equal(iso_build("CONTEXT", &f, 1, &out, &e), -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		assert_int_equal(iso_build(ids[i], files, 1, &out, &e), -EINVAL);
	assert_int_equal(iso_build("CONTEXT", twice, 2, &out, &e), -EEXIST);
	twice[1].name = "A/b"; /* a file, and a folder for some guests */
	assert_int_equal(iso_build("CONTEXT", twice, 2, &out, &e), -EEXIST);
	assert_int_equal(out.len, 0);
}

static int note_file(void *arg, const char *path, const void *data, size_t len, struct err *e)
{
	(void)e;
	return buf_addf(arg, "%s=%.*s\n", path, (int)len, (const char *)data);
}

static void files_may_lie_in_folders(void **state)
{
	static const struct iso_file nested[] = {
		{"openstack/latest/meta_data.json", "{}", 2},
		{"openstack/latest/user_data", "x", 1},
		{"openstack/content/0000", "zero", 4},
		{"top", "t", 1},
	};
	AUTO_BUF image = BUF_INIT, out = BUF_INIT, again = BUF_INIT, listed = BUF_INIT;
	AUTO_FD int fd = -1;
	struct err e;

	(void)state;
	build(&image, nested, ARRAY_SIZE(nested));
	fd = open_image(&image);
	for (size_t i = 0; i < ARRAY_SIZE(nested); i++) {
		buf_clear(&out);
		if (iso_read_file(fd, "memory", nested[i].name, 10, &out, &e) < 0)
			fail_msg("%s", e.msg);
		assert_string_equal(out.data, nested[i].data);
	}
	assert_int_equal(iso_read_file(fd, "memory", "openstack/0000", 10, &out, &e), -ENOENT);
	assert_int_equal(iso_read_file(fd, "memory", "openstack/latest", 10, &out, &e), -ENOENT);
	assert_int_equal(iso_read_file(fd, "memory", "top/0000", 10, &out, &e), -ENOENT);
	if (iso_walk(fd, "memory", 100, note_file, &listed, &e))
		fail_msg("%s", e.msg);
	assert_string_equal(listed.data, "openstack/content/0000=zero\n"
					 "openstack/latest/meta_data.json={}\n"
					 "openstack/latest/user_data=x\ntop=t\n");
	assert_int_equal(iso_walk(fd, "memory", 7, note_file, &listed, &e), -EFBIG);
	build(&again, nested, ARRAY_SIZE(nested));
	assert_int_equal(image.len, again.len);
	assert_memory_equal(image.data, again.data, image.len);
}

static void other_files_are_no_images(void **state)
{
	AUTO_BUF zeros = BUF_INIT, out = BUF_INIT;
	char id[ISO_VOLUME_ID_MAX + 1];
	struct err e;

	(void)state;
	for (size_t len = 0; len <= 20 * SECTOR; len += 4 * SECTOR) {
		AUTO_FD int fd = -1;

		while (zeros.len < len)
			assert_return_code(buf_addc(&zeros, '\0'), 0);
		fd = open_image(&zeros);
		assert_int_equal(iso_volume_id(fd, id, &e), 0);
		assert_int_equal(iso_read_file(fd, "memory", "context.sh", 10, &out, &e), -EBADMSG);
	}
}

/* Any byte of its structures changed, or cut anywhere: an answer, never a crash. */
static void a_damaged_image_gives_an_error_or_an_answer(void **state)
{
	AUTO_BUF image = BUF_INIT;
	AUTO_FD int fd = -1;
	struct err e;

	(void)state;
	build(&image, files, ARRAY_SIZE(files));
	fd = open_image(&image);
	for (size_t at = 16 * SECTOR; at < 40 * SECTOR; at += 13) {
		AUTO_BUF out = BUF_INIT;
		char changed = (char)(image.data[at] ^ 0xff);

		assert_int_equal(pwrite(fd, &changed, 1, (off_t)at), 1);
		(void)iso_read_file(fd, "memory", "context.sh", 1000, &out, &e);
		assert_in_range(out.len, 0, 1000 + 32 * KIB);
		assert_int_equal(pwrite(fd, image.data + at, 1, (off_t)at), 1);
	}
	for (size_t len = 60 * SECTOR; len; len -= SECTOR / 2) {
		AUTO_BUF out = BUF_INIT;

		assert_return_code(ftruncate(fd, (off_t)(len - SECTOR / 2)), errno);
		assert_int_not_equal(iso_read_file(fd, "memory", "context.sh", 1000, &out, &e), 1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read_back_by_name),
		cmocka_unit_test(a_name_may_differ_in_case_but_not_otherwise),
		cmocka_unit_test(the_same_files_give_the_same_bytes_at_any_time_in_any_order),
		cmocka_unit_test(a_large_file_is_bounded),
		cmocka_unit_test(what_is_no_name_is_not_written),
		cmocka_unit_test(files_may_lie_in_folders),
		cmocka_unit_test(other_files_are_no_images),
		cmocka_unit_test(a_damaged_image_gives_an_error_or_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
