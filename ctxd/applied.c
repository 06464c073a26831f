/* SPDX-License-Identifier: Apache-2.0 */
/* What was applied once: see ctxd/applied.h. A line for each: key, tab, value. */
#include "ctxd/applied.h"

#include <stdio.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"

#define DIR_PATH "/var/lib/ctxd"

static bool is_key(const char *line, const char *key)
{
	size_t len = strlen(key);

	return strncmp(line, key, len) == 0 && line[len] == '\t';
}

int applied_get(const struct guest *g, const char *key, char *out, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	char *save = NULL;
	int rc = guest_read(g, APPLIED_PATH, &text, e);

	*out = '\0';
	if (rc <= 0)
		return rc;
	for (char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (is_key(line, key))
			snprintf(out, APPLIED_VALUE_MAX, "%s", line + strlen(key) + 1);
	}
	return 0;
}

int applied_set(struct guest *g, const char *key, const char *value, struct err *e)
{
	AUTO_BUF text = BUF_INIT, new = BUF_INIT;
	AUTO_FREE char *full = guest_path(g, APPLIED_PATH), *dir = guest_path(g, DIR_PATH);
	char *save = NULL;
	int rc = full && dir ? guest_read(g, APPLIED_PATH, &text, e) : err_nomem(e);

	if (rc < 0 || g->dry_run)
		return rc < 0 ? rc : 0;
	for (char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!is_key(line, key) && buf_addf(&new, "%s\n", line) < 0)
			return err_nomem(e);
	}
	if (buf_addf(&new, "%s\t%s\n", key, value) < 0)
		return err_nomem(e);
	rc = fs_mkdir_p(dir, 0755, e);
	return rc < 0 ? rc : fs_write_file(full, new.data, new.len, 0600, e);
}

void applied_add(struct applied_digest *d, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		d->state = (d->state ^ p[i]) * UINT64_C(0x100000001b3);
}

void applied_adds(struct applied_digest *d, const char *s)
{
	applied_add(d, s ? s : "\1", s ? strlen(s) + 1 : 2);
}

void applied_text(const struct applied_digest *d, char out[17])
{
	snprintf(out, 17, "%016llx", (unsigned long long)d->state);
}
