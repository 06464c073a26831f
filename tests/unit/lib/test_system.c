/* SPDX-License-Identifier: Apache-2.0 */
/* lib/fs, lib/atomic_file, lib/pool, lib/proc, lib/digest: what touches the system. */
#include "tests/unit/cmocka.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/digest.h"
#include "lib/fs.h"
#include "lib/pool.h"
#include "lib/proc.h"
#include "lib/str.h"

static char *dir;

static int make_dir(void **state)
{
	(void)state;
	return fs_make_temp_dir("/tmp/acclimate-test", &dir, NULL);
}

static int remove_dir(void **state)
{
	int rc = fs_remove_tree(dir, NULL);

	(void)state;
	free(dir);
	return rc;
}

static size_t count_entries(void)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void output_appears_whole_or_not_at_all(void **state)
{
	AUTO_FREE char *path = path_join(dir, "out");
	AUTO_BUF back = BUF_INIT;
	struct atomic_file f;
	struct err e;

	(void)state;
	assert_int_equal(atomic_file_begin(&f, path, 0, &e), 0);
	assert_int_equal(fs_write(f.fd, "half", 4, &e), 0);
	assert_int_equal(access(path, F_OK), -1);
	atomic_file_abort(&f);
	assert_int_equal(count_entries(), 0);

	assert_int_equal(fs_write_file(path, "whole", 5, 0640, &e), 0);
	assert_int_equal(fs_read_file(path, 100, &back, &e), 0);
	assert_string_equal(back.data, "whole");
	assert_int_equal(count_entries(), 1);
	assert_int_equal(fs_read_file(path, 4, &back, &e), -EFBIG);
	unlink(path);
}

static void what_stands_there_is_kept(void **state)
{
	AUTO_FREE char *path = path_join(dir, "there");
	AUTO_BUF back = BUF_INIT;
	struct atomic_file f;
	struct err e;

	(void)state;
	/* Made between begin and commit: commit must see it. */
	assert_int_equal(atomic_file_begin(&f, path, FS_NO_REPLACE, &e), 0);
	assert_int_equal(fs_write_file(path, "old", 3, 0644, &e), 0);
	assert_int_equal(atomic_file_commit(&f, 0644, &e), -EEXIST);
	assert_int_equal(fs_read_file(path, 100, &back, &e), 0);
	assert_string_equal(back.data, "old");
	assert_int_equal(count_entries(), 1);
	assert_int_equal(atomic_file_begin(&f, path, FS_NO_REPLACE, &e), -EEXIST);
	unlink(path);
	/* What is no file is never replaced. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(atomic_file_begin(&f, path, 0, &e), -EINVAL);
	assert_int_equal(count_entries(), 1);
	unlink(path);
	/* As /dev/stdout is. */
	assert_int_equal(symlink("/proc/self/fd/1", path), 0);
	assert_int_equal(atomic_file_begin(&f, path, 0, &e), -EINVAL);
	assert_int_equal(count_entries(), 1);
	unlink(path);
}

static void a_full_disk_leaves_nothing(void **state)
{
	AUTO_FREE char *path = path_join(dir, "big");
	struct rlimit old, small;
	AUTO_FREE char *data = calloc(1, 100000);
	struct err e;
	int rc;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &small);
	rc = fs_write_file(path, data, 100000, 0644, &e);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(count_entries(), 0);
}

static void removing_a_tree_does_not_follow_links(void **state)
{
	AUTO_FREE char *tree = path_join(dir, "tree"), *deep = path_join(dir, "tree/a/b/c");
	AUTO_FREE char *outside = path_join(dir, "outside"), *link = path_join(dir, "tree/a/link");
	AUTO_FREE char *file = path_join(dir, "outside/file");
	struct err e;

	(void)state;
	assert_int_equal(fs_mkdir_p(deep, 0755, &e), 0);
	assert_int_equal(fs_mkdir_p(outside, 0755, &e), 0);
	assert_int_equal(fs_write_file(file, "x", 1, 0644, &e), 0);
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(fs_remove_tree(tree, &e), 0);
	assert_int_equal(access(tree, F_OK), -1);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(fs_remove_tree(tree, &e), 0);
	assert_int_equal(fs_remove_tree(outside, &e), 0);
}

static void plain_names_stay_in_their_folder(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "/a", "a\nb", "\x7f"};

	(void)state;
	assert_true(name_is_plain("image.part.00"));
	assert_true(name_is_plain("..a"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(name_is_plain(bad[i]));
}

/* ---- pool ----------------------------------------------------------------------------------- */

struct job {
	unsigned number;
	unsigned result;
};
static atomic_uint ran;

static int square(void *job, unsigned worker, struct err *e)
{
	struct job *j = job;

	(void)worker;
	atomic_fetch_add(&ran, 1);
	/* Late ones first: order must come from the pool. */
	poll(NULL, 0, j->number % 3 == 0 ? 3 : 0);
	if (j->number == 66)
		return err_set(e, EPROTO, "job %u", j->number);
	j->result = j->number * j->number;
	return 0;
}

static void results_come_in_order(void **state)
{
	struct pool *p;
	struct job jobs[60];
	unsigned next = 0, got = 0;
	struct err e;

	(void)state;
	assert_int_equal(pool_new(4, &p, &e), 0);
	while (got < ARRAY_SIZE(jobs)) {
		void *out;

		while (next < ARRAY_SIZE(jobs) && pool_pending(p) < 8) {
			jobs[next].number = next;
			assert_int_equal(pool_submit(p, square, &jobs[next], &e), 0);
			next++;
		}
		assert_int_equal(pool_next(p, &out, &e), 1);
		assert_ptr_equal(out, &jobs[got]);
		assert_int_equal(jobs[got].result, got * got);
		got++;
	}
	void *none;
	assert_int_equal(pool_next(p, &none, &e), 0);
	pool_free(p, NULL);
}

static void a_jobs_error_names_the_job(void **state)
{
	struct pool *p;
	struct job bad = {.number = 66}, good = {.number = 1};
	struct err e;
	void *out;

	(void)state;
	assert_int_equal(pool_new(2, &p, &e), 0);
	assert_int_equal(pool_submit(p, square, &bad, &e), 0);
	assert_int_equal(pool_submit(p, square, &good, &e), 0);
	assert_int_equal(pool_next(p, &out, &e), -EPROTO);
	assert_ptr_equal(out, &bad);
	assert_string_equal(e.msg, "job 66");
	assert_int_equal(pool_next(p, &out, &e), 1);
	pool_free(p, NULL);
}

static unsigned dropped;
static void drop(void *job)
{
	(void)job;
	dropped++;
}

static void what_was_not_taken_back_is_dropped(void **state)
{
	struct pool *p;
	struct job jobs[20] = {0};
	struct err e;
	void *out;

	(void)state;
	assert_int_equal(pool_new(1, &p, &e), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(jobs); i++) {
		jobs[i].number = i;
		assert_int_equal(pool_submit(p, square, &jobs[i], &e), 0);
	}
	assert_int_equal(pool_next(p, &out, &e), 1);
	pool_free(p, drop);
	assert_int_equal(dropped, ARRAY_SIZE(jobs) - 1);
}

/* ---- processes ------------------------------------------------------------------------------ */

static void a_programs_output_is_read(void **state)
{
	AUTO_BUF out = BUF_INIT;
	struct err e;
	const char *const cat[] = {"cat", NULL};
	const char *const fails[] = {"sh", "-c", "echo one >&2; echo the reason >&2; exit 3", NULL};
	const char *const none[] = {"/nonexistent/program", NULL};
	const char *const yes[] = {"yes", NULL};
	const char *const slow[] = {"sleep", "60", NULL};
	AUTO_FREE char *big = malloc(300000);

	(void)state;
	memset(big, 'x', 300000);
	assert_int_equal(proc_run(cat, big, 300000, &out, 1 << 20, 20, &e), 0);
	assert_int_equal(out.len, 300000);
	assert_int_equal(proc_run(fails, NULL, 0, NULL, 0, 20, &e), -EIO);
	assert_string_equal(e.msg, "'sh' ended with status 3: the reason");
	assert_int_equal(proc_run(none, NULL, 0, NULL, 0, 20, &e), -ENOENT);
	assert_int_equal(proc_run(yes, NULL, 0, &out, 1 << 20, 20, &e), -EFBIG);
	assert_int_equal(proc_run(slow, NULL, 0, NULL, 0, 1, &e), -ETIMEDOUT);
}

static void the_environment_is_added_to(void **state)
{
	int pipes[2];
	const char *const argv[] = {"sh", "-c", "echo $ACCLIMATE_X-$HOME", NULL};
	const char *const env[] = {"ACCLIMATE_X=7", "HOME=/h", NULL};
	struct proc_opts o = PROC_OPTS_INIT;
	char text[32] = {0};
	pid_t pid;
	struct err e;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	o.env = env;
	o.stdout_fd = pipes[1];
	assert_int_equal(proc_start(argv, &o, &pid, &e), 0);
	close(pipes[1]);
	assert_int_equal(proc_wait(pid, &e), 0);
	assert_true(read(pipes[0], text, sizeof(text) - 1) > 0);
	close(pipes[0]);
	assert_string_equal(text, "7-/h\n");
}

/* ---- digests -------------------------------------------------------------------------------- */

static void digests_match_their_test_vectors(void **state)
{
	struct digest *d;
	char hex[2 * DIGEST_MAX + 1];
	uint8_t raw[DIGEST_MAX];
	enum digest_kind kind;
	struct err e;

	(void)state;
	/* FIPS 180: "abc". */
	assert_int_equal(digest_by_name("SHA-1", &kind, &e), 0);
	assert_int_equal(digest_new(kind, &d, &e), 0);
	for (int i = 0; i < 2; i++) {
		digest_add(d, "ab", 2);
		digest_add(d, "c", 1);
		digest_final_hex(d, hex);
		assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
	}
	digest_free(d);
	/* RFC 4231, test case 2. */
	hmac_of(DIGEST_SHA256, "Jefe", 4, "what do ya want for nothing?", 28, raw);
	hex_encode(raw, 32, hex);
	assert_string_equal(hex,
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_int_equal(digest_by_name("crc32", &kind, &e), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_appears_whole_or_not_at_all),
		cmocka_unit_test(what_stands_there_is_kept),
		cmocka_unit_test(a_full_disk_leaves_nothing),
		cmocka_unit_test(removing_a_tree_does_not_follow_links),
		cmocka_unit_test(plain_names_stay_in_their_folder),
		cmocka_unit_test(results_come_in_order),
		cmocka_unit_test(a_jobs_error_names_the_job),
		cmocka_unit_test(what_was_not_taken_back_is_dropped),
		cmocka_unit_test(a_programs_output_is_read),
		cmocka_unit_test(the_environment_is_added_to),
		cmocka_unit_test(digests_match_their_test_vectors),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
