/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guests say: see metadata-server/said.h. A file for each of them, so that one that says much
 * costs the others nothing:
 *
 *	{"instance-id": "i-1", "said": {"password": "...", "guest-attributes/NS/KEY": "..."}}
 */
#include "metadata-server/said.h"

#include <dirent.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

#define ENDING ".json"
#define MAX_FILE (SAID_MAX_BYTES * 8) /* escaped, with white space */

struct said_of {
	struct kept is;
	struct context_pair *v; /* n, sorted by key */
	size_t n;
	size_t bytes;
	uint64_t at; /* seconds; when so much could be said */
	unsigned may;
};

/* ---- pairs ----------------------------------------------------------------------------------- */

static void of_free(struct said_of *of)
{
	for (size_t i = 0; i < of->n; i++) {
		free(of->v[i].key);
		free(of->v[i].value);
	}
	free(of->v);
	kept_release(&of->is);
	free(of);
}
DEFINE_AUTO(struct said_of *, of_free);

static int of_new(const char *name, const char *instance_id, struct said_of **ret, struct err *e)
{
	AUTO(of_free) struct said_of *of = calloc(1, sizeof(*of));

	if (!of || kept_init(&of->is, name, instance_id, e))
		return err_nomem(e);
	of->may = SAID_BURST;
	*ret = STEAL(of);
	return 0;
}

static size_t size_of(const struct context_pair *p)
{
	return strlen(p->key) + strlen(p->value) + 2;
}

/* Where key is, or would be. */
static size_t place_of(const struct said_of *of, const char *key, bool *there)
{
	size_t i = 0;

	while (i < of->n && strcmp(of->v[i].key, key) < 0)
		i++;
	*there = i < of->n && !strcmp(of->v[i].key, key);
	return i;
}

static int pair_add(struct said_of *of, const char *key, const char *value, struct err *e)
{
	bool there;
	size_t at = place_of(of, key, &there);
	struct context_pair p;

	if (pairs_add(&of->v, &of->n, key, value))
		return err_nomem(e);
	p = of->v[of->n - 1];
	memmove(of->v + at + 1, of->v + at, (of->n - 1 - at) * sizeof(p));
	of->v[at] = p;
	of->bytes += size_of(&p);
	return 0;
}

/* What `of` (may be NULL) says, with key changed; value NULL: without it. */
static int copy_with(const struct said_of *of, const char *key, const char *value,
		     struct said_of *ret, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; of && i < of->n && !rc; i++)
		if (strcmp(of->v[i].key, key) != 0)
			rc = pair_add(ret, of->v[i].key, of->v[i].value, e);
	if (!rc && value)
		rc = pair_add(ret, key, value, e);
	if (rc)
		return rc;
	if (ret->n > SAID_MAX_KEYS || ret->bytes > SAID_MAX_BYTES)
		return err_set(e, EFBIG, "'%s' says more than %zu texts of %zu bytes together",
			       ret->is.name, SAID_MAX_KEYS, SAID_MAX_BYTES);
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

void said_release(struct said *s)
{
	for (size_t i = 0; i < s->table.n; i++)
		of_free((struct said_of *)s->table.v[i]);
	free(s->table.v);
	free(s->folder);
	*s = (struct said){0};
}

static const struct said_of *find(const struct said *s, const struct instance *in)
{
	return (const struct said_of *)kept_find(&s->table, in);
}

/* Puts it in, in the place of one of that name. */
static int put(struct said *s, struct said_of **of, struct err *e)
{
	struct kept *before;
	int rc = kept_put(&s->table, &(*of)->is, &before, e);

	if (rc)
		return rc;
	s->bytes += (*of)->bytes;
	*of = NULL;
	if (before) {
		s->bytes -= ((struct said_of *)before)->bytes;
		of_free((struct said_of *)before);
	}
	return 0;
}

static void drop(struct said *s, const char *name)
{
	struct said_of *of = (struct said_of *)kept_take(&s->table, name);

	s->bytes -= of->bytes;
	of_free(of);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static char *path_of(const struct said *s, const char *name)
{
	AUTO_FREE char *file = str_format("%s" ENDING, name);

	return file ? path_join(s->folder, file) : NULL;
}

static int keep(const struct said *s, const struct said_of *of, struct err *e)
{
	AUTO_FREE char *path = NULL;
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	if (!s->folder)
		return 0;
	path = path_of(s, of->is.name);
	if (!path)
		return err_nomem(e);
	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "instance-id", of->is.instance_id);
	jsonw_object(&w, "said");
	for (size_t i = 0; i < of->n; i++)
		jsonw_string(&w, of->v[i].key, of->v[i].value);
	jsonw_close(&w);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc ? rc : fs_write_file(path, out.data, out.len, 0600, e);
}

static bool is_key(const char *key)
{
	const char *slash = str_has_prefix(key, SAID_ATTRIBUTES)
				    ? strchr(key + strlen(SAID_ATTRIBUTES), '/')
				    : NULL;

	return slash || !strcmp(key, SAID_PASSWORD) || !strcmp(key, SAID_PASSWORD_TAKEN);
}

static int read_pairs(const struct value *said, struct said_of *of, struct err *e)
{
	int rc = value_expect(said, VALUE_MAP, e);

	value_foreach (item, said) {
		if (!rc && (item->kind != VALUE_STRING || context_check_text(item->text, NULL) ||
			    !is_key(item->key)))
			rc = value_err(item, e, EBADMSG, "is not what a guest said");
		rc = rc ? rc : pair_add(of, item->key, item->text, e);
	}
	return rc;
}

/* NAME.json */
static int read_one(struct said *s, const char *file, struct err *e)
{
	struct value_limits limits = {.bytes = MAX_FILE, .depth = 4, .nodes = SAID_MAX_KEYS + 8};
	AUTO_FREE char *path = path_join(s->folder, file);
	AUTO(value_free) struct value *root = NULL;
	AUTO_FREE char *name = strndup(file, strlen(file) - strlen(ENDING));
	AUTO(of_free) struct said_of *of = NULL;
	AUTO_BUF text = BUF_INIT;
	const struct value *id, *said;
	int rc;

	if (!path || !name)
		return err_nomem(e);
	rc = fs_read_file(path, MAX_FILE, &text, e);
	rc = rc ? rc : json_parse(path, buf_str(&text), text.len, &limits, &root, e);
	if (rc)
		return rc;
	id = value_get(root, "instance-id");
	said = value_get(root, "said");
	if (!said || !id || !id->text || context_check_instance_id(id->text, NULL))
		return value_err(root, e, EBADMSG, "is not what was kept of a guest");
	rc = of_new(name, id->text, &of, e);
	rc = rc ? rc : read_pairs(said, of, e);
	return rc ? rc : put(s, &of, e);
}

static void close_dir(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, close_dir);

static int read_all(struct said *s, struct err *e)
{
	AUTO(close_dir) DIR *d = opendir(s->folder);
	int rc = 0;

	if (!d)
		return err_errno(e, errno, "folder '%s'", s->folder);
	while (!rc) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(d);
		if (!entry)
			return errno ? err_errno(e, errno, "folder '%s'", s->folder) : 0;
		if (entry->d_name[0] == '.' || !str_has_suffix(entry->d_name, ENDING))
			continue;
		if (s->table.n == SAID_MAX_GUESTS || s->bytes > SAID_MAX_ALL)
			return err_set(e, EFBIG, "folder '%s': more than guests may say",
				       s->folder);
		rc = read_one(s, entry->d_name, e);
	}
	return rc;
}

/* It belongs to whom the one around it does: to the user that the server becomes. */
static int make_folder(const char *path, const char *around, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0700))
		return errno == EEXIST ? 0 : err_errno(e, errno, "folder '%s'", path);
	if (!stat(around, &st) && st.st_uid != geteuid() && lchown(path, st.st_uid, st.st_gid))
		return err_errno(e, errno, "folder '%s'", path);
	return 0;
}

int said_open(struct said *s, const char *folder, struct err *e)
{
	int rc;

	*s = (struct said){0};
	if (!folder)
		return 0;
	s->folder = path_join(folder, "guests");
	if (!s->folder)
		return err_nomem(e);
	rc = make_folder(s->folder, folder, e);
	rc = rc ? rc : read_all(s, e);
	if (rc)
		said_release(s);
	return rc;
}

/* ---- face ------------------------------------------------------------------------------------ */

const struct context_pair *said_all(const struct said *s, const struct instance *in, size_t *n)
{
	const struct said_of *of = find(s, in);

	*n = of ? of->n : 0;
	return of ? of->v : NULL;
}

static uint64_t seconds_now(const struct said *s)
{
	struct timespec ts;

	if (s->now)
		return s->now;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

/* One thing a second, SAID_BURST of them at once; counted in *to, what becomes of `of`. */
static bool may_say(const struct said *s, const struct said_of *of, struct said_of *to)
{
	uint64_t now = seconds_now(s);
	uint64_t more = of ? now - MIN(of->at, now) : SAID_BURST;
	uint64_t may = (of ? of->may : 0) + MIN(more, (uint64_t)SAID_BURST);

	to->at = now;
	to->may = (unsigned)MIN(may, (uint64_t)SAID_BURST);
	if (!to->may)
		return false;
	to->may--;
	return true;
}

int said_set(struct said *s, const struct instance *in, const char *key, const char *value,
	     struct err *e)
{
	AUTO(of_free) struct said_of *changed = NULL;
	const struct said_of *of = find(s, in);
	const char *before = of ? pairs_get(of->v, of->n, key) : NULL;
	int rc;

	if (value == before || (value && before && !strcmp(value, before)))
		return 0;
	if (!in->context->instance_id)
		return err_set(e, EINVAL, "an instance without an id says nothing");
	rc = of_new(in->name, in->context->instance_id, &changed, e);
	if (!rc && !may_say(s, of, changed))
		rc = err_set(e, EAGAIN, "'%s' says things too often", in->name);
	rc = rc ? rc : copy_with(of, key, value, changed, e);
	if (!rc && value &&
	    ((!of && s->table.n >= SAID_MAX_GUESTS) ||
	     s->bytes - (of ? of->bytes : 0) + changed->bytes > SAID_MAX_ALL))
		rc = err_set(e, ENOSPC, "guests say more than %zu bytes together", SAID_MAX_ALL);
	rc = rc ? rc : keep(s, changed, e);
	return rc ? rc : put(s, &changed, e);
}

int said_clear(struct said *s, const struct instance *in, const char *key, struct err *e)
{
	AUTO(of_free) struct said_of *changed = NULL;
	const struct said_of *of = find(s, in);
	AUTO_FREE char *path = NULL;
	int rc;

	if (!of)
		return 0;
	if (key) {
		rc = of_new(of->is.name, of->is.instance_id, &changed, e);
		if (rc)
			return rc;
		changed->at = of->at;
		changed->may = of->may;
		rc = copy_with(of, key, NULL, changed, e);
		rc = rc ? rc : keep(s, changed, e);
		return rc ? rc : put(s, &changed, e);
	}
	path = s->folder ? path_of(s, of->is.name) : NULL;
	if (s->folder && !path)
		return err_nomem(e);
	if (path && unlink(path) && errno != ENOENT)
		return err_errno(e, errno, "'%s'", path);
	drop(s, of->is.name);
	return 0;
}

void said_forget(struct said *s, bool (*is_there)(void *arg, const char *name, const char *id),
		 void *arg)
{
	for (size_t i = s->table.n; i-- > 0;) {
		const struct kept *k = s->table.v[i];
		AUTO_FREE char *path = NULL;

		if (is_there(arg, k->name, k->instance_id))
			continue;
		path = s->folder ? path_of(s, k->name) : NULL;
		if (path && unlink(path) && errno != ENOENT)
			log_warn("'%s': %s", path, strerror(errno));
		drop(s, k->name);
	}
}
