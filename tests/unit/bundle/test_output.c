/* SPDX-License-Identifier: Apache-2.0 */
/* New files of a folder: all or none, and of the names that a confined child may give them. */
#include "tests/unit/cmocka.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_file_is_made_before_that_is_allowed),
		cmocka_unit_test(one_file_has_its_name_and_no_other),
		cmocka_unit_test(several_files_are_told_by_how_they_begin_and_end),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
