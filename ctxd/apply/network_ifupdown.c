/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interfaces(5), as Debian's ifupdown, ifupdown-ng and busybox (Alpine) read it: a file "ctxd" in a
 * folder that the guest's /etc/network/interfaces sources, or, where it sources none, a block at its
 * end. Of what such programs differ in nothing is used: one stanza a family, masks as dotted quads,
 * further addresses and routes by ip(8).
 *
 * An interface that a person has described is left alone: ifupdown would do both descriptions.
 * Where all that is said of it is "DHCP", as image makers write it, that gives way: the file is
 * displaced by one without those lines. What cloud-init once wrote (interfaces.d/50-cloud-init) is
 * set aside too, since cloud-init is told to leave the network alone.
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

static int leave(struct apply *a, struct err *e);

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

/* The next line of text, copied into *line (the caller's to free); NULL at the end. */
static const char *next_line(const char *text, char **line)
{
	size_t len = strcspn(text, "\n");

	free(*line);
	*line = *text ? strndup(text, len) : NULL;
	return *line ? text + len + (text[len] == '\n') : NULL;
}

/* Words of a line, in place; returns how many there are, at most max of them in words. */
static unsigned split_words(char *line, char **words, unsigned max)
{
	char *save = NULL;
	unsigned n = 0;

	for (char *w = strtok_r(line, " \t\r", &save); w; w = strtok_r(NULL, " \t\r", &save)) {
		if (n < max)
			words[n] = w;
		n++;
	}
	return n;
}

enum description {
	NOT_DESCRIBED,
	DESCRIBED_BARE, /* as one that DHCP configures, and no more */
	DESCRIBED,
};

/* What the text says about the interface. */
static enum description describes(const char *text, const char *name)
{
	enum description found = NOT_DESCRIBED;
	AUTO_FREE char *line = NULL;
	bool inside = false;

	while ((text = next_line(text, &line))) {
		char *w[4];
		unsigned n = split_words(line, w, ARRAY_SIZE(w));

		if (!n || *w[0] == '#')
			continue;
		if (strcmp(w[0], "iface") == 0) {
			inside = n >= 2 && strcmp(w[1], name) == 0;
			if (inside &&
			    (n != 4 || (strcmp(w[3], "dhcp") != 0 && strcmp(w[3], "auto") != 0 &&
					strcmp(w[3], "manual") != 0)))
				return DESCRIBED;
			if (inside)
				found = DESCRIBED_BARE;
		} else if (strcmp(w[0], "auto") == 0 || str_has_prefix(w[0], "allow-") ||
			   strcmp(w[0], "mapping") == 0 || str_has_prefix(w[0], "source")) {
			inside = false;
		} else if (inside) {
			return DESCRIBED; /* an option */
		}
	}
	return found;
}

static bool is_among(const struct strlist *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->v[i], name) == 0)
			return true;
	}
	return false;
}

/* "auto a b c" without the names. */
static int add_auto_without(struct buf *out, char *line, const struct strlist *names)
{
	char *save = NULL, *word = strtok_r(line, " \t\r", &save), *first = word;
	bool any = false;
	int rc = 0;

	while (rc == 0 && (word = strtok_r(NULL, " \t\r", &save))) {
		if (is_among(names, word))
			continue;
		rc = buf_addf(out, "%s %s", any ? "" : first, word);
		any = true;
	}
	return rc < 0 || !any ? rc : buf_addc(out, '\n');
}

/* The text without its bare descriptions of these interfaces. */
static int without(const char *text, const struct strlist *names, struct buf *out)
{
	AUTO_FREE char *line = NULL;
	int rc = 0;

	while (rc == 0 && (text = next_line(text, &line))) {
		AUTO_FREE char *copy = strdup(line);
		char *w[2] = {NULL, NULL};
		unsigned n = copy ? split_words(copy, w, 2) : 0;

		if (!copy)
			return -ENOMEM;
		if (n >= 2 && strcmp(w[0], "iface") == 0 && is_among(names, w[1]))
			continue;
		if (n >= 2 && (strcmp(w[0], "auto") == 0 || str_has_prefix(w[0], "allow-")))
			rc = add_auto_without(out, line, names);
		else
			rc = buf_addf(out, "%s\n", line);
	}
	return rc;
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
		if (describes(buf_str(&text), name) != NOT_DESCRIBED)
			found = STEAL(path);
	}
	if (dir)
		closedir(dir);
	return STEAL(found);
}

/* ---- stanzas --------------------------------------------------------------------------------- */

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

static int add_stanzas(struct buf *out, const struct nic *n, const char *name)
{
	bool first = true;
	int rc = buf_addf(out, "\nauto %s\n", name);

	if (rc == 0)
		rc = add_family(out, n, name, false, &first);
	if (rc == 0)
		rc = add_family(out, n, name, true, &first);
	if (rc == 0 && first)
		rc = buf_addf(out, "iface %s inet manual\n", name);
	return rc;
}

/* ---- the part -------------------------------------------------------------------------------- */

/* What cloud-init wrote about this interface is set aside; `undo` and leave() put it back. */
static int set_aside(struct apply *a, const char *name, struct err *e)
{
	static const char text[] = "# The interface is described in a file 'ctxd'.\n";
	AUTO_BUF old = BUF_INIT;
	int rc = guest_read(a->g, CLOUD_INIT_FILE, &old, e);

	if (rc <= 0 || describes(buf_str(&old), name) == NOT_DESCRIBED)
		return rc < 0 ? rc : 0;
	rc = guest_displace(a->g, CLOUD_INIT_FILE, text, 0644, e);
	return rc < 0 ? rc : 0;
}

struct plan {
	const char *main, *folder; /* the text of MAIN; NULL: it sources none */
	struct buf stanzas;
	struct strlist drop; /* interfaces whose bare descriptions leave MAIN */
	bool any;
};

static void plan_release(struct plan *p)
{
	buf_release(&p->stanzas);
	strlist_release(&p->drop);
}
DEFINE_AUTO_STRUCT(struct plan, plan_release);

static int plan_nic(struct apply *a, const struct nic *n, struct plan *p, struct err *e)
{
	enum description described;
	AUTO_FREE char *other = NULL;
	char name[IF_NAMESIZE];

	if (!network_interface(a, n, name))
		return 0;
	described = describes(p->main, name);
	other = described == DESCRIBED ? strdup(MAIN)
		: p->folder            ? describing_file(a->g, p->folder, name)
				       : NULL;
	if (other) {
		log_warn("%s is described in %s: left alone", name, other);
		return 0;
	}
	if (described == DESCRIBED_BARE && strlist_add(&p->drop, name) < 0)
		return err_nomem(e);
	if (set_aside(a, name, e) < 0)
		return -e->code;
	p->any = true;
	return add_stanzas(&p->stanzas, n, name) < 0 ? err_nomem(e) : 0;
}

/* MAIN without what gives way; and with the stanzas, where it sources no folder. */
static int write_main(struct apply *a, const struct plan *p, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	const char *stanzas = p->folder ? "" : buf_str(&p->stanzas);
	int rc;

	if (!p->drop.n) {
		rc = guest_restore(a->g, MAIN, e);
		return rc < 0 ? rc : guest_write_block(a->g, MAIN, stanzas, 0644, false, e);
	}
	if (buf_adds(&text,
		     "# What was here before is kept; of it is missing what said DHCP for an "
		     "interface of ctxd's.\n") < 0 ||
	    without(p->main, &p->drop, &text) < 0 || buf_adds(&text, stanzas) < 0)
		return err_nomem(e);
	return guest_displace(a->g, MAIN, buf_str(&text), 0644, e);
}

static int apply(struct apply *a, struct err *e)
{
	static const char *const up[] = {"ifup", "-a", NULL};
	AUTO(plan_release) struct plan p = {0};
	AUTO_BUF main = BUF_INIT;
	AUTO_FREE char *path = NULL;
	bool changed;
	int rc = guest_original(a->g, MAIN, &main, e);

	if (rc < 0)
		return rc;
	p.main = buf_str(&main);
	p.folder = find_folder(p.main);
	for (size_t i = 0; rc >= 0 && i < a->c->n_nics; i++) {
		if (network_wanted(&a->c->nics[i]))
			rc = plan_nic(a, &a->c->nics[i], &p, e);
	}
	if (rc < 0 || !p.any)
		return rc < 0 ? rc : leave(a, e);
	rc = write_main(a, &p, e);
	changed = rc > 0;
	if (rc >= 0 && p.folder) {
		path = str_format("%s/" NAME, p.folder);
		rc = path ? guest_write_own(a->g, path, buf_str(&p.stanzas), 0644, e)
			  : err_nomem(e);
		changed |= rc > 0;
	}
	if (rc < 0)
		return rc;
	a->network_configured = true;
	if (changed && a->running)
		network_run(a, up); /* what is up already changes with the next boot */
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
	if (rc >= 0)
		rc = guest_restore(a->g, MAIN, e);
	if (rc >= 0 && guest_exists(a->g, MAIN))
		rc = guest_write_block(a->g, MAIN, "", 0644, false, e);
	return rc < 0 ? rc : 0;
}

const struct network_backend network_ifupdown = {
	.name = "ifupdown",
	.used = used,
	.apply = apply,
	.leave = leave,
	.by_name = true,
};
