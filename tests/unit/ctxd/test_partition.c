/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables made by sfdisk, grown by us, and looked at by sfdisk and sgdisk. */
#include "tests/unit/cmocka.h"

#include <fcntl.h>
#include <stdio.h>

#include "ctxd/partition.h"
#include "lib/fs.h"
#include "lib/str.h"

static char path[] = "/tmp/test_partition.XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 || setenv("D", path, 1) < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

/* Runs a command line, in which $D is the disk; true if it succeeds. */
static bool sh(const char *command)
{
	return system(command) == 0;
}

/* A disk of 64 MiB that had 32 MiB when it was partitioned. */
#define DISK (64 * MIB)
static void make(const char *table)
{
	assert_int_equal(setenv("TABLE", table, 1), 0);
	assert_true(sh("truncate -s 0 $D && truncate -s 32M $D && printf \"$TABLE\" | "
		       "sfdisk -q --no-tell-kernel $D >/dev/null && truncate -s 64M $D"));
}

static int grow(unsigned number, bool dry_run, struct partition_grown *p)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	struct err e;
	int rc;

	assert_return_code(fd, errno);
	rc = partition_grow(fd, DISK, 512, number, dry_run, p, &e);
	if (rc < 0)
		print_message("# %s\n", e.msg);
	return rc;
}

static void a_gpt_grows_with_its_backup(void **state)
{
	struct partition_grown p;

	(void)state;
	make("label: gpt\\n,8M\\n,\\n");
	assert_int_equal(grow(2, true, &p), 1);
	assert_int_equal(p.size, DISK - 10 * MIB);
	assert_true(sh("! sgdisk -v $D | grep -q 'No problems found'")); /* nothing was written */
	assert_int_equal(grow(2, false, &p), 1);
	assert_int_equal(p.start, 9 * MIB);
	assert_int_equal(p.size, DISK - 10 * MIB);
	assert_true(sh("sgdisk -v $D | grep -q 'No problems found'"));
	assert_true(sh("sfdisk -q --verify $D >/dev/null"));
	assert_true(sh("[ \"$(sfdisk -J $D | jq .partitiontable.partitions[1].size)\" = 110592 ]"));
	assert_int_equal(grow(2, false, &p), 0);
	/* The first one has a neighbour. */
	assert_int_equal(grow(1, false, &p), 0);
	assert_int_equal(p.size, 8 * MIB);
	assert_int_equal(grow(3, false, &p), -ENOENT);
	assert_int_equal(grow(4000, false, &p), -ENOENT);
}

static void an_mbr_grows_up_to_its_neighbour(void **state)
{
	struct partition_grown p;

	(void)state;
	make("label: dos\\nstart=2048,size=8M,type=83\\nstart=20M,size=4M,type=82\\n");
	assert_int_equal(grow(1, false, &p), 1);
	assert_int_equal(p.size, 19 * MIB);
	assert_int_equal(grow(2, false, &p), 1);
	assert_int_equal(p.size, 44 * MIB);
	assert_true(sh("sfdisk -q --verify $D >/dev/null"));
	assert_int_equal(grow(3, false, &p), -ENOENT);
	assert_int_equal(grow(5, false, &p), -ENOTSUP);
}

static void an_extended_partition_is_left(void **state)
{
	struct partition_grown p;

	(void)state;
	make("label: dos\\n,8M\\n,,5\\n,4M\\n");
	assert_int_equal(grow(2, false, &p), -ENOTSUP);
	assert_int_equal(grow(5, false, &p), -ENOTSUP);
}

/* Another byte there, whatever it was: checksums and identifiers are random. */
static void flip(off_t at)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	unsigned char byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void what_is_damaged_is_refused(void **state)
{
	struct partition_grown p;

	(void)state;
	make("label: gpt\\n,\\n");
	flip(600);
	assert_int_equal(grow(1, false, &p), -EBADMSG);
	make("label: gpt\\n,\\n");
	flip(1060);
	assert_int_equal(grow(1, false, &p), -EBADMSG);
	assert_true(sh("truncate -s 0 $D && truncate -s 64M $D"));
	assert_int_equal(grow(1, false, &p), -ENOTSUP);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gpt_grows_with_its_backup),
		cmocka_unit_test(an_mbr_grows_up_to_its_neighbour),
		cmocka_unit_test(an_extended_partition_is_left),
		cmocka_unit_test(what_is_damaged_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
