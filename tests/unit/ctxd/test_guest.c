/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's files: what is ours is kept right, what is not ours is not touched. */
#include "tests/unit/cmocka.h"

#include <stdio.h>
#include <sys/stat.h>

#include "ctxd/guest.h"
#include "lib/fs.h"
#include "lib/str.h"

static char *tree;

static int make_tree(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/test-guest", &tree, NULL);
}

static int drop_tree(void **state)
{
	int rc = fs_remove_tree(tree, NULL);

	(void)state;
	free(tree);
	tree = NULL;
	return rc;
}

static struct guest guest(void)
{
	return (struct guest){.root = tree, .lock = -1};
}

static void put(const char *path, const char *text, unsigned mode)
{
	AUTO_FREE char *full = str_format("%s%s", tree, path), *dir = strdup(full);
	struct err e;

	*strrchr(dir, '/') = '\0';
	assert_return_code(fs_mkdir_p(dir, 0755, &e), 0);
	assert_return_code(fs_write_file(full, text, strlen(text), mode, &e), 0);
}

static void assert_content(const char *path, const char *text)
{
	AUTO_FREE char *full = str_format("%s%s", tree, path);
	AUTO_BUF b = BUF_INIT;
	struct stat st;

	if (!text) {
		assert_int_equal(stat(full, &st), -1);
		return;
	}
	assert_return_code(fs_read_file(full, MIB, &b, NULL), 0);
	assert_string_equal(buf_str(&b), text);
}

static unsigned mode_of(const char *path)
{
	AUTO_FREE char *full = str_format("%s%s", tree, path);
	struct stat st;

	assert_return_code(stat(full, &st), errno);
	return st.st_mode & 07777;
}

#define BEGIN "# ctxd: begin; changes up to the line 'ctxd: end' are lost\n"
#define END "# ctxd: end\n"

static void a_file_of_our_own_is_written_once_and_removed(void **state)
{
	AUTO(guest_release) struct guest g = guest();
	struct err e;

	(void)state;
	assert_int_equal(guest_write_own(&g, "/etc/a/b", "x\n", 0640, &e), 1);
	assert_content("/etc/a/b", GUEST_HEAD "x\n");
	assert_int_equal(mode_of("/etc/a/b"), 0640);
	assert_int_equal(guest_write_own(&g, "/etc/a/b", "x\n", 0640, &e), 0);
	assert_int_equal(guest_write_own(&g, "/etc/a/b", "y\n", 0640, &e), 1);
	assert_int_equal(guest_remove_own(&g, "/etc/a/b", &e), 1);
	assert_content("/etc/a/b", NULL);
	assert_int_equal(guest_remove_own(&g, "/etc/a/b", &e), 0);
}

static void somebody_elses_file_is_neither_replaced_nor_removed(void **state)
{
	AUTO(guest_release) struct guest g = guest();
	struct err e;

	(void)state;
	put("/etc/theirs", "mine\n", 0644);
	assert_int_equal(guest_write_own(&g, "/etc/theirs", "x\n", 0644, &e), -EEXIST);
	assert_int_equal(guest_remove_own(&g, "/etc/theirs", &e), 0);
	assert_content("/etc/theirs", "mine\n");
}

static void a_block_grows_shrinks_and_goes_without_a_trace(void **state)
{
	static const char *const around[] = {"", "a\nb\n", "a\nb"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
		AUTO(guest_release) struct guest g = guest();
		const char *feed = str_has_suffix(around[i], "b") ? "\n" : "";
		AUTO_FREE char *two = str_format("%s%s" BEGIN "1\n2\n" END, around[i], feed);
		AUTO_FREE char *one = str_format("%s%s" BEGIN "2\n" END, around[i], feed);
		AUTO_FREE char *none = str_format("%s%s", around[i], feed);
		struct err e;

		put("/f", around[i], 0604);
		assert_int_equal(guest_write_block(&g, "/f", "1\n2\n", 0600, false, &e), 1);
		assert_content("/f", two);
		assert_int_equal(mode_of("/f"), 0604);
		assert_int_equal(guest_write_block(&g, "/f", "1\n2\n", 0600, false, &e), 0);
		assert_int_equal(guest_write_block(&g, "/f", "2\n", 0600, false, &e), 1);
		assert_content("/f", one);
		assert_int_equal(guest_write_block(&g, "/f", "", 0600, false, &e), 1);
		assert_content("/f", none);
		assert_int_equal(guest_write_block(&g, "/f", "", 0600, false, &e), 0);
	}
}

static void what_stands_around_a_block_stays(void **state)
{
	AUTO(guest_release) struct guest g = guest();
	struct err e;

	(void)state;
	put("/f", "a\n" BEGIN "old\n" END "z\n", 0600);
	assert_int_equal(guest_write_block(&g, "/f", "new\n", 0600, true, &e), 1);
	assert_content("/f", "a\n" BEGIN "new\n" END "z\n");
	/* An editor took the file's last line feed. */
	put("/f", "before\n" BEGIN "old\n# ctxd: end", 0600);
	assert_int_equal(guest_write_block(&g, "/f", "", 0600, false, &e), 1);
	assert_content("/f", "before\n");
	/* A block whose end is gone: only the line that is ours is taken away. */
	put("/f", "a\n" BEGIN "theirs\n", 0600);
	assert_int_equal(guest_write_block(&g, "/f", "new\n", 0600, false, &e), 1);
	assert_content("/f", "a\n" BEGIN "new\n" END "theirs\n");
	put("/f", "a\n", 0600);
	assert_int_equal(guest_write_block(&g, "/f", "top\n", 0600, true, &e), 1);
	assert_content("/f", BEGIN "top\n" END "a\n");
}

static void undo_knows_earlier_boots(void **state)
{
	struct err e;

	(void)state;
	put("/etc/hostname", "before\n", 0644);
	put("/etc/hosts", "127.0.0.1 localhost\n", 0644);
	for (int boot = 0; boot < 2; boot++) {
		AUTO(guest_release) struct guest g = guest();
		AUTO_FREE char *name = str_format("boot%d\n", boot);

		assert_int_equal(guest_write(&g, "/etc/hostname", name, strlen(name), 0644, &e), 1);
		assert_return_code(guest_write(&g, "/etc/new", name, strlen(name), 0644, &e), 0);
		assert_return_code(guest_write_own(&g, "/etc/own", "x\n", 0644, &e), 0);
		assert_return_code(guest_write_block(&g, "/etc/hosts", "x\n", 0644, true, &e), 0);
		assert_return_code(guest_write_own(&g, "/run/own", "x\n", 0644, &e), 0);
		assert_return_code(guest_save_list(&g, &e), 0);
	}
	assert_content(GUEST_LIST, "was /etc/hostname\nnew /etc/new\nown /etc/own\n"
				   "block /etc/hosts\n");
	AUTO(guest_release) struct guest g = guest();
	assert_int_equal(guest_undo(&g, &e), 1);
	assert_content("/etc/hostname", "before\n");
	assert_content("/etc/new", NULL);
	assert_content("/etc/own", NULL);
	assert_content("/etc/hosts", "127.0.0.1 localhost\n");
	assert_content(GUEST_LIST, NULL);
	assert_int_equal(guest_undo(&g, &e), 0);
}

static void what_was_set_aside_can_be_put_back_and_set_aside_again(void **state)
{
	struct err e;

	(void)state;
	put("/etc/theirs", "theirs\n", 0644);
	for (int turn = 0; turn < 2; turn++) {
		AUTO(guest_release) struct guest g = guest();

		assert_int_equal(
			guest_write(&g, "/etc/theirs", GUEST_HEAD, strlen(GUEST_HEAD), 0644, &e),
			1);
		assert_return_code(guest_save_list(&g, &e), 0);
		assert_int_equal(guest_restore(&g, "/etc/theirs", &e), 1);
		assert_content("/etc/theirs", "theirs\n");
		assert_int_equal(guest_restore(&g, "/etc/theirs", &e), 0);
	}
	AUTO(guest_release) struct guest g = guest();
	assert_int_equal(guest_write(&g, "/etc/theirs", GUEST_HEAD, strlen(GUEST_HEAD), 0644, &e),
			 1);
	assert_return_code(guest_save_list(&g, &e), 0);
	put("/etc/theirs", "changed by a person\n", 0644);
	assert_int_equal(guest_restore(&g, "/etc/theirs", &e), 0);
	assert_content("/etc/theirs", "changed by a person\n");
}

static void a_dry_run_changes_nothing(void **state)
{
	AUTO(guest_release) struct guest g = guest();
	struct err e;

	(void)state;
	g.dry_run = true;
	put("/etc/hosts", "a\n", 0644);
	assert_int_equal(guest_write(&g, "/etc/hostname", "x\n", 2, 0644, &e), 1);
	assert_int_equal(guest_write_own(&g, "/etc/own", "x\n", 0644, &e), 1);
	assert_int_equal(guest_write_block(&g, "/etc/hosts", "x\n", 0644, true, &e), 1);
	assert_return_code(guest_save_list(&g, &e), 0);
	assert_content("/etc/hostname", NULL);
	assert_content("/etc/own", NULL);
	assert_content("/etc/hosts", "a\n");
	assert_content(GUEST_LIST, NULL);
	assert_int_equal(g.told.n, 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_tree, drop_tree)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_file_of_our_own_is_written_once_and_removed),
		TEST(somebody_elses_file_is_neither_replaced_nor_removed),
		TEST(a_block_grows_shrinks_and_goes_without_a_trace),
		TEST(what_stands_around_a_block_stays),
		TEST(undo_knows_earlier_boots),
		TEST(what_was_set_aside_can_be_put_back_and_set_aside_again),
		TEST(a_dry_run_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
