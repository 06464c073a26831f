/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metadata-server rules: what nftables(8) is to keep from the service, and from its guests.
 *
 * Two tables, each replaced as a whole when the rules are loaded again:
 *
 *	inet acclimate      the service is asked by guests alone, from the interface, MAC and IP
 *	                    address that their definitions say; nothing for a metadata service is
 *	                    forwarded (the host may have one itself)
 *	bridge acclimate    no guest takes the service's addresses for its own (ARP, NDP)
 */
#include <stdio.h>
#include <sys/socket.h>

#include "lib/str.h"
#include "metadata-server/commands.h"
#include "metadata-server/one.h"
#include "metadata-server/store/store.h"

enum {
	OPT_PORT = 256,
};

#define IPV4 "169.254.169.254"
#define IPV6 "fd00:ec2::254"

/* What the elements of a set are made of. */
struct kind {
	const char *name;
	bool mac;
	int family; /* of the address; AF_UNSPEC: there is none */
};

static const struct kind kinds[] = {
	{"bound4", true, AF_INET},   {"bound6", true, AF_INET6},   {"known4", false, AF_INET},
	{"known6", false, AF_INET6}, {"own_mac", true, AF_UNSPEC}, {"own", false, AF_UNSPEC},
};

static int family_of(const struct instance_identify *id)
{
	if (!id->address)
		return AF_UNSPEC;
	return strchr(id->address, ':') ? AF_INET6 : AF_INET;
}

/* Rules are about interfaces of this namespace: the others have rules of their own. */
static bool is_of(const struct instance_identify *id, const struct kind *k, const char *netns)
{
	bool here = netns ? id->netns && !strcmp(id->netns, netns) : !id->netns;

	return id->given && here && id->interface && strcmp(id->interface, IDENTIFY_VSOCK) &&
	       k->family == family_of(id) && k->mac == (id->mac[0] != '\0');
}

/* A name that nft(8) takes in double quotes, which know no escape. */
static bool can_be_quoted(const char *s)
{
	return !strpbrk(s, "\"\\*");
}

static void print_element(const struct instance *in, const struct kind *k)
{
	const struct instance_identify *id = &in->identify;

	printf("\t\t\t\"%s\"", id->interface);
	if (k->mac)
		printf(" . %s", id->mac);
	if (id->address)
		printf(" . %s", id->address);
	printf(",\n");
}

static size_t print_set(const struct store *s, const struct kind *k, const char *netns)
{
	const char *address = k->family == AF_INET6 ? " . ip6 saddr" : " . ip saddr";
	size_t n = 0;

	for (size_t i = 0; i < store_count(s); i++) {
		const struct instance *in = store_at(s, i);

		if (!is_of(&in->identify, k, netns))
			continue;
		if (!n++)
			printf("\tset %s {\n\t\ttypeof iifname%s%s\n\t\telements = {\n", k->name,
			       k->mac ? " . ether saddr" : "",
			       k->family == AF_UNSPEC ? "" : address);
		print_element(in, k);
	}
	if (n)
		printf("\t\t}\n\t}\n");
	return n;
}

static void print_accept(const struct kind *k)
{
	printf("\t\tiifname%s%s @%s accept\n", k->mac ? " . ether saddr" : "",
	       k->family == AF_INET    ? " . ip saddr"
	       : k->family == AF_INET6 ? " . ip6 saddr"
				       : "",
	       k->name);
}

static void print_inet(const struct store *s, const char *netns, const char *port)
{
	bool has[ARRAY_SIZE(kinds)];

	printf("table inet acclimate\ndelete table inet acclimate\ntable inet acclimate {\n");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		has[i] = print_set(s, &kinds[i], netns);
	printf("\tchain guests {\n");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (has[i])
			print_accept(&kinds[i]);
	printf("\t\tcounter drop\n\t}\n"
	       "\tchain input {\n\t\ttype filter hook input priority filter - 10\n"
	       "\t\tiifname \"lo\" accept\n"
	       "\t\tip daddr " IPV4 " tcp dport %s jump guests\n"
	       "\t\tip6 daddr " IPV6 " tcp dport %s jump guests\n"
	       "\t\tip daddr " IPV4 " counter drop\n"
	       "\t\tip6 daddr " IPV6 " meta l4proto != ipv6-icmp counter drop\n\t}\n"
	       "\tchain forward {\n\t\ttype filter hook forward priority filter - 10\n"
	       "\t\tip daddr 169.254.0.0/16 counter drop\n"
	       "\t\tip saddr 169.254.0.0/16 counter drop\n"
	       "\t\tip6 daddr " IPV6 " counter drop\n\t}\n}\n",
	       port, port);
}

/* An address's owner is in the body of a neighbour advertisement, 8 bytes behind its head. */
static void print_bridge(void)
{
	printf("table bridge acclimate\ndelete table bridge acclimate\ntable bridge acclimate {\n"
	       "\tchain prerouting {\n\t\ttype filter hook prerouting priority filter - 10\n"
	       "\t\tarp saddr ip " IPV4 " counter drop\n"
	       "\t\tip saddr " IPV4 " counter drop\n"
	       "\t\tip6 saddr " IPV6 " counter drop\n"
	       "\t\ticmpv6 type nd-neighbor-advert "
	       "@th,64,128 0xfd000ec2000000000000000000000254 counter drop\n\t}\n}\n");
}

static int check_names(const struct store *s, struct err *e)
{
	for (size_t i = 0; i < store_count(s); i++) {
		const struct instance *in = store_at(s, i);

		if (in->identify.interface && !can_be_quoted(in->identify.interface))
			return err_set(e, EINVAL,
				       "'%s': interface '%s' cannot be written in a rule", in->name,
				       in->identify.interface);
	}
	return 0;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"instances", required_argument, NULL, 'd'},
		{"netns", required_argument, NULL, 'n'},
		{"port", required_argument, NULL, OPT_PORT},
		{0},
	};
	AUTO(store_free) struct store *s = NULL;
	const char *dir = NULL;
	const char *netns = NULL;
	const char *port = "80";
	struct err e = {0};
	size_t faults = 0;
	uint64_t number;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "d:n:", options)) != -1) {
		if (opt == 'd')
			dir = optarg;
		else if (opt == 'n')
			netns = optarg;
		else
			port = optarg;
	}
	if (!dir || optind != argc)
		return cli_usage(self, "give --instances FOLDER");
	if (str_to_u64(port, 1, 65535, &number, NULL))
		return cli_usage(self, "'%s' is not a port", port);
	if (directory_load_once(dir, report_fault, &faults, &s, &e))
		return one_fail(faults, &e);
	if (check_names(s, &e))
		return cli_fail(&e);
	printf("#!/usr/sbin/nft -f\n# By metadata-server rules. Load again when guests come or "
	       "go.\n");
	print_inet(s, netns, port);
	print_bridge();
	return cli_finish(EXIT_OK);
}

const struct cli_command rules_command = {
	.name = "rules",
	.args = "--instances DIR [--netns NAME] [--port PORT]",
	.summary = "print nftables rules against forged addresses and leaks",
	.help = "  -d, --instances DIR         folder of NAME.yaml, one an instance\n"
		"  -n, --netns NAME            rules of this network namespace\n"
		"      --port PORT             of the service (80)\n",
	.run = run,
};
