/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the size of QCOW2 images in place, against a twin in memory and qemu-img check; and
 * what a crash, or an error, at each write leaves.
 */
#include "tests/unit/imgconv/helper.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BIGGEST (24 * MIB)

static uint8_t *twin;
static uint64_t twin_size;

/* ---- a crash or an error at the Nth write ---------------------------------------------------- */

static long writes_left = -1; /* negative: all of them succeed */
static bool crashes = true;   /* else that one write fails, and those behind it do not */

/* True if this one shall fail. */
static bool count_write(void)
{
	if (writes_left == 0 && crashes)
		_exit(7);
	return writes_left >= 0 && writes_left-- == 0;
}

/* In place of libc's: the archive's calls come here. */
ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	if (!count_write())
		return syscall(SYS_pwrite64, fd, buf, len, off);
	errno = ENOSPC;
	return -1;
}

int ftruncate(int fd, off_t len)
{
	if (!count_write())
		return (int)syscall(SYS_ftruncate, fd, len);
	errno = EIO;
	return -1;
}

/* ---- helpers --------------------------------------------------------------------------------- */

static void make_image(const char *path, const char *options, uint64_t size, bool compressed)
{
	free(twin);
	twin = calloc(1, BIGGEST);
	twin_size = size;
	for (unsigned i = 0; i < 12; i++) {
		uint64_t off = rng(size);

		fill(twin + off, rng_len(size / 20 + 1, size - off));
	}
	write_file(test_path("twin.raw"), twin, size);
	if (compressed)
		run_ok("qemu-img", "convert", "-q", "-c", "-f", "raw", "-O", "qcow2", "-o", options,
		       test_path("twin.raw"), path);
	else
		run_ok("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-o", options,
		       test_path("twin.raw"), path);
}

static int try_resize(const char *path, uint64_t size, struct err *e)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	struct image *im = NULL;
	int rc = image_open(path, &o, &im, e);

	if (rc < 0)
		return rc;
	rc = image_resize(im, size, e);
	image_close(im);
	return rc;
}

static void check_own(const char *path)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_INSPECT};
	AUTO(image_check_release) struct image_check c = {0};
	struct image *im = NULL;

	assert_ok(image_open(path, &o, &im, e));
	assert_ok(image_check_read(im, &c, NULL, e));
	if (c.n_errors || c.n_leaks)
		fail_msg("'%s': %s", path, c.findings[0].text);
	image_close(im);
}

static void resize_to(const char *path, uint64_t size)
{
	assert_ok(try_resize(path, size, e));
	if (size > twin_size)
		memset(twin + twin_size, 0, size - twin_size);
	twin_size = size;
	check_with_qemu(path);
	check_own(path);
	assert_contents(path, "qcow2", twin, twin_size);
}

/* Zeros behind `from`, so that it can be cut there: written by QEMU as zero clusters or data. */
static void clear_tail(const char *path, uint64_t from, const char *how)
{
	char command[80];

	snprintf(command, sizeof(command), "write %s %llu %llu", how, (unsigned long long)from,
		 (unsigned long long)(twin_size - from));
	run_ok("qemu-io", "-f", "qcow2", "-c", command, path);
	memset(twin + from, 0, twin_size - from);
}

static void grow_and_shrink(const char *options, bool compressed, uint64_t size)
{
	static const char *const ways[] = {"-P 0", "-z", "-z -u"};
	const char *path = test_path("r.qcow2");

	make_image(path, options, size, compressed);
	resize_to(path, size + 512);
	resize_to(path, size * 2);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t to = (size / 2 + rng(size)) / 512 * 512;

		/* Version 2 has no zero clusters. */
		clear_tail(path, to, strstr(options, "0.10") ? "-P 0" : ways[i]);
		resize_to(path, to);
		resize_to(path, size * 2 + i * 512);
	}
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void grows_and_shrinks_images_of_every_kind(void **state)
{
	(void)state;
	rng_state = 31;
	grow_and_shrink("cluster_size=65536", false, 5 * MIB);
	grow_and_shrink("cluster_size=65536", true, 3 * MIB + 1536);
	grow_and_shrink("cluster_size=512", false, MIB + 512);
	grow_and_shrink("cluster_size=512", true, MIB);
	grow_and_shrink("cluster_size=4096,compression_type=zstd", true, 4 * MIB + 1024);
	grow_and_shrink("cluster_size=2097152", false, 9 * MIB);
	grow_and_shrink("compat=0.10", false, 5 * MIB);
	grow_and_shrink("compat=0.10", true, 5 * MIB + 512);
	grow_and_shrink("refcount_bits=1", false, 3 * MIB);
	grow_and_shrink("refcount_bits=64,cluster_size=1024", false, 2 * MIB);
	grow_and_shrink("preallocation=metadata", false, 5 * MIB + 512);
	grow_and_shrink("preallocation=full,cluster_size=4096", false, 2 * MIB);
	grow_and_shrink("lazy_refcounts=on", false, 5 * MIB);
}

static void grows_an_empty_disk_to_tebibytes_and_back(void **state)
{
	const char *path = test_path("t.qcow2");
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	struct image *im = NULL;
	struct stat st;

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", path, "1M");
	assert_ok(image_open(path, &o, &im, e));
	for (uint64_t size = MIB; size <= 16384 * GIB; size *= 16)
		assert_ok(image_resize(im, size, e));
	assert_ok(image_pwrite(im, "x", 1, 15000 * GIB, e));
	assert_ok(image_flush(im, e));
	check_with_qemu(path);
	assert_fails(image_resize(im, 15000 * GIB, e), ENOSPC, "data at");
	assert_ok(image_pwrite(im, "", 1, 15000 * GIB, e));
	assert_ok(image_resize(im, 64 * MIB, e));
	assert_ok(image_pwrite(im, "x", 1, 64 * MIB - 1, e));
	assert_ok(image_flush(im, e));
	image_close(im);
	check_with_qemu(path);
	check_own(path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 2 * (off_t)MIB);
}

/* 512-byte clusters cannot have more than 128 GiB. */
static void refuses_sizes_that_the_clusters_cannot_have(void **state)
{
	const char *path = test_path("s.qcow2");

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=512", path, "1M");
	assert_fails(try_resize(path, 129 * GIB, e), EFBIG, "too many");
	assert_fails(try_resize(path, MIB + 1, e), EINVAL, "multiple of 512");
	assert_ok(try_resize(path, 128 * GIB, e));
	check_with_qemu(path);
}

static void refuses_to_lose_data(void **state)
{
	const char *path = test_path("d.qcow2");

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", path, "8M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 5M 512", path);
	assert_fails(try_resize(path, 5 * MIB, e), ENOSPC, "lose");
	assert_ok(try_resize(path, 5 * MIB + 512, e));
	check_with_qemu(path);
}

/* What was cut off inside of a cluster does not come back. */
static void what_appears_is_zero(void **state)
{
	const char *path = test_path("a.qcow2");
	uint8_t there[64 * KIB];
	struct image *im = NULL;
	int fd;

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", path, "66048"); /* 64 KiB + 512 */
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 65536 512", path);
	/* The data cluster comes last; the rest of it is filled behind the image's back. */
	fd = open(path, O_RDWR | O_CLOEXEC);
	memset(there, 0x55, sizeof(there));
	assert_ok(fs_pwrite(fd, there, 60000, 5 * 65536 + 1024, e));
	close(fd);
	assert_ok(try_resize(path, MIB, e));
	check_with_qemu(path);
	assert_ok(image_open(path, NULL, &im, e));
	assert_ok(image_pread(im, there, 512, 65536, e));
	assert_int_equal(there[511], 1);
	assert_ok(image_pread(im, there, sizeof(there), 66048, e));
	assert_true(mem_is_zero(there, sizeof(there)));
	image_close(im);
}

/* An L2 entry behind the end of the disk, as a program leaves it that does not clean up. */
static void refuses_to_reveal_clusters_behind_the_end(void **state)
{
	const char *path = test_path("b.qcow2");
	uint8_t size[8];
	int fd;

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", path, "2M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 1536k 64k", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	be64_put(size, MIB);
	assert_ok(fs_pwrite(fd, size, sizeof(size), 24, e));
	close(fd);
	check_with_qemu(path);
	assert_fails(try_resize(path, 2 * MIB, e), ENOTSUP, "behind the end");
	/* Where they do not appear they are no hindrance. */
	assert_ok(try_resize(path, MIB + 64 * KIB, e));
	check_with_qemu(path);
}

static void a_clone_grows_only_over_a_backing_file_that_ends_before(void **state)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR | IMAGE_ALLOW_BACKING};
	struct image *im = NULL;
	uint8_t there[4096];

	(void)state;
	memset(there, 0x11, sizeof(there));
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", test_path("base.qcow2"), "2M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 2M", test_path("base.qcow2"));
	assert_ok(image_create_clone(test_path("over.qcow2"), test_path("base.qcow2"), "qcow2", 0,
				     e));
	assert_ok(image_open(test_path("over.qcow2"), &o, &im, e));
	assert_ok(image_resize(im, 3 * MIB, e));
	assert_ok(image_pread(im, there, sizeof(there), 2 * MIB, e));
	assert_true(mem_is_zero(there, sizeof(there)));
	image_close(im);
	check_with_qemu(test_path("over.qcow2"));

	/* Zeros on top of the backing file's data: the smaller disk loses nothing. */
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -z 1M 2M", test_path("over.qcow2"));
	assert_ok(image_open(test_path("over.qcow2"), &o, &im, e));
	assert_ok(image_resize(im, MIB, e));
	assert_fails(image_resize(im, 2 * MIB, e), ENOTSUP, "backing file is larger");
	assert_ok(image_pread(im, there, sizeof(there), MIB - sizeof(there), e));
	assert_int_equal(there[4095], 1);
	image_close(im);
	check_with_qemu(test_path("over.qcow2"));
}

static void an_image_with_errors_is_left_alone(void **state)
{
	const char *path = test_path("e.qcow2");
	uint8_t zero[2] = {0, 0};
	int fd;

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", path, "1M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 64k", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_ok(fs_pwrite(fd, zero, 2, 2 * 65536 + 5 * 2, e));
	close(fd);
	assert_fails(try_resize(path, 2 * MIB, e), EBADMSG, "has errors, the first");
}

static void writing_goes_on_after_a_resize(void **state)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_RDWR};
	const char *path = test_path("w.qcow2");
	struct image *im = NULL;

	(void)state;
	rng_state = 33;
	make_image(path, "cluster_size=4096", 3 * MIB, true);
	assert_ok(image_open(path, &o, &im, e));
	for (unsigned i = 0; i < 12; i++) {
		uint64_t size = twin_size + (rng(2 * MIB) + 512) / 512 * 512;
		uint64_t off = rng(twin_size);
		size_t len = rng_len(100000, twin_size - off);

		if (size > BIGGEST)
			break;
		fill(twin + off, len);
		assert_ok(image_pwrite(im, twin + off, len, off, e));
		assert_ok(image_resize(im, size, e));
		twin_size = size;
		/* And back to where the data end. */
		while (size > 512 && mem_is_zero(twin + size - 512, 512))
			size -= 512;
		if (rng(2)) {
			assert_ok(image_resize(im, size, e));
			twin_size = size;
		}
	}
	assert_ok(image_flush(im, e));
	image_close(im);
	check_with_qemu(path);
	check_own(path);
	assert_contents(path, "qcow2", twin, twin_size);
}

/* The old image or the new one, without errors. */
static void check_survivor(const char *path, uint64_t size, unsigned flags, long n)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_INSPECT | flags};
	AUTO(image_check_release) struct image_check c = {0};
	AUTO_FREE uint8_t *there = malloc(BIGGEST);
	struct image *im = NULL;

	assert_ok(image_open(path, &o, &im, e));
	assert_true(image_size(im) == twin_size || image_size(im) == size);
	assert_ok(image_check_read(im, &c, NULL, e));
	if (c.n_errors)
		fail_msg("after %ld writes: %s", n, c.findings[0].text);
	assert_ok(image_pread(im, there, image_size(im), 0, e));
	if (memcmp(there, twin, image_size(im)) != 0)
		fail_msg("after %ld writes the disk is another one", n);
	image_close(im);
}

/* At the nth write the process is gone. Returns false if it was not reached. */
static bool crash_at(const char *from, uint64_t size, unsigned flags, long n)
{
	const char *path = test_path("crash.qcow2");
	int status = 0;
	pid_t pid;

	copy_file(from, path);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct image_open_opts rw = {.format = "qcow2", .flags = IMAGE_RDWR | flags};
		struct image *im = NULL;

		writes_left = n;
		_exit(image_open(path, &rw, &im, NULL) == 0 && image_resize(im, size, NULL) == 0
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
	check_survivor(path, size, flags, n);
	return WEXITSTATUS(status) == 7;
}

/* The nth write fails, and closing writes what is left to be written. */
static bool fail_at(const char *from, uint64_t size, long n)
{
	const char *path = test_path("crash.qcow2");
	struct image_open_opts rw = {.format = "qcow2", .flags = IMAGE_RDWR};
	struct image *im = NULL;
	bool reached;
	int rc;

	copy_file(from, path);
	assert_ok(image_open(path, &rw, &im, e));
	crashes = false;
	writes_left = n;
	rc = image_resize(im, size, NULL);
	reached = writes_left < 0;
	assert_int_equal(reached, rc < 0);
	image_close(im);
	writes_left = -1;
	crashes = true;
	check_survivor(path, size, 0, n);
	return reached;
}

static void a_crash_leaves_the_old_image_or_the_new_one(void **state)
{
	const char *path = test_path("r.qcow2");
	uint64_t kept = 700 * KIB;

	(void)state;
	rng_state = 34;
	make_image(path, "cluster_size=512", 2 * MIB, true);
	for (long n = 0; crash_at(path, 9 * MIB, 0, n); n++)
		;
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 0 716800 1380352", path);
	memset(twin + kept, 0, twin_size - kept);
	for (long n = 0; crash_at(path, kept, 0, n); n++)
		;
}

static void a_failed_write_leaves_the_old_image_or_the_new_one(void **state)
{
	const char *path = test_path("r.qcow2");

	(void)state;
	rng_state = 35;
	make_image(path, "cluster_size=512", 2 * MIB, true);
	for (long n = 0; fail_at(path, 9 * MIB, n); n++)
		;
	clear_tail(path, 700 * KIB, "-P 0");
	for (long n = 0; fail_at(path, 700 * KIB, n); n++)
		;
}

static void a_crash_over_a_backing_file_reveals_nothing(void **state)
{
	const char *path = test_path("top.qcow2");

	(void)state;
	free(twin);
	twin = calloc(1, BIGGEST);
	twin_size = 2 * MIB;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", test_path("base.qcow2"), "2M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 2M", test_path("base.qcow2"));
	assert_ok(image_create_clone(path, test_path("base.qcow2"), "qcow2", 0, e));
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -z 512k 1536k", path);
	memset(twin, 1, 512 * KIB);
	for (long n = 0; crash_at(path, 512 * KIB, IMAGE_ALLOW_BACKING, n); n++)
		;
	free(STEAL(twin));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_shrinks_images_of_every_kind),
		cmocka_unit_test(grows_an_empty_disk_to_tebibytes_and_back),
		cmocka_unit_test(refuses_sizes_that_the_clusters_cannot_have),
		cmocka_unit_test(refuses_to_lose_data),
		cmocka_unit_test(what_appears_is_zero),
		cmocka_unit_test(refuses_to_reveal_clusters_behind_the_end),
		cmocka_unit_test(a_clone_grows_only_over_a_backing_file_that_ends_before),
		cmocka_unit_test(an_image_with_errors_is_left_alone),
		cmocka_unit_test(writing_goes_on_after_a_resize),
		cmocka_unit_test(a_crash_leaves_the_old_image_or_the_new_one),
		cmocka_unit_test(a_failed_write_leaves_the_old_image_or_the_new_one),
		cmocka_unit_test(a_crash_over_a_backing_file_reveals_nothing),
	};

	return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
