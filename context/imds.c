/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a request is answered, after "Use the Instance Metadata Service" of the Amazon EC2 User
 * Guide (2024), and after what EC2 was seen to send where the guide is silent:
 *
 *	PUT /latest/api/token     a token; X-aws-ec2-metadata-token-ttl-seconds: 1..21600 needed
 *	                          (400); not through a proxy: X-Forwarded-For is refused (403)
 *	PUT /OTHER/api/token      403 for another version
 *	GET, HEAD /api/token      405, empty
 *	GET, HEAD                 with a token, which must be valid (401); without one only where
 *	                          tokens are optional (401)
 *	other methods             405
 *	service disabled          403
 *	a Host that is not ours   403
 *	what is not there         404
 *
 * A directory is listed with and without a slash at its end, a leaf is served with one too.
 */
#include <stdio.h>

#include "context/answer.h"
#include "lib/str.h"

#define HEADER_TTL "X-aws-ec2-metadata-token-ttl-seconds"
#define HEADER_TOKEN "X-aws-ec2-metadata-token"
#define HEADER_FORWARDED "X-Forwarded-For"

/* ---- paths --------------------------------------------------------------------------------- */

/* One byte of a target, decoded; *i moves behind it. */
static int decode_byte(struct http_slice t, size_t *i, char *ret, struct err *e)
{
	unsigned char c = (unsigned char)t.p[(*i)++];

	if (c == '%') {
		if (t.len - *i < 2 || hex_decode(t.p + *i, 2, &c, 1, NULL))
			return err_set(e, EBADMSG, "'%%' without two hex digits");
		*i += 2;
		if (c == '/')
			return err_set(e, EBADMSG, "an escaped '/'");
	}
	if (c < 0x20 || c == 0x7f)
		return err_set(e, EBADMSG, "a control character");
	*ret = (char)c;
	return 0;
}

/* One component, decoded, appended to out; *i moves behind it. */
static int add_component(struct http_slice t, size_t *i, struct buf *out, struct err *e)
{
	size_t from = out->len;
	const char *text;

	while (*i < t.len && t.p[*i] != '/') {
		char c = 0;

		if (decode_byte(t, i, &c, e))
			return -EBADMSG;
		if (buf_addc(out, c))
			return err_nomem(e);
	}
	text = out->data + from;
	if (!strcmp(text, ".") || !strcmp(text, ".."))
		return err_set(e, EBADMSG, "'.' or '..' in the path");
	return 0;
}

int imds_path(struct http_slice target, struct buf *out, struct err *e)
{
	const char *query = memchr(target.p, '?', target.len);
	size_t start = out->len;
	size_t i = 0;

	if (query)
		target.len = (size_t)(query - target.p);
	while (i < target.len) {
		int rc;

		if (target.p[i] == '/') {
			i++;
			continue;
		}
		if (out->len > start && buf_addc(out, '/'))
			return err_nomem(e);
		rc = add_component(target, &i, out, e);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- answers ------------------------------------------------------------------------------- */

/* The token's path is answered without a body. */
static int refuse_token_method(struct answer *a)
{
	int rc = answer_refuse_method(a, "OPTIONS, PUT");

	buf_clear(&a->res->headers);
	buf_clear(&a->res->body);
	return rc ? rc : answer_header(a, "Allow", "OPTIONS, PUT");
}

static const char *instance_id(const struct answer *a)
{
	return a->in->context->instance_id ? a->in->context->instance_id : "";
}

static int put_token(struct answer *a)
{
	char text[16], token[TOKEN_TEXT_SIZE];
	const struct http_field *ttl;
	uint64_t seconds;
	size_t n;
	int rc;

	if (http_field_find(a->rq, HEADER_FORWARDED, NULL))
		return answer_refuse(a, 403, "a token asked for through a proxy (X-Forwarded-For)");
	ttl = http_field_find(a->rq, HEADER_TTL, &n);
	if (n != 1 || !ttl->value.len || ttl->value.len >= sizeof(text))
		return answer_refuse(a, 400, "a token asked for without one TTL");
	memcpy(text, ttl->value.p, ttl->value.len);
	text[ttl->value.len] = '\0';
	if (strlen(text) != ttl->value.len || str_to_u64(text, 1, TOKEN_MAX_TTL, &seconds, NULL))
		return answer_refuse(a, 400, "a token's TTL is not 1 to 21600 seconds");
	rc = token_issue(a->env->key, instance_id(a), a->env->now, (unsigned)seconds, token, a->e);
	if (rc)
		return rc;
	a->res->status = 200;
	a->res->hop_limit = a->in->imds.hop_limit;
	rc = answer_header(a, "Content-Type", "text/plain");
	rc = rc ? rc : answer_header_number(a, HEADER_TTL, (unsigned)seconds);
	if (!rc && buf_adds(&a->res->body, token))
		rc = err_nomem(a->e);
	return rc;
}

static int answer_token(struct answer *a, bool latest)
{
	if (http_slice_is(a->rq->method, "PUT"))
		return latest ? put_token(a)
			      : answer_refuse(a, 403, "a token asked for by a version but latest");
	if (http_slice_is(a->rq->method, "OPTIONS") && latest) {
		a->res->status = 200;
		return answer_header(a, "Allow", "OPTIONS, PUT");
	}
	return refuse_token_method(a);
}

/* What the token says: 0 go on (*left 0: there was none), 1 refused. */
static int check_token(struct answer *a, unsigned *left, bool *refused)
{
	size_t n;
	const struct http_field *f = http_field_find(a->rq, HEADER_TOKEN, &n);

	*left = 0;
	*refused = false;
	if (a->env->trusted)
		return 0;
	if (!f && a->in->imds.tokens == IMDS_TOKENS_OPTIONAL)
		return 0;
	if (f && n == 1 &&
	    token_check(a->env->key, instance_id(a), a->env->now, f->value.p, f->value.len, left))
		return 0;
	*refused = true;
	return answer_refuse(a, 401,
			     !f      ? "no token"
			     : n > 1 ? "several tokens"
				     : "token is not valid");
}

/* EC2 lists the top of a version without slashes, and nothing else. */
static void drop_slashes(struct buf *listing)
{
	size_t to = 0;

	for (size_t i = 0; i < listing->len; i++)
		if (listing->data[i] != '/')
			listing->data[to++] = listing->data[i];
	listing->len = to;
	if (listing->data)
		listing->data[to] = '\0';
}

/* ---- what is made when it is asked for ------------------------------------------------------ */

#define IDENTITY "dynamic/instance-identity/"
#define IAM "meta-data/iam/"

static int made_kind(const char *path, enum imds_made *ret)
{
	static const struct {
		const char *path;
		enum imds_made what;
	} kinds[] = {
		{IDENTITY "signature", IMDS_SIGNATURE},
		{IDENTITY "pkcs7", IMDS_PKCS7},
		{IDENTITY "rsa2048", IMDS_RSA2048},
		{IDENTITY "certificate", IMDS_CERTIFICATE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(path, kinds[i].path))
			continue;
		*ret = kinds[i].what;
		return 0;
	}
	*ret = IMDS_CREDENTIALS;
	return str_has_prefix(path, IAM "security-credentials/") ? 0 : -ENOENT;
}

static int ask_host(struct answer *a, enum imds_made what)
{
	const struct imds_host *host = a->env->host;
	struct http_slice document = {0};
	struct err why = {0};
	int rc;

	ANALYZER_KNOWS(host); /* else the leaf would not be there */
	if (tree_lookup(a->in->ec2, UINT32_MAX, IDENTITY "document", &document, &a->res->body) !=
	    TREE_LEAF)
		document = (struct http_slice){"", 0};
	rc = host->make(host->arg, what, a->in, document, a->env->timed_out, &a->res->body,
			&a->res->wait_key, &why);
	if (!rc)
		return 0;
	if (rc == -EAGAIN) {
		a->res->wait_ms = IMDS_WAIT_MS;
		return 0;
	}
	if (rc == -ENOMEM)
		return err_nomem(a->e);
	return what == IMDS_CREDENTIALS
		       ? answer_refuse(a, 404, "there are no credentials for the role")
		       : err_set(a->e, why.code, "%s", why.msg);
}

static int serve_made(struct answer *a, const char *path)
{
	const struct context *c = a->in->context;
	enum imds_made what;
	int rc;

	if (!strcmp(path, IAM "info")) {
		rc = ec2_iam_info(c, a->env->now, &a->res->body, a->e);
	} else if (made_kind(path, &what)) {
		return answer_refuse(a, 404, NULL);
	} else if (what == IMDS_CREDENTIALS && !c->iam_role.credential_process) {
		rc = ec2_credentials(c, a->env->now, &a->res->body, a->e);
	} else {
		rc = ask_host(a, what);
		if (a->res->wait_ms || a->res->status)
			return rc;
	}
	if (rc)
		return rc;
	a->res->status = 200;
	return answer_header(a, "Content-Type", "text/plain");
}

static int serve_path(struct answer *a, unsigned version, const char *path)
{
	unsigned can = a->env->host ? a->env->host->can : 0;
	struct http_slice leaf = {0};
	int kind = tree_lookup(a->in->ec2, (version & TREE_DATE) | can, path, &leaf, &a->res->body);

	if (kind < 0)
		return err_nomem(a->e);
	if (kind == TREE_NONE)
		return answer_refuse(a, 404, NULL);
	if (kind == TREE_MADE_LEAF)
		return serve_made(a, path);
	if (kind == TREE_LEAF && buf_add(&a->res->body, leaf.p, leaf.len))
		return err_nomem(a->e);
	if (kind == TREE_DIRECTORY && !*path)
		drop_slashes(&a->res->body);
	a->res->status = 200;
	return answer_header(a, "Content-Type",
			     strcmp(path, "user-data") ? "text/plain" : "application/octet-stream");
}

static int serve(struct answer *a, const char *path)
{
	size_t version_len = strcspn(path, "/");
	const char *rest = path + version_len + (path[version_len] == '/');
	char date[HTTP_DATE_SIZE];
	unsigned version, left;
	bool refused;
	int rc = check_token(a, &left, &refused);

	if (rc || refused)
		return rc;
	if (!*path) {
		if (ec2_list_versions(&a->res->body))
			return err_nomem(a->e);
		a->res->status = 200;
		rc = answer_header(a, "Content-Type", "text/plain");
	} else if (ec2_version(path, version_len, &version)) {
		rc = serve_path(a, version, rest);
	} else {
		rc = answer_refuse(a, 404, NULL);
	}
	if (!rc && left)
		rc = answer_header_number(a, HEADER_TTL, left);
	if (rc || a->res->status != 200)
		return rc;
	rc = answer_header(a, "Accept-Ranges", "none");
	if (rc || !a->in->modified)
		return rc;
	http_date(a->in->modified, date);
	return answer_header(a, "Last-Modified", date);
}

/* Is path VERSION/api/token? *ret_latest: and the version is "latest". */
static bool is_token_path(const char *path, bool *ret_latest)
{
	size_t len = strcspn(path, "/");
	unsigned version;

	*ret_latest = len == 6 && !strncmp(path, "latest", 6);
	return !strcmp(path + len, "/api/token") && ec2_version(path, len, &version);
}

/* EC2's paths: those below a version, and the list of these. */
static int answer_ec2(struct answer *a, const char *path)
{
	bool latest;

	if (is_token_path(path, &latest))
		return answer_token(a, latest);
	if (!answer_is_get(a))
		return answer_refuse_method(a, "GET, HEAD");
	return serve(a, path);
}

/* Other dialects have first components of their own. */
static const struct {
	const char *name;
	enum instance_dialect dialect;
	int (*answer)(struct answer *a, const char *path);
} others[] = {
	{"openstack", DIALECT_OPENSTACK, answer_openstack},
	{"nocloud", DIALECT_NOCLOUD, answer_nocloud},
	{"computeMetadata", DIALECT_GCE, answer_gce},
};

static int answer_path(struct answer *a, const char *path)
{
	size_t len = strcspn(path, "/");
	unsigned speaks = instance_dialects(a->in);
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (strlen(others[i].name) != len || strncmp(path, others[i].name, len) != 0)
			continue;
		if (!(speaks & others[i].dialect))
			return answer_refuse(a, 404, "the instance does not speak that dialect");
		return others[i].answer(a, path + len + (path[len] == '/'));
	}
	if (is_cloudstack_password(a, path))
		return answer_cloudstack_password(a);
	if ((speaks & DIALECT_CLOUDSTACK) && !strncmp(path, "latest/", 7) && answer_is_get(a) &&
	    answer_cloudstack(a, path + 7, &rc))
		return rc;
	return speaks & DIALECT_EC2 ? answer_ec2(a, path) : answer_refuse(a, 404, NULL);
}

int imds_answer(const struct http_request *rq, const struct instance *in,
		const struct imds_env *env, struct http_response *ret, const char **why,
		struct err *e)
{
	struct answer a = {.rq = rq, .in = in, .env = env, .res = ret, .e = e};
	AUTO_BUF path = BUF_INIT;
	struct err bad = {0};
	int rc;

	if (!in->imds.enabled && !env->trusted) {
		rc = answer_refuse(&a, 403, "the service is disabled for this instance");
	} else if (!is_known_host(&a)) {
		rc = answer_refuse(&a, 403, "asked by a name that is not the service's (Host)");
	} else {
		rc = imds_path(rq->target, &path, &bad);
		if (rc == -EBADMSG)
			rc = answer_refuse(&a, 400, "the path is malformed");
		else if (rc)
			rc = err_nomem(e);
		else
			rc = answer_path(&a, buf_str(&path));
	}
	if (why)
		*why = a.why;
	return rc;
}
