/* SPDX-License-Identifier: Apache-2.0 */
/* Events are kept within limits, and what was kept is read again. */
#include "tests/unit/cmocka.h"

#include <stdio.h>

#include "lib/fs.h"
#include "lib/str.h"
#include "metadata-server/events.h"

#define SPOT "{\"spot\":{\"action\":\"stop\",\"time\":\"2030-01-02T03:04:05Z\"}}"

static struct instance *machine(const char *name)
{
	struct instance *in = NULL;
	AUTO_FREE char *yaml = str_format("instance-id: i-%s\n", name);
	struct err e = {0};

	if (instance_parse_yaml(name, name, yaml, strlen(yaml), -1, NULL, NULL, &in, &e))
		fail_msg("%s", e.msg);
	return in;
}

static bool is_a(void *arg, const char *name, const char *id)
{
	(void)arg;
	return !strcmp(name, "a") && !strcmp(id, "i-a");
}

/* A file with events of as many as there may be, each with some maintenance. */
static void write_many(const char *file)
{
	AUTO_BUF text = BUF_INIT;

	assert_return_code(buf_addc(&text, '{'), 0);
	for (size_t i = 0; i < EVENTS_MAX; i++) {
		assert_return_code(buf_addf(&text,
					    "%s\"m%zu\":{\"instance-id\":\"i-%zu\",\"events\":{"
					    "\"maintenance\":[",
					    i ? "," : "", i, i),
				   0);
		for (size_t k = 0; k < 4; k++)
			assert_return_code(
				buf_addf(&text,
					 "%s{\"id\":\"event-%zu\",\"code\":\"system-reboot\","
					 "\"not-before\":\"2030-01-02T03:04:05Z\"}",
					 k ? "," : "", k),
				0);
		assert_return_code(buf_adds(&text, "]}}"), 0);
	}
	assert_return_code(buf_addc(&text, '}'), 0);
	assert_int_equal(fs_write_file(file, text.data, text.len, 0600, NULL), 0);
}

static void what_so_many_had_is_read_again_and_those_that_are_gone_make_room(void **state)
{
	AUTO(instance_free) struct instance *a = machine("a");
	AUTO(events_release) struct events ev = {0};
	AUTO(events_release) struct events again = {0};
	AUTO_FREE char *folder = NULL;
	AUTO_FREE char *file = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(fs_make_temp_dir("/tmp/events", &folder, NULL), 0);
	file = path_join(folder, "events.json");
	write_many(file);
	if (events_open(&ev, folder, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(ev.table.n, EVENTS_MAX);
	assert_int_equal(events_set(&ev, a, SPOT, strlen(SPOT), &e), -ENOSPC);
	assert_null(events_get(&ev, a));
	assert_int_equal(events_forget(&ev, is_a, NULL, &e), 0);
	assert_int_equal(ev.table.n, 0);
	assert_int_equal(ev.bytes, 0);
	assert_int_equal(events_set(&ev, a, SPOT, strlen(SPOT), &e), 0);
	assert_string_equal(events_get(&ev, a), SPOT);
	assert_int_equal(ev.bytes, strlen(SPOT));
	assert_int_equal(events_open(&again, folder, &e), 0);
	assert_string_equal(events_get(&again, a), SPOT);
	assert_int_equal(fs_remove_tree(folder, NULL), 0);
}

static void all_have_so_much_room(void **state)
{
	AUTO(instance_free) struct instance *a = machine("a");
	AUTO(events_release) struct events ev = {0};
	struct err e = {0};

	(void)state;
	ev.bytes = EVENTS_MAX_ALL - strlen(SPOT); /* as if others had so much */
	assert_int_equal(events_set(&ev, a, SPOT, strlen(SPOT), &e), 0);
	assert_int_equal(events_set(&ev, a, SPOT, strlen(SPOT), &e), 0);
	assert_int_equal(events_set(&ev, a, "{\"target-lifecycle-state\":\"Terminated\"}", 39, &e),
			 -ENOSPC);
	assert_string_equal(events_get(&ev, a), SPOT);
	assert_int_equal(events_clear(&ev, a, NULL, &e), 0);
	assert_int_equal(ev.bytes, EVENTS_MAX_ALL - strlen(SPOT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_so_many_had_is_read_again_and_those_that_are_gone_make_room),
		cmocka_unit_test(all_have_so_much_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
