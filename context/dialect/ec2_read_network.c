/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NICs of EC2's metadata: see context/dialect/ec2_read.c. A NIC's addresses are what EC2 says, and it
 * asks for a lease, since EC2 says no gateway.
 */
#include <stdio.h>

#include "context/dialect/ec2_read.h"
#include "context/netconfig.h"
#include "context/rules.h"

/* The prefix length of the block of that family, 0 if none is said. */
static unsigned block_prefix(const struct nic *n, bool ipv6)
{
	struct ip_prefix ip;

	for (size_t i = 0; i < n->subnet_blocks.n; i++)
		if ((strchr(n->subnet_blocks.v[i], ':') != NULL) == ipv6 &&
		    !context_parse_ip(n->subnet_blocks.v[i], &ip, NULL))
			return ip.prefix;
	return 0;
}

/* Adds the addresses of a leaf with the prefix length of their block. */
static int read_addresses(struct ec2_reader *o, const char *path, struct nic *n, bool ipv6)
{
	AUTO(strlist_release) struct strlist list = {0};
	unsigned prefix = block_prefix(n, ipv6);
	char mask[16];
	int rc = ec2_read_lines(o, path, ipv6 ? context_check_ipv6 : context_check_ipv4, &list);

	snprintf(mask, sizeof(mask), "%u", prefix);
	for (size_t i = 0; i < list.n && !rc; i++)
		rc = netconfig_add_address(&o->r, n, list.v[i], prefix ? mask : NULL);
	if (!rc && list.n && ipv6)
		n->method6 = NIC_DHCP;
	return rc;
}

static int read_public(struct ec2_reader *o, const char *path, struct nic *n)
{
	AUTO(strlist_release) struct strlist list = {0};
	int rc = ec2_read_lines(o, path, context_check_ip, &list);

	for (size_t i = 0; i < list.n && !rc; i++) {
		if (!i && !context_check_ipv4(list.v[i], NULL))
			rc = context_set(&n->public_ipv4, list.v[i]);
		else
			rc = strlist_add(&n->external, list.v[i]);
	}
	return rc;
}

static int read_mac(struct ec2_reader *o, const char *mac)
{
	const struct {
		const char *name;
		size_t offset;
		context_check_fn *check;
	} nic_texts[] =
		{
			{"interface-id", offsetof(struct nic, interface_id), context_check_token},
			{"subnet-id", offsetof(struct nic, subnet_id), context_check_token},
			{"vpc-id", offsetof(struct nic, vpc_id), context_check_token},
			{"owner-id", offsetof(struct nic, owner_id), context_check_token},
			{"local-hostname", offsetof(struct nic, local_hostname),
			 context_check_hostname},
			{"public-hostname", offsetof(struct nic, public_hostname),
			 context_check_hostname},
		},
	  nic_lists[] = {
		  {"security-groups", offsetof(struct nic, security_groups), context_check_token},
		  {"security-group-ids", offsetof(struct nic, security_group_ids),
		   context_check_token},
		  {"subnet-ipv4-cidr-block", offsetof(struct nic, subnet_blocks),
		   context_check_cidr},
		  {"subnet-ipv6-cidr-blocks", offsetof(struct nic, subnet_blocks),
		   context_check_cidr},
		  {"vpc-ipv4-cidr-blocks", offsetof(struct nic, vpc_blocks), context_check_cidr},
		  {"vpc-ipv6-cidr-blocks", offsetof(struct nic, vpc_blocks), context_check_cidr},
	  };
	char path[128];
	struct nic *n;
	int rc = reading_nic(&o->r, &n);

	if (!n)
		return rc;
	n->method = NIC_DHCP;
	rc = reading_mac(&o->r, mac, n);
#define PATH(leaf) (snprintf(path, sizeof(path), "network/interfaces/macs/%s/%s", mac, leaf), path)
	for (size_t i = 0; i < ARRAY_SIZE(nic_texts) && !rc; i++)
		rc = ec2_read_text(o, PATH(nic_texts[i].name), nic_texts[i].check,
				   (char **)((char *)n + nic_texts[i].offset));
	for (size_t i = 0; i < ARRAY_SIZE(nic_lists) && !rc; i++)
		rc = ec2_read_lines(o, PATH(nic_lists[i].name), nic_lists[i].check,
				    (struct strlist *)((char *)n + nic_lists[i].offset));
	rc = rc ? rc : ec2_read_number(o, PATH("device-number"), 1023, &n->device_number);
	rc = rc ? rc : ec2_read_number(o, PATH("network-card"), 1023, &n->network_card);
	rc = rc ? rc : read_addresses(o, PATH("local-ipv4s"), n, false);
	rc = rc ? rc : read_addresses(o, PATH("ipv6s"), n, true);
	return rc ? rc : read_public(o, PATH("public-ipv4s"), n);
#undef PATH
}

/* As cloud-init sorts them: by card, then by device. */
static int compare_nics(const void *a, const void *b)
{
	const struct nic *x = a, *y = b;

	if (x->network_card != y->network_card)
		return x->network_card < y->network_card ? -1 : 1;
	return x->device_number == y->device_number  ? strcmp(x->mac, y->mac)
	       : x->device_number < y->device_number ? -1
						     : 1;
}

/* Services of long ago, and small ones, tell of one NIC, and not below network/. */
static int read_only_nic(struct ec2_reader *o)
{
	AUTO_FREE char *address = NULL;
	AUTO_FREE char *mac = NULL;
	struct nic *n;
	int rc = ec2_leaf_text(o, "local-ipv4", &address);

	rc = rc ? rc : ec2_leaf_text(o, "mac", &mac);
	if (rc || (!address && !mac))
		return rc;
	rc = reading_nic(&o->r, &n);
	if (!n)
		return rc;
	n->method = NIC_DHCP;
	rc = reading_mac(&o->r, mac, n);
	rc = rc ? rc : netconfig_add_address(&o->r, n, address, NULL);
	return rc ? rc : read_public(o, "public-ipv4", n);
}

int ec2_read_nics(struct ec2_reader *o)
{
	AUTO_BUF listing = BUF_INIT;
	struct context *c = o->r.c;
	struct http_slice unused;
	char *save = NULL;
	int kind = tree_lookup(o->t, UINT32_MAX, "meta-data/network/interfaces/macs", &unused,
			       &listing);
	int rc = kind < 0 ? -ENOMEM : 0;

	if (kind != TREE_DIRECTORY)
		return rc ? rc : read_only_nic(o);
	for (char *mac = strtok_r(listing.data, "\n", &save); mac && !rc;
	     mac = strtok_r(NULL, "\n", &save)) {
		mac[strcspn(mac, "/")] = '\0';
		if (strlen(mac) == 17)
			rc = read_mac(o, mac);
	}
	if (c->n_nics)
		qsort(c->nics, c->n_nics, sizeof(*c->nics), compare_nics);
	for (size_t i = 0; i < c->n_nics; i++)
		if (c->nics[i].device_number == i)
			c->nics[i].device_number = 0; /* its place */
	return rc;
}
