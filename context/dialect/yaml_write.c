/* SPDX-License-Identifier: Apache-2.0 */
/* An instance as JSON with the keys of metadata-server.yaml(5), which reads JSON too. */
#include "context/imds.h"
#include "lib/json.h"
#include "lib/str.h"

static void text(struct jsonw *w, const char *key, const char *s)
{
	if (s)
		jsonw_string(w, key, s);
}

static void list(struct jsonw *w, const char *key, const struct strlist *l)
{
	if (!l->n)
		return;
	jsonw_array(w, key);
	for (size_t i = 0; i < l->n; i++)
		jsonw_string(w, NULL, l->v[i]);
	jsonw_close(w);
}

static void pairs(struct jsonw *w, const char *key, const struct context_pair *p, size_t n)
{
	if (!n)
		return;
	jsonw_object(w, key);
	for (size_t i = 0; i < n; i++)
		jsonw_string(w, p[i].key, p[i].value);
	jsonw_close(w);
}

static const char *method_name(enum nic_method m)
{
	switch (m) {
	case NIC_STATIC:
		return "static";
	case NIC_DHCP:
		return "dhcp";
	case NIC_AUTO:
		return "auto";
	case NIC_SKIP:
		break;
	}
	return "skip";
}

static void nic(struct jsonw *w, const struct nic *n)
{
	jsonw_object(w, NULL);
	jsonw_string(w, "mac", n->mac);
	jsonw_string(w, "method", method_name(n->method));
	jsonw_string(w, "method6", method_name(n->method6));
	list(w, "addresses", &n->addresses);
	text(w, "gateway", n->gateway);
	text(w, "gateway6", n->gateway6);
	list(w, "dns", &n->dns);
	list(w, "search", &n->search);
	list(w, "routes", &n->routes);
	if (n->mtu)
		jsonw_u64(w, "mtu", n->mtu);
	if (n->metric)
		jsonw_u64(w, "metric", n->metric);
	text(w, "public-ipv4", n->public_ipv4);
	jsonw_close(w);
}

/* As text where it is text all the way through, so that reading it back gives the same bytes. */
static int user_data(struct jsonw *w, const struct context *c)
{
	AUTO_BUF coded = BUF_INIT;

	if (!c->has_user_data)
		return 0;
	if (utf8_valid(buf_str(&c->user_data), c->user_data.len)) {
		jsonw_string_n(w, "user-data", buf_str(&c->user_data), c->user_data.len);
		return 0;
	}
	if (base64_encode(c->user_data.data, c->user_data.len, &coded))
		return -ENOMEM;
	jsonw_string(w, "user-data-base64", buf_str(&coded));
	return 0;
}

static void identify(struct jsonw *w, const struct instance_identify *id)
{
	if (!id->given)
		return;
	jsonw_object(w, "identify");
	text(w, "interface", id->interface);
	text(w, "address", id->address);
	if (id->mac[0])
		jsonw_string(w, "mac", id->mac);
	if (id->trust_address)
		jsonw_string(w, "trust", "address");
	jsonw_close(w);
}

static void facts(struct jsonw *w, const struct context *c)
{
	text(w, "instance-id", c->instance_id);
	text(w, "hostname", c->hostname);
	text(w, "public-hostname", c->public_hostname);
	text(w, "ami-id", c->ami_id);
	text(w, "instance-type", c->instance_type);
	text(w, "architecture", c->architecture);
	text(w, "region", c->region);
	text(w, "availability-zone", c->availability_zone);
	text(w, "availability-zone-id", c->availability_zone_id);
	text(w, "reservation-id", c->reservation_id);
	text(w, "account-id", c->account_id);
	text(w, "kernel-id", c->kernel_id);
	text(w, "ramdisk-id", c->ramdisk_id);
	if (c->launch_index)
		jsonw_u64(w, "launch-index", c->launch_index);
	if (c->launch_time) {
		char launched[CONTEXT_TIME_SIZE];

		context_format_time(c->launch_time, launched);
		jsonw_string(w, "launch-time", launched);
	}
	list(w, "security-groups", &c->security_groups);
	list(w, "ssh-keys", &c->ssh_keys);
	if (c->n_nics)
		jsonw_array(w, "nics");
	for (size_t i = 0; i < c->n_nics; i++)
		nic(w, &c->nics[i]);
	if (c->n_nics)
		jsonw_close(w);
	pairs(w, "tags", c->tags, c->n_tags);
	pairs(w, "block-devices", c->block_devices, c->n_block_devices);
	pairs(w, "extra", c->extra, c->n_extra);
}

int instance_write_json(const struct instance *in, bool pretty, struct buf *out, struct err *e)
{
	struct jsonw w;

	jsonw_begin(&w, out, pretty);
	jsonw_object(&w, NULL);
	facts(&w, in->context);
	if (user_data(&w, in->context))
		return err_nomem(e);
	identify(&w, &in->identify);
	jsonw_object(&w, "imds");
	jsonw_bool(&w, "enabled", in->imds.enabled);
	jsonw_string(&w, "tokens",
		     in->imds.tokens == IMDS_TOKENS_REQUIRED ? "required" : "optional");
	jsonw_u64(&w, "hop-limit", in->imds.hop_limit);
	jsonw_bool(&w, "instance-tags", in->imds.instance_tags);
	jsonw_close(&w);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}
