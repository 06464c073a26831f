/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SUSE's ifcfg(5) and routes(5), read by wicked and by ifup before it: ifcfg-NAME and ifroute-NAME
 * in /etc/sysconfig/network. Name servers go into a block at the end of netconfig's settings, a
 * file of shell assignments in which the last one counts.
 *
 * As with Red Hat's, the image's own description of an interface gives way when all that it says
 * is "DHCP", or when cloud-init wrote it.
 */
#include "ctxd/apply/network.h"

#include <stdio.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

#define DIR_PATH "/etc/sysconfig/network"
#define CONFIG DIR_PATH "/config"

static bool used(const struct guest *g)
{
	if (!guest_exists(g, DIR_PATH "/config") && !guest_exists(g, DIR_PATH "/scripts"))
		return false;
	return guest_exists(g, "/usr/sbin/wicked")
		       ? !network_unit_enabled(g, "NetworkManager.service")
		       : guest_exists(g, "/sbin/ifup");
}

/* ---- the files ------------------------------------------------------------------------------- */

static const char *boot_protocol(const struct nic *n)
{
	bool v4 = n->method == NIC_DHCP, v6 = n->method6 == NIC_DHCP;

	if (v4 && v6)
		return "dhcp";
	if (v4)
		return n->method6 == NIC_AUTO ? "dhcp4+auto6" : "dhcp4";
	if (v6)
		return "dhcp6";
	return n->method6 == NIC_AUTO ? "static+auto6" : "static";
}

/* Its name ends with '.' and its number. */
static int add_vlan(struct buf *out, const struct nic *n, const char *name)
{
	int rc = buf_addf(out, "ETHERDEVICE='%.*s'\nVLAN_ID='%u'\n",
			  (int)(strrchr(name, '.') - name), name, n->vlan_id);

	return rc < 0 || !*n->mac ? rc : buf_addf(out, "LLADDR='%s'\n", n->mac);
}

static int make_ifcfg(const struct nic *n, const char *name, struct buf *out)
{
	unsigned number = 0;
	int rc = buf_addf(out, "STARTMODE='auto'\nBOOTPROTO='%s'\n", boot_protocol(n));

	if (rc == 0 && n->vlan_id)
		rc = add_vlan(out, n, name);
	for (size_t i = 0; rc == 0 && i < n->addresses.n; i++) {
		char suffix[16] = "";

		if (number)
			snprintf(suffix, sizeof(suffix), "_%u", number);
		number++;
		rc = buf_addf(out, "IPADDR%s='%s'\n", suffix, n->addresses.v[i]);
	}
	if (rc == 0 && n->mtu)
		rc = buf_addf(out, "MTU='%u'\n", n->mtu);
	return rc;
}

/* DESTINATION GATEWAY NETMASK INTERFACE TYPE OPTIONS; '-' stands for nothing. */
static int add_route(struct buf *out, const struct nic *n, const char *name, const char *to,
		     const char *via, unsigned metric)
{
	int rc = 0;

	/* Neither wicked nor ifup takes a gateway that no route leads to. */
	if (!network_on_link(n, via))
		rc = buf_addf(out, "%s%s - - %s\n", via, network_is_v6(via) ? "/128" : "/32", name);
	if (rc == 0)
		rc = buf_addf(out, "%s %s - %s", to, via, name);
	if (rc == 0 && metric)
		rc = buf_addf(out, " unicast metric %u", metric);
	return rc < 0 ? rc : buf_addc(out, '\n');
}

static int make_routes(const struct nic *n, const char *name, struct buf *out)
{
	int rc = 0;

	if (n->gateway)
		rc = add_route(out, n, name, "default", n->gateway, network_metric(n, false));
	if (rc == 0 && n->gateway6)
		rc = add_route(out, n, name, "default", n->gateway6, network_metric(n, true));
	for (size_t i = 0; rc == 0 && i < n->routes.n; i++) {
		char to[50], via[46];
		uint32_t metric;

		if (network_split_route(n->routes.v[i], to, via, &metric))
			rc = add_route(out, n, name, to, via, metric);
	}
	return rc;
}

static int make_dns(const struct context *c, struct buf *out)
{
	AUTO(strlist_release) struct strlist servers = {0}, domains = {0};
	int rc = network_all_dns(c, &servers, &domains);

	if (rc == 0)
		rc = network_join(out, "NETCONFIG_DNS_STATIC_SERVERS=\"", &servers, "\"\n");
	return rc < 0 ? rc
		      : network_join(out, "NETCONFIG_DNS_STATIC_SEARCHLIST=\"", &domains, "\"\n");
}

/* ---- whose is it? ---------------------------------------------------------------------------- */

static bool may_displace(const char *text)
{
	static const char *const keys[] = {"STARTMODE",
					   "NAME",
					   "USERCONTROL",
					   "MTU",
					   "ETHTOOL_OPTIONS",
					   "ZONE",
					   "DHCLIENT_SET_DEFAULT_ROUTE",
					   "CLOUD_NETCONFIG_MANAGE"};
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;

	if (!copy)
		return false;
	if (strstr(text, "Created by cloud-init"))
		return true;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *eq = strchr(line, '=');
		bool known = false;

		line += strspn(line, " \t");
		if (!*line || *line == '#')
			continue;
		if (!eq)
			return false;
		*eq = '\0';
		/* Empty values are those of YaST's pattern. */
		known = eq[1 + strspn(eq + 1, "'\"")] == '\0';
		if (strcmp(line, "BOOTPROTO") == 0)
			known = strstr(eq + 1, "dhcp") != NULL;
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			known |= strcmp(line, keys[i]) == 0;
		if (!known)
			return false;
	}
	return true;
}

/* ---- the part -------------------------------------------------------------------------------- */

/* Returns 1 if the interface is ours now, 0 if it is somebody else's. */
static int put_nic(struct apply *a, const struct nic *n, const char *name, bool *changed,
		   struct err *e)
{
	AUTO_FREE char *ifcfg = str_format(DIR_PATH "/ifcfg-%s", name);
	AUTO_FREE char *ifroute = str_format(DIR_PATH "/ifroute-%s", name);
	AUTO_BUF was = BUF_INIT, text = BUF_INIT, routes = BUF_INIT;
	int rc = ifcfg && ifroute ? guest_original(a->g, ifcfg, &was, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	if (rc > 0 && !may_displace(buf_str(&was))) {
		log_warn("%s is described in %s: left alone", name, ifcfg);
		return 0;
	}
	if (make_ifcfg(n, name, &text) < 0 || make_routes(n, name, &routes) < 0)
		return err_nomem(e);
	rc = guest_displace(a->g, ifcfg, buf_str(&text), 0644, e);
	*changed |= rc > 0;
	if (rc < 0)
		return rc;
	rc = routes.len ? guest_displace(a->g, ifroute, buf_str(&routes), 0644, e)
			: guest_restore(a->g, ifroute, e);
	*changed |= rc > 0;
	return rc < 0 ? rc : 1;
}

static const char *const prefixes[] = {"ifcfg-", "ifroute-", NULL};

static int put_dns(struct apply *a, struct err *e)
{
	AUTO_BUF dns = BUF_INIT;
	int rc = 0;

	if (a->network_configured && make_dns(a->c, &dns) < 0)
		return err_nomem(e);
	if (guest_exists(a->g, CONFIG))
		rc = guest_write_block(a->g, CONFIG, buf_str(&dns), 0644, false, e);
	return rc < 0 ? rc : 0;
}

static int apply(struct apply *a, struct err *e)
{
	static const char *const reload[] = {"wicked", "ifreload", "all", NULL};
	AUTO(strlist_release) struct strlist names = {0};
	bool changed = false;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < a->c->n_nics; i++) {
		const struct nic *n = &a->c->nics[i];
		char name[IF_NAMESIZE];

		if (!network_wanted(n) || !network_interface(a, n, name))
			continue;
		rc = put_nic(a, n, name, &changed, e);
		if (rc > 0) {
			a->network_configured = true;
			rc = strlist_add(&names, name) < 0 ? err_nomem(e) : 0;
		}
	}
	if (rc >= 0)
		rc = network_restore_others(a, DIR_PATH, prefixes, &names, e);
	changed |= rc > 0;
	if (rc >= 0)
		rc = put_dns(a, e);
	if (rc == 0 && changed && a->running && guest_exists(a->g, "/usr/sbin/wicked"))
		network_run(a, reload);
	return rc;
}

static int leave(struct apply *a, struct err *e)
{
	int rc = network_restore_others(a, DIR_PATH, prefixes, NULL, e);

	if (rc >= 0 && guest_exists(a->g, CONFIG))
		rc = guest_write_block(a->g, CONFIG, "", 0644, false, e);
	return rc < 0 ? rc : 0;
}

const struct network_backend network_suse = {
	.name = "SUSE's ifcfg files",
	.used = used,
	.apply = apply,
	.leave = leave,
	.by_name = true,
	.dns = true,
};
