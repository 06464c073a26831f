/* SPDX-License-Identifier: Apache-2.0 */
/* network_data.json, both ways: see context/dialect/openstack.h. */
#include <stdio.h>

#include "context/bind.h"
#include "context/dialect/openstack.h"
#include "context/rules.h"
#include "lib/str.h"

static bool is(const char *s, const char *other)
{
	return s && !strcmp(s, other);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Which NIC a link became; by the link's id. */
struct link {
	const char *id;
	size_t nic;
};

struct links {
	struct link v[BIND_MAX_NICS];
	size_t n;
};

static const struct link *find_link(const struct links *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (is(id, l->v[i].id))
			return &l->v[i];
	return NULL;
}

static int read_link(struct reading *r, const struct value *v, struct links *links)
{
	const char *type = value_text_of(value_get(v, "type"));
	const char *id = value_text_of(value_get(v, "id"));
	struct nic *n;
	int rc;

	if (!id || find_link(links, id))
		return reading_note(r, "links: one without an id of its own");
	if (is(type, "bond") || is(type, "infiniband"))
		return reading_note(r, "links: '%s' of type '%s' is left out", id, type);
	rc = reading_nic(r, &n);
	if (!n)
		return rc;
	links->v[links->n++] = (struct link){id, r->c->n_nics - 1};
	n->method = n->method6 = NIC_STATIC;
	/* a VLAN's may be its parent's, which may come later: read_vlan */
	rc = is(type, "vlan")
		     ? 0
		     : reading_mac(r, value_text_of(value_get(v, "ethernet_mac_address")), n);
	rc = rc ? rc : reading_nic_name(r, value_text_of(value_get(v, "name")), n);
	rc = rc ? rc : reading_u32(r, value_get(v, "mtu"), 68, 65535, &n->mtu);
	return rc ? rc
		  : reading_value(r, value_get(v, "vif_id"), context_check_token, &n->interface_id);
}

/* VLANs name their parents once all links are there. */
static int read_vlan(struct reading *r, const struct value *v, const struct links *links)
{
	const struct link *own = find_link(links, value_text_of(value_get(v, "id")));
	const struct link *on = find_link(links, value_text_of(value_get(v, "vlan_link")));
	const char *mac = value_text_of(value_get(v, "vlan_mac_address"));
	const struct nic *parent;
	struct nic *n;
	int rc = 0;

	if (!own || !is(value_text_of(value_get(v, "type")), "vlan"))
		return 0;
	n = &r->c->nics[own->nic];
	parent = on && on != own ? &r->c->nics[on->nic] : NULL;
	if (!parent || parent->vlan_id || !(parent->mac[0] || parent->name))
		return reading_note(r, "links: the VLAN '%s' is on no known link", own->id);
	if (mac && strcasecmp(mac, parent->mac) != 0)
		rc = reading_mac(r, mac, n);
	rc = rc ? rc : reading_u32(r, value_get(v, "vlan_id"), 1, 4094, &n->vlan_id);
	return rc || !n->vlan_id
		       ? rc
		       : context_set(&n->vlan_parent, parent->mac[0] ? parent->mac : parent->name);
}

static int read_services(struct reading *r, const struct value *v, struct nic *n)
{
	int rc = 0;

	value_foreach (s, v) {
		const char *address = value_text_of(value_get(s, "address"));

		if (!rc && address && is(value_text_of(value_get(s, "type")), "dns"))
			rc = reading_item(r, "services", address, context_check_ip, &n->dns);
	}
	return rc;
}

static int read_routes(struct reading *r, const struct value *v, struct nic *n)
{
	int rc = 0;

	value_foreach (route, v) {
		const char *metric = value_text_of(value_get(route, "metric"));
		uint64_t m = 0;

		if (metric && str_to_u64(metric, 1, UINT32_MAX, &m, NULL))
			m = 0;
		if (!rc)
			rc = netconfig_add_route(r, n, value_text_of(value_get(route, "network")),
						 value_text_of(value_get(route, "netmask")),
						 value_text_of(value_get(route, "gateway")),
						 (uint32_t)m);
	}
	return rc;
}

static int read_type(struct reading *r, const struct value *v, struct nic *n)
{
	const char *type = value_text_of(value_get(v, "type"));

	if (is(type, "ipv4_dhcp")) {
		n->method = NIC_DHCP;
	} else if (is(type, "ipv6_slaac")) {
		n->method6 = NIC_AUTO;
	} else if (is(type, "ipv6_dhcp") || is(type, "ipv6_dhcpv6-stateful") ||
		   is(type, "ipv6_dhcpv6-stateless")) {
		n->method6 = NIC_DHCP;
	} else if (is(type, "ipv4") || is(type, "ipv6")) {
		return netconfig_add_address(r, n, value_text_of(value_get(v, "ip_address")),
					     value_text_of(value_get(v, "netmask")));
	} else {
		return reading_note(r, "networks: one of type '%s' is left out", type ? type : "");
	}
	return 0;
}

static int read_network(struct reading *r, const struct value *v, const struct links *links)
{
	const struct link *link = find_link(links, value_text_of(value_get(v, "link")));
	const char *type = value_text_of(value_get(v, "type"));
	uint32_t metric = 0;
	struct nic *n;
	int rc;

	if (!link)
		return reading_note(r, "networks: one on no known link");
	n = &r->c->nics[link->nic];
	rc = read_type(r, v, n);
	rc = rc ? rc : reading_u32(r, value_get(v, "metric"), 1, UINT32_MAX, &metric);
	if (metric && type && str_has_prefix(type, "ipv6"))
		n->metric6 = metric;
	else if (metric)
		n->metric = metric;
	rc = rc ? rc : netconfig_set_gateway(r, n, value_text_of(value_get(v, "gateway")));
	rc = rc ? rc : read_routes(r, value_get(v, "routes"), n);
	rc = rc ? rc : read_services(r, value_get(v, "services"), n);
	rc = rc ? rc
		: reading_list(r, value_get(v, "dns_search"), context_check_hostname, &n->search);
	return rc ? rc
		  : reading_value(r, value_get(v, "network_id"), context_check_token,
				  &n->network_id);
}

/* Common name servers are those of every NIC, unless NICs have their own. */
static int read_common_services(struct reading *r, const struct value *v)
{
	int rc = 0;

	for (size_t i = 0; i < r->c->n_nics; i++)
		if (r->c->nics[i].dns.n)
			return 0;
	for (size_t i = 0; i < r->c->n_nics && !rc; i++)
		rc = read_services(r, v, &r->c->nics[i]);
	return rc;
}

int openstack_read_network(struct reading *r, const struct value *doc)
{
	struct links links = {.n = 0};
	int rc = 0;

	value_foreach (v, value_get(doc, "links")) {
		rc = rc ? rc : read_link(r, v, &links);
	}
	value_foreach (v, value_get(doc, "links")) {
		rc = rc ? rc : read_vlan(r, v, &links);
	}
	value_foreach (v, value_get(doc, "networks")) {
		rc = rc ? rc : read_network(r, v, &links);
	}
	for (size_t i = 0; i < r->c->n_nics; i++)
		if (r->c->nics[i].metric6 == r->c->nics[i].metric)
			r->c->nics[i].metric6 = 0;
	return rc ? rc : read_common_services(r, value_get(doc, "services"));
}

/* ---- writing --------------------------------------------------------------------------------- */

struct network_writer {
	struct jsonw w;
	const struct context *c;
	size_t networks;
};

static void link_of(struct network_writer *nw, size_t i)
{
	const struct nic *n = &nw->c->nics[i], *parent = nic_parent(nw->c, n);
	struct jsonw *w = &nw->w;
	char id[32];

	nic_label(nw->c, i, id);
	jsonw_object(w, NULL);
	jsonw_string(w, "id", id);
	jsonw_string(w, "type", parent ? "vlan" : "phy");
	if (n->name)
		jsonw_string(w, "name", n->name);
	if (parent) {
		nic_label(nw->c, (size_t)(parent - nw->c->nics), id);
		jsonw_u64(w, "vlan_id", n->vlan_id);
		jsonw_string(w, "vlan_link", id);
		/* the schema wants one */
		jsonw_string(w, "vlan_mac_address", n->mac[0] ? n->mac : parent->mac);
	} else if (n->mac[0]) {
		jsonw_string(w, "ethernet_mac_address", n->mac);
	}
	if (n->mtu)
		jsonw_u64(w, "mtu", n->mtu);
	if (n->interface_id)
		jsonw_string(w, "vif_id", n->interface_id);
	jsonw_close(w);
}

static void service(struct jsonw *w, const char *address)
{
	jsonw_object(w, NULL);
	jsonw_string(w, "type", "dns");
	jsonw_string(w, "address", address);
	jsonw_close(w);
}

static void words(struct jsonw *w, const char *key, const struct strlist *l)
{
	if (!l->n)
		return;
	jsonw_array(w, key);
	for (size_t i = 0; i < l->n; i++)
		jsonw_string(w, NULL, l->v[i]);
	jsonw_close(w);
}

/* What hangs on the first network of a link: what the NIC has as a whole. */
static void nic_wide(struct jsonw *w, const struct nic *n)
{
	if (n->network_id)
		jsonw_string(w, "network_id", n->network_id);
	if (n->dns.n)
		jsonw_array(w, "services");
	for (size_t i = 0; i < n->dns.n; i++)
		service(w, n->dns.v[i]);
	if (n->dns.n)
		jsonw_close(w);
	words(w, "dns_nameservers", &n->dns);
	words(w, "dns_search", &n->search);
}

static void routes(struct jsonw *w, const struct nic *n, bool ipv6)
{
	struct netconfig_route r;
	char mask[46];

	jsonw_array(w, "routes");
	for (size_t i = 0; i < n->routes.n; i++) {
		if (!netconfig_split_route(n->routes.v[i], &r) || r.ipv6 != ipv6)
			continue;
		netconfig_mask(r.prefix, ipv6, mask);
		jsonw_object(w, NULL);
		jsonw_string(w, "network", r.network);
		jsonw_string(w, "netmask", mask);
		jsonw_string(w, "gateway", r.gateway);
		if (r.metric)
			jsonw_u64(w, "metric", r.metric);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static void begin(struct network_writer *nw, size_t i, const char *type)
{
	char id[32];

	jsonw_object(&nw->w, NULL);
	snprintf(id, sizeof(id), "network%zu", nw->networks++);
	jsonw_string(&nw->w, "id", id);
	nic_label(nw->c, i, id);
	jsonw_string(&nw->w, "link", id);
	jsonw_string(&nw->w, "type", type);
}

/* What hangs on the first network of each family. */
static void family_wide(struct jsonw *w, const struct nic *n, bool ipv6)
{
	uint32_t metric = ipv6 && n->metric6 ? n->metric6 : n->metric;
	const char *gateway = ipv6 ? n->gateway6 : n->gateway;

	if (gateway)
		jsonw_string(w, "gateway", gateway);
	if (metric)
		jsonw_u64(w, "metric", metric);
	routes(w, n, ipv6);
}

static void address(struct jsonw *w, const char *cidr)
{
	const char *slash = strchr(cidr, '/');
	char mask[46];

	if (strchr(cidr, ':')) {
		jsonw_string(w, "ip_address", cidr);
		return;
	}
	netconfig_mask((unsigned)strtoul(slash + 1, NULL, 10), false, mask);
	jsonw_string_n(w, "ip_address", cidr, (size_t)(slash - cidr));
	jsonw_string(w, "netmask", mask);
}

static void networks_of(struct network_writer *nw, size_t i)
{
	static const char *const types[2][2] = {{"ipv4_dhcp", NULL},
						{"ipv6_dhcpv6-stateful", "ipv6_slaac"}};
	const struct nic *n = &nw->c->nics[i];
	bool first = true;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		enum nic_method m = nic_effective_method(n, ipv6);
		bool first_of_family = true;

		if (m == NIC_DHCP || m == NIC_AUTO) {
			begin(nw, i, types[ipv6][m == NIC_AUTO]);
			family_wide(&nw->w, n, ipv6);
			if (first)
				nic_wide(&nw->w, n);
			jsonw_close(&nw->w);
			first = first_of_family = false;
		}
		for (size_t k = 0; k < n->addresses.n; k++) {
			if ((strchr(n->addresses.v[k], ':') != NULL) != ipv6)
				continue;
			begin(nw, i, ipv6 ? "ipv6" : "ipv4");
			address(&nw->w, n->addresses.v[k]);
			if (first_of_family)
				family_wide(&nw->w, n, ipv6);
			if (first)
				nic_wide(&nw->w, n);
			jsonw_close(&nw->w);
			first = first_of_family = false;
		}
	}
}

/* For guests that look for name servers here alone. */
static void common_services(struct network_writer *nw)
{
	struct strlist seen = {0};

	jsonw_array(&nw->w, "services");
	for (size_t i = 0; i < nw->c->n_nics; i++) {
		const struct strlist *dns = &nw->c->nics[i].dns;

		for (size_t k = 0; k < dns->n; k++) {
			if (strlist_has(&seen, dns->v[k]))
				continue;
			service(&nw->w, dns->v[k]);
			if (strlist_add(&seen, dns->v[k]))
				nw->w.rc = -ENOMEM;
		}
	}
	jsonw_close(&nw->w);
	strlist_release(&seen);
}

int openstack_write_network(const struct context *c, struct buf *out, struct err *e)
{
	struct network_writer nw = {.c = c};

	jsonw_begin(&nw.w, out, true);
	jsonw_object(&nw.w, NULL);
	jsonw_array(&nw.w, "links");
	for (size_t i = 0; i < c->n_nics; i++)
		link_of(&nw, i);
	jsonw_close(&nw.w);
	jsonw_array(&nw.w, "networks");
	for (size_t i = 0; i < c->n_nics; i++)
		networks_of(&nw, i);
	jsonw_close(&nw.w);
	common_services(&nw);
	jsonw_close(&nw.w);
	return jsonw_end(&nw.w, e);
}
