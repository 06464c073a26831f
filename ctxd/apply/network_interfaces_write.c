/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written into interfaces(5): see ctxd/apply/network_interfaces.h. Of what the programs that
 * read it differ in nothing is used: one stanza a family, masks as dotted quads, further addresses and
 * routes by ip(8).
 */
#include "ctxd/apply/network_interfaces.h"

#include "lib/str.h"

#define AUTO_LINE "auto "

static const char *ip_command(const char *address)
{
	return network_is_v6(address) ? "ip -6" : "ip";
}

static int add_address(struct buf *out, const char *address, bool first)
{
	char ip[46], mask[16];
	unsigned prefix;

	if (!network_split_address(address, ip, &prefix, mask))
		return 0;
	if (!first)
		return buf_addf(out, "\tup %s addr add %s dev $IFACE\n", ip_command(ip), address);
	if (network_is_v6(ip))
		return buf_addf(out, "\taddress %s\n\tnetmask %u\n", ip, prefix);
	return buf_addf(out, "\taddress %s\n\tnetmask %s\n", ip, mask);
}

/*
 * What is said once for an interface, in its first stanza. All of it are addresses and names, checked
 * by the reader: nothing that a shell minds.
 */
static int add_common(struct buf *out, const struct nic *n, bool has_mtu)
{
	int rc = 0;

	if (n->mtu)
		rc = buf_addf(out,
			      has_mtu ? "\tmtu %u\n" : "\tpre-up ip link set dev $IFACE mtu %u\n",
			      n->mtu);
	if (rc == 0)
		rc = network_join(out, "\tdns-nameservers ", &n->dns, "\n");
	if (rc == 0)
		rc = network_join(out, "\tdns-search ", &n->search, "\n");
	for (size_t i = 0; rc == 0 && i < n->routes.n; i++) {
		char to[50], via[46];
		uint32_t metric;

		if (!network_split_route(n->routes.v[i], to, via, &metric))
			continue;
		rc = buf_addf(out, "\tup %s route replace %s via %s dev $IFACE%s", ip_command(to),
			      to, via, network_on_link(n, via) ? "" : " onlink");
		if (rc == 0 && metric)
			rc = buf_addf(out, " metric %u", metric);
		if (rc == 0)
			rc = buf_addc(out, '\n');
	}
	return rc;
}

static int add_gateway(struct buf *out, const struct nic *n, const char *gateway)
{
	uint32_t metric = gateway ? network_metric(n, network_is_v6(gateway)) : 0;

	if (!gateway)
		return 0;
	if (!network_on_link(n, gateway)) {
		if (buf_addf(out, "\tup %s route replace default via %s dev $IFACE onlink",
			     ip_command(gateway), gateway) < 0 ||
		    (metric && buf_addf(out, " metric %u", metric) < 0))
			return -ENOMEM;
		return buf_addc(out, '\n');
	}
	if (buf_addf(out, "\tgateway %s\n", gateway) < 0)
		return -ENOMEM;
	return metric ? buf_addf(out, "\tmetric %u\n", metric) : 0;
}

/* Its name ends with '.' and its number. Some programs make it themselves before. */
static int add_vlan(struct buf *out, const struct nic *n, const char *name)
{
	int rc = buf_addf(out,
			  "\tpre-up ip link add link %.*s name %s type vlan id %u 2>/dev/null || "
			  "true\n",
			  (int)(strrchr(name, '.') - name), name, name, n->vlan_id);

	if (rc == 0 && *n->mac)
		rc = buf_addf(out, "\tpre-up ip link set dev %s address %s\n", name, n->mac);
	return rc;
}

/* One family; *first: what is common was not said yet. */
static int add_family(struct buf *out, const struct nic *n, const char *name, bool v6, bool *first)
{
	enum nic_method method = v6 ? n->method6 : n->method;
	const char *word = "static";
	bool address = true;
	int rc;

	if (method == NIC_SKIP || (method == NIC_STATIC && !network_has(n, v6)))
		return 0;
	if (method != NIC_STATIC)
		word = method == NIC_DHCP ? "dhcp" : "auto";
	rc = buf_addf(out, "iface %s %s %s\n", name, v6 ? "inet6" : "inet", word);
	if (rc == 0 && *first && n->vlan_id)
		rc = add_vlan(out, n, name);
	for (size_t i = 0; rc == 0 && i < n->addresses.n; i++) {
		if (network_is_v6(n->addresses.v[i]) != v6)
			continue;
		rc = add_address(out, n->addresses.v[i], address && method == NIC_STATIC);
		address = false;
	}
	if (rc == 0 && method == NIC_STATIC)
		rc = add_gateway(out, n, v6 ? n->gateway6 : n->gateway);
	if (rc == 0 && method == NIC_DHCP && !v6 && n->metric)
		rc = buf_addf(out, "\tmetric %u\n", n->metric);
	if (rc == 0 && *first)
		rc = add_common(out, n, method == NIC_STATIC);
	*first = false;
	return rc;
}

int interfaces_add(struct buf *out, const struct nic *n, const char *name)
{
	bool first = true;
	int rc = buf_addf(out, "\n" AUTO_LINE "%s\n", name);

	if (rc == 0)
		rc = add_family(out, n, name, false, &first);
	if (rc == 0)
		rc = add_family(out, n, name, true, &first);
	if (rc == 0 && first)
		rc = buf_addf(out, "iface %s inet manual\n", name);
	return rc;
}

int interfaces_names(const char *text, struct strlist *names)
{
	size_t len = strlen(AUTO_LINE);
	int rc = 0;

	for (const char *p = text; rc == 0 && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		AUTO_FREE char *name = NULL;

		if (!str_has_prefix(p, AUTO_LINE))
			continue;
		name = strndup(p + len, strcspn(p + len, " \t\n"));
		rc = name ? strlist_add(names, name) : -ENOMEM;
	}
	return rc;
}

char *interfaces_find(const char *text, const char *name)
{
	AUTO_FREE char *first = str_format(AUTO_LINE "%s\n", name);
	const char *from = first ? strstr(text, first) : NULL, *to;

	while (from && from != text && from[-1] != '\n')
		from = strstr(from + 1, first);
	if (!from)
		return NULL;
	/* A comment is the end of ctxd's block. */
	for (to = from + strlen(first); *to && *to != '#' && !str_has_prefix(to, AUTO_LINE);
	     to += *to == '\n')
		to += strcspn(to, "\n");
	while (to > from && to[-1] == '\n')
		to--;
	return strndup(from, (size_t)(to - from));
}
