/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads maps into the model by its rows: see context/bind.h. What a value of any bytes is can be
 * said in three ways: as text under its name, in base64 under NAME-base64, and as a file under
 * NAME-file.
 */
#include "context/bind.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"

#define BYTES_MAX MIB            /* of one value */
#define BYTES_MAX_ALL (32 * MIB) /* of all together */

void bind_fault(struct bind_reader *r, const struct err *e)
{
	if (r->report)
		r->report(r->arg, e);
	if (r->rc)
		return;
	r->rc = -e->code;
	if (r->first)
		*r->first = *e;
}

/* ---- scalars ------------------------------------------------------------------------------- */

int bind_checked_text(const struct value *v, context_check_fn *check, const char **ret,
		      struct err *e)
{
	struct err why = {0};
	int rc = value_text(v, ret, e);

	if (!rc && check && check(*ret, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	return rc;
}

int bind_text(const struct value *v, context_check_fn *check, char **at, struct err *e)
{
	const char *s;
	int rc = bind_checked_text(v, check, &s, e);

	if (rc)
		return rc;
	return context_set(at, s) ? err_nomem(e) : 0;
}

static int set_mac(const struct value *v, char at[18], struct err *e)
{
	struct err why = {0};
	const char *s;
	int rc = value_text(v, &s, e);

	if (!rc && context_parse_mac(s, at, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	return rc;
}

static int set_u32(const struct value *v, const struct context_field *f, uint32_t *at,
		   struct err *e)
{
	uint64_t n;
	int rc = value_u64(v, f->min, f->max, &n, e);

	if (!rc)
		*at = (uint32_t)n;
	return rc;
}

/* In octal, as people write it: 644, "0644", 0o644. */
static int set_mode(const struct value *v, const struct context_field *f, uint32_t *at,
		    struct err *e)
{
	const char *s;
	int rc = value_text(v, &s, e);
	unsigned long n;
	char *end;

	if (rc)
		return rc;
	if (str_has_prefix(s, "0o"))
		s += 2;
	n = strtoul(s, &end, 8);
	if (*s < '0' || *s > '7' || *end || n < f->min || n > f->max)
		return value_err(v, e, EBADMSG, "is not the mode of a file, as in 0644");
	*at = (uint32_t)n;
	return 0;
}

static int set_size(const struct value *v, const struct context_field *f, uint64_t *at,
		    struct err *e)
{
	uint64_t n;
	int rc = value_size(v, &n, e);

	if (!rc && (n < f->min || n > f->max))
		return value_err(v, e, ERANGE, "must be at least %llu", (unsigned long long)f->min);
	if (!rc)
		*at = n;
	return rc;
}

static int set_time(const struct value *v, uint64_t *at, struct err *e)
{
	struct err why = {0};
	const char *s;
	int rc = value_text(v, &s, e);

	if (!rc && context_parse_time(s, at, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	return rc;
}

static int set_choice(const struct value *v, enum context_choice *at, struct err *e)
{
	bool yes;
	int rc = value_bool(v, &yes, e);

	if (!rc)
		*at = yes ? CHOICE_YES : CHOICE_NO;
	return rc;
}

static int set_method(const struct value *v, bool ipv6, enum nic_method *at, struct err *e)
{
	static const char *const names[] = {
		[NIC_STATIC] = "static",
		[NIC_DHCP] = "dhcp",
		[NIC_AUTO] = "auto",
		[NIC_SKIP] = "skip",
	};
	const char *s;
	int rc = value_string(v, &s, e);

	if (rc)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(s, names[i]) || (i == NIC_AUTO && !ipv6))
			continue;
		*at = (enum nic_method)i;
		return 0;
	}
	return value_err(v, e, EBADMSG, "is not one of: static, dhcp, %sskip",
			 ipv6 ? "auto, " : "");
}

/* ---- any bytes ------------------------------------------------------------------------------- */

/*
 * Opens path below folder, one component after the other: nothing on the way may be a symbolic
 * link, "." or "..", so it cannot lead out of the folder.
 */
static int open_below(int folder, const char *path, struct err *e)
{
	AUTO_FD int dir = -1;

	for (;;) {
		size_t len = strcspn(path, "/");
		AUTO_FREE char *name = strndup(path, len);
		bool last = !path[len];
		int fd;

		if (!name)
			return err_nomem(e);
		if (!name_is_plain(name))
			return err_set(e, EACCES, "is not a path below the instance file's folder");
		fd = openat(dir >= 0 ? dir : folder, name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (last ? O_NONBLOCK : O_DIRECTORY));
		if (fd < 0)
			return err_errno(e, errno, "'%s' cannot be opened", name);
		if (last)
			return fd;
		if (dir >= 0)
			close(dir);
		dir = fd;
		path += len + 1;
	}
}

static int set_from_file(const struct bind_reader *r, const struct value *v, struct buf *at,
			 struct err *e)
{
	AUTO_FD int fd = -1;
	struct err why = {0};
	const char *path;
	struct stat st;
	int rc = value_string(v, &path, e);

	if (rc)
		return rc;
	if (r->folder < 0)
		return value_err(v, e, EACCES, "there is no folder to take a file from");
	fd = open_below(r->folder, path, &why);
	if (fd < 0)
		return value_err(v, e, why.code, "%s", why.msg);
	if (fstat(fd, &st))
		return value_err(v, e, errno, "'%s': %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return value_err(v, e, EBADMSG, "'%s' is not a regular file", path);
	if (fs_read_fd(fd, path, BYTES_MAX, at, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	return 0;
}

static int set_from_text(const struct value *v, bool base64, struct buf *at, struct err *e)
{
	struct err why = {0};
	const char *text;
	const void *data;
	size_t len;
	int rc = base64 ? value_string(v, &text, e) : value_bytes(v, &data, &len, e);

	if (rc)
		return rc;
	if (base64)
		return base64_decode(text, strlen(text), at, &why)
			       ? value_err(v, e, why.code, "%s", why.msg)
			       : 0;
	return buf_add(at, data, len) ? err_nomem(e) : 0;
}

/* The key of the map that gave this value before v did, NULL if v is the first. */
static const struct value *given_before(const struct value *v, const struct context_field *f)
{
	value_foreach (item, v->parent) {
		if (item == v)
			break;
		if (!strcmp(item->key, f->name) || !strcmp(item->key, f->name_base64) ||
		    !strcmp(item->key, f->name_file))
			return item;
	}
	return NULL;
}

static int set_bytes(struct bind_reader *r, const struct value *v, const struct context_field *f,
		     void *object, struct err *e)
{
	struct buf *at = (struct buf *)((char *)object + f->offset);
	const struct value *other = given_before(v, f);
	int rc;

	if (other)
		return value_err(v, e, EBADMSG, "%s is given by '%s' already", f->name, other->key);
	if (!strcmp(v->key, f->name_file))
		rc = set_from_file(r, v, at, e);
	else
		rc = set_from_text(v, !strcmp(v->key, f->name_base64), at, e);
	if (rc)
		return rc;
	if (f->offset_n)
		*((bool *)((char *)object + f->offset_n)) = true;
	r->taken += at->len;
	if (at->len > BYTES_MAX)
		return value_err(v, e, EFBIG, "is longer than 1 MiB");
	if (r->taken > BYTES_MAX_ALL)
		return value_err(v, e, EFBIG, "all contents together are longer than 32 MiB");
	return 0;
}

/* ---- lists and maps ------------------------------------------------------------------------ */

static int expect_at_most(const struct value *v, enum value_kind kind, size_t max, struct err *e)
{
	int rc = value_expect(v, kind, e);

	if (!rc && v->n_items > max)
		return value_err(v, e, EFBIG, "has more than %zu entries", max);
	return rc;
}

/* Each one's fault is told by itself. */
static int set_list(struct bind_reader *r, const struct value *v, context_check_fn *check,
		    struct strlist *l, struct err *e)
{
	int rc = expect_at_most(v, VALUE_LIST, BIND_MAX_LIST, e);

	if (rc)
		return rc;
	value_foreach (item, v) {
		struct err why = {0};
		const char *s;

		if (bind_checked_text(item, check, &s, &why))
			bind_fault(r, &why);
		else if (strlist_add(l, s))
			return err_nomem(e);
	}
	return 0;
}

static int set_pairs(struct bind_reader *r, const struct value *v, const struct context_field *f,
		     void *object, struct err *e)
{
	struct context_pair **pairs = (struct context_pair **)((char *)object + f->offset);
	size_t *n = (size_t *)((char *)object + f->offset_n);
	int rc = expect_at_most(v, VALUE_MAP, BIND_MAX_LIST, e);

	if (rc)
		return rc;
	value_foreach (item, v) {
		struct err why = {0};
		struct err rule = {0};
		const char *s;

		if (f->check_key && f->check_key(item->key, &rule)) {
			value_err(item, &why, rule.code, "the key %s", rule.msg);
			bind_fault(r, &why);
		} else if (bind_checked_text(item, f->check, &s, &why)) {
			bind_fault(r, &why);
		} else if (pairs_add(pairs, n, item->key, s)) {
			return err_nomem(e);
		}
	}
	return 0;
}

/* ---- NICs ------------------------------------------------------------------------------------ */

/* What the rows do not say: of several, a NIC is known by its MAC or name; methods have defaults. */
static void finish_nic(struct bind_reader *r, const struct value *v, struct nic *n)
{
	const struct context *c = r->c;
	const struct value *mac = value_get(v, "mac");
	struct err e = {0};

	if (!mac && !value_get(v, "name") && v->parent->n_items > 1) {
		value_err(v, &e, EBADMSG, "the key 'mac' is missing");
		bind_fault(r, &e);
	}
	for (const struct nic *other = c->nics; other != n && n->mac[0]; other++) {
		if (strcmp(other->mac, n->mac))
			continue;
		value_err(mac, &e, EBADMSG, "is the MAC address of nics[%zu] too",
			  (size_t)(other - c->nics));
		bind_fault(r, &e);
	}
	/* A NIC without addresses asks for them; `skip` means the NIC. */
	if (!value_get(v, "method"))
		n->method = n->addresses.n ? NIC_STATIC : NIC_DHCP;
	if (!value_get(v, "method6"))
		n->method6 = n->method == NIC_SKIP ? NIC_SKIP : NIC_STATIC;
}

static int set_structs(struct bind_reader *r, const struct value *v, const struct context_field *f,
		       void *object, struct err *e)
{
	bool nics = f->fields == nic_fields;
	int rc = expect_at_most(v, VALUE_LIST, nics ? BIND_MAX_NICS : BIND_MAX_LIST, e);

	if (rc)
		return rc;
	value_foreach (item, v) {
		void *one = context_field_append(f, object);

		if (!one)
			return err_nomem(e);
		bind_struct(r, item, f->fields, one, NULL);
		if (nics)
			finish_nic(r, item, one);
	}
	return 0;
}

/* ---- rows -------------------------------------------------------------------------------------- */

int bind_field(struct bind_reader *r, const struct value *v, const struct context_field *f,
	       void *object, struct err *e)
{
	void *at = (char *)object + f->offset;

	switch (f->kind) {
	case CTX_TEXT:
		return bind_text(v, f->check, at, e);
	case CTX_MAC:
		return set_mac(v, at, e);
	case CTX_U32:
		return set_u32(v, f, at, e);
	case CTX_MODE:
		return set_mode(v, f, at, e);
	case CTX_SIZE:
		return set_size(v, f, at, e);
	case CTX_TIME:
		return set_time(v, at, e);
	case CTX_CHOICE:
		return set_choice(v, at, e);
	case CTX_METHOD:
		return set_method(v, !strcmp(f->name, "method6"), at, e);
	case CTX_LIST:
		return set_list(r, v, f->check, at, e);
	case CTX_BYTES:
		return set_bytes(r, v, f, object, e);
	case CTX_PAIRS:
		return set_pairs(r, v, f, object, e);
	case CTX_STRUCT:
		bind_struct(r, v, f->fields, at, NULL);
		return 0; /* each fault has been told */
	case CTX_STRUCTS:
		return set_structs(r, v, f, object, e);
	case CTX_END:
		break;
	}
	return value_err(v, e, EINVAL, "has no kind");
}

struct struct_reader {
	struct bind_reader *r;
	const struct context_field *table;
	void *object;
	const struct value_field *more;
};

static void struct_fault(void *arg, const struct err *e)
{
	bind_fault(((struct struct_reader *)arg)->r, e);
}

static int on_key(const struct value *v, void *object, struct err *e)
{
	const struct struct_reader *s = object;

	for (const struct value_field *m = s->more; m && m->key; m++)
		if (!strcmp(m->key, v->key))
			return m->handler(v, s->r, e);
	for (const struct context_field *f = s->table; f->name; f++)
		if (!strcmp(f->name, v->key) ||
		    (f->kind == CTX_BYTES &&
		     (!strcmp(f->name_base64, v->key) || !strcmp(f->name_file, v->key))))
			return bind_field(s->r, v, f, s->object, e);
	return value_err(v, e, EINVAL, "has no row");
}

int bind_struct(struct bind_reader *r, const struct value *map, const struct context_field *table,
		void *object, const struct value_field *more)
{
	struct struct_reader s = {r, table, object, more};
	AUTO_FREE struct value_field *keys = NULL;
	size_t n = 1, i = 0;
	struct err e = {0};

	for (const struct context_field *f = table; f->name; f++)
		n += f->kind == CTX_BYTES ? 3 : 1;
	for (const struct value_field *m = more; m && m->key; m++)
		n++;
	keys = calloc(n, sizeof(*keys));
	if (!keys) {
		err_nomem(&e);
		bind_fault(r, &e);
		return -ENOMEM;
	}
#define KEY(text, needed)                                                                          \
	keys[i++] = (struct value_field)                                                           \
	{                                                                                          \
		.key = text, .type = FIELD_CUSTOM, .required = needed, .handler = on_key           \
	}
	for (const struct context_field *f = table; f->name; f++) {
		KEY(f->name, f->required);
		if (f->kind == CTX_BYTES) {
			KEY(f->name_base64, false);
			KEY(f->name_file, false);
		}
	}
	for (const struct value_field *m = more; m && m->key; m++)
		KEY(m->key, m->required);
	return value_bind_all(map, keys, &s, struct_fault, &s);
}
