/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writer of OpenNebula's context.sh: see context/opennebula.h, and for the variables the table at
 * the head of context/dialect/opennebula.c.
 */
#include "context/dialect/opennebula.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "lib/str.h"

static const char head[] = "# Context variables, as OpenNebula writes them\n";

/* Sets PREFIX SUFFIX if there is a value. */
int one_put2(struct one_writer *w, const char *prefix, const char *suffix, const char *value)
{
	char name[128];

	if (!value || !*value)
		return 0;
	snprintf(name, sizeof(name), "%s%s", prefix, suffix);
	return shellvars_set(&w->vars, name, value, w->e);
}

int one_put(struct one_writer *w, const char *name, const char *value)
{
	return one_put2(w, "", name, value);
}

int one_put_number(struct one_writer *w, const char *prefix, const char *suffix, uint64_t value)
{
	char text[32];

	if (!value)
		return 0;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return one_put2(w, prefix, suffix, text);
}

int one_put_list(struct one_writer *w, const char *prefix, const char *suffix,
		 const struct strlist *l, const char *separator)
{
	AUTO_BUF text = BUF_INIT;

	for (size_t i = 0; i < l->n; i++) {
		if ((i && buf_adds(&text, separator) < 0) || buf_adds(&text, l->v[i]) < 0)
			return err_nomem(w->e);
	}
	return one_put2(w, prefix, suffix, buf_str(&text));
}

/* 24 to 255.255.255.0. */
static void prefix_to_mask(unsigned bits, char out[INET_ADDRSTRLEN])
{
	struct in_addr a = {.s_addr = htonl(bits ? UINT32_MAX << (32 - bits) : 0)};

	inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN);
}

/* One address of a NIC, as its own or as an alias's. */
static int put_address(struct one_writer *w, const char *prefix, const char *address)
{
	const char *slash = strchr(address, '/');
	AUTO_FREE char *ip = slash ? strndup(address, (size_t)(slash - address)) : NULL;
	bool v6 = strchr(address, ':') != NULL;
	char mask[INET_ADDRSTRLEN];
	uint64_t bits = 0;
	int rc;

	if (slash && !ip)
		return err_nomem(w->e);
	if (!slash || str_to_u64(slash + 1, 0, v6 ? 128 : 32, &bits, NULL) < 0)
		return err_set(w->e, EINVAL, "address '%s' has no prefix length", address);
	rc = one_put2(w, prefix, v6 ? "_IP6" : "_IP", ip);
	if (rc < 0)
		return rc;
	if (v6)
		return one_put2(w, prefix, "_IP6_PREFIX_LENGTH", slash + 1);
	prefix_to_mask((unsigned)bits, mask);
	return one_put2(w, prefix, "_MASK", mask);
}

static int put_external(struct one_writer *w, const char *prefix, unsigned number,
			const char *address)
{
	char alias[64];
	int rc;

	snprintf(alias, sizeof(alias), "%s_ALIAS%u", prefix, number);
	rc = one_put2(w, alias, strchr(address, ':') ? "_IP6" : "_IP", address);
	return rc ? rc : one_put2(w, alias, "_EXTERNAL", "YES");
}

/* The first address of each family is the NIC's own. */
static int put_addresses(struct one_writer *w, const char *prefix, const struct nic *n)
{
	bool own[2] = {false, false};
	unsigned aliases = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n->addresses.n; i++) {
		const char *address = n->addresses.v[i];
		bool v6 = strchr(address, ':') != NULL;
		char alias[64];

		if (own[v6])
			snprintf(alias, sizeof(alias), "%s_ALIAS%u", prefix, aliases++);
		rc = put_address(w, own[v6] ? alias : prefix, address);
		own[v6] = true;
	}
	/* addresses that others translate to this NIC's */
	if (rc == 0 && n->public_ipv4)
		rc = put_external(w, prefix, aliases++, n->public_ipv4);
	for (size_t i = 0; rc == 0 && i < n->external.n; i++)
		rc = put_external(w, prefix, aliases++, n->external.v[i]);
	return rc;
}

/* METHOD where it is not what a reader takes the addresses for. */
static int put_methods(struct one_writer *w, const char *prefix, const struct nic *n)
{
	static const char *const names[] = {
		[NIC_STATIC] = "static",
		[NIC_DHCP] = "dhcp",
		[NIC_AUTO] = "auto",
		[NIC_SKIP] = "skip",
	};
	bool v4 = false, v6 = false;
	int rc = 0;

	for (size_t i = 0; i < n->addresses.n; i++) {
		if (strchr(n->addresses.v[i], ':'))
			v6 = true;
		else
			v4 = true;
	}
	if (n->method == NIC_DHCP || (n->method == NIC_SKIP && v4))
		rc = one_put2(w, prefix, "_METHOD", names[n->method]);
	/* Unless told, a reader takes IPv6 to be as IPv4 is. */
	if (rc == 0 && (n->method6 == NIC_DHCP || n->method6 == NIC_AUTO))
		rc = one_put2(w, prefix, "_IP6_METHOD", names[n->method6]);
	else if (rc == 0 && n->method6 == NIC_STATIC && v6 && n->method != NIC_STATIC)
		rc = one_put2(w, prefix, "_IP6_METHOD", names[NIC_STATIC]);
	else if (rc == 0 && ((n->method6 == NIC_SKIP && v6) || (n->method == NIC_DHCP && !v6)))
		rc = one_put2(w, prefix, "_IP6_METHOD", names[NIC_SKIP]);
	return rc;
}

static int put_nic(struct one_writer *w, size_t number, const struct nic *n)
{
	char prefix[32];
	int rc;

	if (n->vlan_parent)
		return 0; /* nothing is there to say it with */
	snprintf(prefix, sizeof(prefix), "%s%zu", n->pci_address ? "PCI" : "ETH", number);
	if (!*n->mac)
		return err_set(
			w->e, EINVAL,
			"NIC %zu has no hardware address, by which OpenNebula's guests find it",
			number);
	rc = one_put2(w, prefix, "_MAC", n->mac);
	if (rc == 0)
		rc = put_methods(w, prefix, n);
	if (rc == 0)
		rc = put_addresses(w, prefix, n);
	if (rc == 0)
		rc = one_put2(w, prefix, "_GATEWAY", n->gateway);
	if (rc == 0)
		rc = one_put2(w, prefix, "_IP6_GATEWAY", n->gateway6);
	if (rc == 0)
		rc = one_put_list(w, prefix, "_DNS", &n->dns, " ");
	if (rc == 0)
		rc = one_put_list(w, prefix, "_SEARCH_DOMAIN", &n->search, " ");
	if (rc == 0)
		rc = one_put_list(w, prefix, "_ROUTES", &n->routes, ", ");
	if (rc == 0)
		rc = one_put_number(w, prefix, "_MTU", n->mtu);
	if (rc == 0)
		rc = one_put_number(w, prefix, "_METRIC", n->metric);
	if (rc == 0)
		rc = one_put_number(w, prefix, "_IP6_METRIC", n->metric6);
	if (rc == 0)
		rc = one_put_number(w, prefix, "_VLAN_ID", n->vlan_id);
	if (rc == 0)
		rc = one_put2(w, prefix, "_ADDRESS", n->pci_address);
	return rc;
}

static int put_user_data(struct one_writer *w, const struct context *c)
{
	int rc;

	if (!c->has_user_data || !c->user_data.len)
		return 0;
	rc = one_put_base64(w, "USER_DATA", &c->user_data);
	return rc < 0 ? rc : one_put(w, "USER_DATA_ENCODING", "base64");
}

int one_put_base64(struct one_writer *w, const char *name, const struct buf *bytes)
{
	AUTO_BUF text = BUF_INIT;

	if (base64_encode(bytes->data, bytes->len, &text) < 0)
		return err_nomem(w->e);
	return one_put(w, name, buf_str(&text));
}

int one_put_choice(struct one_writer *w, const char *name, enum context_choice choice)
{
	return choice == CHOICE_OPEN ? 0 : one_put(w, name, choice == CHOICE_YES ? "YES" : "NO");
}

/* NAME=VALUE lines; a pair that does not fit into one line cannot be said. */
static int put_pairs(struct one_writer *w, const char *variable, const struct context_pair *pairs,
		     size_t n)
{
	AUTO_BUF text = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		const char *key = pairs[i].key, *value = pairs[i].value;

		if (strpbrk(key, "=\n") || strchr(value, '\n'))
			return err_set(w->e, EINVAL, "'%s' cannot be written as one line of %s",
				       key, variable);
		if (buf_addf(&text, "%s%s=%s", i ? "\n" : "", key, value) < 0)
			return err_nomem(w->e);
	}
	return one_put(w, variable, buf_str(&text));
}

static int put_fields(struct one_writer *w, const struct context *c)
{
	int rc = one_put(w, "SET_HOSTNAME", c->hostname);

	/* cloud-init as in Debian 11 knows but this one, and without it takes the first address. */
	if (rc == 0)
		rc = one_put(w, "HOSTNAME", c->hostname);
	for (const struct one_variable *v = one_texts; rc == 0 && v->name; v++)
		rc = one_put(w, v->name, *(char *const *)((const char *)c + v->offset));
	for (const struct one_variable *v = one_lists; rc == 0 && v->name; v++)
		rc = one_put_list(w, v->name, "",
				  (const struct strlist *)((const char *)c + v->offset), "\n");
	if (rc == 0)
		rc = one_put_number(w, "EC2_AMI_LAUNCH_INDEX", "", c->launch_index);
	if (rc == 0)
		rc = one_put_number(w, "EC2_LAUNCH_TIME", "", c->launch_time);
	if (rc == 0)
		rc = one_put_list(w, "SSH_PUBLIC_KEY", "", &c->ssh_keys, "\n");
	return rc;
}

static int put_extra(struct one_writer *w, const struct context *c)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->n_extra; i++) {
		const struct context_pair *x = &c->extra[i];

		/* What has a field of its own is not overridden, what is no variable left out. */
		if (shellvars_name_valid(x->key, strlen(x->key)) &&
		    !shellvars_get(&w->vars, x->key))
			rc = shellvars_set(&w->vars, x->key, x->value, w->e);
	}
	return rc;
}

int one_write(const struct context *c, struct tree *docs, struct buf *out, struct err *e)
{
	struct one_writer w = {.docs = docs, .e = e};
	AUTO_BUF text = BUF_INIT;
	int rc = put_fields(&w, c);

	if (rc == 0)
		rc = put_user_data(&w, c);
	if (rc == 0)
		rc = put_pairs(&w, "EC2_TAGS", c->tags, c->n_tags);
	if (rc == 0)
		rc = put_pairs(&w, "EC2_BLOCK_DEVICES", c->block_devices, c->n_block_devices);
	for (size_t i = 0; rc == 0 && i < c->n_nics; i++)
		rc = put_nic(&w, i, &c->nics[i]);
	if (rc == 0)
		rc = one_write_guest(&w, c);
	if (rc == 0)
		rc = put_extra(&w, c);
	if (rc == 0 && buf_adds(&text, head) < 0)
		rc = err_nomem(e);
	if (rc == 0)
		rc = shellvars_write(&w.vars, &text, e);
	shellvars_release(&w.vars);
	if (rc == 0 && text.len > SHELLVARS_FILE_MAX)
		rc = err_set(e, EFBIG, "%zu bytes of context variables; the limit is %llu",
			     text.len, (unsigned long long)SHELLVARS_FILE_MAX);
	if (rc == 0 && buf_add(out, text.data, text.len) < 0)
		rc = err_nomem(e);
	return rc;
}

int opennebula_write(const struct context *c, struct buf *out, struct err *e)
{
	return one_write(c, NULL, out, e);
}
