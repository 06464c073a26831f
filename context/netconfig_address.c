/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, masks and routes of network configurations: see context/netconfig.h. */
#include <arpa/inet.h>
#include <stdio.h>

#include "context/netconfig.h"
#include "context/rules.h"
#include "lib/str.h"

/* The length of the run of ones that these bytes begin with; false if ones follow behind it. */
static bool count_ones(const unsigned char *b, size_t len, unsigned *ret)
{
	unsigned n = 0;

	while (n < len * 8 && (b[n / 8] & (0x80u >> n % 8)))
		n++;
	*ret = n;
	for (size_t i = n; i < len * 8; i++)
		if (b[i / 8] & (0x80u >> i % 8))
			return false;
	return true;
}

static bool mask_to_prefix(const char *mask, bool ipv6, unsigned *ret)
{
	unsigned char b[16];
	uint64_t n;

	if (!str_to_u64(mask, 0, ipv6 ? 128 : 32, &n, NULL)) {
		*ret = (unsigned)n;
		return true;
	}
	if (inet_pton(ipv6 ? AF_INET6 : AF_INET, mask, b) != 1)
		return false;
	return count_ones(b, ipv6 ? 16 : 4, ret);
}

void netconfig_mask(unsigned prefix, bool ipv6, char out[46])
{
	struct ip_prefix mask = {.family = ipv6 ? AF_INET6 : AF_INET};

	for (unsigned i = 0; i < prefix && i < 128; i++)
		mask.b[i / 8] |= (unsigned char)(0x80u >> i % 8);
	context_format_ip(&mask, out);
}

int netconfig_add_address(struct reading *r, struct nic *n, const char *address, const char *mask)
{
	struct ip_prefix ip;
	struct err why = {0};
	char text[64], plain[46];
	bool ipv6;

	if (!address || !*address)
		return 0;
	if (context_parse_ip(address, &ip, &why))
		return reading_note(r, "'%s' %s", address, why.msg);
	ipv6 = ip.family == AF_INET6;
	if (!ip.has_prefix)
		ip.prefix = ipv6 ? 64 : 24;
	if (!ip.has_prefix && mask && *mask && !mask_to_prefix(mask, ipv6, &ip.prefix))
		return reading_note(r, "'%s' is no netmask; '%s' is left out", mask, address);
	context_format_ip(&ip, plain);
	snprintf(text, sizeof(text), "%s/%u", plain, ip.prefix);
	if (reading_is_full(r, "addresses", n->addresses.n) || strlist_has(&n->addresses, text))
		return 0;
	return strlist_add(&n->addresses, text);
}

int netconfig_set_gateway(struct reading *r, struct nic *n, const char *gateway)
{
	struct ip_prefix ip;
	struct err why = {0};
	char **at;

	if (!gateway || !*gateway)
		return 0;
	if (context_check_ip(gateway, &why) || context_parse_ip(gateway, &ip, &why))
		return reading_note(r, "gateway '%s' %s", gateway, why.msg);
	at = ip.family == AF_INET6 ? &n->gateway6 : &n->gateway;
	return *at ? 0 : context_set(at, gateway);
}

/* "default", "0.0.0.0/0", "10.0.0.0" with a mask, "10.0.0.0/8". */
static int parse_destination(struct reading *r, const char *s, const char *mask, bool ipv6,
			     struct ip_prefix *ret, bool *good)
{
	struct err why = {0};

	*good = false;
	if (!s || !*s)
		return reading_note(r, "a route without destination");
	if (!strcmp(s, "default")) {
		*ret = (struct ip_prefix){.family = ipv6 ? AF_INET6 : AF_INET, .has_prefix = true};
	} else if (context_parse_ip(s, ret, &why)) {
		return reading_note(r, "route to '%s' %s", s, why.msg);
	} else if (!ret->has_prefix && mask && *mask &&
		   !mask_to_prefix(mask, ret->family == AF_INET6, &ret->prefix)) {
		return reading_note(r, "'%s' is no netmask", mask);
	}
	if ((ret->family == AF_INET6) != ipv6)
		return reading_note(r, "route to '%s' mixes IPv4 and IPv6", s);
	*good = true;
	return 0;
}

int netconfig_add_route(struct reading *r, struct nic *n, const char *destination, const char *mask,
			const char *gateway, uint32_t metric)
{
	struct ip_prefix to, via;
	struct err why = {0};
	char network[50], text[160];
	uint32_t *nic_metric;
	char **at;
	bool good;
	int rc;

	if (!gateway || !*gateway)
		return reading_note(r, "route to '%s' has no gateway",
				    destination ? destination : "");
	if (context_check_ip(gateway, &why) || context_parse_ip(gateway, &via, &why))
		return reading_note(r, "gateway '%s' %s", gateway, why.msg);
	rc = parse_destination(r, destination, mask, via.family == AF_INET6, &to, &good);
	if (rc || !good)
		return rc;
	at = via.family == AF_INET6 ? &n->gateway6 : &n->gateway;
	nic_metric = via.family == AF_INET6 ? &n->metric6 : &n->metric;
	if (!to.prefix && !*at) {
		if (metric)
			*nic_metric = metric;
		return context_set(at, gateway);
	}
	context_format_network(&to, network);
	snprintf(text, sizeof(text), "%s via %s", to.prefix ? network : "default", gateway);
	if (metric)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " metric %u", metric);
	if (reading_is_full(r, "routes", n->routes.n) || strlist_has(&n->routes, text))
		return 0;
	return strlist_add(&n->routes, text);
}

bool netconfig_split_route(const char *route, struct netconfig_route *ret)
{
	struct ip_prefix to, via;
	char network[50];

	if (context_parse_route_metric(route, &to, &via, &ret->metric, NULL))
		return false;
	context_format_network(&to, network);
	snprintf(ret->network, sizeof(ret->network), "%.*s", (int)strcspn(network, "/"), network);
	context_format_ip(&via, ret->gateway);
	ret->prefix = to.prefix;
	ret->ipv6 = to.family == AF_INET6;
	return true;
}

static bool is_taken(const struct context *c, const char *name)
{
	for (size_t i = 0; i < c->n_nics; i++)
		if (c->nics[i].name && !strcmp(c->nics[i].name, name))
			return true;
	return false;
}

void nic_label(const struct context *c, size_t i, char out[32])
{
	const char *name = c->nics[i].name;

	if (name) {
		snprintf(out, 32, "%s", name);
		return;
	}
	snprintf(out, 32, "nic%zu", i);
	/* names have 15 characters at most */
	for (size_t n = strlen(out); is_taken(c, out) && n < 20; n++)
		memcpy(out + n, "x", 2);
}
