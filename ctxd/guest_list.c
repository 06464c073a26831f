/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of what was written, for `ctxd undo`: a line for each file. "own PATH", "block PATH", or
 * "was PATH" for a file that was replaced whole (ctxd/guest_kept.c). "new PATH": there was none.
 * "link PATH": a symbolic link.
 */
#include "ctxd/guest_priv.h"
#include "lib/fs.h"
#include "lib/str.h"

bool guest_has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = text; (p = strstr(p, line)); p += len) {
		if ((p == text || p[-1] == '\n') && (p[len] == '\n' || !p[len]))
			return true;
	}
	return false;
}

int guest_listed(const struct guest *g, const char *kind, const char *path, struct err *e)
{
	AUTO_FREE char *line = str_format("%s %s", kind, path);
	AUTO_BUF list = BUF_INIT;
	int rc = line ? 0 : err_nomem(e);

	/* What this run wrote is on the list when it ends. */
	for (size_t i = 0; rc == 0 && i < g->wrote.n; i++) {
		if (strcmp(g->wrote.v[i], line) == 0)
			return 1;
	}
	if (rc == 0)
		rc = guest_read(g, GUEST_LIST, &list, e);
	return rc <= 0 ? rc : guest_has_line(buf_str(&list), line);
}

int guest_list(const struct guest *g, const char *kind, struct strlist *ret, struct err *e)
{
	AUTO_BUF list = BUF_INIT;
	size_t len = strlen(kind);
	char *save = NULL;
	int rc = guest_read(g, GUEST_LIST, &list, e);

	if (rc <= 0)
		return rc;
	for (char *l = strtok_r(list.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (strncmp(l, kind, len) == 0 && l[len] == ' ' &&
		    strlist_add(ret, l + len + 1) < 0)
			return err_nomem(e);
	}
	return 0;
}

int guest_note(struct guest *g, const char *kind, const char *path, struct err *e)
{
	AUTO_FREE char *line = str_format("%s %s", kind, path);

	return !line || strlist_add(&g->wrote, line) < 0 ? err_nomem(e) : 0;
}

int guest_save_list(struct guest *g, struct err *e)
{
	AUTO_BUF list = BUF_INIT;
	AUTO_FREE char *full = guest_path(g, GUEST_LIST);
	size_t before;
	int rc = guest_read(g, GUEST_LIST, &list, e);

	if (rc < 0 || !full || g->dry_run)
		return rc < 0 ? rc : full ? 0 : err_nomem(e);
	before = list.len;
	for (size_t i = 0; i < g->wrote.n; i++) {
		/* /run is empty at each boot by itself. */
		if (strstr(g->wrote.v[i], " /run/") ||
		    guest_has_line(buf_str(&list), g->wrote.v[i]))
			continue;
		if (buf_addf(&list, "%s\n", g->wrote.v[i]) < 0)
			return err_nomem(e);
	}
	if (list.len == before)
		return 0;
	rc = guest_make_parents(full, e);
	return rc < 0 ? rc : fs_write_file(full, list.data, list.len, 0600, e);
}

/* Takes a line off the list, so that the path may be replaced and kept again. */
int guest_unlist(struct guest *g, const char *line, struct err *e)
{
	AUTO_FREE char *full = guest_path(g, GUEST_LIST);
	AUTO_BUF list = BUF_INIT, rest = BUF_INIT;
	char *save = NULL;
	int rc = full ? guest_read(g, GUEST_LIST, &list, e) : err_nomem(e);

	for (size_t i = g->wrote.n; i-- > 0;) {
		if (strcmp(g->wrote.v[i], line) != 0)
			continue;
		free(g->wrote.v[i]);
		g->wrote.v[i] = g->wrote.v[--g->wrote.n];
	}
	if (rc <= 0)
		return rc;
	for (char *l = strtok_r(list.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (strcmp(l, line) != 0 && buf_addf(&rest, "%s\n", l) < 0)
			return err_nomem(e);
	}
	return fs_write_file(full, buf_str(&rest), rest.len, 0600, e);
}
