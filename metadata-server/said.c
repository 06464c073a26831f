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
	char *name, *instance_id;
	struct context_pair *v; /* n, sorted by key */
	size_t n;
	size_t bytes;
	uint64_t at; /* seconds; when so much could be said */
	unsigned may;
};

/* ---- pairs ----------------------------------------------------------------------------------- */

static void of_release(struct said_of *of)
{
	for (size_t i = 0; i < of->n; i++) {
		free(of->v[i].key);
		free(of->v[i].value);
	}
	free(of->v);
	free(of->name);
	free(of->instance_id);
	*of = (struct said_of){0};
}
DEFINE_AUTO_STRUCT(struct said_of, of_release);

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

/* A copy with key changed; value NULL: without it. */
static int copy_with(const struct said_of *of, const struct instance *in, const char *key,
		     const char *value, struct said_of *ret, struct err *e)
{
	int rc = 0;

	ret->name = strdup(in->name);
	ret->instance_id = strdup(in->context->instance_id);
	if (!ret->name || !ret->instance_id)
		return err_nomem(e);
	for (size_t i = 0; of && i < of->n && !rc; i++)
		if (strcmp(of->v[i].key, key) != 0)
			rc = pair_add(ret, of->v[i].key, of->v[i].value, e);
	if (!rc && value)
		rc = pair_add(ret, key, value, e);
	if (rc)
		return rc;
	if (ret->n > SAID_MAX_KEYS || ret->bytes > SAID_MAX_BYTES)
		return err_set(e, EFBIG, "'%s' says more than %zu texts of %zu bytes together",
			       in->name, SAID_MAX_KEYS, SAID_MAX_BYTES);
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

void said_release(struct said *s)
{
	for (size_t i = 0; i < s->n; i++)
		of_release(&s->v[i]);
	free(s->v);
	free(s->folder);
	*s = (struct said){0};
}

static size_t place(const struct said *s, const char *name, bool *there)
{
	size_t lo = 0;
	size_t hi = s->n;

	*there = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(s->v[mid].name, name);

		if (!order) {
			*there = true;
			return mid;
		}
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct said_of *find(const struct said *s, const struct instance *in)
{
	bool there;
	size_t at = place(s, in->name, &there);

	if (!there || !in->context->instance_id ||
	    strcmp(s->v[at].instance_id, in->context->instance_id) != 0)
		return NULL;
	return &s->v[at];
}

/* Takes *of over, in the place of one of that name. */
static int put(struct said *s, struct said_of *of, struct err *e)
{
	bool there;
	size_t at = place(s, of->name, &there);
	struct said_of *v;

	if (there) {
		s->bytes -= s->v[at].bytes;
		of_release(&s->v[at]);
	} else {
		v = reallocarray(s->v, s->n + 1, sizeof(*v));
		if (!v)
			return err_nomem(e);
		s->v = v;
		memmove(v + at + 1, v + at, (s->n - at) * sizeof(*v));
		s->n++;
	}
	s->v[at] = *of;
	s->bytes += of->bytes;
	*of = (struct said_of){0};
	return 0;
}

static void drop(struct said *s, size_t at)
{
	s->bytes -= s->v[at].bytes;
	of_release(&s->v[at]);
	memmove(s->v + at, s->v + at + 1, (s->n - at - 1) * sizeof(*s->v));
	s->n--;
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
	path = path_of(s, of->name);
	if (!path)
		return err_nomem(e);
	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "instance-id", of->instance_id);
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
	AUTO(of_release) struct said_of of = {0};
	AUTO_BUF text = BUF_INIT;
	const struct value *id, *said;
	int rc;

	if (!path)
		return err_nomem(e);
	rc = fs_read_file(path, MAX_FILE, &text, e);
	rc = rc ? rc : json_parse(path, buf_str(&text), text.len, &limits, &root, e);
	if (rc)
		return rc;
	id = value_get(root, "instance-id");
	said = value_get(root, "said");
	if (!said || !id || !id->text || context_check_instance_id(id->text, NULL))
		return value_err(root, e, EBADMSG, "is not what was kept of a guest");
	of.name = strndup(file, strlen(file) - strlen(ENDING));
	of.instance_id = strdup(id->text);
	if (!of.name || !of.instance_id)
		return err_nomem(e);
	of.may = SAID_BURST;
	rc = read_pairs(said, &of, e);
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
		if (s->n == SAID_MAX_GUESTS || s->bytes > SAID_MAX_ALL)
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
	AUTO(of_release) struct said_of changed = {0};
	const struct said_of *of = find(s, in);
	const char *before = of ? pairs_get(of->v, of->n, key) : NULL;
	int rc;

	if (value == before || (value && before && !strcmp(value, before)))
		return 0;
	if (!in->context->instance_id)
		return err_set(e, EINVAL, "an instance without an id says nothing");
	if (!may_say(s, of, &changed))
		return err_set(e, EAGAIN, "'%s' says things too often", in->name);
	rc = copy_with(of, in, key, value, &changed, e);
	if (!rc && value &&
	    ((!of && s->n >= SAID_MAX_GUESTS) ||
	     s->bytes - (of ? of->bytes : 0) + changed.bytes > SAID_MAX_ALL))
		rc = err_set(e, ENOSPC, "guests say more than %zu bytes together", SAID_MAX_ALL);
	rc = rc ? rc : keep(s, &changed, e);
	return rc ? rc : put(s, &changed, e);
}

int said_clear(struct said *s, const struct instance *in, const char *key, struct err *e)
{
	AUTO(of_release) struct said_of changed = {0};
	const struct said_of *of = find(s, in);
	AUTO_FREE char *path = NULL;
	int rc;

	if (!of)
		return 0;
	if (key) {
		changed.at = of->at;
		changed.may = of->may;
		rc = copy_with(of, in, key, NULL, &changed, e);
		rc = rc ? rc : keep(s, &changed, e);
		return rc ? rc : put(s, &changed, e);
	}
	path = s->folder ? path_of(s, of->name) : NULL;
	if (s->folder && !path)
		return err_nomem(e);
	if (path && unlink(path) && errno != ENOENT)
		return err_errno(e, errno, "'%s'", path);
	drop(s, (size_t)(of - s->v));
	return 0;
}

void said_forget(struct said *s, bool (*is_there)(void *arg, const char *name, const char *id),
		 void *arg)
{
	for (size_t i = s->n; i-- > 0;) {
		AUTO_FREE char *path = NULL;

		if (is_there(arg, s->v[i].name, s->v[i].instance_id))
			continue;
		path = s->folder ? path_of(s, s->v[i].name) : NULL;
		if (path && unlink(path) && errno != ENOENT)
			log_warn("'%s': %s", path, strerror(errno));
		drop(s, i);
	}
}
