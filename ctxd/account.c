/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/passwd, passwd(5): name:password:UID:GID:GECOS:home:shell. See ctxd/account.h. */
#include "ctxd/account.h"

#include "lib/str.h"

#define FIELDS 7
enum field {
	NAME,
	UID = 2,
	GID,
	HOME = 5,
};

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
		uint64_t uid, gid;

		if (!split(line, f) || strcmp(f[NAME], name) != 0)
			continue;
		if (str_to_u64(f[UID], 0, UINT32_MAX - 1, &uid, NULL) < 0 ||
		    str_to_u64(f[GID], 0, UINT32_MAX - 1, &gid, NULL) < 0 || f[HOME][0] != '/')
			return err_set(e, EBADMSG, "/etc/passwd: account '%s' is malformed", name);
		ret->uid = (uid_t)uid;
		ret->gid = (gid_t)gid;
		ret->home = strdup(f[HOME]);
		return ret->home ? 1 : err_nomem(e);
	}
	return 0;
}
