/* SPDX-License-Identifier: Apache-2.0 */
/* FAT volumes of each kind, made by mkfs.fat and mtools, read as the files that were put in. */
#include "tests/unit/cmocka.h"

#include <fcntl.h>
#include <stdio.h>

#include "ctxd/fat.h"
#include "lib/buf.h"

static char dir[] = "/tmp/test_fat.XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) && setenv("D", dir, 1) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return system("rm -r \"$D\"");
}

static int open_image(void)
{
	AUTO_BUF path = BUF_INIT;
	int fd;

	assert_return_code(buf_addf(&path, "%s/image", dir), 0);
	fd = open(buf_str(&path), O_RDONLY | O_CLOEXEC);
	assert_return_code(fd, errno);
	return fd;
}

static int list(void *arg, const char *path, const void *data, size_t len, struct err *e)
{
	struct buf *out = arg;
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += ((const unsigned char *)data)[i];
	return buf_addf(out, "%s %zu %u\n", path, len, sum) < 0 ? err_nomem(e) : 0;
}

static void reads(const char *mkfs)
{
	AUTO_FD int fd = -1;
	AUTO_BUF got = BUF_INIT;
	char label[FAT_LABEL_MAX + 1];
	struct err e;

	assert_int_equal(setenv("MKFS", mkfs, 1), 0);
	assert_int_equal(system("cd $D && rm -rf image t && mkdir -p t/openstack/latest && cd t && "
				"echo hello >meta-data && : >user-data && "
				"head -c 100000 /dev/zero | tr '\\0' a >large.bin && "
				"echo x >openstack/latest/meta_data.json && "
				"echo y >'a name that is longer than one entry.txt' && "
				"$MKFS >/dev/null && mcopy -s -i ../image * ::"),
			 0);
	fd = open_image();
	assert_int_equal(fat_label(fd, label, &e), 1);
	assert_string_equal(label, "CIDATA");
	if (fat_walk(fd, "image", MIB, list, &got, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(buf_str(&got), "a name that is longer than one entry.txt 2 131\n"
					   "large.bin 100000 9700000\n"
					   "meta-data 6 542\n"
					   "openstack/latest/meta_data.json 2 130\n"
					   "user-data 0 0\n");
	assert_int_equal(fat_walk(fd, "image", 1000, list, &got, &e), -EFBIG);
}

static void each_kind_is_read(void **state)
{
	(void)state;
	reads("mkfs.fat -C -F 12 -n CIDATA ../image 1024");
	reads("mkfs.fat -C -F 16 -n CIDATA ../image 16384");
	reads("mkfs.fat -C -F 32 -s 1 -n CIDATA ../image 65536");
}

static void no_volume_is_none(void **state)
{
	char label[FAT_LABEL_MAX + 1];
	AUTO_FD int fd = -1;
	struct err e;

	(void)state;
	assert_int_equal(system("cd $D && truncate -s 0 image && truncate -s 1M image"), 0);
	fd = open_image();
	assert_int_equal(fat_label(fd, label, &e), 0);
	assert_int_equal(fat_walk(fd, "image", MIB, list, NULL, &e), -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_read),
		cmocka_unit_test(no_volume_is_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
