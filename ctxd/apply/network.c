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

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define NAMESERVERS_MAX 3 /* MAXNS of resolv.conf(5) */

/* netplan and networkd before ifupdown: where both are installed, the newer one is in use. */
static const struct network_backend *const backends[] = {
	&network_networkd,
	&network_ifupdown,
};

bool network_wanted(const struct nic *n)
{
	return *n->mac && (n->method != NIC_SKIP || n->method6 != NIC_SKIP);
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

bool network_split_route(const char *route, char to[50], char via[46])
{
	struct ip_prefix dst, gw;

	if (context_parse_route(route, &dst, &gw, NULL) < 0)
		return false;
	context_format_network(&dst, to);
	context_format_ip(&gw, via);
	return true;
}

/* ---- resolv.conf ------------------------------------------------------------------------- */

/* Somebody in the guest makes resolv.conf from what the backend tells it. */
static bool has_resolver_manager(const struct guest *g)
{
	return guest_exists(g, "/lib/systemd/systemd-resolved") ||
	       guest_exists(g, "/usr/lib/systemd/systemd-resolved") ||
	       guest_exists(g, "/sbin/resolvconf") || guest_exists(g, "/usr/sbin/resolvconf");
}

/* Not a link, and empty or ours: nobody looks after it. */
static bool may_write_resolv_conf(const struct guest *g)
{
	AUTO_FREE char *full = guest_path(g, RESOLV_CONF);
	AUTO_BUF b = BUF_INIT;
	struct stat st;

	if (!full)
		return false;
	if (lstat(full, &st) < 0)
		return errno == ENOENT;
	return S_ISREG(st.st_mode) && guest_read(g, RESOLV_CONF, &b, NULL) >= 0 &&
	       (!b.len || str_has_prefix(buf_str(&b), GUEST_MARK));
}

static int write_resolv_conf(struct apply *a, struct err *e)
{
	AUTO_BUF text = BUF_INIT, search = BUF_INIT;
	unsigned servers = 0;
	int rc;

	if (has_resolver_manager(a->g) || !may_write_resolv_conf(a->g))
		return 0;
	for (size_t i = 0; i < a->c->n_nics; i++) {
		const struct nic *n = &a->c->nics[i];

		if (!network_wanted(n))
			continue;
		for (size_t k = 0; k < n->dns.n && servers < NAMESERVERS_MAX; k++) {
			AUTO_FREE char *line = str_format("nameserver %s\n", n->dns.v[k]);

			if (!line)
				return err_nomem(e);
			if (strstr(buf_str(&text), line))
				continue;
			if (buf_adds(&text, line) < 0)
				return err_nomem(e);
			servers++;
		}
		for (size_t k = 0; k < n->search.n; k++) {
			AUTO_FREE char *word = str_format(" %s", n->search.v[k]);

			if (!word ||
			    (!strstr(buf_str(&search), word) && buf_adds(&search, word) < 0))
				return err_nomem(e);
		}
	}
	if (!servers)
		return 0;
	if (search.len && buf_addf(&text, "search%s\n", search.data) < 0)
		return err_nomem(e);
	rc = guest_write_own(a->g, RESOLV_CONF, buf_str(&text), 0644, e);
	return rc < 0 ? rc : 0;
}

/* ---- the part ------------------------------------------------------------------------------ */

static int leave_all(struct apply *a, const struct network_backend *but, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(backends); i++) {
		if (backends[i] != but)
			rc = backends[i]->leave(a, e);
	}
	return rc;
}

static int leave_network(struct apply *a, struct err *e)
{
	int rc = leave_all(a, NULL, e);

	if (rc == 0 && may_write_resolv_conf(a->g))
		rc = guest_remove_own(a->g, RESOLV_CONF, e);
	return rc < 0 ? rc : 0;
}

static int apply_network(struct apply *a, struct err *e)
{
	const struct network_backend *use = NULL;
	size_t wanted = 0;
	int rc;

	for (size_t i = 0; i < a->c->n_nics; i++) {
		const struct nic *n = &a->c->nics[i];

		wanted += network_wanted(n);
		if (!*n->mac && (n->method != NIC_SKIP || n->method6 != NIC_SKIP))
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
		log_warn("the network is left to the guest: it uses neither netplan, "
			 "systemd-networkd nor ifupdown");
		return 0;
	}
	rc = use->apply(a, e);
	if (rc < 0)
		return err_wrap(e, "%s", use->name);
	return write_resolv_conf(a, e);
}

const struct part part_network = {"network", apply_network, leave_network};
