/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Red Hat's network scripts (initscripts, sysconfig.txt), as Red Hat 5 to 7 and Amazon Linux 1 and
 * 2 run them: ifcfg-NAME, route-NAME and route6-NAME in /etc/sysconfig/network-scripts.
 *
 * There is one place for a description of an interface. The image's own is displaced, and kept,
 * when all that it says is "DHCP", or when cloud-init wrote it; what says more is a person's and
 * stays.
 */
#include "ctxd/apply/network.h"

#include <stdio.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

#define DIR_PATH "/etc/sysconfig/network-scripts"

static bool service_enabled(const struct guest *g)
{
	static const char *const links[] = {"/etc/rc.d/rc2.d/S10network",
					    "/etc/rc.d/rc3.d/S10network",
					    "/etc/rc.d/rc5.d/S10network"};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (guest_exists(g, links[i]))
			return true;
	}
	return network_unit_enabled(g, "network.service");
}

static bool used(const struct guest *g)
{
	return guest_exists(g, DIR_PATH "/ifup-eth") && service_enabled(g);
}

/* ---- the files ------------------------------------------------------------------------------- */

static int add_v4(struct buf *out, const struct nic *n)
{
	unsigned number = 0;
	int rc = buf_addf(out, "BOOTPROTO=%s\n", n->method == NIC_DHCP ? "dhcp" : "none");

	for (size_t i = 0; rc == 0 && i < n->addresses.n; i++) {
		char ip[46], mask[16], suffix[12] = "";
		unsigned prefix;

		if (network_is_v6(n->addresses.v[i]) ||
		    !network_split_address(n->addresses.v[i], ip, &prefix, mask))
			continue;
		if (number)
			snprintf(suffix, sizeof(suffix), "%u", number);
		number++;
		rc = buf_addf(out, "IPADDR%s=%s\nNETMASK%s=%s\n", suffix, ip, suffix, mask);
	}
	if (rc == 0 && n->gateway && network_on_link(n, n->gateway))
		rc = buf_addf(out, "GATEWAY=%s\n", n->gateway);
	if (rc == 0 && n->metric)
		rc = buf_addf(out, "METRIC=%u\n", n->metric);
	return rc;
}

static int add_v6(struct buf *out, const struct nic *n)
{
	bool any = false, more = false;
	int rc;

	if (n->method6 == NIC_SKIP || (n->method6 == NIC_STATIC && !network_has(n, true)))
		return buf_adds(out, "IPV6INIT=no\n");
	rc = buf_addf(out, "IPV6INIT=yes\nIPV6_AUTOCONF=%s\n",
		      n->method6 == NIC_STATIC ? "no" : "yes");
	if (rc == 0 && n->method6 == NIC_DHCP)
		rc = buf_adds(out, "DHCPV6C=yes\n");
	for (size_t i = 0; rc == 0 && i < n->addresses.n; i++) {
		if (!network_is_v6(n->addresses.v[i]))
			continue;
		if (any)
			rc = buf_addf(out, "%s%s", more ? " " : "IPV6ADDR_SECONDARIES=\"",
				      n->addresses.v[i]);
		else
			rc = buf_addf(out, "IPV6ADDR=%s\n", n->addresses.v[i]);
		more = any;
		any = true;
	}
	if (rc == 0 && more)
		rc = buf_adds(out, "\"\n");
	if (rc == 0 && n->gateway6)
		rc = buf_addf(out, "IPV6_DEFAULTGW=%s\n", n->gateway6);
	return rc;
}

static int add_dns(struct buf *out, const struct nic *n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n->dns.n; i++)
		rc = buf_addf(out, "DNS%zu=%s\n", i + 1, n->dns.v[i]);
	return rc < 0 ? rc : network_join(out, "DOMAIN=\"", &n->search, "\"\n");
}

/* Its name ends with '.' and its number. */
static int add_vlan(struct buf *out, const struct nic *n, const char *name)
{
	int rc = buf_addf(out, "VLAN=yes\nPHYSDEV=%.*s\n", (int)(strrchr(name, '.') - name), name);

	return rc < 0 || !*n->mac ? rc : buf_addf(out, "MACADDR=%s\n", n->mac);
}

static int make_ifcfg(const struct nic *n, const char *name, struct buf *out)
{
	int rc = buf_addf(out, "DEVICE=%s\nONBOOT=yes\nUSERCTL=no\n", name);

	if (rc == 0)
		rc = n->vlan_id ? add_vlan(out, n, name)
				: buf_addf(out, "TYPE=Ethernet\nHWADDR=%s\n", n->mac);

	if (rc == 0)
		rc = add_v4(out, n);
	if (rc == 0)
		rc = add_v6(out, n);
	if (rc == 0 && n->mtu)
		rc = buf_addf(out, "MTU=%u\n", n->mtu);
	return rc < 0 ? rc : add_dns(out, n);
}

/* Arguments of `ip route add`. A gateway out of the NIC's networks is reached by the link. */
static int add_route(struct buf *out, const struct nic *n, const char *name, const char *to,
		     const char *via, unsigned metric)
{
	int rc = buf_addf(out, "%s via %s dev %s", to, via, name);

	if (rc == 0 && metric)
		rc = buf_addf(out, " metric %u", metric);
	if (rc == 0 && !network_on_link(n, via))
		rc = buf_adds(out, " onlink");
	return rc < 0 ? rc : buf_addc(out, '\n');
}

static int make_routes(const struct nic *n, const char *name, bool v6, struct buf *out)
{
	int rc = 0;

	if (!v6 && n->gateway && !network_on_link(n, n->gateway))
		rc = add_route(out, n, name, "default", n->gateway, n->metric);
	for (size_t i = 0; rc == 0 && i < n->routes.n; i++) {
		char to[50], via[46];
		uint32_t metric;

		if (network_split_route(n->routes.v[i], to, via, &metric) &&
		    network_is_v6(to) == v6)
			rc = add_route(out, n, name, to, via, metric);
	}
	return rc;
}

/* ---- whose is it? ---------------------------------------------------------------------------- */

/* Keys of which an image has some for an interface that it leaves to DHCP. */
static bool says_nothing(const char *key, const char *value)
{
	static const char *const keys[] = {
		"DEVICE",
		"NAME",
		"UUID",
		"HWADDR",
		"TYPE",
		"ONBOOT",
		"USERCTL",
		"PEERDNS",
		"IPV6INIT",
		"IPV6_AUTOCONF",
		"DHCPV6C",
		"DHCPV6C_OPTIONS",
		"NM_CONTROLLED",
		"DEFROUTE",
		"PERSISTENT_DHCLIENT",
		"PROXY_METHOD",
		"BROWSER_ONLY",
		"IPV4_FAILURE_FATAL",
		"IPV6_DEFROUTE",
		"EC2SYNC",
		"IPV6_FAILURE_FATAL",
		"RES_OPTIONS",
		"DHCLIENT_RETRY",
		"IPV6_ADDR_GEN_MODE",
		"DHCP_HOSTNAME",
		"PEERROUTES",
		"DHCP_ARP_CHECK",
		"IPV6_PEERDNS",
		"MAINROUTETABLE",
		"IPV6_PEERROUTES",
		"AUTOCONNECT_PRIORITY",
	};

	if (strcmp(key, "BOOTPROTO") == 0)
		return strstr(value, "dhcp") != NULL;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(key, keys[i]) == 0)
			return true;
	}
	return false;
}

static bool may_displace(const char *text)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;

	if (!copy)
		return false;
	if (strstr(text, "Created by cloud-init"))
		return true;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *eq = strchr(line, '=');

		line += strspn(line, " \t");
		if (!*line || *line == '#')
			continue;
		if (!eq)
			return false;
		*eq = '\0';
		if (!says_nothing(line, eq + 1))
			return false;
	}
	return true;
}

/* ---- the part -------------------------------------------------------------------------------- */

static int put_file(struct apply *a, const char *kind, const char *name, const struct buf *text,
		    bool *changed, struct err *e)
{
	AUTO_FREE char *path = str_format(DIR_PATH "/%s-%s", kind, name);
	int rc;

	if (!path)
		return err_nomem(e);
	if (text->len)
		rc = guest_displace(a->g, path, buf_str(text), 0644, e);
	else
		rc = guest_restore(a->g, path, e);
	*changed |= rc > 0;
	return rc < 0 ? rc : 0;
}

/* Returns 1 if the interface is ours now, 0 if it is somebody else's. */
static int put_nic(struct apply *a, const struct nic *n, const char *name, struct err *e)
{
	AUTO_FREE char *ifcfg = str_format(DIR_PATH "/ifcfg-%s", name);
	AUTO_BUF was = BUF_INIT, text = BUF_INIT, routes = BUF_INIT, routes6 = BUF_INIT;
	const char *const down[] = {"ifdown", name, NULL}, *const up[] = {"ifup", name, NULL};
	bool changed = false, was_there = ifcfg && guest_exists(a->g, ifcfg);
	int rc = ifcfg ? guest_original(a->g, ifcfg, &was, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	if (rc > 0 && !may_displace(buf_str(&was))) {
		log_warn("%s is described in %s: left alone", name, ifcfg);
		return 0;
	}
	if (make_ifcfg(n, name, &text) < 0 || make_routes(n, name, false, &routes) < 0 ||
	    make_routes(n, name, true, &routes6) < 0)
		return err_nomem(e);
	rc = put_file(a, "ifcfg", name, &text, &changed, e);
	if (rc == 0)
		rc = put_file(a, "route", name, &routes, &changed, e);
	if (rc == 0)
		rc = put_file(a, "route6", name, &routes6, &changed, e);
	/* What was up has its former addresses until it is taken down. */
	if (rc == 0 && changed && a->running && was_there)
		network_run(a, down);
	if (rc == 0 && changed && a->running)
		network_run(a, up);
	return rc < 0 ? rc : 1;
}

static const char *const prefixes[] = {"ifcfg-", "route-", "route6-", NULL};

static int apply(struct apply *a, struct err *e)
{
	AUTO(strlist_release) struct strlist names = {0};
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < a->c->n_nics; i++) {
		const struct nic *n = &a->c->nics[i];
		char name[IF_NAMESIZE];

		if (!network_wanted(n) || !network_interface(a, n, name))
			continue;
		rc = put_nic(a, n, name, e);
		if (rc > 0) {
			a->network_configured = true;
			rc = strlist_add(&names, name) < 0 ? err_nomem(e) : 0;
		}
	}
	return rc < 0 ? rc : network_restore_others(a, DIR_PATH, prefixes, &names, e);
}

static int leave(struct apply *a, struct err *e)
{
	return network_restore_others(a, DIR_PATH, prefixes, NULL, e);
}

const struct network_backend network_redhat = {
	.name = "network scripts",
	.used = used,
	.apply = apply,
	.leave = leave,
	.by_name = true,
	.dns = true,
};
