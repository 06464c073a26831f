/* SPDX-License-Identifier: Apache-2.0 */
/* Session tokens hold for one instance, one key and their time; keys in files. */
#include "tests/unit/cmocka.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "context/imds.h"
#include "lib/fs.h"

#define NOW UINT64_C(1700000000)

static const struct token_key key = {{1, 2, 3}};

static void a_token_holds_until_it_ends(void **state)
{
	char t[TOKEN_TEXT_SIZE];
	unsigned left;

	(void)state;
	assert_int_equal(token_issue(&key, "i-1", NOW, 60, t, NULL), 0);
	assert_int_equal(strlen(t), 56);
	assert_true(token_check(&key, "i-1", NOW, t, 56, &left));
	assert_int_equal(left, 60);
	assert_true(token_check(&key, "i-1", NOW + 59, t, 56, &left));
	assert_int_equal(left, 1);
	assert_false(token_check(&key, "i-1", NOW + 60, t, 56, &left));
	assert_false(token_check(&key, "i-1", NOW + 61, t, 56, NULL));
}

static void a_token_is_for_one_instance_and_one_key(void **state)
{
	static const struct token_key other = {{1, 2, 4}};
	char t[TOKEN_TEXT_SIZE];

	(void)state;
	assert_int_equal(token_issue(&key, "i-1", NOW, 60, t, NULL), 0);
	assert_false(token_check(&key, "i-2", NOW, t, 56, NULL));
	assert_false(token_check(&key, "i-11", NOW, t, 56, NULL));
	assert_false(token_check(&key, "", NOW, t, 56, NULL));
	assert_false(token_check(&other, "i-1", NOW, t, 56, NULL));
}

static void no_character_of_a_token_can_be_changed(void **state)
{
	char t[TOKEN_TEXT_SIZE];

	(void)state;
	assert_int_equal(token_issue(&key, "i-1", NOW, 60, t, NULL), 0);
	for (size_t i = 0; i < 56; i++) {
		char was = t[i];

		for (const char *p = "AQgw019zZ-_= \t\n+/"; *p; p++) {
			t[i] = *p;
			assert_true(*p == was || !token_check(&key, "i-1", NOW, t, 56, NULL));
		}
		t[i] = was;
	}
	for (size_t len = 0; len < 56; len++)
		assert_false(token_check(&key, "i-1", NOW, t, len, NULL));
}

static void tokens_of_the_same_second_differ(void **state)
{
	char a[TOKEN_TEXT_SIZE], b[TOKEN_TEXT_SIZE];

	(void)state;
	assert_int_equal(token_issue(&key, "i-1", NOW, 60, a, NULL), 0);
	assert_int_equal(token_issue(&key, "i-1", NOW, 60, b, NULL), 0);
	assert_string_not_equal(a, b);
}

static void a_clock_set_back_does_not_lengthen_a_token(void **state)
{
	char t[TOKEN_TEXT_SIZE];

	(void)state;
	assert_int_equal(token_issue(&key, "i-1", NOW, TOKEN_MAX_TTL, t, NULL), 0);
	assert_true(token_check(&key, "i-1", NOW, t, 56, NULL));
	assert_false(token_check(&key, "i-1", NOW - 1, t, 56, NULL));
}

static char dir[] = "/tmp/test_token.XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? chdir(dir) : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return chdir("/") || fs_remove_tree(dir, NULL) ? -1 : 0;
}

static void a_key_file_is_made_once_and_private(void **state)
{
	struct token_key a, b;
	struct stat st;

	(void)state;
	assert_int_equal(token_key_load("made", &a, NULL), 0);
	assert_int_equal(token_key_load("made", &b, NULL), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(stat("made", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
}

static void race_for(const char *path)
{
	struct token_key keys[16];
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (fork() == 0) {
			struct token_key k;
			int bad = token_key_load(path, &k, NULL) ||
				  write(fds[1], &k, sizeof(k)) != (ssize_t)sizeof(k);

			_exit(bad);
		}
	}
	close(fds[1]);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		assert_int_equal(read(fds[0], &keys[i], sizeof(keys[i])), sizeof(keys[i]));
		assert_memory_equal(&keys[i], &keys[0], sizeof(keys[0]));
	}
	close(fds[0]);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

static void all_that_make_a_key_file_at_once_get_the_same_key(void **state)
{
	(void)state;
	/* Many times: who sees what when is up to the scheduler. */
	for (unsigned round = 0; round < 20; round++) {
		char path[16];

		snprintf(path, sizeof(path), "raced%u", round);
		race_for(path);
	}
}

static void a_key_file_that_is_not_one_is_refused(void **state)
{
	struct token_key k;
	struct err e = {0};

	(void)state;
	assert_int_equal(fs_write_file("short", "abc", 3, 0600, NULL), 0);
	assert_int_equal(token_key_load("short", &k, &e), -EBADMSG);
	assert_int_equal(fs_write_file("open", &key, sizeof(key), 0640, NULL), 0);
	assert_int_equal(token_key_load("open", &k, &e), -EACCES);
	assert_non_null(strstr(e.msg, "mode 0640"));
	assert_int_equal(symlink("made", "link"), 0);
	assert_int_equal(token_key_load("link", &k, &e), -ELOOP);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(token_key_load("fifo", &k, &e), -EBADMSG);
	assert_int_equal(token_key_load("no/such", &k, &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_holds_until_it_ends),
		cmocka_unit_test(a_token_is_for_one_instance_and_one_key),
		cmocka_unit_test(no_character_of_a_token_can_be_changed),
		cmocka_unit_test(tokens_of_the_same_second_differ),
		cmocka_unit_test(a_clock_set_back_does_not_lengthen_a_token),
		cmocka_unit_test(a_key_file_is_made_once_and_private),
		cmocka_unit_test(all_that_make_a_key_file_at_once_get_the_same_key),
		cmocka_unit_test(a_key_file_that_is_not_one_is_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
