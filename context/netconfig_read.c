/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads cloud-init's network configuration, both versions: see context/netconfig.h.
 *
 *	version 1: config: [{type: physical, name, mac_address, mtu, subnets: [...]},
 *	                    {type: vlan, name, vlan_link, vlan_id, ...},
 *	                    {type: nameserver, address, search, interface},
 *	                    {type: route, destination, gateway, metric}]
 *	  a subnet: type: dhcp dhcp4 dhcp6 ipv6_slaac ipv6_dhcpv6-stateful ... static static6,
 *	            address, netmask, gateway, dns_nameservers, dns_search, metric,
 *	            routes: [{network | destination, netmask | prefix, gateway, metric}]
 *	version 2: as context/netconfig_write.c has it
 *
 * Not read: bonds, bridges, wireless, tunnels; a match by driver or by pattern; route tables,
 * policies.
 */
#include "context/netconfig.h"

#include <stdio.h>

#include "context/rules.h"
#include "lib/str.h"

static bool is_true(const struct value *v)
{
	return v && v->kind == VALUE_BOOL && v->boolean;
}

static uint32_t metric_of(const struct value *v)
{
	const char *s = value_text_of(v);
	uint64_t n;

	return s && !str_to_u64(s, 1, UINT32_MAX, &n, NULL) ? (uint32_t)n : 0;
}

/* Name servers and domains: lists, or one text of words. */
static int read_words(struct reading *r, const struct value *v, context_check_fn *check,
		      struct strlist *l)
{
	const char *s = value_text_of(v);
	AUTO_FREE char *copy = s ? strdup(s) : NULL;
	char *save = NULL;
	int rc = 0;

	if (!s)
		return v && v->kind == VALUE_LIST ? reading_list(r, v, check, l) : 0;
	if (!copy)
		return -ENOMEM;
	for (char *w = strtok_r(copy, " ,\t\n", &save); w && !rc;
	     w = strtok_r(NULL, " ,\t\n", &save))
		rc = reading_item(r, v->key ? v->key : "list", w, check, l);
	return rc;
}

/* ---- version 2 ------------------------------------------------------------------------------- */

/* An address, or a map with it as its one key. */
static int v2_address(struct reading *r, struct nic *n, const struct value *v)
{
	if (v->kind == VALUE_MAP && v->n_items == 1)
		return netconfig_add_address(r, n, value_at(v, 0)->key, NULL);
	if (!value_text_of(v))
		return reading_note(r, "an address that is no text");
	return netconfig_add_address(r, n, value_text_of(v), NULL);
}

static int v2_routes(struct reading *r, struct nic *n, const struct value *v)
{
	int rc = 0;

	value_foreach (route, v) {
		rc = netconfig_add_route(r, n, value_text_of(value_get(route, "to")), NULL,
					 value_text_of(value_get(route, "via")),
					 metric_of(value_get(route, "metric")));
		if (rc)
			break;
	}
	return rc;
}

static int v2_addressing(struct reading *r, struct nic *n, const struct value *v)
{
	const struct value *dns = value_get(v, "nameservers");
	int rc = 0;

	value_foreach (a, value_get(v, "addresses")) {
		rc = v2_address(r, n, a);
		if (rc)
			return rc;
	}
	n->method = is_true(value_get(v, "dhcp4")) ? NIC_DHCP : NIC_STATIC;
	n->method6 = is_true(value_get(v, "dhcp6")) ? NIC_DHCP : NIC_STATIC;
	if (n->method6 == NIC_STATIC && nic_effective_method(n, true) == NIC_SKIP &&
	    is_true(value_get(v, "accept-ra")))
		n->method6 = NIC_AUTO;
	n->metric = metric_of(value_path(v, "dhcp4-overrides/route-metric"));
	n->metric6 = metric_of(value_path(v, "dhcp6-overrides/route-metric"));
	rc = netconfig_set_gateway(r, n, value_text_of(value_get(v, "gateway4")));
	rc = rc ? rc : netconfig_set_gateway(r, n, value_text_of(value_get(v, "gateway6")));
	rc = rc ? rc : v2_routes(r, n, value_get(v, "routes"));
	rc = rc ? rc : read_words(r, value_get(dns, "addresses"), context_check_ip, &n->dns);
	rc = rc ? rc : read_words(r, value_get(dns, "search"), context_check_hostname, &n->search);
	rc = rc ? rc : reading_u32(r, value_get(v, "mtu"), 68, 65535, &n->mtu);
	if (n->metric6 == n->metric)
		n->metric6 = 0;
	return rc;
}

static int v2_ethernet(struct reading *r, const struct value *v)
{
	const struct value *match = value_get(v, "match");
	const char *mac = value_text_of(value_get(match, "macaddress"));
	const char *name = value_text_of(value_get(match, "name"));
	struct nic *n;
	int rc = reading_nic(r, &n);

	if (!n)
		return rc;
	if (value_get(v, "set-name"))
		name = value_text_of(value_get(v, "set-name"));
	else if (!mac && !name)
		name = v->key;
	if (name && strpbrk(name, "*?["))
		name = NULL;
	rc = reading_mac(r, mac, n);
	rc = rc ? rc : reading_nic_name(r, name, n);
	return rc ? rc : v2_addressing(r, n, v);
}

/* How the NIC that a VLAN is on is called in the model: by its MAC, else by its name. */
static const char *v2_parent(const struct reading *r, const struct value *ethernets,
			     const char *link)
{
	const struct value *v = link ? value_get(ethernets, link) : NULL;
	const char *mac = value_text_of(value_path(v, "match/macaddress"));
	const char *name = value_text_of(value_get(v, "set-name"));

	for (size_t i = 0; i < r->c->n_nics && v; i++) {
		const struct nic *n = &r->c->nics[i];

		if (mac && !strcasecmp(n->mac, mac))
			return n->mac;
		if (n->name && (!strcmp(n->name, link) || (name && !strcmp(n->name, name))))
			return n->name;
	}
	return NULL;
}

static int v2_vlan(struct reading *r, const struct value *v, const struct value *ethernets)
{
	const char *parent = v2_parent(r, ethernets, value_text_of(value_get(v, "link")));
	AUTO_FREE char *on = parent ? strdup(parent) : NULL; /* the NICs move */
	uint32_t id = 0;
	struct nic *n;
	int rc = reading_u32(r, value_get(v, "id"), 1, 4094, &id);

	if (rc || !id || !on)
		return rc ? rc : reading_note(r, "VLAN '%s' is on no known interface", v->key);
	rc = reading_nic(r, &n);
	if (!n)
		return rc;
	n->vlan_id = id;
	n->vlan_parent = STEAL(on);
	rc = reading_mac(r, value_text_of(value_get(v, "macaddress")), n);
	rc = rc ? rc : reading_nic_name(r, v->key, n);
	return rc ? rc : v2_addressing(r, n, v);
}

static int read_v2(struct reading *r, const struct value *doc)
{
	static const char *const others[] = {
		"bonds", "bridges", "wifis", "tunnels", "modems", "vrfs", "virtual-ethernets"};
	const struct value *ethernets = value_get(doc, "ethernets");
	int rc = 0;

	value_foreach (v, ethernets) {
		rc = v2_ethernet(r, v);
		if (rc)
			return rc;
	}
	value_foreach (v, value_get(doc, "vlans")) {
		rc = v2_vlan(r, v, ethernets);
		if (rc)
			return rc;
	}
	for (size_t i = 0; i < ARRAY_SIZE(others) && !rc; i++) {
		value_foreach (v, value_get(doc, others[i])) {
			if (!rc)
				rc = reading_note(r, "%s: '%s' is left out, with what it has",
						  others[i], v->key ? v->key : "");
		}
	}
	return rc;
}

/* ---- version 1 ------------------------------------------------------------------------------- */

static int v1_routes(struct reading *r, struct nic *n, const struct value *v)
{
	int rc = 0;

	value_foreach (route, v) {
		const char *to = value_text_of(value_get(route, "destination"));
		const char *mask = value_text_of(value_get(route, "netmask"));

		if (!to)
			to = value_text_of(value_get(route, "network"));
		if (!mask)
			mask = value_text_of(value_get(route, "prefix"));
		rc = netconfig_add_route(r, n, to, mask, value_text_of(value_get(route, "gateway")),
					 metric_of(value_get(route, "metric")));
		if (rc)
			break;
	}
	return rc;
}

static int v1_subnet(struct reading *r, struct nic *n, const struct value *v)
{
	const char *type = value_text_of(value_get(v, "type"));
	const char *mask = value_text_of(value_get(v, "netmask"));
	uint32_t metric = metric_of(value_get(v, "metric"));
	bool is_static = type && (!strcmp(type, "static") || !strcmp(type, "static6"));
	int rc = 0;

	if (!type)
		return reading_note(r, "a subnet without type");
	if (!mask)
		mask = value_text_of(value_get(v, "prefix"));
	if (!strcmp(type, "dhcp") || !strcmp(type, "dhcp4"))
		n->method = NIC_DHCP;
	else if (!strcmp(type, "ipv6_slaac"))
		n->method6 = NIC_AUTO;
	else if (!strcmp(type, "dhcp6") || str_has_prefix(type, "ipv6_dhcpv6-"))
		n->method6 = NIC_DHCP;
	else if (!is_static && strcmp(type, "manual") != 0)
		rc = reading_note(r, "a subnet of type '%s' is left out", type);
	if (!rc && is_static)
		rc = netconfig_add_address(r, n, value_text_of(value_get(v, "address")), mask);
	if (metric && !strchr(value_text_of(value_get(v, "address")) ?: "", ':') &&
	    !strchr(type, '6'))
		n->metric = metric;
	else if (metric)
		n->metric6 = metric;
	rc = rc ? rc : netconfig_set_gateway(r, n, value_text_of(value_get(v, "gateway")));
	rc = rc ? rc : v1_routes(r, n, value_get(v, "routes"));
	rc = rc ? rc : read_words(r, value_get(v, "dns_nameservers"), context_check_ip, &n->dns);
	return rc ? rc
		  : read_words(r, value_get(v, "dns_search"), context_check_hostname, &n->search);
}

static int v1_nic(struct reading *r, const struct value *v, bool vlan)
{
	const char *link = value_text_of(value_get(v, "vlan_link"));
	struct nic *n;
	int rc = reading_nic(r, &n);

	if (!n)
		return rc;
	rc = reading_mac(r, value_text_of(value_get(v, "mac_address")), n);
	rc = rc ? rc : reading_nic_name(r, value_text_of(value_get(v, "name")), n);
	rc = rc ? rc : reading_u32(r, value_get(v, "mtu"), 68, 65535, &n->mtu);
	if (!rc && vlan)
		rc = reading_u32(r, value_get(v, "vlan_id"), 1, 4094, &n->vlan_id);
	if (!rc && vlan && n->vlan_id)
		rc = reading_text(r, "vlan_link", link, context_check_interface, &n->vlan_parent);
	value_foreach (subnet, value_get(v, "subnets")) {
		if (!rc)
			rc = v1_subnet(r, n, subnet);
	}
	if (n->metric6 == n->metric)
		n->metric6 = 0;
	return rc;
}

/* A name server of its own entry is for one NIC, or for all. */
static int v1_nameserver(struct reading *r, const struct value *v)
{
	const char *name = value_text_of(value_get(v, "interface"));
	int rc = 0;

	for (size_t i = 0; i < r->c->n_nics && !rc; i++) {
		struct nic *n = &r->c->nics[i];

		if (name && (!n->name || strcmp(n->name, name)))
			continue;
		rc = read_words(r, value_get(v, "address"), context_check_ip, &n->dns);
		if (!rc)
			rc = read_words(r, value_get(v, "search"), context_check_hostname,
					&n->search);
	}
	return rc;
}

/* VLANs whose parent is not there cannot be. */
static int drop_orphans(struct reading *r)
{
	int rc = 0;

	for (size_t i = 0; i < r->c->n_nics && !rc; i++) {
		struct nic *n = &r->c->nics[i];
		const struct nic *parent = nic_parent(r->c, n);

		if (!n->vlan_id || (parent && !parent->vlan_parent))
			continue;
		rc = reading_note(r, "VLAN '%s' is on no known interface", n->name ? n->name : "");
		context_fields_release(nic_fields, n);
		memmove(n, n + 1, (r->c->n_nics - i - 1) * sizeof(*n));
		r->c->n_nics--;
		i--;
	}
	return rc;
}

static int v1_entry(struct reading *r, const struct value *v, bool nics)
{
	const char *type = value_text_of(value_get(v, "type"));

	if (!type)
		return nics ? reading_note(r, "an entry without type") : 0;
	if (!strcmp(type, "physical") || !strcmp(type, "vlan"))
		return nics ? v1_nic(r, v, *type == 'v') : 0;
	if (!strcmp(type, "nameserver"))
		return nics ? 0 : v1_nameserver(r, v);
	if (!strcmp(type, "route"))
		return nics || !r->c->n_nics
			       ? 0
			       : netconfig_add_route(r, &r->c->nics[0],
						     value_text_of(value_get(v, "destination")),
						     value_text_of(value_get(v, "netmask")),
						     value_text_of(value_get(v, "gateway")),
						     metric_of(value_get(v, "metric")));
	if (nics && strcmp(type, "loopback") != 0)
		return reading_note(r, "an interface of type '%s' is left out", type);
	return 0;
}

static int read_v1(struct reading *r, const struct value *doc)
{
	const struct value *config = value_get(doc, "config");
	int rc = 0;

	for (int nics = 1; nics >= 0 && !rc; nics--) {
		value_foreach (v, config) {
			if (!rc)
				rc = v1_entry(r, v, nics);
		}
	}
	return rc ? rc : drop_orphans(r);
}

int netconfig_read(struct reading *r, const struct value *doc)
{
	const struct value *version;

	if (value_get(doc, "network"))
		doc = value_get(doc, "network");
	version = value_get(doc, "version");
	if (value_text_of(value_get(doc, "config")) && !version)
		return 0; /* "config: disabled": the guest's own */
	if (version && version->kind == VALUE_INT && version->integer == 2)
		return read_v2(r, doc);
	if (version && version->kind == VALUE_INT && version->integer == 1)
		return read_v1(r, doc);
	return reading_note(r, "is of no version that is known (1, 2)");
}
