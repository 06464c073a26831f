/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and changing ext2/3/4 inside an image. File systems are made by mke2fs and debugfs, and
 * e2fsck has the last word on every change.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "imgconv/guestfs.h"
#include "lib/digest.h"
#include "lib/fs.h"
#include "lib/proc.h"
#include "lib/str.h"

#define START MIB /* every file system lies behind a first MiB of something else */

static char *work; /* temporary folder */
static struct err e;

static char *in_work(const char *name)
{
	return path_join(work, name);
}

static void run(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void run(const char *fmt, ...)
{
	char cmd[8192];
	const char *argv[] = {"sh", "-ec", cmd, NULL};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (proc_run(argv, NULL, 0, NULL, 0, 600, &e) < 0)
		fail_msg("%s: %s", cmd, e.msg);
}

static void output(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void output(struct buf *out, const char *fmt, ...)
{
	char cmd[8192];
	const char *argv[] = {"sh", "-ec", cmd, NULL};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (proc_run(argv, NULL, 0, out, MIB, 600, &e) < 0)
		fail_msg("%s: %s", cmd, e.msg);
}

/* A file system of `size` (as truncate takes it) in work/NAME.fs, from work/tree; made once. */
static void make_fs(const char *name, const char *size, const char *args)
{
	AUTO_FREE char *file = str_format("%s/%s.fs", work, name);

	if (!access(file, F_OK))
		return;
	run("cd '%s'; truncate -s %s %s.fs; "
	    "E2FSPROGS_FAKE_TIME=1600000000 mke2fs -q -F -U 6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b "
	    "-E hash_seed=6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b,root_owner=0:0 %s -d tree %s.fs",
	    work, size, name, args, name);
}

/* The same behind the first MiB of work/NAME.img. */
static void make_image(const char *name)
{
	run("cd '%s'; head -c %u /dev/zero | tr '\\0' x >%s.img; "
	    "dd if=%s.fs of=%s.img bs=%u seek=1 conv=sparse,notrunc status=none; "
	    "truncate -s $((%u + $(stat -c %%s %s.fs))) %s.img",
	    work, (unsigned)START, name, name, name, (unsigned)START, (unsigned)START, name, name);
}

static struct guest_fs *open_fs(const char *name, unsigned flags, struct image **im)
{
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *file = str_format("%s.img", name);
	struct image_open_opts o = {.format = "raw",
				    .flags = flags & GUEST_FS_WRITE ? IMAGE_RDWR : 0};
	struct guest_fs *fs = NULL;

	path = in_work(file);
	if (image_open(path, &o, im, &e) < 0)
		fail_msg("%s", e.msg);
	if (guest_fs_open(*im, START, image_size(*im) - START, flags, &fs, &e) < 0) {
		image_close(*im);
		*im = NULL;
		return NULL;
	}
	guest_fs_set_time(fs, 1700000000);
	return fs;
}

static void close_fs(struct guest_fs *fs, struct image *im)
{
	guest_fs_close(fs);
	image_close(im);
}

/* Takes the file system out of the image again and lets e2fsck judge it. */
static void fsck(const char *name)
{
	AUTO_BUF out = BUF_INIT;

	output(&out,
	       "cd '%s'; dd if=%s.img of=%s.out bs=1M skip=1 conv=sparse status=none; "
	       "e2fsck -fn %s.out 2>&1 || echo FAILED",
	       work, name, name, name);
	if (strstr(buf_str(&out), "FAILED") || strstr(buf_str(&out), "WARNING"))
		fail_msg("%s: %s", name, buf_str(&out));
}

static void assert_debugfs(const char *name, const char *command, const char *expected)
{
	AUTO_BUF out = BUF_INIT;

	output(&out, "cd '%s'; debugfs -R '%s' %s.out 2>/dev/null", work, command, name);
	if (!strstr(buf_str(&out), expected))
		fail_msg("%s: debugfs '%s' says '%s', not '%s'", name, command, buf_str(&out),
			 expected);
}

static const struct overlay_attr root_file = {.mode = 0644};
static const struct overlay_attr root_dir = {.mode = 0755};

static void ok(int rc)
{
	if (rc < 0)
		fail_msg("%s", e.msg);
}

static void write_text(struct guest_fs *fs, const char *path, const char *text)
{
	ok(guest_fs_write_file(fs, path, text, strlen(text), &root_file, &e));
}

static void assert_content(struct guest_fs *fs, const char *path, const char *text)
{
	AUTO_BUF out = BUF_INIT;

	ok(guest_fs_read_file(fs, path, MIB, &out, &e));
	assert_string_equal(buf_str(&out), text);
}

/* ---- fixtures ------------------------------------------------------------------------------- */

static const struct variant {
	const char *name, *size, *args;
} variants[] = {
	{"ext4", "24M", "-t ext4"},
	{"ext4_1k", "24M", "-t ext4 -b 1024"},
	{"ext4_64k_clusters", "64M", "-t ext4 -O bigalloc -C 65536 -N 4096"},
	{"no_csum", "24M", "-t ext4 -O ^metadata_csum"},
	{"no_csum_gdt", "24M", "-t ext4 -O ^metadata_csum,uninit_bg"},
	{"csum_seed", "24M", "-t ext4 -O metadata_csum,metadata_csum_seed"},
	{"bits32", "24M", "-t ext4 -O ^64bit"},
	{"inline_data", "24M", "-t ext4 -O inline_data"},
	{"inline_small_inodes", "24M", "-t ext4 -I 128"},
	{"ext3", "24M", "-t ext3"},
	{"ext2", "24M", "-t ext2"},
	{"ext2_1k_128", "24M", "-t ext2 -b 1024 -I 128"},
	{"ext2_rev0", "24M", "-t ext2 -r 0 -I 128 -O none"},
	{"no_index", "24M", "-t ext4 -O ^dir_index"},
	{"no_filetype", "24M", "-t ext2 -O ^filetype"},
	{"meta_bg", "24M", "-t ext4 -O meta_bg,^resize_inode"},
	{"orphan_file", "24M", "-t ext4 -O orphan_file"},
	{"large_inodes", "24M", "-t ext4 -I 1024"},
	{"no_xattr", "24M", "-t ext4 -O ^ext_attr"},
	{"no_journal", "24M", "-t ext4 -O ^has_journal"},
	{"sparse_super2", "24M", "-t ext4 -O sparse_super2"},
	{"mmp", "24M", "-t ext4 -O mmp"},
};

/* A folder of many blocks with few inodes, which mke2fs would fill slowly. */
#define BIG_FOLDER 500 /* as the script has it */
#define LONG_NAME                                                                                  \
	"a-rather-long-name-to-fill-blocks-with-and-to-make-an-index-that-has-more-than-one-"      \
	"block-even-where-the-blocks-are-large-"

static const char tree_script[] =
	"cd '%s'; mkdir tree; cd tree; mkdir -p etc/sub usr/lib/deep home big small; "
	"echo root:x:0:0 >etc/passwd; ln -s usr/lib lib; echo found >usr/lib/deep/file; "
	"ln -s ../../../../../etc/passwd home/up; ln -s /etc/passwd home/abs; "
	"ln -s loop2 home/loop1; ln -s loop1 home/loop2; "
	"ln -s /%s home/long; "
	"ln etc/passwd etc/passwd.hard; "
	"head -c 300000 /dev/urandom >home/blob; truncate -s 200000 home/sparse; "
	"printf tail >>home/sparse; "
	"seq -f 'big/" LONG_NAME "%%g' 1 500 | xargs touch; "
	"echo tiny >small/t";

static int setup(void **state)
{
	AUTO_FREE char *script = NULL;
	char long_target[901];

	(void)state;
	/* In memory if it can be. */
	if (fs_make_temp_dir("/dev/shm/acclimate-ext4", &work, &e) < 0 &&
	    fs_make_temp_dir("/tmp/acclimate-ext4", &work, &e) < 0)
		return -1;
	memset(long_target, 'd', 900);
	for (unsigned i = 0; i < 900; i += 30)
		long_target[i] = '/';
	long_target[900] = '\0';
	run(tree_script, work, long_target);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fs_remove_tree(work, NULL);
	free(work);
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct names {
	unsigned n;
	bool has_file;
};

static int count_name(void *ctx, const char *name, const struct guest_stat *st)
{
	struct names *names = ctx;

	names->n++;
	names->has_file |= !strcmp(name, "passwd") && S_ISREG(st->mode) && st->links == 2;
	return 0;
}

/* In pieces a file is what it is as a whole. */
static void assert_pieces(struct guest_fs *fs, const char *path)
{
	const size_t piece = 64 * KIB;
	AUTO(guest_file_close) struct guest_file *f = NULL;
	AUTO_FREE char *got = malloc(piece);
	AUTO_BUF whole = BUF_INIT;
	uint64_t off = 0;
	size_t n;

	ok(guest_fs_read_file(fs, path, MIB, &whole, &e));
	ok(guest_file_open(fs, path, &f, &e));
	assert_int_equal(guest_file_size(f), whole.len);
	do {
		memset(got, 'x', piece);
		ok(guest_file_read(f, got, piece, off, &n, &e));
		assert_true(n <= whole.len - off && (n == piece || off + n == whole.len));
		assert_memory_equal(got, whole.data + off, n);
		off += piece;
	} while (n == piece);
	ok(guest_file_read(f, got, piece, 1024 * piece, &n, &e));
	assert_int_equal(n, 0);
	assert_int_equal(guest_file_read(f, got, 1, 1, &n, &e), -EINVAL);
}

static void read_everything(const char *name)
{
	struct image *im;
	struct guest_fs *fs = open_fs(name, 0, &im);
	AUTO_BUF out = BUF_INIT;
	AUTO_BUF host = BUF_INIT;
	AUTO_FREE char *real = NULL;
	AUTO_FREE char *blob = in_work("tree/home/blob");
	struct names names = {0};
	struct guest_stat st;

	if (!fs)
		fail_msg("%s: %s", name, e.msg);
	assert_string_equal(guest_fs_uuid(fs), "6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b");
	assert_content(fs, "/etc/passwd", "root:x:0:0\n");
	assert_content(fs, "/lib/deep/../deep/./file", "found\n");
	assert_content(fs, "/home/up", "root:x:0:0\n");
	assert_content(fs, "/home/abs", "root:x:0:0\n");
	assert_content(fs, "/small/t", "tiny\n");
	ok(guest_fs_read_file(fs, "/home/blob", MIB, &out, &e));
	ok(fs_read_file(blob, MIB, &host, &e));
	assert_int_equal(out.len, host.len);
	assert_memory_equal(out.data, host.data, host.len);
	buf_clear(&out);
	ok(guest_fs_read_file(fs, "/home/sparse", MIB, &out, &e));
	assert_int_equal(out.len, 200004);
	assert_true(mem_is_zero(out.data, 200000));
	assert_string_equal(out.data + 200000, "tail");
	assert_pieces(fs, "/home/blob");
	assert_pieces(fs, "/home/sparse");
	assert_pieces(fs, "/small/t");
	ok(guest_fs_realpath(fs, "/home/../lib/deep", &real, &e));
	assert_string_equal(real, "/usr/lib/deep");
	buf_clear(&out);
	ok(guest_fs_readlink(fs, "/home/long", &out, &e));
	assert_int_equal(out.len, 901);
	ok(guest_fs_list(fs, "/etc", count_name, &names, &e));
	assert_int_equal(names.n, 3);
	assert_true(names.has_file);
	names.n = 0;
	ok(guest_fs_list(fs, "/big", count_name, &names, &e));
	assert_int_equal(names.n, BIG_FOLDER);
	ok(guest_fs_stat(fs, "/lib", false, &st, &e));
	assert_true(S_ISLNK(st.mode));
	ok(guest_fs_stat(fs, "/lib", true, &st, &e));
	assert_true(S_ISDIR(st.mode));
	close_fs(fs, im);
}

static void reads_every_kind_of_file_system(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
		make_fs(variants[i].name, variants[i].size, variants[i].args);
		make_image(variants[i].name);
		read_everything(variants[i].name);
	}
}

static void paths_stay_inside_the_guest(void **state)
{
	struct image *im;
	struct guest_fs *fs;
	AUTO_BUF out = BUF_INIT;
	AUTO_FREE char *real = NULL;
	struct guest_stat st;

	(void)state;
	make_fs("ext4", "24M", "-t ext4");
	make_image("ext4");
	fs = open_fs("ext4", 0, &im);
	ok(guest_fs_realpath(fs, "/../../../home/../../etc", &real, &e));
	assert_string_equal(real, "/etc");
	assert_int_equal(guest_fs_stat(fs, "/home/loop1", true, &st, &e), -ELOOP);
	ok(guest_fs_stat(fs, "/home/loop1", false, &st, &e));
	assert_int_equal(guest_fs_stat(fs, "/home/blob/x", true, &st, &e), -ENOTDIR);
	assert_int_equal(guest_fs_stat(fs, "/nowhere/x", true, &st, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/nowhere/x"));
	assert_int_equal(guest_fs_stat(fs, "etc", true, &st, &e), -EINVAL);
	assert_int_equal(guest_fs_read_file(fs, "/etc", MIB, &out, &e), -EISDIR);
	assert_int_equal(guest_fs_read_file(fs, "/home/blob", 1000, &out, &e), -EFBIG);
	assert_int_equal(guest_fs_write_file(fs, "/x", "", 0, &root_file, &e), -EROFS);
	close_fs(fs, im);
}

/* ---- changing -------------------------------------------------------------------------------- */

/* A bit of everything, on a file system made from the tree. */
static void change_everything(struct guest_fs *fs)
{
	AUTO_FREE char *big = malloc(700000);
	char name[256], target[401];

	assert_non_null(big);
	for (unsigned i = 0; i < 700000; i++)
		big[i] = (char)(i * 7 + i / 251);
	write_text(fs, "/etc/new", "new\n");
	write_text(fs, "/etc/passwd", "replaced\n");
	write_text(fs, "/small/t", "no longer tiny\n");
	write_text(fs, "/home/abs", "was a link\n");
	write_text(fs, "/etc/empty", "");
	ok(guest_fs_write_file(fs, "/lib/deep/big", big, 700000,
			       &(struct overlay_attr){.mode = 04750, .uid = 70000, .gid = 80000},
			       &e));
	write_text(fs, "/home/blob", "short\n");
	ok(guest_fs_mkdir(fs, "/opt", &root_dir, &e));
	ok(guest_fs_mkdir(fs, "/opt/a", &(struct overlay_attr){.mode = 01777, .uid = 5}, &e));
	write_text(fs, "/opt/a/f", "deep\n");
	ok(guest_fs_symlink(fs, "/opt/short", "a/f", &e));
	memset(target, 't', 400);
	target[400] = '\0';
	ok(guest_fs_symlink(fs, "/opt/slow", target, &e));
	ok(guest_fs_symlink(fs, "/opt/short", "a/f", &e)); /* replaced */
	ok(guest_fs_symlink(fs, "/home/up", "/opt/a/f", &e));
	for (unsigned i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "/opt/a/another-long-name-for-a-growing-folder-%u", i);
		write_text(fs, name, "x");
	}
	for (unsigned i = 0; i < 120; i++) {
		snprintf(name, sizeof(name), "/big/one-more-long-name-into-an-indexed-folder-%u",
			 i);
		write_text(fs, name, "y");
		snprintf(name, sizeof(name), "/big/" LONG_NAME "%u", i + 1);
		ok(guest_fs_remove(fs, name, &e));
	}
	ok(guest_fs_remove(fs, "/home/sparse", &e));
	ok(guest_fs_remove(fs, "/home/long", &e));
	ok(guest_fs_mkdir(fs, "/tmpdir", &root_dir, &e));
	ok(guest_fs_mkdir(fs, "/tmpdir/sub", &root_dir, &e));
	write_text(fs, "/tmpdir/sub/f", "gone soon\n");
	ok(guest_fs_remove(fs, "/tmpdir", &e));
}

static void check_everything(const char *name)
{
	struct image *im;
	struct guest_fs *fs = open_fs(name, 0, &im);
	struct names names = {0};
	struct guest_stat st;

	if (!fs)
		fail_msg("%s: %s", name, e.msg);
	assert_content(fs, "/etc/passwd", "replaced\n");
	assert_content(fs, "/etc/passwd.hard", "root:x:0:0\n");
	assert_content(fs, "/home/abs", "was a link\n");
	assert_content(fs, "/opt/short", "deep\n");
	assert_content(fs, "/home/up", "deep\n");
	ok(guest_fs_list(fs, "/big", count_name, &names, &e));
	assert_int_equal(names.n, BIG_FOLDER);
	ok(guest_fs_stat(fs, "/usr/lib/deep/big", true, &st, &e));
	assert_int_equal(st.mode, S_IFREG | 04750);
	assert_int_equal(st.uid, 70000);
	assert_int_equal(st.gid, 80000);
	assert_int_equal(st.size, 700000);
	assert_int_equal(guest_fs_stat(fs, "/tmpdir", true, &st, &e), -ENOENT);
	close_fs(fs, im);
	assert_debugfs(name, "cat /opt/a/f", "deep");
	assert_debugfs(name, "cat /small/t", "no longer tiny");
	assert_debugfs(name, "stat /opt/a", "Mode:  01777");
	assert_debugfs(name, "stat /etc/new", "Nov 14 22:13:20 2023");
	assert_debugfs(name, "stat /etc/passwd.hard", "Links: 1");
}

static void every_change_satisfies_e2fsck(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
		const char *name = variants[i].name;
		struct image *im;
		struct guest_fs *fs;

		make_fs(name, variants[i].size, variants[i].args);
		make_image(name);
		fs = open_fs(name, GUEST_FS_WRITE, &im);
		if (!fs)
			fail_msg("%s: %s", name, e.msg);
		change_everything(fs);
		ok(guest_fs_commit(fs, &e));
		close_fs(fs, im);
		fsck(name);
		check_everything(name);
	}
}

static void nothing_is_written_before_commit_or_outside(void **state)
{
	struct image *im;
	struct guest_fs *fs;

	(void)state;
	make_fs("ext4", "24M", "-t ext4");
	make_image("ext4");
	run("cd '%s'; cp ext4.img before.img", work);
	fs = open_fs("ext4", GUEST_FS_WRITE, &im);
	change_everything(fs);
	close_fs(fs, im);
	run("cd '%s'; cmp ext4.img before.img", work);
	fs = open_fs("ext4", GUEST_FS_WRITE, &im);
	ok(guest_fs_commit(fs, &e)); /* no change */
	run("cd '%s'; cmp ext4.img before.img", work);
	change_everything(fs);
	ok(guest_fs_commit(fs, &e));
	close_fs(fs, im);
	run("cd '%s'; cmp -n %u ext4.img before.img; ! cmp -s ext4.img before.img", work,
	    (unsigned)START);
}

static void the_same_changes_give_the_same_bytes(void **state)
{
	(void)state;
	make_fs("ext4", "24M", "-t ext4");
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i ? "second" : "first";
		struct image *im;
		struct guest_fs *fs;

		make_image("ext4");
		run("cd '%s'; mv ext4.img %s.img", work, name);
		setenv("E2FSPROGS_FAKE_TIME", i ? "1500000000" : "1400000000", 1);
		fs = open_fs(name, GUEST_FS_WRITE, &im);
		change_everything(fs);
		ok(guest_fs_commit(fs, &e));
		close_fs(fs, im);
	}
	unsetenv("E2FSPROGS_FAKE_TIME");
	run("cd '%s'; cmp first.img second.img", work);
}

static void a_failing_image_is_put_back_as_it_was(void **state)
{
	struct rlimit old, small = {.rlim_cur = 2 * MIB};
	struct image *im;
	struct guest_fs *fs;

	(void)state;
	make_fs("ext4", "24M", "-t ext4");
	make_image("ext4");
	run("cd '%s'; cp ext4.img before.img", work);
	fs = open_fs("ext4", GUEST_FS_WRITE, &im);
	change_everything(fs);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_true(guest_fs_commit(fs, &e) < 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(guest_fs_commit(fs, &e) < 0); /* and stays refused */
	close_fs(fs, im);
	run("cd '%s'; cmp ext4.img before.img", work);
}

static void labels_are_inherited(void **state)
{
	struct image *im;
	struct guest_fs *fs;

	(void)state;
	make_fs("label", "24M", "-t ext4");
	run("cd '%s'; debugfs -w -R 'ea_set /etc security.selinux system_u:object_r:etc_t:s0\\000' "
	    "label.fs 2>&1; debugfs -w -R 'ea_set /etc/passwd security.selinux passwd_file_t' "
	    "label.fs 2>&1",
	    work);
	make_image("label");
	fs = open_fs("label", GUEST_FS_WRITE, &im);
	write_text(fs, "/etc/passwd", "replaced\n");
	write_text(fs, "/etc/new", "new\n");
	ok(guest_fs_mkdir(fs, "/etc/newdir", &root_dir, &e));
	ok(guest_fs_symlink(fs, "/etc/newdir/link", "x", &e));
	write_text(fs, "/home/unlabelled", "new\n");
	ok(guest_fs_commit(fs, &e));
	close_fs(fs, im);
	fsck("label");
	assert_debugfs("label", "ea_get /etc/passwd security.selinux", "passwd_file_t");
	assert_debugfs("label", "ea_get /etc/new security.selinux", "etc_t:s0");
	assert_debugfs("label", "ea_get /etc/newdir/link security.selinux", "etc_t:s0");
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void refused(const char *name, int code, const char *word)
{
	struct image *im;
	struct guest_fs *fs = open_fs(name, GUEST_FS_WRITE, &im);

	assert_null(fs);
	if (e.code != code || !strstr(e.msg, word))
		fail_msg("%s: code %d, '%s'", name, e.code, e.msg);
}

static void may_be_read(const char *name)
{
	struct image *im;
	struct guest_fs *fs = open_fs(name, 0, &im);

	if (!fs)
		fail_msg("%s: %s", name, e.msg);
	assert_content(fs, "/etc/passwd", "root:x:0:0\n");
	close_fs(fs, im);
}

static void a_file_system_that_needs_e2fsck_is_read_but_not_changed(void **state)
{
	static const struct {
		const char *name, *debugfs, *word;
	} cases[] = {
		{"dirty", "feature needs_recovery", "journal"},
		{"errors", "ssv state 3", "having errors"},
		{"unclean", "ssv state 0", "not cleanly unmounted"},
		{"orphans", "ssv last_orphan 13", "orphan list"},
		{"orphans2", "feature FEATURE_R16", "orphan list"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		make_fs(cases[i].name, "24M", "-t ext4");
		run("cd '%s'; debugfs -w -R '%s' %s.fs 2>&1", work, cases[i].debugfs,
		    cases[i].name);
		make_image(cases[i].name);
		refused(cases[i].name, EUCLEAN, cases[i].word);
		assert_non_null(strstr(e.msg, "e2fsck"));
		may_be_read(cases[i].name);
	}
}

static void features_that_we_would_break_are_refused_by_name(void **state)
{
	struct image *im;

	(void)state;
	make_fs("quota", "24M", "-t ext4 -O quota");
	make_image("quota");
	refused("quota", ENOTSUP, "quota");
	may_be_read("quota");
	make_fs("ea_inode", "24M", "-t ext4 -O ea_inode");
	make_image("ea_inode");
	refused("ea_inode", ENOTSUP, "ea_inode");
	make_fs("unknown", "24M", "-t ext4");
	run("cd '%s'; debugfs -w -R 'feature FEATURE_I30' unknown.fs 2>&1; "
	    "debugfs -w -f /dev/null -R 'feature FEATURE_I0' unknown.fs >/dev/null 2>&1 || :",
	    work);
	make_image("unknown");
	assert_null(open_fs("unknown", 0, &im));
	assert_int_equal(e.code, ENOTSUP);
	assert_non_null(strstr(e.msg, "0x40000000"));
	make_fs("ro_unknown", "24M", "-t ext4");
	run("cd '%s'; debugfs -w -R 'feature FEATURE_R30' ro_unknown.fs 2>&1", work);
	make_image("ro_unknown");
	refused("ro_unknown", ENOTSUP, "0x40000000");
	may_be_read("ro_unknown");
	run("cd '%s'; truncate -s 8M noext.img", work);
	assert_null(open_fs("noext", 0, &im));
	assert_int_equal(e.code, ENOTSUP);
}

static void a_truncated_file_system_is_refused(void **state)
{
	struct image *im;

	(void)state;
	make_fs("cut", "24M", "-t ext4");
	make_image("cut");
	run("cd '%s'; truncate -s 12M cut.img", work);
	assert_null(open_fs("cut", 0, &im));
	assert_int_equal(e.code, EBADMSG);
}

static void a_full_file_system_is_left_alone(void **state)
{
	AUTO_FREE char *big = calloc(1, 12 * MIB);
	struct image *im;
	struct guest_fs *fs;

	(void)state;
	assert_non_null(big);
	memset(big, 1, 12 * MIB);
	/* Half of the 24 MiB is reserved: 12 MiB are free, but not for us. */
	make_fs("full", "24M", "-t ext4 -m 50 -N 2048 -J size=1");
	make_image("full");
	run("cd '%s'; cp full.img before.img", work);
	fs = open_fs("full", GUEST_FS_WRITE, &im);
	assert_int_equal(guest_fs_write_file(fs, "/fill", big, 12 * MIB, &root_file, &e), -ENOSPC);
	write_text(fs, "/fits", "small\n"); /* the refusal came before the change */
	assert_int_equal(guest_fs_write_file(fs, "/fill2", big, 12 * MIB, &root_file, &e), -ENOSPC);
	close_fs(fs, im);
	run("cd '%s'; cmp full.img before.img", work);
}

static void a_file_system_without_inodes_is_left_alone(void **state)
{
	struct image *im;
	struct guest_fs *fs;
	char name[32];
	int rc = 0;

	(void)state;
	make_fs("inodes", "24M", "-t ext4 -N 1600");
	make_image("inodes");
	run("cd '%s'; cp inodes.img before.img", work);
	fs = open_fs("inodes", GUEST_FS_WRITE, &im);
	for (unsigned i = 0; i < 4000 && rc >= 0; i++) {
		snprintf(name, sizeof(name), "/n%u", i);
		rc = guest_fs_write_file(fs, name, "x", 1, &root_file, &e);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_true(guest_fs_commit(fs, &e) < 0);
	close_fs(fs, im);
	run("cd '%s'; cmp inodes.img before.img", work);
}

static void protected_targets_are_refused(void **state)
{
	struct image *im;
	struct guest_fs *fs;

	(void)state;
	make_fs("prot", "24M", "-t ext4");
	run("cd '%s'; debugfs -w -R 'sif /etc/passwd flags 0x80010' prot.fs 2>&1; "
	    "debugfs -w -R 'sif /home flags 0x80020' prot.fs 2>&1; "
	    "debugfs -w -R 'sif /small/t flags 0x180000' prot.fs 2>&1; "
	    "printf 'cd /etc\\nmknod fifo p\\n' | debugfs -w -f - prot.fs 2>&1",
	    work);
	make_image("prot");
	fs = open_fs("prot", GUEST_FS_WRITE, &im);
	assert_int_equal(guest_fs_write_file(fs, "/etc/passwd", "x", 1, &root_file, &e), -EPERM);
	assert_non_null(strstr(e.msg, "immutable"));
	assert_int_equal(guest_fs_remove(fs, "/etc/passwd", &e), -EPERM);
	assert_int_equal(guest_fs_write_file(fs, "/home/x", "x", 1, &root_file, &e), -EPERM);
	assert_int_equal(guest_fs_write_file(fs, "/small/t", "x", 1, &root_file, &e), -ENOTSUP);
	assert_int_equal(guest_fs_write_file(fs, "/etc", "x", 1, &root_file, &e), -EISDIR);
	assert_int_equal(guest_fs_write_file(fs, "/etc/fifo", "x", 1, &root_file, &e), -EEXIST);
	assert_int_equal(guest_fs_write_file(fs, "/no/x", "x", 1, &root_file, &e), -ENOENT);
	assert_int_equal(guest_fs_mkdir(fs, "/etc", &root_dir, &e), -EEXIST);
	assert_int_equal(guest_fs_remove(fs, "/", &e), -EPERM);
	assert_int_equal(guest_fs_remove(fs, "/none", &e), -ENOENT);
	assert_int_equal(guest_fs_symlink(fs, "/lnk", "", &e), -ENAMETOOLONG);
	write_text(fs, "/ok", "still usable\n");
	ok(guest_fs_commit(fs, &e));
	close_fs(fs, im);
	fsck("prot");
}

/* A damaged file system gives errors, not crashes or endless loops. */
static int visit(void *ctx, const char *name, const struct guest_stat *st)
{
	(void)name;
	(void)st;
	return ++*(unsigned *)ctx > 5000 ? -E2BIG : 0;
}

static void damaged_file_systems_do_no_harm(void **state)
{
	static const char *const folders[] = {"/", "/etc", "/home", "/big", "/lib/deep", "/small"};
	static const char *const layouts[] = {
		"-t ext4 -b 1024 -O ^metadata_csum,^has_journal -N 2048",
		"-t ext2 -b 1024 -I 128 -N 2048",
		"-t ext4 -b 1024 -O ^metadata_csum,^has_journal,inline_data -N 2048",
	};
	AUTO_FREE char *path = in_work("damaged.img");
	uint64_t seed = 88172645463325252u;
	AUTO_BUF whole = BUF_INIT;
	unsigned opened = 0;

	(void)state;
	for (unsigned round = 0; round < 120; round++) {
		AUTO_FD int fd = -1;
		AUTO_BUF out = BUF_INIT;
		struct image *im = NULL;
		struct guest_fs *fs;
		unsigned seen = 0;

		if (round % 40 == 0) {
			char name[8];

			snprintf(name, sizeof(name), "dmg%u", round / 40);
			make_fs(name, "6M", layouts[round / 40]);
			make_image(name);
			run("cd '%s'; mv %s.img damaged.img", work, name);
			buf_clear(&whole);
			ok(fs_read_file(path, 16 * MIB, &whole, &e));
		}
		fd = open(path, O_RDWR | O_CLOEXEC);
		ok(fs_pwrite(fd, whole.data, whole.len, 0, &e));
		for (unsigned i = 0; i < 40; i++) {
			uint8_t byte;
			uint64_t span = i < 4 ? 2 * KIB : i < 30 ? 600 * KIB : 4 * MIB;

			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			byte = seed & 0x100 ? 0xff : (uint8_t)(seed >> 10);
			if (i < 4 && round % 3)
				continue; /* the superblock is spared more often than not */
			assert_int_equal(
				pwrite(fd, &byte, 1, START + 2048 * (i >= 4) + (seed >> 20) % span),
				1);
		}
		fs = open_fs("damaged", round % 2 ? GUEST_FS_WRITE : 0, &im);
		if (!fs)
			continue;
		opened++;
		for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
			guest_fs_list(fs, folders[i], visit, &seen, &e);
		guest_fs_read_file(fs, "/home/blob", MIB, &out, &e);
		guest_fs_read_file(fs, "/home/sparse", MIB, &out, &e);
		if (round % 2) {
			guest_fs_write_file(fs, "/big/new-name", "x", 1, &root_file, &e);
			guest_fs_write_file(fs, "/home/blob", "x", 1, &root_file, &e);
			guest_fs_symlink(fs, "/small/t", "target", &e);
			guest_fs_mkdir(fs, "/etc/newdir", &root_dir, &e);
			guest_fs_remove(fs, round % 4 == 1 ? "/big" : "/home", &e);
			guest_fs_commit(fs, &e);
		}
		close_fs(fs, im);
	}
	assert_true(opened > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_kind_of_file_system),
		cmocka_unit_test(paths_stay_inside_the_guest),
		cmocka_unit_test(every_change_satisfies_e2fsck),
		cmocka_unit_test(nothing_is_written_before_commit_or_outside),
		cmocka_unit_test(the_same_changes_give_the_same_bytes),
		cmocka_unit_test(a_failing_image_is_put_back_as_it_was),
		cmocka_unit_test(labels_are_inherited),
		cmocka_unit_test(a_file_system_that_needs_e2fsck_is_read_but_not_changed),
		cmocka_unit_test(features_that_we_would_break_are_refused_by_name),
		cmocka_unit_test(a_truncated_file_system_is_refused),
		cmocka_unit_test(a_full_file_system_is_left_alone),
		cmocka_unit_test(a_file_system_without_inodes_is_left_alone),
		cmocka_unit_test(protected_targets_are_refused),
		cmocka_unit_test(damaged_file_systems_do_no_harm),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
