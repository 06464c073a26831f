/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlays: what they are made of, hostile folders and archives, and what they do to a guest:
 * which distribution and init it has, ctxd's units, changes and reports.
 */
#include "helper.h"

#include <sys/stat.h>

#include "imgconv/inject/ctxd.h"
#include "imgconv/inject/distro.h"
#include "imgconv/inject/overlay.h"

static char *work;

static void shell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void shell(const char *fmt, ...)
{
	char cmd[8192];
	const char *argv[] = {"sh", "-ec", cmd, NULL};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	assert_ok(proc_run(argv, NULL, 0, NULL, 0, PATIENCE_S, e));
}

static const struct overlay_attr plain = {.mode = 0644};

/* ---- what goes in ---------------------------------------------------------------------------- */

static void paths_are_made_canonical_or_refused(void **state)
{
	static const char *const bad[] = {"etc/x", "",         "/etc/../x", "/..",
					  "/a\nb", "/a\033[m", "/",         "/."};
	AUTO(overlay_free) struct overlay *o = NULL;
	char name[302];

	(void)state;
	assert_ok(overlay_new(&o, e));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(overlay_add_file(o, bad[i], "x", 1, &plain, NULL), -EINVAL);
	memset(name, 'n', 301);
	name[0] = '/';
	name[301] = '\0';
	assert_fails(overlay_add_file(o, name, "x", 1, &plain, e), EINVAL, "300 bytes");
	assert_int_equal(o->n, 0);
	assert_ok(overlay_add_file(o, "//etc/./foo/..b//c/", "x", 1, &plain, e));
	assert_string_equal(o->entries[0].path, "/etc/foo/..b/c");
	assert_non_null(overlay_find(o, "/etc//foo/..b/c"));
	assert_fails(overlay_add_symlink(o, "/l", "", e), EINVAL, "target");
}

static void a_folder_keeps_modes_and_links_and_belongs_to_root(void **state)
{
	AUTO(overlay_free) struct overlay *o = NULL;
	AUTO_FREE char *dir = path_join(work, "tree");

	(void)state;
	shell("cd '%s'; rm -rf tree; mkdir -p tree/usr/bin tree/etc; cd tree; echo b >usr/bin/b; "
	      "chmod 4755 usr/bin/b; echo a >etc/a; chmod 600 etc/a; chown 7:8 etc/a || :; chmod "
	      "700 "
	      "etc; "
	      "ln -s /etc/passwd etc/link; ln -s gone etc/dangling",
	      work);
	assert_ok(overlay_new(&o, e));
	assert_ok(overlay_add_tree(o, dir, e));
	assert_int_equal(o->n, 7);
	assert_string_equal(o->entries[0].path, "/etc");
	assert_int_equal(o->entries[0].attr.mode, 0700);
	assert_string_equal(o->entries[1].path, "/etc/a");
	assert_int_equal(o->entries[1].attr.mode, 0600);
	assert_int_equal(o->entries[1].attr.uid, 0);
	assert_string_equal(o->entries[1].data, "a\n");
	assert_int_equal(overlay_find(o, "/etc/link")->kind, OVERLAY_SYMLINK);
	assert_string_equal(overlay_find(o, "/etc/link")->data, "/etc/passwd");
	assert_int_equal(overlay_find(o, "/usr/bin/b")->attr.mode, 04755);
	shell("cd '%s/tree'; mkfifo etc/fifo", work);
	assert_fails(overlay_add_tree(o, dir, e), EINVAL, "etc/fifo' is neither");
}

static void a_tar_archive_keeps_numeric_owners(void **state)
{
	static const char *const filters[] = {"", "z", "j", "J"};

	(void)state;
	shell("cd '%s'; rm -rf t; mkdir -p t/etc; cd t; echo a >etc/a; ln etc/a etc/hard; "
	      "ln -s a etc/soft; chmod 640 etc/a; truncate -s 100000 etc/sparse; setfattr -n "
	      "user.note -v hi etc/a || :",
	      work);
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		AUTO(overlay_free) struct overlay *o = NULL;
		AUTO_FREE char *tar = path_join(work, "t.tar");
		const struct overlay_entry *x;

		shell("cd '%s'; tar --owner=nobody:70000 --group=grp:80000 --sort=name -S -c%sf "
		      "t.tar "
		      "-C t .",
		      work, filters[i]);
		assert_ok(overlay_new(&o, e));
		assert_ok(overlay_add_tar(o, tar, e));
		x = overlay_find(o, "/etc/a");
		assert_non_null(x);
		assert_int_equal(x->attr.uid, 70000);
		assert_int_equal(x->attr.gid, 80000);
		assert_int_equal(x->attr.mode, 0640);
		assert_string_equal(overlay_find(o, "/etc/hard")->data, "a\n");
		assert_string_equal(overlay_find(o, "/etc/soft")->data, "a");
		assert_int_equal(overlay_find(o, "/etc/sparse")->len, 100000);
	}
}

static void hostile_archives_are_refused(void **state)
{
	static const struct {
		const char *make;
		int code;
		const char *word;
	} cases[] = {
		{"tar -P -cf h.tar --transform 's,^,../,' x", EINVAL, "'..'"},
		{"mkfifo -m 644 p; tar -cf h.tar p", EINVAL, "'/p' is neither"},
		{"ln x y; tar -cf h.tar x y; tar --delete -f h.tar x", ENOTSUP, "hard link"},
		{"printf nonsense-that-is-no-archive >h.tar", EBADMSG, "h.tar"},
		{"tar -cf h.tar big; truncate -s 3000 h.tar", EBADMSG, "h.tar"},
		{"truncate -s 300M huge; tar -cSf h.tar huge", EFBIG, "256 MiB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(overlay_free) struct overlay *o = NULL;
		AUTO_FREE char *tar = path_join(work, "h/h.tar");

		shell("cd '%s'; rm -rf h; mkdir h; cd h; echo x >x; head -c 9000 /dev/zero >big; "
		      "%s",
		      work, cases[i].make);
		assert_ok(overlay_new(&o, e));
		assert_fails(overlay_add_tar(o, tar, e), cases[i].code, cases[i].word);
	}
}

/* ---- the guest ------------------------------------------------------------------------------- */

static void make_guest(const char *script)
{
	shell("cd '%s'; rm -rf root root.img; mkdir -p root/etc root/bin root/sbin; cd root; "
	      "elf() { printf '\\177ELF\\2\\1\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\3\\0\\76\\0' >$1; }; "
	      "elf bin/sh; %s; "
	      "cd ..; truncate -s 8M root.img; mke2fs -q -F -t ext4 -d root root.img",
	      work, script);
}

static struct image *open_guest(unsigned flags)
{
	AUTO_FREE char *path = path_join(work, "root.img");
	struct image *im = NULL;

	assert_ok(image_open(path, &(struct image_open_opts){.format = "raw", .flags = flags}, &im,
			     e));
	return im;
}

static void distributions_and_inits_are_recognised(void **state)
{
	static const struct {
		const char *script, *name, *init;
		enum guest_services services;
	} cases[] = {
		{"echo 'NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"' >etc/os-release; "
		 "mkdir -p lib/systemd; elf lib/systemd/systemd; ln -s /lib/systemd/systemd "
		 "sbin/init",
		 "Debian GNU/Linux 12 (bookworm)", "systemd", GUEST_SYSTEMD},
		{"mkdir -p usr/lib/systemd; elf usr/lib/systemd/systemd; "
		 "echo \"NAME='Plain Name'\" >usr/lib/os-release",
		 "Plain Name", "systemd", GUEST_SYSTEMD},
		{"echo 'CentOS release 6.10 (Final)' >etc/redhat-release; elf sbin/init; "
		 "elf sbin/initctl; mkdir etc/init; touch etc/inittab",
		 "CentOS release 6.10 (Final)", "upstart", GUEST_UPSTART},
		{"echo 'Amazon Linux AMI release 2018.03' >etc/system-release; elf sbin/init; "
		 "elf sbin/initctl; mkdir -p etc/init etc/rc.d/rc3.d; touch etc/rc.d/rc.sysinit",
		 "Amazon Linux AMI release 2018.03", "upstart", GUEST_SYSV_REDHAT},
		{"echo 'SUSE Linux Enterprise Server 11 (x86_64)' >etc/SuSE-release; elf "
		 "sbin/init; "
		 "mkdir -p etc/init.d/boot.d; touch etc/inittab",
		 "SUSE Linux Enterprise Server 11 (x86_64)", "sysv", GUEST_SYSV_SUSE},
		{"echo 7.11 >etc/debian_version; elf sbin/init; touch etc/inittab",
		 "Debian GNU/Linux 7.11", "sysv", GUEST_SERVICES_UNKNOWN},
		{"echo 3.18.4 >etc/alpine-release; elf bin/busybox; ln -s /bin/busybox sbin/init; "
		 "touch sbin/openrc; mkdir etc/runlevels; touch etc/inittab",
		 "Alpine Linux 3.18.4", "openrc", GUEST_OPENRC},
		/* systemd is installed, but it is not what starts the guest. */
		{"mkdir -p lib/systemd etc/init.d; elf lib/systemd/systemd; elf sbin/init; "
		 "touch etc/init.d/rc; mkdir etc/rcS.d",
		 "unknown", "sysv", GUEST_SYSV},
		{"ln -s loop sbin/init; ln -s init sbin/loop", "unknown", "unknown",
		 GUEST_SERVICES_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(image_close) struct image *im = NULL;
		AUTO(guest_fs_close) struct guest_fs *fs = NULL;
		AUTO(distro_release) struct distro d = {0};
		struct elf_machine m;

		make_guest(cases[i].script);
		im = open_guest(0);
		assert_ok(guest_fs_open(im, 0, image_size(im), 0, &fs, e));
		assert_ok(distro_detect(fs, &d, e));
		assert_string_equal(d.name, cases[i].name);
		assert_string_equal(d.init, cases[i].init);
		assert_int_equal(d.services, cases[i].services);
		assert_ok(distro_machine(fs, &m, e));
		assert_int_equal(m.machine, 62);
		assert_int_equal(m.bits, 64);
	}
}

static void os_release_is_read_without_a_shell(void **state)
{
	static const char text[] = "# PRETTY_NAME=no\nXPRETTY_NAME=no\nA=\"a \\\"q\\\" $(id)\"\n"
				   "B='single \\n'\nC=bare word\nD=\nE=\"open\n";
	static const char *const expected[][2] = {{"A", "a \"q\" $(id)"},
						  {"B", "single \\n"},
						  {"C", "bare"},
						  {"D", ""},
						  {"E", "open"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		AUTO_FREE char *v = os_release_value(text, expected[i][0]);

		assert_string_equal(v, expected[i][1]);
	}
	assert_null(os_release_value(text, "PRETTY_NAME"));
	assert_null(os_release_value("", "X"));
}

static int collect(void *ctx, const char *target, const char *suffix)
{
	return buf_addf(ctx, "%s%s ", target, suffix);
}

static void a_units_targets_come_from_its_install_section(void **state)
{
	AUTO_BUF out = BUF_INIT;

	(void)state;
	assert_int_equal(unit_install_targets("[Unit]\nWantedBy=no.target\n[Install]\n"
					      "WantedBy=a.target  b.target\nRequiredBy=c.target\n"
					      "#WantedBy=no\n[Service]\nWantedBy=no\n",
					      collect, &out),
			 0);
	assert_string_equal(out.data, "a.target.wants b.target.wants c.target.requires ");
}

static const char systemd_guest[] =
	"mkdir -p usr/lib/systemd/system usr/sbin usr/bin; rmdir sbin; ln -s usr/sbin sbin; "
	"mv bin/sh usr/bin/sh; rmdir bin; ln -s usr/bin bin; ln -s usr/lib lib; "
	"elf usr/lib/systemd/systemd; ln -s /lib/systemd/systemd usr/sbin/init; "
	"touch usr/lib/systemd/system/basic.target; echo keep >etc/keep";

static void make_data(const char *machine)
{
	shell("cd '%s'; rm -rf data; mkdir -p data/guest/systemd; cd data/guest; "
	      "printf '\\177ELF\\2\\1\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\3\\0\\%s\\0 ctxd' >ctxd; "
	      "printf '[Unit]\\n[Install]\\nWantedBy=sysinit.target\\n' >systemd/ctxd-x.service",
	      work, machine);
}

static void apply(struct overlay *o, struct inject_report *r)
{
	AUTO(image_close) struct image *im = open_guest(IMAGE_RDWR);

	assert_ok(inject_apply(im, o, &(struct inject_opts){.now = 1700000000}, r, e));
	shell("e2fsck -fn '%s/root.img'", work);
}

static void ctxd_is_put_where_the_guest_has_its_units(void **state)
{
	AUTO(inject_report_release) struct inject_report r = {0}, again = {0};
	AUTO(overlay_free) struct overlay *o = NULL;
	AUTO_FREE char *data = path_join(work, "data");

	(void)state;
	setenv("ACCLIMATE_DATADIR", data, 1);
	make_data("76");
	make_guest(systemd_guest);
	assert_ok(overlay_new(&o, e));
	assert_ok(overlay_add_ctxd(o, e));
	apply(o, &r);
	assert_string_equal(r.init, "systemd");
	assert_string_equal(r.changes.data,
			    "+ /usr/sbin/ctxd\n"
			    "+ /usr/lib/systemd/system/ctxd-x.service\n"
			    "+ /etc/systemd\n"
			    "+ /etc/systemd/system\n"
			    "+ /etc/systemd/system/sysinit.target.wants\n"
			    "+ /etc/systemd/system/sysinit.target.wants/ctxd-x.service\n"
			    "+ /etc/acclimate\n"
			    "+ /etc/acclimate/ctxd\n");
	apply(o, &again);
	assert_int_equal(again.changes.len, 0);
	make_guest("mkdir -p lib/systemd/system; elf lib/systemd/systemd; "
		   "ln -s /lib/systemd/systemd sbin/init; touch lib/systemd/system/basic.target; "
		   "mkdir -p usr/sbin usr/lib/systemd/system");
	inject_report_release(&r);
	apply(o, &r);
	assert_non_null(strstr(r.changes.data, "+ /lib/systemd/system/ctxd-x.service\n"));
}

static void ctxd_is_refused_where_it_cannot_run(void **state)
{
	struct inject_report r;
	AUTO(image_close) struct image *im = NULL;
	AUTO(overlay_free) struct overlay *o = NULL;
	AUTO_FREE char *data = path_join(work, "data");
	const struct inject_opts opts = {0};

	(void)state;
	setenv("ACCLIMATE_DATADIR", data, 1);
	make_data("267");
	assert_ok(overlay_new(&o, e));
	assert_ok(overlay_add_ctxd(o, e));
	make_guest(systemd_guest);
	im = open_guest(IMAGE_RDWR);
	assert_fails(inject_apply(im, o, &opts, &r, e), ENOTSUP,
		     "AArch64, the guest is for x86-64");
	shell("rm -rf '%s/data/guest'", work);
	assert_fails(overlay_add_ctxd(o, e), ENOENT, "ctxd");
	make_data("76");
	overlay_free(o);
	assert_ok(overlay_new(&o, e));
	assert_ok(overlay_add_ctxd(o, e));
	image_close(im);
	make_guest("elf sbin/init; touch etc/inittab");
	im = open_guest(IMAGE_RDWR);
	assert_fails(inject_apply(im, o, &opts, &r, e), ENOTSUP, "init is sysv");
	assert_null(r.distro);
}

static void a_link_to_a_folder_stays_a_link(void **state)
{
	AUTO(inject_report_release) struct inject_report r = {0};
	AUTO(overlay_free) struct overlay *o = NULL;
	const struct inject_opts opts = {0};
	AUTO(image_close) struct image *im = NULL;
	struct inject_report failed;

	(void)state;
	make_guest(systemd_guest);
	assert_ok(overlay_new(&o, e));
	assert_ok(overlay_add_dir(o, "/lib/new", &(struct overlay_attr){.mode = 0700}, e));
	assert_ok(overlay_add_dir(o, "/lib", &(struct overlay_attr){.mode = 0700}, e));
	assert_ok(overlay_add_file(o, "/sbin/tool", "t", 1, &plain, e));
	assert_ok(overlay_add_delete(o, "/etc/not-there", e));
	apply(o, &r);
	assert_string_equal(r.changes.data, "+ /lib/new\n+ /sbin/tool\n");
	shell("cd '%s'; debugfs -R 'stat /lib' root.img | grep -q symlink; "
	      "debugfs -R 'stat /usr/sbin/tool' root.img | grep -q 'Type: regular'",
	      work);
	assert_ok(overlay_add_file(o, "/etc/keep/x", "t", 1, &plain, e));
	im = open_guest(IMAGE_RDWR);
	assert_fails(inject_apply(im, o, &opts, &failed, e), ENOTDIR, "/etc/keep");
}

static int setup(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/acclimate-overlay", &work, NULL);
}

static int teardown(void **state)
{
	(void)state;
	fs_remove_tree(work, NULL);
	free(work);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_made_canonical_or_refused),
		cmocka_unit_test(a_folder_keeps_modes_and_links_and_belongs_to_root),
		cmocka_unit_test(a_tar_archive_keeps_numeric_owners),
		cmocka_unit_test(hostile_archives_are_refused),
		cmocka_unit_test(distributions_and_inits_are_recognised),
		cmocka_unit_test(os_release_is_read_without_a_shell),
		cmocka_unit_test(a_units_targets_come_from_its_install_section),
		cmocka_unit_test(ctxd_is_put_where_the_guest_has_its_units),
		cmocka_unit_test(ctxd_is_refused_where_it_cannot_run),
		cmocka_unit_test(a_link_to_a_folder_stays_a_link),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
