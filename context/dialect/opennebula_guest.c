/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What context.sh says about the guest itself, both ways:
 *
 *	variable                              member
 *	USERNAME, USERNAME_SUDO (GRANT_SUDO),
 *	USERNAME_SHELL                        default_user; SUDO is YES or NO
 *	CRYPTED_PASSWORD_BASE64, PASSWORD_BASE64, CRYPTED_PASSWORD, PASSWORD
 *	                                      default_user; the first that is there
 *	TIMEZONE, GROW_ROOTFS, GROW_FS, IGNORE_SWAP
 *	                                      time_zone, grow_root, grow_fs, not swap_devices
 *	DISKn_MOUNT_TAG, DISKn_MOUNT_POINT    mounts of type virtiofs
 *	START_SCRIPT_BASE64, START_SCRIPT     scripts, by the name of start-script
 *	INIT_SCRIPTS, else init.sh            scripts, with the files of those names
 *	REPORT_READY, READY_SCRIPT, RETRY_COUNT, RETRY_WAIT_PERIOD, ONEGATE_ENDPOINT,
 *	ONEGATE_TOKEN (token.txt), VMID       ready
 *	other files of the image              files
 *
 * Not read, and so extra: USERNAME_PASSWORD_RESET, DNS_HOSTNAME, SECURETTY, RECREATE_RUN,
 * READY_SCRIPT_PATH, NETCFG_*, VROUTER_*.
 */
#include <stdio.h>

#include "context/dialect/opennebula.h"
#include "context/rules.h"
#include "lib/fs.h"
#include "lib/str.h"

#define SUDO_ALL "ALL=(ALL) NOPASSWD:ALL"
#define MOUNTS_MAX 64
#define TOKEN_FILE "token.txt"
#define INIT_SCRIPT "init.sh"

static const char *const variables[] = {
	"USERNAME",
	"USERNAME_SUDO",
	"GRANT_SUDO",
	"USERNAME_SHELL",
	"CRYPTED_PASSWORD_BASE64",
	"PASSWORD_BASE64",
	"CRYPTED_PASSWORD",
	"PASSWORD",
	"TIMEZONE",
	"GROW_ROOTFS",
	"GROW_FS",
	"IGNORE_SWAP",
	"START_SCRIPT_BASE64",
	"START_SCRIPT",
	"REPORT_READY",
	"READY_SCRIPT",
	"RETRY_COUNT",
	"RETRY_WAIT_PERIOD",
	"ONEGATE_ENDPOINT",
	"ONEGATE_TOKEN",
	"VMID",
};

/* "DISK3_MOUNT_TAG": 3. */
static bool is_mount(const char *name, unsigned *ret)
{
	char *end;
	unsigned long n;

	if (strncmp(name, "DISK", 4) != 0 || name[4] < '0' || name[4] > '9')
		return false;
	n = strtoul(name + 4, &end, 10);
	*ret = (unsigned)n;
	return n < MOUNTS_MAX && (!strcmp(end, "_MOUNT_TAG") || !strcmp(end, "_MOUNT_POINT"));
}

bool one_is_guest_variable(const char *name)
{
	unsigned n;

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if (!strcmp(name, variables[i]))
			return true;
	return is_mount(name, &n);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_user(struct one_reader *o)
{
	struct user *u = &o->r.c->default_user;
	enum context_choice sudo = CHOICE_OPEN;
	int rc = reading_text(&o->r, "USERNAME", one_get(o, "USERNAME"), context_check_user_name,
			      &u->name);

	rc = rc ? rc
		: reading_text(&o->r, "USERNAME_SHELL", one_get(o, "USERNAME_SHELL"),
			       context_check_path, &u->shell);
	one_choice(o, "GRANT_SUDO", &sudo);
	one_choice(o, "USERNAME_SUDO", &sudo);
	if (!rc && sudo != CHOICE_OPEN)
		rc = context_set(&u->sudo, sudo == CHOICE_YES ? SUDO_ALL : "");
	return rc;
}

/* A variable in base64, as text that keeps a rule. */
static int read_coded(struct one_reader *o, const char *name, context_check_fn *check, char **at)
{
	const char *coded = one_get(o, name);
	AUTO_BUF text = BUF_INIT;
	struct err why = {0};

	if (!coded)
		return 0;
	if (base64_decode(coded, strlen(coded), &text, &why))
		return why.code == ENOMEM ? -ENOMEM : reading_note(&o->r, "%s: %s", name, why.msg);
	if (strlen(buf_str(&text)) != text.len || check(buf_str(&text), &why))
		return reading_note(&o->r, "%s is not a password", name); /* it is not shown */
	return context_set(at, buf_str(&text));
}

static int read_plain(struct one_reader *o, const char *name, context_check_fn *check, char **at)
{
	const char *text = one_get(o, name);

	if (!text)
		return 0;
	if (check(text, NULL))
		return reading_note(&o->r, "%s is not a password", name);
	return context_set(at, text);
}

static int read_password(struct one_reader *o)
{
	struct user *u = &o->r.c->default_user;
	int rc;

	if (one_get(o, "CRYPTED_PASSWORD_BASE64"))
		rc = read_coded(o, "CRYPTED_PASSWORD_BASE64", context_check_passwd_field,
				&u->password_hash);
	else if (one_get(o, "PASSWORD_BASE64"))
		rc = read_coded(o, "PASSWORD_BASE64", context_check_password, &u->password);
	else if (one_get(o, "CRYPTED_PASSWORD"))
		rc = read_plain(o, "CRYPTED_PASSWORD", context_check_passwd_field,
				&u->password_hash);
	else
		rc = read_plain(o, "PASSWORD", context_check_password, &u->password);
	return rc;
}

static int read_mounts(struct one_reader *o)
{
	for (unsigned i = 0; i < MOUNTS_MAX; i++) {
		struct err why = {0};
		char name[32];
		const char *tag, *point;
		struct context_mount *m;

		snprintf(name, sizeof(name), "DISK%u_MOUNT_TAG", i);
		tag = one_get(o, name);
		snprintf(name, sizeof(name), "DISK%u_MOUNT_POINT", i);
		point = one_get(o, name);
		if (!tag || !point)
			continue;
		if (context_check_fstab_field(tag, &why) || context_check_path(point, &why)) {
			if (reading_note(&o->r, "%s: %s", name, why.msg))
				return -ENOMEM;
			continue;
		}
		m = context_add_mount(o->r.c);
		if (!m || context_set(&m->source, tag) || context_set(&m->target, point) ||
		    context_set(&m->type, "virtiofs"))
			return -ENOMEM;
	}
	return 0;
}

static int read_disks(struct one_reader *o)
{
	struct context *c = o->r.c;
	enum context_choice ignore = CHOICE_OPEN;
	const char *list = one_get(o, "GROW_FS");
	AUTO_FREE char *copy = list ? strdup(list) : NULL;
	char *save = NULL;
	int rc = 0;

	if (list && !copy)
		return -ENOMEM;
	for (char *w = copy ? strtok_r(copy, " \t\r\n,", &save) : NULL; w && !rc;
	     w = strtok_r(NULL, " \t\r\n,", &save))
		rc = reading_item(&o->r, "GROW_FS", w, context_check_path, &c->grow_fs);
	one_choice(o, "GROW_ROOTFS", &c->grow_root);
	one_choice(o, "IGNORE_SWAP", &ignore);
	if (ignore != CHOICE_OPEN)
		c->swap_devices = ignore == CHOICE_YES ? CHOICE_NO : CHOICE_YES;
	return rc ? rc : read_mounts(o);
}

static int add_script(struct one_reader *o, const char *name, const void *data, size_t len)
{
	struct context_script *s = context_add_script(o->r.c);

	return !s || context_set(&s->name, name) || buf_add(&s->content, data, len) ? -ENOMEM : 0;
}

static int read_start_script(struct one_reader *o)
{
	const char *coded = one_get(o, "START_SCRIPT_BASE64"), *text = one_get(o, "START_SCRIPT");
	AUTO_BUF decoded = BUF_INIT;
	struct err why = {0};

	if (coded && base64_decode(coded, strlen(coded), &decoded, &why))
		return why.code == ENOMEM ? -ENOMEM
					  : reading_note(&o->r, "START_SCRIPT_BASE64: %s", why.msg);
	if (coded)
		return add_script(o, ONE_START_SCRIPT, buf_str(&decoded), decoded.len);
	return text ? add_script(o, ONE_START_SCRIPT, text, strlen(text)) : 0;
}

static bool is_script(const struct context *c, const char *name)
{
	for (size_t i = 0; i < c->n_scripts; i++)
		if (!strcmp(c->scripts[i].name, name))
			return true;
	return false;
}

/*
 * INIT_SCRIPTS are files of the image, each once, so that a long list of one name costs no more than
 * the file; where nobody knows these, the variable stays as it is.
 */
static int read_init_scripts(struct one_reader *o)
{
	const char *names = one_get(o, "INIT_SCRIPTS");
	AUTO_FREE char *copy = strdup(names ? names : INIT_SCRIPT);
	char *save = NULL;
	int rc = 0;

	if (!o->docs)
		return names ? context_add_extra(o->r.c, "INIT_SCRIPTS", names) : 0;
	if (!copy)
		return -ENOMEM;
	for (char *w = strtok_r(copy, " \t\r\n", &save); w && !rc;
	     w = strtok_r(NULL, " \t\r\n", &save)) {
		struct http_slice s;

		if (is_script(o->r.c, w))
			continue;
		if (!context_check_file_name(w, NULL) && tree_leaf(o->docs, w, &s))
			rc = add_script(o, w, s.p, s.len);
		else if (names)
			rc = reading_note(&o->r, "INIT_SCRIPTS: there is no file '%s'", w);
	}
	return rc;
}

static int take_file(void *arg, const char *path, struct http_slice value)
{
	struct one_reader *o = arg;
	struct context_file *f;

	if (!strcmp(path, OPENNEBULA_FILE) || !strcmp(path, TOKEN_FILE) || strchr(path, '/') ||
	    is_script(o->r.c, path))
		return 0;
	if (context_check_file_name(path, NULL))
		return reading_note(&o->r, "a file whose name is no text");
	if (reading_files_full(&o->r, value.len))
		return 0;
	f = context_add_file(o->r.c);
	return !f || context_set(&f->name, path) || buf_add(&f->content, value.p, value.len)
		       ? -ENOMEM
		       : 0;
}

static int read_token(struct one_reader *o)
{
	const char *given = one_get(o, "ONEGATE_TOKEN");
	char **at = &o->r.c->ready.token;
	AUTO_FREE char *text = NULL;
	struct http_slice s;

	if (given)
		return reading_text(&o->r, "ONEGATE_TOKEN", given, context_check_secret, at);
	if (!o->docs || !tree_leaf(o->docs, TOKEN_FILE, &s))
		return 0;
	text = strndup(s.p, s.len);
	if (!text)
		return -ENOMEM;
	text[strcspn(text, "\r\n")] = '\0';
	return reading_text(&o->r, TOKEN_FILE, text, context_check_secret, at);
}

static int read_number(struct one_reader *o, const char *name, uint32_t max, uint32_t *at)
{
	const char *s = one_get(o, name);
	uint64_t n;

	if (!s)
		return 0;
	if (str_to_u64(s, 0, max, &n, NULL))
		return reading_note(&o->r, "%s '%s' is not a number up to %u", name, s, max);
	*at = (uint32_t)n;
	return 0;
}

/* As one-apps does it, what looks like base64 is taken for that. */
static int read_ready_script(struct one_reader *o)
{
	const char *s = one_get(o, "READY_SCRIPT");
	struct buf *at = &o->r.c->ready.script;

	if (!s)
		return 0;
	if (!strpbrk(s, " \t\r\n") && !base64_decode(s, strlen(s), at, NULL))
		return 0;
	return buf_adds(at, s);
}

static int read_ready(struct one_reader *o)
{
	struct context_ready *y = &o->r.c->ready;
	int rc;

	one_choice(o, "REPORT_READY", &y->report);
	rc = reading_text(&o->r, "ONEGATE_ENDPOINT", one_get(o, "ONEGATE_ENDPOINT"),
			  context_check_url, &y->endpoint);
	rc = rc ? rc
		: reading_text(&o->r, "VMID", one_get(o, "VMID"), context_check_token, &y->vm_id);
	rc = rc ? rc : read_token(o);
	rc = rc ? rc : read_ready_script(o);
	rc = rc ? rc : read_number(o, "RETRY_COUNT", 10000, &y->retries);
	return rc ? rc : read_number(o, "RETRY_WAIT_PERIOD", 86400, &y->retry_wait);
}

int one_read_guest(struct one_reader *o)
{
	int rc = read_user(o);

	rc = rc ? rc : read_password(o);
	rc = rc ? rc
		: reading_text(&o->r, "TIMEZONE", one_get(o, "TIMEZONE"), context_check_time_zone,
			       &o->r.c->time_zone);
	rc = rc ? rc : read_disks(o);
	rc = rc ? rc : read_init_scripts(o);
	rc = rc ? rc : read_start_script(o);
	rc = rc ? rc : read_ready(o);
	return rc || !o->docs ? rc : tree_walk(o->docs, UINT32_MAX, take_file, o);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int write_user(struct one_writer *w, const struct user *u)
{
	AUTO_BUF hash = BUF_INIT, password = BUF_INIT;
	int rc = one_put(w, "USERNAME", u->name);

	rc = rc ? rc : one_put(w, "USERNAME_SHELL", u->shell);
	if (!rc && u->sudo)
		rc = one_put(w, "USERNAME_SUDO", *u->sudo ? "YES" : "NO");
	if (rc)
		return rc;
	if (buf_adds(&hash, u->password_hash ? u->password_hash : "") ||
	    buf_adds(&password, u->password ? u->password : ""))
		return err_nomem(w->e);
	rc = one_put_base64(w, "CRYPTED_PASSWORD_BASE64", &hash);
	return rc || hash.len ? rc : one_put_base64(w, "PASSWORD_BASE64", &password);
}

static int write_mounts(struct one_writer *w, const struct context *c)
{
	unsigned n = 0;
	int rc = 0;

	for (size_t i = 0; i < c->n_mounts && !rc && n < MOUNTS_MAX; i++) {
		const struct context_mount *m = &c->mounts[i];
		char prefix[32];

		if (!m->type || strcmp(m->type, "virtiofs") != 0 || !m->target)
			continue;
		snprintf(prefix, sizeof(prefix), "DISK%u", n++);
		rc = one_put2(w, prefix, "_MOUNT_TAG", m->source);
		rc = rc ? rc : one_put2(w, prefix, "_MOUNT_POINT", m->target);
	}
	return rc;
}

/* The start script needs no file; others are files, if there is room for them. */
static int write_scripts(struct one_writer *w, const struct context *c)
{
	AUTO_BUF names = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; i < c->n_scripts && !rc; i++) {
		const struct context_script *s = &c->scripts[i];

		if (!strcmp(s->name, ONE_START_SCRIPT)) {
			rc = one_put_base64(w, "START_SCRIPT_BASE64", &s->content);
			continue;
		}
		if (!w->docs || strpbrk(s->name, " \t"))
			continue;
		if (buf_addf(&names, "%s%s", names.len ? " " : "", s->name))
			return err_nomem(w->e);
		rc = tree_add(w->docs, 0, s->name, buf_str(&s->content), s->content.len, w->e);
	}
	return rc ? rc : one_put(w, "INIT_SCRIPTS", buf_str(&names));
}

static int write_files(struct one_writer *w, const struct context *c)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_files && w->docs && !rc; i++) {
		const struct context_file *f = &c->files[i];
		const char *slash = f->path ? strrchr(f->path, '/') : NULL;
		const char *name = f->name ? f->name : slash ? slash + 1 : "";

		if (name_is_plain(name) && strcmp(name, OPENNEBULA_FILE) != 0)
			rc = tree_add(w->docs, 0, name, buf_str(&f->content), f->content.len, w->e);
	}
	return rc;
}

static int write_ready(struct one_writer *w, const struct context_ready *y)
{
	AUTO_FREE char *token = y->token ? str_format("%s\n", y->token) : NULL;
	int rc = one_put_choice(w, "REPORT_READY", y->report);

	rc = rc ? rc : one_put(w, "ONEGATE_ENDPOINT", y->endpoint);
	rc = rc ? rc : one_put(w, "VMID", y->vm_id);
	rc = rc ? rc : one_put_base64(w, "READY_SCRIPT", &y->script);
	rc = rc ? rc : one_put_number(w, "", "RETRY_COUNT", y->retries);
	rc = rc ? rc : one_put_number(w, "", "RETRY_WAIT_PERIOD", y->retry_wait);
	if (rc || !y->token)
		return rc;
	if (!w->docs)
		return one_put(w, "ONEGATE_TOKEN", y->token);
	if (!token)
		return err_nomem(w->e);
	rc = tree_adds(w->docs, 0, TOKEN_FILE, token, w->e);
	return rc ? rc : one_put(w, "TOKEN", "YES");
}

int one_write_guest(struct one_writer *w, const struct context *c)
{
	int rc = write_user(w, &c->default_user);

	rc = rc ? rc : one_put(w, "TIMEZONE", c->time_zone);
	rc = rc ? rc : one_put_choice(w, "GROW_ROOTFS", c->grow_root);
	rc = rc ? rc : one_put_list(w, "", "GROW_FS", &c->grow_fs, " ");
	if (!rc && c->swap_devices != CHOICE_OPEN)
		rc = one_put(w, "IGNORE_SWAP", c->swap_devices == CHOICE_YES ? "NO" : "YES");
	rc = rc ? rc : write_mounts(w, c);
	rc = rc ? rc : write_scripts(w, c);
	rc = rc ? rc : write_files(w, c);
	return rc ? rc : write_ready(w, &c->ready);
}
