/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts, their groups and passwords, and what they may do by sudo.
 *
 * A password is set when the context's changes, not at each boot, so that one that a person set
 * later stays. One in clear is hashed by SHA-512 (crypt(5)), which guests of any age read. Without
 * a name for the image's own user its password is root's.
 */
#include <crypt.h>
#include <stdio.h>
#include <sys/random.h>

#include "ctxd/account.h"
#include "ctxd/applied.h"
#include "ctxd/apply.h"
#include "lib/log.h"
#include "lib/str.h"

#define SUDOERS "/etc/sudoers.d/90-ctxd"
#define DOAS "/etc/doas.d/ctxd.conf"
#define KEY_MAX 300
#define SALT_MAX 24

/* ---- passwords --------------------------------------------------------------------------- */

/* "$6$" and 16 random characters. */
static int make_salt(char out[SALT_MAX], struct err *e)
{
	static const char alphabet[] =
		"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	unsigned char random[16];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_errno(e, errno, "no random numbers");
	memcpy(out, "$6$", 3);
	for (size_t i = 0; i < sizeof(random); i++)
		out[3 + i] = alphabet[random[i] & 63];
	out[3 + sizeof(random)] = '\0';
	return 0;
}

static int hash_with(const char *password, const char *setting, char out[APPLIED_VALUE_MAX],
		     struct err *e)
{
	AUTO_FREE struct crypt_data *data = calloc(1, sizeof(*data));
	const char *hash;

	if (!data)
		return err_nomem(e);
	/* A sanitizer puts itself before crypt_r, and looks for it among shared libraries. */
	hash = crypt_rn(password, setting, data, (int)sizeof(*data));
	if (hash)
		snprintf(out, APPLIED_VALUE_MAX, "%s", hash);
	explicit_bzero(data, sizeof(*data)); /* the password lies in it */
	return hash ? 0 : err_set(e, EINVAL, "the password cannot be hashed");
}

/* The hash to set; returns 0 if what was applied last is still what the context says. */
static int wanted_hash(const struct user *u, const char *applied, char out[APPLIED_VALUE_MAX],
		       struct err *e)
{
	char salt[SALT_MAX];
	int rc;

	if (u->password_hash) {
		if (strlen(u->password_hash) >= APPLIED_VALUE_MAX)
			return err_set(e, EFBIG, "the password's hash is too long");
		snprintf(out, APPLIED_VALUE_MAX, "%s", u->password_hash);
		return strcmp(out, applied) != 0;
	}
	if (*applied && hash_with(u->password, applied, out, NULL) == 0 &&
	    strcmp(out, applied) == 0)
		return 0;
	rc = make_salt(salt, e);
	if (rc == 0)
		rc = hash_with(u->password, salt, out, e);
	return rc < 0 ? rc : 1;
}

static int set_password(struct apply *a, struct accounts *db, const char *name,
			const struct user *u, struct err *e)
{
	char key[KEY_MAX], applied[APPLIED_VALUE_MAX], hash[APPLIED_VALUE_MAX];
	AUTO_FREE char *locked = NULL;
	int rc;

	if (!u->password && !u->password_hash)
		return 0;
	snprintf(key, sizeof(key), "password %s", name);
	rc = applied_get(a->g, key, applied, e);
	if (rc == 0)
		rc = wanted_hash(u, applied, hash, e);
	if (rc <= 0)
		return rc;
	locked = str_format("%s%s", u->lock_password == CHOICE_YES ? "!" : "", hash);
	rc = locked ? accounts_set_hash(db, name, locked, e) : err_nomem(e);
	return rc < 0 ? rc : applied_set(a->g, key, hash, e);
}

/* Where no password is given: only whether the one that is there is to work. */
static int set_lock(struct accounts *db, const char *name, const struct user *u, struct err *e)
{
	const char *now = accounts_hash(db, name);
	AUTO_FREE char *hash = strndup(now, strcspn(now, ":"));
	AUTO_FREE char *locked = hash ? str_format("!%s", hash) : NULL;

	if (!locked)
		return err_nomem(e);
	if (u->password || u->password_hash || u->lock_password == CHOICE_OPEN)
		return 0;
	if (u->lock_password == CHOICE_YES && *hash != '!' && *hash != '*')
		return accounts_set_hash(db, name, locked, e);
	if (u->lock_password == CHOICE_NO && hash[0] == '!' && hash[1] == '$')
		return accounts_set_hash(db, name, hash + 1, e);
	return 0;
}

/* ---- accounts ------------------------------------------------------------------------------ */

static int set_user(struct apply *a, struct accounts *db, const struct user *u, struct err *e)
{
	int rc = accounts_set(db, u, e);

	if (rc >= 0)
		rc = set_password(a, db, u->name, u, e);
	if (rc >= 0)
		rc = set_lock(db, u->name, u, e);
	return rc < 0 ? rc : 0;
}

static bool says_something(const struct context *c)
{
	const struct user *d = &c->default_user;

	return c->n_users || d->name || d->password || d->password_hash;
}

static int set_users(struct apply *a, struct err *e)
{
	AUTO(accounts_close) struct accounts *db = NULL;
	const struct user *d = &a->c->default_user;
	int rc;

	if (!says_something(a->c))
		return 0;
	rc = accounts_open(a->g, &db, e);
	if (rc == 0 && d->name)
		rc = set_user(a, db, d, e);
	else if (rc == 0)
		rc = set_password(a, db, "root", d, e);
	for (size_t i = 0; rc >= 0 && i < a->c->n_users; i++)
		rc = set_user(a, db, &a->c->users[i], e);
	return rc < 0 ? rc : accounts_commit(db, e);
}

/* ---- sudo ---------------------------------------------------------------------------------- */

/* All commands, as anybody: what doas has words for. *nopass: without a password. */
static bool is_everything(const char *rule, bool *nopass)
{
	static const char *const as[] = {"ALL=(ALL)", "ALL=(ALL:ALL)"};
	static const char *const what[] = {"ALL", "PASSWD:ALL", "NOPASSWD:ALL"};
	char text[32];
	size_t n = 0;

	for (; *rule && n < sizeof(text) - 1; rule++) {
		if (*rule != ' ')
			text[n++] = *rule;
	}
	text[n] = '\0';
	for (size_t i = 0; !*rule && i < ARRAY_SIZE(as); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(what); k++) {
			*nopass = k == 2;
			if (str_has_prefix(text, as[i]) &&
			    strcmp(text + strlen(as[i]), what[k]) == 0)
				return true;
		}
	}
	return false;
}

static int add_rule(struct buf *sudo, struct buf *doas, const struct user *u)
{
	bool nopass;

	if (!u->name || !u->sudo || !*u->sudo)
		return 0;
	if (buf_addf(sudo, "%s %s\n", u->name, u->sudo) < 0)
		return -ENOMEM;
	/* One that allows less must not become one that allows everything. */
	if (!is_everything(u->sudo, &nopass))
		return 0;
	return buf_addf(doas, "permit %s%s\n", nopass ? "nopass " : "", u->name);
}

/* A rule that nothing on this machine can be given is not lost in silence. */
static void tell_lost(const struct apply *a, const struct user *u)
{
	bool nopass;

	if (!u->name || !u->sudo || !*u->sudo || guest_exists(a->g, "/etc/sudoers.d"))
		return;
	if (!guest_exists(a->g, "/etc/doas.d") || !is_everything(u->sudo, &nopass))
		log_warn("this machine has nothing that takes the rule for sudo of '%s'", u->name);
}

static int put_rules(struct apply *a, const char *path, const char *folder, const struct buf *rules,
		     struct err *e)
{
	int rc;

	if (rules->len && guest_exists(a->g, folder))
		rc = guest_write_own(a->g, path, buf_str(rules), 0440, e);
	else
		rc = guest_remove_own(a->g, path, e);
	return rc < 0 ? rc : 0;
}

static int set_sudo(struct apply *a, struct err *e)
{
	AUTO_BUF sudo = BUF_INIT, doas = BUF_INIT;
	int rc = add_rule(&sudo, &doas, &a->c->default_user);

	tell_lost(a, &a->c->default_user);
	for (size_t i = 0; rc == 0 && i < a->c->n_users; i++) {
		rc = add_rule(&sudo, &doas, &a->c->users[i]);
		tell_lost(a, &a->c->users[i]);
	}
	if (rc < 0)
		return err_nomem(e);
	rc = put_rules(a, SUDOERS, "/etc/sudoers.d", &sudo, e);
	return rc < 0 ? rc : put_rules(a, DOAS, "/etc/doas.d", &doas, e);
}

/* ---- the part ------------------------------------------------------------------------------ */

static int apply_users(struct apply *a, struct err *e)
{
	int rc = set_users(a, e);

	return rc < 0 ? rc : set_sudo(a, e);
}

const struct part part_users = {"users", apply_users, NULL};
