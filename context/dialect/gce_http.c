/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Google Compute Engine's metadata by HTTP, after "View and query VM metadata" of Compute Engine's
 * documentation (2024):
 *
 *	Metadata-Flavor: Google     must be asked with (403) and is in every answer
 *	X-Forwarded-For             must not be there (403)
 *	/computeMetadata/v1/PATH    words of a path are joined by '-': network-interfaces/0/mac
 *	?recursive=true             all below, as JSON
 *	?alt=json, ?alt=text        the form
 *	ETag                        of what was answered
 *	?wait_for_change=true&last_etag=E[&timeout_sec=N]
 *	                            no answer before the ETag is another one, at most N seconds (60)
 *
 * Guest attributes, which a guest writes, are in context/dialect/gce_guest.c. Not served: tokens of
 * service accounts.
 */
#include <stdio.h>

#include "context/answer.h"
#include "context/dialect/gce.h"
#include "lib/json.h"
#include "lib/str.h"

#define WAIT_MAX_S 60

/* "network-interfaces" to "networkInterfaces". */
static void to_camel(const char *s, size_t len, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++) {
		bool upper = s[i] == '-' && i + 1 < len && s[i + 1] >= 'a' && s[i + 1] <= 'z';

		out[n++] = upper ? (char)(s[++i] - 'a' + 'A') : s[i];
	}
	out[n] = '\0';
}

static int add_kebab(struct buf *out, const char *s)
{
	int rc = 0;

	for (; *s && !rc; s++) {
		if (*s >= 'A' && *s <= 'Z')
			rc = buf_addf(out, "-%c", *s - 'A' + 'a');
		else
			rc = buf_addc(out, *s);
	}
	return rc;
}

static bool is_attributes(const struct value *v)
{
	return v->key && !strcmp(v->key, "attributes");
}

static const struct value *child(const struct value *v, const char *name, size_t len)
{
	char text[256], camel[256];
	const struct value *found;
	uint64_t n;

	if (len >= sizeof(text))
		return NULL;
	memcpy(text, name, len);
	text[len] = '\0';
	if (v->kind == VALUE_LIST)
		return str_to_u64(text, 0, 10000, &n, NULL) ? NULL : value_at(v, n);
	found = value_get(v, text);
	if (found || is_attributes(v))
		return found;
	to_camel(name, len, camel, sizeof(camel));
	return value_get(v, camel);
}

static const struct value *find(const struct value *v, const char *path)
{
	while (v && *path) {
		size_t len = strcspn(path, "/");

		v = child(v, path, len);
		path += len + (path[len] == '/');
	}
	return v;
}

static bool is_folder(const struct value *v)
{
	return v->kind == VALUE_MAP ||
	       (v->kind == VALUE_LIST && (!v->n_items || v->items[0]->kind == VALUE_MAP));
}

/* ---- forms ----------------------------------------------------------------------------------- */

static void put_json(struct jsonw *w, const char *key, const struct value *v)
{
	switch (v->kind) {
	case VALUE_MAP:
		jsonw_object(w, key);
		break;
	case VALUE_LIST:
		jsonw_array(w, key);
		break;
	case VALUE_STRING:
		jsonw_string_n(w, key, v->text, v->text_len);
		return;
	case VALUE_INT:
		jsonw_i64(w, key, v->integer);
		return;
	default:
		jsonw_null(w, key);
		return;
	}
	value_foreach (item, v) {
		put_json(w, v->kind == VALUE_MAP ? item->key : NULL, item);
	}
	jsonw_close(w);
}

static int as_json(const struct value *v, struct buf *out)
{
	struct jsonw w;

	jsonw_begin(&w, out, false);
	put_json(&w, NULL, v);
	return jsonw_end(&w, NULL);
}

/* A child's name: as it is below attributes, a number in a list, else words joined by '-'. */
static int add_name(struct buf *out, const struct value *v, const struct value *item, size_t i)
{
	if (v->kind == VALUE_LIST)
		return buf_addf(out, "%zu", i);
	return is_attributes(v) ? buf_adds(out, item->key) : add_kebab(out, item->key);
}

static int as_listing(const struct value *v, struct buf *out)
{
	size_t i = 0;

	value_foreach (item, v) {
		if (add_name(out, v, item, i++) || (is_folder(item) && buf_addc(out, '/')) ||
		    buf_addc(out, '\n'))
			return -ENOMEM;
	}
	return 0;
}

/* A leaf: a text, or texts one a line; tags are JSON there, too. */
static int as_text(const struct value *v, struct buf *out)
{
	if (v->kind != VALUE_LIST)
		return v->text ? buf_add(out, v->text, v->text_len) : 0;
	if (v->key && !strcmp(v->key, "tags"))
		return as_json(v, out);
	value_foreach (item, v) {
		if (as_text(item, out) || buf_addc(out, '\n'))
			return -ENOMEM;
	}
	return 0;
}

/* All leaves below, "path value" each. */
static int as_lines(const struct value *v, struct buf *path, struct buf *out)
{
	size_t len = path->len, i = 0;

	if (!is_folder(v))
		return buf_addf(out, "%s ", buf_str(path)) || as_text(v, out) || buf_addc(out, '\n')
			       ? -ENOMEM
			       : 0;
	value_foreach (item, v) {
		if ((len && buf_addc(path, '/')) || add_name(path, v, item, i++) ||
		    as_lines(item, path, out))
			return -ENOMEM;
		path->len = len;
		path->data[len] = '\0';
	}
	return 0;
}

/* ---- answering ------------------------------------------------------------------------------- */

static bool says(const struct answer *a, const char *name, const char *value)
{
	char text[64];

	return answer_query(a, name, text, sizeof(text)) && !strcasecmp(text, value);
}

static int render(const struct answer *a, const struct value *v, const char **type, struct buf *out)
{
	AUTO_BUF path = BUF_INIT;
	bool all = says(a, "recursive", "true") && is_folder(v);
	bool json = says(a, "alt", "json") || (all && !says(a, "alt", "text"));

	*type = json ? "application/json" : "application/text";
	if (json)
		return as_json(v, out);
	if (all)
		return as_lines(v, &path, out);
	return is_folder(v) ? as_listing(v, out) : as_text(v, out);
}

/* FNV-1a, 64 bits. */
static void make_etag(const struct buf *b, char out[17])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < b->len; i++)
		h = (h ^ (unsigned char)b->data[i]) * UINT64_C(0x100000001b3);
	snprintf(out, 17, "%016llx", (unsigned long long)h);
}

/* Is the client to wait, since it knows this already? */
static bool has_to_wait(struct answer *a, const char *etag)
{
	char last[64], seconds[16];
	uint64_t n = WAIT_MAX_S;

	if (!says(a, "wait_for_change", "true") || a->env->timed_out ||
	    !answer_query(a, "last_etag", last, sizeof(last)) || strcmp(last, etag) != 0)
		return false;
	if (answer_query(a, "timeout_sec", seconds, sizeof(seconds)) &&
	    str_to_u64(seconds, 0, UINT32_MAX, &n, NULL))
		n = WAIT_MAX_S;
	if (!n)
		return false;
	a->res->wait_ms = (unsigned)MIN(n, (uint64_t)WAIT_MAX_S) * 1000;
	a->res->wait_key = IMDS_CHANGED;
	return true;
}

static int serve(struct answer *a, const char *path)
{
	AUTO(value_free) struct value *doc = NULL;
	AUTO_BUF json = BUF_INIT, body = BUF_INIT;
	const struct value *v;
	const char *type;
	char etag[17];
	int rc = gce_write_json(a->in->context, &json, a->e);

	rc = rc ? rc : json_parse("metadata", json.data, json.len, NULL, &doc, a->e);
	if (rc)
		return rc;
	v = find(doc, path);
	if (!v)
		return answer_refuse(a, 404, NULL);
	if (render(a, v, &type, &body))
		return err_nomem(a->e);
	make_etag(&body, etag);
	if (has_to_wait(a, etag))
		return 0;
	rc = answer_bytes(a, type, buf_str(&body), body.len);
	return rc ? rc : answer_header(a, "ETag", etag);
}

#define GUEST "instance/guest-attributes"

/* Is path, behind "v1/", the guest attributes or one of them? Then what is behind that. */
static const char *guest_part(const struct answer *a, const char *path)
{
	if (!a->env->said || !str_has_prefix(path, GUEST) ||
	    (path[strlen(GUEST)] && path[strlen(GUEST)] != '/'))
		return NULL;
	return path + strlen(GUEST) + (path[strlen(GUEST)] == '/');
}

static int answer(struct answer *a, const char *path)
{
	const char *rest = str_has_prefix(path, "v1/") ? path + 3 : "";
	const char *guest = guest_part(a, rest);
	size_t n;
	const struct http_field *flavor = http_field_find(a->rq, "Metadata-Flavor", &n);

	if (!a->env->trusted && http_field_find(a->rq, "X-Forwarded-For", NULL))
		return answer_refuse(a, 403, "asked through a proxy (X-Forwarded-For)");
	if (!a->env->trusted && (n != 1 || !http_slice_is(flavor->value, "Google")))
		return answer_refuse(a, 403, "asked without Metadata-Flavor: Google");
	if (guest)
		return answer_gce_guest(a, guest);
	if (!answer_is_get(a))
		return answer_refuse_method(a, "GET, HEAD");
	if (!*path)
		return answer_bytes(a, "application/text", "v1/\n", 4);
	if (strncmp(path, "v1", 2) != 0 || (path[2] && path[2] != '/'))
		return answer_refuse(a, 404, NULL);
	return serve(a, rest);
}

int answer_gce(struct answer *a, const char *path)
{
	int rc = answer(a, path);

	return rc || a->res->wait_ms ? rc : answer_header(a, "Metadata-Flavor", "Google");
}
