/* SPDX-License-Identifier: Apache-2.0 */
/* Initial RAM disks: every compression, archives behind archives, limits, damage. */
#include "cpio.h"

#include "imgconv/disk/initrd.h"

static const char *const *const compressors[] = {
	(const char *const[]){"gzip", "-n", NULL},
	(const char *const[]){"bzip2", NULL},
	(const char *const[]){"xz", "--check=crc32", NULL},
	(const char *const[]){"lzma", NULL},
	(const char *const[]){"zstd", "-q", NULL},
	(const char *const[]){"lz4", "-l", NULL},
};
static const char *const names[] = {"gzip", "bzip2", "xz", "lzma", "zstd", "lz4"};

/* What was seen: names with a space behind each. */
struct seen {
	struct buf text;
	const char *stop_at; /* NULL: nothing */
};

static bool see(void *ctx, const char *name)
{
	struct seen *s = ctx;

	assert_int_equal(buf_addf(&s->text, "%s ", name), 0);
	return s->stop_at && strcmp(s->stop_at, name) == 0;
}

static int read_buf(void *ctx, void *to, size_t len, uint64_t off, size_t *ret, struct err *e)
{
	const struct buf *b = ctx;

	(void)e;
	if (off % (64 * KIB))
		fail_msg("a read at %llu", (unsigned long long)off);
	*ret = off < b->len ? MIN(len, b->len - off) : 0;
	if (*ret)
		memcpy(to, b->data + off, *ret);
	return 0;
}

static int walk(struct buf *b, uint64_t limit, const char *stop_at, struct buf *out,
		struct initrd_report *r, struct err *e)
{
	struct initrd_source source = {.read = read_buf, .ctx = b, .size = b->len};
	struct seen seen = {.stop_at = stop_at};
	struct initrd_walk w = {.limit = limit, .seen = see, .ctx = &seen};
	int rc = initrd_walk(&source, &w, r, e);

	buf_release(out);
	*out = seen.text;
	return rc;
}

static void assert_walk(struct buf *b, const char *expected, const char *compression)
{
	AUTO_BUF out = BUF_INIT;
	struct initrd_report r;

	assert_ok(walk(b, GIB, NULL, &out, &r, e));
	assert_string_equal(buf_str(&out), expected);
	assert_string_equal(r.compression, compression);
	assert_true(r.whole);
}

static const char *const plain[] = {"init", "lib/modules/1/virtio_blk.ko", "bin/sh", NULL};
#define PLAIN "init lib/modules/1/virtio_blk.ko bin/sh "
static const char *const more[] = {"kernel/x86/microcode/GenuineIntel.bin", NULL};
#define MORE "kernel/x86/microcode/GenuineIntel.bin "

static void every_compression_is_read(void **state)
{
	AUTO_BUF archive = BUF_INIT;

	(void)state;
	cpio_make(&archive, plain, 100001);
	assert_walk(&archive, PLAIN, "none");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_BUF packed = BUF_INIT;

		compress_with(compressors[i], &archive, &packed);
		assert_walk(&packed, PLAIN, names[i]);
	}
}

static void microcode_and_zeros_may_come_first(void **state)
{
	/* The magic of what is compressed lies across the pieces in which files are read. */
	static const size_t sizes[] = {1000, 65536 - 512, 300000};
	AUTO_BUF archive = BUF_INIT;

	(void)state;
	cpio_make(&archive, plain, 5000);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_BUF packed = BUF_INIT;

		compress_with(compressors[i], &archive, &packed);
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			AUTO_BUF all = BUF_INIT;

			cpio_make(&all, more, sizes[s]);
			cpio_pad(&all, s == 1 ? 4 : 512);
			assert_int_equal(buf_add(&all, packed.data, packed.len), 0);
			assert_walk(&all, MORE PLAIN, names[i]);
		}
		for (size_t at = 65536 - 8; at < 65536 + 4; at += 4) {
			AUTO_BUF all = BUF_INIT;

			cpio_make(&all, more, 10);
			while (all.len < at)
				assert_int_equal(buf_addc(&all, '\0'), 0);
			assert_int_equal(buf_add(&all, packed.data, packed.len), 0);
			assert_walk(&all, MORE PLAIN, names[i]);
		}
	}
}

static void archives_may_follow_each_other(void **state)
{
	AUTO_BUF archive = BUF_INIT;
	AUTO_BUF second = BUF_INIT;

	(void)state;
	cpio_make(&archive, plain, 70000);
	cpio_make(&second, more, 10);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_BUF all = BUF_INIT;

		compress_with(compressors[i], &archive, &all);
		compress_with(compressors[i], &second, &all);
		assert_walk(&all, PLAIN MORE, names[i]);
	}
	{
		/* As the kernel does it, what is not compressed may come last. */
		AUTO_BUF all = BUF_INIT;

		compress_with(compressors[0], &archive, &all);
		cpio_pad(&all, 4);
		assert_int_equal(buf_add(&all, second.data, second.len), 0);
		assert_walk(&all, PLAIN MORE, "gzip");
	}
	assert_int_equal(buf_add(&archive, second.data, second.len), 0);
	cpio_pad(&archive, 70000);
	assert_walk(&archive, PLAIN MORE, "none");
}

static void an_end_can_be_made(void **state)
{
	AUTO_BUF archive = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct initrd_report r;

	(void)state;
	cpio_make(&archive, plain, 1000001);
	assert_ok(walk(&archive, GIB, "init", &out, &r, e));
	assert_string_equal(out.data, "init ");
	assert_false(r.whole);
	/* Of what is not compressed, files are not read. */
	assert_ok(walk(&archive, 600000, NULL, &out, &r, e));
	assert_string_equal(out.data, PLAIN);
	assert_true(r.whole && r.read < 600000);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_BUF packed = BUF_INIT;

		compress_with(compressors[i], &archive, &packed);
		assert_ok(walk(&packed, GIB, "lib/modules/1/virtio_blk.ko", &out, &r, e));
		assert_string_equal(out.data, "init lib/modules/1/virtio_blk.ko ");
		assert_false(r.whole);
		assert_ok(walk(&packed, 600000, NULL, &out, &r, e));
		assert_false(r.whole);
		assert_true(r.read < 1000000);
		assert_string_equal(r.compression, names[i]);
	}
}

static void nothing_inside_is_nothing_known(void **state)
{
	AUTO_BUF b = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct initrd_report r;

	(void)state;
	assert_ok(walk(&b, GIB, NULL, &out, &r, e));
	assert_false(r.whole);
	cpio_pad(&b, 4);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(buf_addc(&b, '\0'), 0);
	assert_ok(walk(&b, GIB, NULL, &out, &r, e));
	assert_false(r.whole);
	cpio_end(&b);
	assert_ok(walk(&b, GIB, NULL, &out, &r, e));
	assert_true(r.whole);
}

static void damage_is_told(void **state)
{
	AUTO_BUF archive = BUF_INIT;
	AUTO_BUF b = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct initrd_report r;

	(void)state;
	assert_int_equal(buf_adds(&b, "initrd\n"), 0);
	assert_fails(walk(&b, GIB, NULL, &out, &r, e), EBADMSG, "neither a cpio archive");
	buf_clear(&b);
	assert_int_equal(buf_add(&b, "\x89LZO\0\r\n\x1a\n", 9), 0);
	assert_fails(walk(&b, GIB, NULL, &out, &r, e), ENOTSUP, "lzo");
	cpio_make(&archive, plain, 5000);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		buf_clear(&b);
		compress_with(compressors[i], &archive, &b);
		b.len -= b.len / 3;
		assert_true(walk(&b, GIB, NULL, &out, &r, NULL) < 0);
	}
	/* Cut anywhere, it is an error or a shorter archive, and never more. */
	for (size_t len = archive.len - 1; len > 1; len -= MIN(len - 1, (size_t)97)) {
		size_t was = archive.len;
		int rc;

		archive.len = len;
		rc = walk(&archive, GIB, NULL, &out, &r, NULL);
		archive.len = was;
		assert_true(rc == 0 || rc == -EBADMSG);
		assert_true(strncmp(PLAIN, buf_str(&out), out.len) == 0);
	}
}

static void hostile_headers_are_refused(void **state)
{
	static const struct {
		unsigned at;
		const char *digits, *text;
	} cases[] = {
		{5, "9", "no cpio header"},         {6 + 6 * 8, "ffffffff", "ends early"},
		{6 + 11 * 8, "00000000", "a name"}, {6 + 11 * 8, "00001001", "a name"},
		{6 + 11 * 8, "00000004", "a name"}, {6 + 11 * 8, "0000000x", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_BUF b = BUF_INIT;
		AUTO_BUF out = BUF_INIT;
		struct initrd_report r;

		cpio_add(&b, "a-file", 0100644, 10);
		cpio_end(&b);
		memcpy(b.data + cases[i].at, cases[i].digits, strlen(cases[i].digits));
		assert_fails(walk(&b, GIB, NULL, &out, &r, e), EBADMSG, cases[i].text);
	}
}

static void memory_is_not_what_a_header_says(void **state)
{
	static const char *const big[] = {"xz", "--check=crc32", "--lzma2=dict=128MiB", NULL};
	AUTO_BUF archive = BUF_INIT;
	AUTO_BUF packed = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	struct initrd_report r;

	(void)state;
	cpio_make(&archive, plain, 10);
	compress_with(big, &archive, &packed);
	assert_fails(walk(&packed, GIB, NULL, &out, &r, e), ENOTSUP, "dictionary");
	buf_clear(&packed);
	compress_with(compressors[3], &archive, &packed);
	le32_put(packed.data + 1, 256u << 20);
	assert_fails(walk(&packed, GIB, NULL, &out, &r, e), ENOTSUP, "dictionary");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_compression_is_read),
		cmocka_unit_test(microcode_and_zeros_may_come_first),
		cmocka_unit_test(archives_may_follow_each_other),
		cmocka_unit_test(an_end_can_be_made),
		cmocka_unit_test(nothing_inside_is_nothing_known),
		cmocka_unit_test(damage_is_told),
		cmocka_unit_test(hostile_headers_are_refused),
		cmocka_unit_test(memory_is_not_what_a_header_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
