/* SPDX-License-Identifier: Apache-2.0 */
/* What the process with libguestfs cannot do any more, and what it still can. */
#include "helper.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "imgconv/inject/appliance_confine.h"
#include "lib/landlock.h"

/* 0, or the errno of opening a file for writing. */
static int writing(const char *dir, const char *name)
{
	AUTO_FREE char *path = path_join(dir, name);
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? errno : 0;
}

/* In a process of its own; the number of the line that is wrong, or 0. */
static int try_everything(const char *folder, const char *cache, const char *elsewhere)
{
	struct err none = {0};
	AUTO_FREE char *below = path_join(folder, "below"), *there = path_join(elsewhere, "there");
	int in_place;

	setenv("LIBGUESTFS_CACHEDIR", cache, 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	setenv("LANG", "C.UTF-8", 1);
	if (appliance_confine(folder, &none) < 0)
		return __LINE__;
	if (getenv("AWS_SECRET_ACCESS_KEY") || strcmp(getenv("LANG"), "C.UTF-8") != 0 ||
	    strcmp(getenv("TMPDIR"), folder) != 0 ||
	    strcmp(getenv("LIBGUESTFS_CACHEDIR"), cache) != 0)
		return __LINE__;
	if (getsid(0) != getpid())
		return __LINE__;
	if (writing(folder, "new") || writing(cache, "new") || mkdir(below, 0700) < 0 ||
	    writing(below, "new"))
		return __LINE__;
	in_place = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (in_place < 0 || close(in_place) < 0)
		return __LINE__;
	if (landlock_abi() &&
	    (writing(elsewhere, "new") != EACCES || writing(elsewhere, "there") != EACCES))
		return __LINE__;
	/* It may be read. */
	return access(there, R_OK) < 0 ? __LINE__ : 0;
}

/* Neither in /tmp, all of which root may write, nor in /dev/shm. */
static void only_its_own_folders_may_be_written(void **state)
{
	AUTO_FREE char *elsewhere = NULL;
	int status = 0;
	pid_t pid;

	(void)state;
	assert_ok(fs_make_temp_dir("/var/tmp/imgconv-test", &elsewhere, e));
	assert_int_equal(writing(elsewhere, "there"), 0);
	run_ok("mkdir", "-p", test_path("own"), test_path("cache"));
	pid = fork();
	if (pid == 0)
		_exit(try_everything(test_path("own"), test_path("cache"), elsewhere));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_ok(fs_remove_tree(elsewhere, e));
	assert_int_equal(status, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_its_own_folders_may_be_written),
	};

	return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
