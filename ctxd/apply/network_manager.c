/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NetworkManager, nm-settings-keyfile(5): a profile
 * /run/NetworkManager/system-connections/ctxd-MAC.nmconnection for each NIC, which is preferred to
 * others for the same interface by its priority. Nothing of the guest's own is rewritten, and /run
 * is empty at each boot. Read there by NetworkManager 1.14 and later.
 */
#include "ctxd/apply/network.h"

#include <stdio.h>

#include "lib/fs.h"
#include "lib/str.h"

#define DIR_PATH "/run/NetworkManager/system-connections"
#define PREFIX "ctxd-"
#define SUFFIX ".nmconnection"
#define PRIORITY 900 /* of at most 999; a profile that says nothing has 0 */

static bool used(const struct guest *g)
{
	return (guest_exists(g, "/usr/sbin/NetworkManager") ||
		guest_exists(g, "/usr/bin/NetworkManager")) &&
	       (network_unit_enabled(g, "NetworkManager.service") ||
		guest_exists(g, "/etc/runlevels/default/networkmanager"));
}

/* ---- one profile ----------------------------------------------------------------------------- */

/* The same for a NIC at each boot, so that its profile is the same to NetworkManager. */
static void make_uuid(const struct context *c, const struct nic *n, char out[40])
{
	const struct nic *real = n->vlan_id ? network_parent(c, n) : n;
	char digits[13] = "000000000000";
	size_t k = 0;

	for (const char *p = real ? real->mac : ""; *p && k < 12; p++) {
		if (*p != ':')
			digits[k++] = *p;
	}
	snprintf(out, 40, "63747864-6e6d-8%03x-8000-%s", n->vlan_id & 0xfffu, digits);
}

static int add_vlan(struct buf *out, const struct context *c, const struct nic *n)
{
	const struct nic *parent = network_parent(c, n);
	char name[IF_NAMESIZE], uuid[40];
	int rc;

	network_vlan_name(c, n, name);
	rc = buf_addf(out, "interface-name=%s\n\n[vlan]\nid=%u\n", name, n->vlan_id);
	if (rc < 0 || !parent)
		return rc;
	make_uuid(c, parent, uuid);
	return buf_addf(out, "parent=%s\n", uuid);
}

static int add_head(struct buf *out, const struct context *c, const struct nic *n)
{
	char part[32], uuid[40];
	int rc;

	make_uuid(c, n, uuid);
	network_file_part(c, n, part);
	rc = buf_addf(out,
		      "\n[connection]\nid=ctxd %s\nuuid=%s\ntype=%s\nautoconnect-priority=%d\n",
		      part, uuid, n->vlan_id ? "vlan" : "ethernet", PRIORITY);
	if (rc == 0 && n->vlan_id)
		rc = add_vlan(out, c, n);
	if (rc == 0 && (!n->vlan_id || *n->mac || n->mtu))
		rc = buf_adds(out, "\n[ethernet]\n");
	if (rc == 0 && *n->mac)
		rc = buf_addf(out, "%s=%s\n", n->vlan_id ? "cloned-mac-address" : "mac-address",
			      n->mac);
	if (rc == 0 && n->mtu)
		rc = buf_addf(out, "mtu=%u\n", n->mtu);
	return rc;
}

static int add_list(struct buf *out, const char *key, const struct strlist *l, int family)
{
	bool any = false;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		if (family && network_is_v6(l->v[i]) != (family == 6))
			continue;
		rc = buf_addf(out, "%s%s;", any ? "" : key, l->v[i]);
		any = true;
	}
	return rc < 0 || !any ? rc : buf_addc(out, '\n');
}

static int add_routes(struct buf *out, const struct nic *n, bool v6)
{
	unsigned number = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n->routes.n; i++) {
		char to[50], via[46];
		uint32_t metric;

		if (!network_split_route(n->routes.v[i], to, via, &metric) ||
		    network_is_v6(to) != v6)
			continue;
		number++;
		rc = buf_addf(out, "route%u=%s,%s", number, to, via);
		if (rc == 0 && metric)
			rc = buf_addf(out, ",%u", metric);
		if (rc == 0)
			rc = buf_addc(out, '\n');
		if (rc == 0 && !network_on_link(n, via))
			rc = buf_addf(out, "route%u_options=onlink=true\n", number);
	}
	return rc;
}

static const char *method_word(const struct nic *n, bool v6)
{
	switch (v6 ? n->method6 : n->method) {
	case NIC_DHCP:
		return v6 ? "dhcp" : "auto";
	case NIC_AUTO:
		return "auto";
	case NIC_STATIC:
		if (network_has(n, v6))
			return "manual";
		return v6 ? "link-local" : "disabled";
	case NIC_SKIP:
		break;
	}
	return v6 ? "ignore" : "disabled";
}

static int add_family(struct buf *out, const struct nic *n, bool v6)
{
	const char *method = method_word(n, v6), *gateway = v6 ? n->gateway6 : n->gateway;
	bool manual = strcmp(method, "manual") == 0;
	unsigned number = 0;
	int rc = buf_addf(out, "\n[ipv%c]\nmethod=%s\n", v6 ? '6' : '4', method);

	/* Elsewhere these are not allowed, and the whole profile would not be taken. */
	if (!manual && strcmp(method, "auto") != 0 && strcmp(method, "dhcp") != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < n->addresses.n; i++) {
		if (network_is_v6(n->addresses.v[i]) == v6)
			rc = buf_addf(out, "address%u=%s\n", ++number, n->addresses.v[i]);
	}
	if (rc == 0 && manual && gateway)
		rc = buf_addf(out, "gateway=%s\n", gateway);
	if (rc == 0 && network_metric(n, v6))
		rc = buf_addf(out, "route-metric=%u\n", network_metric(n, v6));
	if (rc == 0)
		rc = add_list(out, "dns=", &n->dns, v6 ? 6 : 4);
	if (rc == 0)
		rc = add_list(out, "dns-search=", &n->search, 0);
	return rc < 0 ? rc : add_routes(out, n, v6);
}

static int make_file(const struct context *c, const struct nic *n, struct buf *out)
{
	int rc = add_head(out, c, n);

	if (rc == 0)
		rc = add_family(out, n, false);
	return rc < 0 ? rc : add_family(out, n, true);
}

/* ---- the part -------------------------------------------------------------------------------- */

/* ctxd-02-00-c0-a8-00-05.nmconnection */
static void file_name(const struct context *c, const struct nic *n, char out[64])
{
	char part[32];

	network_file_part(c, n, part);
	snprintf(out, 64, PREFIX "%s" SUFFIX, part);
}

static bool is_current(const struct context *c, const char *name)
{
	for (size_t i = 0; c && i < c->n_nics; i++) {
		char own[64];

		file_name(c, &c->nics[i], own);
		if (network_wanted(&c->nics[i]) && strcmp(name, own) == 0)
			return true;
	}
	return false;
}

/* What changed while the guest runs is to be used, also in place of NetworkManager's own guess. */
static void tell_manager(struct apply *a, bool gone, const struct strlist *uuids)
{
	static const char *const reload[] = {"nmcli", "connection", "reload", NULL};

	if ((!gone && !uuids->n) || !guest_exists(a->g, "/run/NetworkManager/devices"))
		return;
	network_run(a, reload);
	for (size_t i = 0; a->running && i < uuids->n; i++) {
		const char *const up[] = {"nmcli", "--wait",    "30", "connection",
					  "up",    uuids->v[i], NULL};

		network_run(a, up);
	}
}

/* *changed gets the UUID of a profile that is another than before. */
static int put_nic(struct apply *a, const struct nic *n, struct strlist *changed, struct err *e)
{
	char path[sizeof(DIR_PATH) + 64], name[64], uuid[40];
	AUTO_BUF text = BUF_INIT;
	int rc;

	file_name(a->c, n, name);
	snprintf(path, sizeof(path), DIR_PATH "/%s", name);
	if (make_file(a->c, n, &text) < 0)
		return err_nomem(e);
	rc = guest_write_own(a->g, path, buf_str(&text), 0600, e);
	if (rc <= 0)
		return rc;
	make_uuid(a->c, n, uuid);
	return strlist_add(changed, uuid) < 0 ? err_nomem(e) : 0;
}

static int apply(struct apply *a, struct err *e)
{
	AUTO(strlist_release) struct strlist changed = {0};
	int rc = network_remove_others(a, DIR_PATH, PREFIX, a->c, is_current, e);
	bool gone = rc > 0;

	for (size_t i = 0; rc >= 0 && i < a->c->n_nics; i++) {
		if (network_wanted(&a->c->nics[i]))
			rc = put_nic(a, &a->c->nics[i], &changed, e);
	}
	if (rc < 0)
		return rc;
	a->network_configured = true;
	tell_manager(a, gone, &changed);
	return 0;
}

static int leave(struct apply *a, struct err *e)
{
	return network_remove_others(a, DIR_PATH, PREFIX, NULL, is_current, e);
}

const struct network_backend network_manager = {
	.name = "NetworkManager",
	.used = used,
	.apply = apply,
	.leave = leave,
	.dns = true,
};
