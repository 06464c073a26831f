/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenStack's metadata by HTTP, as nova serves them:
 *
 *	/openstack                        the versions, one a line
 *	/openstack/VERSION/               the documents of that version, one a line
 *	/openstack/VERSION/meta_data.json and so on: context/dialect/openstack.c
 *	/openstack/content/NNNN           the files that meta_data.json names
 *	/openstack/VERSION/password       that the guest made, empty before. POST sets it: text of
 *	                                  at most 1020 bytes (400), once (409)
 *
 * No tokens are asked for: its guests have none. The administrator's password is on config drives
 * alone. The one that a guest posts is encrypted by the administrator's SSH key, and is forgotten
 * by the administrator's command, as nova's is.
 */
#include <stdio.h>

#include "context/answer.h"
#include "context/dialect/openstack.h"
#include "lib/str.h"

#define PASSWORD "/password"
#define PASSWORD_SINCE 20130404u
#define PASSWORD_MOST 1020 /* nova has four columns of 255 */

static const char *const versions[] = {
	"2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06",
	"2017-02-22", "2018-08-27", "2020-10-14", "2025-04-04", "latest",
};

/* 20131017 of "2013-10-17"; false if there is no such version. */
static bool version_of(const char *path, size_t len, unsigned *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		if (strlen(versions[i]) != len || strncmp(path, versions[i], len) != 0)
			continue;
		*ret = 0;
		for (const char *p = versions[i]; *p; p++)
			*ret = *p >= '0' && *p <= '9' ? *ret * 10 + (unsigned)(*p - '0') : *ret;
		if (!*ret)
			*ret = TREE_DATE; /* latest */
		return true;
	}
	return false;
}

static int list_versions(struct answer *a)
{
	AUTO_BUF out = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (buf_addf(&out, "%s%s", i ? "\n" : "", versions[i]))
			return err_nomem(a->e);
	return answer_bytes(a, "text/plain; charset=UTF-8", out.data, out.len);
}

static int look_up(struct answer *a, const struct tree *docs, unsigned version, const char *path)
{
	struct http_slice leaf = {0};
	int kind = tree_lookup(docs, version, path, &leaf, &a->res->body);

	if (kind < 0)
		return err_nomem(a->e);
	if (kind == TREE_LEAF)
		return answer_bytes(a,
				    str_has_suffix(path, ".json") ? "application/json"
								  : "application/octet-stream",
				    leaf.p, leaf.len);
	if (kind != TREE_DIRECTORY)
		return answer_refuse(a, 404, NULL);
	return answer_bytes(a, "text/plain; charset=UTF-8", "", 0);
}

static int serve(struct answer *a, const char *path)
{
	AUTO(tree_free) struct tree *docs = NULL;
	AUTO_FREE char *where = NULL;
	size_t len = strcspn(path, "/");
	const char *password = answer_said(a, SAID_PASSWORD);
	unsigned version = TREE_DATE;
	int rc;

	if (!strncmp(path, "content/", 8))
		where = str_format("openstack/%s", path);
	else if (version_of(path, len, &version))
		where = str_format("openstack/latest%s", path + len);
	else
		return answer_refuse(a, 404, NULL);
	if (!where)
		return err_nomem(a->e);
	rc = tree_new(&docs, a->e);
	rc = rc ? rc : openstack_write_docs(a->in->context, docs, false, a->e);
	rc = rc ? rc
		: tree_adds(docs, PASSWORD_SINCE, "openstack/latest" PASSWORD,
			    password ? password : "", a->e);
	rc = rc ? rc : tree_seal(docs, a->e);
	if (rc == -EINVAL) /* what cannot be said in this form is not there */
		return answer_refuse(a, 404, "OpenStack's form has no room for it");
	return rc ? rc : look_up(a, docs, version, where);
}

static bool is_password(const char *path)
{
	size_t len = strcspn(path, "/");
	unsigned version;

	return !strcmp(path + len, PASSWORD) && version_of(path, len, &version) &&
	       version >= PASSWORD_SINCE;
}

/* A guest that has one keeps it: who comes later cannot take its place. */
static int set_password(struct answer *a)
{
	/* a page that a browser of the guest looks at could send it, too */
	if (http_field_find(a->rq, "Origin", NULL))
		return answer_refuse(a, 403, "a password that a page sends (Origin)");
	if (answer_said(a, SAID_PASSWORD))
		return answer_refuse(a, 409, "there is a password already");
	if (!a->env->body.len || a->env->body.len > PASSWORD_MOST)
		return answer_refuse(a, 400, "a password has 1 to 1020 bytes");
	return answer_say(a, SAID_PASSWORD, a->env->body.p, a->env->body.len);
}

int answer_openstack(struct answer *a, const char *path)
{
	bool password = a->env->said && is_password(path);

	if (password && http_slice_is(a->rq->method, "POST"))
		return set_password(a);
	if (!answer_is_get(a))
		return answer_refuse_method(a, password ? "GET, HEAD, POST" : "GET, HEAD");
	return *path ? serve(a, path) : list_versions(a);
}
