/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK: which sectors are in use, descriptors, limits of memory and time, any writes, many readers. */
#include "tests/unit/imgconv/helper.h"

#include <pthread.h>
#include <sys/mman.h>

#include "imgconv/format/vmdk.h"

/* ---- space --------------------------------------------------------------------------------- */

/* Against a byte for each sector; `offset` moves all far behind the beginning of a large file. */
static void try_space(uint64_t file_size, uint64_t offset)
{
	enum {
		N = 4096
	};
	AUTO(vmdk_space_free) struct vmdk_space *s = NULL;
	uint8_t used[N] = {0};
	uint64_t sector, n;
	struct err why;

	assert_ok(vmdk_space_new(file_size, &s, e));
	for (unsigned i = 0; i < 600; i++) {
		uint64_t at = rng(N);
		uint64_t len = rng_len(rng(3) ? 12 : 140, N - at);
		const uint8_t *conflict = memchr(used + at, 1, (size_t)len);

		/* What comes before a conflict may be taken or not: begin there. */
		if (conflict) {
			assert_int_equal(vmdk_space_take(s, "thing",
							 offset + (uint64_t)(conflict - used),
							 1 + rng(9), &why),
					 -EBADMSG);
			continue;
		}
		assert_ok(vmdk_space_take(s, "thing", offset + at, len, e));
		memset(used + at, 1, (size_t)len);
	}
	for (sector = offset; vmdk_space_next_free(s, &sector, &n) && sector < offset + N;
	     sector += n) {
		uint64_t at = sector - offset;

		assert_true(at == 0 || used[at - 1]);
		for (uint64_t i = 0; i < n && at + i < N; i++)
			assert_int_equal(used[at + i], 0);
		assert_true(at + n >= N || used[at + n]);
		memset(used + at, 1, (size_t)MIN(n, N - at));
	}
	assert_null(memchr(used, 0, N));
}

static void space_is_exact_whatever_the_size(void **state)
{
	(void)state;
	rng_state = 51;
	for (unsigned i = 0; i < 60; i++) {
		try_space(4 * MIB, 0);
		if (i % 5)
			continue;
		try_space(200 * GIB, 123 * GIB / SECTOR - 5);
		try_space(2048 * GIB, 2047 * GIB / SECTOR - 3);
	}
}

static void space_of_scattered_pieces_has_an_end(void **state)
{
	AUTO(vmdk_space_free) struct vmdk_space *s = NULL;
	struct err why;
	int rc = 0;

	(void)state;
	assert_ok(vmdk_space_new(2048 * GIB, &s, e));
	for (uint64_t i = 0; i < 1u << 21 && rc == 0; i++)
		rc = vmdk_space_take(s, "thing", i * 128 + 3, 1, &why);
	assert_int_equal(rc, -EFBIG);
}

static void space_behind_the_file_is_of_no_account(void **state)
{
	AUTO(vmdk_space_free) struct vmdk_space *s = NULL;
	uint64_t sector = 0, n = 0;

	(void)state;
	assert_ok(vmdk_space_new(1000 * SECTOR, &s, e));
	assert_ok(vmdk_space_take(s, "grain", 990, 128, e));
	assert_ok(vmdk_space_take(s, "grain", 2000, UINT64_MAX - 2000, e));
	assert_fails(vmdk_space_take(s, "grain", 999, 1, e), EBADMSG, "in use twice");
	assert_true(vmdk_space_next_free(s, &sector, &n));
	assert_int_equal(sector, 0);
	assert_int_equal(n, 990);
	sector = 990;
	assert_false(vmdk_space_next_free(s, &sector, &n));
}

/* ---- descriptors ----------------------------------------------------------------------------- */

#define FLAT_HEAD "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\n"

static int parse(const char *text, struct vmdk_descriptor *d, struct err *e)
{
	return vmdk_descriptor_parse(text, strlen(text), false, d, e);
}

static void reads_a_descriptor(void **state)
{
	AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};

	(void)state;
	assert_ok(
		parse("# Disk DescriptorFile\r\nVERSION=1\r\nCID=00c0ffee\r\nparentCID=ffffffff\r\n"
		      "createType=\"twoGbMaxExtentFlat\"\r\n\r\n"
		      "  RW 10 FLAT \"a b=c.vmdk\" 7\r\nRDONLY 20 FLAT \"\xc3\xa9.vmdk\" 0\r\nRW 5 "
		      "ZERO\r\n"
		      "ddb.adapterType = \"lsilogic\"\r\nddb.nonsense\r\n",
		      &d, e));
	assert_int_equal(d.type, VMDK_SPLIT_FLAT);
	assert_int_equal(d.refusal.code, 0);
	assert_int_equal(d.n_lines, 3);
	assert_int_equal(d.sectors, 35);
	assert_int_equal(d.cid, 0xc0ffee);
	assert_string_equal(d.lines[0].file, "a b=c.vmdk");
	assert_int_equal(d.lines[0].offset, 7);
	assert_int_equal(d.lines[2].kind, VMDK_ZERO);
	assert_string_equal(d.adapter, "lsilogic");
}

static void refuses_descriptors(void **state)
{
	static const struct {
		int code;
		const char *text, *why;
	} cases[] = {
		{EACCES, FLAT_HEAD "RW 1 FLAT \"/etc/passwd\" 0\n", "not a plain file name"},
		{EACCES, FLAT_HEAD "RW 1 FLAT \"..\" 0\n", "not a plain file name"},
		{EACCES, FLAT_HEAD "RW 1 FLAT \"\" 0\n", "not a plain file name"},
		{ENOTSUP, FLAT_HEAD "RW 1 VMFSRDM \"a\"\n", "type 'VMFSRDM'"},
		{ENOTSUP, FLAT_HEAD "NOACCESS 1 ZERO\n", "without access"},
		{EBADMSG, FLAT_HEAD "RW 1 SPARSE \"a\"\n", "extent 1 is sparse"},
		{ENOTSUP, "version=1\ncreateType=\"custom\"\nRW 1 FLAT \"a\" 0\n", "'custom'"},
		{ENOTSUP, "version=1\ncreateType=\"monolithicSparse\"\nRW 1 SPARSE \"a\"\n",
		 "in a file of its own"},
		{EACCES, FLAT_HEAD "parentCID=0\nRW 1 FLAT \"a\" 0\n", "delta disk"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};

		assert_ok(parse(cases[i].text, &d, e));
		assert_int_equal(d.refusal.code, cases[i].code);
		assert_non_null(strstr(d.refusal.msg, cases[i].why));
	}
}

static void fails_on_malformed_descriptors(void **state)
{
	static const char *const cases[][2] = {
		{FLAT_HEAD, "names no extent"},
		{FLAT_HEAD "RW 1 FLAT \"a\" 0 0\n", "more behind"},
		{FLAT_HEAD "RW 1 FLAT \"a\" x\n", "number of sectors"},
		{FLAT_HEAD "RW 1 FLAT a 0\n", "not in quotes"},
		{FLAT_HEAD "RW 1 FLAT\n", "not in quotes"},
		{FLAT_HEAD "RW\n", "number of sectors"},
		{FLAT_HEAD "RW 18014398509481984 ZERO\nRW 1 ZERO\n", "over the limit"},
		{FLAT_HEAD "RW 1 ZERO\x01\n", "no text"},
		{FLAT_HEAD "RW 1 ZERO\nrubbish\n", "line 5 of the descriptor"},
		{FLAT_HEAD "RW 1 ZERO\n# createtype=\n", "twice"},
		{FLAT_HEAD "RW 1 ZERO\nCID=123456789\n", "no number"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};

		assert_fails(parse(cases[i][0], &d, e), EBADMSG, cases[i][1]);
	}
}

static void extents_have_a_limit(void **state)
{
	AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};
	AUTO_BUF text = BUF_INIT;

	(void)state;
	buf_adds(&text, FLAT_HEAD);
	for (unsigned i = 0; i <= VMDK_EXTENTS_MAX; i++)
		buf_adds(&text, "RW 1 ZERO\n");
	assert_fails(parse(buf_str(&text), &d, e), EFBIG, "more than 4096 extents");
}

static void knows_descriptors_by_their_beginning(void **state)
{
	static const char *const yes[] = {"# Disk DescriptorFile\n", "# disk descriptorfile",
					  "#a\n\n# b\nversion=1\n", "\r\nVersion=3\r\n"};
	static const char *const no[] = {"",
					 "#",
					 "version=1",
					 "version=4\n",
					 "version=10\n",
					 "x\nversion=1\n",
					 "KDMV",
					 "# Disk Descriptor"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(vmdk_is_descriptor((const uint8_t *)yes[i], strlen(yes[i])));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(vmdk_is_descriptor((const uint8_t *)no[i], strlen(no[i])));
}

/* ---- writing ------------------------------------------------------------------------------- */

static int make_companion(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	int *fds = ctx;
	int fd = open(test_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, errno, "'%s'", name);
	while (*fds >= 0)
		fds++;
	*ret_fd = *fds = fd;
	return 0;
}

/* A writer of a new image "w.vmdk"; fds (ended by -1) are to be closed. */
static void create(const char *subformat, uint64_t size, unsigned level, struct image_writer **w,
		   int fds[16])
{
	static char option[64];
	const char *options[] = {option, NULL};
	struct image_companions c = {make_companion, fds, "w"};
	struct image_create_opts o = {.options = options,
				      .companions = &c,
				      .level = level,
				      .threads = 1 + (unsigned)rng(3)};

	for (size_t i = 0; i < 16; i++)
		fds[i] = -1;
	snprintf(option, sizeof(option), "subformat=%s", subformat);
	fds[0] = open(test_path("w.vmdk"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_ok(image_create(fds[0], "w.vmdk", "vmdk", size, &o, w, e));
}

static void finish(struct image_writer *w, const int fds[16])
{
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	for (size_t i = 0; i < 16; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static struct image *reopen(void)
{
	struct image_open_opts o = {.flags = IMAGE_ALLOW_EXTENTS};
	struct image *im = NULL;

	assert_ok(image_open(test_path("w.vmdk"), &o, &im, e));
	assert_string_equal(image_format_name(im), "vmdk");
	return im;
}

static const char *const subformats[] = {"monolithicSparse", "streamOptimized", "monolithicFlat",
					 "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"};

static void round_trip(const char *subformat, size_t size)
{
	AUTO_FREE uint8_t *disk = calloc(1, size);
	AUTO_FREE uint8_t *there = malloc(size);
	struct image_writer *w = NULL;
	struct image *im;
	int fds[16];

	for (unsigned i = 0; i < 8; i++) {
		uint64_t off = rng(size);

		fill(disk + off, rng_len(size / 5 + 1, size - off));
	}
	create(subformat, size, 0, &w, fds);
	for (size_t off = 0; off < size;) {
		size_t len = rng_len(rng(4) ? 10000 : 400000, size - off);

		if (!mem_is_zero(disk + off, len) || rng(2))
			assert_ok(image_writer_write(w, disk + off, len, off, e));
		off += len;
	}
	finish(w, fds);
	im = reopen();
	assert_int_equal(image_size(im), size);
	assert_ok(image_pread(im, there, size, 0, e));
	assert_memory_equal(there, disk, size);
	for (unsigned i = 0; i < 30; i++) {
		uint64_t off = rng(size);
		size_t len = rng_len(rng(2) ? 3000 : 300000, size - off);

		memset(there, 0xee, len);
		assert_ok(image_pread(im, there, len, off, e));
		assert_memory_equal(there, disk + off, len);
	}
	image_close(im);
	write_file(test_path("expected.raw"), disk, size);
	run_ok("qemu-img", "compare", "-q", "-f", "raw", "-F", "vmdk", test_path("expected.raw"),
	       test_path("w.vmdk"));
}

static void writes_any_pieces_into_every_subformat(void **state)
{
	static const size_t sizes[] = {512, 65536, 65536 + 512, 3 * MIB - 512, 33 * MIB + 1024};

	(void)state;
	rng_state = 52;
	for (size_t i = 0; i < ARRAY_SIZE(subformats); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++)
			round_trip(subformats[i], sizes[j]);
	}
}

static void splits_at_2047_mib(void **state)
{
	static const uint64_t at[] = {0, 2047 * MIB - 1, 2047 * MIB, 4094 * MIB - 1, 4095 * MIB};

	(void)state;
	for (size_t i = 3; i < ARRAY_SIZE(subformats); i++) {
		struct image_writer *w = NULL;
		struct image *im;
		struct extent x;
		int fds[16];

		create(subformats[i], 5000 * MIB, 0, &w, fds);
		assert_true(fds[3] >= 0 && fds[4] < 0);
		for (size_t j = 0; j < ARRAY_SIZE(at); j++)
			assert_ok(image_writer_write(w, "x", 1, at[j], e));
		finish(w, fds);
		im = reopen();
		assert_int_equal(image_size(im), 5000 * MIB);
		for (size_t j = 0; j < ARRAY_SIZE(at); j++) {
			char c = 0;

			assert_ok(image_pread(im, &c, 1, at[j], e));
			assert_int_equal(c, 'x');
		}
		assert_ok(image_next_extent(im, 4096 * MIB, &x, e));
		assert_int_equal(x.kind, EXTENT_HOLE);
		assert_int_equal(x.length, 904 * MIB);
		image_close(im);
	}
}

static void refuses_bad_wishes(void **state)
{
	static const struct {
		const char *option;
		enum image_compression compression;
		unsigned level;
		uint64_t size;
		const char *why;
	} cases[] = {
		{"subformat=vmfs", 0, 0, MIB, "'vmfs' is none of"},
		{"adapter_type=nvme", 0, 0, MIB, "'nvme' is none of"},
		{"hwversion=0", 0, 0, MIB, "hwversion"},
		{"hwversion=x\"", 0, 0, MIB, "hwversion"},
		{"subformat=monolithicSparse", 0, 3, MIB, "level 3"},
		{"subformat=streamOptimized", 0, 13, MIB, "level 13"},
		{"subformat=monolithicSparse", IMAGE_COMPRESS_ZLIB, 0, MIB, "not monolithicSparse"},
		{"subformat=monolithicSparse", 0, 0, 0, "cannot be empty"},
		{"subformat=streamOptimized", 0, 0, 1000, "no multiple of 512"},
		{"subformat=monolithicFlat", 0, 0, MIB, "consist of several files"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *options[] = {cases[i].option, NULL};
		struct image_create_opts o = {.options = options,
					      .compression = cases[i].compression,
					      .level = cases[i].level};
		struct image_writer *w = NULL;
		int fd = memfd_create("w", MFD_CLOEXEC);

		assert_fails(image_create(fd, "w", "vmdk", cases[i].size, &o, &w, e), EINVAL,
			     cases[i].why);
		close(fd);
	}
}

/* ---- limits -------------------------------------------------------------------------------- */

/* The header of a monolithicSparse with nothing behind it but a directory. */
static int sparse_file(uint64_t sectors, uint64_t file_size, const uint32_t *gd, size_t n)
{
	uint8_t h[SECTOR] = {0};
	char text[512];
	int fd = memfd_create("limits", MFD_CLOEXEC);
	int len = snprintf(text, sizeof(text),
			   "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicSparse\"\n"
			   "RW %llu SPARSE \"x.vmdk\"\n",
			   (unsigned long long)sectors);

	le32_put(h, VMDK_MAGIC);
	le32_put(h + HDR_VERSION, 1);
	le64_put(h + HDR_CAPACITY, sectors);
	le64_put(h + HDR_GRAIN, 128);
	le64_put(h + HDR_DESCRIPTOR, 1);
	le64_put(h + HDR_DESCRIPTOR_SIZE, 1);
	le32_put(h + HDR_GT_ENTRIES, GT_ENTRIES);
	le64_put(h + HDR_GD, 2);
	assert_ok(fs_pwrite(fd, h, sizeof(h), 0, e));
	assert_ok(fs_pwrite(fd, text, (size_t)len, SECTOR, e));
	for (size_t i = 0; i < n; i++) {
		uint8_t entry[4];

		le32_put(entry, gd[i]);
		assert_ok(fs_pwrite(fd, entry, 4, 2 * SECTOR + i * 4, e));
	}
	assert_int_equal(ftruncate(fd, (off_t)file_size), 0);
	return fd;
}

static struct image *open_limits(int fd)
{
	struct image_open_opts o = {.format = "vmdk"};
	struct image *im = NULL;

	assert_ok(image_open_fd(fd, "limits", &o, &im, e));
	return im;
}

static void an_empty_disk_is_one_extent(void **state)
{
	AUTO_FREE uint32_t *gd = calloc(32768, sizeof(*gd));
	struct extent x;
	struct image *im;

	(void)state;
	/* 64 TiB and no table at all; 1 TiB and all tables there. */
	im = open_limits(sparse_file(64ull << 31, 9 * MIB, NULL, 0));
	assert_ok(image_next_extent(im, 12345, &x, e));
	assert_int_equal(x.kind, EXTENT_HOLE);
	assert_int_equal(x.length, (64ull << 40) - 12345);
	image_close(im);
	for (uint32_t i = 0; i < 32768; i++)
		gd[i] = 1024 + i * GT_SECTORS;
	im = open_limits(sparse_file(1ull << 31, 70 * MIB, gd, 32768));
	assert_ok(image_next_extent(im, 0, &x, e));
	assert_int_equal(x.kind, EXTENT_HOLE);
	assert_int_equal(x.length, 1ull << 40);
	image_close(im);
}

static void a_directory_must_be_in_the_file(void **state)
{
	struct image_open_opts o = {.format = "vmdk"};
	struct image *im = NULL;
	int fd = sparse_file(64ull << 31, 8 * MIB, NULL, 0);

	(void)state;
	assert_fails(image_open_fd(fd, "limits", &o, &im, e), EBADMSG,
		     "grain directory at sector 2 reaches past the end");
	close(fd);
	fd = sparse_file((64ull << 31) + 1, 9 * MIB, NULL, 0);
	assert_fails(image_open_fd(fd, "limits", &o, &im, e), EFBIG, "over the limit");
	close(fd);
}

/* Neighbours in the file are one extent, up to a bound; what differs is not. */
static void merges_neighbours(void **state)
{
	struct image_writer *w = NULL;
	AUTO_FREE uint8_t *data = malloc(3 * MIB);
	struct extent x;
	struct image *im;
	int fds[16];

	(void)state;
	memset(data, 'x', 3 * MIB);
	for (size_t i = 0; i < 2; i++) {
		create(subformats[i], 100 * MIB, 0, &w, fds);
		assert_ok(image_writer_write(w, data, 3 * MIB, 31 * MIB, e));
		assert_ok(image_writer_write(w, data, MIB, 70 * MIB, e));
		finish(w, fds);
		im = reopen();
		assert_ok(image_next_extent(im, 0, &x, e));
		assert_true(x.kind == EXTENT_HOLE && x.length == 31 * MIB);
		assert_ok(image_next_extent(im, 31 * MIB + 77, &x, e));
		assert_true(x.kind == EXTENT_DATA && x.length == 3 * MIB - 77);
		assert_ok(image_next_extent(im, 34 * MIB, &x, e));
		assert_true(x.kind == EXTENT_HOLE && x.length == 36 * MIB);
		assert_ok(image_next_extent(im, 71 * MIB, &x, e));
		assert_true(x.kind == EXTENT_HOLE && x.length == 29 * MIB);
		image_close(im);
	}
}

/* ---- many readers ---------------------------------------------------------------------------- */

static struct image *shared;
static const uint8_t *shared_disk;
static size_t shared_size;

static void *read_at_random(void *arg)
{
	static char differs[] = "differs";
	AUTO_FREE uint8_t *buf = malloc(300000);
	uint64_t state = 1 + (uint64_t)(uintptr_t)arg;

	for (unsigned i = 0; i < 150; i++) {
		struct err e;
		uint64_t off;
		size_t len;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		off = (state >> 33) % shared_size;
		len = (size_t)MIN(1 + (state >> 20) % 300000, shared_size - off);
		if (image_pread(shared, buf, len, off, &e) < 0 ||
		    memcmp(buf, shared_disk + off, len) != 0)
			return differs;
	}
	return NULL;
}

static void many_threads_read_at_once(void **state)
{
	AUTO_FREE uint8_t *disk = calloc(1, 80 * MIB);
	pthread_t threads[4];
	struct image_writer *w = NULL;
	int fds[16];

	(void)state;
	rng_state = 53;
	for (size_t off = 0; off < 80 * MIB; off += 3 * MIB)
		fill(disk + off, rng_len(600000, 80 * MIB - off));
	create("streamOptimized", 80 * MIB, 1, &w, fds);
	assert_ok(image_writer_write(w, disk, 80 * MIB, 0, e));
	finish(w, fds);
	shared = reopen();
	shared_disk = disk;
	shared_size = 80 * MIB;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, (void *)i), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *result;

		pthread_join(threads[i], &result);
		assert_null(result);
	}
	image_close(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(space_is_exact_whatever_the_size),
		cmocka_unit_test(space_of_scattered_pieces_has_an_end),
		cmocka_unit_test(space_behind_the_file_is_of_no_account),
		cmocka_unit_test(reads_a_descriptor),
		cmocka_unit_test(refuses_descriptors),
		cmocka_unit_test(fails_on_malformed_descriptors),
		cmocka_unit_test(extents_have_a_limit),
		cmocka_unit_test(knows_descriptors_by_their_beginning),
		cmocka_unit_test(writes_any_pieces_into_every_subformat),
		cmocka_unit_test(splits_at_2047_mib),
		cmocka_unit_test(refuses_bad_wishes),
		cmocka_unit_test(an_empty_disk_is_one_extent),
		cmocka_unit_test(a_directory_must_be_in_the_file),
		cmocka_unit_test(merges_neighbours),
		cmocka_unit_test(many_threads_read_at_once),
	};

	return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
