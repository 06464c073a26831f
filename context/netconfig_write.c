/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes cloud-init's network configuration version 2: see context/netconfig.h.
 *
 *	version: 2
 *	ethernets, vlans: {ID: {match: {macaddress}, set-name, id, link, dhcp4, dhcp6, accept-ra,
 *	                        addresses, gateway4, gateway6, routes: [{to, via, metric}],
 *	                        nameservers: {addresses, search}, mtu,
 *	                        dhcp4-overrides, dhcp6-overrides: {route-metric}}}
 *
 * gateway4 and gateway6 are what every release understands; only a metric needs a route.
 */
#include <stdio.h>

#include "context/netconfig.h"
#include "lib/json.h"

static void list(struct jsonw *w, const char *key, const struct strlist *l)
{
	if (!l->n)
		return;
	jsonw_array(w, key);
	for (size_t i = 0; i < l->n; i++)
		jsonw_string(w, NULL, l->v[i]);
	jsonw_close(w);
}

static void route(struct jsonw *w, const char *network, unsigned prefix, const char *gateway,
		  uint32_t metric)
{
	char to[64];

	snprintf(to, sizeof(to), "%s/%u", network, prefix);
	jsonw_object(w, NULL);
	jsonw_string(w, "to", to);
	jsonw_string(w, "via", gateway);
	if (metric)
		jsonw_u64(w, "metric", metric);
	jsonw_close(w);
}

static void routes(struct jsonw *w, const struct nic *n)
{
	bool by_metric = n->gateway && n->metric;
	uint32_t metric6 = n->metric6 ? n->metric6 : n->metric;
	bool by_metric6 = n->gateway6 && metric6;

	if (n->gateway && !by_metric)
		jsonw_string(w, "gateway4", n->gateway);
	if (n->gateway6 && !by_metric6)
		jsonw_string(w, "gateway6", n->gateway6);
	if (!by_metric && !by_metric6 && !n->routes.n)
		return;
	jsonw_array(w, "routes");
	if (by_metric)
		route(w, "0.0.0.0", 0, n->gateway, n->metric);
	if (by_metric6)
		route(w, "::", 0, n->gateway6, metric6);
	for (size_t i = 0; i < n->routes.n; i++) {
		struct netconfig_route parts;

		if (netconfig_split_route(n->routes.v[i], &parts))
			route(w, parts.network, parts.prefix, parts.gateway, parts.metric);
	}
	jsonw_close(w);
}

static void dhcp(struct jsonw *w, const char *key, const char *overrides, uint32_t metric)
{
	jsonw_bool(w, key, true);
	if (!metric)
		return;
	jsonw_object(w, overrides);
	jsonw_u64(w, "route-metric", metric);
	jsonw_close(w);
}

static void addressing(struct jsonw *w, const struct nic *n)
{
	enum nic_method v4 = nic_effective_method(n, false), v6 = nic_effective_method(n, true);

	if (v4 == NIC_DHCP)
		dhcp(w, "dhcp4", "dhcp4-overrides", n->metric);
	if (v6 == NIC_DHCP)
		dhcp(w, "dhcp6", "dhcp6-overrides", n->metric6 ? n->metric6 : n->metric);
	if (v6 == NIC_AUTO)
		jsonw_bool(w, "accept-ra", true);
	list(w, "addresses", &n->addresses);
	routes(w, n);
	if (n->dns.n || n->search.n) {
		jsonw_object(w, "nameservers");
		list(w, "addresses", &n->dns);
		list(w, "search", &n->search);
		jsonw_close(w);
	}
	if (n->mtu)
		jsonw_u64(w, "mtu", n->mtu);
}

/* Something is to be done with it. */
static bool is_wanted(const struct nic *n)
{
	return nic_effective_method(n, false) != NIC_SKIP ||
	       nic_effective_method(n, true) != NIC_SKIP;
}

/* A VLAN needs its parent there, even if nothing else is to be done with that. */
static bool is_there(const struct context *c, const struct nic *n)
{
	if (is_wanted(n))
		return true;
	for (size_t i = 0; i < c->n_nics; i++)
		if (is_wanted(&c->nics[i]) && nic_parent(c, &c->nics[i]) == n)
			return true;
	return false;
}

bool netconfig_has_nics(const struct context *c)
{
	for (size_t i = 0; i < c->n_nics; i++)
		if (is_wanted(&c->nics[i]))
			return true;
	return false;
}

static bool is_vlan(const struct context *c, const struct nic *n)
{
	return n->vlan_id && nic_parent(c, n);
}

static void ethernet(struct jsonw *w, const struct context *c, size_t i)
{
	const struct nic *n = &c->nics[i];
	char id[32];

	nic_label(c, i, id);
	jsonw_object(w, id);
	if (n->mac[0]) {
		jsonw_object(w, "match");
		jsonw_string(w, "macaddress", n->mac);
		jsonw_close(w);
		if (n->name)
			jsonw_string(w, "set-name", n->name);
	}
	addressing(w, n);
	jsonw_close(w);
}

static void vlan(struct jsonw *w, const struct context *c, size_t i)
{
	const struct nic *n = &c->nics[i];
	char id[32], link[32];

	nic_label(c, i, id);
	nic_label(c, (size_t)(nic_parent(c, n) - c->nics), link);
	jsonw_object(w, id);
	jsonw_u64(w, "id", n->vlan_id);
	jsonw_string(w, "link", link);
	if (n->mac[0])
		jsonw_string(w, "macaddress", n->mac);
	addressing(w, n);
	jsonw_close(w);
}

int netconfig_write(const struct context *c, bool outer, struct buf *out, struct err *e)
{
	bool vlans = false;
	struct jsonw w;

	jsonw_begin(&w, out, true);
	jsonw_object(&w, NULL);
	if (outer)
		jsonw_object(&w, "network");
	jsonw_u64(&w, "version", 2);
	jsonw_object(&w, "ethernets");
	for (size_t i = 0; i < c->n_nics; i++) {
		if (is_vlan(c, &c->nics[i]))
			vlans = true;
		else if (is_there(c, &c->nics[i]))
			ethernet(&w, c, i);
	}
	jsonw_close(&w);
	if (vlans)
		jsonw_object(&w, "vlans");
	for (size_t i = 0; i < c->n_nics && vlans; i++)
		if (is_vlan(c, &c->nics[i]) && is_wanted(&c->nics[i]))
			vlan(&w, c, i);
	if (vlans)
		jsonw_close(&w);
	if (outer)
		jsonw_close(&w);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}
