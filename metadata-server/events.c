/* SPDX-License-Identifier: Apache-2.0 */
/* Notices that are set while the server runs: see metadata-server/events.h. */
#include "metadata-server/events.h"

#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"

/* What is kept: the texts, and around each of them a name, an id and punctuation. */
#define MAX_FILE (EVENTS_MAX_ALL + EVENTS_MAX * 512)
static const struct value_limits file_limits = {
	.bytes = MAX_FILE, .depth = 12, .nodes = MAX_FILE / 4};

struct events_of {
	struct kept is;
	char *json; /* an object of the keys in kinds */
};

static const char *const kinds[] = {"maintenance", "rebalance-time", "spot",
				    "target-lifecycle-state"};

static bool is_kind(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(key, kinds[i]))
			return true;
	return false;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void copy_value(struct jsonw *w, const char *key, const struct value *v)
{
	switch (v->kind) {
	case VALUE_NULL:
		jsonw_null(w, key);
		return;
	case VALUE_BOOL:
		jsonw_bool(w, key, v->boolean);
		return;
	case VALUE_INT:
		jsonw_i64(w, key, v->integer);
		return;
	case VALUE_REAL: /* the model has none: as text it is refused, with its place */
	case VALUE_STRING:
		jsonw_string_n(w, key, v->text, v->text_len);
		return;
	case VALUE_LIST:
		jsonw_array(w, key);
		break;
	case VALUE_MAP:
		jsonw_object(w, key);
		break;
	}
	value_foreach (item, v)
		copy_value(w, item->key, item);
	jsonw_close(w);
}

static bool same_text(const struct value *a, const struct value *b)
{
	return a && b && a->text && b->text && a->text_len == b->text_len &&
	       !memcmp(a->text, b->text, a->text_len);
}

static const struct value *with_id(const struct value *list, const struct value *id)
{
	value_foreach (item, list)
		if (same_text(value_get(item, "id"), id))
			return item;
	return NULL;
}

/* The entries of before that are not in now, and those of now. */
static void merge_lists(struct jsonw *w, const char *key, const struct value *before,
			const struct value *now)
{
	jsonw_array(w, key);
	value_foreach (item, before)
		if (!with_id(now, value_get(item, "id")))
			copy_value(w, NULL, item);
	value_foreach (item, now)
		copy_value(w, NULL, item);
	jsonw_close(w);
}

/* before (may be NULL) with what now has; a null in now drops. lists: maintenance is merged. */
static int merge(const struct value *before, const struct value *now, bool lists, struct buf *out,
		 struct err *e)
{
	struct jsonw w;

	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	value_foreach (item, before)
		if (!value_get(now, item->key))
			copy_value(&w, item->key, item);
	value_foreach (item, now) {
		const struct value *old = value_get(before, item->key);

		if (item->kind == VALUE_NULL)
			continue;
		if (lists && item->kind == VALUE_LIST && old && old->kind == VALUE_LIST)
			merge_lists(&w, item->key, old, item);
		else
			copy_value(&w, item->key, item);
	}
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void of_free(struct events_of *of)
{
	kept_release(&of->is);
	free(of->json);
	free(of);
}
DEFINE_AUTO(struct events_of *, of_free);

void events_release(struct events *ev)
{
	for (size_t i = 0; i < ev->table.n; i++)
		of_free((struct events_of *)ev->table.v[i]);
	free(ev->table.v);
	free(ev->file);
	*ev = (struct events){0};
}

/* Takes json. */
static int of_new(const char *name, const char *instance_id, struct buf *json,
		  struct events_of **ret, struct err *e)
{
	AUTO(of_free) struct events_of *of = calloc(1, sizeof(*of));

	if (!of || kept_init(&of->is, name, instance_id, e))
		return err_nomem(e);
	of->json = buf_detach(json);
	if (!of->json)
		return err_nomem(e);
	*ret = STEAL(of);
	return 0;
}

static const struct events_of *find(const struct events *ev, const struct instance *in)
{
	return (const struct events_of *)kept_find(&ev->table, in);
}

static void drop(struct events *ev, const char *name)
{
	struct events_of *of = (struct events_of *)kept_take(&ev->table, name);

	if (!of)
		return;
	ev->bytes -= strlen(of->json);
	of_free(of);
}

/* Puts it in, in the place of one of that name. */
static int put(struct events *ev, struct events_of **of, struct err *e)
{
	struct kept *before;
	int rc = kept_put(&ev->table, &(*of)->is, &before, e);

	if (rc)
		return rc;
	ev->bytes += strlen((*of)->json);
	*of = NULL;
	if (before) {
		ev->bytes -= strlen(((struct events_of *)before)->json);
		of_free((struct events_of *)before);
	}
	return 0;
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static void keep_one(struct jsonw *w, const struct events_of *of)
{
	AUTO(value_free) struct value *set = NULL;
	struct err e = {0};

	if (json_parse("events", of->json, strlen(of->json), NULL, &set, &e)) {
		w->rc = -ENOMEM; /* it was written by us */
		return;
	}
	jsonw_object(w, of->is.name);
	jsonw_string(w, "instance-id", of->is.instance_id);
	copy_value(w, "events", set);
	jsonw_close(w);
}

/* All, with `changed` (NULL: nothing) for the one of that name; name NULL: all as they are. */
static int keep(const struct events *ev, const char *name, const struct events_of *changed,
		struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	if (!ev->file)
		return 0;
	jsonw_begin(&w, &out, false);
	jsonw_object(&w, NULL);
	for (size_t i = 0; i < ev->table.n; i++)
		if (!name || strcmp(ev->table.v[i]->name, name) != 0)
			keep_one(&w, (const struct events_of *)ev->table.v[i]);
	if (changed)
		keep_one(&w, changed);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc ? rc : fs_write_file(ev->file, out.data, out.len, 0600, e);
}

static int take(struct events *ev, const struct value *v, struct err *e)
{
	AUTO(of_free) struct events_of *of = NULL;
	const struct value *set = value_get(v, "events");
	const struct value *id = value_get(v, "instance-id");
	AUTO_BUF json = BUF_INIT;
	int rc;

	if (!name_is_plain(v->key) || !set || set->kind != VALUE_MAP || !id || !id->text ||
	    context_check_instance_id(id->text, NULL))
		return value_err(v, e, EBADMSG, "is not what was kept of an instance");
	value_foreach (item, set)
		if (!is_kind(item->key))
			return value_err(item, e, EBADMSG, "is no kind of event");
	rc = merge(NULL, set, false, &json, e);
	rc = rc ? rc : of_new(v->key, id->text, &json, &of, e);
	return rc ? rc : put(ev, &of, e);
}

int events_open(struct events *ev, const char *folder, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF text = BUF_INIT;
	struct stat st;
	int rc;

	*ev = (struct events){0};
	if (!folder)
		return 0;
	if (stat(folder, &st))
		return err_errno(e, errno, "folder '%s'", folder);
	ev->file = path_join(folder, "events.json");
	if (!ev->file)
		return err_nomem(e);
	if (access(ev->file, F_OK) && errno == ENOENT)
		return 0;
	rc = fs_read_file(ev->file, MAX_FILE, &text, e);
	rc = rc ? rc : json_parse(ev->file, buf_str(&text), text.len, &file_limits, &root, e);
	rc = rc ? rc : value_expect(root, VALUE_MAP, e);
	value_foreach (item, root)
		if (!rc)
			rc = take(ev, item, e);
	if (rc)
		events_release(ev);
	return rc;
}

/* ---- face ------------------------------------------------------------------------------------ */

const char *events_get(const struct events *ev, const struct instance *in)
{
	const struct events_of *of = find(ev, in);

	return of ? of->json : NULL;
}

/* A copy of in with the members of set. name: of what the faults are in. */
static int with(const struct instance *in, const struct value *set, const char *name,
		struct instance **ret, struct err *e)
{
	AUTO(instance_free) struct instance *copy = NULL;
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF json = BUF_INIT;
	AUTO_BUF merged = BUF_INIT;
	int rc = instance_write_json(in, false, &json, e);

	rc = rc ? rc : json_parse(name, buf_str(&json), json.len, NULL, &root, e);
	rc = rc ? rc : merge(root, set, false, &merged, e);
	rc = rc ? rc
		: instance_parse_yaml(in->name, name, buf_str(&merged), merged.len, -1, NULL, NULL,
				      &copy, e);
	if (rc)
		return rc;
	free(copy->file);
	copy->file = NULL;
	if (in->file) {
		copy->file = strdup(in->file);
		if (!copy->file)
			return err_nomem(e);
	}
	copy->id_place = in->id_place;
	copy->identify.place = in->identify.place;
	copy->modified = in->modified;
	*ret = STEAL(copy);
	return 0;
}

int events_apply(const struct events *ev, struct instance *in, struct instance **ret, struct err *e)
{
	const struct events_of *of = find(ev, in);
	AUTO(value_free) struct value *set = NULL;
	struct instance *base = in->base ? in->base : in;
	int rc;

	*ret = NULL;
	if (!of) {
		*ret = base == in ? NULL : instance_ref(base);
		return 0;
	}
	rc = json_parse("events", of->json, strlen(of->json), NULL, &set, e);
	rc = rc ? rc : with(base, set, "events", ret, e);
	if (!rc)
		(*ret)->base = instance_ref(base);
	return rc;
}

/* What is set now (of, NULL: nothing) becomes json; an empty object: nothing is. */
static int change(struct events *ev, const struct instance *in, const struct events_of *of,
		  struct buf *json, struct err *e)
{
	AUTO(of_free) struct events_of *changed = NULL;
	bool none = !strcmp(buf_str(json), "{}");
	int rc;

	if (!utf8_valid(in->name, strlen(in->name)))
		return err_set(e, EINVAL, "an instance whose name is not UTF-8 has no events");
	if (!none && ((!of && ev->table.n >= EVENTS_MAX) ||
		      ev->bytes - (of ? strlen(of->json) : 0) + json->len > EVENTS_MAX_ALL))
		return err_set(e, ENOSPC,
			       "more than %zu instances have events, or %zu bytes of them",
			       EVENTS_MAX, EVENTS_MAX_ALL);
	rc = of_new(in->name, in->context->instance_id, json, &changed, e);
	rc = rc ? rc : keep(ev, in->name, none ? NULL : changed, e);
	if (rc)
		return rc;
	if (!none)
		return put(ev, &changed, e);
	drop(ev, in->name);
	return 0;
}

int events_set(struct events *ev, const struct instance *in, const char *body, size_t len,
	       struct err *e)
{
	struct value_limits limits = {.bytes = EVENTS_MAX_BYTES, .depth = 8, .nodes = 4096};
	const struct events_of *of = find(ev, in);
	AUTO(instance_free) struct instance *tried = NULL;
	AUTO(value_free) struct value *before = NULL;
	AUTO(value_free) struct value *now = NULL;
	AUTO(value_free) struct value *all = NULL;
	AUTO_BUF json = BUF_INIT;
	int rc = json_parse("event", body, len, &limits, &now, e);

	rc = rc ? rc : value_expect(now, VALUE_MAP, e);
	value_foreach (item, now)
		if (!rc && !is_kind(item->key))
			rc = value_err(item, e, EBADMSG,
				       "is none of maintenance, rebalance-time, spot, "
				       "target-lifecycle-state");
	if (!rc && of)
		rc = json_parse("events", of->json, strlen(of->json), NULL, &before, e);
	rc = rc ? rc : merge(before, now, true, &json, e);
	if (!rc && json.len > EVENTS_MAX_BYTES)
		rc = err_set(e, EFBIG, "events: more than %zu bytes", EVENTS_MAX_BYTES);
	rc = rc ? rc : json_parse("event", buf_str(&json), json.len, &limits, &all, e);
	/* the rules are those of a definition */
	rc = rc ? rc : with(in->base ? in->base : in, all, "event", &tried, e);
	return rc ? rc : change(ev, in, of, &json, e);
}

int events_clear(struct events *ev, const struct instance *in, const char *kind, struct err *e)
{
	const struct events_of *of = find(ev, in);
	AUTO(value_free) struct value *before = NULL;
	AUTO(value_free) struct value *now = NULL;
	AUTO_BUF none = BUF_INIT;
	AUTO_BUF json = BUF_INIT;
	int rc;

	if (kind && !is_kind(kind))
		return err_set(e, EINVAL, "'%s' is no kind of event", kind);
	if (!of)
		return 0;
	if (!kind)
		return buf_adds(&json, "{}") ? err_nomem(e) : change(ev, in, of, &json, e);
	if (buf_addf(&none, "{\"%s\": null}", kind))
		return err_nomem(e);
	rc = json_parse("events", of->json, strlen(of->json), NULL, &before, e);
	rc = rc ? rc : json_parse("event", none.data, none.len, NULL, &now, e);
	rc = rc ? rc : merge(before, now, false, &json, e);
	return rc ? rc : change(ev, in, of, &json, e);
}

int events_forget(struct events *ev, bool (*is_there)(void *arg, const char *name, const char *id),
		  void *arg, struct err *e)
{
	for (size_t i = ev->table.n; i-- > 0;)
		if (!is_there(arg, ev->table.v[i]->name, ev->table.v[i]->instance_id))
			drop(ev, ev->table.v[i]->name);
	return keep(ev, NULL, NULL, e);
}
