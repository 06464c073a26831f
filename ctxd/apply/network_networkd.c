/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-networkd, by itself or below netplan.
 *
 * Each NIC gets /run/systemd/network/05-ctxd-MAC.network. networkd takes the first file, by name
 * and whatever the folder, that matches an interface, so these come before the 10-netplan-* files
 * that netplan makes of its own configuration: nothing of that is rewritten. /run is empty at each
 * boot, so a guest that wakes up elsewhere has forgotten them.
 *
 * Where netplan has configured nothing yet, nobody starts networkd: as netplan's own generator
 * does in the middle of a boot, we ask systemd to start it.
 */
#include "ctxd/apply/network.h"

#include <dirent.h>
#include <stdio.h>

#include "lib/fs.h"
#include "lib/str.h"

#define DIR_PATH "/run/systemd/network"
#define PREFIX "05-ctxd-"

/* ---- is it in use? ------------------------------------------------------------------------- */

static bool networkd_enabled(const struct guest *g)
{
	return network_unit_enabled(g, "systemd-networkd.service");
}

static bool has_networkd(const struct guest *g)
{
	return guest_exists(g, "/lib/systemd/systemd-networkd") ||
	       guest_exists(g, "/usr/lib/systemd/systemd-networkd");
}

/* netplan is there: its generator, a C program that its command line and systemd run. */
static bool has_netplan(const struct guest *g)
{
	return guest_exists(g, "/lib/netplan/generate") ||
	       guest_exists(g, "/usr/lib/netplan/generate") ||
	       guest_exists(g, "/usr/libexec/netplan/generate");
}

/* Counts netplan's files; *manager: one of them asks for NetworkManager. */
static unsigned netplan_files(const struct guest *g, bool *manager)
{
	static const char *const dirs[] = {"/lib/netplan", "/etc/netplan", "/run/netplan"};
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		AUTO_FREE char *full = guest_path(g, dirs[i]);
		DIR *dir = full ? opendir(full) : NULL;
		struct dirent *d;

		while (dir && (d = readdir(dir))) {
			AUTO_FREE char *path = path_join(full, d->d_name);
			AUTO_BUF text = BUF_INIT;

			if (!path || !str_has_suffix(d->d_name, ".yaml") ||
			    fs_read_file(path, GUEST_FILE_MAX, &text, NULL) < 0)
				continue;
			n++;
			if (strstr(buf_str(&text), "renderer: NetworkManager"))
				*manager = true;
		}
		if (dir)
			closedir(dir);
	}
	return n;
}

static bool used(const struct guest *g)
{
	bool manager = false;
	unsigned files;

	if (!has_networkd(g))
		return false;
	files = netplan_files(g, &manager);
	if (has_netplan(g) && (files || !guest_exists(g, "/etc/network/interfaces")))
		return !manager;
	return networkd_enabled(g);
}

/* ---- files --------------------------------------------------------------------------------- */

static int add_route(struct buf *out, const struct nic *n, const char *to, const char *via,
		     unsigned metric)
{
	int rc = buf_adds(out, "\n[Route]\n");

	if (rc == 0 && to)
		rc = buf_addf(out, "Destination=%s\n", to);
	if (rc == 0)
		rc = buf_addf(out, "Gateway=%s\n", via);
	if (rc == 0 && !network_on_link(n, via))
		rc = buf_adds(out, "GatewayOnLink=yes\n");
	if (rc == 0 && metric)
		rc = buf_addf(out, "Metric=%u\n", metric);
	return rc;
}

static int add_list(struct buf *out, const char *key, const struct strlist *l)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->n; i++)
		rc = buf_addf(out, "%s=%s\n", key, l->v[i]);
	return rc;
}

static const char *dhcp_word(const struct nic *n)
{
	if (n->method == NIC_DHCP && n->method6 == NIC_DHCP)
		return "yes";
	if (n->method == NIC_DHCP)
		return "ipv4";
	return n->method6 == NIC_DHCP ? "ipv6" : "no";
}

static int add_network(struct buf *out, const struct nic *n)
{
	int rc = buf_addf(out, "\n[Network]\nDHCP=%s\n", dhcp_word(n));

	/* An address given is the address wanted, without others that a router suggests. */
	if (rc == 0 && n->method6 == NIC_STATIC)
		rc = buf_adds(out, "IPv6AcceptRA=no\n");
	if (rc == 0 && (n->method6 == NIC_AUTO || n->method6 == NIC_DHCP))
		rc = buf_adds(out, "IPv6AcceptRA=yes\n");
	if (rc == 0)
		rc = add_list(out, "Address", &n->addresses);
	if (rc == 0)
		rc = add_list(out, "DNS", &n->dns);
	if (rc == 0)
		rc = add_list(out, "Domains", &n->search);
	return rc;
}

/* Which interface the file is for. */
static int add_match(struct buf *out, const struct context *c, const struct nic *n)
{
	char name[IF_NAMESIZE];

	if (!n->vlan_id)
		return buf_addf(out, "[Match]\nMACAddress=%s\nType=ether\n", n->mac);
	network_vlan_name(c, n, name);
	return buf_addf(out, "[Match]\nName=%s\nType=vlan\n", name);
}

static int add_vlans(struct buf *out, const struct context *c, const struct nic *parent)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->n_nics; i++) {
		const struct nic *n = &c->nics[i];
		char name[IF_NAMESIZE];

		if (!n->vlan_id || !network_wanted(n) || network_parent(c, n) != parent)
			continue;
		network_vlan_name(c, n, name);
		rc = buf_addf(out, "VLAN=%s\n", name);
	}
	return rc;
}

static int make_file(const struct context *c, const struct nic *n, struct buf *out)
{
	int rc = add_match(out, c, n);

	if (rc == 0 && n->mtu)
		rc = buf_addf(out, "\n[Link]\nMTUBytes=%u\n", n->mtu);
	if (rc == 0)
		rc = add_network(out, n);
	if (rc == 0)
		rc = add_vlans(out, c, n);
	if (rc == 0 && n->method == NIC_DHCP && network_metric(n, false))
		rc = buf_addf(out, "\n[DHCPv4]\nRouteMetric=%u\n", network_metric(n, false));
	if (rc == 0 && n->method6 != NIC_STATIC && n->method6 != NIC_SKIP &&
	    network_metric(n, true))
		rc = buf_addf(out, "\n[IPv6AcceptRA]\nRouteMetric=%u\n", network_metric(n, true));
	if (rc == 0 && n->gateway)
		rc = add_route(out, n, NULL, n->gateway, network_metric(n, false));
	if (rc == 0 && n->gateway6)
		rc = add_route(out, n, NULL, n->gateway6, network_metric(n, true));
	for (size_t i = 0; rc == 0 && i < n->routes.n; i++) {
		char to[50], via[46];
		uint32_t metric;

		if (network_split_route(n->routes.v[i], to, via, &metric))
			rc = add_route(out, n, to, via, metric);
	}
	return rc;
}

static int make_netdev(const struct context *c, const struct nic *n, struct buf *out)
{
	char name[IF_NAMESIZE];
	int rc;

	network_vlan_name(c, n, name);
	rc = buf_addf(out, "[NetDev]\nName=%s\nKind=vlan\n", name);
	if (rc == 0 && *n->mac)
		rc = buf_addf(out, "MACAddress=%s\n", n->mac);
	return rc < 0 ? rc : buf_addf(out, "\n[VLAN]\nId=%u\n", n->vlan_id);
}

/* 05-ctxd-02-00-c0-a8-00-05.network */
static void file_name(const struct context *c, const struct nic *n, const char *suffix,
		      char out[64])
{
	char part[32];

	network_file_part(c, n, part);
	snprintf(out, 64, PREFIX "%s%s", part, suffix);
}

static bool is_current(const struct context *c, const char *name)
{
	for (size_t i = 0; c && i < c->n_nics; i++) {
		char network[64], netdev[64];

		file_name(c, &c->nics[i], ".network", network);
		file_name(c, &c->nics[i], ".netdev", netdev);
		if (network_wanted(&c->nics[i]) &&
		    (strcmp(name, network) == 0 ||
		     (c->nics[i].vlan_id && strcmp(name, netdev) == 0)))
			return true;
	}
	return false;
}

/* ---- telling systemd ------------------------------------------------------------------------- */

static void tell_systemd(struct apply *a, bool changed)
{
	static const char *const start[] = {"systemctl",
					    "start",
					    "--no-block",
					    "--no-ask-password",
					    "systemd-networkd.service",
					    "systemd-networkd-wait-online.service",
					    NULL};
	static const char *const reload[] = {"networkctl", "reload", NULL};

	if (guest_exists(a->g, "/run/systemd/netif/state")) {
		if (changed)
			network_run(a, reload);
	} else if (!networkd_enabled(a->g)) {
		network_run(a, start);
	}
}

/* Returns 1 if something changed. */
static int put_nic(struct apply *a, const struct nic *n, struct err *e)
{
	AUTO_BUF text = BUF_INIT, netdev = BUF_INIT;
	char path[sizeof(DIR_PATH) + 64], name[64];
	int rc = 0, rc2;

	if (make_file(a->c, n, &text) < 0 || make_netdev(a->c, n, &netdev) < 0)
		return err_nomem(e);
	if (n->vlan_id) {
		file_name(a->c, n, ".netdev", name);
		snprintf(path, sizeof(path), DIR_PATH "/%s", name);
		rc = guest_write_own(a->g, path, buf_str(&netdev), 0644, e);
	}
	if (rc < 0)
		return rc;
	file_name(a->c, n, ".network", name);
	snprintf(path, sizeof(path), DIR_PATH "/%s", name);
	rc2 = guest_write_own(a->g, path, buf_str(&text), 0644, e);
	return rc2 < 0 ? rc2 : rc | rc2;
}

static int apply(struct apply *a, struct err *e)
{
	int rc = network_remove_others(a, DIR_PATH, PREFIX, a->c, is_current, e);
	bool changed = rc > 0;

	for (size_t i = 0; rc >= 0 && i < a->c->n_nics; i++) {
		if (!network_wanted(&a->c->nics[i]))
			continue;
		rc = put_nic(a, &a->c->nics[i], e);
		changed |= rc > 0;
	}
	if (rc < 0)
		return rc;
	a->network_configured = true;
	tell_systemd(a, changed);
	return 0;
}

static int leave(struct apply *a, struct err *e)
{
	return network_remove_others(a, DIR_PATH, PREFIX, NULL, is_current, e);
}

const struct network_backend network_networkd = {
	.name = "systemd-networkd",
	.used = used,
	.apply = apply,
	.leave = leave,
};
