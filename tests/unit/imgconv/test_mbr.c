/* SPDX-License-Identifier: Apache-2.0 */
/* The MBR: sfdisk reads what we write, and what it writes we read; nonsense is refused. */
#include "helper.h"

#include "imgconv/disk/mbr.h"

static const struct mbr sample = {
	.disk_signature = 0x1badcafe,
	.part[0] = {.type = 0x83, .active = true, .start = MIB, .length = 20 * MIB},
	.part[2] = {.type = 0x82, .start = 30 * MIB, .length = 512},
};

static void a_table_is_read_back_as_it_was_written(void **state)
{
	uint8_t sector[MBR_SIZE];
	struct mbr m;

	(void)state;
	memset(sector, 0xee, sizeof(sector)); /* the code area stays as it is, the rest does not */
	assert_ok(mbr_write(&sample, sector, e));
	for (unsigned i = 0; i < 440; i++)
		assert_int_equal(sector[i], 0xee);
	assert_ok(mbr_parse(sector, 64 * MIB, &m, e));
	assert_int_equal(m.disk_signature, 0x1badcafe);
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		assert_int_equal(m.part[i].type, sample.part[i].type);
		assert_int_equal(m.part[i].active, sample.part[i].active);
		assert_int_equal(m.part[i].start, sample.part[i].start);
		assert_int_equal(m.part[i].length, sample.part[i].length);
	}
}

static void sfdisk_agrees_with_what_was_written(void **state)
{
	const char *argv[] = {"sfdisk", "--dump", NULL, NULL};
	AUTO_BUF out = BUF_INIT;
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *path = NULL;
	uint8_t sector[MBR_SIZE] = {0};
	AUTO_FD int fd = -1;

	(void)state;
	assert_ok(fs_make_temp_dir("/tmp/acclimate-mbr", &dir, e));
	path = path_join(dir, "disk");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 64 * MIB), 0);
	assert_ok(mbr_write(&sample, sector, e));
	assert_ok(fs_pwrite(fd, sector, sizeof(sector), 0, e));
	argv[2] = path;
	assert_ok(proc_run(argv, NULL, 0, &out, MIB, PATIENCE_S, e));
	assert_non_null(strstr(out.data, "label-id: 0x1badcafe"));
	assert_non_null(
		strstr(out.data, "start=        2048, size=       40960, type=83, bootable"));
	assert_non_null(strstr(out.data, "start=       61440, size=           1, type=82"));
	assert_ok(fs_remove_tree(dir, e));
}

static void what_an_mbr_cannot_say_is_not_written(void **state)
{
	uint8_t sector[MBR_SIZE] = {0};
	struct mbr m = sample;

	(void)state;
	m.part[0].start = MIB + 1;
	assert_fails(mbr_write(&m, sector, e), EINVAL, "partition 1");
	m.part[0].start = 0;
	assert_fails(mbr_write(&m, sector, e), EINVAL, "partition 1");
	m = sample;
	m.part[2].start = 2 * MIB;
	assert_fails(mbr_write(&m, sector, e), EINVAL, "1 and 3 overlap");
	m = sample;
	m.part[2].length = 3 * 1024 * GIB;
	assert_fails(mbr_write(&m, sector, e), EFBIG, "2 TiB");
	assert_true(mem_is_zero(sector, sizeof(sector)));
}

static void damaged_tables_are_refused(void **state)
{
	uint8_t sector[MBR_SIZE], bad[MBR_SIZE];
	struct mbr m;

	(void)state;
	memset(sector, 0, sizeof(sector));
	assert_fails(mbr_parse(sector, 64 * MIB, &m, e), ENOENT, "no partition table");
	assert_ok(mbr_write(&sample, sector, e));
	assert_fails(mbr_parse(sector, 20 * MIB, &m, e), EBADMSG, "partition 1");
	memcpy(bad, sector, sizeof(bad));
	bad[446] = 0x7f;
	assert_fails(mbr_parse(bad, 64 * MIB, &m, e), EBADMSG, "flag 0x7f");
	memcpy(bad, sector, sizeof(bad));
	le32_put(bad + 446 + 8, 0);
	assert_fails(mbr_parse(bad, 64 * MIB, &m, e), EBADMSG, "partition 1");
	memcpy(bad, sector, sizeof(bad));
	le32_put(bad + 446 + 32 + 8, 4096);
	assert_fails(mbr_parse(bad, 64 * MIB, &m, e), EBADMSG, "overlap");
	memcpy(bad, sector, sizeof(bad));
	le32_put(bad + 446 + 12, 0xffffffff);
	assert_fails(mbr_parse(bad, 64 * MIB, &m, e), EBADMSG, "partition 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_read_back_as_it_was_written),
		cmocka_unit_test(sfdisk_agrees_with_what_was_written),
		cmocka_unit_test(what_an_mbr_cannot_say_is_not_written),
		cmocka_unit_test(damaged_tables_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
