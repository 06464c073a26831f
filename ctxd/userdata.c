/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User data for guests without cloud-init: see ctxd/userdata.h. The keys are those of cloud-init's
 * documentation, "Module reference" (24.1).
 */
#include "ctxd/userdata.h"

#include "context/reading.h"
#include "context/rules.h"
#include "lib/str.h"
#include "lib/yaml.h"

#define SUDO_ALL "ALL=(ALL) NOPASSWD:ALL"

static int add_script(struct context *c, const char *name, const struct buf *text)
{
	struct context_script *s = context_add_script(c);
	int rc = s ? context_set(&s->name, name) : -ENOMEM;

	return rc < 0 || !text->len ? rc : buf_add(&s->content, text->data, text->len);
}

static const char *scalar(const struct value *v)
{
	return v && v->kind != VALUE_NULL && v->text && strlen(v->text) == v->text_len ? v->text
										       : NULL;
}

/* What is not among `known` would be left out in silence. what: of which these are the members. */
static int tell_others(struct reading *r, const struct value *map, const char *what,
		       const char *const *known)
{
	int rc = 0;

	value_foreach (item, map) {
		const char *const *k = known;

		while (*k && strcmp(*k, item->key) != 0)
			k++;
		if (!*k && rc == 0)
			rc = reading_note(r, "user data: '%s.%s' is not something that ctxd does",
					  what, item->key);
	}
	return rc;
}

/* ---- commands ------------------------------------------------------------------------------ */

/* One word as a shell takes it literally. */
static int add_word(struct buf *out, const char *word)
{
	int rc = buf_addc(out, '\'');

	for (; rc == 0 && *word; word++)
		rc = *word == '\'' ? buf_adds(out, "'\\''") : buf_addc(out, *word);
	return rc < 0 ? rc : buf_adds(out, "' ");
}

/* A command is a line for the shell, or a list of words. */
static int on_commands(struct reading *r, const struct value *v)
{
	AUTO_BUF text = BUF_INIT;
	int rc = buf_adds(&text, "#!/bin/sh\n");

	if (v->kind != VALUE_LIST)
		return reading_note(r, "%s is no list", v->key);
	value_foreach (item, v) {
		if (scalar(item)) {
			rc = rc < 0 ? rc : buf_addf(&text, "%s\n", scalar(item));
			continue;
		}
		value_foreach (word, item)
			rc = rc < 0 || !scalar(word) ? rc : add_word(&text, scalar(word));
		rc = rc < 0 ? rc : buf_addc(&text, '\n');
	}
	return rc < 0 ? rc : add_script(r->c, v->key, &text);
}

/* ---- files --------------------------------------------------------------------------------- */

static int decode(struct reading *r, const struct value *content, const char *encoding,
		  struct buf *out)
{
	const char *text = content && content->text ? content->text : "";
	size_t len = content && content->text ? content->text_len : 0;
	struct err e;

	if (!encoding || strcmp(encoding, "text/plain") == 0)
		return len ? buf_add(out, text, len) : 0;
	if (strcmp(encoding, "b64") != 0 && strcmp(encoding, "base64") != 0) {
		int rc = reading_note(r, "write_files: encoding '%s' is not read", encoding);

		return rc < 0 ? rc : -EBADMSG;
	}
	if (base64_decode(text, len, out, &e) == 0)
		return 0;
	if (e.code == ENOMEM)
		return -ENOMEM;
	return reading_note(r, "write_files: %s", e.msg) < 0 ? -ENOMEM : -EBADMSG;
}

/* "0644" or 0o644; a number that YAML has read as a decimal one is taken digit by digit. */
static uint32_t read_mode(const char *text)
{
	uint32_t mode = 0;

	if (text && str_has_prefix(text, "0o"))
		text += 2;
	for (; text && *text >= '0' && *text <= '7' && mode <= 07777; text++)
		mode = mode << 3 | (uint32_t)(*text - '0');
	return text && !*text && mode <= 07777 ? mode : 0;
}

static int on_file(struct reading *r, const struct value *v)
{
	/* All are written when their owners are there, which is what "defer" wants. */
	static const char *const known[] = {"path",        "content", "encoding", "owner",
					    "permissions", "append",  "defer",    NULL};
	const char *path = scalar(value_get(v, "path"));
	const char *mode = scalar(value_get(v, "permissions"));
	AUTO_BUF content = BUF_INIT;
	struct context_file *f;
	struct err e;
	int rc;

	if (!path || context_check_path(path, &e) < 0)
		return reading_note(r, "write_files: a file without a path that is one");
	rc = decode(r, value_get(v, "content"), scalar(value_get(v, "encoding")), &content);
	if (rc < 0)
		return rc == -EBADMSG ? 0 : rc;
	f = context_add_file(r->c);
	if (!f || context_set(&f->path, path) < 0)
		return -ENOMEM;
	f->content = content;
	content = BUF_INIT;
	f->mode = read_mode(mode);
	rc = mode && !f->mode ? reading_note(r, "write_files: '%s' is not the mode of a file", mode)
			      : 0;
	if (rc == 0)
		rc = tell_others(r, v, "write_files", known);
	if (rc == 0)
		rc = reading_value(r, value_get(v, "owner"), context_check_owner, &f->owner);
	return rc < 0 ? rc : reading_choice(r, value_get(v, "append"), &f->append);
}

static int on_files(struct reading *r, const struct value *v)
{
	int rc = 0;

	value_foreach (item, v)
		rc = rc < 0 ? rc : on_file(r, item);
	return rc;
}

/* ---- users --------------------------------------------------------------------------------- */

/* A list, or names behind commas. */
static int take_groups(struct reading *r, const struct value *v, struct strlist *to)
{
	AUTO_FREE char *copy = scalar(v) ? strdup(scalar(v)) : NULL;
	char *save = NULL;
	int rc = 0;

	if (!copy)
		return v ? reading_list(r, v, context_check_user_name, to) : 0;
	for (char *w = strtok_r(copy, ", ", &save); w && rc == 0; w = strtok_r(NULL, ", ", &save))
		rc = reading_item(r, "groups", w, context_check_user_name, to);
	return rc;
}

static int take_sudo(struct reading *r, const struct value *v, char **to)
{
	int rc = 0;

	if (v && v->kind == VALUE_LIST && v->n_items) {
		if (v->n_items > 1)
			rc = reading_note(r, "users: of several rules for sudo the first is taken");
		v = v->items[0];
	}
	if (rc < 0)
		return rc;
	if (v && v->kind == VALUE_BOOL)
		return v->boolean ? context_set(to, SUDO_ALL) : 0;
	return reading_value(r, v, context_check_sudo, to);
}

static int on_user(struct reading *r, const struct value *v)
{
	static const char *const known[] = {"name",        "gecos",
					    "homedir",     "shell",
					    "uid",         "groups",
					    "sudo",        "ssh_authorized_keys",
					    "passwd",      "plain_text_passwd",
					    "lock_passwd", "system",
					    NULL};
	const char *name = scalar(value_get(v, "name"));
	struct user *u;
	int rc;

	/* "default": whoever that is there */
	if (scalar(v))
		return strcmp(scalar(v), "default") == 0
			       ? 0
			       : reading_note(r, "users: '%s' without more is not made", scalar(v));
	if (!name || context_check_user_name(name, NULL) < 0)
		return reading_note(r, "users: one without a name that is one");
	u = context_add_user(r->c);
	rc = u ? context_set(&u->name, name) : -ENOMEM;
	if (rc == 0)
		rc = reading_value(r, value_get(v, "gecos"), context_check_passwd_field, &u->gecos);
	if (rc == 0)
		rc = reading_value(r, value_get(v, "homedir"), context_check_path, &u->home);
	if (rc == 0)
		rc = reading_value(r, value_get(v, "shell"), context_check_path, &u->shell);
	if (rc == 0)
		rc = reading_u32(r, value_get(v, "uid"), 1, UINT32_MAX - 1, &u->uid);
	if (rc == 0)
		rc = take_groups(r, value_get(v, "groups"), &u->groups);
	if (rc == 0)
		rc = take_sudo(r, value_get(v, "sudo"), &u->sudo);
	if (rc == 0)
		rc = reading_list(r, value_get(v, "ssh_authorized_keys"), context_check_ssh_key,
				  &u->ssh_keys);
	if (rc == 0)
		rc = reading_value(r, value_get(v, "passwd"), context_check_passwd_field,
				   &u->password_hash);
	if (rc == 0)
		rc = reading_value(r, value_get(v, "plain_text_passwd"), context_check_password,
				   &u->password);
	if (rc == 0)
		rc = reading_choice(r, value_get(v, "lock_passwd"), &u->lock_password);
	if (rc == 0)
		rc = reading_choice(r, value_get(v, "system"), &u->system);
	return rc < 0 ? rc : tell_others(r, v, "users", known);
}

static int on_users(struct reading *r, const struct value *v)
{
	int rc = 0;

	value_foreach (item, v)
		rc = rc < 0 ? rc : on_user(r, item);
	return rc;
}

/* ---- the rest ------------------------------------------------------------------------------ */

static int on_hostname(struct reading *r, const struct value *v)
{
	return r->c->hostname || !scalar(v) ? 0 : reading_hostname(r, scalar(v));
}

static int on_time_zone(struct reading *r, const struct value *v)
{
	return r->c->time_zone ? 0 : reading_value(r, v, context_check_time_zone, &r->c->time_zone);
}

static int on_locale(struct reading *r, const struct value *v)
{
	return r->c->locale ? 0 : reading_value(r, v, context_check_locale, &r->c->locale);
}

static int on_keys(struct reading *r, const struct value *v)
{
	return reading_list(r, v, context_check_ssh_key, &r->c->ssh_keys);
}

static int on_password(struct reading *r, const struct value *v)
{
	struct user *u = &r->c->default_user;

	if (u->password || u->password_hash)
		return 0;
	if (scalar(v) && str_has_prefix(scalar(v), "$"))
		return reading_value(r, v, context_check_passwd_field, &u->password_hash);
	return reading_value(r, v, context_check_password, &u->password);
}

static int on_password_login(struct reading *r, const struct value *v)
{
	return r->c->ssh_password_login ? 0 : reading_choice(r, v, &r->c->ssh_password_login);
}

static const struct {
	const char *key;
	int (*take)(struct reading *r, const struct value *v);
} keys[] = {
	{"fqdn", on_hostname}, /* says more, so it comes first */
	{"hostname", on_hostname},
	{"timezone", on_time_zone},
	{"locale", on_locale},
	{"ssh_authorized_keys", on_keys},
	{"users", on_users},
	{"password", on_password},
	{"ssh_pwauth", on_password_login},
	{"write_files", on_files},
	{"bootcmd", on_commands},
	{"runcmd", on_commands},
};

/*
 * Keys that say how something is to be done that is done in our own way, and what they may say for that
 * to be true.
 */
static const struct {
	const char *key, *member; /* member: of the key's map; NULL: of the key itself */
	enum context_choice not ; /* this is not done */
} silent[] = {
	{"preserve_hostname", NULL, CHOICE_YES}, {"manage_etc_hosts", NULL, CHOICE_OPEN},
	{"growpart", "mode", CHOICE_NO},         {"resize_rootfs", NULL, CHOICE_NO},
	{"final_message", NULL, CHOICE_OPEN},    {"output", NULL, CHOICE_OPEN},
	{"chpasswd", "expire", CHOICE_YES},      {"disable_root", NULL, CHOICE_YES},
};

/* *done: it is nothing that would have to be told. */
static int judge_silent(struct reading *r, const struct value *v, bool *done)
{
	static const char *const chpasswd[] = {"expire", NULL};

	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		enum context_choice said = CHOICE_OPEN;
		const struct value *at = v;

		if (strcmp(v->key, silent[i].key) != 0)
			continue;
		if (silent[i].member)
			at = v->kind == VALUE_MAP ? value_get(v, silent[i].member) : NULL;
		if (silent[i].not != CHOICE_OPEN && scalar(at) && reading_choice(r, at, &said) < 0)
			return -ENOMEM;
		*done = said == CHOICE_OPEN || said != silent[i].not ;
		return strcmp(v->key, "chpasswd") == 0 ? tell_others(r, v, v->key, chpasswd) : 0;
	}
	return 0;
}

static int tell_unknown(struct reading *r, const struct value *top)
{
	int rc = 0;

	value_foreach (item, top) {
		bool known = false;

		if (rc == 0)
			rc = judge_silent(r, item, &known);
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			known |= strcmp(keys[i].key, item->key) == 0;
		if (!known && rc == 0)
			rc = reading_note(r, "user data: '%s' is not something that ctxd does",
					  item->key);
	}
	return rc;
}

static int expand_config(struct reading *r, const struct buf *text)
{
	static const struct value_limits limits = {.bytes = MIB, .depth = 16, .nodes = 20000};
	AUTO(value_free) struct value *top = NULL;
	struct err e;
	int rc = yaml_parse("user-data", text->data, text->len, &limits, &top, &e);

	if (rc < 0)
		return e.code == ENOMEM ? -ENOMEM : reading_note(r, "%s", e.msg);
	if (top->kind == VALUE_NULL)
		return 0;
	if (top->kind != VALUE_MAP)
		return reading_note(r, "user data: #cloud-config is no map");
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(keys); i++) {
		const struct value *v = value_get(top, keys[i].key);

		if (v && v->kind != VALUE_NULL)
			rc = keys[i].take(r, v);
	}
	return rc < 0 ? rc : tell_unknown(r, top);
}

int userdata_expand(struct context *c, struct strlist *notes, struct err *e)
{
	struct reading r = {.c = c, .notes = notes, .where = "user-data"};
	const char *text = buf_str(&c->user_data);
	int rc = 0;

	if (!c->has_user_data || !c->user_data.len)
		return 0;
	if (str_has_prefix(text, "#!"))
		rc = add_script(c, "user-data", &c->user_data);
	else if (str_has_prefix(text, "#cloud-config"))
		rc = expand_config(&r, &c->user_data);
	else
		rc = reading_note(&r, "user data of this kind are not something that ctxd runs");
	return rc < 0 ? err_nomem(e) : 0;
}
