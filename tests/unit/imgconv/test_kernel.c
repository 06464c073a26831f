/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kernel of a guest is booted, and how: menu.lst, links, versions, command lines. The file
 * systems are made by mke2fs, the menus are judged by grub-script-check.
 */
#include "helper.h"

#include "imgconv/disk/cmdline.h"
#include "imgconv/disk/grub.h"
#include "imgconv/disk/kernel.h"
#include "imgconv/disk/menulst.h"

#define UUID "6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b"

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

/*
 * A guest from a script that runs in its root, with two programs: `bz FILE`, which makes what has
 * the header of a bzImage, and `xen FILE`, which makes a compressed ELF file.
 */
static struct guest_fs *make_guest(const char *script, struct image **im)
{
	AUTO_FREE char *path = path_join(work, "fs");
	struct guest_fs *fs = NULL;

	shell("cd '%s'; rm -rf tree fs; mkdir -p tree/boot/grub; cd tree; "
	      "bz() { head -c 510 /dev/zero >$1; printf '\\125\\252\\353\\152HdrS\\14\\2' >>$1; "
	      "head -c 1000 /dev/zero >>$1; }; "
	      "xen() { { printf '\\177ELF'; head -c 4000 /dev/zero; } | gzip >$1; }; "
	      "initrd() { echo initrd >$1; }; "
	      "%s; cd ..; truncate -s 4M fs; mke2fs -q -F -t ext4 -O ^has_journal -U %s -d tree fs",
	      work, script, UUID);
	assert_ok(image_open(path, &(struct image_open_opts){.format = "raw"}, im, e));
	assert_ok(guest_fs_open(*im, 0, image_size(*im), 0, &fs, e));
	return fs;
}

static void expect(const char *script, const struct boot_opts *o, const char *kernel,
		   const char *initrd, const char *cmdline, const char *source)
{
	AUTO(boot_report_release) struct boot_report r = {0};
	AUTO(image_close) struct image *im = NULL;
	AUTO(guest_fs_close) struct guest_fs *fs = make_guest(script, &im);

	assert_ok(kernel_find(fs, o, &r, e));
	assert_string_equal(r.kernel, kernel);
	if (initrd)
		assert_string_equal(r.initrd, initrd);
	else
		assert_null(r.initrd);
	assert_string_equal(r.cmdline, cmdline);
	assert_string_equal(r.source, source);
}

static void expect_failure(const char *script, const struct boot_opts *o, int code,
			   const char *text)
{
	AUTO(boot_report_release) struct boot_report r = {0};
	AUTO(image_close) struct image *im = NULL;
	AUTO(guest_fs_close) struct guest_fs *fs = make_guest(script, &im);

	assert_fails(kernel_find(fs, o, &r, e), code, text);
	assert_null(r.kernel);
}

static const struct boot_opts none;

/* ---- choice ---------------------------------------------------------------------------------- */

static void the_default_entry_of_menu_lst_is_booted(void **state)
{
	(void)state;
	expect("bz boot/vmlinuz-1; bz boot/vmlinuz-2; initrd boot/initrd-2; "
	       "printf 'default 1\\ntitle a\\nkernel /boot/vmlinuz-1 root=/dev/sda1\\n"
	       "title b\\nroot (hd0)\\n\\tkernel\\t(hd0)/boot/vmlinuz-2  root=/dev/xvda ro x=y  \\n"
	       "initrd=/boot/initrd-2\\n' >boot/grub/menu.lst",
	       &none, "/boot/vmlinuz-2", "/boot/initrd-2", "root=/dev/xvda ro x=y",
	       "/boot/grub/menu.lst");
}

static void an_entry_without_its_file_gives_way_to_the_next(void **state)
{
	(void)state;
	expect("bz boot/vmlinuz-1; printf 'title a\\nkernel /boot/gone\\n"
	       "title b\\nkernel /boot/vmlinuz-1 ro\\n' >boot/grub/menu.lst",
	       &none, "/boot/vmlinuz-1", NULL, "ro", "/boot/grub/menu.lst");
	expect("bz boot/vmlinuz-1; xen boot/vmlinuz-1-xen; "
	       "printf 'title a\\nkernel /boot/vmlinuz-1-xen\\n' >boot/grub/menu.lst",
	       &none, "/boot/vmlinuz-1", NULL, "ro", "/boot");
}

static void a_link_that_the_guest_keeps_is_preferred(void **state)
{
	static const char menu[] =
		"bz boot/vmlinuz-1; initrd boot/initrd.img-1; bz boot/vmlinuz-2; "
		"initrd boot/initrd.img-2; "
		"printf 'title a\\nkernel /boot/vmlinuz-1 ro\\ninitrd /boot/initrd.img-1\\n' "
		">boot/grub/menu.lst; ";
	AUTO_FREE char *same = str_format(
		"%sln -s boot/vmlinuz-1 vmlinuz; ln -s /boot/initrd.img-1 initrd.img", menu);
	AUTO_FREE char *other = str_format(
		"%sln -s boot/vmlinuz-2 vmlinuz; ln -s boot/initrd.img-2 initrd.img", menu);
	AUTO_FREE char *half = str_format(
		"%sln -s boot/vmlinuz-1 vmlinuz; ln -s boot/initrd.img-2 initrd.img", menu);

	(void)state;
	expect(same, &none, "/vmlinuz", "/initrd.img", "ro", "/boot/grub/menu.lst");
	expect(other, &none, "/boot/vmlinuz-1", "/boot/initrd.img-1", "ro", "/boot/grub/menu.lst");
	expect(half, &none, "/boot/vmlinuz-1", "/boot/initrd.img-1", "ro", "/boot/grub/menu.lst");
}

static void without_a_menu_links_and_then_the_newest_are_taken(void **state)
{
	(void)state;
	expect("bz boot/vmlinuz-5; initrd boot/initrd.img-5; ln -s boot/vmlinuz-5 vmlinuz; "
	       "ln -s boot/initrd.img-5 initrd.img",
	       &none, "/vmlinuz", "/initrd.img", "ro", "/vmlinuz");
	expect("bz boot/vmlinuz-5.10.0-9; bz boot/vmlinuz-5.10.0-20; bz boot/vmlinuz-0-rescue-f00; "
	       "xen boot/vmlinuz-6.0-xen; initrd boot/initramfs-5.10.0-20.img",
	       &none, "/boot/vmlinuz-5.10.0-20", "/boot/initramfs-5.10.0-20.img", "ro", "/boot");
}

static void the_user_may_choose(void **state)
{
	const struct boot_opts kernel = {.kernel = "/boot/vmlinuz-1"};
	const struct boot_opts both = {.kernel = "/boot/vmlinuz-1", .initrd = "/boot/mine"};
	const struct boot_opts missing = {.kernel = "/boot/vmlinuz-1", .initrd = "/boot/no"};
	const struct boot_opts wrong = {.kernel = "/boot/no"};

	(void)state;
	expect("bz boot/vmlinuz-1; bz boot/vmlinuz-2; initrd boot/initrd-1", &kernel,
	       "/boot/vmlinuz-1", "/boot/initrd-1", "ro", "--kernel");
	expect("bz boot/vmlinuz-1; initrd boot/mine", &both, "/boot/vmlinuz-1", "/boot/mine", "ro",
	       "--kernel");
	expect_failure("bz boot/vmlinuz-1", &missing, ENOENT, "/boot/no");
	expect_failure("bz boot/vmlinuz-1", &wrong, ENOENT, "/boot/no");
}

static void guests_that_cannot_boot_say_why(void **state)
{
	(void)state;
	expect_failure(":", &none, ENOENT, "no kernel");
	expect_failure("xen boot/vmlinuz-2.6.18-xen", &none, ENOTSUP, "Xen only");
	expect_failure("xen boot/k; printf 'title t\\nkernel /boot/k\\n' >boot/grub/menu.lst",
		       &none, ENOTSUP, "menu.lst', entry 't': kernel '/boot/k' is no bzImage");
	expect_failure("echo text >boot/vmlinuz-1", &none, ENOTSUP, "is no kernel");
	expect_failure("bz boot/vmlinuz-1; echo CONFIG_XEN=y >boot/config-1", &none, ENOTSUP,
		       "no driver");
	expect("bz boot/vmlinuz-1; echo CONFIG_VIRTIO_BLK=m >boot/config-1", &none,
	       "/boot/vmlinuz-1", NULL, "ro", "/boot");
	expect_failure("ln -s vmlinuz vmlinuz; ln -s ../../../etc/passwd boot/vmlinuz-1", &none,
		       ENOENT, "vmlinuz-1");
}

static void versions_compare_by_their_numbers(void **state)
{
	static const char *const ascending[] = {"2.6.32-5",  "2.6.32-5-amd64", "3.2.0-4-amd64",
						"3.16.0-11", "4.9.0-3",        "4.19.0-1",
						"5.10.0-9",  "5.10.0-20",      "6.1.0-56"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ascending); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(ascending); j++) {
			int c = kernel_version_compare(ascending[i], ascending[j]);

			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
		}
	}
	assert_true(kernel_version_compare("1.010", "1.9") > 0);
}

/* ---- menu.lst -------------------------------------------------------------------------------- */

static void menus_are_read_as_grub_reads_them(void **state)
{
	static const char text[] =
		"# a comment\r\n"
		"default = 2\r\n"
		"timeout 3\n"
		"color blue/black\n"
		"kernel /before/any/title\n"
		"title no kernel\n"
		"chainloader +1\n"
		"  title  Xen  \n"
		"root (hd0,0)\n"
		"kernel /boot/xen.gz dom0_mem=1G\n"
		"module /boot/vmlinuz-xen root=/dev/sda1 ro\n"
		"module /boot/initrd-xen\n"
		"module /boot/more\n"
		"title=plain\n"
		"kernel --no-mem-option --type=linux (hd0,0)/vmlinuz a=\"b c\" \\\n"
		"   quiet\n"
		"#kernel /commented\n"
		"initrd (hd0,0)/initrd.img\n"
		"titleless\n"
		"title relative\nkernel vmlinuz\n"
		"title bare\nkernel /k";
	AUTO(menulst_release) struct menulst m = {0};

	(void)state;
	assert_ok(menulst_parse(text, sizeof(text) - 1, &m, e));
	assert_int_equal(m.n_entries, 3);
	assert_int_equal(m.default_entry, 1);
	assert_string_equal(m.entries[0].kernel, "/boot/vmlinuz-xen");
	assert_string_equal(m.entries[0].args, "root=/dev/sda1 ro");
	assert_string_equal(m.entries[0].initrd, "/boot/initrd-xen");
	assert_string_equal(m.entries[1].title, "plain");
	assert_string_equal(m.entries[1].kernel, "/vmlinuz");
	assert_string_equal(m.entries[1].args, "a=\"b c\"    quiet");
	assert_string_equal(m.entries[1].initrd, "/initrd.img");
	assert_string_equal(m.entries[2].kernel, "/k");
	assert_string_equal(m.entries[2].args, "");
	assert_null(m.entries[2].initrd);
}

static int parse_text(const char *text, struct menulst *m, struct err *e)
{
	menulst_release(m);
	return menulst_parse(text, strlen(text), m, e);
}

static void odd_menus_are_harmless(void **state)
{
	AUTO(menulst_release) struct menulst m = {0};
	AUTO_BUF big = BUF_INIT;

	(void)state;
	assert_ok(parse_text("", &m, e));
	assert_int_equal(m.n_entries, 0);
	assert_ok(parse_text("title x\nkernel\ninitrd\nmodule\n\\", &m, e));
	assert_int_equal(m.n_entries, 0);
	assert_ok(parse_text("title x\nkernel /k\\\n", &m, e));
	assert_string_equal(m.entries[0].kernel, "/k\\");
	assert_ok(parse_text("default saved\ntitle x\nkernel /k\n", &m, e));
	assert_int_equal(m.default_entry, 0);
	assert_ok(parse_text("default 99\ntitle x\nkernel /k\n", &m, e));
	assert_int_equal(m.default_entry, 0);
	menulst_release(&m);
	assert_fails(menulst_parse("title\0x", 7, &m, e), EBADMSG, "NUL");
	for (unsigned i = 0; i < 101; i++)
		assert_int_equal(buf_adds(&big, "title t\n"), 0);
	assert_fails(parse_text(big.data, &m, e), EFBIG, "line 101");
	for (unsigned i = 0; i < 9000; i++)
		assert_int_equal(buf_adds(&big, "title t\n"), 0);
	assert_fails(parse_text(big.data, &m, e), EFBIG, "bytes");
}

/* ---- command line and menu ------------------------------------------------------------------- */

static void command_lines_fit_the_new_disk(void **state)
{
	static const struct {
		const char *guest, *append, *expected;
		const char *root, *console;
	} cases[] = {
		{"root=/dev/xvda1 ro console=hvc0", NULL,
		 "root=UUID=" UUID " ro console=tty0 console=ttyS0,115200", "UUID=" UUID,
		 "ttyS0,115200"},
		{"root=LABEL=x ro", NULL,
		 "root=PARTUUID=0badcafe-01 ro console=tty0 console=ttyS0,115200",
		 "PARTUUID=0badcafe-01", "ttyS0,115200"},
		{"ro quiet console=xvc0 xencons=tty console=ttyS0,9600", "panic=5 b=\"c d\"",
		 "root=UUID=" UUID " ro quiet console=ttyS0,9600 panic=5 \"b=c d\"", "UUID=" UUID,
		 "ttyS0,115200"},
		{"console=tty0  a=\"two words\"", NULL,
		 "root=UUID=" UUID " console=tty0 \"a=two words\" console=ttyS0,115200",
		 "UUID=" UUID, "ttyS0,115200"},
		{"", NULL, "root=/dev/vda console=tty0 console=ttyAMA0", "/dev/vda", "ttyAMA0"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_FREE char *line = NULL;

		assert_ok(kernel_cmdline(cases[i].guest, cases[i].root, cases[i].console,
					 cases[i].append, &line, e));
		assert_string_equal(line, cases[i].expected);
	}
}

static void what_grub_cannot_pass_on_is_refused(void **state)
{
	static const char *const bad[] = {"a='b'", "a\\b", "a=\"b", "a\001b", "\303\244"};
	char *line = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = {0};

		assert_true(kernel_cmdline(bad[i], "x", "ttyS0", NULL, &line, &e) < 0);
		assert_true(kernel_cmdline("", "x", "ttyS0", bad[i], &line, &e) < 0);
	}
}

static void no_name_or_word_breaks_out_of_the_menu(void **state)
{
	struct boot_report r = {
		.kernel = (char *)"/boot/vm'linuz; } $(reboot) \\",
		.initrd = (char *)"/boot/init rd|$x",
		.cmdline = (char *)"root=UUID=" UUID " a=$b;} \"c=d {e\" #f <g",
	};
	const char *argv[] = {"grub-script-check", NULL};
	AUTO_BUF out = BUF_INIT;

	(void)state;
	assert_ok(grub_config(&r, UUID, &out, e));
	assert_non_null(strstr(out.data, "linux '/boot/vm'\\''linuz; } $(reboot) \\' "
					 "'root=UUID=" UUID "' 'a=$b;}' 'c=d {e' '#f' '<g'\n"));
	assert_non_null(strstr(out.data, "initrd '/boot/init rd|$x'\n"));
	assert_ok(proc_run(argv, out.data, out.len, NULL, 0, PATIENCE_S, e));
	r.kernel = (char *)"/boot/vmlinuz\nreboot";
	buf_clear(&out);
	assert_fails(grub_config(&r, UUID, &out, e), ENOTSUP, "control character");
}

static int setup(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/acclimate-kernel", &work, NULL);
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
		cmocka_unit_test(the_default_entry_of_menu_lst_is_booted),
		cmocka_unit_test(an_entry_without_its_file_gives_way_to_the_next),
		cmocka_unit_test(a_link_that_the_guest_keeps_is_preferred),
		cmocka_unit_test(without_a_menu_links_and_then_the_newest_are_taken),
		cmocka_unit_test(the_user_may_choose),
		cmocka_unit_test(guests_that_cannot_boot_say_why),
		cmocka_unit_test(versions_compare_by_their_numbers),
		cmocka_unit_test(menus_are_read_as_grub_reads_them),
		cmocka_unit_test(odd_menus_are_harmless),
		cmocka_unit_test(command_lines_fit_the_new_disk),
		cmocka_unit_test(what_grub_cannot_pass_on_is_refused),
		cmocka_unit_test(no_name_or_word_breaks_out_of_the_menu),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
