/* SPDX-License-Identifier: Apache-2.0 */
/* Writing images front to back, and going on after a checkpoint. */
#include "tests/unit/imgconv/helper.h"

#include <sys/stat.h>

static uint8_t *disk; /* what the guest shall see */
static size_t disk_size;
static const char *const *options; /* of the images that are made */

static void new_disk(size_t size)
{
	free(disk);
	disk_size = size;
	disk = calloc(1, size ? size : 1);
	for (unsigned i = 0; size && i < 10; i++) {
		uint64_t off = rng(size);

		fill(disk + off, rng_len(size / 6 + 1, size - off));
	}
}

static int new_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

/* Writes disk[from .. to) in pieces of any length; now and then leaves zeros out. */
static void write_range(struct image_writer *w, uint64_t from, uint64_t to)
{
	while (from < to) {
		size_t len = rng_len(rng(4) ? 10000 : 400000, to - from);

		if (!mem_is_zero(disk + from, len) || rng(2))
			assert_ok(image_writer_write(w, disk + from, len, from, e));
		from += len;
	}
}

static void check_sound(const char *path, const char *format)
{
	struct image_open_opts o = {.format = format, .flags = IMAGE_INSPECT};
	AUTO(image_check_release) struct image_check c = {0};
	struct image *im = NULL;

	assert_ok(image_open(path, &o, &im, e));
	assert_ok(image_check_read(im, &c, NULL, e));
	if (c.n_errors || c.n_leaks)
		fail_msg("'%s': %s", path, c.findings[0].text);
	image_close(im);
}

static void check_disk(const char *path, const char *format)
{
	check_sound(path, format);
	assert_contents(path, format, disk, disk_size);
	if (strcmp(format, "qcow2") == 0) {
		check_with_qemu(path);
		write_file(test_path("expected.raw"), disk, disk_size);
		run_ok("qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2",
		       test_path("expected.raw"), path);
	}
}

static void round_trip(const char *format, uint64_t cluster, enum image_compression compression,
		       size_t size)
{
	struct image_create_opts o = {.cluster_size = cluster,
				      .compression = compression,
				      .threads = 1 + (unsigned)rng(3),
				      .options = options};
	const char *path = test_path("w.img");
	int fd = new_file(path);
	struct image_writer *w = NULL;

	new_disk(size);
	assert_ok(image_create(fd, path, format, size, &o, &w, e));
	write_range(w, 0, size);
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	close(fd);
	check_disk(path, format);
}

static void writes_every_cluster_size_and_compression(void **state)
{
	(void)state;
	rng_state = 21;
	for (uint64_t cluster = 512; cluster <= 2 * MIB; cluster *= cluster < 4096 ? 2 : 8) {
		for (int c = IMAGE_COMPRESS_NONE; c <= IMAGE_COMPRESS_ZSTD; c++)
			round_trip("qcow2", cluster, (enum image_compression)c, 2 * MIB + 1536);
	}
}

static const char *const *const qcow2_options[] = {
	(const char *const[]){"version=2", NULL},
	(const char *const[]){"compat=0.10", "preallocation=metadata", NULL},
	(const char *const[]){"extended_l2=on", NULL},
	(const char *const[]){"extended_l2=on", "preallocation=metadata", NULL},
	(const char *const[]){"preallocation=metadata", NULL},
	(const char *const[]){"preallocation=falloc", NULL},
	(const char *const[]){"preallocation=full", NULL},
};

static void writes_qcow2_with_every_option(void **state)
{
	(void)state;
	rng_state = 24;
	for (size_t i = 0; i < ARRAY_SIZE(qcow2_options); i++) {
		options = qcow2_options[i];
		round_trip("qcow2", 64 * KIB, IMAGE_COMPRESS_NONE, 2 * MIB + 1536);
		if (!strstr(options[0], "extended"))
			round_trip("qcow2", 512, IMAGE_COMPRESS_NONE, MIB + 512);
		if (i == 0 || i == 2)
			round_trip("qcow2", 64 * KIB, IMAGE_COMPRESS_ZLIB, 2 * MIB);
	}
	options = NULL;
}

/* With these a file has room for all of its disk from the beginning. */
static void preallocated_files_have_their_size(void **state)
{
	static const char *const ways[] = {"preallocation=metadata", "preallocation=falloc",
					   "preallocation=full"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		const char *const with[] = {ways[i], NULL};
		struct image_create_opts o = {.options = with};
		const char *path = test_path("p.qcow2");
		int fd = new_file(path);
		struct image_writer *w = NULL;
		struct stat st;

		assert_ok(image_create(fd, path, "qcow2", 8 * MIB, &o, &w, e));
		assert_ok(image_writer_finish(w, e));
		image_writer_free(w);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(st.st_size > (off_t)(8 * MIB));
		assert_int_equal(st.st_blocks * 512 > (blkcnt_t)(8 * MIB), i > 0);
		close(fd);
		check_with_qemu(path);
	}
}

static void writes_odd_sizes(void **state)
{
	static const size_t sizes[] = {512, 1024, 65536, 65536 + 512, MIB - 512, 5 * MIB};

	(void)state;
	rng_state = 22;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		round_trip("qcow2", 0, IMAGE_COMPRESS_NONE, sizes[i]);
		round_trip("qcow2", 0, IMAGE_COMPRESS_ZLIB, sizes[i]);
		round_trip("raw", 0, IMAGE_COMPRESS_NONE, sizes[i]);
	}
	round_trip("raw", 0, IMAGE_COMPRESS_NONE, 1);
	round_trip("raw", 0, IMAGE_COMPRESS_NONE, 123457);
}

static void keeps_zeros_out_of_the_file(void **state)
{
	AUTO_FREE uint8_t *zeros = calloc(1, MIB);
	const char *path = test_path("zeros.img");
	static const char *const formats[] = {"raw", "qcow2"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int fd = new_file(path);
		struct image_writer *w = NULL;
		struct stat st;

		assert_ok(image_create(fd, path, formats[i], GIB, NULL, &w, e));
		for (uint64_t off = 0; off < 64 * MIB; off += MIB)
			assert_ok(image_writer_write(w, zeros, MIB, off, e));
		assert_ok(image_writer_finish(w, e));
		image_writer_free(w);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(st.st_blocks * 512 < (blkcnt_t)(512 * KIB));
		close(fd);
	}
}

static void refuses_writes_that_do_not_ascend_or_fit(void **state)
{
	const char *path = test_path("x.img");
	int fd = new_file(path);
	struct image_writer *w = NULL;

	(void)state;
	assert_ok(image_create(fd, path, "qcow2", MIB, NULL, &w, e));
	assert_ok(image_writer_write(w, "abc", 3, 100, e));
	assert_fails(image_writer_write(w, "abc", 3, 102, e), EINVAL, "comes after");
	assert_fails(image_writer_write(w, "abc", 3, MIB - 2, e), EINVAL, "past the disk's end");
	assert_ok(image_writer_write(w, "abc", 3, 103, e));
	image_writer_free(w);
	close(fd);
}

static void refuses_options_that_make_no_image(void **state)
{
	static const struct {
		const char *options[3];
		enum image_compression compression;
		uint64_t cluster;
		const char *says;
	} wrong[] = {
		{{"version=1"}, IMAGE_COMPRESS_NONE, 0, "none of 2, 3"},
		{{"version=2", "compat=1.1"}, IMAGE_COMPRESS_NONE, 0, "different things"},
		{{"version=2"}, IMAGE_COMPRESS_ZSTD, 0, "version 2 has no compression by zstd"},
		{{"version=2", "extended_l2=on"}, IMAGE_COMPRESS_NONE, 0, "no extended L2"},
		{{"extended_l2=on"}, IMAGE_COMPRESS_NONE, 8192, "16 KiB or more"},
		{{"preallocation=full"}, IMAGE_COMPRESS_ZLIB, 0, "no place to keep"},
		{{"preallocation=some"}, IMAGE_COMPRESS_NONE, 0, "none of off"},
	};
	struct image_create_opts o = {.cluster_size = 1000};
	const char *path = test_path("x.img");
	int fd = new_file(path);
	struct image_writer *w = NULL;

	(void)state;
	assert_fails(image_create(fd, path, "qcow2", MIB, &o, &w, e), EINVAL, "cluster size");
	o.cluster_size = 4 * MIB;
	assert_fails(image_create(fd, path, "qcow2", MIB, &o, &w, e), EINVAL, "cluster size");
	o.cluster_size = 512;
	assert_fails(image_create(fd, path, "qcow2", 1ull << 50, &o, &w, e), EFBIG, "too many");
	assert_fails(image_create(fd, path, "qcow2", 513, NULL, &w, e), EINVAL, "multiple of 512");
	assert_fails(image_create(fd, path, "raw", MIB, &o, &w, e), ENOTSUP, "no clusters");
	assert_fails(image_create(fd, path, "raw", 0, NULL, &w, e), EINVAL, "0 bytes");
	assert_fails(image_create(fd, path, "vhs", MIB, NULL, &w, e), ENOTSUP, "'vhs'");
	o.cluster_size = 0;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		o.options = wrong[i].options;
		o.cluster_size = wrong[i].cluster;
		o.compression = wrong[i].compression;
		assert_fails(image_create(fd, path, "qcow2", MIB, &o, &w, e), EINVAL,
			     wrong[i].says);
	}
	o = (struct image_create_opts){0};
	o.level = 13;
	o.compression = IMAGE_COMPRESS_ZLIB;
	assert_fails(image_create(fd, path, "qcow2", MIB, &o, &w, e), EINVAL, "level");
	assert_ok(fs_pwrite(fd, "x", 1, 0, e));
	assert_fails(image_create(fd, path, "qcow2", MIB, NULL, &w, e), EINVAL, "not empty");
	close(fd);
}

/* ---- checkpoints --------------------------------------------------------------------------- */

/* At a checkpoint the file is an image of all before it. */
static void check_at_checkpoint(const char *path, const char *format, uint64_t upto)
{
	struct image_open_opts o = {.format = format};
	AUTO_FREE uint8_t *there = malloc(disk_size);
	struct image *im = NULL;

	if (strcmp(format, "qcow2") == 0)
		check_with_qemu(path);
	assert_ok(image_open(path, &o, &im, e));
	assert_true(image_size(im) >= disk_size);
	assert_ok(image_pread(im, there, upto, 0, e));
	assert_memory_equal(there, disk, upto);
	image_close(im);
}

/*
 * Writes with a checkpoint now and then; between two of them the process "dies": the file is left
 * as it is, with tables half written, and is resumed.
 */
static void interrupted(const char *format, uint64_t cluster, enum image_compression compression,
			size_t size)
{
	struct image_create_opts o = {
		.cluster_size = cluster, .compression = compression, .options = options};
	const char *path = test_path("i.img");
	int fd = new_file(path);
	struct image_writer *w = NULL;
	uint64_t at = 0, safe = 0;
	bool resumable = false;

	new_disk(size);
	assert_ok(image_create(fd, path, format, size, &o, &w, e));
	while (at < size) {
		uint64_t next = at + rng_len(size / 5, size - at);

		write_range(w, at, next);
		at = next;
		if (rng(2)) {
			assert_ok(image_writer_checkpoint(w, e));
			copy_file(path, test_path("checkpoint.img"));
			resumable = true;
			safe = at;
		}
		if (resumable && rng(2)) {
			uint64_t lost = at + rng_len(size / 4, size - at + 1) - 1;

			write_range(w, at, lost);
			image_writer_free(w);
			w = NULL;
			assert_ok(image_writer_resume(fd, path, format, &o, &at, &w, e));
			assert_true(at <= safe);
			check_at_checkpoint(test_path("checkpoint.img"), format, at);
		}
	}
	assert_ok(image_writer_finish(w, e));
	image_writer_free(w);
	close(fd);
	check_disk(path, format);
}

static void resumes_after_every_kind_of_interruption(void **state)
{
	(void)state;
	rng_state = 23;
	for (unsigned i = 0; i < 4; i++) {
		interrupted("raw", 0, IMAGE_COMPRESS_NONE, 3 * MIB + 512 * i);
		interrupted("qcow2", 512, IMAGE_COMPRESS_NONE, 3 * MIB + 512 * i);
		interrupted("qcow2", 4096, IMAGE_COMPRESS_NONE, 3 * MIB + 512 * i);
		interrupted("qcow2", 0, IMAGE_COMPRESS_NONE, 3 * MIB + 512 * i);
		interrupted("qcow2", 512, IMAGE_COMPRESS_ZLIB, 3 * MIB + 512 * i);
		interrupted("qcow2", 0, IMAGE_COMPRESS_ZSTD, 3 * MIB + 512 * i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(qcow2_options); i += 2) {
		options = qcow2_options[i];
		interrupted("qcow2", 16 * KIB, IMAGE_COMPRESS_NONE, 3 * MIB + 512);
	}
	options = NULL;
}

static void does_not_resume_without_a_sound_checkpoint(void **state)
{
	struct image_create_opts other = {.cluster_size = 4096};
	const char *path = test_path("n.img");
	static const char *const formats[] = {"raw", "qcow2"};
	struct image_writer *w = NULL;
	uint8_t byte;
	uint64_t at;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int fd = new_file(path);
		uint64_t record;

		assert_fails(image_writer_resume(fd, path, formats[i], NULL, &at, &w, e), EBADMSG,
			     "no checkpoint");
		assert_ok(image_create(fd, path, formats[i], MIB, NULL, &w, e));
		assert_ok(image_writer_write(w, "abc", 3, 0, e));
		image_writer_free(STEAL(w));
		assert_fails(image_writer_resume(fd, path, formats[i], NULL, &at, &w, e), EBADMSG,
			     "no checkpoint");
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_ok(image_create(fd, path, formats[i], MIB, NULL, &w, e));
		assert_ok(image_writer_write(w, "abc", 3, 0, e));
		assert_ok(image_writer_checkpoint(w, e));
		image_writer_free(STEAL(w));
		if (i == 1)
			assert_fails(image_writer_resume(fd, path, formats[i], &other, &at, &w, e),
				     EINVAL, "other cluster size");
		/* The position in the record. */
		record = i == 0 ? MIB : 120;
		assert_ok(fs_pread(fd, &byte, 1, record + 22, e));
		byte ^= 1;
		assert_ok(fs_pwrite(fd, &byte, 1, record + 22, e));
		assert_fails(image_writer_resume(fd, path, formats[i], NULL, &at, &w, e), EBADMSG,
			     "checksum");
		close(fd);
	}
}

static int end(void **state)
{
	free(disk);
	return remove_test_dir(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_every_cluster_size_and_compression),
		cmocka_unit_test(writes_qcow2_with_every_option),
		cmocka_unit_test(preallocated_files_have_their_size),
		cmocka_unit_test(writes_odd_sizes),
		cmocka_unit_test(keeps_zeros_out_of_the_file),
		cmocka_unit_test(refuses_writes_that_do_not_ascend_or_fit),
		cmocka_unit_test(refuses_options_that_make_no_image),
		cmocka_unit_test(resumes_after_every_kind_of_interruption),
		cmocka_unit_test(does_not_resume_without_a_sound_checkpoint),
	};

	return cmocka_run_group_tests(tests, make_test_dir, end);
}
