/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to AWS services: built, signed anew for each attempt, judged. See lib/aws.h.
 *
 * Where a request goes is decided here alone, from the endpoint and a region's checked name; a
 * Location or Endpoint that a server sends is never followed, so that a signature goes nowhere
 * else.
 */
#include <stdio.h>

#include "lib/aws_private.h"
#include "lib/digest.h"
#include "lib/str.h"

#define EC2_VERSION "2016-11-15"
#define EC2_MAX_RESPONSE (64u << 20)
#define S3_DEFAULT_REGION "us-east-1"
#define MAX_EXTRA_HEADERS 4 /* of ours: date, token, payload hash, authorization */

/* A request while its attempts run. */
struct sending {
	struct aws *a;
	struct httpc *c;
	const struct aws_request *req;
	char region[64];
	bool redirected, renewed;
	bool made; /* an attempt could be built and signed */
	char payload_hash[2 * DIGEST_MAX + 1];
	struct aws_error error;

	/* Of this attempt. */
	struct aws_credentials credentials;
	struct aws_signature signature;
	struct buf url, path; /* path: what is signed, not encoded */
	struct httpc_header *headers;
};

static void sending_release(struct sending *s)
{
	aws_credentials_release(&s->credentials);
	aws_signature_release(&s->signature);
	buf_release(&s->url);
	buf_release(&s->path);
	free(s->headers);
}
DEFINE_AUTO_STRUCT(struct sending, sending_release);

/* ---- where: URL ----------------------------------------------------------------------------- */

static int check_bucket(const char *bucket, struct err *e)
{
	size_t len = strlen(bucket);

	if (!len || len > 255 || strchr(bucket, '/') || !strcmp(bucket, ".") ||
	    !strcmp(bucket, ".."))
		return err_set(e, EINVAL, "'%s' is not the name of a bucket", bucket);
	return 0;
}

/* Bucket names that can be one label of a host name that the certificate's wildcard covers. */
static bool fits_host_name(const char *bucket)
{
	size_t len = strlen(bucket);

	return len >= 3 && len <= 63 && bucket[0] != '-' && bucket[len - 1] != '-' &&
	       strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/*
 * The base of the URL, and the path behind it that is signed: with the endpoint's own path and, in
 * path style, the bucket in front.
 */
static int locate(const struct aws *a, const char *service, const char *region, const char *bucket,
		  const char *path, struct buf *url, struct buf *signed_path, struct err *e)
{
	AUTO(httpc_url_release) struct httpc_url u = {0};
	AUTO_FREE char *base = NULL;
	bool in_host;
	int rc = bucket ? check_bucket(bucket, e) : 0;

	if (rc == 0)
		rc = aws_endpoint(a, service, region, &base, e);
	if (rc == 0)
		rc = httpc_url_parse(base, &u, e);
	if (rc < 0)
		return rc;
	in_host = bucket && !a->path_style && !aws_endpoint_is_custom(a, service) &&
		  fits_host_name(bucket);
	buf_clear(url);
	buf_clear(signed_path);
	rc = buf_addf(url, "%s://%s%s%s", u.scheme, in_host ? bucket : "", in_host ? "." : "",
		      u.authority);
	if (rc == 0 && u.path && strcmp(u.path, "/") != 0)
		rc = buf_adds(signed_path, u.path);
	if (rc == 0 && bucket && !in_host)
		rc = buf_addf(signed_path, "/%s", bucket);
	if (rc == 0)
		rc = buf_adds(signed_path, path ? path : "/");
	if (rc == 0)
		rc = httpc_percent_encode(signed_path->data, signed_path->len, true, url);
	return rc < 0 ? err_nomem(e) : 0;
}

int aws_s3_url(const struct aws *a, const char *bucket, const char *key, char **ret, struct err *e)
{
	AUTO_BUF url = BUF_INIT, path = BUF_INIT;
	AUTO_FREE char *key_path = str_format("/%s", key);
	int rc;

	if (!key_path)
		return err_nomem(e);
	rc = locate(a, "s3", a->region ? a->region : S3_DEFAULT_REGION, bucket, key_path, &url,
		    &path, e);
	if (rc < 0)
		return rc;
	*ret = buf_detach(&url);
	return *ret ? 0 : err_nomem(e);
}

/* ---- signing one attempt -------------------------------------------------------------------- */

/* Adds our headers behind those of the request, and signs. */
static int add_signature(struct sending *s, struct httpc_request *req, struct err *e)
{
	const struct aws_credentials *c = &s->credentials;
	AUTO(httpc_url_release) struct httpc_url u = {0};
	struct aws_signing in = {
		.credentials = c,
		.region = s->region,
		.service = s->req->service,
		.method = httpc_method_name(req->method),
		.path = buf_str(&s->path),
		.query = s->req->query,
		.n_query = s->req->n_query,
		.headers = req->headers,
		.n_headers = req->n_headers,
		.payload_hash = s->payload_hash,
		.now = s->a->now(),
	};
	size_t n = req->n_headers;
	int rc = httpc_url_parse(req->url, &u, e);

	if (rc < 0)
		return rc;
	in.host = u.authority;
	rc = aws_sign(&in, &s->signature, e);
	if (rc < 0)
		return rc;
	s->headers = calloc(n + MAX_EXTRA_HEADERS, sizeof(*s->headers));
	if (!s->headers)
		return err_nomem(e);
	if (n)
		memcpy(s->headers, req->headers, n * sizeof(*s->headers));
	s->headers[n++] = (struct httpc_header){"X-Amz-Date", s->signature.date};
	if (!strcmp(s->req->service, "s3") || !strcmp(s->payload_hash, AWS_UNSIGNED_PAYLOAD))
		s->headers[n++] = (struct httpc_header){"X-Amz-Content-Sha256", s->payload_hash};
	if (c->session_token)
		s->headers[n++] = (struct httpc_header){"X-Amz-Security-Token", c->session_token};
	s->headers[n++] = (struct httpc_header){"Authorization", s->signature.authorization};
	req->headers = s->headers;
	req->n_headers = n;
	return 0;
}

static int prepare(void *opaque, unsigned attempt, struct httpc_request *req, struct err *e)
{
	struct sending *s = opaque;
	const struct aws_request *r = s->req;
	int rc;

	(void)attempt;
	s->error = (struct aws_error){0};
	aws_credentials_release(&s->credentials);
	aws_signature_release(&s->signature);
	free(STEAL(s->headers));
	rc = aws_credentials(s->a, &s->credentials, e);
	if (rc == 0)
		rc = locate(s->a, r->service, s->region, r->bucket, r->path, &s->url, &s->path, e);
	if (rc < 0)
		return rc;
	if (r->n_query &&
	    (buf_addc(&s->url, '?') < 0 || aws_query_encode(r->query, r->n_query, &s->url) < 0))
		return err_nomem(e);
	req->url = buf_str(&s->url);
	rc = s->credentials.access_key ? add_signature(s, req, e) : 0;
	s->made = rc == 0;
	return rc;
}

static void hash_payload(struct sending *s, bool is_https)
{
	uint8_t digest[DIGEST_MAX];
	bool is_s3 = !strcmp(s->req->service, "s3");

	if (s->req->unsigned_payload && (!is_s3 || is_https)) {
		snprintf(s->payload_hash, sizeof(s->payload_hash), AWS_UNSIGNED_PAYLOAD);
		return;
	}
	digest_of(DIGEST_SHA256, s->req->body ? s->req->body : "", s->req->body_len, digest);
	hex_encode(digest, digest_size(DIGEST_SHA256), s->payload_hash);
}

/* ---- another region ------------------------------------------------------------------------- */

static bool says_wrong_region(const struct sending *s)
{
	static const char *const codes[] = {"PermanentRedirect", "TemporaryRedirect",
					    "AuthorizationHeaderMalformed",
					    "IllegalLocationConstraintException", NULL};
	int status = s->error.status;

	if (strcmp(s->req->service, "s3") != 0 || !s->req->bucket)
		return false;
	if (status == 301 || status == 302 || status == 307 || aws_error_is(&s->error, codes))
		return true;
	/* HEAD has no body to say why. */
	return status == 400 && s->req->method == HTTPC_HEAD && *s->error.region;
}

/* Asks for the bucket itself, without a signature: the answer names its region, whatever it is. */
static void ask_bucket(const struct sending *s, char region[64])
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF url = BUF_INIT, path = BUF_INIT;
	struct httpc_request req = {.method = HTTPC_HEAD, .total_timeout_ms = 30000};
	const char *found;

	if (locate(s->a, "s3", s->region, s->req->bucket, "/", &url, &path, NULL) < 0)
		return;
	req.url = buf_str(&url);
	if (httpc_send(s->c, &req, &r, NULL) < 0)
		return;
	found = httpc_header(&r, "x-amz-bucket-region");
	if (found)
		snprintf(region, 64, "%s", found);
}

static enum httpc_verdict redirect(struct sending *s, const struct httpc_response *r, struct err *e)
{
	char region[64];

	snprintf(region, sizeof(region), "%s", s->error.region);
	if (!*region)
		ask_bucket(s, region);
	if (!*region || s->redirected || !strcmp(region, s->region)) {
		aws_error_explain(&s->error, r, &s->credentials, s->region, s->a->now(), e);
		return HTTPC_FAIL;
	}
	if (!aws_region_is_valid(region) ||
	    strcmp(aws_dns_suffix(region), aws_dns_suffix(s->region)) != 0) {
		err_set(e, EACCES, "HTTP %d: refused to follow the bucket to region '%s'",
			s->error.status, region);
		return HTTPC_FAIL;
	}
	s->redirected = true;
	memcpy(s->region, region, sizeof(region));
	return HTTPC_AGAIN;
}

/* ---- verdict -------------------------------------------------------------------------------- */

/* S3 may say 200 first and fail later, in the body (CompleteMultipartUpload, CopyObject). */
static bool is_late_error(const struct sending *s, const struct httpc_response *r)
{
	return r->status == 200 && !strcmp(s->req->service, "s3") &&
	       (s->req->method == HTTPC_PUT || s->req->method == HTTPC_POST) && r->body.len &&
	       *s->error.code;
}

static bool holds(const struct buf *body, const char *message, const char *secret)
{
	return secret && *secret &&
	       (strstr(message, secret) ||
		(body->len && memmem(body->data, body->len, secret, strlen(secret))));
}

/* Some services answer with all that was signed: what they say is not shown then. */
static void hide_secrets(struct sending *s, const struct httpc_response *r)
{
	const struct aws_credentials *c = &s->credentials;
	struct aws_error *error = &s->error;

	if (holds(&r->body, error->message, c->secret_key) ||
	    holds(&r->body, error->message, c->session_token))
		snprintf(error->message, sizeof(error->message), "(its message held a secret)");
}

static enum httpc_verdict classify(void *opaque, const struct httpc_response *r, struct err *e)
{
	struct sending *s = opaque;
	struct aws_error *error = &s->error;

	aws_error_parse(r, error);
	hide_secrets(s, r);
	if (r->status >= 200 && r->status < 300 && !is_late_error(s, r)) {
		*error = (struct aws_error){0};
		return HTTPC_DONE;
	}
	if (says_wrong_region(s))
		return redirect(s, r, e);
	if (aws_error_is_throttling(error)) {
		aws_error_describe(error, EBUSY, e);
		return HTTPC_RETRY;
	}
	if (r->status == 200 || r->status == 408 || (r->status >= 500 && r->status != 501)) {
		aws_error_describe(error, EIO, e);
		return HTTPC_RETRY;
	}
	if (aws_error_is_expiry(error, r, s->a->now()) && !s->renewed &&
	    aws_credentials_forget(s->a)) {
		s->renewed = true;
		err_set(e, EKEYEXPIRED, "the credentials have expired");
		return HTTPC_AGAIN;
	}
	aws_error_explain(&s->error, r, &s->credentials, s->region, s->a->now(), e);
	return HTTPC_FAIL;
}

/* ---- sending -------------------------------------------------------------------------------- */

static int choose_region(struct sending *s, struct err *e)
{
	const char *region = s->req->region ? s->req->region : s->a->region;

	if (!region && !strcmp(s->req->service, "s3"))
		region = S3_DEFAULT_REGION;
	if (!region)
		return err_set(e, EINVAL,
			       "no AWS region: give --region, or set AWS_REGION, or 'region' in "
			       "the profile '%s'",
			       s->a->profile);
	if (!aws_region_is_valid(region))
		return err_set(e, EINVAL, "'%s' is not the name of an AWS region", region);
	snprintf(s->region, sizeof(s->region), "%s", region);
	return 0;
}

int aws_send(struct aws *a, struct httpc *c, const struct aws_request *req,
	     struct httpc_response *r, struct aws_error *ret_error, struct err *e)
{
	AUTO(sending_release) struct sending s = {.a = a, .c = c, .req = req};
	struct httpc_retry retry = a->retry;
	struct httpc_call call = {
		.prepare = prepare,
		.classify = classify,
		.opaque = &s,
		.retry = &retry,
		.first = req->first,
		.length = req->length,
		.if_match = req->if_match,
	};
	int rc = choose_region(&s, e);

	if (ret_error)
		*ret_error = (struct aws_error){0};
	if (rc == 0)
		rc = locate(a, req->service, s.region, req->bucket, req->path, &s.url, &s.path, e);
	if (rc < 0)
		return rc;
	hash_payload(&s, str_has_prefix(buf_str(&s.url), "https:"));
	retry.note = req->note;
	retry.note_opaque = req->note_opaque;
	call.request = (struct httpc_request){
		.method = req->method,
		.headers = req->headers,
		.n_headers = req->n_headers,
		.body = req->body,
		.body_len = req->body_len,
		.sink = req->sink,
		.max_body = req->max_body,
		.max_sink = req->max_sink,
		.total_timeout_ms = req->total_timeout_ms,
	};
	rc = httpc_call(c, &call, r, e);
	if (rc < 0 && ret_error)
		*ret_error = s.error;
	if (rc < 0 && rc != -ECANCELED && s.made)
		err_wrap(e, "%s %.*s", httpc_method_name(req->method),
			 (int)strcspn(buf_str(&s.url), "?"), buf_str(&s.url));
	return rc;
}

int aws_ec2(struct aws *a, struct httpc *c, const char *action, const struct aws_param *params,
	    size_t n_params, struct xml_node **ret, struct aws_error *ret_error, struct err *e)
{
	static const struct httpc_header type = {
		"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"};
	static const struct xml_limits limits = {.bytes = EC2_MAX_RESPONSE, .nodes = 2000000};
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF body = BUF_INIT;
	struct aws_request req = {
		.method = HTTPC_POST,
		.service = "ec2",
		.headers = &type,
		.n_headers = 1,
		.max_body = EC2_MAX_RESPONSE,
	};
	int rc =
		buf_addf(&body, "Action=%s&Version=" EC2_VERSION "%s", action, n_params ? "&" : "");

	if (rc == 0)
		rc = aws_query_encode(params, n_params, &body);
	if (rc < 0)
		return err_nomem(e);
	req.body = body.data;
	req.body_len = body.len;
	rc = aws_send(a, c, &req, &r, ret_error, e);
	if (rc == 0)
		rc = xml_parse("response", r.body.data, r.body.len, &limits, ret, e);
	return rc < 0 ? (err_wrap(e, "%s", action), rc) : 0;
}
