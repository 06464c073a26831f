/* SPDX-License-Identifier: Apache-2.0 */
/* lib/jail: what another program can do in there, with programs that every system has. */
#include "tests/unit/cmocka.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/fs.h"
#include "lib/jail.h"
#include "lib/landlock.h"
#include "lib/str.h"

static char *dir;

static int make_dir(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/acclimate-jail", &dir, NULL);
}

static int remove_dir(void **state)
{
	int rc = fs_remove_tree(dir, NULL);

	(void)state;
	free(dir);
	return rc;
}

/* Runs a program with the file `in` to read and `out` to write; what it said. */
static int jailed(const char *const *argv, struct jail limits, struct buf *said, struct err *e)
{
	AUTO_FREE char *in = path_join(dir, "in");
	AUTO_FREE char *out = path_join(dir, "out");
	AUTO_FD int in_fd = open(in, O_RDONLY | O_CLOEXEC);
	AUTO_FD int out_fd = open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct jail_file files[] = {{in_fd, false}, {out_fd, true}};

	limits.argv = argv;
	limits.files = files;
	limits.n_files = ARRAY_SIZE(files);
	if (limits.watched_fd == 0)
		limits.watched_fd = -1;
	else
		limits.watched_fd = out_fd;
	buf_clear(said);
	*e = (struct err){0};
	return jail_run(&limits, said, e);
}

static const struct jail ordinary = {
	.memory = 512 * MIB,
	.file_size = MIB,
	.timeout_s = 60,
};

static void its_two_files_are_open(void **state)
{
	AUTO_FREE char *in = path_join(dir, "in");
	AUTO_FREE char *out = path_join(dir, "out");
	AUTO_BUF said = BUF_INIT;
	AUTO_BUF text = BUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(fs_write_file(in, "what is given", 13, 0600, &e), 0);
	if (jailed((const char *[]){"dd", "if=/proc/self/fd/3", "of=/proc/self/fd/4",
				    "conv=notrunc", NULL},
		   ordinary, &said, &e) != 0)
		fail_msg("%s: %s", e.msg, buf_str(&said));
	assert_int_equal(fs_read_file(out, 100, &text, &e), 0);
	assert_string_equal(text.data, "what is given");
	/* What it says is told. */
	assert_non_null(strstr(said.data, "13 bytes"));
	/* One is not to be written. */
	assert_int_equal(jailed((const char *[]){"dd", "if=/proc/self/fd/4", "of=/proc/self/fd/3",
						 "conv=notrunc", NULL},
				ordinary, &said, &e),
			 -EIO);
	assert_string_equal(e.msg, "'dd' ended with status 1");
	assert_non_null(strstr(said.data, "Permission denied"));
}

static void nothing_else_is(void **state)
{
	AUTO_FREE char *other = path_join(dir, "other");
	AUTO_FREE char *fresh = path_join(dir, "fresh");
	AUTO_FREE char *of = str_format("of=%s", fresh);
	AUTO_BUF said = BUF_INIT;
	const char *const *const tries[] = {
		(const char *[]){"cat", "/etc/passwd", NULL},
		(const char *[]){"cat", other, NULL},
		(const char *[]){"cat", "/proc/self/environ", NULL},
		(const char *[]){"cat", "/proc/1/cmdline", NULL},
		(const char *[]){"ls", dir, NULL},
		(const char *[]){"touch", other, NULL},
		(const char *[]){"touch", fresh, NULL},
		(const char *[]){"dd", "if=/dev/null", of, NULL},
		(const char *[]){"rm", "-f", other, NULL},
		(const char *[]){"mv", other, fresh, NULL},
		(const char *[]){"ln", other, fresh, NULL},
		(const char *[]){"chmod", "777", other, NULL},
		(const char *[]){"mkdir", fresh, NULL},
		(const char *[]){"truncate", "-s", "0", other, NULL},
		/* Other programs are out of reach as well. */
		(const char *[]){"env", "true", NULL},
		(const char *[]){"timeout", "1", "true", NULL},
		(const char *[]){"chroot", "/", "true", NULL},
		(const char *[]){"mount", "-t", "tmpfs", "none", "/mnt", NULL},
	};
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(fs_write_file(other, "other", 5, 0600, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		int rc = jailed(tries[i], ordinary, &said, &e);

		if (rc != -EIO || !(strcasestr(buf_str(&said), "permission denied") ||
				    strstr(buf_str(&said), "not permitted") ||
				    strstr(buf_str(&said), "superuser")))
			fail_msg("%s %s: %d %s, said: %s", tries[i][0], tries[i][1], rc, e.msg,
				 buf_str(&said));
	}
	assert_int_equal(stat(fresh, &st), -1);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void the_network_is_out_of_reach(void **state)
{
	static const char reach[] = "use Socket; socket(S, PF_INET, SOCK_STREAM, 0) or die $!";
	AUTO_BUF said = BUF_INIT;
	struct jail more = ordinary;
	struct err e;

	(void)state;
	more.memory = GIB;
	assert_int_equal(jailed((const char *[]){"perl", "-e", reach, NULL}, more, &said, &e),
			 -EIO);
	/* Perl's modules may be out of reach already. */
	if (!strstr(said.data, "not permitted") && !strstr(said.data, "Socket.pm"))
		fail_msg("%s", said.data);
}

static void limits_hold(void **state)
{
	AUTO_BUF said = BUF_INIT;
	struct jail limits = ordinary;
	struct err e;

	(void)state;
	/* Time: of the clock, */
	limits.timeout_s = 1;
	assert_int_equal(jailed((const char *[]){"sleep", "100", NULL}, limits, &said, &e),
			 -ETIMEDOUT);
	/* the length of a file, */
	assert_int_equal(jailed((const char *[]){"dd", "if=/proc/self/fd/3", "of=/proc/self/fd/4",
						 "conv=notrunc", "seek=10000", NULL},
				ordinary, &said, &e),
			 -EIO);
	/* The first process of a namespace does not die of the signal. */
	assert_true(strstr(e.msg, "signal 25") || strstr(said.data, "too large"));
	/* its space on disk, */
	limits = ordinary;
	limits.file_size = GIB;
	limits.watched_fd = 1;
	limits.watched_max = 8 * MIB;
	assert_int_equal(jailed((const char *[]){"dd", "if=/proc/self/exe", "of=/proc/self/fd/4",
						 "conv=notrunc", NULL},
				limits, &said, &e),
			 0);
	limits.watched_max = 4 * KIB;
	assert_int_equal(jailed((const char *[]){"dd", "if=/proc/self/exe", "of=/proc/self/fd/4",
						 "conv=notrunc", NULL},
				limits, &said, &e),
			 -EFBIG);
	/* memory. */
	limits = ordinary;
	assert_int_equal(jailed((const char *[]){"dd", "if=/proc/self/fd/3", "bs=700M", NULL},
				limits, &said, &e),
			 -EIO);
	assert_non_null(strstr(said.data, "memory"));
}

static void what_cannot_be_started_is_told(void **state)
{
	AUTO_BUF said = BUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(jailed((const char *[]){"no-such-program", NULL}, ordinary, &said, &e),
			 -ENOENT);
	assert_string_equal(e.msg, "there is no program 'no-such-program'");
	assert_int_equal(jailed((const char *[]){"false", NULL}, ordinary, &said, &e), -EIO);
	assert_string_equal(e.msg, "'false' ended with status 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_two_files_are_open),         cmocka_unit_test(nothing_else_is),
		cmocka_unit_test(the_network_is_out_of_reach),    cmocka_unit_test(limits_hold),
		cmocka_unit_test(what_cannot_be_started_is_told),
	};

	if (!landlock_abi()) {
		printf("1..0 # SKIP this kernel has no Landlock\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
