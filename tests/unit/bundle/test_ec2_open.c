/* SPDX-License-Identifier: Apache-2.0 */
/* Opening of bundles that are made here, in memory, with every stage broken in its turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <zlib.h>

#include "bundle/bundle.h"
#include "lib/str.h"
#include "tests/unit/bundle/tarball.h"

/* A bundle under construction: change a stage's result before the next stage is made. */
struct made {
	struct buf tar, gz, aes;
	struct buf *parts;
	struct manifest m;
	struct bundle_secret secret;
	size_t step;      /* bytes a read gives at most */
	size_t fail_part; /* the source fails there; SIZE_MAX: nowhere */
	struct buf out;   /* what the sink got, holes filled */
	uint64_t fail_at; /* the sink fails from there */
};

static void hex_sha1(const struct buf *b, char out[41])
{
	uint8_t raw[DIGEST_MAX];

	digest_of(DIGEST_SHA1, buf_str(b), b->len, raw);
	hex_encode(raw, 20, out);
}

static void init(struct made *x, size_t size)
{
	*x = (struct made){.step = SIZE_MAX, .fail_part = SIZE_MAX, .fail_at = UINT64_MAX};
	x->m.name = (char *)(uintptr_t) "disk";
	x->m.size = size;
	for (int i = 0; i < 16; i++) {
		x->secret.key[i] = (uint8_t)i;
		x->secret.iv[i] = (uint8_t)(i * 3);
	}
}

/* Bytes that do not compress, so that parts come out as long as the test wants. */
static uint8_t byte_at(uint64_t i)
{
	i = (i ^ i >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
	i = (i ^ i >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint8_t)(i >> 40);
}

static void make_tar(struct made *x)
{
	AUTO_BUF data = BUF_INIT;

	for (uint64_t i = 0; i < x->m.size; i++)
		(void)buf_addc(&data, (char)byte_at(i));
	tarball_header(&x->tar, '0', data.len, true);
	tarball_data(&x->tar, data.data, data.len);
	tarball_zeros(&x->tar, 10240 - x->tar.len % 10240);
	hex_sha1(&x->tar, x->m.digest);
}

static void make_gzip(struct made *x)
{
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(buf_reserve(&x->gz, deflateBound(&z, x->tar.len) + 64), 0);
	z.next_in = (Bytef *)x->tar.data;
	z.avail_in = (uInt)x->tar.len;
	z.next_out = (Bytef *)x->gz.data;
	z.avail_out = (uInt)x->gz.cap - 1;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	x->gz.len = z.total_out;
	deflateEnd(&z);
}

/* pad: as PKCS#7 says, or (for tests) that last byte instead. */
static void make_aes(struct made *x, int last_byte)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	AUTO_BUF plain = BUF_INIT;
	uint8_t pad = (uint8_t)(16 - x->gz.len % 16);
	int n = 0;

	(void)buf_add(&plain, x->gz.data, x->gz.len);
	for (int i = 0; i < pad; i++)
		(void)buf_addc(&plain, (char)pad);
	if (last_byte >= 0)
		plain.data[plain.len - 1] = (char)last_byte;
	assert_int_equal(buf_reserve(&x->aes, plain.len + 16), 0);
	EVP_EncryptInit_ex(ctx, EVP_aes_128_cbc(), NULL, x->secret.key, x->secret.iv);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	assert_int_equal(EVP_EncryptUpdate(ctx, (uint8_t *)x->aes.data, &n, (uint8_t *)plain.data,
					   (int)plain.len),
			 1);
	x->aes.len = (size_t)n;
	EVP_CIPHER_CTX_free(ctx);
}

static void make_parts(struct made *x, size_t part_size, bool empty_last)
{
	size_t n = (x->aes.len + part_size - 1) / part_size + empty_last;

	x->parts = calloc(n, sizeof(*x->parts));
	x->m.parts = calloc(n, sizeof(*x->m.parts));
	x->m.n_parts = n;
	x->m.bundled_size = x->aes.len;
	for (size_t i = 0; i < n; i++) {
		size_t at = MIN(i * part_size, x->aes.len);

		if (at < x->aes.len)
			(void)buf_add(&x->parts[i], x->aes.data + at,
				      MIN(part_size, x->aes.len - at));
		x->m.parts[i].filename = str_format("disk.part.%zu", i);
		hex_sha1(&x->parts[i], x->m.parts[i].digest);
	}
}

static void make_all(struct made *x, size_t size, size_t part_size)
{
	init(x, size);
	make_tar(x);
	make_gzip(x);
	make_aes(x, -1);
	make_parts(x, part_size, false);
}

static void release(struct made *x)
{
	for (size_t i = 0; i < x->m.n_parts; i++) {
		buf_release(&x->parts[i]);
		free(x->m.parts[i].filename);
	}
	free(x->parts);
	free(x->m.parts);
	buf_release(&x->tar);
	buf_release(&x->gz);
	buf_release(&x->aes);
	buf_release(&x->out);
}
DEFINE_AUTO_STRUCT(struct made, release);

struct cursor {
	struct made *x;
	size_t part, at;
};

static int read_part(void *ctx, size_t index, void *buf, size_t len, size_t *ret_len, struct err *e)
{
	struct cursor *c = ctx;
	const struct buf *b = &c->x->parts[index];
	size_t n;

	if (index != c->part) {
		c->part = index;
		c->at = 0;
	}
	if (index == c->x->fail_part && c->at)
		return err_set(e, ECONNRESET, "connection lost");
	n = MIN(MIN(len, b->len - c->at), c->x->step);
	if (n)
		memcpy(buf, b->data + c->at, n);
	c->at += n;
	*ret_len = n;
	return 0;
}

static int take(void *ctx, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct made *x = ctx;

	if (off + len > x->fail_at)
		return err_set(e, ENOSPC, "disk full");
	assert_true(off >= x->out.len);
	tarball_zeros(&x->out, off - x->out.len);
	return buf_add(&x->out, data, len);
}

static int open_made(struct made *x, bool verify_only, struct err *e)
{
	struct cursor c = {.x = x};
	struct part_source src = {.read = read_part, .ctx = &c};
	const struct bundle_sink sink = {.write = take, .ctx = x};

	buf_clear(&x->out);
	*e = (struct err){0};
	return bundle_ec2_open(&x->m, &x->secret, &src, verify_only ? NULL : &sink, NULL, e);
}

static void expect_good(struct made *x)
{
	struct cursor c = {.x = x};
	struct part_source src = {.read = read_part, .ctx = &c};
	struct err e;

	if (open_made(x, false, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(x->out.len, x->m.size);
	for (uint64_t i = 0; i < x->m.size; i++)
		assert_int_equal((uint8_t)x->out.data[i], byte_at(i));
	assert_int_equal(open_made(x, true, &e), 0);
	assert_int_equal(bundle_ec2_check_parts(&x->m, &src, NULL, &e), 0);
}

static void expect_bad(struct made *x, int code, const char *part)
{
	struct err e;
	int rc = open_made(x, false, &e);

	if (rc != -code || !strstr(e.msg, part))
		fail_msg("%d '%s', not '%s'", rc, e.msg, part);
	if (code != ENOSPC)
		assert_int_equal(open_made(x, true, &e), -code);
}

static void bundles_with_parts_of_any_size_are_opened(void **state)
{
	static const size_t sizes[] = {1, 5, 15, 16, 17, 31, 1000, 1024, 1 << 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		AUTO(release) struct made x;

		make_all(&x, 3000, sizes[i]);
		expect_good(&x);
	}
}

static void a_source_may_give_as_little_as_it_likes(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	make_all(&x, 5000, 700);
	x.step = 3;
	expect_good(&x);
}

static void more_data_than_all_buffers_hold_goes_through(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	make_all(&x, 5 * MIB + 123, 300000);
	expect_good(&x);
}

static void every_length_of_padding_is_taken(void **state)
{
	(void)state;
	for (size_t size = 100; size < 140; size++) {
		AUTO(release) struct made x;

		make_all(&x, size, 64);
		expect_good(&x);
	}
}

static void an_empty_last_part_is_taken(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	init(&x, 2000);
	make_tar(&x);
	make_gzip(&x);
	make_aes(&x, -1);
	make_parts(&x, x.aes.len / 2, true);
	assert_int_equal(x.parts[x.m.n_parts - 1].len, 0);
	expect_good(&x);
}

static void a_changed_part_is_named_before_its_bytes_are_used(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	make_all(&x, 20000, 1000);
	x.parts[3].data[10] ^= 1;
	expect_bad(&x, EBADMSG, "part 3 'disk.part.3': SHA-1 of its 1000 bytes is ");
}

static void shorter_longer_and_swapped_parts_are_refused(void **state)
{
	AUTO(release) struct made x;
	struct buf swap;

	(void)state;
	make_all(&x, 20000, 1000);
	x.parts[2].len--;
	expect_bad(&x, EBADMSG, "part 2 'disk.part.2': SHA-1 of its 999 bytes");
	x.parts[2].len++;
	(void)buf_addc(&x.parts[2], 'x');
	expect_bad(&x, EBADMSG, "part 2 'disk.part.2': SHA-1 of its 1001 bytes");
	x.parts[2].len--;
	swap = x.parts[1];
	x.parts[1] = x.parts[4];
	x.parts[4] = swap;
	expect_bad(&x, EBADMSG, "part 1 'disk.part.1': SHA-1");
}

static void the_sum_of_sizes_must_be_the_bundled_size(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	make_all(&x, 20000, 1000);
	x.m.bundled_size += 16;
	expect_bad(&x, EBADMSG, "the manifest's bundled size is");
	x.m.bundled_size -= 32;
	expect_bad(&x, EBADMSG, "parts exceed the manifest's bundled size");
	x.m.bundled_size += 17;
	expect_bad(&x, EBADMSG, "is not whole AES blocks");
}

static void a_part_that_is_too_large_is_refused(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	init(&x, 1000);
	assert_int_equal(buf_reserve(&x.aes, BUNDLE_PART_LIMIT + 16), 0);
	memset(x.aes.data, 1, BUNDLE_PART_LIMIT + 16);
	x.aes.len = BUNDLE_PART_LIMIT + 16;
	make_parts(&x, x.aes.len, false);
	expect_bad(&x, EFBIG, "part 0 'disk.part.0': part is larger than 32 MiB");
}

static void wrong_padding_is_refused(void **state)
{
	static const int bad[] = {0, 17, 255, -2};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(release) struct made x;

		init(&x, 2000);
		make_tar(&x);
		make_gzip(&x);
		/* -2: a last byte that the bytes before it do not bear out. */
		make_aes(&x, bad[i] == -2 ? 1 + (int)((16 - x.gz.len % 16) % 16) + 1 : bad[i]);
		make_parts(&x, 512, false);
		expect_bad(&x, EBADMSG, "AES padding is wrong");
	}
}

static void a_wrong_secret_ends_in_an_error(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	make_all(&x, 2000, 512);
	x.secret.key[0] ^= 1;
	expect_bad(&x, EBADMSG, "");
}

static void a_wrong_tar_digest_is_told_at_the_end(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	make_all(&x, 2000, 512);
	x.m.digest[0] = x.m.digest[0] == '0' ? '1' : '0';
	expect_bad(&x, EBADMSG, "SHA-1 of the tar stream is ");
	assert_int_equal(x.out.len, 0);
}

static void the_digest_covers_what_follows_the_archives_end(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	init(&x, 2000);
	make_tar(&x);
	tarball_zeros(&x.tar, 512);
	make_gzip(&x);
	make_aes(&x, -1);
	make_parts(&x, 512, false);
	expect_bad(&x, EBADMSG, "SHA-1 of the tar stream is ");
	hex_sha1(&x.tar, x.m.digest);
	expect_good(&x);
}

static void another_size_is_refused(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	make_all(&x, 2000, 512);
	x.m.size = 1999;
	expect_bad(&x, EBADMSG, "file has 2000 bytes, not 1999");
	assert_int_equal(x.out.len, 0);
}

static void gzip_that_is_damaged_cut_or_followed_is_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		static const char *const part[] = {"gzip: member 1", "gzip: data ends inside",
						   "are no further member"};
		AUTO(release) struct made x;

		init(&x, 2000);
		make_tar(&x);
		make_gzip(&x);
		if (i == 0)
			x.gz.data[x.gz.len - 5] ^= 1;
		else if (i == 1)
			x.gz.len -= 4;
		else
			(void)buf_adds(&x.gz, "trailing garbage");
		make_aes(&x, -1);
		make_parts(&x, 512, false);
		expect_bad(&x, EBADMSG, part[i]);
	}
}

static void an_archive_with_two_members_is_refused(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	init(&x, 2000);
	make_tar(&x);
	x.tar.len = 512 + 2048;
	tarball_header(&x.tar, '0', 0, true);
	tarball_zeros(&x.tar, 1024);
	hex_sha1(&x.tar, x.m.digest);
	make_gzip(&x);
	make_aes(&x, -1);
	make_parts(&x, 512, false);
	expect_bad(&x, EBADMSG, "tar at 0xa00: more than zeros follow the file");
}

static void an_archive_that_is_cut_is_refused_though_its_digest_fits(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	init(&x, 2000);
	make_tar(&x);
	x.tar.len = 512 + 1999;
	hex_sha1(&x.tar, x.m.digest);
	make_gzip(&x);
	make_aes(&x, -1);
	make_parts(&x, 512, false);
	expect_bad(&x, EBADMSG, "tar ends at 0x9cf, in the file's data");
}

static void errors_of_source_and_sink_come_through(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	make_all(&x, 2 * MIB, 50000);
	x.fail_part = 20;
	expect_bad(&x, ECONNRESET, "part 20 'disk.part.20': connection lost");
	x.fail_part = SIZE_MAX;
	x.fail_at = MIB;
	expect_bad(&x, ENOSPC, "disk full");
}

/* A small bundle that would unfold to far more than the manifest says is given up at once. */
static void a_bomb_is_refused_by_its_header_or_its_trailer(void **state)
{
	AUTO(release) struct made x;

	(void)state;
	init(&x, 2000);
	make_tar(&x);
	tarball_zeros(&x.tar, 4 * MIB);
	hex_sha1(&x.tar, x.m.digest);
	make_gzip(&x);
	make_aes(&x, -1);
	make_parts(&x, 5000, false);
	expect_bad(&x, EFBIG, "zeros follow the file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bundles_with_parts_of_any_size_are_opened),
		cmocka_unit_test(a_source_may_give_as_little_as_it_likes),
		cmocka_unit_test(more_data_than_all_buffers_hold_goes_through),
		cmocka_unit_test(every_length_of_padding_is_taken),
		cmocka_unit_test(an_empty_last_part_is_taken),
		cmocka_unit_test(a_changed_part_is_named_before_its_bytes_are_used),
		cmocka_unit_test(shorter_longer_and_swapped_parts_are_refused),
		cmocka_unit_test(the_sum_of_sizes_must_be_the_bundled_size),
		cmocka_unit_test(a_part_that_is_too_large_is_refused),
		cmocka_unit_test(wrong_padding_is_refused),
		cmocka_unit_test(a_wrong_secret_ends_in_an_error),
		cmocka_unit_test(a_wrong_tar_digest_is_told_at_the_end),
		cmocka_unit_test(the_digest_covers_what_follows_the_archives_end),
		cmocka_unit_test(another_size_is_refused),
		cmocka_unit_test(gzip_that_is_damaged_cut_or_followed_is_refused),
		cmocka_unit_test(an_archive_with_two_members_is_refused),
		cmocka_unit_test(an_archive_that_is_cut_is_refused_though_its_digest_fits),
		cmocka_unit_test(errors_of_source_and_sink_come_through),
		cmocka_unit_test(a_bomb_is_refused_by_its_header_or_its_trailer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
