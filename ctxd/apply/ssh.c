/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSH keys: a block in an account's authorized_keys that always holds the context's keys and no
 * others of ctxd's, so that a key taken out of the context is taken away here too.
 *
 * Whose keys they become: USERNAME's if the context names an account that exists; else root's. But
 * where cloud-init runs and no USERNAME is given they are left to it: it gives them to the image's
 * own default account, and has its own rule for root.
 */
#include "ctxd/apply.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "ctxd/account.h"
#include "lib/log.h"
#include "lib/str.h"

static void release_account(struct account *account)
{
	free(account->home);
}
DEFINE_AUTO_STRUCT(struct account, release_account);

static int keys_text(const struct context *c, struct buf *text, struct err *e)
{
	for (size_t i = 0; i < c->ssh_keys.n; i++) {
		if (buf_addf(text, "%s\n", c->ssh_keys.v[i]) < 0)
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

static int write_keys(struct apply *a, const struct account *account, struct err *e)
{
	AUTO_FREE char *dir = str_format("%s/.ssh", account->home);
	AUTO_FREE char *file = str_format("%s/.ssh/authorized_keys", account->home);
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!dir || !file)
		return err_nomem(e);
	if (!a->c->ssh_keys.n && !guest_exists(a->g, file))
		return 0;
	rc = keys_text(a->c, &text, e);
	if (rc == 0)
		rc = make_ssh_dir(a, dir, e);
	return rc < 0 ? rc : guest_write_block(a->g, file, buf_str(&text), 0600, false, e);
}

/* As the account itself, so that nothing it prepared in its home leads us where it may not go. */
static int as_account(struct apply *a, const struct account *account, struct err *e)
{
	bool change = geteuid() == 0 && account->uid != 0;
	int rc;

	if (change && (setegid(account->gid) < 0 || seteuid(account->uid) < 0)) {
		rc = err_errno(e, errno, "becoming user %u", (unsigned)account->uid);
		if (setegid(0) < 0)
			abort();
		return rc;
	}
	rc = write_keys(a, account, e);
	if (change && (seteuid(0) < 0 || setegid(0) < 0))
		abort(); /* nothing may go on as somebody else */
	return rc;
}

static int apply_ssh(struct apply *a, struct err *e)
{
	AUTO(release_account) struct account account = {0};
	const char *given = context_extra(a->c, "USERNAME");
	const char *name = a->c->default_user.name ? a->c->default_user.name : given;
	int rc;

	if (name && !*name)
		name = NULL;
	if (!name && a->has_cloud_init) {
		if (a->c->ssh_keys.n)
			log_info("%zu SSH key(s) are left to cloud-init", a->c->ssh_keys.n);
		return 0;
	}
	if (!name)
		name = "root";
	rc = account_find(a->g, name, &account, e);
	if (rc == 0)
		return err_set(e, ENOENT, "there is no account '%s'", name);
	if (rc < 0)
		return rc;
	if (!guest_exists(a->g, account.home))
		return err_set(e, ENOENT, "account '%s' has no home '%s'", name, account.home);
	rc = as_account(a, &account, e);
	return rc < 0 ? rc : 0;
}

const struct part part_ssh = {"SSH keys", apply_ssh, NULL};
