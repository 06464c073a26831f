/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSH keys: a block in an account's authorized_keys that always holds the context's keys and no
 * others of ctxd's, so that a key taken out of the context is taken away here too, and with an
 * account all of its keys.
 *
 * Whose the context's own keys become: those of its default user if it names one; else root's. But
 * where cloud-init runs and none is named they are left to it: it gives them to the image's own
 * default account, and has its own rule for root.
 *
 * And whether sshd takes passwords, where the context says so: a block at the beginning of
 * sshd_config, where the first value of a keyword is the one that counts.
 */
#include "ctxd/apply.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "ctxd/account.h"
#include "lib/log.h"
#include "lib/str.h"

#define SSHD_CONFIG "/etc/ssh/sshd_config"
#define KEYS_FILE "/.ssh/authorized_keys"

/* ---- one account's file ---------------------------------------------------------------- */

struct keys {
	struct apply *a;
	const char *home;
	const struct strlist *keys; /* NULL: none */
};

static int keys_text(const struct strlist *keys, struct buf *text, struct err *e)
{
	for (size_t i = 0; keys && i < keys->n; i++) {
		if (buf_addf(text, "%s\n", keys->v[i]) < 0)
			return err_nomem(e);
	}
	return 0;
}

/*
 * sshd refuses keys in a folder that others may write, and makes none itself. The folder is the
 * account's: we are the account here, and a link in its place is not followed.
 */
static int make_ssh_dir(struct apply *a, const char *dir, struct err *e)
{
	AUTO_FREE char *full = guest_path(a->g, dir);
	struct stat st;

	if (!full)
		return err_nomem(e);
	if (a->g->dry_run)
		return 0;
	if (mkdir(full, 0700) < 0 && errno != EEXIST)
		return err_errno(e, errno, "making '%s'", full);
	if (lstat(full, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "'%s' is no folder", full);
	if ((st.st_mode & 022) && chmod(full, 0700) < 0)
		return err_errno(e, errno, "'%s'", full);
	return 0;
}

/* As the account. */
static int write_keys(void *arg, struct err *e)
{
	struct keys *k = arg;
	AUTO_FREE char *dir = str_format("%s/.ssh", k->home);
	AUTO_FREE char *file = str_format("%s" KEYS_FILE, k->home);
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!dir || !file)
		return err_nomem(e);
	if ((!k->keys || !k->keys->n) && !guest_exists(k->a->g, file))
		return 0;
	rc = keys_text(k->keys, &text, e);
	if (rc == 0)
		rc = make_ssh_dir(k->a, dir, e);
	if (rc == 0)
		rc = guest_write_block(k->a->g, file, buf_str(&text), 0600, false, e);
	return rc < 0 ? rc : 0;
}

/* ---- all of them ----------------------------------------------------------------------- */

static int set_keys(struct apply *a, const char *name, const struct strlist *list,
		    struct strlist *done, struct err *e)
{
	AUTO(account_release) struct account account = {0};
	struct keys k = {.a = a, .keys = list};
	AUTO_FREE char *file = NULL;
	int rc = account_find(a->g, name, &account, e);

	if (rc == 0 && a->g->dry_run)
		return 0; /* it would have been made before */
	if (rc == 0)
		return err_set(e, ENOENT, "there is no account '%s'", name);
	if (rc < 0)
		return rc;
	if (!guest_exists(a->g, account.home))
		return err_set(e, ENOENT, "account '%s' has no home '%s'", name, account.home);
	file = str_format("%s" KEYS_FILE, account.home);
	if (!file || strlist_add(done, file) < 0)
		return err_nomem(e);
	k.home = account.home;
	return account_as(&account, write_keys, &k, e);
}

/* Files that had keys of ctxd's on an earlier run, and have none now. */
static int forget_others(struct apply *a, const struct strlist *done, struct err *e)
{
	AUTO(strlist_release) struct strlist blocks = {0};
	int rc = guest_list(a->g, "block", &blocks, e);

	for (size_t i = 0; rc >= 0 && i < blocks.n; i++) {
		AUTO(account_release) struct account account = {0};
		struct keys k = {.a = a};
		bool current = !str_has_suffix(blocks.v[i], KEYS_FILE);

		for (size_t j = 0; j < done->n; j++)
			current |= strcmp(done->v[j], blocks.v[i]) == 0;
		if (current)
			continue;
		rc = account_at(a->g, blocks.v[i], &account, e);
		if (rc <= 0)
			continue;
		k.home = account.home;
		rc = account_as(&account, write_keys, &k, e);
	}
	return rc < 0 ? rc : 0;
}

static int set_default_keys(struct apply *a, struct strlist *done, struct err *e)
{
	const char *name = a->c->default_user.name;

	if (!name)
		name = context_extra(a->c, "USERNAME");
	if (!name && a->has_cloud_init) {
		if (a->c->ssh_keys.n)
			log_info("%zu SSH key(s) are left to cloud-init", a->c->ssh_keys.n);
		return 0;
	}
	return set_keys(a, name ? name : "root", &a->c->ssh_keys, done, e);
}

/* ---- sshd ------------------------------------------------------------------------------ */

static int set_password_login(struct apply *a, struct err *e)
{
	const char *text = "";
	int rc;

	if (!guest_exists(a->g, SSHD_CONFIG))
		return 0;
	if (a->c->ssh_password_login == CHOICE_YES)
		text = "PasswordAuthentication yes\n";
	else if (a->c->ssh_password_login == CHOICE_NO)
		text = "PasswordAuthentication no\n";
	rc = guest_write_block(a->g, SSHD_CONFIG, text, 0600, true, e);
	return rc < 0 ? rc : 0;
}

static int apply_ssh(struct apply *a, struct err *e)
{
	AUTO(strlist_release) struct strlist done = {0};
	struct err first;
	int rc = set_default_keys(a, &done, &first), rc2 = 0;

	for (size_t i = 0; rc2 == 0 && i < a->c->n_users; i++) {
		if (a->c->users[i].ssh_keys.n)
			rc2 = set_keys(a, a->c->users[i].name, &a->c->users[i].ssh_keys, &done, e);
	}
	if (rc2 == 0)
		rc2 = forget_others(a, &done, e);
	if (rc2 == 0)
		rc2 = set_password_login(a, e);
	if (rc < 0)
		*e = first;
	return rc < 0 ? rc : rc2;
}

const struct part part_ssh = {"SSH keys", apply_ssh, NULL};
