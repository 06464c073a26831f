/* SPDX-License-Identifier: Apache-2.0 */
/* New files of a folder: all or none, and of the names that a confined child may give them. */
#include "tests/unit/cmocka.h"

#include <sys/stat.h>

#include "bundle/output.h"

static char *dir;

static int make_dir(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/acclimate-output", &dir, NULL);
}

static int remove_dir(void **state)
{
	int rc = fs_remove_tree(dir, NULL);

	(void)state;
	free(dir);
	return rc;
}

static int serve(struct output *o, const char *name)
{
	struct worker_answer a = {.fd = -1};
	struct err e = {0};

	return output_serve(o, name, &a, &e);
}

static void begin(struct output *o, const char *name, bool is_folder)
{
	AUTO_FREE char *path = path_join(dir, name);
	struct err e = {0};

	if (output_begin(o, path, is_folder, false, &e) < 0)
		fail_msg("%s", e.msg);
}

static void no_file_is_made_before_that_is_allowed(void **state)
{
	struct output o;

	(void)state;
	begin(&o, "out", false);
	assert_int_equal(serve(&o, "out"), -EACCES);
	output_abort(&o);
}

static void one_file_has_its_name_and_no_other(void **state)
{
	struct output o;

	(void)state;
	begin(&o, "out.raw", false);
	assert_int_equal(output_allow(&o, "out.raw", NULL, NULL, NULL), 0);
	assert_int_equal(serve(&o, ".bashrc"), -EACCES);
	assert_int_equal(serve(&o, "out.raw2"), -EACCES);
	assert_int_equal(serve(&o, "../out.raw"), -EACCES);
	assert_int_equal(serve(&o, ""), -EACCES);
	assert_int_equal(serve(&o, "out.raw"), 0);
	/* Once. */
	assert_int_equal(serve(&o, "out.raw"), -EINVAL);
	output_abort(&o);
}

static void several_files_are_told_by_how_they_begin_and_end(void **state)
{
	struct output o;

	(void)state;
	begin(&o, ".", true);
	assert_int_equal(output_allow(&o, NULL, "", ".raw", NULL), 0);
	assert_int_equal(serve(&o, "disk1.raw"), 0);
	assert_int_equal(serve(&o, ".raw"), -EACCES);
	assert_int_equal(serve(&o, ".disk.raw"), -EACCES);
	assert_int_equal(serve(&o, "disk1.raw.sh"), -EACCES);
	assert_int_equal(serve(&o, "a/b.raw"), -EINVAL);
	output_abort(&o);
	begin(&o, ".", true);
	assert_int_equal(output_allow(&o, NULL, "web.part.", "", NULL), 0);
	assert_int_equal(serve(&o, "web.part.00"), 0);
	assert_int_equal(serve(&o, "web.part."), -EACCES);
	assert_int_equal(serve(&o, "web.manifest.xml"), -EACCES);
	assert_int_equal(serve(&o, "web.part./../x"), -EINVAL);
	output_abort(&o);
}

static bool is_there(const char *name)
{
	AUTO_FREE char *path = path_join(dir, name);

	return access(path, F_OK) == 0;
}

static void the_file_that_names_the_others_is_named_last(void **state)
{
	AUTO_FREE char *first = path_join(dir, "first");
	struct output o;
	struct err e = {0};
	int fd;

	(void)state;
	begin(&o, ".", true);
	o.backwards = true;
	assert_int_equal(output_file(&o, "first", &fd, &e), 0);
	assert_int_equal(output_file(&o, "second", &fd, &e), 0);
	/* Whoever takes the last name hinders all: what has a name already loses it. */
	assert_int_equal(fs_write_file(first, "x", 1, 0600, &e), 0);
	assert_int_equal(output_commit(&o, &e), -EEXIST);
	output_abort(&o);
	assert_false(is_there("second"));
	/* But for what may have replaced another. */
	begin(&o, ".", true);
	o.backwards = o.replace = true;
	assert_int_equal(output_file(&o, "first", &fd, &e), 0);
	assert_int_equal(output_file(&o, "second", &fd, &e), 0);
	assert_int_equal(unlink(first), 0);
	assert_int_equal(mkdir(first, 0700), 0);
	assert_int_equal(output_commit(&o, &e), -EISDIR);
	output_abort(&o);
	assert_true(is_there("second"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_file_is_made_before_that_is_allowed),
		cmocka_unit_test(one_file_has_its_name_and_no_other),
		cmocka_unit_test(several_files_are_told_by_how_they_begin_and_end),
		cmocka_unit_test(the_file_that_names_the_others_is_named_last),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
