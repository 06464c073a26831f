/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor-data that cloud-init makes a machine of: see context/cloudconfig.h. After "Module
 * reference", "User data formats" and "Vendor data" of cloud-init's documentation (24.1), in words
 * that 18.3 knows too:
 *
 *	a message (context/mime.h) of
 *		text/cloud-config    user, users, ssh_pwauth, timezone, locale, ntp, growpart,
 *		                     resize_rootfs, swap, mounts, bootcmd, write_files, random_seed,
 *		                     phone_home; the text is JSON, which is YAML
 *		text/x-shellscript   the scripts, with numbers before their names: they are run in
 *		                     the order of these, once for an instance
 *		text/plain           the operator's own vendor-data, last: a later cloud-config
 *		                     prevails over an earlier one, key by key
 *
 * fs_setup is not used: where a device has another file system it makes a new one.
 */
#include <stdio.h>

#include "context/bind.h"
#include "context/cloudconfig.h"
#include "context/cloudconfig_names.h"
#include "context/mime.h"
#include "lib/str.h"

static void put(struct jsonw *w, const char *key, const char *s)
{
	if (s)
		jsonw_string(w, key, s);
}

static void put_row(struct jsonw *w, const struct context_field *table, struct cc_name name,
		    const void *object)
{
	struct context_field f = cc_field(table, name);

	if (context_field_given(&f, object))
		bind_write_field(w, &f, object);
}

/* ---- users ----------------------------------------------------------------------------------- */

static bool is_secret(struct cc_name n)
{
	return !strcmp(n.row, "password") || !strcmp(n.row, "password-hash");
}

static void put_user(struct jsonw *w, const struct user *u, struct cloudconfig_scope scope)
{
	bool has_password = scope.secrets && (u->password || u->password_hash);

	for (size_t i = 0; i < ARRAY_SIZE(cc_user); i++)
		if (scope.secrets || !is_secret(cc_user[i]))
			put_row(w, user_fields, cc_user[i], u);
	/* cloud-init locks what is not said to be open, given a password or not */
	if (has_password && u->lock_password == CHOICE_OPEN)
		jsonw_bool(w, "lock_passwd", false);
	if (u->sudo && *u->sudo)
		jsonw_string(w, "sudo", u->sudo);
	else if (u->sudo)
		jsonw_bool(w, "sudo", false);
}

static bool says_something(const struct user *u, struct cloudconfig_scope scope)
{
	return u->name || u->gecos || u->home || u->shell || u->primary_group || u->groups.n ||
	       u->sudo || u->lock_password != CHOICE_OPEN ||
	       (scope.secrets && (u->password_hash || u->password));
}

static void put_users(struct jsonw *w, const struct context *c, struct cloudconfig_scope scope)
{
	struct user own = c->default_user;

	if (!scope.password)
		own.password = NULL;
	if (says_something(&own, scope)) {
		jsonw_object(w, "user");
		put_user(w, &own, scope);
		jsonw_close(w);
	}
	if (!c->n_users)
		return;
	jsonw_array(w, "users");
	jsonw_string(w, NULL, "default");
	for (size_t i = 0; i < c->n_users; i++) {
		jsonw_object(w, NULL);
		put_user(w, &c->users[i], scope);
		jsonw_close(w);
	}
	jsonw_close(w);
}

/* ---- disks ----------------------------------------------------------------------------------- */

static void put_growing(struct jsonw *w, enum context_choice grow)
{
	if (grow == CHOICE_OPEN)
		return;
	jsonw_object(w, "growpart");
	jsonw_string(w, "mode", grow == CHOICE_YES ? "auto" : "off");
	jsonw_close(w);
	jsonw_bool(w, "resize_rootfs", grow == CHOICE_YES);
}

static void put_swap(struct jsonw *w, const struct context *c)
{
	if (!c->swap_file && !c->swap_size)
		return;
	jsonw_object(w, "swap");
	put(w, "filename", c->swap_file);
	if (c->swap_size)
		jsonw_u64(w, "size", c->swap_size);
	else
		jsonw_string(w, "size", "auto");
	jsonw_close(w);
}

/* What is not said is left out at the end, and null or "auto" before. */
static void put_mount(struct jsonw *w, const struct context_mount *m)
{
	jsonw_array(w, NULL);
	jsonw_string(w, NULL, m->source);
	if (m->target)
		jsonw_string(w, NULL, m->target);
	else if (m->type || m->options)
		jsonw_null(w, NULL);
	if (m->type || m->options)
		jsonw_string(w, NULL, m->type ? m->type : CC_ANY_TYPE);
	if (m->options)
		jsonw_string(w, NULL, m->options);
	jsonw_close(w);
}

static void put_format(struct jsonw *w, const struct context_mount *m)
{
	jsonw_array(w, NULL);
	jsonw_string(w, NULL, "sh");
	jsonw_string(w, NULL, "-c");
	jsonw_string(w, NULL, CC_FORMAT);
	jsonw_string(w, NULL, CC_FORMAT_NAME);
	jsonw_string(w, NULL, m->source);
	jsonw_string(w, NULL, m->type ? m->type : CC_FORMAT_TYPE);
	if (m->format_label)
		jsonw_string(w, NULL, m->format_label);
	jsonw_close(w);
}

static void put_mounts(struct jsonw *w, const struct context *c)
{
	bool any = false;

	if (!c->n_mounts)
		return;
	jsonw_array(w, "mounts");
	for (size_t i = 0; i < c->n_mounts; i++) {
		put_mount(w, &c->mounts[i]);
		any |= c->mounts[i].format == CHOICE_YES;
	}
	jsonw_close(w);
	if (!any)
		return;
	jsonw_array(w, "bootcmd");
	for (size_t i = 0; i < c->n_mounts; i++)
		if (c->mounts[i].format == CHOICE_YES)
			put_format(w, &c->mounts[i]);
	jsonw_close(w);
}

/* ---- the rest of it -------------------------------------------------------------------------- */

static void put_coded(struct jsonw *w, const char *key, const struct buf *b)
{
	AUTO_BUF coded = BUF_INIT;

	if (base64_encode(b->data, b->len, &coded))
		w->rc = -ENOMEM;
	else
		jsonw_string(w, key, buf_str(&coded));
}

/* Those that have a place in the guest. */
static void put_files(struct jsonw *w, const struct context *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_files; i++) {
		const struct context_file *f = &c->files[i];

		if (!f->path)
			continue;
		if (!n++)
			jsonw_array(w, "write_files");
		jsonw_object(w, NULL);
		for (size_t k = 0; k < ARRAY_SIZE(cc_file); k++)
			put_row(w, file_fields, cc_file[k], f);
		jsonw_string(w, "encoding", "b64");
		put_coded(w, "content", &f->content);
		if (f->owner) /* who may be one of the users above */
			jsonw_bool(w, "defer", true);
		jsonw_close(w);
	}
	if (n)
		jsonw_close(w);
}

static void put_services(struct jsonw *w, const struct context *c, struct cloudconfig_scope scope)
{
	if (c->ntp_servers.n) {
		jsonw_object(w, "ntp");
		jsonw_bool(w, "enabled", true);
		jsonw_array(w, "servers");
		for (size_t i = 0; i < c->ntp_servers.n; i++)
			jsonw_string(w, NULL, c->ntp_servers.v[i]);
		jsonw_close(w);
		jsonw_close(w);
	}
	if (scope.seed && scope.secrets && c->random_seed.len) {
		jsonw_object(w, "random_seed");
		jsonw_string(w, "encoding", "base64");
		put_coded(w, "data", &c->random_seed);
		jsonw_close(w);
	}
	if (c->ready.url) {
		jsonw_object(w, "phone_home");
		jsonw_string(w, "url", c->ready.url);
		jsonw_string(w, "post", "all");
		jsonw_close(w);
	}
}

static int write_config(const struct context *c, struct cloudconfig_scope scope, struct buf *out,
			bool *any, struct err *e)
{
	size_t empty = strlen(CC_HEAD "{}\n");
	struct jsonw w;
	int rc;

	if (buf_adds(out, CC_HEAD))
		return err_nomem(e);
	jsonw_begin(&w, out, true);
	jsonw_object(&w, NULL);
	put_users(&w, c, scope);
	for (size_t i = 0; i < ARRAY_SIZE(cc_top); i++)
		put_row(&w, context_fields, cc_top[i], c);
	put_growing(&w, c->grow_root);
	put_swap(&w, c);
	put_mounts(&w, c);
	if (scope.files)
		put_files(&w, c);
	put_services(&w, c, scope);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	*any = out->len > empty;
	return rc;
}

/* ---- the message ----------------------------------------------------------------------------- */

/* "007-NAME"; what is not a letter, digit, '-', '_' or '.' as %XX. */
static int script_name(size_t i, const char *name, struct buf *out)
{
	int rc = buf_addf(out, "%03zu-", i);

	for (; *name && !rc; name++) {
		unsigned char c = (unsigned char)*name;
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z') || strchr("-_.", c);

		rc = plain ? buf_addc(out, *name) : buf_addf(out, "%%%02X", c);
	}
	return rc;
}

/* Does cloud-init see by the first bytes what it is, so that it is the same in a message? */
static bool has_known_head(const struct buf *b)
{
	static const char *const heads[] = {
		"#!",       "#cloud-config", "#cloud-boothook",
		"#include", "#part-handler", "## template: jinja",
	};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		if (str_has_prefix(buf_str(b), heads[i]))
			return true;
	return false;
}

static int write_message(const struct context *c, const struct buf *config, bool any,
			 struct buf *out)
{
	int rc = mime_begin(out);

	if (!rc && any)
		rc = mime_part(out, CC_CONFIG_TYPE, CC_CONFIG_NAME, config->data, config->len);
	for (size_t i = 0; i < c->n_scripts && !rc; i++) {
		const struct context_script *s = &c->scripts[i];
		AUTO_BUF name = BUF_INIT;

		rc = script_name(i, s->name, &name);
		rc = rc ? rc
			: mime_part(out, CC_SCRIPT_TYPE, buf_str(&name), buf_str(&s->content),
				    s->content.len);
	}
	if (!rc && c->has_vendor_data && c->vendor_data.len)
		rc = mime_part(out, CC_VENDOR_TYPE, CC_VENDOR_NAME, c->vendor_data.data,
			       c->vendor_data.len);
	return rc ? rc : mime_end(out);
}

int cloudconfig_write(const struct context *c, struct cloudconfig_scope scope, struct buf *out,
		      bool *has, struct err *e)
{
	AUTO_BUF config = BUF_INIT;
	bool any = false;
	int rc = write_config(c, scope, &config, &any, e);

	if (rc)
		return rc;
	*has = true;
	if ((any || c->n_scripts) &&
	    (!c->has_vendor_data || !c->vendor_data.len || has_known_head(&c->vendor_data)))
		return write_message(c, &config, any, out) ? err_nomem(e) : 0;
	*has = c->has_vendor_data;
	return buf_add(out, buf_str(&c->vendor_data), c->vendor_data.len) ? err_nomem(e) : 0;
}
