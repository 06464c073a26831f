/* SPDX-License-Identifier: Apache-2.0 */
/* What an export notes, and what of it is believed after a crash. */
#include <stdio.h>

#include "catalog/export_journal.h"
#include "lib/fs.h"
#include "tests/unit/cmocka.h"

static struct store *store;
static char *dir;

static int setup(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/test-export", &dir, NULL) < 0 ||
	       store_open(dir, &store, NULL) < 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	(void)fs_remove_tree(dir, NULL);
	free(dir);
	return 0;
}

static void digest_of_index(uint64_t index, uint8_t ret[32])
{
	for (unsigned i = 0; i < 32; i++)
		ret[i] = (uint8_t)(index + i);
}

/* A journal of blocks 0, 2, 4 ... below n; its path is the caller's. */
static char *journal_of(const char *origin, uint64_t n)
{
	AUTO(export_journal_close) struct export_journal j = EXPORT_JOURNAL_INIT;
	uint8_t digest[32];

	assert_int_equal(export_journal_open(store, origin, &j, NULL), 0);
	assert_int_equal(export_journal_begin(&j, "snap-1", 4096, NULL), 0);
	for (uint64_t i = 0; i < n; i += 2) {
		digest_of_index(i, digest);
		assert_int_equal(export_journal_add(&j, i, digest, NULL), 0);
	}
	return strdup(j.path);
}

static void append(const char *path, const char *text)
{
	FILE *f = fopen(path, "a");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void what_was_sent_is_known_again(void **state)
{
	AUTO(export_journal_close) struct export_journal j = EXPORT_JOURNAL_INIT;
	AUTO_FREE char *path = journal_of("a", 10);
	uint8_t digest[32];

	(void)state;
	assert_int_equal(export_journal_open(store, "a", &j, NULL), 0);
	assert_string_equal(j.snapshot, "snap-1");
	assert_int_equal(j.block_size, 4096);
	assert_int_equal(j.sent.n, 5);
	for (size_t i = 0; i < j.sent.n; i++) {
		assert_int_equal(j.sent.items[i].index, 2 * i);
		digest_of_index(2 * i, digest);
		assert_memory_equal(j.sent.items[i].digest, digest, 32);
	}
}

static void another_export_has_another_journal(void **state)
{
	AUTO(export_journal_close) struct export_journal j = EXPORT_JOURNAL_INIT;
	AUTO_FREE char *path = journal_of("b", 4);

	(void)state;
	assert_int_equal(export_journal_open(store, "c", &j, NULL), 0);
	assert_null(j.snapshot);
}

static void one_export_at_a_time(void **state)
{
	AUTO(export_journal_close) struct export_journal j = EXPORT_JOURNAL_INIT;
	AUTO(export_journal_close) struct export_journal other = EXPORT_JOURNAL_INIT;

	(void)state;
	assert_int_equal(export_journal_open(store, "d", &j, NULL), 0);
	assert_int_equal(export_journal_open(store, "d", &other, NULL), -EBUSY);
}

/* Whatever stands behind the last whole line is not there, and is cut off. */
static void what_a_crash_left_is_not_believed(void **state)
{
	static const char hex[] =
		"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
	const char *const tails[] = {
		"10",
		"10 0102",
		"10 zz02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n",
		"2 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n",
		"-1 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n",
		"99999999999999999999 "
		"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n",
		"\n\n\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		AUTO(export_journal_close) struct export_journal j = EXPORT_JOURNAL_INIT;
		AUTO_FREE char *path = journal_of("e", 6);
		AUTO_BUF before = BUF_INIT, after = BUF_INIT;

		assert_int_equal(fs_read_file(path, MIB, &before, NULL), 0);
		append(path, tails[i]);
		/* A whole line behind a bad one is not believed either. */
		if (strchr(tails[i], '\n')) {
			append(path, "20 ");
			append(path, hex);
			append(path, "\n");
		}
		assert_int_equal(export_journal_open(store, "e", &j, NULL), 0);
		assert_int_equal(j.sent.n, 3);
		assert_int_equal(fs_read_file(path, MIB, &after, NULL), 0);
		assert_int_equal(after.len, before.len);
	}
}

static void another_file_is_no_journal(void **state)
{
	const char *const texts[] = {
		"acclimate-export 1\n",
		"acclimate-export 1\n{}\n",
		"acclimate-export 1\n{\"snapshot\":",
		"acclimate-export 2\n{\"snapshot\":\"snap-1\",\"block-size\":4096}\n",
		"{}",
		"",
		"acclimate-export 1\n{\"snapshot\":\"snap-1\",\"block-size\":0}\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO(export_journal_close) struct export_journal j = EXPORT_JOURNAL_INIT;
		AUTO_FREE char *path = journal_of("f", 2);

		assert_int_equal(fs_write_file(path, texts[i], strlen(texts[i]), 0600, NULL), 0);
		assert_int_equal(export_journal_open(store, "f", &j, NULL), 0);
		assert_null(j.snapshot);
		assert_int_equal(j.sent.n, 0);
	}
}

static void what_a_snapshot_holds_reads_back_or_is_an_error(void **state)
{
	AUTO(export_blocks_release) struct export_blocks b = {0}, back = {0}, none = {0};
	AUTO_FREE char *path = NULL;
	uint64_t size = 0, gib = 0;
	uint8_t digest[32];

	(void)state;
	for (uint64_t i = 0; i < 3000; i += 3) {
		digest_of_index(i, digest);
		assert_int_equal(export_blocks_add(&b, i, digest, NULL), 0);
	}
	assert_int_equal(export_blocks_save(store, "snap-9", 524288, 2, &b, NULL), 0);
	assert_int_equal(export_blocks_load(store, "snap-9", &size, &gib, &back, NULL), 0);
	assert_int_equal(size, 524288);
	assert_int_equal(gib, 2);
	assert_int_equal(back.n, 1000);
	assert_memory_equal(back.items, b.items, b.n * sizeof(*b.items));
	assert_int_equal(export_blocks_load(store, "snap-8", &size, &gib, &none, NULL), -ENOENT);
	path = path_join(dir, "exports/snap-9.blocks");
	append(path, "5000 01");
	assert_int_equal(export_blocks_load(store, "snap-9", &size, &gib, &none, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sent_is_known_again),
		cmocka_unit_test(another_export_has_another_journal),
		cmocka_unit_test(one_export_at_a_time),
		cmocka_unit_test(what_a_crash_left_is_not_believed),
		cmocka_unit_test(another_file_is_no_journal),
		cmocka_unit_test(what_a_snapshot_holds_reads_back_or_is_an_error),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
