/* SPDX-License-Identifier: Apache-2.0 */
/* Reading /etc/passwd, and being somebody else for a while: see ctxd/account.h. */
#include "ctxd/account.h"

#include <grp.h>
#include <limits.h>

#include "lib/str.h"

#define FIELDS 7
enum field {
	NAME,
	UID = 2,
	GID,
	HOME = 5,
};

void account_release(struct account *account)
{
	free(account->name);
	free(account->home);
	*account = (struct account){0};
}

/* Cuts a line into its fields in place. */
static bool split(char *line, char *fields[FIELDS])
{
	for (int i = 0; i < FIELDS; i++) {
		fields[i] = line;
		line = line ? strchr(line, ':') : NULL;
		if (line)
			*line++ = '\0';
		else if (i < FIELDS - 1)
			return false;
	}
	return true;
}

static int take(char *const f[FIELDS], struct account *ret, struct err *e)
{
	uint64_t uid, gid;

	if (str_to_u64(f[UID], 0, UINT32_MAX - 1, &uid, NULL) < 0 ||
	    str_to_u64(f[GID], 0, UINT32_MAX - 1, &gid, NULL) < 0 || f[HOME][0] != '/')
		return err_set(e, EBADMSG, "/etc/passwd: account '%s' is malformed", f[NAME]);
	account_release(ret);
	ret->uid = (uid_t)uid;
	ret->gid = (gid_t)gid;
	ret->name = strdup(f[NAME]);
	ret->home = strdup(f[HOME]);
	return ret->name && ret->home ? 1 : err_nomem(e);
}

int account_find(const struct guest *g, const char *name, struct account *ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	char *save = NULL;
	int rc = guest_read(g, "/etc/passwd", &text, e);

	if (rc <= 0)
		return rc;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *f[FIELDS];

		if (split(line, f) && strcmp(f[NAME], name) == 0)
			return take(f, ret, e);
	}
	return 0;
}

int account_at(const struct guest *g, const char *path, struct account *ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	size_t best = 0;
	char *save = NULL;
	int rc = guest_read(g, "/etc/passwd", &text, e), found = 0;

	if (rc <= 0)
		return rc;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *f[FIELDS];
		size_t len;

		if (!split(line, f))
			continue;
		len = strlen(f[HOME]);
		if (len <= best || !str_has_prefix(path, f[HOME]) || path[len] != '/')
			continue;
		if (take(f, ret, NULL) < 0)
			continue;
		best = len;
		found = 1;
	}
	return found;
}

/* Becomes the account, in what the kernel looks at for files; root's own groups go, too. */
static int become(const struct account *account, struct err *e)
{
	if (setgroups(1, &account->gid) < 0 || setegid(account->gid) < 0 ||
	    seteuid(account->uid) < 0)
		return err_errno(e, errno, "becoming user %u", (unsigned)account->uid);
	return 0;
}

int account_as(const struct account *account, int (*fn)(void *arg, struct err *e), void *arg,
	       struct err *e)
{
	gid_t groups[NGROUPS_MAX];
	int n, rc;

	if (geteuid() != 0 || account->uid == 0)
		return fn(arg, e);
	n = getgroups(NGROUPS_MAX, groups);
	if (n < 0)
		return err_errno(e, errno, "the groups of root");
	rc = become(account, e);
	if (rc == 0)
		rc = fn(arg, e);
	if (seteuid(0) < 0 || setegid(0) < 0 || setgroups((size_t)n, groups) < 0)
		abort(); /* nothing may go on as somebody else */
	return rc;
}

int account_group(const struct guest *g, const char *name, gid_t *ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	char *save = NULL;
	int rc = guest_read(g, "/etc/group", &text, e);

	if (rc <= 0)
		return rc;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *in = NULL, *word = strtok_r(line, ":", &in);
		uint64_t gid;

		if (!word || strcmp(word, name) != 0 || !strtok_r(NULL, ":", &in))
			continue;
		word = strtok_r(NULL, ":", &in);
		if (!word || str_to_u64(word, 0, UINT32_MAX - 1, &gid, NULL) < 0)
			return err_set(e, EBADMSG, "/etc/group: group '%s' is malformed", name);
		*ret = (gid_t)gid;
		return 1;
	}
	return 0;
}
