/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest attributes, after "Manage guest attributes" of Compute Engine's documentation (2024): what
 * a guest leaves for its operator, below /computeMetadata/v1/instance/guest-attributes/.
 *
 *	GET     ""                the namespaces, "NS/" each; with ?recursive=true all, as JSON
 *	GET     NS                its keys; the same
 *	GET     NS/KEY            a value
 *	PUT     NS/KEY            sets it to the body
 *	DELETE  NS/KEY            drops it
 *
 * Only where the attribute enable-guest-attributes of the instance is TRUE, else 403. Names have
 * at most 128 letters, digits and "-_.". A value is text of at most 4096 bytes here (there
 * 256 KiB), and a guest has 64 KiB of all it says.
 *
 * Not served: ?wait_for_change.
 */
#include <stdio.h>

#include "context/answer.h"
#include "lib/json.h"
#include "lib/str.h"

#define NAME_MOST 128

static bool is_enabled(const struct context *c)
{
	const char *v = pairs_get(c->tags, c->n_tags, "enable-guest-attributes");

	return v && !strcasecmp(v, "true");
}

static bool is_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '_' || c == '.'))
			return false;
	}
	return len && len <= NAME_MOST;
}

/* "NS/KEY" */
static bool is_entry(const char *path)
{
	size_t len = strcspn(path, "/");

	return path[len] && is_name(path, len) && is_name(path + len + 1, strlen(path + len + 1));
}

/* What is said of guest attributes: "NS/KEY" in order of NS. */
struct attributes {
	const struct context_pair *v;
	size_t n;
};

static const char *name_of(const struct context_pair *p)
{
	return p->key + strlen(SAID_ATTRIBUTES);
}

static struct attributes all(const struct answer *a)
{
	struct attributes t;

	t.v = a->env->said->all(a->env->said->arg, a->in, &t.n);
	while (t.n && !str_has_prefix(t.v[0].key, SAID_ATTRIBUTES)) {
		t.v++;
		t.n--;
	}
	while (t.n && !str_has_prefix(t.v[t.n - 1].key, SAID_ATTRIBUTES))
		t.n--;
	return t;
}

/* Those of one namespace. */
static struct attributes in_namespace(struct attributes t, const char *ns)
{
	size_t len = strlen(ns);
	size_t n = 0;

	while (t.n && (strncmp(name_of(t.v), ns, len) != 0 || name_of(t.v)[len] != '/')) {
		t.v++;
		t.n--;
	}
	while (n < t.n && !strncmp(name_of(&t.v[n]), ns, len) && name_of(&t.v[n])[len] == '/')
		n++;
	t.n = n;
	return t;
}

static int list_namespaces(struct attributes t, struct buf *out)
{
	for (size_t i = 0; i < t.n; i++) {
		const char *name = name_of(&t.v[i]);
		size_t len = strcspn(name, "/") + 1;

		if ((!i || strncmp(name, name_of(&t.v[i - 1]), len) != 0) &&
		    (buf_add(out, name, len) || buf_addc(out, '\n')))
			return -ENOMEM;
	}
	return 0;
}

static int list_keys(struct attributes t, struct buf *out)
{
	for (size_t i = 0; i < t.n; i++)
		if (buf_addf(out, "%s\n", strchr(name_of(&t.v[i]), '/') + 1))
			return -ENOMEM;
	return 0;
}

/* depth 2: {NS: {KEY: value}}; 1: {KEY: value} of one namespace */
static int as_json(struct attributes t, unsigned depth, struct buf *out)
{
	char ns[NAME_MOST + 1] = "";
	struct jsonw w;

	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	for (size_t i = 0; i < t.n; i++) {
		const char *name = name_of(&t.v[i]);
		size_t len = strcspn(name, "/");

		if (depth == 2 && (strlen(ns) != len || strncmp(name, ns, len) != 0)) {
			if (*ns)
				jsonw_close(&w);
			snprintf(ns, sizeof(ns), "%.*s", (int)len, name);
			jsonw_object(&w, ns);
		}
		jsonw_string(&w, name + len + 1, t.v[i].value);
	}
	if (*ns)
		jsonw_close(&w);
	jsonw_close(&w);
	return jsonw_end(&w, NULL);
}

static int show_folder(struct answer *a, struct attributes t, unsigned depth)
{
	AUTO_BUF out = BUF_INIT;
	char text[8];
	bool json = answer_query(a, "recursive", text, sizeof(text)) && !strcasecmp(text, "true");
	int rc = json         ? as_json(t, depth, &out)
		 : depth == 2 ? list_namespaces(t, &out)
			      : list_keys(t, &out);

	if (rc)
		return err_nomem(a->e);
	return answer_bytes(a, json ? "application/json" : "application/text", buf_str(&out),
			    out.len);
}

static int show(struct answer *a, const char *path)
{
	struct attributes t = all(a);
	const char *value;

	if (!*path)
		return show_folder(a, t, 2);
	if (!strchr(path, '/')) {
		t = in_namespace(t, path);
		return t.n ? show_folder(a, t, 1) : answer_refuse(a, 404, NULL);
	}
	for (size_t i = 0; i < t.n; i++) {
		value = t.v[i].value;
		if (!strcmp(name_of(&t.v[i]), path))
			return answer_bytes(a, "application/text", value, strlen(value));
	}
	return answer_refuse(a, 404, NULL);
}

int answer_gce_guest(struct answer *a, const char *path)
{
	bool put = http_slice_is(a->rq->method, "PUT");
	bool drop = http_slice_is(a->rq->method, "DELETE");
	AUTO_FREE char *key = NULL;

	if (!is_enabled(a->in->context))
		return answer_refuse(a, 403, "enable-guest-attributes is not TRUE");
	if (answer_is_get(a))
		return show(a, path);
	if (!put && !drop)
		return answer_refuse_method(a, "GET, HEAD, PUT, DELETE");
	if (!is_entry(path))
		return answer_refuse(a, 400, "a guest attribute is NAMESPACE/KEY");
	key = str_format(SAID_ATTRIBUTES "%s", path);
	if (!key)
		return err_nomem(a->e);
	if (drop)
		return answer_said(a, key) ? answer_say(a, key, NULL, 0)
					   : answer_refuse(a, 404, NULL);
	return answer_say(a, key, a->env->body.len ? a->env->body.p : "", a->env->body.len);
}
