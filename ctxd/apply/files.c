/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that the context brings. Each is written once for each content: what a person makes of it
 * later stays until the context itself changes. What was there before is kept. A path that is named
 * several times, as by lines that are appended one after the other, is one file, and has one digest.
 */
#include "ctxd/account.h"
#include "ctxd/applied.h"
#include "ctxd/apply.h"
#include "lib/log.h"
#include "lib/str.h"

#define KEY_MAX 4352
#define MODE_DEFAULT 0644

/* The next file of that path from *i on; NULL: there is none. *i moves behind it. */
static const struct context_file *next_of(const struct apply *a, const char *path, size_t *i)
{
	while (*i < a->c->n_files) {
		const struct context_file *f = &a->c->files[(*i)++];

		if (f->path && strcmp(f->path, path) == 0)
			return f;
	}
	return NULL;
}

static void digest(const struct apply *a, const char *path, char out[17])
{
	struct applied_digest d = APPLIED_DIGEST_INIT;
	const struct context_file *f;
	size_t i = 0;

	applied_adds(&d, a->c->instance_id);
	while ((f = next_of(a, path, &i))) {
		uint32_t more[2] = {f->mode, f->append};

		applied_adds(&d, f->owner);
		applied_add(&d, more, sizeof(more));
		applied_add(&d, f->content.data, f->content.len);
	}
	applied_text(&d, out);
}

/* "user:group", "user"; a number stands for itself. */
static int find_owner(struct apply *a, const char *owner, struct guest_attr *ret, struct err *e)
{
	AUTO(account_release) struct account user = {0};
	AUTO_FREE char *name = strdup(owner);
	char *colon = name ? strchr(name, ':') : NULL;
	int rc;

	if (!name)
		return err_nomem(e);
	if (colon)
		*colon = '\0';
	rc = account_find(a->g, name, &user, e);
	if (rc == 0)
		return err_set(e, ENOENT, "there is no account '%s'", name);
	ret->owned = true;
	ret->uid = user.uid;
	ret->gid = user.gid;
	if (rc > 0 && colon && colon[1])
		rc = account_group(a->g, colon + 1, &ret->gid, e);
	if (rc == 0)
		return err_set(e, ENOENT, "there is no group '%s'", colon + 1);
	return rc < 0 ? rc : 0;
}

static int put_file(struct apply *a, const struct context_file *f, struct err *e)
{
	struct guest_attr attr = {.mode = f->mode};
	AUTO_BUF content = BUF_INIT;
	int rc = 0;

	if (f->append == CHOICE_YES)
		rc = guest_read(a->g, f->path, &content, e);
	if (rc >= 0 && f->owner && !a->g->dry_run)
		rc = find_owner(a, f->owner, &attr, e);
	if (rc < 0)
		return rc;
	if (f->content.len && buf_add(&content, f->content.data, f->content.len) < 0)
		return err_nomem(e);
	rc = guest_write_as(a->g, f->path, buf_str(&content), content.len, MODE_DEFAULT, &attr, e);
	return rc < 0 ? rc : 0;
}

static int put_once(struct apply *a, const char *path, struct err *e)
{
	char key[KEY_MAX], applied[APPLIED_VALUE_MAX], now[17];
	const struct context_file *f;
	size_t i = 0;
	int rc;

	if (strlen(path) + 8 > sizeof(key))
		return err_set(e, ENAMETOOLONG, "the path of a file is too long");
	memcpy(key, "file ", 5);
	memcpy(key + 5, path, strlen(path) + 1);
	digest(a, path, now);
	rc = applied_get(a->g, key, applied, e);
	if (rc < 0 || strcmp(applied, now) == 0)
		return rc;
	while (rc == 0 && (f = next_of(a, path, &i)))
		rc = put_file(a, f, e);
	return rc < 0 ? err_wrap(e, "'%s'", path) : applied_set(a->g, key, now, e);
}

/* One that fails does not keep the others away. */
static int apply_files(struct apply *a, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < a->c->n_files; i++) {
		const char *path = a->c->files[i].path;
		struct err mine;
		size_t first = 0;

		/* The first of a path is there for all of them. */
		if (!path || next_of(a, path, &first) != &a->c->files[i] ||
		    put_once(a, path, &mine) == 0)
			continue;
		if (rc == 0)
			*e = mine;
		else
			log_err("%s", mine.msg);
		rc = -e->code;
	}
	return rc;
}

const struct part part_files = {"files", apply_files, NULL};
