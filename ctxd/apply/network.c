/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network: the NICs that the context describes, configured by the one backend that the guest uses.
 * Where there is none that we know, or the context says nothing, the network is the guest's own.
 */
#include "ctxd/apply/network.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctxd/coldplug.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define NAMESERVERS_MAX 3 /* MAXNS of resolv.conf(5) */
#define NAMES_WAIT_MS 30000

/*
 * Each says by itself whether it is used; where several do, the first one is: with netplan or
 * networkd ifupdown is a relic, and the old network scripts are switched on only where they, and not
 * NetworkManager, are meant to be in charge.
 */
static const struct network_backend *const backends[] = {
	&network_networkd, &network_redhat, &network_suse, &network_manager, &network_ifupdown,
};

bool network_wanted(const struct nic *n)
{
	return (*n->mac || n->vlan_id) && (n->method != NIC_SKIP || n->method6 != NIC_SKIP);
}

/* True if the file's first line is text (and a line feed). */
static bool first_line_is(const char *path, const char *text)
{
	AUTO_BUF b = BUF_INIT;

	return fs_read_file(path, 4 * KIB, &b, NULL) == 0 &&
	       strncmp(buf_str(&b), text, strlen(text)) == 0 &&
	       (buf_str(&b)[strlen(text)] == '\n' || !buf_str(&b)[strlen(text)]);
}

/* VLANs, bridges and bonds share a NIC's address, and say what they are. */
static bool is_virtual(const char *dir)
{
	AUTO_FREE char *path = path_join(dir, "uevent");
	AUTO_BUF b = BUF_INIT;

	return path && fs_read_file(path, 4 * KIB, &b, NULL) == 0 &&
	       strstr(buf_str(&b), "DEVTYPE=") != NULL;
}

bool network_name(const struct guest *g, const char *mac, char ret[IF_NAMESIZE])
{
	AUTO_FREE char *top = guest_path(g, "/sys/class/net");
	DIR *dir = top ? opendir(top) : NULL;
	bool found = false;
	struct dirent *d;

	while (dir && !found && (d = readdir(dir))) {
		AUTO_FREE char *nic = path_join(top, d->d_name);
		AUTO_FREE char *address = nic ? path_join(nic, "address") : NULL;

		if (d->d_name[0] == '.' || strlen(d->d_name) >= IF_NAMESIZE || !address ||
		    !first_line_is(address, mac) || is_virtual(nic))
			continue;
		memcpy(ret, d->d_name, strlen(d->d_name) + 1);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

bool network_on_link(const struct nic *n, const char *address)
{
	struct ip_prefix a, own;

	if (context_parse_ip(address, &a, NULL) < 0)
		return false;
	for (size_t i = 0; i < n->addresses.n; i++) {
		unsigned k = 0;

		if (context_parse_ip(n->addresses.v[i], &own, NULL) < 0 || own.family != a.family)
			continue;
		while (k < own.prefix && !(((a.b[k / 8] ^ own.b[k / 8]) >> (7 - k % 8)) & 1))
			k++;
		if (k == own.prefix)
			return true;
	}
	/* fe80::/10 is on every link. */
	return a.family == AF_INET6 && a.b[0] == 0xfe && (a.b[1] & 0xc0) == 0x80;
}

const struct nic *network_parent(const struct context *c, const struct nic *n)
{
	for (size_t i = 0; n->vlan_id && n->vlan_parent && i < c->n_nics; i++) {
		const struct nic *p = &c->nics[i];

		if (!p->vlan_id && (strcmp(p->mac, n->vlan_parent) == 0 ||
				    (p->name && strcmp(p->name, n->vlan_parent) == 0)))
			return p;
	}
	return NULL;
}

bool network_interface(const struct apply *a, const struct nic *n, char ret[IF_NAMESIZE])
{
	const struct nic *real = n->vlan_id ? network_parent(a->c, n) : n;
	char name[IF_NAMESIZE];
	int len;

	if (!real || !network_name(a->g, real->mac, name)) {
		log_warn("no interface has the hardware address %s",
			 real && *real->mac ? real->mac : "that the context does not say");
		return false;
	}
	len = n->vlan_id ? snprintf(ret, IF_NAMESIZE, "%s.%u", name, n->vlan_id)
			 : snprintf(ret, IF_NAMESIZE, "%s", name);
	if (len < IF_NAMESIZE)
		return true;
	log_warn("the name %s.%u would be too long for an interface", name, n->vlan_id);
	return false;
}

void network_vlan_name(const struct context *c, const struct nic *n, char ret[IF_NAMESIZE])
{
	if (n->name && strlen(n->name) < IF_NAMESIZE) {
		memcpy(ret, n->name, strlen(n->name) + 1);
		return;
	}
	snprintf(ret, IF_NAMESIZE, "vlan%u", n->vlan_id);
	/* The same number on another NIC came before. */
	for (const struct nic *other = c->nics; other < n; other++) {
		if (other->vlan_id == n->vlan_id)
			snprintf(ret, IF_NAMESIZE, "vlan%u.%u", n->vlan_id,
				 (unsigned)(n - c->nics) % 1000);
	}
}

void network_file_part(const struct context *c, const struct nic *n, char ret[32])
{
	const struct nic *parent = network_parent(c, n);

	if (n->vlan_id)
		snprintf(ret, 32, "%s.%u", parent ? parent->mac : n->mac, n->vlan_id);
	else
		snprintf(ret, 32, "%s", n->mac);
	for (char *p = ret; *p; p++) {
		if (*p == ':')
			*p = '-';
	}
}

bool network_split_route(const char *route, char to[50], char via[46], uint32_t *metric)
{
	struct ip_prefix dst, gw;

	if (context_parse_route_metric(route, &dst, &gw, metric, NULL) < 0)
		return false;
	context_format_network(&dst, to);
	context_format_ip(&gw, via);
	return true;
}

bool network_split_address(const char *address, char ip[46], unsigned *prefix, char mask[16])
{
	struct ip_prefix a, m = {.family = AF_INET, .prefix = 32};

	if (context_parse_ip(address, &a, NULL) < 0)
		return false;
	context_format_ip(&a, ip);
	*prefix = a.prefix;
	for (unsigned i = 0; mask && a.family == AF_INET && i < a.prefix; i++)
		m.b[i / 8] |= (unsigned char)(0x80u >> (i % 8));
	if (mask) {
		char text[46];

		context_format_ip(&m, text);
		snprintf(mask, 16, "%.15s", text);
	}
	return true;
}

bool network_has(const struct nic *n, bool v6)
{
	for (size_t i = 0; i < n->addresses.n; i++) {
		if (network_is_v6(n->addresses.v[i]) == v6)
			return true;
	}
	return false;
}

bool network_unit_enabled(const struct guest *g, const char *unit)
{
	static const char *const dirs[] = {
		"/etc/systemd/system/multi-user.target.wants",
		"/etc/systemd/system/network-online.target.wants",
		"/run/systemd/generator/multi-user.target.wants",
		"/run/systemd/generator.late/multi-user.target.wants",
		"/usr/lib/systemd/system/multi-user.target.wants",
	};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		AUTO_FREE char *path = path_join(dirs[i], unit);

		if (path && guest_exists(g, path))
			return true;
	}
	return false;
}

int network_join(struct buf *out, const char *before, const struct strlist *l, const char *after)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->n; i++)
		rc = buf_addf(out, "%s%s%s", i ? " " : before, l->v[i], i + 1 == l->n ? after : "");
	return rc;
}

static bool list_has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->v[i], s) == 0)
			return true;
	}
	return false;
}

int network_all_dns(const struct context *c, struct strlist *servers, struct strlist *domains)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_nics; i++) {
		const struct nic *n = &c->nics[i];

		if (!network_wanted(n))
			continue;
		for (size_t k = 0; rc == 0 && k < n->dns.n; k++) {
			if (!list_has(servers, n->dns.v[k]))
				rc = strlist_add(servers, n->dns.v[k]);
		}
		for (size_t k = 0; rc == 0 && k < n->search.n; k++) {
			if (!list_has(domains, n->search.v[k]))
				rc = strlist_add(domains, n->search.v[k]);
		}
	}
	return rc;
}

void network_run(struct apply *a, const char *const *argv)
{
	struct err e;

	if (!a->g->live || a->g->dry_run)
		return;
	if (proc_run(argv, NULL, 0, NULL, 0, 60, &e) < 0)
		log_warn("%s %s: %s", argv[0], argv[1], e.msg);
}

/* ---- resolv.conf ------------------------------------------------------------------------- */

/* Somebody in the guest makes resolv.conf from what the backend tells it. */
static bool has_resolver_manager(const struct guest *g)
{
	return guest_exists(g, "/lib/systemd/systemd-resolved") ||
	       guest_exists(g, "/usr/lib/systemd/systemd-resolved") ||
	       guest_exists(g, "/sbin/resolvconf") || guest_exists(g, "/usr/sbin/resolvconf");
}

/* A link leads to the file of a manager. */
static bool is_link(const struct guest *g)
{
	AUTO_FREE char *full = guest_path(g, RESOLV_CONF);
	struct stat st;

	return !full || (lstat(full, &st) == 0 && !S_ISREG(st.st_mode));
}

/* Nobody makes it from what the backend knows, so it still names another network's servers. */
static int write_resolv_conf(struct apply *a, struct err *e)
{
	AUTO(strlist_release) struct strlist servers = {0}, domains = {0};
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (has_resolver_manager(a->g) || is_link(a->g))
		return 0;
	rc = network_all_dns(a->c, &servers, &domains);
	if (!servers.n)
		return rc < 0 ? err_nomem(e) : 0;
	for (size_t i = 0; rc == 0 && i < servers.n && i < NAMESERVERS_MAX; i++)
		rc = buf_addf(&text, "nameserver %s\n", servers.v[i]);
	if (rc == 0)
		rc = network_join(&text, "search ", &domains, "\n");
	if (rc < 0)
		return err_nomem(e);
	rc = guest_displace(a->g, RESOLV_CONF, buf_str(&text), 0644, e);
	if (rc == -EEXIST) {
		log_debug("%s", e->msg); /* a DHCP client writes it */
		rc = 0;
	}
	return rc < 0 ? rc : 0;
}

/* ---- the part ------------------------------------------------------------------------------ */

static int leave_all(struct apply *a, const struct network_backend *but, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < ARRAY_SIZE(backends); i++) {
		if (backends[i] != but)
			rc = backends[i]->leave(a, e);
	}
	return rc < 0 ? rc : 0;
}

static int leave_network(struct apply *a, struct err *e)
{
	int rc = leave_all(a, NULL, e);

	if (rc == 0 && !is_link(a->g))
		rc = guest_restore(a->g, RESOLV_CONF, e);
	return rc < 0 ? rc : 0;
}

static bool all_named(const struct apply *a)
{
	char name[IF_NAMESIZE];

	for (size_t i = 0; i < a->c->n_nics; i++) {
		const struct nic *n = &a->c->nics[i];

		if (network_wanted(n) && !n->vlan_id && !network_name(a->g, n->mac, name))
			return false;
	}
	return true;
}

/*
 * Early in a boot drivers are still being loaded, and udev renames what they find. It has done so
 * when it has settled.
 */
static void wait_for_names(struct apply *a)
{
	AUTO(coldplug_free) struct coldplug *events = NULL;
	bool settled = false;

	if (!a->g->live || a->running || a->g->dry_run ||
	    coldplug_watch(NAMES_WAIT_MS, &events, NULL) < 0)
		return;
	while (!settled && coldplug_wait(events, &settled, NULL) == 0)
		;
	if (!all_named(a))
		log_debug("udev has settled, and not every NIC of the context is there");
}

static int apply_network(struct apply *a, struct err *e)
{
	const struct network_backend *use = NULL;
	size_t wanted = 0;
	int rc;

	for (size_t i = 0; i < a->c->n_nics; i++) {
		const struct nic *n = &a->c->nics[i];

		wanted += network_wanted(n);
		if (!*n->mac && !n->vlan_id && (n->method != NIC_SKIP || n->method6 != NIC_SKIP))
			log_warn("NIC %zu has no hardware address in the context: left alone", i);
	}
	if (!wanted)
		return leave_network(a, e);
	for (size_t i = 0; !use && i < ARRAY_SIZE(backends); i++) {
		if (backends[i]->used(a->g))
			use = backends[i];
	}
	rc = leave_all(a, use, e);
	if (rc < 0)
		return rc;
	if (!use) {
		log_warn("the network is left to the guest: it uses nothing that ctxd knows");
		return 0;
	}
	if (use->by_name)
		wait_for_names(a);
	rc = use->apply(a, e);
	if (rc < 0)
		return err_wrap(e, "%s", use->name);
	return use->dns || !a->network_configured ? 0 : write_resolv_conf(a, e);
}

const struct part part_network = {"network", apply_network, leave_network};
