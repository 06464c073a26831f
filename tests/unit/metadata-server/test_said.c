/* SPDX-License-Identifier: Apache-2.0 */
/* What guests say is kept within limits, for the machine that said it. */
#include "tests/unit/cmocka.h"

#include <stdio.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"
#include "metadata-server/said.h"

static struct instance *machine(const char *name, const char *id)
{
	struct instance *in = NULL;
	AUTO_FREE char *yaml = str_format("instance-id: %s\n", id);
	struct err e = {0};

	if (instance_parse_yaml(name, name, yaml, strlen(yaml), -1, NULL, NULL, &in, &e))
		fail_msg("%s", e.msg);
	return in;
}

static const char *of(const struct said *s, const struct instance *in, const char *key)
{
	size_t n;
	const struct context_pair *v = said_all(s, in, &n);

	return pairs_get(v, n, key);
}

static void say(struct said *s, const struct instance *in, const char *key, const char *value)
{
	struct err e = {0};

	s->now += 100; /* patience is another test's */
	if (said_set(s, in, key, value, &e))
		fail_msg("%s", e.msg);
}

static char *folder;

static int make_folder(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/said", &folder, NULL);
}

static int remove_folder(void **state)
{
	int rc = fs_remove_tree(folder, NULL);

	(void)state;
	free(folder);
	return rc;
}

static void what_is_said_outlives_the_server_and_not_its_machine(void **state)
{
	AUTO(instance_free) struct instance *a = machine("a", "i-1");
	AUTO(instance_free) struct instance *other = machine("a", "i-2");
	struct err e = {0};

	(void)state;
	for (int restarted = 0; restarted < 2; restarted++) {
		AUTO(said_release) struct said s = {0};
		size_t n;

		assert_int_equal(said_open(&s, folder, &e), 0);
		if (!restarted) {
			say(&s, a, SAID_ATTRIBUTES "n/b", "two\n\xc3\xa4\"");
			say(&s, a, SAID_ATTRIBUTES "n/a", "one");
			say(&s, a, SAID_ATTRIBUTES "n/c", "three");
			say(&s, a, SAID_ATTRIBUTES "n/c", NULL);
		}
		assert_string_equal(of(&s, a, SAID_ATTRIBUTES "n/b"), "two\n\xc3\xa4\"");
		assert_string_equal(said_all(&s, a, &n)[0].key, SAID_ATTRIBUTES "n/a");
		assert_int_equal(n, 2);
		assert_null(of(&s, other, SAID_ATTRIBUTES "n/a"));
		if (restarted)
			say(&s, other, SAID_ATTRIBUTES "n/a", "new");
		assert_int_equal(s.table.n, 1);
		assert_true(of(&s, restarted ? other : a, SAID_ATTRIBUTES "n/a") != NULL);
	}
	assert_int_equal(said_open(&(struct said){0}, "/nowhere", &e), -ENOENT);
}

static void a_guest_has_so_much_room(void **state)
{
	AUTO(instance_free) struct instance *a = machine("a", "i-1");
	AUTO(said_release) struct said s = {.now = 1};
	char key[16], large[4001];

	(void)state;
	memset(large, 'x', 4000);
	large[4000] = '\0';
	for (size_t i = 0; i < SAID_MAX_KEYS; i++) {
		snprintf(key, sizeof(key), "k%zu", i);
		say(&s, a, key, "v");
	}
	s.now += 100;
	assert_int_equal(said_set(&s, a, "more", "v", NULL), -EFBIG);
	for (size_t i = 0; i < 15; i++) {
		snprintf(key, sizeof(key), "k%zu", i);
		say(&s, a, key, large);
	}
	say(&s, a, "k15", "short");
	s.now += 100;
	assert_int_equal(said_set(&s, a, "k16", large, NULL), -EFBIG);
	assert_string_equal(of(&s, a, "k16"), "v");
	assert_true(s.bytes <= SAID_MAX_BYTES);
	assert_int_equal(said_clear(&s, a, NULL, NULL), 0);
	assert_int_equal(s.bytes, 0);
}

static void a_guest_may_not_say_things_all_the_time(void **state)
{
	AUTO(instance_free) struct instance *a = machine("a", "i-1");
	AUTO(instance_free) struct instance *b = machine("b", "i-2");
	AUTO(said_release) struct said s = {.now = 1000};
	char value[16];

	(void)state;
	for (unsigned i = 0; i < SAID_BURST; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_int_equal(said_set(&s, a, "k", value, NULL), 0);
	}
	assert_int_equal(said_set(&s, a, "k", value, NULL), 0); /* nothing new */
	assert_int_equal(said_set(&s, a, "k", "x", NULL), -EAGAIN);
	assert_int_equal(said_set(&s, b, "k", "x", NULL), 0);
	s.now++;
	assert_int_equal(said_set(&s, a, "k", "y", NULL), 0);
	assert_int_equal(said_set(&s, a, "k", "z", NULL), -EAGAIN);
	/* dropping all of it is the operator's, and gives no more */
	assert_int_equal(said_clear(&s, a, "k", NULL), 0);
	assert_int_equal(said_set(&s, a, "k", "z", NULL), -EAGAIN);
}

static bool is_b(void *arg, const char *name, const char *id)
{
	(void)arg;
	return !strcmp(name, "b") && !strcmp(id, "i-2");
}

static void machines_that_are_gone_make_room(void **state)
{
	AUTO(instance_free) struct instance *a = machine("a", "i-1");
	AUTO(instance_free) struct instance *b = machine("b", "i-2");
	AUTO(instance_free) struct instance *c = machine("c", "i-3");
	AUTO(said_release) struct said s = {0};
	AUTO_FREE char *file = str_format("%s/guests/a.json", folder);
	struct stat st;

	(void)state;
	assert_int_equal(said_open(&s, folder, NULL), 0);
	say(&s, a, SAID_PASSWORD, "v");
	say(&s, b, SAID_PASSWORD, "v");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	s.bytes += SAID_MAX_ALL; /* as if all had said so much */
	assert_int_equal(said_set(&s, c, SAID_PASSWORD, "v", NULL), -ENOSPC);
	s.bytes -= SAID_MAX_ALL;
	said_forget(&s, is_b, NULL);
	assert_int_equal(s.table.n, 1);
	assert_string_equal(of(&s, b, SAID_PASSWORD), "v");
	assert_int_equal(stat(file, &st), -1);
}

static void what_others_put_there_is_told(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"instance-id\": \"i-1\"}",
		"{\"instance-id\": \"a b\", \"said\": {}}",
		"{\"instance-id\": \"i-1\", \"said\": {\"password\": 1}}",
		"{\"instance-id\": \"i-1\", \"said\": {\"other\": \"\"}}",
		"{\"instance-id\": \"i-1\", \"said\": {\"guest-attributes/x\": \"\"}}",
		"{\"instance-id\": \"i-1\", \"said\": {\"password\": \"\\u0007\"}}",
	};
	AUTO_FREE char *file = str_format("%s/guests/x.json", folder);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct said s;
		struct err e = {0};

		assert_int_equal(fs_write_file(file, bad[i], strlen(bad[i]), 0600, NULL), 0);
		assert_int_equal(said_open(&s, folder, &e), -EBADMSG);
		assert_non_null(strstr(e.msg, "guests/x.json"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_outlives_the_server_and_not_its_machine),
		cmocka_unit_test(a_guest_has_so_much_room),
		cmocka_unit_test(a_guest_may_not_say_things_all_the_time),
		cmocka_unit_test(machines_that_are_gone_make_room),
		cmocka_unit_test(what_others_put_there_is_told),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
