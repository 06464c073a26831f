/* SPDX-License-Identifier: Apache-2.0 */
/* The digest of a file by its pieces is what coreutils make of it, whatever the size. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "catalog/pieces.h"
#include "lib/fs.h"
#include "tests/unit/cmocka.h"

/* What the manual page of catalog says to type. */
#define BY_HAND "split -b 512K --filter=sha256sum $f | cut -c -64 | xxd -r -p | sha256sum"

static void digest_by_hand(int fd, const char *command, char hex[65])
{
	char line[256];
	FILE *out;

	snprintf(line, sizeof(line), "f=/proc/%d/fd/%d; %s", (int)getpid(), fd, command);
	out = popen(line, "r");
	assert_non_null(out);
	assert_int_equal(fread(hex, 1, 64, out), 64);
	hex[64] = '\0';
	pclose(out);
}

static int make_file(size_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	AUTO_FREE uint32_t *data = malloc(size + 4);
	uint32_t x = 1;

	assert_non_null(data);
	for (size_t i = 0; i <= size / 4; i++)
		data[i] = x = x * 1664525 + 1013904223;
	assert_int_equal(fs_pwrite(fd, data, size, 0, NULL), 0);
	return fd;
}

static void pieces_are_digested_as_by_hand(void **state)
{
	/* The last one is of several jobs. */
	static const size_t sizes[] = {0, PIECE_SIZE + 1, 9 * PIECE_SIZE + 12345};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		AUTO_FD int fd = make_file(sizes[i]);
		char ours[65], wanted[65];

		assert_int_equal(pieces_digest(fd, sizes[i], NULL, NULL, ours, NULL), 0);
		digest_by_hand(fd, BY_HAND, wanted);
		assert_string_equal(ours, wanted);
		assert_int_equal(pieces_digest_whole(fd, sizes[i], NULL, ours, NULL), 0);
		digest_by_hand(fd, "sha256sum $f", wanted);
		assert_string_equal(ours, wanted);
	}
}

static void what_is_known_is_not_read(void **state)
{
	AUTO_FD int fd = make_file(3 * PIECE_SIZE);
	struct piece pieces[3] = {{0}};
	char plain[65], known[65], again[65];

	(void)state;
	assert_int_equal(pieces_digest(fd, 3 * PIECE_SIZE, pieces, NULL, plain, NULL), 0);
	pieces[1].known = true;
	assert_int_equal(pieces_digest(fd, 3 * PIECE_SIZE, pieces, NULL, known, NULL), 0);
	assert_string_not_equal(plain, known);
	assert_int_equal(fs_pwrite(fd, "x", 1, PIECE_SIZE, NULL), 0);
	assert_int_equal(pieces_digest(fd, 3 * PIECE_SIZE, pieces, NULL, again, NULL), 0);
	assert_string_equal(known, again);
}

static void a_file_that_ends_too_early_has_no_digest(void **state)
{
	AUTO_FD int fd = make_file(PIECE_SIZE);
	char hex[65];

	(void)state;
	assert_int_equal(pieces_digest(fd, PIECE_SIZE + 1, NULL, NULL, hex, NULL), -EBADMSG);
	assert_int_equal(pieces_digest_whole(fd, PIECE_SIZE + 1, NULL, hex, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_digested_as_by_hand),
		cmocka_unit_test(what_is_known_is_not_read),
		cmocka_unit_test(a_file_that_ends_too_early_has_no_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
