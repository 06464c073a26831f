/* SPDX-License-Identifier: Apache-2.0 */
/* What the server gives up: see metadata-server/confine.h. */
#include "metadata-server/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/landlock.h"
#include "lib/log.h"
#include "lib/sandbox.h"

static int become(const char *name, struct err *e)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (!pw)
		return err_set(e, errno ? errno : ENOENT, "there is no user '%s'", name);
	if (getuid() == pw->pw_uid && geteuid() == pw->pw_uid)
		return 0;
	if (setgroups(1, &pw->pw_gid) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
		return err_errno(e, errno, "becoming user '%s'", name);
	return 0;
}

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &head, none))
		return err_errno(e, errno, "giving up capabilities");
	return 0;
}

int confine_user(const char *name, struct err *e)
{
	int rc;

	/* what a program could gain; who may not drop these has none to gain by */
	for (unsigned long cap = 0; cap < 64; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	rc = name ? become(name, e) : 0;
	return rc ? rc : drop_capabilities(e);
}

static int add_rule(struct landlock_rule *rules, size_t *n, const char *path, unsigned access,
		    struct err *e)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_errno(e, errno, "'%s'", path);
	if (fstat(fd, &st) || !S_ISDIR(st.st_mode))
		access &= ~(unsigned)(LANDLOCK_LIST | LANDLOCK_MAKE);
	rules[(*n)++] = (struct landlock_rule){.fd = fd, .access = access};
	return 0;
}

int confine(const char *definitions, const char *state, struct err *e)
{
	const char *off = getenv("ACCLIMATE_SANDBOX");
	struct landlock_rule rules[2];
	size_t n = 0;
	int rc;

	if (off && !strcmp(off, "off")) {
		log_warn("not confined (ACCLIMATE_SANDBOX=off)");
		return 0;
	}
	rc = add_rule(rules, &n, definitions, LANDLOCK_READ | LANDLOCK_LIST, e);
	if (!rc && state)
		rc = add_rule(rules, &n, state,
			      LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_LIST | LANDLOCK_MAKE, e);
	if (!rc && !landlock_abi())
		log_warn("this kernel has no Landlock: files are kept by their permissions alone");
	rc = rc ? rc : sandbox_serve(rules, n, NULL, e);
	while (n)
		close(rules[--n].fd);
	return rc;
}
