/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes back what context/cloudconfig_write.c wrote. A cloud-config of anybody else's is bytes: what
 * it says is between its author and cloud-init.
 */
#include "context/cloudconfig.h"
#include "context/cloudconfig_names.h"
#include "context/mime.h"
#include "context/rules.h"
#include "lib/json.h"
#include "lib/str.h"

static const char *text_of(const struct value *v)
{
	return v && v->kind == VALUE_STRING ? v->text : NULL;
}

static int take_row(struct reading *r, const struct value *map, const struct context_field *table,
		    struct cc_name name, void *object)
{
	struct context_field f = cc_field(table, name);

	return reading_row(r, value_get(map, name.key), &f, object);
}

/* ---- users ----------------------------------------------------------------------------------- */

static int read_user(struct reading *r, const struct value *v, struct user *u)
{
	const struct value *sudo = value_get(v, "sudo");
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cc_user) && !rc; i++)
		rc = take_row(r, v, user_fields, cc_user[i], u);
	if (!rc && sudo)
		rc = reading_row(r, sudo->kind == VALUE_BOOL ? NULL : sudo,
				 context_field(user_fields, "sudo"), u);
	if (!rc && sudo && sudo->kind == VALUE_BOOL)
		rc = context_set(&u->sudo, "");
	return rc;
}

static int read_users(struct reading *r, const struct value *list)
{
	value_foreach (item, list) {
		const char *name = text_of(value_get(item, "name"));
		struct user *u;
		int rc;

		if (item->kind != VALUE_MAP || reading_is_full(r, "users", r->c->n_users))
			continue; /* "default" */
		if (!name || context_check_user_name(name, NULL)) {
			if (reading_note(r, "users: one without a legal name"))
				return -ENOMEM;
			continue;
		}
		u = context_add_user(r->c);
		rc = u ? read_user(r, item, u) : -ENOMEM;
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- disks ----------------------------------------------------------------------------------- */

static int take_item(struct reading *r, const struct value *list, size_t i,
		     const struct context_field *table, const char *row, void *object)
{
	return reading_row(r, value_at(list, i), context_field(table, row), object);
}

static const struct context_field *mount_table(void)
{
	return context_field(context_fields, "mounts")->fields;
}

static int read_mount(struct reading *r, const struct value *v)
{
	struct context_mount *m = context_add_mount(r->c);
	const char *type = text_of(value_at(v, 2));
	int rc = m ? take_item(r, v, 0, mount_table(), "source", m) : -ENOMEM;

	rc = rc ? rc : take_item(r, v, 1, mount_table(), "target", m);
	if (!rc && type && strcmp(type, CC_ANY_TYPE) != 0)
		rc = take_item(r, v, 2, mount_table(), "type", m);
	rc = rc ? rc : take_item(r, v, 3, mount_table(), "options", m);
	return rc;
}

static int read_mounts(struct reading *r, const struct value *list)
{
	value_foreach (item, list) {
		int rc;

		if (item->kind != VALUE_LIST || !text_of(value_at(item, 0)) ||
		    context_check_fstab_field(value_at(item, 0)->text, NULL)) {
			if (reading_note(r, "mounts: one without a device"))
				return -ENOMEM;
			continue;
		}
		if (reading_is_full(r, "mounts", r->c->n_mounts))
			return 0;
		rc = read_mount(r, item);
		if (rc)
			return rc;
	}
	return 0;
}

/* ["sh", "-c", CC_FORMAT, CC_FORMAT_NAME, source, type[, label]] */
static int read_format(struct reading *r, const struct value *v)
{
	const char *name = text_of(value_at(v, 3));
	const char *source = text_of(value_at(v, 4));

	if (!name || strcmp(name, CC_FORMAT_NAME) != 0 || !source)
		return 0;
	for (size_t i = 0; i < r->c->n_mounts; i++) {
		struct context_mount *m = &r->c->mounts[i];

		if (strcmp(m->source, source) != 0 || m->format != CHOICE_OPEN)
			continue;
		m->format = CHOICE_YES;
		return take_item(r, v, 6, mount_table(), "format-label", m);
	}
	return 0;
}

static int read_disks(struct reading *r, const struct value *doc)
{
	const struct value *grow = value_get(doc, "resize_rootfs");
	const struct value *swap = value_get(doc, "swap");
	const struct value *size = value_get(swap, "size");
	struct context *c = r->c;
	int rc = reading_choice(r, grow, &c->grow_root);

	rc = rc ? rc
		: reading_row(r, value_get(swap, "filename"),
			      context_field(context_fields, "swap-file"), c);
	if (!rc && size && size->kind != VALUE_STRING)
		rc = reading_row(r, size, context_field(context_fields, "swap-size"), c);
	rc = rc ? rc : read_mounts(r, value_get(doc, "mounts"));
	value_foreach (item, value_get(doc, "bootcmd")) {
		if (!rc && item->kind == VALUE_LIST)
			rc = read_format(r, item);
	}
	return rc;
}

/* ---- files, services ------------------------------------------------------------------------- */

static int read_file(struct reading *r, const struct value *v)
{
	const char *path = text_of(value_get(v, "path"));
	const char *content = text_of(value_get(v, "content"));
	AUTO_BUF bytes = BUF_INIT;
	struct context_file *f;
	struct err why = {0};
	int rc = 0;

	if (!path || context_check_path(path, NULL))
		return reading_note(r, "write_files: one without a path");
	if (content && base64_decode(content, strlen(content), &bytes, &why))
		return why.code == ENOMEM ? -ENOMEM
					  : reading_note(r, "write_files: '%s': %s", path, why.msg);
	if (reading_files_full(r, bytes.len))
		return 0;
	f = context_add_file(r->c);
	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(cc_file) && !rc; i++)
		rc = take_row(r, v, file_fields, cc_file[i], f);
	return rc ? rc : buf_add(&f->content, buf_str(&bytes), bytes.len);
}

static int read_services(struct reading *r, const struct value *doc)
{
	const char *seed = text_of(value_get(value_get(doc, "random_seed"), "data"));
	struct context *c = r->c;
	struct err why = {0};
	int rc = reading_list(r, value_get(value_get(doc, "ntp"), "servers"),
			      context_field(context_fields, "ntp-servers")->check, &c->ntp_servers);

	rc = rc ? rc
		: reading_value(r, value_get(value_get(doc, "phone_home"), "url"),
				context_check_url, &c->ready.url);
	if (!rc && seed && !c->random_seed.len &&
	    base64_decode(seed, strlen(seed), &c->random_seed, &why))
		rc = why.code == ENOMEM ? -ENOMEM : reading_note(r, "random_seed: %s", why.msg);
	return rc;
}

static int read_config(struct reading *r, const struct buf *text)
{
	static const struct value_limits limits = {.bytes = 64 * MIB, .depth = 16, .nodes = 50000};
	const char *before = r->where;
	AUTO(value_free) struct value *doc = NULL;
	size_t head = strlen(CC_HEAD);
	struct err why = {0};
	int rc = 0;

	if (!str_has_prefix(buf_str(text), CC_HEAD))
		return reading_note(r, "vendor-data: its cloud-config is not ours");
	if (json_parse("vendor-data", text->data + head, text->len - head, &limits, &doc, &why))
		return why.code == ENOMEM ? -ENOMEM : reading_note(r, "%s", why.msg);
	if (doc->kind != VALUE_MAP)
		return reading_note(r, "vendor-data: its cloud-config is not a map");
	r->where = "vendor-data";
	for (size_t i = 0; i < ARRAY_SIZE(cc_top) && !rc; i++)
		rc = take_row(r, doc, context_fields, cc_top[i], r->c);
	rc = rc ? rc : read_user(r, value_get(doc, "user"), &r->c->default_user);
	rc = rc ? rc : read_users(r, value_get(doc, "users"));
	rc = rc ? rc : read_disks(r, doc);
	value_foreach (item, value_get(doc, "write_files")) {
		if (!rc)
			rc = read_file(r, item);
	}
	rc = rc ? rc : read_services(r, doc);
	r->where = before;
	return rc;
}

/* ---- the message ----------------------------------------------------------------------------- */

/* "007-NAME", with %XX decoded. */
static int read_script(struct reading *r, const char *part, const struct buf *content)
{
	const char *dash = strchr(part, '-');
	AUTO_FREE char *name = strdup(dash ? dash + 1 : part);
	struct context_script *s;
	char *to = name;

	if (!name)
		return -ENOMEM;
	for (const char *p = name; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '%' && strlen(p) >= 3 && !hex_decode(p + 1, 2, &c, 1, NULL))
			p += 2;
		*to++ = (char)c;
	}
	*to = '\0';
	if (context_check_file_name(name, NULL))
		return reading_note(r, "vendor-data: a script without a legal name");
	if (reading_is_full(r, "scripts", r->c->n_scripts))
		return 0;
	s = context_add_script(r->c);
	if (!s || context_set(&s->name, name))
		return -ENOMEM;
	return buf_add(&s->content, buf_str(content), content->len);
}

static int take_bytes(struct context *c, const void *data, size_t len)
{
	if (!len)
		return 0;
	c->has_vendor_data = true;
	buf_clear(&c->vendor_data);
	return buf_add(&c->vendor_data, data, len);
}

static int on_part(void *arg, const char *type, const char *name, const struct buf *content)
{
	struct reading *r = arg;

	if (!strcmp(type, CC_CONFIG_TYPE))
		return read_config(r, content);
	if (!strcmp(type, CC_SCRIPT_TYPE))
		return read_script(r, name, content);
	if (mime_is_ours(buf_str(content), content->len))
		return reading_note(r, "vendor-data: a message in a message");
	return take_bytes(r->c, buf_str(content), content->len);
}

static int check_part(void *arg, const char *type, const char *name, const struct buf *content)
{
	(void)arg;
	(void)type;
	(void)name;
	(void)content;
	return 0;
}

int cloudconfig_read(struct reading *r, const void *data, size_t len)
{
	struct err why = {0};
	int rc;

	if (!mime_is_ours(data, len))
		return take_bytes(r->c, data, len);
	rc = mime_read(data, len, check_part, NULL, &why);
	if (rc == -ENOMEM)
		return rc;
	if (rc) /* begins as ours, and is not */
		return take_bytes(r->c, data, len);
	return mime_read(data, len, on_part, r, &why);
}
