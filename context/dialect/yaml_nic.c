/* SPDX-License-Identifier: Apache-2.0 */
/* The key "nics" of the YAML dialect; see context/dialect/yaml.c. */
#include "context/dialect/yaml.h"

struct nic_reader {
	struct yaml_reader *r;
	struct nic *nic;
	bool has_method, has_method6;
};

static void nic_fault(void *arg, const struct err *e)
{
	yaml_fault(((struct nic_reader *)arg)->r, e);
}

static int on_nic_mac(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;
	const struct context *c = n->r->c;
	struct err why = {0};
	const char *s;
	int rc = value_text(v, &s, e);

	if (!rc && context_parse_mac(s, n->nic->mac, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	for (size_t i = 0; i + 1 < c->n_nics && !rc; i++)
		if (!strcmp(c->nics[i].mac, n->nic->mac))
			rc = value_err(v, e, EBADMSG, "is the MAC address of nics[%zu] too", i);
	return rc;
}

static int check_address(const char *s, struct err *e)
{
	struct ip_prefix ip;

	if (context_parse_ip(s, &ip, e))
		return -EBADMSG;
	return ip.has_prefix ? 0
			     : err_set(e, EBADMSG, "needs a prefix length, as in 192.168.0.5/24");
}

static int check_ipv4(const char *s, struct err *e)
{
	if (yaml_check_ip(s, e))
		return -EBADMSG;
	return strchr(s, ':') ? err_set(e, EBADMSG, "is not an IPv4 address") : 0;
}

static int check_ipv6(const char *s, struct err *e)
{
	if (yaml_check_ip(s, e))
		return -EBADMSG;
	return strchr(s, ':') ? 0 : err_set(e, EBADMSG, "is not an IPv6 address");
}

static int check_route(const char *s, struct err *e)
{
	struct ip_prefix dst;

	return context_parse_route(s, &dst, NULL, e);
}

static int on_nic_addresses(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;

	return yaml_set_list(v, check_address, &n->nic->addresses, n->r, e);
}

static int on_nic_gateway(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;

	return yaml_set_text(v, check_ipv4, &n->nic->gateway, e);
}

static int on_nic_gateway6(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;

	return yaml_set_text(v, check_ipv6, &n->nic->gateway6, e);
}

static int on_nic_public_ipv4(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;

	return yaml_set_text(v, check_ipv4, &n->nic->public_ipv4, e);
}

static int on_nic_dns(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;

	return yaml_set_list(v, yaml_check_ip, &n->nic->dns, n->r, e);
}

static int on_nic_search(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;

	return yaml_set_list(v, context_check_hostname, &n->nic->search, n->r, e);
}

static int on_nic_routes(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;

	return yaml_set_list(v, check_route, &n->nic->routes, n->r, e);
}

static int on_nic_mtu(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;
	uint64_t u;
	int rc = value_u64(v, 68, 65535, &u, e);

	if (!rc)
		n->nic->mtu = (unsigned)u;
	return rc;
}

static int on_nic_metric(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;
	uint64_t u;
	int rc = value_u64(v, 1, UINT32_MAX, &u, e);

	if (!rc)
		n->nic->metric = (unsigned)u;
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

static int on_nic_method(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;

	n->has_method = true;
	return set_method(v, false, &n->nic->method, e);
}

static int on_nic_method6(const struct value *v, void *object, struct err *e)
{
	struct nic_reader *n = object;

	n->has_method6 = true;
	return set_method(v, true, &n->nic->method6, e);
}

static const struct value_field nic_fields[] = {
	{"mac", FIELD_CUSTOM, .required = true, .handler = on_nic_mac},
	{"addresses", FIELD_CUSTOM, .handler = on_nic_addresses},
	{"gateway", FIELD_CUSTOM, .handler = on_nic_gateway},
	{"gateway6", FIELD_CUSTOM, .handler = on_nic_gateway6},
	{"dns", FIELD_CUSTOM, .handler = on_nic_dns},
	{"search", FIELD_CUSTOM, .handler = on_nic_search},
	{"routes", FIELD_CUSTOM, .handler = on_nic_routes},
	{"mtu", FIELD_CUSTOM, .handler = on_nic_mtu},
	{"metric", FIELD_CUSTOM, .handler = on_nic_metric},
	{"method", FIELD_CUSTOM, .handler = on_nic_method},
	{"method6", FIELD_CUSTOM, .handler = on_nic_method6},
	{"public-ipv4", FIELD_CUSTOM, .handler = on_nic_public_ipv4},
	{0},
};

/* What was not said: a NIC without addresses asks for them; `skip` means the NIC. */
static void default_methods(struct nic_reader *n)
{
	if (!n->has_method)
		n->nic->method = n->nic->addresses.n ? NIC_STATIC : NIC_DHCP;
	if (!n->has_method6)
		n->nic->method6 = n->nic->method == NIC_SKIP ? NIC_SKIP : NIC_STATIC;
}

int yaml_on_nics(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	int rc = yaml_expect_at_most(v, VALUE_LIST, YAML_MAX_NICS, e);

	if (rc)
		return rc;
	value_foreach (item, v) {
		struct nic_reader n = {.r = r, .nic = context_add_nic(r->c)};

		if (!n.nic)
			return err_nomem(e);
		value_bind_all(item, nic_fields, &n, nic_fault, &n);
		default_methods(&n);
	}
	return 0;
}
