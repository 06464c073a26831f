/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ifupdown, interfaces(5): a file "ctxd" in a folder that the guest's /etc/network/interfaces
 * sources. An interface that a person has described elsewhere is left alone: ifupdown would do
 * both descriptions. What cloud-init once wrote for it (interfaces.d/50-cloud-init) is set aside,
 * since cloud-init is told to leave the network alone.
 */
#include "ctxd/apply/network.h"

#include <dirent.h>

#include "lib/log.h"
#include "lib/str.h"

#define MAIN "/etc/network/interfaces"
#define CLOUD_INIT_FILE "/etc/network/interfaces.d/50-cloud-init"
#define NAME "ctxd"

/* Where a file may be sourced from; those in /run are gone after a boot, so they come first. */
static const char *const folders[] = {
	"/run/network/interfaces.d",
	"/etc/network/interfaces.d",
};

static bool used(const struct guest *g)
{
	return guest_exists(g, MAIN) &&
	       (guest_exists(g, "/sbin/ifup") || guest_exists(g, "/usr/sbin/ifup"));
}

/* Does this line of MAIN source folder/ctxd? Relative paths are seen from /etc/network. */
static bool sources(char *line, const char *folder)
{
	char *save = NULL, *word = strtok_r(line, " \t\r", &save), *path, *slash;
	AUTO_FREE char *full = NULL;

	if (!word || (strcmp(word, "source") != 0 && strcmp(word, "source-directory") != 0))
		return false;
	path = strtok_r(NULL, " \t\r", &save);
	if (!path)
		return false;
	full = str_format("%s%s", *path == '/' ? "" : "/etc/network/", path);
	if (!full)
		return false;
	if (strcmp(word, "source-directory") == 0) {
		if (str_has_suffix(full, "/"))
			full[strlen(full) - 1] = '\0';
		return strcmp(full, folder) == 0;
	}
	slash = strrchr(full, '/');
	*slash = '\0';
	return strcmp(full, folder) == 0 && str_glob(slash + 1, NAME);
}

static const char *find_folder(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		AUTO_FREE char *copy = strdup(text);
		char *save = NULL;

		for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
		     line = strtok_r(NULL, "\n", &save)) {
			if (sources(line, folders[i]))
				return folders[i];
		}
	}
	return NULL;
}

/* Is there an "iface NAME ..." line? */
static bool describes(const char *text, const char *name)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *in = NULL, *word = strtok_r(line, " \t\r", &in);

		if (word && strcmp(word, "iface") == 0) {
			word = strtok_r(NULL, " \t\r", &in);
			if (word && strcmp(word, name) == 0)
				return true;
		}
	}
	return false;
}

/* The file in folder, other than ours and cloud-init's, that describes the interface; or NULL. */
static char *describing_file(const struct guest *g, const char *folder, const char *name)
{
	AUTO_FREE char *full = guest_path(g, folder), *found = NULL;
	DIR *dir = full ? opendir(full) : NULL;
	struct dirent *d;

	while (dir && !found && (d = readdir(dir))) {
		AUTO_FREE char *path = str_format("%s/%s", folder, d->d_name);
		AUTO_BUF text = BUF_INIT;

		if (!path || strcmp(d->d_name, NAME) == 0 || strcmp(path, CLOUD_INIT_FILE) == 0 ||
		    guest_read(g, path, &text, NULL) <= 0)
			continue;
		if (describes(buf_str(&text), name))
			found = STEAL(path);
	}
	if (dir)
		closedir(dir);
	return STEAL(found);
}

/* ---- stanzas --------------------------------------------------------------------------------- */

static int add_address(struct buf *out, const char *prefix)
{
	const char *slash = strchr(prefix, '/');

	return buf_addf(out, "\taddress %.*s\n\tnetmask %s\n", (int)(slash - prefix), prefix,
			slash + 1);
}

/* What is said once for an interface, in its first stanza. */
static int add_common(struct buf *out, const struct nic *n)
{
	int rc = 0;

	if (n->mtu)
		rc = buf_addf(out, "\tmtu %u\n", n->mtu);
	for (size_t i = 0; rc == 0 && i < n->dns.n; i++)
		rc = buf_addf(out, "%s %s%s", i ? "" : "\tdns-nameservers", n->dns.v[i],
			      i + 1 == n->dns.n ? "\n" : "");
	for (size_t i = 0; rc == 0 && i < n->search.n; i++)
		rc = buf_addf(out, "%s %s%s", i ? "" : "\tdns-search", n->search.v[i],
			      i + 1 == n->search.n ? "\n" : "");
	for (size_t i = 0; rc == 0 && i < n->routes.n; i++) {
		char to[50], via[46];

		/* Both are addresses, checked by the reader: nothing that a shell minds. */
		if (network_split_route(n->routes.v[i], to, via))
			rc = buf_addf(out, "\tup ip %sroute replace %s via %s\n",
				      strchr(to, ':') ? "-6 " : "", to, via);
	}
	return rc;
}

static int add_gateway(struct buf *out, const struct nic *n, const char *gateway)
{
	if (!gateway)
		return 0;
	if (!network_on_link(n, gateway)) {
		if (buf_addf(out, "\tup ip %sroute replace default via %s dev $IFACE onlink",
			     strchr(gateway, ':') ? "-6 " : "", gateway) < 0 ||
		    (n->metric && buf_addf(out, " metric %u", n->metric) < 0))
			return -ENOMEM;
		return buf_addc(out, '\n');
	}
	if (buf_addf(out, "\tgateway %s\n", gateway) < 0)
		return -ENOMEM;
	return n->metric ? buf_addf(out, "\tmetric %u\n", n->metric) : 0;
}

/* All static addresses of one family: a stanza each, the gateway in the first. */
static int add_static(struct buf *out, const struct nic *n, const char *name, bool v6, bool *common)
{
	bool first = true;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n->addresses.n; i++) {
		if ((strchr(n->addresses.v[i], ':') != NULL) != v6)
			continue;
		rc = buf_addf(out, "iface %s %s static\n", name, v6 ? "inet6" : "inet");
		if (rc == 0)
			rc = add_address(out, n->addresses.v[i]);
		if (rc == 0 && first)
			rc = add_gateway(out, n, v6 ? n->gateway6 : n->gateway);
		if (rc == 0 && !*common)
			rc = add_common(out, n);
		first = false;
		*common = true;
	}
	return rc;
}

static int add_stanzas(struct buf *out, const struct nic *n, const char *name)
{
	bool common = false;
	int rc = buf_addf(out, "\nauto %s\n", name);

	if (rc == 0 && n->method == NIC_STATIC)
		rc = add_static(out, n, name, false, &common);
	if (rc == 0 && n->method == NIC_DHCP) {
		rc = buf_addf(out, "iface %s inet dhcp\n", name);
		if (rc == 0 && n->metric)
			rc = buf_addf(out, "\tmetric %u\n", n->metric);
		if (rc == 0)
			rc = add_common(out, n);
		common = true;
	}
	if (rc == 0 && n->method6 == NIC_STATIC)
		rc = add_static(out, n, name, true, &common);
	if (rc == 0 && (n->method6 == NIC_DHCP || n->method6 == NIC_AUTO)) {
		rc = buf_addf(out, "iface %s inet6 %s\n", name,
			      n->method6 == NIC_DHCP ? "dhcp" : "auto");
		if (rc == 0 && !common)
			rc = add_common(out, n);
	}
	return rc;
}

/* ---- the part -------------------------------------------------------------------------------- */

/* What cloud-init wrote about this interface is set aside; `undo` and leave() put it back. */
static int set_aside(struct apply *a, const char *name, struct err *e)
{
	static const char text[] = GUEST_HEAD "# The interface is described in a file 'ctxd'.\n";
	AUTO_BUF old = BUF_INIT;
	int rc = guest_read(a->g, CLOUD_INIT_FILE, &old, e);

	if (rc <= 0 || !describes(buf_str(&old), name))
		return rc < 0 ? rc : 0;
	return guest_write(a->g, CLOUD_INIT_FILE, text, sizeof(text) - 1, 0644, e);
}

static int apply(struct apply *a, struct err *e)
{
	AUTO_BUF main = BUF_INIT, out = BUF_INIT;
	AUTO_FREE char *path = NULL;
	const char *folder;
	size_t done = 0;
	int rc = guest_read(a->g, MAIN, &main, e);

	if (rc < 0)
		return rc;
	folder = find_folder(buf_str(&main));
	if (!folder) {
		log_warn("%s sources no folder for files of ours: the network is left alone", MAIN);
		return 0;
	}
	for (size_t i = 0; i < a->c->n_nics; i++) {
		const struct nic *n = &a->c->nics[i];
		AUTO_FREE char *other = NULL;
		char name[IF_NAMESIZE];

		if (!network_wanted(n))
			continue;
		if (!network_name(a->g, n->mac, name)) {
			log_warn("no interface has the hardware address %s", n->mac);
			continue;
		}
		other = describes(buf_str(&main), name) ? strdup(MAIN)
							: describing_file(a->g, folder, name);
		if (other) {
			log_warn("%s is described in %s: left alone", name, other);
			continue;
		}
		if (set_aside(a, name, e) < 0)
			return -e->code;
		if (add_stanzas(&out, n, name) < 0)
			return err_nomem(e);
		done++;
	}
	if (!done)
		return 0;
	path = str_format("%s/" NAME, folder);
	rc = path ? guest_write_own(a->g, path, buf_str(&out), 0644, e) : err_nomem(e);
	if (rc < 0)
		return rc;
	a->network_configured = true;
	return 0;
}

static int leave(struct apply *a, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < ARRAY_SIZE(folders); i++) {
		AUTO_FREE char *path = str_format("%s/" NAME, folders[i]);

		rc = path ? guest_remove_own(a->g, path, e) : err_nomem(e);
	}
	if (rc >= 0)
		rc = guest_restore(a->g, CLOUD_INIT_FILE, e);
	return rc < 0 ? rc : 0;
}

const struct network_backend network_ifupdown = {"ifupdown", used, apply, leave};
