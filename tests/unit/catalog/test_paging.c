/* SPDX-License-Identifier: Apache-2.0 */
/* Lists in pages come to an end, whatever their servers say. */
#include <stdio.h>

#include "catalog/paging.h"
#include "tests/unit/cmocka.h"

static void pages_that_differ_are_taken(void **state)
{
	AUTO(paging_release) struct paging p = {.most = 100, .most_empty = 1};
	char token[16];

	(void)state;
	for (int i = 0; i < 99; i++) {
		snprintf(token, sizeof(token), "token-%d", i);
		assert_int_equal(paging_next(&p, token, false, NULL), 0);
	}
	assert_int_equal(paging_next(&p, "more", false, NULL), -EFBIG);
}

static void a_page_that_was_there_ends_the_list(void **state)
{
	AUTO(paging_release) struct paging p = {.most = 100};
	struct err e;

	(void)state;
	assert_int_equal(paging_next(&p, "a", false, &e), 0);
	assert_int_equal(paging_next(&p, "b", false, &e), 0);
	assert_int_equal(paging_next(&p, "a", false, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "go round"));
}

static void empty_pages_may_repeat_their_token_for_a_while(void **state)
{
	AUTO(paging_release) struct paging p = {.most = 100, .most_empty = 3};
	struct err e;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(paging_next(&p, "a", true, &e), 0);
	assert_int_equal(paging_next(&p, "b", false, &e), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(paging_next(&p, "c", true, &e), 0);
	assert_int_equal(paging_next(&p, "c", true, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "empty"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_that_differ_are_taken),
		cmocka_unit_test(a_page_that_was_there_ends_the_list),
		cmocka_unit_test(empty_pages_may_repeat_their_token_for_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
