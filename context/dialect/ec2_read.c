/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads EC2's metadata, as a crawl of an instance metadata service gives them: documents by their
 * paths below a version ("meta-data/instance-id", "user-data",
 * "dynamic/instance-identity/document"), which context/dialect/ec2.c writes. One document
 * "meta-data/instance-id" that is a JSON object is taken for a dump of all: nested objects by the
 * components of the paths, with "meta-data" at the top or not.
 *
 * Not read: iam (short-lived, and its guest's own), identity-credentials, signatures.
 */
#include <stdio.h>

#include "context/bind.h"
#include "context/dialect/ec2_read.h"
#include "context/rules.h"
#include "lib/str.h"

#define META "meta-data/"
#define MARK META "instance-id"
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

int ec2_leaf_text(const struct ec2_reader *o, const char *path, char **ret)
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

int ec2_read_text(struct ec2_reader *o, const char *path, context_check_fn *check, char **at)
{
	AUTO_FREE char *text = NULL;
	int rc = ec2_leaf_text(o, path, &text);

	return rc || !text ? rc : reading_text(&o->r, path, text, check, at);
}

int ec2_read_lines(struct ec2_reader *o, const char *path, context_check_fn *check,
		   struct strlist *l)
{
	AUTO_FREE char *text = NULL;
	char *save = NULL;
	int rc = ec2_leaf_text(o, path, &text);

	for (char *s = text ? strtok_r(text, "\r\n", &save) : NULL; s && !rc;
	     s = strtok_r(NULL, "\r\n", &save))
		rc = reading_item(&o->r, path, s, check, l);
	return rc;
}

int ec2_read_number(struct ec2_reader *o, const char *path, uint32_t max, uint32_t *at)
{
	AUTO_FREE char *text = NULL;
	int rc = ec2_leaf_text(o, path, &text);
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
		rc = ec2_read_text(o, texts[i].path, texts[i].check,
				   (char **)((char *)c + texts[i].offset));
	rc = rc ? rc : ec2_leaf_text(o, "local-hostname", &local);
	rc = rc ? rc : ec2_leaf_text(o, "hostname", &hostname);
	rc = rc ? rc : reading_hostname(&o->r, local);
	rc = rc ? rc : reading_hostname(&o->r, hostname);
	rc = rc ? rc
		: ec2_read_lines(o, "security-groups", context_check_token, &c->security_groups);
	rc = rc ? rc
		: ec2_read_lines(o, "ancestor-ami-ids", context_check_token, &c->ancestor_ami_ids);
	rc = rc ? rc : ec2_read_lines(o, "product-codes", context_check_token, &c->product_codes);
	rc = rc ? rc : ec2_read_number(o, "ami-launch-index", UINT32_MAX, &c->launch_index);
	return rc ? rc
		  : ec2_read_number(o, "placement/partition-number", UINT32_MAX,
				    &c->partition_number);
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
	if (!rc && !c->spot.action != !c->spot.time) {
		c->spot.time = 0;
		rc = context_set(&c->spot.action, NULL);
		rc = rc ? rc
			: reading_note(&o->r,
				       "spot/instance-action is not both, an action and a time");
	}
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
	rc = rc ? rc : ec2_read_nics(o);
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
