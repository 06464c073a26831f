/* SPDX-License-Identifier: Apache-2.0 */
/* Files in memory whose pages are lost while they are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mapped.h"

#define PAGES 4

static size_t page;

static int file_of_pages(void)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(pwrite(fd, "x", 1, (off_t)(i * page)), 1);
	assert_int_equal(ftruncate(fd, (off_t)(PAGES * page)), 0);
	return fd;
}

struct reader {
	const volatile uint8_t *p;
	size_t len;
	unsigned found;
	bool ended;
};

static void count_bytes(void *ctx)
{
	struct reader *r = ctx;

	for (size_t i = 0; i < r->len; i++)
		r->found += r->p[i] == 'x';
	r->ended = true;
}

static void test_nothing_is_mapped_before_it_is_allowed(void **state)
{
	int fd = file_of_pages();

	(void)state;
	assert_false(mapped_allowed());
	assert_null(mapped_get(fd, 0, page));
	assert_int_equal(mapped_allow(NULL), 0);
	assert_true(mapped_allowed());
	close(fd);
}

static void test_a_file_is_read_as_it_is(void **state)
{
	int fd = file_of_pages();
	uint8_t *p = mapped_get(fd, page, 2 * page);
	struct reader r = {.p = p, .len = 2 * page};

	(void)state;
	assert_non_null(p);
	assert_true(mapped_read(p, 2 * page, count_bytes, &r));
	assert_true(r.ended);
	assert_int_equal(r.found, 2);
	/* No page begins there; and this is no file. */
	assert_null(mapped_get(fd, 512, page));
	assert_null(mapped_get(-1, 0, page));
	mapped_put(p, 2 * page);
	close(fd);
}

/* Again and again: a jump out of the handler leaves nothing behind. */
static void test_a_lost_page_ends_the_reading_alone(void **state)
{
	(void)state;
	/* cmocka takes the signal for itself before each test. */
	assert_int_equal(mapped_allow(NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		int fd = file_of_pages();
		uint8_t *p = mapped_get(fd, 0, PAGES * page);
		struct reader r = {.p = p, .len = PAGES * page};

		assert_non_null(p);
		assert_true(mapped_read(p, r.len, count_bytes, &r));
		assert_int_equal(ftruncate(fd, (off_t)page + 1), 0);
		r.found = 0;
		r.ended = false;
		assert_false(mapped_read(p, r.len, count_bytes, &r));
		assert_false(r.ended);
		assert_int_equal(r.found, 2);
		/* The kernel meets it, too. */
		assert_int_equal(write(fd, p + 2 * page, page), -1);
		assert_int_equal(errno, EFAULT);
		mapped_put(p, PAGES * page);
		close(fd);
	}
}

static void test_any_other_lost_page_ends_the_process(void **state)
{
	int fd = file_of_pages();
	uint8_t *other = mapped_get(fd, 0, page), *p = mapped_get(fd, page, page);
	struct reader r = {.p = other, .len = page};
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(mapped_allow(NULL), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	pid = fork();
	if (pid == 0) {
		/* What a test's own handler, or a sanitizer's, would print is of no use. */
		close(STDERR_FILENO);
		close(STDOUT_FILENO);
		mapped_read(p, page, count_bytes, &r);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	mapped_put(other, page);
	mapped_put(p, page);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_mapped_before_it_is_allowed),
		cmocka_unit_test(test_a_file_is_read_as_it_is),
		cmocka_unit_test(test_a_lost_page_ends_the_reading_alone),
		cmocka_unit_test(test_any_other_lost_page_ends_the_process),
	};

	page = (size_t)sysconf(_SC_PAGESIZE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
