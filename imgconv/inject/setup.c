/* SPDX-License-Identifier: Apache-2.0 */
/* Host names and SSH keys in a guest: see setup.h. */
#include "imgconv/inject/setup.h"

#include <ctype.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"

#define TEXT_MAX MIB
#define HOSTNAME_MAX 253
#define LABEL_MAX 63

/* ---- text files of the guest ------------------------------------------------------------------- */

/* What the guest has, or what an earlier change will put there; 0 if there is none. */
static int read_text(struct guest_fs *fs, const struct overlay *to, const char *path,
		     struct buf *out, struct overlay_attr *attr, struct err *e)
{
	const struct overlay_entry *ours = overlay_find(to, path);
	struct guest_stat st;
	int rc;

	if (ours && ours->kind == OVERLAY_FILE) {
		*attr = ours->attr;
		return buf_add(out, ours->data, ours->len) < 0 ? err_nomem(e) : 1;
	}
	if (guest_fs_stat(fs, path, true, &st, NULL) < 0)
		return 0;
	rc = guest_fs_read_file(fs, path, TEXT_MAX, out, e);
	if (rc < 0)
		return rc;
	*attr = (struct overlay_attr){.mode = st.mode & 07777, .uid = st.uid, .gid = st.gid};
	return 1;
}

/*
 * Copies text to out with the line that begins with key replaced by key and value; appends it if
 * there is none and `append` says so. Returns whether there was one.
 */
static int replace_line(const struct buf *text, const char *key, const char *value, bool append,
			struct buf *out)
{
	int found = 0;

	for (const char *s = buf_str(text); *s;) {
		size_t len = strcspn(s, "\n");
		size_t whole = len + (s[len] == '\n');
		bool match = str_has_prefix(s, key);

		if (match ? buf_addf(out, "%s%s\n", key, value) < 0 : buf_add(out, s, whole) < 0)
			return -ENOMEM;
		found |= match;
		s += whole;
	}
	if (!found && append) {
		if (out->len && out->data[out->len - 1] != '\n' && buf_addc(out, '\n') < 0)
			return -ENOMEM;
		if (buf_addf(out, "%s%s\n", key, value) < 0)
			return -ENOMEM;
	}
	return found;
}

/* ---- host name ------------------------------------------------------------------------------- */

bool hostname_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > HOSTNAME_MAX)
		return false;
	for (const char *s = name; *s;) {
		size_t n = strcspn(s, ".");

		if (!n || n > LABEL_MAX || *s == '-' || s[n - 1] == '-' || (s[n] && !s[n + 1]))
			return false;
		for (size_t i = 0; i < n; i++) {
			if (!isascii((unsigned char)s[i]) ||
			    (!isalnum((unsigned char)s[i]) && s[i] != '-'))
				return false;
		}
		s += n + (s[n] == '.');
	}
	return true;
}

struct text_edit {
	const char *path, *key, *value;
	bool append; /* the line, if it is missing; the file is there */
};

static int edit(struct guest_fs *fs, const struct text_edit *x, struct overlay *to, struct err *e)
{
	AUTO_BUF text = BUF_INIT, out = BUF_INIT;
	struct overlay_attr attr = {0};
	int rc = read_text(fs, to, x->path, &text, &attr, e);

	if (rc <= 0)
		return rc;
	rc = replace_line(&text, x->key, x->value, x->append, &out);
	if (rc < 0)
		return err_nomem(e);
	if (!rc && !x->append)
		return 0;
	return overlay_add_file(to, x->path, buf_str(&out), out.len, &attr, e);
}

static bool exists(struct guest_fs *fs, const char *path)
{
	struct guest_stat st;

	return guest_fs_stat(fs, path, true, &st, NULL) >= 0;
}

/* Debian gives the name an address of its own. */
static int edit_hosts(struct guest_fs *fs, const char *name, struct overlay *to, struct err *e)
{
	size_t label = strcspn(name, ".");
	AUTO_FREE char *value = name[label] ? str_format("\t%s %.*s", name, (int)label, name)
					    : str_format("\t%s", name);
	struct text_edit x = {.path = "/etc/hosts", .key = "127.0.1.1", .value = value};

	return value ? edit(fs, &x, to, e) : err_nomem(e);
}

int setup_hostname(struct guest_fs *fs, const struct distro *d, const struct overlay_entry *x,
		   struct overlay *to, struct err *e)
{
	AUTO_FREE char *line = str_format("%s\n", x->data);
	AUTO_FREE char *quoted = str_format("\"%s\"", x->data);
	const struct text_edit edits[] = {
		{"/etc/sysconfig/network", "HOSTNAME=", x->data,
		 d->services == GUEST_SYSV_REDHAT},                   /* Red Hat to 6 */
		{"/etc/conf.d/hostname", "hostname=", quoted, false}, /* Gentoo */
	};
	struct overlay_attr attr = {.mode = 0644};
	const char *path = exists(fs, "/etc/HOSTNAME") && !exists(fs, "/etc/hostname")
				   ? "/etc/HOSTNAME" /* SUSE, Slackware */
				   : "/etc/hostname";
	int rc = line && quoted ? edit_hosts(fs, x->data, to, e) : err_nomem(e);

	for (size_t i = 0; i < ARRAY_SIZE(edits) && rc >= 0; i++)
		rc = edit(fs, &edits[i], to, e);
	return rc < 0 ? rc : overlay_add_file(to, path, line, strlen(line), &attr, e);
}

/* ---- accounts -------------------------------------------------------------------------------- */

struct account {
	uint32_t uid, gid;
	char *home;
};

/* NAME:PASSWORD:UID:GID:TEXT:HOME:SHELL */
static int parse_account(const char *line, size_t len, struct account *ret, struct err *e)
{
	AUTO_FREE char *copy = strndup(line, len);
	char *rest = copy, *part[7] = {NULL};
	uint64_t uid = 0, gid = 0;
	size_t n = 0;

	if (!copy)
		return err_nomem(e);
	while (rest && n < ARRAY_SIZE(part))
		part[n++] = strsep(&rest, ":");
	if (n < 6 || str_to_u64(part[2], 0, UINT32_MAX - 1, &uid, NULL) < 0 ||
	    str_to_u64(part[3], 0, UINT32_MAX - 1, &gid, NULL) < 0 || part[5][0] != '/')
		return err_set(e, EBADMSG,
			       "/etc/passwd: the line of '%s' has no ids, or no home folder",
			       part[0]);
	ret->uid = (uint32_t)uid;
	ret->gid = (uint32_t)gid;
	ret->home = strdup(part[5]);
	return ret->home ? 0 : err_nomem(e);
}

static int find_account(struct guest_fs *fs, const struct overlay *to, const char *name,
			struct account *ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct overlay_attr attr = {0};
	size_t n = strlen(name);
	int rc = read_text(fs, to, "/etc/passwd", &text, &attr, e);

	if (rc < 0)
		return rc;
	for (const char *s = buf_str(&text); *s;) {
		size_t len = strcspn(s, "\n");

		if (len > n && !memcmp(s, name, n) && s[n] == ':')
			return parse_account(s, len, ret, e);
		s += len + (s[len] == '\n');
	}
	return err_set(e, ENOENT, "there is no account '%s' in the guest's /etc/passwd", name);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static bool is_key_type(const char *s, size_t len)
{
	static const char *const types[] = {
		"ssh-ed25519",
		"ssh-rsa",
		"ssh-dss",
		"ecdsa-sha2-nistp256",
		"ecdsa-sha2-nistp384",
		"ecdsa-sha2-nistp521",
		"sk-ssh-ed25519@openssh.com",
		"sk-ecdsa-sha2-nistp256@openssh.com",
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strlen(types[i]) == len && !memcmp(types[i], s, len))
			return true;
	}
	return false;
}

/* The next word; quotes of options hold blanks together. */
static size_t word_len(const char *s, size_t len)
{
	bool quoted = false;
	size_t i = 0;

	for (; i < len && (quoted || (s[i] != ' ' && s[i] != '\t')); i++) {
		if (s[i] == '"' && (!i || s[i - 1] != '\\'))
			quoted = !quoted;
	}
	return i;
}

/* The bytes of a key begin with its type (RFC 4253, 6.6). */
static bool is_key(const char *type, size_t type_len, const char *s, size_t len)
{
	AUTO_BUF bytes = BUF_INIT;
	size_t n = word_len(s, len);

	return base64_decode(s, n, &bytes, NULL) >= 0 && bytes.len > 4 + type_len &&
	       be32_get((const uint8_t *)bytes.data) == type_len &&
	       !memcmp(bytes.data + 4, type, type_len);
}

static bool is_key_line(const char *s, size_t len)
{
	/* Options may come first. */
	for (unsigned i = 0; i < 2 && len; i++) {
		size_t n = word_len(s, len), blanks = n;

		while (blanks < len && (s[blanks] == ' ' || s[blanks] == '\t'))
			blanks++;
		if (is_key_type(s, n))
			return is_key(s, n, s + blanks, len - blanks);
		s += blanks;
		len -= blanks;
	}
	return false;
}

int ssh_keys_check(const char *text, size_t len, struct err *e)
{
	unsigned number = 0, keys = 0;

	while (len) {
		const char *nl = memchr(text, '\n', len);
		size_t n = nl ? (size_t)(nl - text) : len, whole = n + (nl != NULL);

		number++;
		if (n && text[n - 1] == '\r')
			return err_set(e, EINVAL, "line %u ends in a carriage return", number);
		for (size_t i = 0; i < n; i++) {
			if ((unsigned char)text[i] < 0x20 && text[i] != '\t')
				return err_set(e, EINVAL, "line %u: a control character", number);
		}
		if (n && *text != '#') {
			if (!is_key_line(text, n))
				return err_set(e, EINVAL, "line %u is no public key of SSH",
					       number);
			keys++;
		}
		text += whole;
		len -= whole;
	}
	return keys ? 0 : err_set(e, EINVAL, "there is no key in it");
}

static bool has_line(const struct buf *text, const char *line, size_t len)
{
	for (const char *s = buf_str(text); *s;) {
		size_t n = strcspn(s, "\n");

		if (n == len && !memcmp(s, line, len))
			return true;
		s += n + (s[n] == '\n');
	}
	return false;
}

/* The keys that are not there yet, each a line. */
static int add_keys(const char *keys, struct buf *text)
{
	for (const char *s = keys; *s;) {
		size_t n = strcspn(s, "\n");

		if (n && *s != '#' && !has_line(text, s, n)) {
			if (text->len && text->data[text->len - 1] != '\n' &&
			    buf_addc(text, '\n') < 0)
				return -ENOMEM;
			if (buf_add(text, s, n) < 0 || buf_addc(text, '\n') < 0)
				return -ENOMEM;
		}
		s += n + (s[n] == '\n');
	}
	return 0;
}

int setup_ssh_key(struct guest_fs *fs, const struct overlay_entry *x, struct overlay *to,
		  struct err *e)
{
	struct account a = {0};
	AUTO_BUF text = BUF_INIT;
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *path = NULL;
	struct overlay_attr attr, own;
	int rc = find_account(fs, to, x->user, &a, e);

	if (rc < 0)
		return rc;
	own = attr = (struct overlay_attr){.mode = 0600, .uid = a.uid, .gid = a.gid};
	dir = path_join(a.home, ".ssh");
	path = path_join(a.home, ".ssh/authorized_keys");
	if (!exists(fs, a.home))
		rc = err_set(e, ENOENT, "'%s', the home folder of '%s', is not in the guest",
			     a.home, x->user);
	free(a.home);
	if (rc < 0)
		return rc;
	if (!dir || !path)
		return err_nomem(e);
	rc = read_text(fs, to, path, &text, &attr, e);
	if (rc < 0)
		return rc;
	if (add_keys(x->data, &text) < 0)
		return err_nomem(e);
	own.mode = 0700;
	rc = overlay_add_dir(to, dir, &own, e);
	return rc < 0 ? rc : overlay_add_file(to, path, buf_str(&text), text.len, &attr, e);
}
