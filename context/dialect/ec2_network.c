/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EC2 dialect's network: local-ipv4, public-ipv4, mac, ipv6 of the primary NIC, and
 * network/interfaces/macs/MAC/ of each. What the definition does not say of a subnet is taken from
 * the NIC's addresses. A VLAN without a MAC of its own is no interface of EC2's.
 */
#include <stdio.h>
#include <sys/socket.h>

#include "context/dialect/ec2.h"

/* What a list of addresses says, by family; data is NULL where there is none. */
struct view {
	struct buf addresses; /* one a line, without prefix lengths */
	struct buf networks;  /* one a line, each once */
	char first[46], first_net[50];
};

static void view_release(struct view *v)
{
	buf_release(&v->addresses);
	buf_release(&v->networks);
}
DEFINE_AUTO_STRUCT(struct view, view_release);

static bool is_link_local(const struct ip_prefix *ip)
{
	return ip->family == AF_INET6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

static bool has_line(const char *lines, const char *line)
{
	size_t len = strlen(line);

	while (*lines) {
		size_t n = strcspn(lines, "\n");

		if (n == len && !strncmp(lines, line, n))
			return true;
		lines += n + (lines[n] == '\n');
	}
	return false;
}

static void view(struct ec2_render *r, const struct strlist *l, int family, struct view *v)
{
	for (size_t i = 0; i < l->n; i++) {
		struct ip_prefix ip;
		char text[46], net[50];

		if (context_parse_ip(l->v[i], &ip, NULL) || ip.family != family ||
		    is_link_local(&ip))
			continue;
		context_format_ip(&ip, text);
		context_format_network(&ip, net);
		ec2_join(r, &v->addresses, text);
		if (!v->first[0]) {
			memcpy(v->first, text, sizeof(text));
			memcpy(v->first_net, net, sizeof(net));
		}
		if (!has_line(buf_str(&v->networks), net))
			ec2_join(r, &v->networks, net);
	}
}

void ec2_primary_ipv4(struct ec2_render *r, char out[46])
{
	AUTO(view_release) struct view v4 = {0};

	out[0] = '\0';
	if (!r->c->n_nics)
		return;
	view(r, &r->c->nics[0].addresses, AF_INET, &v4);
	memcpy(out, v4.first, sizeof(v4.first));
}

/* A NIC's directory, and the version that its leaf came with. */
struct at {
	struct ec2_render *r;
	const char *mac;
};

static void leaf(const struct at *at, unsigned since, const char *name, const char *value)
{
	ec2_leaf_at(at->r, since, value, "meta-data/network/interfaces/macs/%s/%s", at->mac, name);
}

static void number(const struct at *at, unsigned since, const char *name, size_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", value);
	leaf(at, since, name, text);
}

static void list(const struct at *at, unsigned since, const char *name, const struct strlist *l)
{
	AUTO_BUF text = BUF_INIT;

	for (size_t i = 0; i < l->n; i++)
		ec2_join(at->r, &text, l->v[i]);
	leaf(at, since, name, text.data);
}

/* Blocks of subnet or VPC; those of the addresses stand for a subnet's that are not given. */
static void render_blocks(const struct at *at, const struct nic *n, const struct view *v4,
			  const struct view *v6)
{
	AUTO(view_release) struct view subnet4 = {0};
	AUTO(view_release) struct view subnet6 = {0};
	AUTO(view_release) struct view vpc4 = {0};
	AUTO(view_release) struct view vpc6 = {0};

	view(at->r, &n->subnet_blocks, AF_INET, &subnet4);
	view(at->r, &n->subnet_blocks, AF_INET6, &subnet6);
	view(at->r, &n->vpc_blocks, AF_INET, &vpc4);
	view(at->r, &n->vpc_blocks, AF_INET6, &vpc6);
	leaf(at, 20110101, "subnet-ipv4-cidr-block",
	     ec2_given(subnet4.first_net[0] ? subnet4.first_net : v4->first_net));
	leaf(at, 20160630, "subnet-ipv6-cidr-blocks",
	     subnet6.networks.data ? subnet6.networks.data : v6->networks.data);
	leaf(at, 20110101, "vpc-ipv4-cidr-block", ec2_given(vpc4.first_net));
	leaf(at, 20160630, "vpc-ipv4-cidr-blocks", vpc4.networks.data);
	leaf(at, 20160630, "vpc-ipv6-cidr-blocks", vpc6.networks.data);
}

/* The addresses that others know, and which of its own the NIC has for each: the first. */
static void render_public(const struct at *at, const struct nic *n, const struct view *v4)
{
	AUTO(view_release) struct view more = {0};
	AUTO_BUF all = BUF_INIT;

	view(at->r, &n->external, AF_INET, &more);
	if (n->public_ipv4)
		ec2_join(at->r, &all, n->public_ipv4);
	for (const char *p = buf_str(&more.addresses); *p;) {
		char address[46] = "";
		size_t len = strcspn(p, "\n");

		memcpy(address, p, MIN(len, sizeof(address) - 1));
		if (!has_line(buf_str(&all), address))
			ec2_join(at->r, &all, address);
		p += len + (p[len] == '\n');
	}
	leaf(at, 20110101, "public-ipv4s", all.data);
	for (const char *p = buf_str(&all); *p && v4->first[0];) {
		size_t len = strcspn(p, "\n");

		ec2_leaf_at(at->r, 20110101, v4->first,
			    "meta-data/network/interfaces/macs/%s/ipv4-associations/%.*s", at->mac,
			    (int)len, p);
		p += len + (p[len] == '\n');
	}
}

static void render_mac(struct ec2_render *r, const struct nic *n, size_t index)
{
	AUTO(view_release) struct view v4 = {0};
	AUTO(view_release) struct view v6 = {0};
	const struct context *c = r->c;
	const struct at at = {r, n->mac};

	view(r, &n->addresses, AF_INET, &v4);
	view(r, &n->addresses, AF_INET6, &v6);
	number(&at, 20110101, "device-number", n->device_number ? n->device_number : index);
	leaf(&at, 20110101, "interface-id", n->interface_id);
	leaf(&at, 20160630, "ipv6s", v6.addresses.data);
	leaf(&at, 20110101, "local-hostname", n->local_hostname ? n->local_hostname : c->hostname);
	leaf(&at, 20110101, "local-ipv4s", v4.addresses.data);
	leaf(&at, 20110101, "mac", n->mac);
	if (n->network_card)
		number(&at, 20201101, "network-card", n->network_card);
	leaf(&at, 20110101, "owner-id", n->owner_id ? n->owner_id : c->account_id);
	if (n->public_hostname || !index)
		leaf(&at, 20110101, "public-hostname",
		     n->public_hostname ? n->public_hostname : c->public_hostname);
	render_public(&at, n, &v4);
	list(&at, 20110101, "security-groups",
	     n->security_groups.n ? &n->security_groups : &c->security_groups);
	list(&at, 20110101, "security-group-ids", &n->security_group_ids);
	leaf(&at, 20110101, "subnet-id", n->subnet_id);
	leaf(&at, 20110101, "vpc-id", n->vpc_id);
	render_blocks(&at, n, &v4, &v6);
}

void ec2_render_network(struct ec2_render *r)
{
	const struct context *c = r->c;
	AUTO(view_release) struct view v4 = {0};
	AUTO(view_release) struct view v6 = {0};
	size_t index = 0;

	for (size_t i = 0; i < c->n_nics; i++)
		if (c->nics[i].mac[0])
			render_mac(r, &c->nics[i], index++);
	if (!c->n_nics)
		return;
	view(r, &c->nics[0].addresses, AF_INET, &v4);
	view(r, &c->nics[0].addresses, AF_INET6, &v6);
	ec2_leaf(r, 0, "meta-data/local-ipv4", ec2_given(v4.first));
	ec2_leaf(r, 20070119, "meta-data/public-ipv4", c->nics[0].public_ipv4);
	ec2_leaf(r, 20110101, "meta-data/mac", ec2_given(c->nics[0].mac));
	ec2_leaf(r, 20210103, "meta-data/ipv6", ec2_given(v6.first));
}
