/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OVF environment, after DSP0243 "Open Virtualization Format Specification" 2.1.1, section 9.5:
 * ovf-env.xml on a CD-ROM, with properties as cloud-init and vSphere's images name them.
 *
 *	<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1">
 *	  <PropertySection>
 *	    <Property oe:key="instance-id" oe:value="i-1"/>
 *
 *	instance-id, hostname (or local-hostname), public-keys (one a line), password
 *	user-data        base64, else as it is
 *	network-config   context/netconfig.h, in base64, with the key "network" around it
 *	vendor-data      ours, in base64
 *	any other        extra, by its own name
 *
 * Not read: PlatformSection, Entity (other machines of a group), seedfrom.
 */
#include "context/dialects.h"
#include "context/netconfig.h"
#include "context/rules.h"
#include "lib/str.h"
#include "lib/xml.h"
#include "lib/yaml.h"

#define NS "http://schemas.dmtf.org/ovf/environment/1"
#define FILE_NAME "ovf-env.xml"

static const char *const fields[] = {
	"instance-id",  "hostname",         "ssh-keys",     "default-user.password",
	"user-data",    "vendor-data",      "extra",        "nics.mac",
	"nics.name",    "nics.method",      "nics.method6", "nics.addresses",
	"nics.gateway", "nics.gateway6",    "nics.dns",     "nics.search",
	"nics.routes",  "nics.mtu",         "nics.metric",  "nics.metric6",
	"nics.vlan-id", "nics.vlan-parent", NULL,
};

static const char *const known[] = {
	"instance-id", "hostname",  "local-hostname", "public-keys",
	"password",    "user-data", "network-config", "vendor-data",
};

/* ---- reading --------------------------------------------------------------------------------- */

/* The value of a property; NULL if there is none, or an empty one. */
static const char *property(const struct xml_node *section, const char *key)
{
	for (const struct xml_node *p = xml_child(section, "Property"); p;
	     p = xml_next(p, "Property")) {
		const char *k = xml_attr(p, "key"), *v = xml_attr(p, "value");

		if (k && v && *v && !strcmp(k, key))
			return v;
	}
	return NULL;
}

/* cloud-init takes user data that is no base64 as it is. */
static int take_bytes(const char *s, struct buf *at, bool *has)
{
	struct err why = {0};

	if (!s)
		return 0;
	*has = true;
	if (!base64_decode(s, strlen(s), at, &why))
		return 0;
	return why.code == ENOMEM ? -ENOMEM : buf_adds(at, s);
}

static int read_network(struct reading *r, const char *coded)
{
	static const struct value_limits limits = {.bytes = MIB, .depth = 16, .nodes = 20000};
	AUTO(value_free) struct value *doc = NULL;
	AUTO_BUF text = BUF_INIT;
	struct err why = {0};

	if (!coded)
		return 0;
	r->where = "network-config";
	if (base64_decode(coded, strlen(coded), &text, &why) ||
	    yaml_parse("network-config", buf_str(&text), text.len, &limits, &doc, &why))
		return why.code == ENOMEM ? -ENOMEM : reading_note(r, "%s", why.msg);
	return netconfig_read(r, doc);
}

static bool is_known(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i], key))
			return true;
	return false;
}

static int read_extra(struct reading *r, const struct xml_node *section)
{
	int rc = 0;

	for (const struct xml_node *p = xml_child(section, "Property"); p && !rc;
	     p = xml_next(p, "Property")) {
		const char *k = xml_attr(p, "key"), *v = xml_attr(p, "value");

		if (!k || !v || is_known(k) || reading_is_full(r, "properties", r->c->n_extra))
			continue;
		if (context_check_token(k, NULL) || !utf8_valid(v, strlen(v)))
			rc = reading_note(r, "a property's name is no text");
		else
			rc = context_add_extra(r->c, k, v);
	}
	return rc;
}

static int fill(struct reading *r, const struct xml_node *section)
{
	const char *hostname = property(section, "hostname");
	const char *keys = property(section, "public-keys");
	struct context *c = r->c;
	int rc = reading_text(r, "instance-id", property(section, "instance-id"),
			      context_check_instance_id, &c->instance_id);

	rc = rc ? rc
		: reading_hostname(r, hostname ? hostname : property(section, "local-hostname"));
	if (!rc && keys)
		rc = reading_keys(r, "public-keys", keys, strlen(keys), &c->ssh_keys);
	if (!rc && property(section, "password") &&
	    context_check_password(property(section, "password"), NULL))
		rc = reading_note(r, "password: cannot be one");
	else if (!rc)
		rc = context_set(&c->default_user.password, property(section, "password"));
	rc = rc ? rc : take_bytes(property(section, "user-data"), &c->user_data, &c->has_user_data);
	rc = rc ? rc
		: take_bytes(property(section, "vendor-data"), &c->vendor_data,
			     &c->has_vendor_data);
	rc = rc ? rc : read_extra(r, section);
	return rc ? rc : read_network(r, property(section, "network-config"));
}

static int read_ovf(const struct tree *docs, const char *source, struct strlist *notes,
		    struct context **ret, struct err *e)
{
	static const struct xml_limits limits = {.bytes = 4 * MIB, .depth = 16, .nodes = 20000};
	AUTO(context_free) struct context *c = NULL;
	AUTO(xml_free) struct xml_node *root = NULL;
	struct reading r = {.notes = notes, .where = FILE_NAME};
	struct http_slice s;
	int rc;

	if (!tree_leaf(docs, FILE_NAME, &s))
		return err_set(e, ENOENT, "there is no '" FILE_NAME "'");
	rc = xml_parse(FILE_NAME, s.p, s.len, &limits, &root, e);
	if (rc)
		return rc;
	if (strcmp(root->name, "Environment") != 0 || strcmp(root->ns, NS) != 0)
		return xml_err(root, e, EBADMSG, "is not an OVF environment");
	rc = context_new(&c, e);
	if (rc)
		return rc;
	r.c = c;
	if (context_set(&c->source, source) || fill(&r, xml_child(root, "PropertySection")))
		return err_nomem(e);
	*ret = STEAL(c);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Tabs and line ends, which a reader would make blanks of, are written as references. */
static int escape(const char *s, struct buf *out)
{
	for (int rc = 0; *s;) {
		size_t len = strcspn(s, "\n\t\r");
		AUTO_FREE char *part = strndup(s, len);

		rc = part ? xml_escape(part, out) : -ENOMEM;
		s += len;
		if (!rc && *s)
			rc = buf_addf(out, "&#%d;", *s++);
		if (rc)
			return rc;
	}
	return 0;
}

/* XML cannot say other control characters, in whatever way. */
static bool can_be_said(const char *s)
{
	if (!utf8_valid(s, strlen(s)))
		return false;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 && !strchr("\t\n\r", *p))
			return false;
	return !strstr(s, "\xef\xbf\xbe") && !strstr(s, "\xef\xbf\xbf"); /* U+FFFE, U+FFFF */
}

static int put(struct buf *out, const char *key, const char *value)
{
	if (!value || !*value || !can_be_said(value) || !can_be_said(key))
		return 0;
	if (buf_adds(out, "    <Property oe:key=\"") || escape(key, out) ||
	    buf_adds(out, "\" oe:value=\"") || escape(value, out) || buf_adds(out, "\"/>\n"))
		return -ENOMEM;
	return 0;
}

static int put_bytes(struct buf *out, const char *key, const struct buf *bytes)
{
	AUTO_BUF coded = BUF_INIT;

	if (base64_encode(bytes->data, bytes->len, &coded))
		return -ENOMEM;
	return put(out, key, buf_str(&coded));
}

static int put_keys(struct buf *out, const struct strlist *keys)
{
	AUTO_BUF lines = BUF_INIT;

	for (size_t i = 0; i < keys->n; i++)
		if (buf_addf(&lines, "%s%s", i ? "\n" : "", keys->v[i]))
			return -ENOMEM;
	return put(out, "public-keys", buf_str(&lines));
}

static int put_all(const struct context *c, struct buf *out)
{
	AUTO_BUF network = BUF_INIT;
	int rc = put(out, "instance-id", c->instance_id);

	rc = rc ? rc : put(out, "hostname", c->hostname);
	rc = rc ? rc : put_keys(out, &c->ssh_keys);
	rc = rc ? rc : put(out, "password", c->default_user.password);
	rc = rc ? rc : put_bytes(out, "user-data", &c->user_data);
	rc = rc ? rc : put_bytes(out, "vendor-data", &c->vendor_data);
	if (!rc && netconfig_has_nics(c))
		rc = netconfig_write(c, true, &network, NULL);
	rc = rc ? rc : put_bytes(out, "network-config", &network);
	for (size_t i = 0; i < c->n_extra && !rc; i++)
		if (!is_known(c->extra[i].key))
			rc = put(out, c->extra[i].key, c->extra[i].value);
	return rc;
}

static int write_ovf(const struct context *c, struct tree *docs, struct err *e)
{
	AUTO_BUF out = BUF_INIT;

	if (buf_adds(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			   "<Environment xmlns=\"" NS "\" xmlns:oe=\"" NS "\">\n"
			   "  <PropertySection>\n") ||
	    put_all(c, &out) || buf_adds(&out, "  </PropertySection>\n</Environment>\n"))
		return err_nomem(e);
	return tree_add(docs, 0, FILE_NAME, out.data, out.len, e);
}

const struct context_dialect dialect_ovf = {
	.name = "ovf",
	.image = "ovf",
	.volume_id = "OVF-TRANSPORT",
	.mark = FILE_NAME,
	.read = read_ovf,
	.write = write_ovf,
	.fields = fields,
};
