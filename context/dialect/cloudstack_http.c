/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CloudStack's metadata by HTTP, as its virtual router serves them: flat names below /latest/ and
 * below /latest/meta-data/, beside EC2's, which they do not collide with but for public-keys: that
 * is the keys themselves below /latest/, and EC2's list below /latest/meta-data/.
 *
 * Not served: passwords, which the virtual router has on another port.
 */
#include <sys/socket.h>

#include "context/answer.h"
#include "lib/str.h"

/* The first address of that family without its prefix length; "" if there is none. */
static void first_address(const struct context *c, int family, char out[46])
{
	struct ip_prefix ip;

	out[0] = '\0';
	for (size_t i = 0; c->n_nics && i < c->nics[0].addresses.n && !out[0]; i++)
		if (!context_parse_ip(c->nics[0].addresses.v[i], &ip, NULL) && ip.family == family)
			context_format_ip(&ip, out);
}

static int join_keys(const struct context *c, struct buf *out)
{
	for (size_t i = 0; i < c->ssh_keys.n; i++)
		if (buf_addf(out, "%s\n", c->ssh_keys.v[i]))
			return -ENOMEM;
	return 0;
}

bool answer_cloudstack(struct answer *a, const char *path, int *rc)
{
	const struct context *c = a->in->context;
	bool flat = !str_has_prefix(path, "meta-data/");
	char local_ipv4[46];
	AUTO_BUF keys = BUF_INIT;
	const char *value = NULL;
	bool found = false;

	first_address(c, AF_INET, local_ipv4);
	if (join_keys(c, &keys)) {
		*rc = err_nomem(a->e);
		return true;
	}
	const struct {
		const char *name, *value;
		bool flat; /* below /latest/ alone: EC2 has it below meta-data */
	} leaves[] = {
		{"availability-zone", c->availability_zone, false},
		{"cloud-identifier", c->account_id, false},
		{"service-offering", c->instance_type, false},
		{"vm-id", c->instance_id, false},
		{"instance-id", c->instance_id, true},
		{"local-hostname", c->hostname, true},
		{"local-ipv4", local_ipv4[0] ? local_ipv4 : NULL, true},
		{"public-hostname", c->public_hostname, true},
		{"public-ipv4", c->n_nics ? c->nics[0].public_ipv4 : NULL, true},
		{"public-keys", keys.data, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(leaves) && !found; i++) {
		found = !strcmp(path + (flat ? 0 : strlen("meta-data/")), leaves[i].name) &&
			(flat || !leaves[i].flat);
		value = leaves[i].value;
	}
	if (!found)
		return false;
	*rc = value ? answer_bytes(a, "text/plain", value, strlen(value))
		    : answer_refuse(a, 404, NULL);
	return true;
}
