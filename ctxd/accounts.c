/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing accounts: see ctxd/account.h.
 *
 *	passwd   name:x:UID:GID:GECOS:home:shell
 *	shadow   name:hash:days since 1970:0:99999:7:::
 *	group    name:x:GID:member,member
 *	gshadow  name:!::member,member
 *
 * A file is a list of lines, of which only those that are changed are written anew. Where there is
 * no shadow the hash stands in passwd. Numbers of new accounts follow /etc/login.defs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "ctxd/account.h"
#include "lib/fs.h"
#include "lib/str.h"

#define LOCK "/etc/.pwd.lock"
#define LOCK_TRIES 150
#define LOCK_WAIT_NS 100000000
#define SECONDS_A_DAY 86400

enum file {
	PASSWD,
	SHADOW,
	GROUP,
	GSHADOW,
	FILES,
};

static const struct {
	const char *path;
	unsigned mode;
} files[FILES] = {
	{"/etc/passwd", 0644},
	{"/etc/shadow", 0600},
	{"/etc/group", 0644},
	{"/etc/gshadow", 0600},
};

struct accounts {
	struct guest *g;
	struct strlist lines[FILES];
	bool there[FILES], changed[FILES];
	int lock;
	struct strlist homes; /* of new accounts: "path\nuid\ngid" */
};

/* ---- lines ------------------------------------------------------------------------------- */

static bool is_entry(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncmp(line, name, len) == 0 && line[len] == ':';
}

/* Where the entry stands; the number of lines if there is none. */
static size_t find(const struct accounts *db, enum file f, const char *name)
{
	size_t i = 0;

	while (i < db->lines[f].n && !is_entry(db->lines[f].v[i], name))
		i++;
	return i;
}

static bool has(const struct accounts *db, enum file f, const char *name)
{
	return find(db, f, name) < db->lines[f].n;
}

/* Field number i of a line, and its length. */
static const char *field(const char *line, unsigned i, size_t *len)
{
	while (i-- && line)
		line = (line = strchr(line, ':')) ? line + 1 : NULL;
	*len = line ? strcspn(line, ":") : 0;
	return line ? line : "";
}

static bool field_number(const char *line, unsigned i, uint64_t *ret)
{
	size_t len;
	const char *text = field(line, i, &len);
	AUTO_FREE char *copy = strndup(text, len);

	return copy && str_to_u64(copy, 0, UINT32_MAX, ret, NULL) == 0;
}

/* Puts text in place of field i. Returns 1 if that changed the line. */
static int set_field(struct accounts *db, enum file f, size_t at, unsigned i, const char *text)
{
	char *line = db->lines[f].v[at], *new;
	size_t len;
	const char *old = field(line, i, &len);

	if (strlen(text) == len && memcmp(old, text, len) == 0)
		return 0;
	new = str_format("%.*s%s%s", (int)(old - line), line, text, old + len);
	if (!new)
		return -ENOMEM;
	free(line);
	db->lines[f].v[at] = new;
	db->changed[f] = true;
	return 1;
}

static int append(struct accounts *db, enum file f, const char *line)
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

static int read_lines(struct accounts *db, enum file f, struct err *e)
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
	for (enum file f = PASSWD; rc >= 0 && f < FILES; f++)
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
	for (enum file f = PASSWD; f < FILES; f++)
		strlist_release(&db->lines[f]);
	strlist_release(&db->homes);
	if (db->lock >= 0)
		close(db->lock);
	free(db);
}

/* ---- numbers ------------------------------------------------------------------------------- */

/* A number of /etc/login.defs. */
static uint64_t login_def(const struct guest *g, const char *key, uint64_t otherwise)
{
	AUTO_BUF text = BUF_INIT;
	uint64_t n = otherwise;
	char *save = NULL;

	if (guest_read(g, "/etc/login.defs", &text, NULL) <= 0)
		return otherwise;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *in = NULL, *word = strtok_r(line, " \t", &in);

		if (word && strcmp(word, key) == 0) {
			word = strtok_r(NULL, " \t", &in);
			if (word)
				str_to_u64(word, 1, UINT32_MAX - 1, &n, NULL);
		}
	}
	return n;
}

static bool number_used(const struct accounts *db, enum file f, uint64_t number)
{
	for (size_t i = 0; i < db->lines[f].n; i++) {
		uint64_t n;

		if (field_number(db->lines[f].v[i], 2, &n) && n == number)
			return true;
	}
	return false;
}

/* One that neither an account nor a group has; system ones from the end, as useradd does. */
static uint64_t free_number(const struct accounts *db, bool system)
{
	uint64_t least = login_def(db->g, system ? "SYS_UID_MIN" : "UID_MIN", system ? 201 : 1000);
	uint64_t most = login_def(db->g, system ? "SYS_UID_MAX" : "UID_MAX", system ? 999 : 60000);

	for (uint64_t i = 0; least <= most && i <= most - least; i++) {
		uint64_t n = system ? most - i : least + i;

		if (!number_used(db, PASSWD, n) && !number_used(db, GROUP, n))
			return n;
	}
	return 0;
}

/* ---- groups -------------------------------------------------------------------------------- */

static int add_group(struct accounts *db, const char *name, uint64_t gid, struct err *e)
{
	AUTO_FREE char *group = NULL, *gshadow = NULL;

	group = str_format("%s:x:%llu:", name, (unsigned long long)gid);
	gshadow = str_format("%s:!::", name);
	if (!group || !gshadow || append(db, GROUP, group) < 0)
		return err_nomem(e);
	return db->there[GSHADOW] && append(db, GSHADOW, gshadow) < 0 ? err_nomem(e) : 0;
}

static bool is_member(const char *members, size_t len, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = members; p < members + len; p += strcspn(p, ",:") + 1) {
		if (strncmp(p, name, n) == 0 && (p + n == members + len || p[n] == ','))
			return true;
	}
	return false;
}

/* The members are the fourth field of both files. Returns 1 if something changed. */
static int add_member(struct accounts *db, enum file f, const char *group, const char *name,
		      struct err *e)
{
	size_t at = find(db, f, group), len;
	AUTO_FREE char *members = NULL;
	const char *old;
	int rc;

	if (at == db->lines[f].n)
		return 0;
	old = field(db->lines[f].v[at], 3, &len);
	if (is_member(old, len, name))
		return 0;
	members = str_format("%.*s%s%s", (int)len, old, len ? "," : "", name);
	rc = members ? set_field(db, f, at, 3, members) : -ENOMEM;
	return rc < 0 ? err_nomem(e) : rc;
}

static int join_groups(struct accounts *db, const struct user *u, struct err *e)
{
	int changed = 0;

	for (size_t i = 0; i < u->groups.n; i++) {
		const char *group = u->groups.v[i];
		uint64_t gid = has(db, GROUP, group) ? 1 : free_number(db, true);
		int rc = 0;

		if (!gid)
			return err_set(e, ENOSPC, "no number is left for group '%s'", group);
		if (!has(db, GROUP, group))
			rc = add_group(db, group, gid, e);
		if (rc == 0)
			rc = add_member(db, GROUP, group, u->name, e);
		changed |= rc > 0;
		if (rc >= 0)
			rc = add_member(db, GSHADOW, group, u->name, e);
		if (rc < 0)
			return rc;
	}
	return changed;
}

/* ---- accounts ------------------------------------------------------------------------------ */

static int64_t today(void)
{
	return (int64_t)(time(NULL) / SECONDS_A_DAY);
}

/* The GID of a new account's own group, which is made where there is none. */
static int own_group(struct accounts *db, const struct user *u, uint64_t uid, uint64_t *ret,
		     struct err *e)
{
	const char *name = u->primary_group ? u->primary_group : u->name;
	size_t at = find(db, GROUP, name);

	if (at < db->lines[GROUP].n) {
		if (!field_number(db->lines[GROUP].v[at], 2, ret))
			return err_set(e, EBADMSG, "/etc/group: '%s' is malformed", name);
		return 0;
	}
	*ret = number_used(db, GROUP, uid) ? free_number(db, u->system == CHOICE_YES) : uid;
	return *ret ? add_group(db, name, *ret, e)
		    : err_set(e, ENOSPC, "no number is left for group '%s'", name);
}

static const char *default_shell(const struct guest *g)
{
	return guest_exists(g, "/bin/bash") ? "/bin/bash" : "/bin/sh";
}

static int add_account(struct accounts *db, const struct user *u, struct err *e)
{
	AUTO_FREE char *home = NULL, *line = NULL, *shadow = NULL, *make = NULL;
	uint64_t uid = u->uid ? u->uid : free_number(db, u->system == CHOICE_YES), gid = 0;
	int rc;

	if (!uid || number_used(db, PASSWD, uid))
		return err_set(e, EEXIST, "account '%s': its number %llu is another's", u->name,
			       (unsigned long long)uid);
	rc = own_group(db, u, uid, &gid, e);
	if (rc < 0)
		return rc;
	home = u->home ? strdup(u->home) : str_format("/home/%s", u->name);
	line = str_format("%s:%s:%llu:%llu:%s:%s:%s", u->name, db->there[SHADOW] ? "x" : "!",
			  (unsigned long long)uid, (unsigned long long)gid,
			  u->gecos ? u->gecos : "", home ? home : "",
			  u->shell ? u->shell : default_shell(db->g));
	shadow = str_format("%s:!:%lld:0:99999:7:::", u->name, (long long)today());
	make = str_format("%s\n%llu\n%llu", home ? home : "", (unsigned long long)uid,
			  (unsigned long long)gid);
	if (!home || !line || !shadow || !make || append(db, PASSWD, line) < 0)
		return err_nomem(e);
	if (db->there[SHADOW] && append(db, SHADOW, shadow) < 0)
		return err_nomem(e);
	if (u->system != CHOICE_YES && strlist_add(&db->homes, make) < 0)
		return err_nomem(e);
	return guest_tell(db->g, e, "account %s", u->name) < 0 ? -ENOMEM : 1;
}

/* What is asked for of an account that is there. Its numbers and home stay: files hang on them. */
static int change_account(struct accounts *db, const struct user *u, struct err *e)
{
	size_t at = find(db, PASSWD, u->name);
	int rc = 0, changed;

	if (u->gecos)
		rc = set_field(db, PASSWD, at, 4, u->gecos);
	changed = rc > 0;
	if (rc >= 0 && u->shell)
		rc = set_field(db, PASSWD, at, 6, u->shell);
	return rc < 0 ? err_nomem(e) : changed | (rc > 0);
}

int accounts_set(struct accounts *db, const struct user *u, struct err *e)
{
	int rc = has(db, PASSWD, u->name) ? change_account(db, u, e) : add_account(db, u, e), rc2;

	if (rc < 0)
		return rc;
	rc2 = join_groups(db, u, e);
	return rc2 < 0 ? rc2 : rc | rc2;
}

static enum file hash_file(const struct accounts *db, const char *name)
{
	return has(db, SHADOW, name) ? SHADOW : PASSWD;
}

const char *accounts_hash(const struct accounts *db, const char *name)
{
	enum file f = hash_file(db, name);
	size_t at = find(db, f, name), len;

	return at < db->lines[f].n ? field(db->lines[f].v[at], 1, &len) : "";
}

int accounts_set_hash(struct accounts *db, const char *name, const char *hash, struct err *e)
{
	enum file f = hash_file(db, name);
	size_t at = find(db, f, name);
	AUTO_FREE char *days = str_format("%lld", (long long)today());
	int rc;

	if (at == db->lines[f].n)
		return err_set(e, ENOENT, "there is no account '%s'", name);
	rc = set_field(db, f, at, 1, hash);
	if (rc > 0 && f == SHADOW)
		rc = days ? set_field(db, f, at, 2, days) : -ENOMEM;
	if (rc < 0)
		return err_nomem(e);
	return guest_tell(db->g, e, "password of %s", name);
}

/* ---- commit -------------------------------------------------------------------------------- */

static int write_lines(struct accounts *db, enum file f, struct err *e)
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

int accounts_commit(struct accounts *db, struct err *e)
{
	/* Groups first: an account without its group is worse than a group without an account. */
	static const enum file order[] = {GROUP, GSHADOW, SHADOW, PASSWD};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < FILES; i++) {
		if (db->changed[order[i]])
			rc = write_lines(db, order[i], e);
	}
	for (size_t i = 0; rc == 0 && i < db->homes.n; i++) {
		char *uid = strchr(db->homes.v[i], '\n'), *gid = uid ? strchr(uid + 1, '\n') : NULL;

		if (!gid)
			continue;
		*uid = *gid = '\0';
		rc = guest_make_home(db->g, db->homes.v[i], (uid_t)strtoul(uid + 1, NULL, 10),
				     (gid_t)strtoul(gid + 1, NULL, 10), e);
	}
	return rc;
}
