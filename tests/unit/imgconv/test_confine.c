/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv/confine: what is opened for a confined process, however it asks. */
#include "tests/unit/cmocka.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/confine.h"
#include "imgconv/disk/grub_host.h"
#include "imgconv/files.h"
#include "imgconv/target.h"
#include "lib/fs.h"
#include "lib/worker.h"

static char *before;
static char *dir;

/* dir/image, dir/other, dir/sub/below, dir/link -> sub/below; secret is outside of dir. */
static int make_files(void **state)
{
	static const char *const files[] = {"secret", "in/image", "in/other", "in/sub/below",
					    "in-law"};

	(void)state;
	before = getcwd(NULL, 0);
	if (fs_make_temp_dir("/tmp/acclimate-confine", &dir, NULL) < 0 || chdir(dir) < 0 ||
	    mkdir("in", 0700) < 0 || mkdir("in/sub", 0700) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (fs_write_file(files[i], files[i], strlen(files[i]), 0600, NULL) < 0)
			return -1;
	}
	return symlink("sub/below", "in/link") < 0 || symlink("in", "door") < 0;
}

static int remove_files(void **state)
{
	int rc = chdir(before) < 0 ? -1 : fs_remove_tree(dir, NULL);

	(void)state;
	free(dir);
	free(before);
	return rc;
}

/* What a confined process asks for, and what comes of it. */
struct wish {
	bool writable;
	const char *path;   /* of an image; NULL: beneath */
	const char *folder; /* beneath this one ... */
	const char *name;   /* ... this one */
	const char *holds;  /* what is in the file that it gets; NULL: refused */
};

static int wish(void *ctx, struct err *e)
{
	const struct wish *w = ctx;
	AUTO_FREE char *path = NULL;
	AUTO_FD int fd = -1;
	char text[64] = "";
	int rc = w->path ? image_opener->open(w->path, w->writable, &fd, e)
			 : image_opener->open_beneath(w->folder, w->name, &path, &fd, e);

	if (rc < 0)
		return rc;
	if (read(fd, text, sizeof(text) - 1) < 0 || !w->holds || strcmp(text, w->holds) != 0)
		return err_set(e, EIO, "it has '%s'", text);
	if (w->writable != ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR))
		return err_set(e, EIO, "it can be written");
	return 0;
}

static void try_wishes(const struct confine_file *file, const struct wish *wishes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct confine c = {
			.files = file, .n_files = 1, .run = wish, .ctx = (void *)&wishes[i]};
		struct err e = {0};
		int rc = confine_run(&c, &e);

		if (wishes[i].holds ? rc != 0 : rc != -EACCES)
			fail_msg("%zu: %d %s", i, rc, e.msg);
	}
}

static void only_the_files_that_were_given(void **state)
{
	const struct confine_file file = {.path = "in/image"};
	const struct wish wishes[] = {
		{.path = "in/image", .holds = "in/image"},
		{.path = "in/image", .writable = true},
		{.path = "in/other"},
		{.path = "./in/image"},
		{.path = "/etc/passwd"},
		{.path = ""},
		{.folder = "in", .name = "other"},
		{.folder = "in", .name = "image"},
	};

	(void)state;
	try_wishes(&file, wishes, ARRAY_SIZE(wishes));
}

static void what_is_below_where_that_was_allowed(void **state)
{
	const struct confine_file file = {.path = "in/image", .writable = true, .beneath = true};
	AUTO_FREE char *absolute = path_join(dir, "in/other");
	AUTO_FREE char *outside = path_join(dir, "secret");
	const struct wish wishes[] = {
		{.path = "in/image", .writable = true, .holds = "in/image"},
		{.folder = "in", .name = "other", .holds = "in/other"},
		{.folder = "in", .name = "sub/below", .holds = "in/sub/below"},
		{.folder = "in/sub", .name = "below", .holds = "in/sub/below"},
		{.folder = "in", .name = absolute, .holds = "in/other"},
		{.folder = "in", .name = outside},
		{.folder = "in", .name = "../secret"},
		{.folder = "in", .name = "sub/../../secret"},
		{.folder = "in", .name = "link"},
		{.folder = "in/..", .name = "secret"},
		{.folder = "in/../in", .name = "other"},
		{.folder = ".", .name = "secret"},
		{.folder = "/", .name = "etc/passwd"},
		{.folder = "/etc", .name = "passwd"},
		{.folder = "", .name = "secret"},
		{.folder = "door", .name = "other"},
		{.folder = "in-law", .name = ""},
	};

	(void)state;
	try_wishes(&file, wishes, ARRAY_SIZE(wishes));
}

/* ---- other files of a new image -------------------------------------------------------------- */

static int made;

static int create(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	(void)ctx;
	if (strcmp(name, "disk-s001.vmdk") != 0)
		return err_set(e, EINVAL, "another name: '%s'", name);
	*ret_fd = made = open("made", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return made < 0 ? err_errno(e, errno, "making") : 0;
}

static int write_companion(void *ctx, struct err *e)
{
	const struct image_companions *c = confine_companions();
	int fd = -1;
	int rc;

	(void)ctx;
	if (!c)
		return 1;
	if (strcmp(c->stem, "disk") != 0)
		return err_set(e, EIO, "stem '%s'", c->stem);
	rc = c->create(c->ctx, "disk-s001.vmdk", &fd, e);
	if (rc == 0)
		rc = fs_pwrite(fd, "written", 7, 0, e);
	return rc;
}

static void other_files_are_made_by_the_one_that_may(void **state)
{
	const struct image_companions companions = {.create = create, .stem = "disk"};
	struct confine c = {.run = write_companion, .companions = &companions};
	AUTO_BUF text = BUF_INIT;
	struct err e = {0};

	(void)state;
	if (confine_run(&c, &e) != 0)
		fail_msg("%s", e.msg);
	/* The one who made it has it open still. */
	close(made);
	assert_int_equal(fs_read_file("made", 100, &text, &e), 0);
	assert_string_equal(text.data, "written");
	c.companions = NULL;
	assert_int_equal(confine_run(&c, &e), 1);
}

/* What an image that took the child over could ask for. */
static void extents_are_called_after_the_image(void **state)
{
	static const char *const wrong[] = {".bashrc",   "other.vmdk",        "disk.vmdk",
					    "disk-x.sh", "../disk-s001.vmdk", "disk/s001.vmdk",
					    ""};
	AUTO(target_abort) struct target t = TARGET_INIT;
	struct image_create_opts o = {0};
	struct err e = {0};
	int fd = -1;

	(void)state;
	assert_int_equal(target_begin(&t, "in/disk.vmdk", 0, &o, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(o.companions->create(o.companions->ctx, wrong[i], &fd, &e),
				 -EINVAL);
	assert_int_equal(o.companions->create(o.companions->ctx, "disk-s001.vmdk", &fd, &e), 0);
	assert_true(fd >= 0);
}

/* A request that no code of ours makes. */
static int ask_nonsense(void *ctx, struct err *e)
{
	unsigned *what = ctx;
	int fd;

	return worker_ask(*what, "in", 2, &fd, NULL, e);
}

static void nonsense_is_refused(void **state)
{
	const struct confine_file file = {.path = "in/image", .beneath = true};

	(void)state;
	for (unsigned what = 2; what < 7; what++) {
		struct confine c = {
			.files = &file, .n_files = 1, .run = ask_nonsense, .ctx = &what};
		struct err e = {0};

		assert_int_equal(confine_run(&c, &e), -EACCES);
	}
}

/* ---- GRUB's programs ---------------------------------------------------------------------------- */

static int make_grub(void *ctx, struct err *e)
{
	AUTO_BUF out = BUF_INIT;

	return grub_host->make(ctx, "menu", 4, &out, e);
}

static int make_grub_with_large_menu(void *ctx, struct err *e)
{
	AUTO_FREE char *menu = calloc(1, WORKER_TEXT_MAX);
	AUTO_BUF out = BUF_INIT;

	return menu ? grub_host->make(ctx, menu, WORKER_TEXT_MAX, &out, e) : err_nomem(e);
}

static int run_grub(bool allowed, const char *platform, int (*run)(void *, struct err *),
		    struct err *e)
{
	char name[32];
	const struct confine c = {.boot_loader = allowed, .run = run, .ctx = name};

	snprintf(name, sizeof(name), "%s", platform);
	return confine_run(&c, e);
}

static void grub_is_run_where_that_was_allowed_and_for_platforms_that_there_are(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(run_grub(false, "i386-pc", make_grub, &e), -EACCES);
	assert_int_equal(run_grub(true, "../i386-pc", make_grub, &e), -EINVAL);
	assert_int_equal(run_grub(true, "", make_grub, &e), -EINVAL);
	assert_int_equal(run_grub(true, "i386-pc", make_grub_with_large_menu, &e), -EFBIG);
	/* It gets as far as looking for the files. */
	setenv("ACCLIMATE_GRUB_DIR", "in", 1);
	assert_int_equal(run_grub(true, "i386-pc", make_grub, &e), -ENOENT);
	unsetenv("ACCLIMATE_GRUB_DIR");
	assert_ptr_equal(grub_host, &grub_host_self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_files_that_were_given),
		cmocka_unit_test(what_is_below_where_that_was_allowed),
		cmocka_unit_test(other_files_are_made_by_the_one_that_may),
		cmocka_unit_test(extents_are_called_after_the_image),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(
			grub_is_run_where_that_was_allowed_and_for_platforms_that_there_are),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
