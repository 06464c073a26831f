/* SPDX-License-Identifier: Apache-2.0 */
/* The NICs of a context.sh: see the table at the head of context/dialect/opennebula.c. */
#include "context/dialect/opennebula.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "context/rules.h"
#include "lib/str.h"

#define ALIASES_MAX 64

/* The value of PREFIX_SUFFIX; NULL if it is absent or empty. */
static const char *get2(const struct one_reader *o, const char *prefix, const char *suffix)
{
	char name[SHELLVARS_NAME_MAX];

	snprintf(name, sizeof(name), "%s_%s", prefix, suffix);
	return one_get(o, name);
}

static bool is_address(const char *s, int family)
{
	struct ip_prefix ip;

	return context_parse_ip(s, &ip, NULL) == 0 && ip.family == family && !ip.has_prefix;
}

/* 255.255.255.0 or 24 to 24. */
static bool mask_to_prefix(const char *mask, unsigned *ret)
{
	struct in_addr a;
	uint64_t n;
	uint32_t bits;

	if (str_to_u64(mask, 0, 32, &n, NULL) == 0) {
		*ret = (unsigned)n;
		return true;
	}
	if (inet_pton(AF_INET, mask, &a) != 1)
		return false;
	bits = ntohl(a.s_addr);
	*ret = bits ? 32u - (unsigned)__builtin_ctz(bits) : 0;
	return bits == (uint32_t)(*ret ? UINT32_MAX << (32 - *ret) : 0);
}

static int add_address(struct nic *n, const char *address, unsigned prefix)
{
	char text[INET6_ADDRSTRLEN + 8];

	snprintf(text, sizeof(text), "%s/%u", address, prefix);
	return strlist_add(&n->addresses, text);
}

/* ETHn_IP or ETHn_ALIASm_IP with its mask. */
static int read_ip4(struct one_reader *o, const char *prefix, struct nic *n)
{
	const char *ip = get2(o, prefix, "IP"), *mask = get2(o, prefix, "MASK");
	unsigned bits = 24;

	if (!ip)
		return 0;
	if (!is_address(ip, AF_INET))
		return reading_note(&o->r, "%s_IP '%s' is no IPv4 address", prefix, ip);
	if (mask && !mask_to_prefix(mask, &bits))
		return reading_note(&o->r, "%s_MASK '%s' is no mask; %s_IP is left out", prefix,
				    mask, prefix);
	return add_address(n, ip, bits);
}

static int read_ip6(struct one_reader *o, const char *prefix, struct nic *n)
{
	static const char *const names[] = {"IP6", "IPV6", "IP6_ULA"};
	const char *length = get2(o, prefix, "IP6_PREFIX_LENGTH");
	uint64_t bits = 64;
	int rc = 0;

	if (length && str_to_u64(length, 1, 128, &bits, NULL) < 0)
		return reading_note(&o->r, "%s_IP6_PREFIX_LENGTH '%s' is not 1 to 128", prefix,
				    length);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(names); i++) {
		const char *ip = get2(o, prefix, names[i]);

		if (!ip || (i == 1 && get2(o, prefix, names[0])))
			continue; /* IPV6 is the old name of IP6 */
		if (is_address(ip, AF_INET6))
			rc = add_address(n, ip, (unsigned)bits);
		else
			rc = reading_note(&o->r, "%s_%s '%s' is no IPv6 address", prefix, names[i],
					  ip);
	}
	return rc;
}

static int read_gateway(struct one_reader *o, const char *prefix, const char *suffix, int family,
			char **ret)
{
	const char *g = get2(o, prefix, suffix);

	if (!g || *ret)
		return 0;
	if (!is_address(g, family))
		return reading_note(&o->r, "%s_%s '%s' is no address", prefix, suffix, g);
	*ret = strdup(g);
	return *ret ? 0 : -ENOMEM;
}

/* The words of a list into another one, each once; addresses only, if asked. */
static int add_words(struct one_reader *o, const char *variable, const char *list, bool addresses,
		     struct strlist *to)
{
	AUTO_FREE char *copy = list ? strdup(list) : NULL;
	char *save = NULL;

	if (list && !copy)
		return -ENOMEM;
	for (char *w = copy ? strtok_r(copy, " \t\r\n,", &save) : NULL; w;
	     w = strtok_r(NULL, " \t\r\n,", &save)) {
		int rc = 0;

		if (addresses && !is_address(w, AF_INET) && !is_address(w, AF_INET6))
			rc = reading_note(&o->r, "%s: '%s' is no address", variable, w);
		else if (!addresses && context_check_hostname(w, NULL) < 0)
			rc = reading_note(&o->r, "%s: '%s' is no domain", variable, w);
		else if (!strlist_has(to, w) && !reading_is_full(&o->r, variable, to->n))
			rc = strlist_add(to, w);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* "10.0.0.0/8 via 192.168.0.254, ...". */
static int read_routes(struct one_reader *o, const char *prefix, struct nic *n)
{
	const char *list = get2(o, prefix, "ROUTES");
	AUTO_FREE char *copy = list ? strdup(list) : NULL;
	char *save = NULL;

	if (list && !copy)
		return -ENOMEM;
	for (char *one = copy ? strtok_r(copy, ",\n\r", &save) : NULL; one;
	     one = strtok_r(NULL, ",\n\r", &save)) {
		size_t len = strlen(one);
		struct ip_prefix to, via;
		struct err e;
		int rc;

		while (len && one[len - 1] == ' ')
			one[--len] = '\0';
		one += strspn(one, " ");
		if (!*one)
			continue;
		if (context_parse_route(one, &to, &via, &e))
			rc = reading_note(&o->r, "%s_ROUTES: '%s' %s", prefix, one, e.msg);
		else if (reading_is_full(&o->r, "routes", n->routes.n))
			return 0;
		else
			rc = strlist_add(&n->routes, one);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_number(struct one_reader *o, const char *prefix, const char *suffix, uint64_t min,
		       uint64_t max, unsigned *ret)
{
	const char *v = get2(o, prefix, suffix);
	uint64_t n;

	if (!v)
		return 0;
	if (str_to_u64(v, min, max, &n, NULL) < 0)
		return reading_note(&o->r, "%s_%s '%s' is not a number from %llu to %llu", prefix,
				    suffix, v, (unsigned long long)min, (unsigned long long)max);
	*ret = (unsigned)n;
	return 0;
}

/* By its MAC a guest finds the NIC; two NICs cannot have the same. */
static int read_mac(struct one_reader *o, const char *prefix, struct nic *n)
{
	const char *mac = get2(o, prefix, "MAC");
	char text[18];
	struct err e;

	if (!mac)
		return 0;
	if (context_parse_mac(mac, text, &e) < 0)
		return reading_note(&o->r, "%s_MAC '%s' %s", prefix, mac, e.msg);
	for (const struct nic *other = o->r.c->nics; other != n; other++) {
		if (strcmp(other->mac, text) == 0)
			return reading_note(&o->r, "%s_MAC '%s' is another NIC's too", prefix, mac);
	}
	memcpy(n->mac, text, sizeof(text));
	return 0;
}

static int read_methods(struct one_reader *o, const char *prefix, struct nic *n)
{
	static const struct {
		const char *name;
		enum nic_method v4, v6;
	} methods[] = {
		{"static", NIC_STATIC, NIC_STATIC}, {"dhcp", NIC_DHCP, NIC_DHCP},
		{"auto", NIC_SKIP, NIC_AUTO},       {"disable", NIC_SKIP, NIC_SKIP},
		{"skip", NIC_SKIP, NIC_SKIP},
	};
	const char *v4 = get2(o, prefix, "METHOD"), *v6 = get2(o, prefix, "IP6_METHOD");
	bool found4 = !v4, found6 = false;
	int rc = 0;

	if (!v6)
		v6 = v4 ? v4 : "static";
	n->method = n->method6 = NIC_STATIC;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (v4 && strcasecmp(v4, methods[i].name) == 0) {
			n->method = methods[i].v4;
			found4 = true;
		}
		if (strcasecmp(v6, methods[i].name) == 0) {
			n->method6 = methods[i].v6;
			found6 = true;
		}
	}
	if (!found4) {
		n->method = NIC_SKIP;
		rc = reading_note(&o->r, "%s_METHOD '%s' is not known: IPv4 is left alone", prefix,
				  v4);
	}
	if (rc == 0 && !found6) {
		n->method6 = NIC_SKIP;
		if (get2(o, prefix, "IP6_METHOD"))
			rc = reading_note(&o->r,
					  "%s_IP6_METHOD '%s' is not known: IPv6 is left alone",
					  prefix, v6);
	}
	return rc;
}

/* An address that others translate: the first IPv4 one is the NIC's public one. */
static int read_external(struct one_reader *o, const char *alias, struct nic *n)
{
	int rc = 0;

	if (!n->public_ipv4)
		rc = read_gateway(o, alias, "IP", AF_INET, &n->public_ipv4);
	else if (get2(o, alias, "IP"))
		rc = reading_item(&o->r, alias, get2(o, alias, "IP"), context_check_ip,
				  &n->external);
	if (rc == 0 && get2(o, alias, "IP6"))
		rc = reading_item(&o->r, alias, get2(o, alias, "IP6"), context_check_ip,
				  &n->external);
	return rc;
}

static int read_aliases(struct one_reader *o, const char *prefix, struct nic *n)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < ALIASES_MAX; i++) {
		char alias[64];
		const char *external;

		snprintf(alias, sizeof(alias), "%s_ALIAS%u", prefix, i);
		external = get2(o, alias, "EXTERNAL");
		if (get2(o, alias, "DETACH"))
			continue;
		if (external && strcasecmp(external, "yes") == 0) {
			rc = read_external(o, alias, n);
			continue;
		}
		if (n->method == NIC_STATIC)
			rc = read_ip4(o, alias, n);
		if (rc == 0 && n->method6 == NIC_STATIC)
			rc = read_ip6(o, alias, n);
	}
	return rc;
}

static bool has_family(const struct nic *n, bool v6)
{
	for (size_t i = 0; i < n->addresses.n; i++) {
		if ((strchr(n->addresses.v[i], ':') != NULL) == v6)
			return true;
	}
	return false;
}

static int read_nic(struct one_reader *o, const char *kind, unsigned number)
{
	char p[32];
	struct nic *n;
	int rc = reading_nic(&o->r, &n);

	if (!n)
		return rc;
	snprintf(p, sizeof(p), "%s%u", kind, number);
	if (rc == 0)
		rc = reading_text(&o->r, "ADDRESS",
				  strcmp(kind, "PCI") ? NULL : get2(o, p, "ADDRESS"),
				  context_check_pci_address, &n->pci_address);
	rc = read_methods(o, p, n);
	if (rc == 0)
		rc = read_mac(o, p, n);
	if (rc == 0 && n->method == NIC_STATIC)
		rc = read_ip4(o, p, n);
	if (rc == 0 && n->method6 == NIC_STATIC)
		rc = read_ip6(o, p, n);
	if (rc == 0)
		rc = read_aliases(o, p, n);
	/* Static without an address says nothing about that family. */
	if (n->method == NIC_STATIC && !has_family(n, false))
		n->method = NIC_SKIP;
	if (n->method6 == NIC_STATIC && !has_family(n, true))
		n->method6 = NIC_SKIP;
	if (rc == 0 && n->method == NIC_STATIC)
		rc = read_gateway(o, p, "GATEWAY", AF_INET, &n->gateway);
	if (rc == 0 && n->method6 == NIC_STATIC)
		rc = read_gateway(o, p, "IP6_GATEWAY", AF_INET6, &n->gateway6);
	if (rc == 0 && n->method6 == NIC_STATIC)
		rc = read_gateway(o, p, "GATEWAY6", AF_INET6, &n->gateway6);
	if (rc == 0)
		rc = add_words(o, "DNS", get2(o, p, "DNS"), true, &n->dns);
	if (rc == 0)
		rc = add_words(o, "DNS", one_get(o, "DNS"), true, &n->dns);
	if (rc == 0)
		rc = add_words(o, "SEARCH_DOMAIN", get2(o, p, "SEARCH_DOMAIN"), false, &n->search);
	if (rc == 0)
		rc = add_words(o, "SEARCH_DOMAIN", one_get(o, "SEARCH_DOMAIN"), false, &n->search);
	if (rc == 0)
		rc = read_routes(o, p, n);
	if (rc == 0)
		rc = read_number(o, p, "MTU", 68, 65535, &n->mtu);
	if (rc == 0)
		rc = read_number(o, p, "METRIC", 0, UINT32_MAX, &n->metric);
	if (rc == 0)
		rc = read_number(o, p, "IP6_METRIC", 0, UINT32_MAX, &n->metric6);
	/* Frames of an ETHn are tagged by its host; those of a device passed through by the guest. */
	if (rc == 0 && !strcmp(kind, "PCI"))
		rc = read_number(o, p, "VLAN_ID", 0, 4094, &n->vlan_id);
	return rc;
}

bool one_nic_number(const char *name, unsigned *ret)
{
	char *end;
	unsigned long n;

	if ((strncmp(name, "ETH", 3) != 0 && strncmp(name, "PCI", 3) != 0) || name[3] < '0' ||
	    name[3] > '9')
		return false;
	n = strtoul(name + 3, &end, 10);
	*ret = n > ONE_NICS_MAX ? ONE_NICS_MAX : (unsigned)n;
	return *end == '_';
}

/* Those of one kind, "ETH" or "PCI", in the order of their numbers. */
static int read_kind(struct one_reader *o, const char *kind)
{
	bool there[ONE_NICS_MAX + 1] = {false};
	int rc = 0;

	for (size_t i = 0; i < o->vars->n; i++) {
		const char *name = o->vars->v[i].key;
		unsigned n;

		if (one_nic_number(name, &n) && !strncmp(name, kind, 3) && *o->vars->v[i].value &&
		    (str_has_suffix(name, "_MAC") || str_has_suffix(name, "_IP") ||
		     str_has_suffix(name, "_IP6") || !strcmp(kind, "PCI")))
			there[n] = true;
	}
	for (unsigned n = 0; rc == 0 && n < ONE_NICS_MAX; n++) {
		if (there[n])
			rc = read_nic(o, kind, n);
	}
	if (rc == 0 && there[ONE_NICS_MAX])
		rc = reading_note(&o->r, "NICs with numbers above %d are left out",
				  ONE_NICS_MAX - 1);
	return rc;
}

int one_read_nics(struct one_reader *o)
{
	int rc = read_kind(o, "ETH");

	return rc ? rc : read_kind(o, "PCI");
}
