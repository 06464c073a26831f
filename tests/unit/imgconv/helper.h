/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of images share: a folder of its own, random patterns, QEMU as an oracle. */
#ifndef TESTS_UNIT_IMGCONV_HELPER_H
#define TESTS_UNIT_IMGCONV_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <fcntl.h>

#include "imgconv/imgconv.h"
#include "lib/fs.h"
#include "lib/proc.h"
#include "lib/str.h"

/* Fails the test with the error's text. */
#define assert_ok(call)                                                                            \
	do {                                                                                       \
		struct err e_;                                                                     \
		struct err *e = &e_;                                                               \
		e_.msg[0] = '\0';                                                                  \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, e_.msg);                                         \
	} while (0)

/* The call fails with this code and a message that has this text. */
#define assert_fails(call, errno_code, text)                                                       \
	do {                                                                                       \
		struct err e_ = {0};                                                               \
		struct err *e = &e_;                                                               \
		int rc_ = (call);                                                                  \
		if (rc_ != -(errno_code) || !strstr(e_.msg, text))                                 \
			fail_msg("%s: %d '%s'", #call, rc_, e_.msg);                               \
	} while (0)

/* How long another program may take: only one that hangs takes longer, on any machine. */
#define PATIENCE_S 600

/* xorshift: the same numbers on every machine. */
static uint64_t rng_state = 1;

static inline uint64_t rng(uint64_t below)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state % below;
}

/* 1 .. most, but no more than what is left. */
static inline size_t rng_len(uint64_t most, uint64_t left)
{
	uint64_t n = 1 + rng(most);

	return (size_t)(n < left ? n : left);
}

/* Noise, text-like bytes, one byte, or zeros. */
static inline void fill(uint8_t *p, size_t len)
{
	uint64_t kind = rng(5);
	uint8_t byte = (uint8_t)rng(256);

	for (size_t i = 0; i < len; i++)
		p[i] = kind == 0   ? (uint8_t)rng(256)
		       : kind == 1 ? "the quick brown fox"[rng(19)]
		       : kind == 2 ? 0
				   : byte;
}

static char test_dir[64];

static inline int make_test_dir(void **state)
{
	char *dir = NULL;

	(void)state;
	/* In memory if it can be: syncing is tested, not waited for. */
	if (fs_make_temp_dir("/dev/shm/imgconv-test", &dir, NULL) < 0 &&
	    fs_make_temp_dir("/tmp/imgconv-test", &dir, NULL) < 0)
		return -1;
	snprintf(test_dir, sizeof(test_dir), "%s", dir);
	free(dir);
	return 0;
}

static inline int remove_test_dir(void **state)
{
	(void)state;
	return fs_remove_tree(test_dir, NULL);
}

/* A path in the folder; the last 64 stay valid. */
static inline const char *test_path(const char *name)
{
	static char paths[64][256];
	static unsigned next;
	char *p = paths[next++ % 64];

	snprintf(p, sizeof(paths[0]), "%s/%s", test_dir, name);
	return p;
}

/* Exit status 0, else the test fails with the program's last words. */
#define run_ok(...) run_argv((const char *const[]){__VA_ARGS__, NULL})
static inline void run_argv(const char *const *argv)
{
	struct err e = {0};

	if (proc_run(argv, NULL, 0, NULL, 0, PATIENCE_S, &e) < 0)
		fail_msg("%s %s: %s", argv[0], argv[1], e.msg);
}

static inline void check_with_qemu(const char *path)
{
	run_ok("qemu-img", "check", "-q", "-f", "qcow2", path);
}

static inline void copy_file(const char *from, const char *to)
{
	run_ok("cp", "--sparse=always", "-T", from, to);
}

static inline void write_file(const char *path, const void *data, size_t len)
{
	assert_ok(fs_write_file(path, data, len, 0600, e));
}

/* What the guest sees is exactly this. */
static inline void assert_contents(const char *path, const char *format, const uint8_t *data,
				   size_t size)
{
	struct image_open_opts o = {.format = format};
	AUTO_FREE uint8_t *there = malloc(size ? size : 1);
	struct image *im = NULL;

	assert_ok(image_open(path, &o, &im, e));
	assert_int_equal(image_size(im), size);
	assert_ok(image_pread(im, there, size, 0, e));
	for (size_t i = 0; i < size; i++) {
		if (there[i] != data[i])
			fail_msg("'%s' differs at 0x%zx", path, i);
	}
	image_close(im);
}

#endif
