/* SPDX-License-Identifier: Apache-2.0 */
/* Making bundles as a library, as the catalog does: parts to a sink, without files. */
#include <sys/mman.h>

#include "bundle/bundle.h"
#include "lib/fs.h"
#include "tests/unit/cmocka.h"

#define DISK (3 * MIB + 512)

struct parts {
	struct buf part[64];
	size_t n, ended;
	size_t fail_at; /* the part whose first byte is refused; SIZE_MAX: none */
};

static void parts_release(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		buf_release(&p->part[i]);
}
DEFINE_AUTO_STRUCT(struct parts, parts_release);

static int put(void *ctx, size_t index, const void *data, size_t len, struct err *e)
{
	struct parts *p = ctx;

	if (index == p->fail_at)
		return err_set(e, ENOSPC, "no room for part %zu", index);
	assert_true(index == p->ended && index < ARRAY_SIZE(p->part) && len);
	p->n = index + 1;
	assert_int_equal(buf_add(&p->part[index], data, len), 0);
	return 0;
}

static int end(void *ctx, size_t index, uint64_t size, const char *sha1, struct err *e)
{
	struct parts *p = ctx;

	(void)e;
	assert_int_equal(index, p->ended++);
	assert_int_equal(size, p->part[index].len);
	assert_int_equal(strlen(sha1), 40);
	return 0;
}

struct reader {
	struct parts *parts;
	size_t index, at;
};

static int get(void *ctx, size_t index, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	struct reader *r = ctx;

	(void)e;
	if (r->index != index)
		r->at = 0;
	r->index = index;
	*ret_len = MIN(len, r->parts->part[index].len - r->at);
	memcpy(buf, r->parts->part[index].data + r->at, *ret_len);
	r->at += *ret_len;
	return 0;
}

static int write_disk(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	(void)e;
	assert_true(range_within(off, len, DISK));
	memcpy((uint8_t *)ctx + off, data, len);
	return 0;
}

/* Random bytes, bytes that repeat, and nothing. */
static struct image *make_image(uint8_t *disk)
{
	const struct image_open_opts raw = {.format = "raw"};
	struct image *im = NULL;
	int fd = memfd_create("disk", MFD_CLOEXEC);
	uint32_t x = 1;

	memset(disk, 0, DISK);
	for (size_t i = 100000; i < 900000; i++)
		disk[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	memset(disk + 2 * MIB, 'a', 300000);
	disk[DISK - 1] = 1;
	assert_true(fd >= 0 && fs_pwrite(fd, disk, DISK, 0, NULL) == 0);
	assert_int_equal(image_open_fd(fd, "disk", &raw, &im, NULL), 0);
	return im;
}

static struct manifest *make_manifest(void)
{
	const struct manifest_spec spec = {
		.name = "disk", .user = "1234-5678-9012", .architecture = "x86_64"};
	struct manifest *m = NULL;

	assert_int_equal(manifest_new(&spec, &m, NULL), 0);
	assert_string_equal(m->user, "123456789012");
	return m;
}

static void comes_back(struct parts *parts, const struct manifest *m,
		       const struct bundle_secret *secret, const uint8_t *disk)
{
	AUTO_FREE uint8_t *back = calloc(1, DISK);
	struct reader r = {.parts = parts, .index = SIZE_MAX};
	struct part_source src = {.read = get, .ctx = &r};
	const struct bundle_sink sink = {.write = write_disk, .ctx = back};
	struct err e = {0};

	assert_non_null(back);
	assert_int_equal(bundle_ec2_open(m, secret, &src, &sink, NULL, &e), 0);
	assert_memory_equal(back, disk, DISK);
}

static void round_trip(const struct bundle_ec2_opts *o, enum bundle_style style)
{
	AUTO_FREE uint8_t *disk = malloc(DISK);
	AUTO(image_close) struct image *im = make_image(disk);
	AUTO(manifest_free) struct manifest *m = make_manifest();
	AUTO(manifest_free) struct manifest *again = NULL;
	AUTO(parts_release) struct parts parts = {.fail_at = SIZE_MAX};
	AUTO_BUF text = BUF_INIT;
	struct part_sink sink = {.write = put, .end = end, .ctx = &parts};
	struct bundle_secret secret = {0};
	struct err e = {0};

	assert_int_equal(bundle_secret_random(&secret, &e), 0);
	assert_int_equal(bundle_ec2_create(im, o, style, &secret, &sink, m, NULL, &e), 0);
	assert_int_equal(parts.n, m->n_parts);
	assert_int_equal(parts.ended, m->n_parts);
	assert_int_equal(m->size, DISK);
	comes_back(&parts, m, &secret, disk);
	assert_int_equal(manifest_write(m, style, NULL, &text, &e), 0);
	assert_int_equal(manifest_parse(text.data, text.len, "text", &again, &e), 0);
	assert_int_equal(again->n_parts, m->n_parts);
	assert_null(again->signature);
	comes_back(&parts, again, &secret, disk);
}

static void parts_go_to_a_sink_and_come_back(void **state)
{
	static const struct bundle_ec2_opts opts[] = {
		{0},
		{.part_size = 100000, .threads = 1},
		{.part_size = 65536, .dense = true, .threads = 5},
		{.part_size = 1000000, .one_member = true, .threads = 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(opts); i++) {
		round_trip(&opts[i], BUNDLE_STYLE_EUCA2OOLS);
		round_trip(&opts[i], BUNDLE_STYLE_AMAZON);
	}
}

static void an_error_of_the_sink_is_told(void **state)
{
	AUTO_FREE uint8_t *disk = malloc(DISK);
	AUTO(image_close) struct image *im = make_image(disk);
	AUTO(manifest_free) struct manifest *m = make_manifest();
	AUTO(parts_release) struct parts parts = {.fail_at = 3};
	const struct bundle_ec2_opts o = {.part_size = 65536};
	struct part_sink sink = {.write = put, .end = end, .ctx = &parts};
	const struct bundle_secret secret = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(
		bundle_ec2_create(im, &o, BUNDLE_STYLE_EUCA2OOLS, &secret, &sink, m, NULL, &e),
		-ENOSPC);
	assert_string_equal(e.msg, "no room for part 3");
}

static void names_of_parts(void **state)
{
	static const struct {
		enum bundle_style style;
		size_t index, count;
		const char *name;
	} cases[] = {
		{BUNDLE_STYLE_AMAZON, 0, 1, "p.part.0"},
		{BUNDLE_STYLE_AMAZON, 8, 9, "p.part.8"},
		{BUNDLE_STYLE_AMAZON, 9, 10, "p.part.09"},
		{BUNDLE_STYLE_AMAZON, 7, 100, "p.part.007"},
		{BUNDLE_STYLE_EUCA2OOLS, 0, 1, "p.part.00"},
		{BUNDLE_STYLE_EUCA2OOLS, 99, 0, "p.part.99"},
		{BUNDLE_STYLE_EUCA2OOLS, 100, 0, "p.part.100"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_FREE char *name =
			bundle_part_name(cases[i].style, "p", cases[i].index, cases[i].count);

		assert_string_equal(name, cases[i].name);
	}
}

static void manifests_that_cannot_be(void **state)
{
	static const struct manifest_spec bad[] = {
		{.user = "123456789012", .architecture = "x86_64"},
		{.name = "a/b", .user = "123456789012", .architecture = "x86_64"},
		{.name = "..", .user = "123456789012", .architecture = "x86_64"},
		{.name = "a", .architecture = "x86_64"},
		{.name = "a", .user = "12345678901", .architecture = "x86_64"},
		{.name = "a", .user = "1234567890123", .architecture = "x86_64"},
		{.name = "a", .user = "12345678901x", .architecture = "x86_64"},
		{.name = "a", .user = "123456789012"},
		{.name = "a", .user = "123456789012", .architecture = "x\n"},
		{.name = "a", .user = "123456789012", .architecture = "x", .kernel_id = "\xff"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct manifest *m = NULL;
		struct err e = {0};

		assert_int_equal(manifest_new(&bad[i], &m, &e), -EINVAL);
		assert_null(m);
		assert_true(*e.msg != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_go_to_a_sink_and_come_back),
		cmocka_unit_test(an_error_of_the_sink_is_told),
		cmocka_unit_test(names_of_parts),
		cmocka_unit_test(manifests_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
