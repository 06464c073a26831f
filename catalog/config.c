/* SPDX-License-Identifier: Apache-2.0 */
/* Which sources a user has: see catalog/config.h. */
#include "catalog/config.h"

#include <stdio.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"
#include "lib/yaml.h"

#define CONFIG_LIMIT (1u << 20)
#define SOURCES_MAX 1000
#define NAME_MAX_BYTES 64

/* Of those who have no file. What they name is public and asked only when it is needed. */
static const char defaults[] = "sources:\n"
			       "  ec2:\n"
			       "    type: ec2\n"
			       "  ubuntu:\n"
			       "    type: simplestreams\n"
			       "    url: https://cloud-images.ubuntu.com/releases/\n"
			       "  ubuntu-daily:\n"
			       "    type: simplestreams\n"
			       "    url: https://cloud-images.ubuntu.com/daily/\n"
			       "  cirros:\n"
			       "    type: simplestreams\n"
			       "    url: https://download.cirros-cloud.net/\n"
			       "  debian-12:\n"
			       "    type: directory\n"
			       "    url: https://cloud.debian.org/images/cloud/bookworm/latest/\n"
			       "  debian-13:\n"
			       "    type: directory\n"
			       "    url: https://cloud.debian.org/images/cloud/trixie/latest/\n"
			       "  opennebula:\n"
			       "    type: opennebula\n"
			       "    url: https://marketplace.opennebula.io/\n";

#define TEXT(name, member)                                                                         \
	{                                                                                          \
		.key = (name), .type = FIELD_TEXT, .offset = offsetof(struct source, member)       \
	}

/* All keys of all kinds; which of them a kind has, its struct source_type says. */
static const struct value_field fields[] = {
	TEXT("url", url),
	TEXT("region", region),
	TEXT("endpoint-url", endpoint_url),
	TEXT("profile", profile),
	{.key = "owners", .type = FIELD_STRINGS, .offset = offsetof(struct source, owners)},
	TEXT("bucket", bucket),
	TEXT("prefix", prefix),
	TEXT("keyring", keyring),
	TEXT("auth-url", auth_url),
	TEXT("username", username),
	TEXT("password-file", password_file),
	TEXT("project", project),
	TEXT("user-domain", user_domain),
	TEXT("project-domain", project_domain),
	TEXT("token-file", token_file),
	{.key = "depth",
	 .type = FIELD_U64,
	 .offset = offsetof(struct source, depth),
	 .min = 0,
	 .max = 8},
	{0},
};

const struct source_type *source_type_by_name(const char *name)
{
	for (size_t i = 0; source_types[i]; i++) {
		if (strcmp(source_types[i]->name, name) == 0)
			return source_types[i];
	}
	return NULL;
}

/* Whether a kind knows a key; *ret_needed: it cannot do without. */
static bool type_has_key(const struct source_type *t, const char *key, bool *ret_needed)
{
	size_t n = strlen(key);

	for (const char *p = t->keys; *p;) {
		size_t len = strcspn(p, " ");
		bool needed = *p == '!';

		if (len - needed == n && strncmp(p + needed, key, n) == 0) {
			*ret_needed = needed;
			return true;
		}
		p += len;
		p += strspn(p, " ");
	}
	return false;
}

int source_new(const char *name, const struct source_type *type, struct source **ret, struct err *e)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s || !(s->name = strdup(name))) {
		free(s);
		return err_nomem(e);
	}
	s->type = type;
	*ret = s;
	return 0;
}

void source_free(struct source *s)
{
	if (!s)
		return;
	for (const struct value_field *f = fields; f->key; f++) {
		if (f->type == FIELD_TEXT)
			free(*(char **)((char *)s + f->offset));
	}
	value_strings_release(&s->owners);
	free(s->name);
	free(s);
}

void source_settings(const struct source *s,
		     void (*fn)(void *ctx, const char *key, const char *value), void *ctx)
{
	for (const struct value_field *f = fields; f->key; f++) {
		const void *at = (const char *)s + f->offset;
		char number[24];

		if (f->type == FIELD_TEXT && *(char *const *)at) {
			fn(ctx, f->key, *(char *const *)at);
		} else if (f->type == FIELD_U64 && *(const uint64_t *)at) {
			snprintf(number, sizeof(number), "%llu",
				 (unsigned long long)*(const uint64_t *)at);
			fn(ctx, f->key, number);
		} else if (f->type == FIELD_STRINGS) {
			for (size_t i = 0; i < s->owners.n_items; i++)
				fn(ctx, f->key, s->owners.items[i]);
		}
	}
}

static int check_name(const char *name, struct err *e)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t n = strlen(name);

	if (!n || n > NAME_MAX_BYTES || *name == '.' || *name == '-' || strspn(name, allowed) != n)
		return err_set(e, EINVAL,
			       "'%s' is no name for a source: letters, digits, '.', '_' and '-'",
			       name);
	/* "file:..." and "ssm:..." are images by themselves. */
	if (strcmp(name, "http") == 0 || strcmp(name, "https") == 0 || strcmp(name, "s3") == 0 ||
	    strcmp(name, "file") == 0 || strcmp(name, "ssm") == 0)
		return err_set(e, EINVAL, "'%s' cannot be a source's name", name);
	return 0;
}

static int unknown_type(const char *type, struct err *e)
{
	AUTO_BUF all = BUF_INIT;

	for (size_t i = 0; source_types[i]; i++) {
		if (buf_addf(&all, "%s%s", i ? ", " : "", source_types[i]->name) < 0)
			return err_nomem(e);
	}
	return err_set(e, EINVAL, "'%s' is no kind of source; known are: %s", type, buf_str(&all));
}

static int append(struct config *c, struct source *s)
{
	struct source **more = reallocarray(c->sources, c->n_sources + 1, sizeof(struct source *));

	if (!more)
		return -ENOMEM;
	c->sources = more;
	c->sources[c->n_sources++] = s;
	return 0;
}

/* One member of `sources`; `type` was taken out of what is bound. */
/* What is not to be said is left out. */
static int check_texts(const struct value *map, struct err *e)
{
	value_foreach (v, map) {
		const char *text;

		if (v->kind == VALUE_STRING && value_string(v, &text, NULL) == 0 && !*text)
			return value_err(v, e, EINVAL, "the value is empty");
	}
	return 0;
}

static int take_source(struct config *c, const struct value *map, struct err *e)
{
	AUTO(source_free) struct source *s = NULL;
	const struct value *type = value_get(map, "type");
	const struct source_type *t;
	const char *name = "";
	struct value_field bound[ARRAY_SIZE(fields) + 1] = {
		{.key = "type", .type = FIELD_VALUE, .offset = sizeof(struct source)}};
	struct {
		struct source s;
		const struct value *type;
	} object;
	size_t n = 1;
	int rc = value_expect(map, VALUE_MAP, e);

	if (rc == 0 && check_name(map->key, e) < 0)
		return value_err(map, e, EINVAL, "it cannot be the name of a source");
	if (rc == 0)
		rc = check_texts(map, e);
	if (rc == 0 && !type)
		return value_err(map, e, EBADMSG, "'type' is missing");
	if (rc == 0)
		rc = value_string(type, &name, e);
	if (rc < 0)
		return rc;
	t = source_type_by_name(name);
	if (!t) {
		(void)unknown_type(name, e);
		return value_err(type, e, EBADMSG, "no kind of source is called '%s'", name);
	}
	for (const struct value_field *f = fields; f->key; f++) {
		bool needed = false;

		if (!type_has_key(t, f->key, &needed))
			continue;
		bound[n] = *f;
		bound[n++].required = needed;
	}
	rc = source_new(map->key, t, &s, e);
	if (rc < 0)
		return rc;
	object.s = *s;
	object.type = NULL;
	bound[0].offset = offsetof(__typeof__(object), type);
	rc = value_bind(map, bound, &object, e);
	*s = object.s;
	if (rc == 0 && append(c, s) < 0)
		rc = err_nomem(e);
	if (rc == 0)
		s = NULL;
	return rc;
}

static int take_all(struct config *c, const struct value *root, struct err *e)
{
	const struct value *sources = NULL;
	int rc = 0;

	if (root->kind == VALUE_NULL)
		return 0;
	rc = value_expect(root, VALUE_MAP, e);
	if (rc < 0)
		return rc;
	value_foreach (member, root) {
		if (strcmp(member->key, "sources") != 0)
			return value_err(member, e, EBADMSG, "no such key; known is: sources");
		sources = member;
	}
	if (!sources || sources->kind == VALUE_NULL)
		return 0;
	rc = value_expect(sources, VALUE_MAP, e);
	if (rc == 0 && sources->n_items > SOURCES_MAX)
		rc = value_err(sources, e, EFBIG, "more than %d sources", SOURCES_MAX);
	value_foreach (member, sources) {
		if (rc == 0)
			rc = take_source(c, member, e);
	}
	return rc;
}

static int config_path(char **ret, struct err *e)
{
	const char *own = getenv("ACCLIMATE_CATALOG_CONFIG"), *dir = getenv("XDG_CONFIG_HOME"),
		   *home = getenv("HOME");

	if (own && *own)
		*ret = strdup(own);
	else if (dir && *dir == '/')
		*ret = path_join(dir, "acclimate/catalog.yaml");
	else if (home && *home == '/')
		*ret = path_join(home, ".config/acclimate/catalog.yaml");
	else
		return err_set(e, EINVAL, "no place for the configuration: HOME is not set");
	return *ret ? 0 : err_nomem(e);
}

int config_load(struct config **ret, struct err *e)
{
	AUTO(config_free) struct config *c = calloc(1, sizeof(*c));
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!c)
		return err_nomem(e);
	rc = config_path(&c->path, e);
	if (rc < 0)
		return rc;
	c->defaults = access(c->path, F_OK) < 0 && errno == ENOENT;
	if (c->defaults)
		rc = yaml_parse("the defaults", defaults, strlen(defaults), NULL, &root, e);
	else
		rc = fs_read_file(c->path, CONFIG_LIMIT, &text, e);
	if (rc == 0 && !c->defaults)
		rc = yaml_parse(c->path, text.data, text.len, NULL, &root, e);
	if (rc == 0)
		rc = take_all(c, root, e);
	if (rc == 0)
		*ret = STEAL(c);
	return rc;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_sources; i++)
		source_free(c->sources[i]);
	free(c->sources);
	free(c->path);
	free(c);
}

struct source *config_find(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_sources; i++) {
		if (strcmp(c->sources[i]->name, name) == 0)
			return c->sources[i];
	}
	return NULL;
}

struct source *config_first(const struct config *c, const struct source_type *type)
{
	for (size_t i = 0; i < c->n_sources; i++) {
		if (c->sources[i]->type == type)
			return c->sources[i];
	}
	return NULL;
}

static int add_string(struct value_strings *s, const char *text)
{
	char **more = reallocarray(s->items, s->n_items + 1, sizeof(char *));

	if (!more)
		return -ENOMEM;
	s->items = more;
	s->items[s->n_items] = strdup(text);
	return s->items[s->n_items++] ? 0 : -ENOMEM;
}

/* KEY=VALUE of a command line. */
static int take_setting(struct source *s, const char *setting, struct err *e)
{
	const char *eq = strchr(setting, '=');
	bool needed;

	for (const struct value_field *f = fields; eq && f->key; f++) {
		void *at = (char *)s + f->offset;
		int rc = 0;

		if (strlen(f->key) != (size_t)(eq - setting) ||
		    strncmp(f->key, setting, strlen(f->key)) != 0)
			continue;
		if (!type_has_key(s->type, f->key, &needed))
			break;
		if (!eq[1])
			return err_set(e, EINVAL, "'%s': the value is empty", setting);
		if (f->type == FIELD_U64) {
			rc = str_to_u64(eq + 1, (uint64_t)f->min, (uint64_t)f->max, at, e);
			return rc < 0 ? err_wrap(e, "'%s'", setting) : 0;
		}
		if (f->type == FIELD_STRINGS)
			rc = add_string(at, eq + 1);
		else if (*(char **)at)
			return err_set(e, EINVAL, "'%s' is given twice", f->key);
		else if (!(*(char **)at = strdup(eq + 1)))
			rc = -ENOMEM;
		return rc < 0 ? err_nomem(e) : 0;
	}
	return err_set(e, EINVAL, "'%s' is no setting of a source of kind %s; known are: %s",
		       setting, s->type->name, s->type->keys);
}

static int check_needed(const struct source *s, struct err *e)
{
	for (const struct value_field *f = fields; f->key; f++) {
		bool needed;

		if (type_has_key(s->type, f->key, &needed) && needed &&
		    !*(char *const *)((const char *)s + f->offset))
			return err_set(e, EINVAL, "a source of kind %s needs %s=", s->type->name,
				       f->key);
	}
	return 0;
}

int config_add(struct config *c, const char *name, const char *type, char *const *settings,
	       size_t n_settings, struct err *e)
{
	AUTO(source_free) struct source *s = NULL;
	const struct source_type *t = source_type_by_name(type);
	int rc = check_name(name, e);

	if (rc < 0)
		return rc;
	if (!t)
		return unknown_type(type, e);
	if (config_find(c, name))
		return err_set(e, EEXIST, "there is a source '%s' already", name);
	rc = source_new(name, t, &s, e);
	for (size_t i = 0; rc == 0 && i < n_settings; i++)
		rc = take_setting(s, settings[i], e);
	if (rc == 0)
		rc = check_needed(s, e);
	if (rc < 0)
		return rc;
	if (append(c, s) < 0)
		return err_nomem(e);
	s = NULL;
	return 0;
}

int config_remove(struct config *c, const char *name, struct err *e)
{
	for (size_t i = 0; i < c->n_sources; i++) {
		if (strcmp(c->sources[i]->name, name) != 0)
			continue;
		source_free(c->sources[i]);
		c->n_sources--;
		memmove(c->sources + i, c->sources + i + 1,
			(c->n_sources - i) * sizeof(struct source *));
		return 0;
	}
	return err_set(e, ENOENT, "no source '%s' (catalog source list)", name);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* A text in double quotes: what JSON writes is YAML, too. */
static int add_quoted(struct buf *out, const char *text)
{
	struct jsonw w;

	jsonw_begin(&w, out, false);
	jsonw_string(&w, NULL, text);
	return jsonw_end(&w, NULL);
}

struct writing {
	struct buf *out;
	bool in_owners;
	int rc;
};

static void write_setting(void *ctx, const char *key, const char *value)
{
	struct writing *w = ctx;
	bool owner = strcmp(key, "owners") == 0;
	bool number = strcmp(key, "depth") == 0;

	if (w->rc == 0 && !(owner && w->in_owners))
		w->rc = buf_addf(w->out, "    %s:%s", key, owner ? "\n" : " ");
	if (w->rc == 0 && owner)
		w->rc = buf_adds(w->out, "      - ");
	w->in_owners = owner;
	if (w->rc == 0)
		w->rc = number ? buf_adds(w->out, value) : add_quoted(w->out, value);
	if (w->rc == 0)
		w->rc = buf_addc(w->out, '\n');
}

int config_save(const struct config *c, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct writing w = {.out = &text};
	AUTO_FREE char *dir = strdup(c->path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int rc = 0;

	if (!dir || buf_adds(&text, "# The sources of images: see catalog(1).\nsources:\n") < 0)
		return err_nomem(e);
	for (size_t i = 0; i < c->n_sources && w.rc == 0; i++) {
		const struct source *s = c->sources[i];

		w.rc = buf_addf(&text, "  %s:\n    type: %s\n", s->name, s->type->name);
		w.in_owners = false;
		source_settings(s, write_setting, &w);
	}
	if (w.rc < 0)
		return err_nomem(e);
	if (slash && slash != dir) {
		*slash = '\0';
		rc = fs_mkdir_p(dir, 0755, e);
	}
	return rc < 0 ? rc : fs_write_file(c->path, text.data, text.len, 0644, e);
}
