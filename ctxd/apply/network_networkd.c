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
#define SUFFIX ".network"

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

static int make_file(const struct nic *n, struct buf *out)
{
	int rc = buf_addf(out, "[Match]\nMACAddress=%s\nType=ether\n", n->mac);

	if (rc == 0 && n->mtu)
		rc = buf_addf(out, "\n[Link]\nMTUBytes=%u\n", n->mtu);
	if (rc == 0)
		rc = add_network(out, n);
	if (rc == 0 && n->metric && (n->method == NIC_DHCP || n->method6 == NIC_DHCP))
		rc = buf_addf(out, "\n[DHCP]\nRouteMetric=%u\n", n->metric);
	if (rc == 0 && n->gateway)
		rc = add_route(out, n, NULL, n->gateway, n->metric);
	if (rc == 0 && n->gateway6)
		rc = add_route(out, n, NULL, n->gateway6, n->metric);
	for (size_t i = 0; rc == 0 && i < n->routes.n; i++) {
		char to[50], via[46];

		if (network_split_route(n->routes.v[i], to, via))
			rc = add_route(out, n, to, via, 0);
	}
	return rc;
}

/* 05-ctxd-02-00-c0-a8-00-05.network */
static void file_name(const struct nic *n, char out[64])
{
	snprintf(out, 64, PREFIX "%s" SUFFIX, n->mac);
	for (char *p = out; *p; p++) {
		if (*p == ':')
			*p = '-';
	}
}

static bool is_current(const struct context *c, const char *name)
{
	for (size_t i = 0; c && i < c->n_nics; i++) {
		char own[64];

		file_name(&c->nics[i], own);
		if (network_wanted(&c->nics[i]) && strcmp(name, own) == 0)
			return true;
	}
	return false;
}

/* Removes files for NICs that c (NULL: none) does not have. */
static int remove_others(struct apply *a, const struct context *c, struct err *e)
{
	AUTO_FREE char *full = guest_path(a->g, DIR_PATH);
	DIR *dir = full ? opendir(full) : NULL;
	struct dirent *d;
	int rc = 0;

	while (dir && rc >= 0 && (d = readdir(dir))) {
		AUTO_FREE char *path = NULL;

		if (!str_has_prefix(d->d_name, PREFIX) || is_current(c, d->d_name))
			continue;
		path = path_join(DIR_PATH, d->d_name);
		rc = path ? guest_remove_own(a->g, path, e) : err_nomem(e);
	}
	if (dir)
		closedir(dir);
	return rc < 0 ? rc : 0;
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

static int apply(struct apply *a, struct err *e)
{
	bool changed = false;
	int rc = remove_others(a, a->c, e);

	for (size_t i = 0; rc >= 0 && i < a->c->n_nics; i++) {
		const struct nic *n = &a->c->nics[i];
		AUTO_BUF text = BUF_INIT;
		char path[sizeof(DIR_PATH) + 64], name[64];

		if (!network_wanted(n))
			continue;
		file_name(n, name);
		snprintf(path, sizeof(path), DIR_PATH "/%s", name);
		if (make_file(n, &text) < 0)
			return err_nomem(e);
		rc = guest_write_own(a->g, path, buf_str(&text), 0644, e);
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
	return remove_others(a, NULL, e);
}

const struct network_backend network_networkd = {
	.name = "systemd-networkd",
	.used = used,
	.apply = apply,
	.leave = leave,
};
