/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CloudStack's metadata by HTTP, as its virtual router serves them: flat names below /latest/ and
 * below /latest/meta-data/, beside EC2's, which they do not collide with but for public-keys: that
 * is the keys themselves below /latest/, and EC2's list below /latest/meta-data/.
 *
 * Its password server, which stands at port 8080 there, knows "/" alone, and what is asked by a
 * header:
 *
 *	DomU_Request: send_my_password    the password of the default user, or "saved_password"
 *	                                  once it was taken, or "" where there never was one
 *	DomU_Request: saved_password      it was taken; "saved_password"
 *	other                             400, "bad_request"
 *
 * A password that any process of a guest could read is served only where the definition names
 * this dialect. When it is changed there, it can be taken once more.
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

/* ---- the password server --------------------------------------------------------------------- */

#define REQUEST "DomU_Request"

bool is_cloudstack_password(const struct answer *a, const char *path)
{
	return !*path && a->env->said && (a->in->dialects & DIALECT_CLOUDSTACK) &&
	       http_field_find(a->rq, REQUEST, NULL);
}

static int answer_text(struct answer *a, int status, const char *text)
{
	int rc = answer_bytes(a, "text/plain", text, strlen(text));

	a->res->status = status;
	return rc;
}

int answer_cloudstack_password(struct answer *a)
{
	const char *password = a->in->context->default_user.password;
	const char *taken = answer_said(a, SAID_PASSWORD_TAKEN);
	const char *id = a->in->context->instance_id;
	const struct http_field *f;
	char digest[SECRET_DIGEST_SIZE] = "";
	bool is_taken;
	size_t n;
	int rc;

	if (!answer_is_get(a))
		return answer_refuse_method(a, "GET, HEAD");
	if (http_field_find(a->rq, "X-Forwarded-For", NULL))
		return answer_refuse(a, 403, "a password asked for through a proxy");
	if (password)
		secret_digest(id ? id : "", password, digest);
	is_taken = taken && !strcmp(taken, digest);
	f = http_field_find(a->rq, REQUEST, &n);
	if (n == 1 && http_slice_is(f->value, "send_my_password"))
		return answer_text(a, 200, !password ? "" : is_taken ? "saved_password" : password);
	if (n != 1 || !http_slice_is(f->value, "saved_password"))
		return answer_text(a, 400, "bad_request");
	rc = password && !is_taken ? answer_say(a, SAID_PASSWORD_TAKEN, digest, strlen(digest)) : 0;
	return rc || a->res->status >= 400 ? rc : answer_text(a, 200, "saved_password");
}
