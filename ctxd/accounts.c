/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing accounts: see ctxd/account.h. Where there is no shadow the hash stands in passwd. Numbers of new
 * accounts follow /etc/login.defs.
 */
#include <stdio.h>
#include <time.h>

#include "ctxd/accounts_priv.h"

#define SECONDS_A_DAY 86400

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

static bool number_used(const struct accounts *db, enum account_file f, uint64_t number)
{
	for (size_t i = 0; i < db->lines[f].n; i++) {
		uint64_t n;

		if (accounts_field_number(db->lines[f].v[i], 2, &n) && n == number)
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
	if (!group || !gshadow || accounts_append(db, GROUP, group) < 0)
		return err_nomem(e);
	return db->there[GSHADOW] && accounts_append(db, GSHADOW, gshadow) < 0 ? err_nomem(e) : 0;
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
static int add_member(struct accounts *db, enum account_file f, const char *group, const char *name,
		      struct err *e)
{
	size_t at = accounts_find(db, f, group), len;
	AUTO_FREE char *members = NULL;
	const char *old;
	int rc;

	if (at == db->lines[f].n)
		return 0;
	old = accounts_field(db->lines[f].v[at], 3, &len);
	if (is_member(old, len, name))
		return 0;
	members = str_format("%.*s%s%s", (int)len, old, len ? "," : "", name);
	rc = members ? accounts_set_field(db, f, at, 3, members) : -ENOMEM;
	return rc < 0 ? err_nomem(e) : rc;
}

static int join_groups(struct accounts *db, const struct user *u, struct err *e)
{
	int changed = 0;

	for (size_t i = 0; i < u->groups.n; i++) {
		const char *group = u->groups.v[i];
		uint64_t gid = accounts_has(db, GROUP, group) ? 1 : free_number(db, true);
		int rc = 0;

		if (!gid)
			return err_set(e, ENOSPC, "no number is left for group '%s'", group);
		if (!accounts_has(db, GROUP, group))
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
	size_t at = accounts_find(db, GROUP, name);

	if (at < db->lines[GROUP].n) {
		if (!accounts_field_number(db->lines[GROUP].v[at], 2, ret))
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
	if (!home || !line || !shadow || !make || accounts_append(db, PASSWD, line) < 0)
		return err_nomem(e);
	if (db->there[SHADOW] && accounts_append(db, SHADOW, shadow) < 0)
		return err_nomem(e);
	if (u->system != CHOICE_YES && strlist_add(&db->homes, make) < 0)
		return err_nomem(e);
	return guest_tell(db->g, e, "account %s", u->name) < 0 ? -ENOMEM : 1;
}

/* What is asked for of an account that is there. Its numbers and home stay: files hang on them. */
static int change_account(struct accounts *db, const struct user *u, struct err *e)
{
	size_t at = accounts_find(db, PASSWD, u->name);
	int rc = 0, changed;

	if (u->gecos)
		rc = accounts_set_field(db, PASSWD, at, 4, u->gecos);
	changed = rc > 0;
	if (rc >= 0 && u->shell)
		rc = accounts_set_field(db, PASSWD, at, 6, u->shell);
	return rc < 0 ? err_nomem(e) : changed | (rc > 0);
}

int accounts_set(struct accounts *db, const struct user *u, struct err *e)
{
	int rc = accounts_has(db, PASSWD, u->name) ? change_account(db, u, e)
						   : add_account(db, u, e),
	    rc2;

	if (rc < 0)
		return rc;
	rc2 = join_groups(db, u, e);
	return rc2 < 0 ? rc2 : rc | rc2;
}

static enum account_file hash_file(const struct accounts *db, const char *name)
{
	return accounts_has(db, SHADOW, name) ? SHADOW : PASSWD;
}

const char *accounts_hash(const struct accounts *db, const char *name)
{
	enum account_file f = hash_file(db, name);
	size_t at = accounts_find(db, f, name), len;

	return at < db->lines[f].n ? accounts_field(db->lines[f].v[at], 1, &len) : "";
}

int accounts_set_hash(struct accounts *db, const char *name, const char *hash, struct err *e)
{
	enum account_file f = hash_file(db, name);
	size_t at = accounts_find(db, f, name);
	AUTO_FREE char *days = str_format("%lld", (long long)today());
	int rc;

	if (at == db->lines[f].n)
		return err_set(e, ENOENT, "there is no account '%s'", name);
	rc = accounts_set_field(db, f, at, 1, hash);
	if (rc > 0 && f == SHADOW)
		rc = days ? accounts_set_field(db, f, at, 2, days) : -ENOMEM;
	if (rc < 0)
		return err_nomem(e);
	return guest_tell(db->g, e, "password of %s", name);
}

/* ---- commit -------------------------------------------------------------------------------- */

static int make_homes(struct accounts *db, struct err *e)
{
	int rc = 0;

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

int accounts_commit(struct accounts *db, struct err *e)
{
	/* The account itself is last: where its line is, all else of it is there. */
	static const enum account_file order[] = {GROUP, GSHADOW, SHADOW, PASSWD};
	int rc = make_homes(db, e);

	for (size_t i = 0; rc == 0 && i < FILES; i++) {
		if (db->changed[order[i]])
			rc = accounts_write(db, order[i], e);
	}
	return rc;
}
