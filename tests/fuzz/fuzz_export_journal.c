/* SPDX-License-Identifier: Apache-2.0 */
/* What an export noted, after whatever happened to the file: of a journal the beginning that makes sense
 * is believed, and stays; a list of a snapshot's blocks is whole or refused. */
#include <fcntl.h>
#include <stdio.h>

#include "catalog/export_journal.h"
#include "lib/fs.h"
#include "lib/str.h"

#define SNAPSHOT "snap-0123456789abcdef0"

static char *dir;
static struct store *store;
static char *journal; /* path */

static void remove_dir(void)
{
	(void)fs_remove_tree(dir, NULL);
	free(dir);
	free(journal);
}

static void set_up(void)
{
	AUTO(export_journal_close) struct export_journal j = EXPORT_JOURNAL_INIT;

	/* In memory, where it can be: each file is synced. */
	if ((fs_make_temp_dir("/dev/shm/fuzz-export", &dir, NULL) < 0 &&
	     fs_make_temp_dir("/tmp/fuzz-export", &dir, NULL) < 0) ||
	    store_open(dir, &store, NULL) < 0 || export_journal_open(store, "origin", &j, NULL) < 0)
		abort();
	journal = strdup(j.path);
	atexit(remove_dir);
}

static void check_blocks(const struct export_blocks *b)
{
	for (size_t i = 1; i < b->n; i++) {
		if (b->items[i].index <= b->items[i - 1].index)
			abort();
	}
}

static void check_journal(const uint8_t *data, size_t size)
{
	AUTO(export_journal_close) struct export_journal j = EXPORT_JOURNAL_INIT;
	AUTO(export_journal_close) struct export_journal again = EXPORT_JOURNAL_INIT;
	AUTO_BUF left = BUF_INIT;

	if (fs_write_file(journal, data, size, 0600, NULL) < 0)
		abort();
	if (export_journal_open(store, "origin", &j, NULL) < 0)
		return;
	check_blocks(&j.sent);
	if ((j.sent.n && !j.snapshot) || fs_read_file(journal, SIZE_MAX / 2, &left, NULL) < 0 ||
	    left.len > size || (left.len && memcmp(left.data, data, left.len) != 0))
		abort();
	/* What was believed once is believed again. */
	close(steal_fd(&j.fd));
	if (export_journal_open(store, "origin", &again, NULL) < 0 || again.sent.n != j.sent.n ||
	    !again.snapshot != !j.snapshot || (j.snapshot && again.block_size != j.block_size))
		abort();
}

static void check_list(const uint8_t *data, size_t size)
{
	AUTO(export_blocks_release) struct export_blocks b = {0};
	AUTO_FREE char *path = str_format("%s/exports/" SNAPSHOT ".blocks", dir);
	uint64_t block_size = 0, gib = 0;
	struct err e = {0};

	if (!path || fs_write_file(path, data, size, 0600, NULL) < 0)
		abort();
	if (export_blocks_load(store, SNAPSHOT, &block_size, &gib, &b, &e) < 0) {
		if (!e.code || !*e.msg)
			abort();
		return;
	}
	check_blocks(&b);
	if (!gib || !block_size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dir)
		set_up();
	check_journal(data, size);
	check_list(data, size);
	return 0;
}
