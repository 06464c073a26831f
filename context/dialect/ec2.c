/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EC2 dialect: a context as the tree that EC2's instance metadata service serves, after
 * "Instance metadata categories" of the Amazon EC2 User Guide (2024). A leaf is made exactly when
 * the context has what it says: clients (cloud-init among them) ask for every leaf that is listed,
 * and some give up on one that is not there.
 *
 *	meta-data/...                          one value, or one a line, no final newline
 *	meta-data/public-keys/                 lists "0=NAME"; 0/openssh-key: the key and a newline
 *	dynamic/instance-identity/document     JSON, the same facts as in meta-data
 *	user-data                              bytes as given; not there if there are none
 *
 * Not served: signatures of the identity document (signature, pkcs7, rsa2048), role credentials
 * (iam/, identity-credentials/), spot and Auto Scaling notices, subnet and VPC identifiers, and
 * services/: what they would say is not true of this cloud.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "context/imds.h"
#include "lib/str.h"

/* The versions that EC2 lists at "/", oldest first. */
static const char *const versions[] = {
	"1.0",        "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15",
	"2008-02-01", "2008-09-01", "2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12",
	"2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02",
	"2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03",
	"2021-03-23", "2021-07-15", "2022-07-09", "2022-09-24", "2024-04-11",
};

bool ec2_version(const char *name, size_t len, unsigned *ret)
{
	struct http_slice s = {name, len};

	if (http_slice_is(s, "latest")) {
		*ret = UINT32_MAX;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		const char *v = versions[i];

		if (!http_slice_is(s, v))
			continue;
		*ret = 0; /* 1.0 */
		for (const char *p = i ? v : ""; *p; p++)
			if (*p != '-')
				*ret = *ret * 10 + (unsigned)(*p - '0');
		return true;
	}
	return false;
}

int ec2_list_versions(struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (buf_addf(out, "%s\n", versions[i]))
			return -ENOMEM;
	return buf_adds(out, "latest");
}

/* A tree that is being made; after the first error the rest does nothing. */
struct render {
	struct tree *t;
	int rc;
	struct err *e;
};

/* One leaf; value NULL: there is none. */
static void leaf(struct render *r, unsigned since, const char *path, const char *value)
{
	if (!r->rc && value)
		r->rc = tree_adds(r->t, since, path, value, r->e);
}

static void PRINTF_LIKE(4, 5)
	leaf_at(struct render *r, unsigned since, const char *value, const char *fmt, ...)
{
	AUTO_BUF path = BUF_INIT;
	va_list ap;
	int rc;

	if (r->rc || !value)
		return;
	va_start(ap, fmt);
	rc = buf_vaddf(&path, fmt, ap);
	va_end(ap);
	r->rc = rc ? err_nomem(r->e) : tree_adds(r->t, since, path.data, value, r->e);
}

/* NULL if there is nothing to join. */
static void join(struct render *r, struct buf *out, const char *s)
{
	if (!r->rc && ((out->len && buf_addc(out, '\n')) || buf_adds(out, s)))
		r->rc = err_nomem(r->e);
}

static void joined(struct render *r, unsigned since, const char *path, const struct strlist *l)
{
	AUTO_BUF text = BUF_INIT;

	for (size_t i = 0; i < l->n; i++)
		join(r, &text, l->v[i]);
	leaf(r, since, path, text.data);
}

/* ---- addresses ----------------------------------------------------------------------------- */

/* What a NIC's addresses say, by family; data is NULL where there is none. */
struct nic_view {
	struct buf addresses; /* one a line, without prefix lengths */
	struct buf networks;  /* one a line, each once */
	char first[46], first_net[50];
};

static void nic_view_release(struct nic_view *v)
{
	buf_release(&v->addresses);
	buf_release(&v->networks);
}
DEFINE_AUTO_STRUCT(struct nic_view, nic_view_release);

static bool is_link_local(const struct ip_prefix *ip)
{
	return ip->family == AF_INET6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

static bool has_line(const char *lines, const char *line)
{
	size_t len = strlen(line);

	while (*lines) {
		size_t n = strcspn(lines, "\n");

		if (n == len && !strncmp(lines, line, n))
			return true;
		lines += n + (lines[n] == '\n');
	}
	return false;
}

static void view_nic(struct render *r, const struct nic *n, int family, struct nic_view *v)
{
	for (size_t i = 0; i < n->addresses.n; i++) {
		struct ip_prefix ip;
		char text[46], net[50];

		if (context_parse_ip(n->addresses.v[i], &ip, NULL) || ip.family != family ||
		    is_link_local(&ip))
			continue;
		context_format_ip(&ip, text);
		context_format_network(&ip, net);
		join(r, &v->addresses, text);
		if (!v->first[0]) {
			memcpy(v->first, text, sizeof(text));
			memcpy(v->first_net, net, sizeof(net));
		}
		if (!has_line(buf_str(&v->networks), net))
			join(r, &v->networks, net);
	}
}

static const char *none_if_empty(const char *s)
{
	return s && *s ? s : NULL;
}

static void render_mac(struct render *r, const struct context *c, const struct nic *n, size_t index)
{
	AUTO(nic_view_release) struct nic_view v4 = {0};
	AUTO(nic_view_release) struct nic_view v6 = {0};
	AUTO_BUF groups = BUF_INIT;
	const char *at = "meta-data/network/interfaces/macs";
	char number[24];

	view_nic(r, n, AF_INET, &v4);
	view_nic(r, n, AF_INET6, &v6);
	snprintf(number, sizeof(number), "%zu", index);
	leaf_at(r, 20110101, number, "%s/%s/device-number", at, n->mac);
	leaf_at(r, 20110101, c->hostname, "%s/%s/local-hostname", at, n->mac);
	leaf_at(r, 20110101, v4.addresses.data, "%s/%s/local-ipv4s", at, n->mac);
	leaf_at(r, 20110101, n->mac, "%s/%s/mac", at, n->mac);
	leaf_at(r, 20110101, c->account_id, "%s/%s/owner-id", at, n->mac);
	leaf_at(r, 20110101, n->public_ipv4, "%s/%s/public-ipv4s", at, n->mac);
	if (!index)
		leaf_at(r, 20110101, c->public_hostname, "%s/%s/public-hostname", at, n->mac);
	if (n->public_ipv4)
		leaf_at(r, 20110101, none_if_empty(v4.first), "%s/%s/ipv4-associations/%s", at,
			n->mac, n->public_ipv4);
	for (size_t i = 0; i < c->security_groups.n; i++)
		join(r, &groups, c->security_groups.v[i]);
	leaf_at(r, 20110101, groups.data, "%s/%s/security-groups", at, n->mac);
	leaf_at(r, 20110101, none_if_empty(v4.first_net), "%s/%s/subnet-ipv4-cidr-block", at,
		n->mac);
	leaf_at(r, 20160630, v6.addresses.data, "%s/%s/ipv6s", at, n->mac);
	leaf_at(r, 20160630, v6.networks.data, "%s/%s/subnet-ipv6-cidr-blocks", at, n->mac);
}

static void render_network(struct render *r, const struct context *c)
{
	AUTO(nic_view_release) struct nic_view v4 = {0};
	AUTO(nic_view_release) struct nic_view v6 = {0};
	const struct nic *primary = c->n_nics ? &c->nics[0] : NULL;

	for (size_t i = 0; i < c->n_nics; i++)
		if (c->nics[i].mac[0])
			render_mac(r, c, &c->nics[i], i);
	if (!primary)
		return;
	view_nic(r, primary, AF_INET, &v4);
	view_nic(r, primary, AF_INET6, &v6);
	leaf(r, 0, "meta-data/local-ipv4", none_if_empty(v4.first));
	leaf(r, 20070119, "meta-data/public-ipv4", primary->public_ipv4);
	leaf(r, 20110101, "meta-data/mac", none_if_empty(primary->mac));
	leaf(r, 20210103, "meta-data/ipv6", none_if_empty(v6.first));
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* The comment of a key, if it is one word that can be a name and is not one of ours; else "". */
static void key_comment(const char *key, char *out, size_t size)
{
	const char *last = strrchr(key, ' ');
	size_t words = 1;

	out[0] = '\0';
	for (const char *p = key; *p; p++)
		words += *p == ' ';
	if (!last || words < 3 || strlen(last + 1) >= size || !strncmp(last + 1, "key-", 4))
		return;
	for (const char *p = last + 1; *p; p++)
		if (!((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= 'a' && *p <= 'z') || strchr("._@+-", *p)))
			return;
	memcpy(out, last + 1, strlen(last + 1) + 1);
}

/* Names must differ: clients keep keys in a map by name. */
static void key_name(const struct strlist *keys, size_t i, char *out, size_t size)
{
	char other[64];

	key_comment(keys->v[i], out, size);
	for (size_t j = 0; j < keys->n && out[0]; j++) {
		key_comment(keys->v[j], other, sizeof(other));
		if (j != i && !strcmp(out, other))
			out[0] = '\0';
	}
	if (!out[0])
		snprintf(out, size, "key-%zu", i);
}

static void render_keys(struct render *r, const struct strlist *keys)
{
	AUTO_BUF listing = BUF_INIT;
	AUTO_BUF key = BUF_INIT;

	for (size_t i = 0; i < keys->n && !r->rc; i++) {
		char name[64];

		key_name(keys, i, name, sizeof(name));
		if ((i && buf_addc(&listing, '\n')) || buf_addf(&listing, "%zu=%s", i, name)) {
			r->rc = err_nomem(r->e);
			return;
		}
		buf_clear(&key);
		if (buf_addf(&key, "%s\n", keys->v[i])) {
			r->rc = err_nomem(r->e);
			return;
		}
		leaf_at(r, 0, key.data, "meta-data/public-keys/%zu/openssh-key", i);
	}
	leaf(r, 0, "meta-data/public-keys/", listing.data);
}

/* ---- identity document --------------------------------------------------------------------- */

static int add_json_string(struct buf *out, const char *s)
{
	int rc = buf_addc(out, '"');

	for (; *s && !rc; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			rc = buf_addf(out, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			rc = buf_addf(out, "\\%c", c);
		else
			rc = buf_addc(out, (char)c);
	}
	return rc ? rc : buf_addc(out, '"');
}

static void render_document(struct render *r, const struct context *c, const char *region)
{
	AUTO(nic_view_release) struct nic_view v4 = {0};
	AUTO_BUF out = BUF_INIT;
	char launched[CONTEXT_TIME_SIZE] = "";
	int rc = buf_adds(&out, "{");

	if (c->n_nics)
		view_nic(r, &c->nics[0], AF_INET, &v4);
	if (c->launch_time)
		context_format_time(c->launch_time, launched);
	const struct {
		const char *key, *value;
	} members[] = {
		{"accountId", c->account_id},
		{"architecture", c->architecture},
		{"availabilityZone", c->availability_zone},
		{"billingProducts", NULL},
		{"devpayProductCodes", NULL},
		{"marketplaceProductCodes", NULL},
		{"imageId", c->ami_id},
		{"instanceId", c->instance_id},
		{"instanceType", c->instance_type},
		{"kernelId", c->kernel_id},
		{"pendingTime", none_if_empty(launched)},
		{"privateIp", none_if_empty(v4.first)},
		{"ramdiskId", c->ramdisk_id},
		{"region", region},
		{"version", "2017-09-30"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(members) && !rc; i++) {
		rc = buf_addf(&out, "%s\n  \"%s\" : ", i ? "," : "", members[i].key);
		if (!rc)
			rc = members[i].value ? add_json_string(&out, members[i].value)
					      : buf_adds(&out, "null");
	}
	rc = rc ? rc : buf_adds(&out, "\n}");
	if (rc && !r->rc)
		r->rc = err_nomem(r->e);
	leaf(r, 20090404, "dynamic/instance-identity/document", out.data);
}

/* ---- all ----------------------------------------------------------------------------------- */

/* "eu-west-1" of "eu-west-1a", as clients do it; false if the zone is not named that way. */
static bool region_of_zone(const char *zone, char *out, size_t size)
{
	size_t len = strlen(zone);

	if (len < 2 || len > size || zone[len - 1] < 'a' || zone[len - 1] > 'z' ||
	    zone[len - 2] < '0' || zone[len - 2] > '9')
		return false;
	memcpy(out, zone, len - 1);
	out[len - 1] = '\0';
	return true;
}

static void render_pairs(struct render *r, const struct context *c, bool with_tags)
{
	for (size_t i = 0; i < c->n_block_devices; i++)
		if (!context_check_tag_key(c->block_devices[i].key, NULL))
			leaf_at(r, 20071215, c->block_devices[i].value,
				"meta-data/block-device-mapping/%s", c->block_devices[i].key);
	for (size_t i = 0; i < c->n_tags && with_tags; i++)
		if (!context_check_tag_key(c->tags[i].key, NULL))
			leaf_at(r, 20210323, c->tags[i].value, "meta-data/tags/instance/%s",
				c->tags[i].key);
}

static void render_meta_data(struct render *r, const struct context *c, const char *region)
{
	char index[16];

	snprintf(index, sizeof(index), "%u", c->launch_index);
	leaf(r, 0, "meta-data/ami-id", c->ami_id);
	leaf(r, 0, "meta-data/ami-launch-index", index);
	leaf(r, 0, "meta-data/ami-manifest-path", "(unknown)");
	leaf(r, 20180817, "meta-data/events/maintenance/history", "[]");
	leaf(r, 20180817, "meta-data/events/maintenance/scheduled", "[]");
	leaf(r, 0, "meta-data/hostname", c->hostname);
	leaf(r, 20080901, "meta-data/instance-action", "none");
	leaf(r, 0, "meta-data/instance-id", c->instance_id);
	leaf(r, 20191001, "meta-data/instance-life-cycle", "on-demand");
	leaf(r, 20070829, "meta-data/instance-type", c->instance_type);
	leaf(r, 20080201, "meta-data/kernel-id", c->kernel_id);
	leaf(r, 20070119, "meta-data/local-hostname", c->hostname);
	leaf(r, 20080201, "meta-data/placement/availability-zone", c->availability_zone);
	leaf(r, 20191001, "meta-data/placement/availability-zone-id", c->availability_zone_id);
	leaf(r, 20200824, "meta-data/placement/region", region);
	leaf(r, 20070119, "meta-data/public-hostname", c->public_hostname);
	leaf(r, 20071010, "meta-data/ramdisk-id", c->ramdisk_id);
	leaf(r, 0, "meta-data/reservation-id", c->reservation_id);
	joined(r, 0, "meta-data/security-groups", &c->security_groups);
}

int ec2_render(const struct context *c, bool with_tags, struct tree **ret, struct err *e)
{
	AUTO(tree_free) struct tree *t = NULL;
	struct render r = {.e = e};
	const char *region = c->region;
	char of_zone[256];

	r.rc = tree_new(&t, e);
	if (r.rc)
		return r.rc;
	r.t = t;
	if (!region && c->availability_zone &&
	    region_of_zone(c->availability_zone, of_zone, sizeof(of_zone)))
		region = of_zone;
	render_meta_data(&r, c, region);
	render_pairs(&r, c, with_tags);
	render_network(&r, c);
	render_keys(&r, &c->ssh_keys);
	leaf(&r, 20090404, "dynamic/fws/instance-monitoring", "disabled");
	render_document(&r, c, region);
	if (!r.rc && c->has_user_data && c->user_data.len)
		r.rc = tree_add(t, 0, "user-data", c->user_data.data, c->user_data.len, e);
	if (!r.rc)
		r.rc = tree_seal(t, e);
	if (r.rc)
		return r.rc;
	*ret = STEAL(t);
	return 0;
}
