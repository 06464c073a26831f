/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a guest's file systems are mounted below its root, and which of the disk's they are. */
#include "helper.h"

#include "imgconv/inject/fstab.h"

static char none[] = "", ext4[] = "ext4", uuid[] = "6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b",
	    label[] = "data disk", home[] = "/dev/vg-0/my-home", sda3[] = "/dev/sda3",
	    sub[] = "btrfsvol:/dev/sda3/@", at[] = "@", sda1[] = "/dev/sda1";

static const struct volume volumes[] = {
	{sub, sda3, at, ext4, uuid, none, 3, "ac11a7e0-03", none},
	{sda1, sda1, none, ext4, none, label, 1, "ac11a7e0-01", "root"},
	{sda3, sda3, none, ext4, uuid, none, 3, "ac11a7e0-03", none},
	{home, home, none, ext4, none, none, 0, NULL, NULL},
};

static const char *found(const char *spec)
{
	AUTO_FREE char *line = str_format("%s /x ext4 defaults 0 0\n", spec);
	AUTO(fstab_release) struct fstab t = {0};
	const struct volume *v;

	assert_ok(fstab_parse(line, &t, e));
	assert_int_equal(t.n, 1);
	v = fstab_find(&t.entries[0], volumes, ARRAY_SIZE(volumes));
	return v ? v->mountable : "none";
}

static void a_device_is_found_by_each_of_its_names(void **state)
{
	static const char *const cases[][2] = {
		{"UUID=6C9EF1A8-3F3E-4E0F-9E2F-0D8B4A1D2C3B", sda3},
		{"UUID=\"6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b\"", sda3},
		{"/dev/disk/by-uuid/6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b", sda3},
		{"/dev/vda3", sda3},
		{"/dev/xvda1", sda1},
		{"/dev/nvme0n1p1", sda1},
		{"/dev/vg-0/my-home", home},
		{"/dev/mapper/vg--0-my--home", home},
		{"/dev/mapper/vg-0-my-home", "none"},
		{"/dev/sdb1", "none"},
		{"PARTUUID=AC11A7E0-03", sda3},
		{"/dev/disk/by-partuuid/ac11a7e0-01", sda1},
		{"PARTLABEL=root", sda1},
		{"/dev/disk/by-partlabel/root", sda1},
		{"PARTUUID=ac11a7e0-02", "none"},
		{"PARTUUID=", "none"},
		{"PARTLABEL=", "none"},
		{"UUID=6c9ef1a8", "none"},
		{"UUID=", "none"},
		{"LABEL=", "none"},
		{"LABEL=other", "none"},
		{"/dev/sda", "none"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(found(cases[i][0]), cases[i][1]);
}

static void only_what_is_mounted_at_boot_from_a_disk_counts(void **state)
{
	static const char text[] =
		"# /dev/sda1 /no ext4 defaults 0 0\n"
		"/dev/sda1 /home/user xfs defaults 0 0\n"
		"/dev/sda1 / ext4 defaults 0 0\n"
		"/dev/sda1 none swap sw 0 0\n"
		"tmpfs /tmp tmpfs defaults 0 0\n"
		"/dev/sda1 /media ext4 user,noauto 0 0\n"
		"/srv /export none bind 0 0\n"
		"/dev/sda1 /a/../../b ext4 defaults 0 0\n"
		"/dev/sda1 /with\\040blank ext4 defaults 0 0\n"
		"/dev/sda1 /cut ext4\n"
		"\n \t\n"
		"/dev/sda3 /id btrfs subvolid=257x 0 0\n"
		"/dev/sda3 /ids btrfs subvolid=257 0 0\n"
		"/dev/sda3\t/home  btrfs  rw,subvolid=258,subvol=/@/home,noatime\t0 0";
	AUTO(fstab_release) struct fstab t = {0};

	(void)state;
	assert_ok(fstab_parse(text, &t, e));
	assert_int_equal(t.n, 4);
	/* What is above comes first. */
	assert_string_equal(t.entries[0].dir, "/id");
	assert_null(t.entries[0].subvolume);
	assert_string_equal(t.entries[1].subvolume, "subvolid=257");
	assert_string_equal(t.entries[2].dir, "/home");
	assert_string_equal(t.entries[2].subvolume, "subvol=@/home");
	assert_string_equal(t.entries[3].dir, "/home/user");
	assert_null(t.entries[3].subvolume);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_is_found_by_each_of_its_names),
		cmocka_unit_test(only_what_is_mounted_at_boot_from_a_disk_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
