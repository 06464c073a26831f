/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials that a service next to the machine gives: a container's credential service, and the
 * instance metadata service, by version 2 of its protocol alone (a session token by PUT).
 */
#include <stdio.h>
#include <strings.h>

#include "lib/aws_private.h"
#include "lib/fs.h"
#include "lib/str.h"

#define MAX_DOCUMENT (64u << 10)
#define CONTAINER_TIMEOUT_MS 2000
#define IMDS_TIMEOUT_MS 1000
#define IMDS_TOKEN_SECONDS "21600"

/* ---- container ------------------------------------------------------------------------------ */

static int get_document(const struct aws *a, const char *url, const char *name, const char *value,
			unsigned timeout_ms, struct buf *out, struct err *e)
{
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct httpc_header header = {name, value};
	struct httpc_request req = {
		.url = url,
		.headers = &header,
		.n_headers = value ? 1 : 0,
		.max_body = MAX_DOCUMENT,
		.connect_timeout_ms = timeout_ms,
		.total_timeout_ms = 2 * timeout_ms,
	};
	int rc = aws_http_client(a, &c, e);

	if (rc == 0)
		rc = httpc_send(c, &req, &r, e);
	if (rc < 0)
		return rc;
	if (r.status != 200)
		return err_set(e, r.status == 404 ? ENOENT : EIO, "HTTP %d", r.status);
	*out = r.body;
	r.body = BUF_INIT;
	return 0;
}

/* Plain HTTP only where nobody else can listen. */
static int check_container_url(const char *url, struct err *e)
{
	static const char *const hosts[] = {"localhost",     "127.0.0.1",      "[::1]",
					    "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
	AUTO(httpc_url_release) struct httpc_url u = {0};
	int rc = httpc_url_parse(url, &u, e);

	if (rc < 0 || !strcmp(u.scheme, "https"))
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		if (!strcmp(u.host, hosts[i]))
			return 0;
	}
	return err_set(e, EACCES, "'%s' is neither https nor a loopback address", u.host);
}

static int container_token(struct buf *out, struct err *e)
{
	const char *path = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	int rc;

	if (!path)
		return token && buf_adds(out, token) < 0 ? err_nomem(e) : 0;
	rc = fs_read_file(path, MAX_DOCUMENT, out, e);
	while (rc == 0 && out->len && strchr("\r\n", out->data[out->len - 1]))
		out->data[--out->len] = '\0';
	return rc;
}

int aws_from_container(const struct aws *a, struct aws_credentials *ret, struct err *e)
{
	const char *relative = aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	AUTO(wipe_buf) struct buf token = BUF_INIT, text = BUF_INIT;
	AUTO_FREE char *url = NULL;
	int rc;

	if (!relative && !full)
		return AWS_NO_CREDENTIALS;
	url = relative ? str_format("http://169.254.170.2%s", relative) : strdup(full);
	if (!url)
		return err_nomem(e);
	rc = check_container_url(url, e);
	if (rc == 0)
		rc = container_token(&token, e);
	if (rc == 0)
		rc = get_document(a, url, "Authorization", token.len ? token.data : NULL,
				  CONTAINER_TIMEOUT_MS, &text, e);
	if (rc == 0)
		rc = aws_credentials_from_json("the container's credential service", &text, "Token",
					       ret, e);
	return rc < 0 ? (err_wrap(e, "container credentials"), rc) : 0;
}

/* ---- instance metadata ---------------------------------------------------------------------- */

static const char *imds_endpoint(void)
{
	const char *url = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");

	if (url)
		return url;
	return mode && !strcasecmp(mode, "IPv6") ? "http://[fd00:ec2::254]"
						 : "http://169.254.169.254";
}

static int imds_token(struct httpc *c, const char *base, struct buf *out, struct err *e)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_FREE char *url = str_format("%s/latest/api/token", base);
	struct httpc_header header = {"x-aws-ec2-metadata-token-ttl-seconds", IMDS_TOKEN_SECONDS};
	struct httpc_request req = {
		.method = HTTPC_PUT,
		.url = url,
		.headers = &header,
		.n_headers = 1,
		.max_body = 4096,
		.connect_timeout_ms = IMDS_TIMEOUT_MS,
		.total_timeout_ms = 2 * IMDS_TIMEOUT_MS,
	};
	int rc;

	if (!url)
		return err_nomem(e);
	rc = httpc_send(c, &req, &r, e);
	if (rc < 0)
		return rc;
	if (r.status != 200)
		return err_set(e, EIO, "HTTP %d for a session token", r.status);
	*out = r.body;
	r.body = BUF_INIT;
	return 0;
}

int aws_imds_get(const struct aws *a, const char *path, struct buf *out, struct err *e)
{
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO(wipe_buf) struct buf token = BUF_INIT;
	AUTO_FREE char *base = NULL;
	AUTO_FREE char *url = NULL;
	const char *endpoint = imds_endpoint();
	size_t len = strlen(endpoint);
	int rc;

	if (aws_env_true("AWS_EC2_METADATA_DISABLED"))
		return err_set(e, ENOTSUP, "disabled by AWS_EC2_METADATA_DISABLED");
	base = strndup(endpoint, len && endpoint[len - 1] == '/' ? len - 1 : len);
	if (!base)
		return err_nomem(e);
	url = str_format("%s%s", base, path);
	if (!url)
		return err_nomem(e);
	rc = aws_http_client(a, &c, e);
	if (rc == 0)
		rc = imds_token(c, base, &token, e);
	if (rc < 0)
		return rc;
	return get_document(a, url, "x-aws-ec2-metadata-token", buf_str(&token), IMDS_TIMEOUT_MS,
			    out, e);
}

/* A host where no metadata service answers, or one without a role, is no error: most have none. */
int aws_from_imds(const struct aws *a, struct aws_credentials *ret, struct err *e)
{
	static const char path[] = "/latest/meta-data/iam/security-credentials/";
	AUTO(wipe_buf) struct buf role = BUF_INIT, text = BUF_INIT, url = BUF_INIT;
	int rc = aws_imds_get(a, path, &role, e);

	if (rc == -ECANCELED || rc == -ENOMEM)
		return rc;
	if (rc < 0)
		return AWS_NO_CREDENTIALS;
	/* One role's name, maybe with a newline behind it. */
	role.len = strcspn(buf_str(&role), "\r\n");
	if (!role.data || !role.len || role.len > 128)
		return AWS_NO_CREDENTIALS;
	role.data[role.len] = '\0';
	if (buf_adds(&url, path) < 0 || httpc_percent_encode(role.data, role.len, false, &url) < 0)
		return err_nomem(e);
	rc = aws_imds_get(a, buf_str(&url), &text, e);
	if (rc == 0)
		rc = aws_credentials_from_json("instance metadata", &text, "Token", ret, e);
	return rc < 0 ? (err_wrap(e, "instance metadata"), rc) : 0;
}
