/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EC2 dialect: a context as the tree that EC2's instance metadata service serves, after
 * "Instance metadata categories" of the Amazon EC2 User Guide (2024). A leaf is made exactly when
 * the context has what it says: clients (cloud-init among them) ask for every leaf that is listed,
 * and some give up on one that is not there.
 *
 *	meta-data/...                 one value, or one a line, no final newline
 *	meta-data/public-keys/        lists "0=NAME"; 0/openssh-key: the key and a newline
 *	meta-data/network/...         ec2_network.c
 *	meta-data/events, spot ...    ec2_events.c
 *	meta-data/iam/, dynamic/instance-identity/   ec2_identity.c
 *	user-data                     bytes as given; not there if there are none
 *
 * Not served: identity-credentials/, which EC2 keeps for itself.
 */
#include "context/dialect/ec2.h"

#include <stdarg.h>
#include <stdio.h>

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

/* ---- a tree that is being made -------------------------------------------------------------- */

void ec2_leaf(struct ec2_render *r, unsigned since, const char *path, const char *value)
{
	if (!r->rc && value)
		r->rc = tree_adds(r->t, since, path, value, r->e);
}

void ec2_leaf_at(struct ec2_render *r, unsigned since, const char *value, const char *fmt, ...)
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

void ec2_number(struct ec2_render *r, unsigned since, const char *path, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	ec2_leaf(r, since, path, value ? text : NULL);
}

void ec2_made(struct ec2_render *r, unsigned since, unsigned needs, const char *path)
{
	ec2_leaf(r, since | needs | TREE_MADE, path, "(made when it is asked for)");
}

void ec2_join(struct ec2_render *r, struct buf *out, const char *s)
{
	if (!r->rc && ((out->len && buf_addc(out, '\n')) || buf_adds(out, s)))
		r->rc = err_nomem(r->e);
}

void ec2_list(struct ec2_render *r, unsigned since, const char *path, const struct strlist *l)
{
	AUTO_BUF text = BUF_INIT;

	for (size_t i = 0; i < l->n; i++)
		ec2_join(r, &text, l->v[i]);
	ec2_leaf(r, since, path, text.data);
}

int ec2_add_json_string(struct buf *out, const char *s)
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

const char *ec2_given(const char *s)
{
	return s && *s ? s : NULL;
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

static void render_keys(struct ec2_render *r, const struct strlist *keys)
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
		ec2_leaf_at(r, 0, key.data, "meta-data/public-keys/%zu/openssh-key", i);
	}
	ec2_leaf(r, 0, "meta-data/public-keys/", listing.data);
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

static void render_pairs(struct ec2_render *r, bool with_tags)
{
	const struct context *c = r->c;

	for (size_t i = 0; i < c->n_block_devices; i++)
		if (!context_check_tag_key(c->block_devices[i].key, NULL))
			ec2_leaf_at(r, 20071215, c->block_devices[i].value,
				    "meta-data/block-device-mapping/%s", c->block_devices[i].key);
	for (size_t i = 0; i < c->n_tags && with_tags; i++)
		if (!context_check_tag_key(c->tags[i].key, NULL))
			ec2_leaf_at(r, 20210323, c->tags[i].value, "meta-data/tags/instance/%s",
				    c->tags[i].key);
}

static void render_placement(struct ec2_render *r)
{
	const struct context *c = r->c;

	ec2_leaf(r, 20080201, "meta-data/placement/availability-zone", c->availability_zone);
	ec2_leaf(r, 20191001, "meta-data/placement/availability-zone-id", c->availability_zone_id);
	ec2_leaf(r, 20200824, "meta-data/placement/group-name", c->placement_group);
	ec2_leaf(r, 20200824, "meta-data/placement/host-id", c->host_id);
	ec2_number(r, 20200824, "meta-data/placement/partition-number", c->partition_number);
	ec2_leaf(r, 20200824, "meta-data/placement/region", r->region);
}

static void render_meta_data(struct ec2_render *r)
{
	const struct context *c = r->c;
	char index[16];

	snprintf(index, sizeof(index), "%u", c->launch_index);
	ec2_leaf(r, 0, "meta-data/ami-id", c->ami_id);
	ec2_leaf(r, 0, "meta-data/ami-launch-index", index);
	ec2_leaf(r, 0, "meta-data/ami-manifest-path", "(unknown)");
	ec2_list(r, 20071010, "meta-data/ancestor-ami-ids", &c->ancestor_ami_ids);
	ec2_leaf(r, 0, "meta-data/hostname", c->hostname);
	ec2_leaf(r, 20080901, "meta-data/instance-action", "none");
	ec2_leaf(r, 0, "meta-data/instance-id", c->instance_id);
	ec2_leaf(r, 20191001, "meta-data/instance-life-cycle",
		 c->life_cycle ? c->life_cycle : "on-demand");
	ec2_leaf(r, 20070829, "meta-data/instance-type", c->instance_type);
	ec2_leaf(r, 20080201, "meta-data/kernel-id", c->kernel_id);
	ec2_leaf(r, 20070119, "meta-data/local-hostname", c->hostname);
	ec2_leaf(r, 20110501, "meta-data/metrics/vhostmd",
		 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
	ec2_list(r, 20070301, "meta-data/product-codes", &c->product_codes);
	ec2_leaf(r, 20070119, "meta-data/public-hostname", c->public_hostname);
	ec2_leaf(r, 20071010, "meta-data/ramdisk-id", c->ramdisk_id);
	ec2_leaf(r, 0, "meta-data/reservation-id", c->reservation_id);
	ec2_list(r, 0, "meta-data/security-groups", &c->security_groups);
	ec2_leaf(r, 20140225, "meta-data/services/domain", c->services_domain);
	ec2_leaf(r, 20151020, "meta-data/services/partition", c->services_partition);
	ec2_leaf(r, 20220924, "meta-data/system", c->system);
}

int ec2_render(const struct context *c, bool with_tags, struct tree **ret, struct err *e)
{
	AUTO(tree_free) struct tree *t = NULL;
	struct ec2_render r = {.c = c, .region = c->region, .e = e};
	char of_zone[256];

	r.rc = tree_new(&t, e);
	if (r.rc)
		return r.rc;
	r.t = t;
	if (!r.region && c->availability_zone &&
	    region_of_zone(c->availability_zone, of_zone, sizeof(of_zone)))
		r.region = of_zone;
	render_meta_data(&r);
	render_placement(&r);
	render_pairs(&r, with_tags);
	render_keys(&r, &c->ssh_keys);
	ec2_render_network(&r);
	ec2_render_events(&r);
	ec2_render_role(&r);
	ec2_render_document(&r);
	ec2_leaf(&r, 20090404, "dynamic/fws/instance-monitoring",
		 c->monitoring == CHOICE_YES ? "enabled" : "disabled");
	if (!r.rc && c->has_user_data && c->user_data.len)
		r.rc = tree_add(t, 0, "user-data", c->user_data.data, c->user_data.len, e);
	if (!r.rc)
		r.rc = tree_seal(t, e);
	if (r.rc)
		return r.rc;
	*ret = STEAL(t);
	return 0;
}
