/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CloudStack's metadata as documents, by their paths on its virtual router, which serves them by
 * HTTP (context/dialect/cloudstack_http.c):
 *
 *	latest/meta-data/NAME   instance-id (or vm-id), local-hostname, public-hostname, local-ipv4,
 *	                        public-ipv4, availability-zone, service-offering, public-keys
 *	latest/user-data        any bytes
 *
 * There is nothing about the network but the address: its guests ask for a lease.
 */
#include "context/dialects.h"
#include "context/netconfig.h"
#include "context/rules.h"
#include "lib/str.h"

#define META "latest/meta-data/"
#define USER_DATA "latest/user-data"

static const char *const fields[] = {
	"instance-id",   "hostname", "public-hostname", "availability-zone",
	"instance-type", "ssh-keys", "user-data",       NULL,
};

/* ---- reading --------------------------------------------------------------------------------- */

/* A leaf's one line; NULL (no error) if there is none. */
static int line_of(const struct tree *t, const char *name, char **ret)
{
	AUTO_FREE char *path = str_format(META "%s", name);
	struct http_slice s;

	*ret = NULL;
	if (!path)
		return -ENOMEM;
	if (!tree_leaf(t, path, &s) || !s.len || memchr(s.p, '\0', s.len))
		return 0;
	*ret = strndup(s.p, s.len);
	if (!*ret)
		return -ENOMEM;
	(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return 0;
}

static int read_text(struct reading *r, const struct tree *t, const char *name,
		     context_check_fn *check, char **at)
{
	AUTO_FREE char *text = NULL;
	int rc = line_of(t, name, &text);

	return rc || !text ? rc : reading_text(r, name, text, check, at);
}

static int read_nic(struct reading *r, const struct tree *t)
{
	AUTO_FREE char *address = NULL;
	AUTO_FREE char *public = NULL;
	struct nic *n;
	int rc = line_of(t, "local-ipv4", &address);

	rc = rc ? rc : line_of(t, "public-ipv4", &public);
	if (rc || !address)
		return rc;
	rc = reading_nic(r, &n);
	if (!n)
		return rc;
	n->method = NIC_DHCP;
	rc = netconfig_add_address(r, n, address, NULL);
	return rc ? rc
		  : reading_text(r, "public-ipv4", public, context_check_ipv4, &n->public_ipv4);
}

static int fill(struct reading *r, const struct tree *t)
{
	struct context *c = r->c;
	AUTO_FREE char *hostname = NULL;
	struct http_slice s;
	int rc = read_text(r, t, "instance-id", context_check_instance_id, &c->instance_id);

	rc = rc ? rc : read_text(r, t, "vm-id", context_check_instance_id, &c->instance_id);
	rc = rc ? rc : line_of(t, "local-hostname", &hostname);
	rc = rc ? rc : reading_hostname(r, hostname);
	rc = rc ? rc
		: read_text(r, t, "public-hostname", context_check_hostname, &c->public_hostname);
	rc = rc ? rc
		: read_text(r, t, "availability-zone", context_check_token, &c->availability_zone);
	rc = rc ? rc : read_text(r, t, "service-offering", context_check_token, &c->instance_type);
	if (!rc && tree_leaf(t, META "public-keys", &s))
		rc = reading_keys(r, "public-keys", s.p, s.len, &c->ssh_keys);
	rc = rc ? rc : read_nic(r, t);
	if (rc || !tree_leaf(t, USER_DATA, &s) || !s.len)
		return rc;
	c->has_user_data = true;
	return buf_add(&c->user_data, s.p, s.len);
}

static int read_cloudstack(const struct tree *docs, const char *source, struct strlist *notes,
			   struct context **ret, struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	struct reading r = {.notes = notes};
	struct http_slice s;
	int rc;

	if (!tree_leaf(docs, META "instance-id", &s))
		return err_set(e, ENOENT, "there is no '" META "instance-id'");
	rc = context_new(&c, e);
	if (rc)
		return rc;
	r.c = c;
	if (context_set(&c->source, source) || fill(&r, docs))
		return err_nomem(e);
	*ret = STEAL(c);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int put(struct tree *docs, const char *name, const char *value, struct err *e)
{
	AUTO_FREE char *path = str_format(META "%s", name);

	if (!path)
		return err_nomem(e);
	return value ? tree_adds(docs, 0, path, value, e) : 0;
}

static int put_keys(struct tree *docs, const struct strlist *keys, struct err *e)
{
	AUTO_BUF lines = BUF_INIT;

	for (size_t i = 0; i < keys->n; i++)
		if (buf_addf(&lines, "%s\n", keys->v[i]))
			return err_nomem(e);
	return put(docs, "public-keys", lines.data, e);
}

static int write_cloudstack(const struct context *c, struct tree *docs, struct err *e)
{
	const struct nic *n = c->n_nics ? &c->nics[0] : NULL;
	struct ip_prefix ip;
	char address[46] = "";
	int rc;

	if (!c->instance_id)
		return err_set(e, EINVAL, "CloudStack's metadata need an instance-id");
	for (size_t i = 0; n && i < n->addresses.n && !address[0]; i++)
		if (!strchr(n->addresses.v[i], ':') &&
		    !context_parse_ip(n->addresses.v[i], &ip, NULL))
			context_format_ip(&ip, address);
	rc = put(docs, "instance-id", c->instance_id, e);
	rc = rc ? rc : put(docs, "vm-id", c->instance_id, e);
	rc = rc ? rc : put(docs, "local-hostname", c->hostname, e);
	rc = rc ? rc : put(docs, "public-hostname", c->public_hostname, e);
	rc = rc ? rc : put(docs, "local-ipv4", address[0] ? address : NULL, e);
	rc = rc ? rc : put(docs, "public-ipv4", n ? n->public_ipv4 : NULL, e);
	rc = rc ? rc : put(docs, "availability-zone", c->availability_zone, e);
	rc = rc ? rc : put(docs, "service-offering", c->instance_type, e);
	rc = rc ? rc : put_keys(docs, &c->ssh_keys, e);
	if (rc || !c->has_user_data || !c->user_data.len)
		return rc;
	return tree_add(docs, 0, USER_DATA, c->user_data.data, c->user_data.len, e);
}

const struct context_dialect dialect_cloudstack = {
	.name = "cloudstack",
	.mark = META "instance-id",
	.read = read_cloudstack,
	.write = write_cloudstack,
	.fields = fields,
};
