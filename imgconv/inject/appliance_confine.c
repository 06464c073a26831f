/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits for libguestfs and QEMU: see appliance_confine.h. They take bytes that are hostile, so a fault
 * of QEMU's is to reach as little as can be; but they are started as the user has installed them, so
 * only what they do not need is taken.
 */
#include "imgconv/inject/appliance_confine.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "lib/landlock.h"
#include "lib/str.h"

#define EVERYTHING (LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_LIST | LANDLOCK_MAKE | LANDLOCK_TREE)

extern char **environ;

/* ---- the environment ------------------------------------------------------------------------- */

static bool is_wanted(const char *variable)
{
	static const char *const prefixes[] = {
		"PATH=", "HOME=",     "TMPDIR=",     "TZ=",
		"LANG=", "LC_",       "LD_",         "XDG_RUNTIME_DIR=",
		"ASAN_", "SUPERMIN_", "LIBGUESTFS_", "QEMU_"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (str_has_prefix(variable, prefixes[i]))
			return true;
	}
	return false;
}

/* Nobody's keys and passwords are to be in QEMU. */
static int clean_environment(struct err *e)
{
	for (char **v = environ; *v;) {
		AUTO_FREE char *name = NULL;

		if (is_wanted(*v)) {
			v++;
			continue;
		}
		name = strndup(*v, strcspn(*v, "="));
		if (!name)
			return err_nomem(e);
		/* The others move up. A variable without a name cannot be unset. */
		if (!*name || unsetenv(name) < 0)
			v++;
	}
	return 0;
}

/* As guestfs(3) has it: the machine that it has built stays, for the next time. */
static const char *cache_folder(void)
{
	const char *dir = getenv("LIBGUESTFS_CACHEDIR");

	if (!dir)
		dir = getenv("TMPDIR");
	return dir ? dir : "/var/tmp";
}

static int set_folders(const char *folder, struct err *e)
{
	AUTO_FREE char *cache = strdup(cache_folder());

	if (!cache || setenv("LIBGUESTFS_CACHEDIR", cache, 1) < 0 ||
	    setenv("LIBGUESTFS_TMPDIR", folder, 1) < 0 || setenv("TMPDIR", folder, 1) < 0)
		return err_nomem(e);
	return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

struct file_rule {
	const char *path;
	unsigned access;
};

static int restrict_files(const char *folder, struct err *e)
{
	const unsigned device = LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_IOCTL;
	const struct file_rule files[] = {
		{"/", LANDLOCK_READ | LANDLOCK_EXEC | LANDLOCK_LIST},
		{folder, EVERYTHING},
		{cache_folder(), EVERYTHING},
		/* Where it makes root's sockets, whatever it is told. */
		{geteuid() == 0 ? "/tmp" : folder, EVERYTHING},
		{"/dev/kvm", device},
		{"/dev/null", device},
		{"/dev/zero", device},
		{"/dev/random", device},
		{"/dev/urandom", device},
		{"/dev/ptmx", device},
		{"/dev/pts", device | LANDLOCK_LIST},
		{"/dev/shm", EVERYTHING},
	};
	struct landlock_rule rules[ARRAY_SIZE(files)];
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = open(files[i].path, O_PATH | O_CLOEXEC);

		/* What is not there is not needed. */
		if (fd >= 0)
			rules[n++] = (struct landlock_rule){fd, files[i].access};
	}
	rc = landlock_restrict(rules, n, e);
	while (n > 0)
		close(rules[--n].fd);
	return rc == -ENOTSUP ? 0 : rc;
}

int appliance_confine(const char *folder, struct err *e)
{
	static const struct rlimit none = {0, 0};
	int rc;

	(void)setsid(); /* fails where it leads one already */
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, errno, "limits of libguestfs");
	rc = clean_environment(e);
	if (rc == 0)
		rc = set_folders(folder, e);
	return rc < 0 ? rc : restrict_files(folder, e);
}
