/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the guest's own cloud-init will run, by what its init system starts and what switches it off. */
#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/cmocka.h"

#include "ctxd/apply.h"
#include "lib/fs.h"

static struct guest guest;

static int make_tree(void **state)
{
	char *dir;

	(void)state;
	assert_int_equal(fs_make_temp_dir("/tmp/test-cloud-init", &dir, NULL), 0);
	guest = GUEST_INIT;
	guest.root = guest.own_root = dir;
	guest.live = false;
	return 0;
}

static int remove_tree(void **state)
{
	(void)state;
	assert_int_equal(fs_remove_tree(guest.root, NULL), 0);
	guest_release(&guest);
	return 0;
}

/* A file of the tree, with its folders. */
static void put(const char *path, const char *text)
{
	assert_int_equal(guest_edit(&guest, path, text, strlen(text), 0644, NULL), 1);
}

static void put_link(const char *path, const char *target)
{
	assert_int_equal(guest_link(&guest, path, target, NULL), 1);
}

static void take(const char *path)
{
	AUTO_FREE char *full = guest_path(&guest, path);

	assert_int_equal(unlink(full), 0);
}

static void install(void)
{
	put("/usr/bin/cloud-init", "x");
	put("/etc/cloud/cloud.cfg", "x");
}

#define UNIT "/etc/systemd/system/cloud-init.target.wants/cloud-init.service"

static void with_systemd(void)
{
	install();
	put("/run/systemd/system/x", "");
	put(UNIT, "");
	assert_true(apply_has_cloud_init(&guest));
}

static void systemd_starts_what_a_target_wants(void **state)
{
	(void)state;
	assert_false(apply_has_cloud_init(&guest));
	with_systemd();
	take(UNIT);
	put("/etc/systemd/system/cloud-init.target.wants/cloud-init-hotplugd.socket", "");
	put("/etc/rc2.d/S01cloud-init", ""); /* of a package that is for both */
	assert_false(apply_has_cloud_init(&guest));
	assert_true(apply_may_cloud_init(&guest));
	put("/usr/lib/systemd/system/multi-user.target.wants/cloud-init-main.service", "");
	assert_true(apply_has_cloud_init(&guest));
	put_link("/etc/systemd/system/cloud-init-main.service", "/dev/null");
	assert_false(apply_has_cloud_init(&guest));
}

static void others_start_what_is_enabled(void **state)
{
	static const char *const enabled[] = {
		"/etc/rc2.d/S01cloud-init", "/etc/rc.d/rc3.d/S51cloud-init",
		"/etc/runlevels/default/cloud-init", "/etc/init/cloud-init.conf"};

	(void)state;
	install();
	put("/sbin/init", "x");
	/* Debian 13 has no script of the network stage. */
	put("/etc/rcS.d/S01cloud-init-local", "");
	put("/etc/rc2.d/K01cloud-init", "");
	put("/etc/systemd/system/cloud-init.target.wants/cloud-init.service", "");
	assert_false(apply_has_cloud_init(&guest));
	for (size_t i = 0; i < ARRAY_SIZE(enabled); i++) {
		put(enabled[i], "");
		assert_true(apply_has_cloud_init(&guest));
		if (i + 1 < ARRAY_SIZE(enabled))
			take(enabled[i]);
	}
	put("/etc/init/cloud-init.override", "manual\n");
	assert_false(apply_has_cloud_init(&guest));
}

static void its_own_switches_count(void **state)
{
	static const char *const words[] = {"cloud-init=disabled",
					    "ro ci.di.policy=disabled quiet\n"};

	(void)state;
	with_systemd();
	put("/etc/cloud/cloud-init.disabled", "");
	assert_false(apply_has_cloud_init(&guest));
	assert_false(apply_may_cloud_init(&guest));
	put("/proc/cmdline", "root=/dev/vda1 cloud-init=enabled\n");
	assert_true(apply_has_cloud_init(&guest));
	take("/etc/cloud/cloud-init.disabled");
	put("/etc/cloud/ds-identify.cfg", "# policy: disabled\npolicy: search,notfound=disabled\n");
	assert_true(apply_has_cloud_init(&guest));
	put("/etc/cloud/ds-identify.cfg", "policy: disabled\n");
	assert_false(apply_has_cloud_init(&guest));
	take("/etc/cloud/ds-identify.cfg");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		put("/proc/cmdline", words[i]);
		assert_false(apply_has_cloud_init(&guest));
	}
	put("/proc/cmdline", "xcloud-init=disabled cloud-init=disabledx\n");
	assert_true(apply_has_cloud_init(&guest));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(systemd_starts_what_a_target_wants, make_tree,
						remove_tree),
		cmocka_unit_test_setup_teardown(others_start_what_is_enabled, make_tree,
						remove_tree),
		cmocka_unit_test_setup_teardown(its_own_switches_count, make_tree, remove_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
