/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads EC2's metadata, as a crawl of an instance metadata service gives them: documents by their
 * paths below a version ("meta-data/instance-id", "user-data",
 * "dynamic/instance-identity/document"), which context/dialect/ec2.c writes. One document
 * "meta-data/instance-id" that is a JSON object is taken for a dump of all: nested objects by the
 * components of the paths, with "meta-data" at the top or not.
 *
 * A NIC's addresses are what EC2 says, and it asks for a lease, since EC2 says no gateway.
 *
 * Not read: iam (short-lived, and its guest's own), identity-credentials, signatures.
 */
#include <stdio.h>

#include "context/bind.h"
#include "context/dialects.h"
#include "context/netconfig.h"
#include "context/rules.h"
#include "lib/str.h"

#define META "meta-data/"
#define MARK META "instance-id"
#define MACS META "network/interfaces/macs"
#define KEYS_MAX 256

static const char *const fields[] = {
	"instance-id",
	"hostname",
	"public-hostname",
	"ami-id",
	"instance-type",
	"architecture",
	"availability-zone",
	"availability-zone-id",
	"placement-group",
	"host-id",
	"partition-number",
	"reservation-id",
	"account-id",
	"kernel-id",
	"ramdisk-id",
	"ancestor-ami-ids",
	"product-codes",
	"services-domain",
	"services-partition",
	"system",
	"target-lifecycle-state",
	"launch-index",
	"launch-time",
	"security-groups",
	"ssh-keys",
	"user-data",
	"block-devices",
	"nics.mac",
	"nics.interface-id",
	"nics.subnet-id",
	"nics.vpc-id",
	"nics.network-card",
	"nics.security-group-ids",
	"rebalance-time",
	NULL,
};

struct ec2_reader {
	struct reading r;
	const struct tree *t;
};

/* A leaf's text below meta-data, without line ends behind it; NULL (no error) if there is none. */
static int leaf_text(const struct ec2_reader *o, const char *path, char **ret)
{
	AUTO_FREE char *full = str_format(META "%s", path);
	struct http_slice s;

	*ret = NULL;
	if (!full)
		return -ENOMEM;
	if (!tree_leaf(o->t, full, &s) || memchr(s.p, '\0', s.len))
		return 0;
	while (s.len && strchr("\r\n", s.p[s.len - 1]))
		s.len--;
	*ret = strndup(s.p, s.len);
	return *ret ? 0 : -ENOMEM;
}

static int read_text(struct ec2_reader *o, const char *path, context_check_fn *check, char **at)
{
	AUTO_FREE char *text = NULL;
	int rc = leaf_text(o, path, &text);

	return rc || !text ? rc : reading_text(&o->r, path, text, check, at);
}

static int read_lines(struct ec2_reader *o, const char *path, context_check_fn *check,
		      struct strlist *l)
{
	AUTO_FREE char *text = NULL;
	char *save = NULL;
	int rc = leaf_text(o, path, &text);

	for (char *s = text ? strtok_r(text, "\r\n", &save) : NULL; s && !rc;
	     s = strtok_r(NULL, "\r\n", &save))
		rc = reading_item(&o->r, path, s, check, l);
	return rc;
}

static int read_number(struct ec2_reader *o, const char *path, uint32_t max, uint32_t *at)
{
	AUTO_FREE char *text = NULL;
	int rc = leaf_text(o, path, &text);
	uint64_t n;

	if (rc || !text || !*text)
		return rc;
	if (str_to_u64(text, 0, max, &n, NULL))
		return reading_note(&o->r, "%s: '%s' is not a number up to %u", path, text, max);
	*at = (uint32_t)n;
	return 0;
}

/* ---- facts ----------------------------------------------------------------------------------- */

#define SAME(path, member, rule)                                                                   \
	{                                                                                          \
		path, offsetof(struct context, member), rule                                       \
	}

static const struct {
	const char *path;
	size_t offset;
	context_check_fn *check;
} texts[] = {
	SAME("instance-id", instance_id, context_check_instance_id),
	SAME("public-hostname", public_hostname, context_check_hostname),
	SAME("ami-id", ami_id, context_check_token),
	SAME("instance-type", instance_type, context_check_token),
	SAME("kernel-id", kernel_id, context_check_token),
	SAME("ramdisk-id", ramdisk_id, context_check_token),
	SAME("reservation-id", reservation_id, context_check_token),
	SAME("placement/availability-zone", availability_zone, context_check_token),
	SAME("placement/availability-zone-id", availability_zone_id, context_check_token),
	SAME("placement/region", region, context_check_token),
	SAME("placement/group-name", placement_group, context_check_token),
	SAME("placement/host-id", host_id, context_check_token),
	SAME("services/domain", services_domain, context_check_hostname),
	SAME("services/partition", services_partition, context_check_token),
	SAME("system", system, context_check_token),
	SAME("instance-life-cycle", life_cycle, context_check_token),
	SAME("autoscaling/target-lifecycle-state", target_lifecycle_state, context_check_token),
};

static int read_facts(struct ec2_reader *o)
{
	struct context *c = o->r.c;
	AUTO_FREE char *local = NULL;
	AUTO_FREE char *hostname = NULL;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts) && !rc; i++)
		rc = read_text(o, texts[i].path, texts[i].check,
			       (char **)((char *)c + texts[i].offset));
	rc = rc ? rc : leaf_text(o, "local-hostname", &local);
	rc = rc ? rc : leaf_text(o, "hostname", &hostname);
	rc = rc ? rc : reading_hostname(&o->r, local);
	rc = rc ? rc : reading_hostname(&o->r, hostname);
	rc = rc ? rc : read_lines(o, "security-groups", context_check_token, &c->security_groups);
	rc = rc ? rc : read_lines(o, "ancestor-ami-ids", context_check_token, &c->ancestor_ami_ids);
	rc = rc ? rc : read_lines(o, "product-codes", context_check_token, &c->product_codes);
	rc = rc ? rc : read_number(o, "ami-launch-index", UINT32_MAX, &c->launch_index);
	return rc ? rc
		  : read_number(o, "placement/partition-number", UINT32_MAX, &c->partition_number);
}

static int read_keys(struct ec2_reader *o)
{
	int rc = 0;

	for (unsigned i = 0; i < KEYS_MAX && !rc; i++) {
		char path[64];
		struct http_slice s;

		snprintf(path, sizeof(path), META "public-keys/%u/openssh-key", i);
		if (!tree_leaf(o->t, path, &s))
			break;
		rc = reading_keys(&o->r, "public-keys", s.p, s.len, &o->r.c->ssh_keys);
	}
	return rc;
}

/* What lies below a folder, as pairs. */
struct pairs_reader {
	struct ec2_reader *o;
	const char *prefix;
	int (*add)(struct context *c, const char *key, const char *value);
	context_check_fn *check_key, *check;
};

static int take_pair(void *arg, const char *path, struct http_slice value)
{
	struct pairs_reader *p = arg;
	size_t len = strlen(p->prefix);
	AUTO_FREE char *text = NULL;

	if (strncmp(path, p->prefix, len) != 0 || strchr(path + len, '/') ||
	    memchr(value.p, '\0', value.len) ||
	    reading_is_full(&p->o->r, p->prefix,
			    MAX(p->o->r.c->n_tags, p->o->r.c->n_block_devices)))
		return 0;
	text = strndup(value.p, value.len);
	if (!text)
		return -ENOMEM;
	if (p->check_key(path + len, NULL) || p->check(text, NULL))
		return reading_note(&p->o->r, "'%s' cannot be used", path);
	return p->add(p->o->r.c, path + len, text);
}

static int read_pairs(struct ec2_reader *o)
{
	struct pairs_reader tags = {o, META "tags/instance/", context_add_tag, context_check_token,
				    context_check_text};
	struct pairs_reader devices = {o, META "block-device-mapping/", context_add_block_device,
				       context_check_tag_key, context_check_token};
	int rc = tree_walk(o->t, UINT32_MAX, take_pair, &tags);

	return rc ? rc : tree_walk(o->t, UINT32_MAX, take_pair, &devices);
}

/* ---- NICs -------------------------------------------------------------------------------------- */

/* The prefix length of the block of that family, 0 if none is said. */
static unsigned block_prefix(const struct nic *n, bool ipv6)
{
	struct ip_prefix ip;

	for (size_t i = 0; i < n->subnet_blocks.n; i++)
		if ((strchr(n->subnet_blocks.v[i], ':') != NULL) == ipv6 &&
		    !context_parse_ip(n->subnet_blocks.v[i], &ip, NULL))
			return ip.prefix;
	return 0;
}

/* Adds the addresses of a leaf with the prefix length of their block. */
static int read_addresses(struct ec2_reader *o, const char *path, struct nic *n, bool ipv6)
{
	AUTO(strlist_release) struct strlist list = {0};
	unsigned prefix = block_prefix(n, ipv6);
	char mask[16];
	int rc = read_lines(o, path, ipv6 ? context_check_ipv6 : context_check_ipv4, &list);

	snprintf(mask, sizeof(mask), "%u", prefix);
	for (size_t i = 0; i < list.n && !rc; i++)
		rc = netconfig_add_address(&o->r, n, list.v[i], prefix ? mask : NULL);
	if (!rc && list.n && ipv6)
		n->method6 = NIC_DHCP;
	return rc;
}

static int read_public(struct ec2_reader *o, const char *path, struct nic *n)
{
	AUTO(strlist_release) struct strlist list = {0};
	int rc = read_lines(o, path, context_check_ip, &list);

	for (size_t i = 0; i < list.n && !rc; i++) {
		if (!i && !context_check_ipv4(list.v[i], NULL))
			rc = context_set(&n->public_ipv4, list.v[i]);
		else
			rc = strlist_add(&n->external, list.v[i]);
	}
	return rc;
}

static int read_mac(struct ec2_reader *o, const char *mac)
{
	const struct {
		const char *name;
		size_t offset;
		context_check_fn *check;
	} nic_texts[] =
		{
			{"interface-id", offsetof(struct nic, interface_id), context_check_token},
			{"subnet-id", offsetof(struct nic, subnet_id), context_check_token},
			{"vpc-id", offsetof(struct nic, vpc_id), context_check_token},
			{"owner-id", offsetof(struct nic, owner_id), context_check_token},
			{"local-hostname", offsetof(struct nic, local_hostname),
			 context_check_hostname},
			{"public-hostname", offsetof(struct nic, public_hostname),
			 context_check_hostname},
		},
	  nic_lists[] = {
		  {"security-groups", offsetof(struct nic, security_groups), context_check_token},
		  {"security-group-ids", offsetof(struct nic, security_group_ids),
		   context_check_token},
		  {"subnet-ipv4-cidr-block", offsetof(struct nic, subnet_blocks),
		   context_check_cidr},
		  {"subnet-ipv6-cidr-blocks", offsetof(struct nic, subnet_blocks),
		   context_check_cidr},
		  {"vpc-ipv4-cidr-blocks", offsetof(struct nic, vpc_blocks), context_check_cidr},
		  {"vpc-ipv6-cidr-blocks", offsetof(struct nic, vpc_blocks), context_check_cidr},
	  };
	char path[128];
	struct nic *n;
	int rc = reading_nic(&o->r, &n);

	if (!n)
		return rc;
	n->method = NIC_DHCP;
	rc = reading_mac(&o->r, mac, n);
#define PATH(leaf) (snprintf(path, sizeof(path), "network/interfaces/macs/%s/%s", mac, leaf), path)
	for (size_t i = 0; i < ARRAY_SIZE(nic_texts) && !rc; i++)
		rc = read_text(o, PATH(nic_texts[i].name), nic_texts[i].check,
			       (char **)((char *)n + nic_texts[i].offset));
	for (size_t i = 0; i < ARRAY_SIZE(nic_lists) && !rc; i++)
		rc = read_lines(o, PATH(nic_lists[i].name), nic_lists[i].check,
				(struct strlist *)((char *)n + nic_lists[i].offset));
	rc = rc ? rc : read_number(o, PATH("device-number"), 1023, &n->device_number);
	rc = rc ? rc : read_number(o, PATH("network-card"), 1023, &n->network_card);
	rc = rc ? rc : read_addresses(o, PATH("local-ipv4s"), n, false);
	rc = rc ? rc : read_addresses(o, PATH("ipv6s"), n, true);
	return rc ? rc : read_public(o, PATH("public-ipv4s"), n);
#undef PATH
}

/* As cloud-init sorts them: by card, then by device. */
static int compare_nics(const void *a, const void *b)
{
	const struct nic *x = a, *y = b;

	if (x->network_card != y->network_card)
		return x->network_card < y->network_card ? -1 : 1;
	return x->device_number == y->device_number  ? strcmp(x->mac, y->mac)
	       : x->device_number < y->device_number ? -1
						     : 1;
}

/* Services of long ago, and small ones, tell of one NIC, and not below network/. */
static int read_only_nic(struct ec2_reader *o)
{
	AUTO_FREE char *address = NULL;
	AUTO_FREE char *mac = NULL;
	struct nic *n;
	int rc = leaf_text(o, "local-ipv4", &address);

	rc = rc ? rc : leaf_text(o, "mac", &mac);
	if (rc || (!address && !mac))
		return rc;
	rc = reading_nic(&o->r, &n);
	if (!n)
		return rc;
	n->method = NIC_DHCP;
	rc = reading_mac(&o->r, mac, n);
	rc = rc ? rc : netconfig_add_address(&o->r, n, address, NULL);
	return rc ? rc : read_public(o, "public-ipv4", n);
}

static int read_nics(struct ec2_reader *o)
{
	AUTO_BUF listing = BUF_INIT;
	struct context *c = o->r.c;
	struct http_slice unused;
	char *save = NULL;
	int kind = tree_lookup(o->t, UINT32_MAX, MACS, &unused, &listing);
	int rc = kind < 0 ? -ENOMEM : 0;

	if (kind != TREE_DIRECTORY)
		return rc ? rc : read_only_nic(o);
	for (char *mac = strtok_r(listing.data, "\n", &save); mac && !rc;
	     mac = strtok_r(NULL, "\n", &save)) {
		mac[strcspn(mac, "/")] = '\0';
		if (strlen(mac) == 17)
			rc = read_mac(o, mac);
	}
	if (c->n_nics)
		qsort(c->nics, c->n_nics, sizeof(*c->nics), compare_nics);
	for (size_t i = 0; i < c->n_nics; i++)
		if (c->nics[i].device_number == i)
			c->nics[i].device_number = 0; /* its place */
	return rc;
}

/* ---- documents --------------------------------------------------------------------------------- */

/* A JSON leaf; NULL (told) if it is none. */
static int parse_leaf(struct ec2_reader *o, const char *path, struct value **ret)
{
	static const struct value_limits limits = {.bytes = MIB, .depth = 8, .nodes = 10000};
	struct err why = {0};
	struct http_slice s;

	*ret = NULL;
	if (!tree_leaf(o->t, path, &s) || !json_parse(path, s.p, s.len, &limits, ret, &why))
		return 0;
	return why.code == ENOMEM ? -ENOMEM : reading_note(&o->r, "%s", why.msg);
}

static int read_time(struct ec2_reader *o, const struct value *v, uint64_t *at)
{
	const char *s;

	if (!v || v->kind != VALUE_STRING || value_string(v, &s, NULL))
		return 0;
	return context_parse_time(s, at, NULL)
		       ? reading_note(&o->r, "%s: '%s' is not a time", v->key ? v->key : "", s)
		       : 0;
}

static int read_documents(struct ec2_reader *o)
{
	AUTO(value_free) struct value *id = NULL;
	AUTO(value_free) struct value *spot = NULL;
	AUTO(value_free) struct value *rebalance = NULL;
	struct context *c = o->r.c;
	struct http_slice s;
	int rc = parse_leaf(o, "dynamic/instance-identity/document", &id);

	rc = rc ? rc
		: reading_value(&o->r, value_get(id, "accountId"), context_check_token,
				&c->account_id);
	rc = rc ? rc
		: reading_value(&o->r, value_get(id, "architecture"), context_check_token,
				&c->architecture);
	rc = rc ? rc
		: reading_value(&o->r, value_get(id, "region"), context_check_token, &c->region);
	rc = rc ? rc : read_time(o, value_get(id, "pendingTime"), &c->launch_time);
	rc = rc ? rc : parse_leaf(o, META "spot/instance-action", &spot);
	rc = rc ? rc
		: reading_value(&o->r, value_get(spot, "action"), context_check_spot_action,
				&c->spot.action);
	rc = rc ? rc : read_time(o, value_get(spot, "time"), &c->spot.time);
	rc = rc ? rc : parse_leaf(o, META "events/recommendations/rebalance", &rebalance);
	rc = rc ? rc : read_time(o, value_get(rebalance, "noticeTime"), &c->rebalance_time);
	if (rc || !tree_leaf(o->t, "user-data", &s) || !s.len)
		return rc;
	c->has_user_data = true;
	return buf_add(&c->user_data, s.p, s.len);
}

/* ---- a dump ------------------------------------------------------------------------------------ */

static int flatten(struct tree *t, const struct value *v, const char *prefix, struct err *e)
{
	int rc = 0;

	value_foreach (item, v) {
		AUTO_FREE char *path = str_format("%s%s%s", prefix, *prefix ? "/" : "",
						  item->key ? item->key : "");
		const char *s;

		if (!path)
			return err_nomem(e);
		if (!item->key || !*item->key || strchr(item->key, '/') || rc)
			continue;
		if (item->kind == VALUE_MAP) {
			rc = flatten(t, item, path, e);
		} else if (item->kind == VALUE_LIST) {
			AUTO_BUF lines = BUF_INIT;

			value_foreach (line, item) {
				if (!value_text(line, &s, NULL) &&
				    buf_addf(&lines, "%s%s", lines.len ? "\n" : "", s))
					return err_nomem(e);
			}
			rc = tree_add(t, 0, path, buf_str(&lines), lines.len, e);
		} else if (!value_text(item, &s, NULL)) {
			rc = tree_adds(t, 0, path, s, e);
		}
	}
	return rc;
}

/* A dump as documents; *ret stays NULL if it is none. */
static int unpack(const struct http_slice *s, struct tree **ret, struct err *e)
{
	static const struct value_limits limits = {.bytes = 4 * MIB, .depth = 16, .nodes = 20000};
	AUTO(value_free) struct value *dump = NULL;
	AUTO(tree_free) struct tree *t = NULL;
	int rc;

	if (!s->len || s->p[0] != '{')
		return 0;
	rc = json_parse("dump", s->p, s->len, &limits, &dump, e);
	rc = rc ? rc : tree_new(&t, e);
	rc = rc ? rc : flatten(t, dump, value_get(dump, "meta-data") ? "" : "meta-data", e);
	rc = rc ? rc : tree_seal(t, e);
	if (!rc)
		*ret = STEAL(t);
	return rc;
}

/* ---- all ----------------------------------------------------------------------------------------- */

static int fill(struct ec2_reader *o)
{
	int rc = read_facts(o);

	rc = rc ? rc : read_keys(o);
	rc = rc ? rc : read_pairs(o);
	rc = rc ? rc : read_nics(o);
	return rc ? rc : read_documents(o);
}

static int read_ec2(const struct tree *docs, const char *source, struct strlist *notes,
		    struct context **ret, struct err *e)
{
	AUTO(tree_free) struct tree *unpacked = NULL;
	AUTO(context_free) struct context *c = NULL;
	struct ec2_reader o = {.r = {.notes = notes}, .t = docs};
	struct http_slice mark;
	int rc;

	if (!tree_leaf(docs, MARK, &mark))
		return err_set(e, ENOENT, "there is no '" MARK "'");
	rc = unpack(&mark, &unpacked, e);
	rc = rc ? rc : context_new(&c, e);
	if (rc)
		return rc == -EEXIST ? err_set(e, EBADMSG, "the dump has a path twice") : rc;
	if (unpacked)
		o.t = unpacked;
	o.r.c = c;
	if (context_set(&c->source, source) || fill(&o))
		return err_nomem(e);
	*ret = STEAL(c);
	return 0;
}

static int copy_leaf(void *arg, const char *path, struct http_slice value)
{
	return tree_add(arg, 0, path, value.p, value.len, NULL);
}

/* What is made when it is asked for is no document. */
static int write_ec2(const struct context *c, struct tree *docs, struct err *e)
{
	AUTO(tree_free) struct tree *t = NULL;
	int rc;

	if (!c->instance_id)
		return err_set(e, EINVAL, "EC2's metadata need an instance-id");
	rc = ec2_render(c, true, &t, e);
	if (rc)
		return rc;
	return tree_walk(t, TREE_DATE, copy_leaf, docs) ? err_nomem(e) : 0;
}

const struct context_dialect dialect_ec2 = {
	.name = "ec2",
	.mark = MARK,
	.read = read_ec2,
	.write = write_ec2,
	.fields = fields,
};
