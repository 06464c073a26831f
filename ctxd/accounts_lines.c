/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of accounts, read, locked and written: see ctxd/accounts_priv.h.
 *
 *	passwd   name:x:UID:GID:GECOS:home:shell
 *	shadow   name:hash:days since 1970:0:99999:7:::
 *	group    name:x:GID:member,member
 *	gshadow  name:!::member,member
 *
 * A file is a list of lines, of which only those that are changed are written anew.
 */
#include <fcntl.h>
#include <time.h>

#include "ctxd/accounts_priv.h"

#define LOCK "/etc/.pwd.lock"
#define LOCK_TRIES 150
#define LOCK_WAIT_NS 100000000

static const struct {
	const char *path;
	unsigned mode;
} files[FILES] = {
	{"/etc/passwd", 0644},
	{"/etc/shadow", 0600},
	{"/etc/group", 0644},
	{"/etc/gshadow", 0600},
};

/* ---- lines ------------------------------------------------------------------------------- */

static bool is_entry(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncmp(line, name, len) == 0 && line[len] == ':';
}

size_t accounts_find(const struct accounts *db, enum account_file f, const char *name)
{
	size_t i = 0;

	while (i < db->lines[f].n && !is_entry(db->lines[f].v[i], name))
		i++;
	return i;
}

bool accounts_has(const struct accounts *db, enum account_file f, const char *name)
{
	return accounts_find(db, f, name) < db->lines[f].n;
}

const char *accounts_field(const char *line, unsigned i, size_t *len)
{
	while (i-- && line)
		line = (line = strchr(line, ':')) ? line + 1 : NULL;
	*len = line ? strcspn(line, ":") : 0;
	return line ? line : "";
}

bool accounts_field_number(const char *line, unsigned i, uint64_t *ret)
{
	size_t len;
	const char *text = accounts_field(line, i, &len);
	AUTO_FREE char *copy = strndup(text, len);

	return copy && str_to_u64(copy, 0, UINT32_MAX, ret, NULL) == 0;
}

/* A line that somebody has left short gets its empty fields up to number i. */
static int have_field(char **line, unsigned i)
{
	unsigned colons = 0;

	for (const char *p = *line; *p; p++)
		colons += *p == ':';
	for (; colons < i; colons++) {
		char *longer = str_format("%s:", *line);

		if (!longer)
			return -ENOMEM;
		free(*line);
		*line = longer;
	}
	return 0;
}

int accounts_set_field(struct accounts *db, enum account_file f, size_t at, unsigned i,
		       const char *text)
{
	const char *line, *old;
	char *new;
	size_t len;

	if (have_field(&db->lines[f].v[at], i) < 0)
		return -ENOMEM;
	line = db->lines[f].v[at];
	old = accounts_field(line, i, &len);
	if (strlen(text) == len && memcmp(old, text, len) == 0)
		return 0;
	new = str_format("%.*s%s%s", (int)(old - line), line, text, old + len);
	if (!new)
		return -ENOMEM;
	free(db->lines[f].v[at]);
	db->lines[f].v[at] = new;
	db->changed[f] = true;
	return 1;
}

int accounts_append(struct accounts *db, enum account_file f, const char *line)
{
	db->changed[f] = true;
	return strlist_add(&db->lines[f], line);
}

/* ---- open and close ------------------------------------------------------------------------ */

static int take_lock(struct accounts *db, struct err *e)
{
	static const struct timespec nap = {.tv_nsec = LOCK_WAIT_NS};
	AUTO_FREE char *path = guest_path(db->g, LOCK);
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (!path)
		return err_nomem(e);
	db->lock = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (db->lock < 0)
		return err_errno(e, errno, "'%s'", path);
	for (unsigned i = 0; fcntl(db->lock, F_SETLK, &l) < 0; i++) {
		if ((errno != EAGAIN && errno != EACCES) || i == LOCK_TRIES)
			return err_errno(e, errno, "locking '%s'", path);
		nanosleep(&nap, NULL);
	}
	return 0;
}

static int read_lines(struct accounts *db, enum account_file f, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = guest_read(db->g, files[f].path, &text, e);
	char *save = NULL;

	if (rc <= 0)
		return rc;
	if (memchr(buf_str(&text), '\0', text.len))
		return err_set(e, EBADMSG, "'%s' is no text", files[f].path);
	db->there[f] = true;
	for (char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strlist_add(&db->lines[f], line) < 0)
			return err_nomem(e);
	}
	return 0;
}

int accounts_open(struct guest *g, struct accounts **ret, struct err *e)
{
	AUTO(accounts_close) struct accounts *db = calloc(1, sizeof(*db));
	int rc = 0;

	if (!db)
		return err_nomem(e);
	db->g = g;
	db->lock = -1;
	if (!g->dry_run)
		rc = take_lock(db, e);
	for (enum account_file f = PASSWD; rc >= 0 && f < FILES; f++)
		rc = read_lines(db, f, e);
	if (rc < 0)
		return rc;
	if (!db->there[PASSWD] || !db->there[GROUP])
		return err_set(e, ENOENT,
			       "there are no accounts: /etc/passwd or /etc/group is missing");
	*ret = STEAL(db);
	return 0;
}

void accounts_close(struct accounts *db)
{
	for (enum account_file f = PASSWD; f < FILES; f++)
		strlist_release(&db->lines[f]);
	strlist_release(&db->homes);
	if (db->lock >= 0)
		close(db->lock);
	free(db);
}

int accounts_write(struct accounts *db, enum account_file f, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < db->lines[f].n; i++)
		rc = buf_addf(&text, "%s\n", db->lines[f].v[i]);
	if (rc < 0)
		return err_nomem(e);
	rc = guest_edit(db->g, files[f].path, buf_str(&text), text.len, files[f].mode, e);
	return rc < 0 ? rc : 0;
}
