/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts in a tree: made as useradd makes them, changed where asked, others left byte for byte. */
#include "tests/unit/cmocka.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctxd/account.h"
#include "lib/fs.h"
#include "lib/str.h"

/* A text of the model, which is not const. */
#define T(s) ((char[]){s})

struct fixture {
	char *dir;
	struct guest g;
};

static void put(const struct guest *g, const char *path, const char *text, unsigned mode)
{
	AUTO_FREE char *full = guest_path(g, path);
	struct err e;

	assert_non_null(full);
	if (fs_write_file(full, text, strlen(text), mode, &e) < 0)
		fail_msg("%s", e.msg);
}

static void has(const struct guest *g, const char *path, const char *text)
{
	AUTO_BUF b = BUF_INIT;
	struct err e;

	if (guest_read(g, path, &b, &e) <= 0)
		fail_msg("%s", path);
	assert_string_equal(buf_str(&b), text);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	AUTO_FREE char *etc = NULL;
	struct err e;

	if (!f || fs_make_temp_dir("/tmp/test_account", &f->dir, &e) < 0)
		return -1;
	f->g = (struct guest){.root = f->dir};
	etc = str_format("%s/etc/skel/.d", f->dir);
	if (!etc || fs_mkdir_p(etc, 0755, &e) < 0)
		return -1;
	put(&f->g, "/etc/passwd",
	    "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n", 0644);
	put(&f->g, "/etc/shadow", "root:*:1:0:99999:7:::\nalice:$6$a:1:0:99999:7:::\n", 0640);
	put(&f->g, "/etc/group", "root:x:0:\nadm:x:4:alice\nalice:x:1000:\n", 0644);
	put(&f->g, "/etc/gshadow", "root:*::\nadm:*::alice\nalice:!::\n", 0640);
	put(&f->g, "/etc/skel/.profile", "hello\n", 0644);
	put(&f->g, "/etc/skel/.d/x", "deep\n", 0600);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err e;

	guest_release(&f->g);
	fs_remove_tree(f->dir, &e);
	free(f->dir);
	free(f);
	return 0;
}

static void set(struct guest *g, const struct user *u, int expected)
{
	AUTO(accounts_close) struct accounts *db = NULL;
	struct err e;
	int rc;

	if (accounts_open(g, &db, &e) < 0)
		fail_msg("%s", e.msg);
	rc = accounts_set(db, u, &e);
	if (rc < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(rc, expected);
	if (accounts_commit(db, &e) < 0)
		fail_msg("%s", e.msg);
}

static void a_new_account_gets_all_that_it_needs(void **state)
{
	struct fixture *f = *state;
	char *groups[] = {T("adm"), T("wheel")};
	struct user u = {
		.name = T("ops"), .gecos = T("Ops"), .shell = T("/bin/ash"), .groups = {groups, 2}};
	AUTO_FREE char *profile = guest_path(&f->g, "/home/ops/.profile");
	AUTO_BUF shadow = BUF_INIT;
	struct stat st;

	set(&f->g, &u, 1);
	has(&f->g, "/etc/passwd",
	    "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
	    "ops:x:1001:1001:Ops:/home/ops:/bin/ash\n");
	has(&f->g, "/etc/group",
	    "root:x:0:\nadm:x:4:alice,ops\nalice:x:1000:\nops:x:1001:\nwheel:x:999:ops\n");
	has(&f->g, "/etc/gshadow",
	    "root:*::\nadm:*::alice,ops\nalice:!::\nops:!::\nwheel:!::ops\n");
	assert_int_equal(guest_read(&f->g, "/etc/shadow", &shadow, NULL), 1);
	assert_non_null(strstr(buf_str(&shadow), "\nops:!:"));
	has(&f->g, "/home/ops/.d/x", "deep\n");
	assert_return_code(stat(profile, &st), errno);
	if (geteuid() == 0)
		assert_int_equal(st.st_uid, 1001);
	/* A second time there is nothing to do. */
	set(&f->g, &u, 0);
}

static void a_line_that_lacks_fields_gets_them(void **state)
{
	struct fixture *f = *state;
	char *groups[] = {T("wheel")};
	struct user u = {.name = T("alice"), .gecos = T("A"), .groups = {groups, 1}};
	AUTO(accounts_close) struct accounts *db = NULL;
	AUTO_BUF shadow = BUF_INIT;
	struct err e;

	put(&f->g, "/etc/passwd", "alice:x:1000:1000\n", 0644);
	put(&f->g, "/etc/shadow", "alice:!\n", 0640);
	put(&f->g, "/etc/group", "wheel:x:10\n", 0644);
	put(&f->g, "/etc/gshadow", "wheel:!\n", 0640);
	set(&f->g, &u, 1);
	has(&f->g, "/etc/passwd", "alice:x:1000:1000:A\n");
	has(&f->g, "/etc/group", "wheel:x:10:alice\n");
	has(&f->g, "/etc/gshadow", "wheel:!::alice\n");
	assert_return_code(accounts_open(&f->g, &db, &e), 0);
	assert_int_equal(accounts_set_hash(db, "alice", "$6$b", &e), 0);
	assert_int_equal(accounts_commit(db, &e), 0);
	assert_int_equal(guest_read(&f->g, "/etc/shadow", &shadow, NULL), 1);
	assert_true(str_has_prefix(buf_str(&shadow), "alice:$6$b:"));
}

static void an_account_that_is_there_keeps_its_numbers_and_home(void **state)
{
	struct fixture *f = *state;
	struct user u = {
		.name = T("alice"), .home = T("/elsewhere"), .uid = 5, .shell = T("/bin/zsh")};

	set(&f->g, &u, 1);
	has(&f->g, "/etc/passwd",
	    "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/zsh\n");
	has(&f->g, "/etc/shadow", "root:*:1:0:99999:7:::\nalice:$6$a:1:0:99999:7:::\n");
}

static void a_files_mode_stays(void **state)
{
	struct fixture *f = *state;
	AUTO(accounts_close) struct accounts *db = NULL;
	AUTO_FREE char *path = guest_path(&f->g, "/etc/shadow");
	struct stat st;
	struct err e;

	assert_return_code(accounts_open(&f->g, &db, &e), 0);
	assert_return_code(accounts_set_hash(db, "alice", "$6$new", &e), 0);
	assert_return_code(accounts_commit(db, &e), 0);
	assert_return_code(stat(path, &st), errno);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(str_has_prefix(accounts_hash(db, "alice"), "$6$new:"));
	assert_int_equal(accounts_set_hash(db, "nobody", "x", &e), -ENOENT);
}

static void numbers_follow_login_defs(void **state)
{
	struct fixture *f = *state;
	struct user u = {.name = T("old")}, s = {.name = T("daemon"), .system = CHOICE_YES};
	struct user taken = {.name = T("taken"), .uid = 1000};
	AUTO(accounts_close) struct accounts *db = NULL;
	AUTO(account_release) struct account a = {0};
	struct err e;

	put(&f->g, "/etc/login.defs", "# UID_MIN 7\nUID_MIN\t\t  500\nUID_MAX 60000\n", 0644);
	set(&f->g, &u, 1);
	set(&f->g, &s, 1);
	assert_int_equal(account_find(&f->g, "old", &a, &e), 1);
	assert_int_equal(a.uid, 500);
	assert_int_equal(account_find(&f->g, "daemon", &a, &e), 1);
	assert_int_equal(a.uid, 999);
	assert_false(guest_exists(&f->g, "/home/daemon"));
	assert_return_code(accounts_open(&f->g, &db, &e), 0);
	assert_int_equal(accounts_set(db, &taken, &e), -EEXIST);
}

static void without_shadow_the_hash_is_in_passwd(void **state)
{
	struct fixture *f = *state;
	AUTO(accounts_close) struct accounts *db = NULL;
	AUTO_FREE char *path = guest_path(&f->g, "/etc/shadow");
	struct err e;

	unlink(path);
	assert_return_code(accounts_open(&f->g, &db, &e), 0);
	assert_return_code(accounts_set_hash(db, "alice", "$6$new", &e), 0);
	assert_return_code(accounts_commit(db, &e), 0);
	has(&f->g, "/etc/passwd",
	    "root:x:0:0::/root:/bin/sh\nalice:$6$new:1000:1000::/home/alice:/bin/sh\n");
	assert_false(guest_exists(&f->g, "/etc/shadow"));
}

static void a_path_belongs_to_the_nearest_home(void **state)
{
	struct fixture *f = *state;
	AUTO(account_release) struct account a = {0};
	struct err e;

	assert_int_equal(account_at(&f->g, "/home/alice/.ssh/authorized_keys", &a, &e), 1);
	assert_string_equal(a.name, "alice");
	assert_int_equal(account_at(&f->g, "/home/alicette/x", &a, &e), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_account_gets_all_that_it_needs, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_line_that_lacks_fields_gets_them, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_account_that_is_there_keeps_its_numbers_and_home,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_files_mode_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_follow_login_defs, setup, teardown),
		cmocka_unit_test_setup_teardown(without_shadow_the_hash_is_in_passwd, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_path_belongs_to_the_nearest_home, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
