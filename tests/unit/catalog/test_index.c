/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/index: what is written is found again, whatever is in it. */
#include <stdio.h>

#include "catalog/index.h"
#include "catalog/web.h"
#include "lib/fs.h"
#include "tests/unit/cmocka.h"

/* A text for where what is freed stands otherwise. */
#define T(text) ((char *)(text))

static char dir[] = "/tmp/acclimate-index-XXXXXX";

static char *index_path(void)
{
	char *path = path_join(dir, "index");

	assert_non_null(path);
	return path;
}

static void write_index(const struct catalog_image *images, size_t n)
{
	AUTO(index_writer_free) struct index_writer *w = NULL;
	AUTO_FREE char *path = index_path();
	struct err e;

	assert_int_equal(index_writer_new(path, &w, &e), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(index_writer_add(w, &images[i], &e), 0);
	assert_int_equal(index_writer_commit(w, &e), 0);
}

struct found {
	char ids[512];
};

static int take(void *ctx, const struct catalog_image *im)
{
	struct found *f = ctx;

	strncat(f->ids, im->id, sizeof(f->ids) - strlen(f->ids) - 2);
	strcat(f->ids, " ");
	return 0;
}

/* The ids of what is found by words that end with NULL. */
static const char *search(struct found *f, const char *const *words, bool older)
{
	AUTO(index_close) struct index *x = NULL;
	AUTO(query_release) struct query q = {0};
	AUTO_FREE char *path = index_path();
	struct err e;
	size_t n = 0;

	while (words[n])
		n++;
	f->ids[0] = '\0';
	assert_int_equal(index_open(path, &x, &e), 0);
	assert_int_equal(query_parse(words, n, &q, &e), 0);
	q.older = older;
	assert_int_equal(index_search(x, &q, take, f, &e), 0);
	return f->ids;
}

#define SEARCH(...) search(&f, (const char *const[]){__VA_ARGS__, NULL}, false)

static void words_and_fields_are_found(void **state)
{
	struct catalog_image images[] = {
		{.id = T("a"),
		 .name = T("Debian 12"),
		 .architecture = T("arm64"),
		 .os = T("debian")},
		{.id = T("b"),
		 .name = T("debian-13"),
		 .architecture = T("x86_64"),
		 .os = T("debian")},
		{.id = T("c"),
		 .name = T("ubuntu"),
		 .description = T("not debian"),
		 .architecture = T("arm64")},
		{.id = T("d"), .name = T("debian 11"), .older = true},
		{.id = T("e"), .name = T("debian ami"), .elsewhere = true},
	};
	struct found f;

	(void)state;
	write_index(images, ARRAY_SIZE(images));
	assert_string_equal(SEARCH("debian"), "a b c ");
	assert_string_equal(SEARCH("DEBIAN", "12"), "a ");
	assert_string_equal(SEARCH("debian", "arch=aarch64"), "a c ");
	assert_string_equal(SEARCH("arch=amd64"), "b ");
	assert_string_equal(SEARCH("os=deb*", "arch=arm64"), "a ");
	assert_string_equal(SEARCH("debian-1?"), "b ");
	assert_string_equal(SEARCH("ebian-1?"), "");
	assert_string_equal(SEARCH("name=ubuntu"), "c ");
	assert_string_equal(SEARCH("name=ubunt"), "");
	assert_string_equal(search(&f, (const char *const[]){"debian", NULL}, true), "a b c d ");
}

static void hostile_texts_come_back_as_they_were(void **state)
{
	const struct catalog_image image = {
		.id = T("x\ty\nz\\t"),
		.name = T("\t\n\r\\\\ \x01 end"),
		.url = T("https://example.org/\n\t0\t1,2,3"),
		.delivery = DELIVERY_FILE,
		.size = UINT64_MAX,
		.virtual_size = 1,
		.is_public = true,
		.marketplace = true,
	};
	AUTO(catalog_image_release) struct catalog_image back = {0};
	AUTO(index_close) struct index *x = NULL;
	AUTO_FREE char *path = index_path();
	struct err e;

	(void)state;
	write_index(&image, 1);
	assert_int_equal(index_open(path, &x, &e), 0);
	assert_int_equal(index_find(x, image.id, &back, &e), 0);
	assert_string_equal(back.id, image.id);
	assert_string_equal(back.name, image.name);
	assert_string_equal(back.url, image.url);
	assert_null(back.os);
	assert_int_equal(back.delivery, DELIVERY_FILE);
	assert_true(back.size == UINT64_MAX && back.virtual_size == 1);
	assert_true(back.is_public && back.marketplace && !back.older && !back.elsewhere);
	assert_int_equal(index_find(x, "x", &back, &e), -ENOENT);
}

static void damaged_indexes_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"acclimate-index 2\n",
		"acclimate-index 1",
		"acclimate-index 1\nid\n",
		"acclimate-index 1\n\tid\n",
		"acclimate-index 1\n\tid\tid\n",
		"acclimate-index 1\n\tid\tid\t3,0,0,0,0\tid\n",
		"acclimate-index 1\n\tid\tid\t9,0,0,0,0"
		"\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\n",
	};
	AUTO_FREE char *path = index_path();
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(index_close) struct index *x = NULL;
		AUTO(query_release) struct query q = {0};
		struct found f = {{0}};
		int rc;

		assert_int_equal(fs_write_file(path, bad[i], strlen(bad[i]), 0600, &e), 0);
		assert_int_equal(query_parse((const char *const[]){"id"}, 1, &q, &e), 0);
		rc = index_open(path, &x, &e);
		if (rc == 0)
			rc = index_search(x, &q, take, &f, &e);
		assert_int_equal(rc, -EBADMSG);
	}
}

static void queries_that_mean_nothing_are_refused(void **state)
{
	AUTO(query_release) struct query q = {0};
	struct err e;

	(void)state;
	assert_int_equal(query_parse((const char *const[]){"colour=blue"}, 1, &q, &e), -EINVAL);
	assert_int_equal(query_parse((const char *const[]){"=x"}, 1, &q, &e), -EINVAL);
	assert_int_equal(query_parse((const char *const[]){""}, 1, &q, &e), -EINVAL);
}

static void references_are_joined_as_rfc3986_says(void **state)
{
	static const struct {
		const char *ref, *want;
	} cases[] = {
		{"g", "http://a/b/c/g"},
		{"./g", "http://a/b/c/g"},
		{"g/", "http://a/b/c/g/"},
		{"/g", "http://a/g"},
		{"//g/x", "http://g/x"},
		{"g?y", "http://a/b/c/g?y"},
		{"../g", "http://a/b/g"},
		{"../../../g", "http://a/g"},
		{"..", "http://a/b/"},
		{".", "http://a/b/c/"},
		{"g;x=1/../y", "http://a/b/c/y"},
		{"g#s", "http://a/b/c/g"},
		{"https://h/i", "https://h/i"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_FREE char *url = NULL;
		struct err e;

		assert_int_equal(web_join("http://a/b/c/d;p?q", cases[i].ref, &url, &e), 0);
		assert_string_equal(url, cases[i].want);
	}
	assert_int_equal(web_join("http://a/", "file:///etc/passwd", &(char *){NULL}, NULL),
			 -EINVAL);
	assert_true(web_same_origin("http://a/x", "http://a:80/y"));
	assert_false(web_same_origin("http://a/x", "https://a/x"));
	assert_false(web_same_origin("http://a/x", "http://a.b/x"));
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return fs_remove_tree(dir, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_fields_are_found),
		cmocka_unit_test(hostile_texts_come_back_as_they_were),
		cmocka_unit_test(damaged_indexes_are_refused),
		cmocka_unit_test(queries_that_mean_nothing_are_refused),
		cmocka_unit_test(references_are_joined_as_rfc3986_says),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
