/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4 with headers (AWS4-HMAC-SHA256). Followed: AWS General Reference,
 * "Create a signed AWS API request".
 *
 *	canonical request           string to sign            key
 *	method                      AWS4-HMAC-SHA256          HMAC("AWS4" + secret, date)
 *	path, encoded               YYYYMMDDTHHMMSSZ          HMAC(that, region)
 *	query, encoded and sorted   date/region/service/...   HMAC(that, service)
 *	name:value of each header   hex(SHA-256(left))        HMAC(that, "aws4_request")
 *	(empty line)
 *	names of the headers
 *	payload hash
 *
 * Every path element is percent-encoded once for S3. All other services encode the path twice, and
 * remove dot segments and doubled slashes before. Not supported: signatures in the query, chunked
 * payloads, Version 4A.
 */
#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "lib/aws_private.h"
#include "lib/digest.h"
#include "lib/str.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define MAX_SIGNED 64
#define MAX_PARAMS 4096

void aws_signature_release(struct aws_signature *s)
{
	if (s->canonical_request)
		explicit_bzero(s->canonical_request, strlen(s->canonical_request));
	free(s->authorization);
	free(s->canonical_request);
	free(s->string_to_sign);
	*s = (struct aws_signature){0};
}

/* ---- path ----------------------------------------------------------------------------------- */

/* "/a/./b//c/../d/" into "/a/b/d/". */
static int remove_dot_segments(const char *path, struct buf *out)
{
	bool slash_at_end = *path && path[strlen(path) - 1] == '/';
	int rc = 0;

	while (*path && rc == 0) {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (out->len && out->data[--out->len] != '/')
				;
			if (out->data)
				out->data[out->len] = '\0';
		} else if (len && !(len == 1 && path[0] == '.')) {
			rc = buf_addc(out, '/');
			if (rc == 0)
				rc = buf_add(out, path, len);
		}
		path += len + (path[len] == '/');
	}
	if (rc == 0 && (!out->len || slash_at_end))
		rc = buf_addc(out, '/');
	return rc;
}

static int add_path(const struct aws_signing *in, struct buf *out)
{
	AUTO_BUF clean = BUF_INIT, once = BUF_INIT;
	int rc;

	if (!strcmp(in->service, "s3"))
		return httpc_percent_encode(in->path, strlen(in->path), true, out);
	rc = remove_dot_segments(in->path, &clean);
	if (rc == 0)
		rc = httpc_percent_encode(clean.data, clean.len, true, &once);
	return rc < 0 ? rc : httpc_percent_encode(once.data, once.len, true, out);
}

/* ---- query ---------------------------------------------------------------------------------- */

struct pair {
	struct buf name, value;
};

static int by_name_then_value(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = strcmp(buf_str(&x->name), buf_str(&y->name));

	return order ? order : strcmp(buf_str(&x->value), buf_str(&y->value));
}

static int encode_pair(const struct aws_param *param, struct pair *p)
{
	const char *value = param->value ? param->value : "";
	int rc = httpc_percent_encode(param->name, strlen(param->name), false, &p->name);

	return rc < 0 ? rc : httpc_percent_encode(value, strlen(value), false, &p->value);
}

int aws_query_encode(const struct aws_param *query, size_t n_query, struct buf *out)
{
	struct pair *pairs = n_query ? calloc(n_query, sizeof(*pairs)) : NULL;
	int rc = n_query && !pairs ? -ENOMEM : 0;

	for (size_t i = 0; i < n_query && rc == 0; i++)
		rc = encode_pair(&query[i], &pairs[i]);
	if (rc == 0 && n_query)
		qsort(pairs, n_query, sizeof(*pairs), by_name_then_value);
	for (size_t i = 0; i < n_query && rc == 0; i++)
		rc = buf_addf(out, "%s%s=%s", i ? "&" : "", buf_str(&pairs[i].name),
			      buf_str(&pairs[i].value));
	for (size_t i = 0; pairs && i < n_query; i++) {
		buf_release(&pairs[i].name);
		buf_release(&pairs[i].value);
	}
	free(pairs);
	return rc;
}

/* ---- headers -------------------------------------------------------------------------------- */

/* What is signed: the caller's headers and ours, names in lower case, sorted. */
struct header_set {
	struct {
		char *name;
		const char *value;
	} rows[MAX_SIGNED];
	size_t n;
};

static void header_set_release(struct header_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		free(set->rows[i].name);
}
DEFINE_AUTO_STRUCT(struct header_set, header_set_release);

/* Keeps the rows sorted. */
static int add_signed(struct header_set *set, const char *name, const char *value, struct err *e)
{
	char *lower = strdup(name);
	size_t at = set->n;

	if (!lower)
		return err_nomem(e);
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (; at > 0; at--) {
		int order = strcmp(lower, set->rows[at - 1].name);

		if (order == 0) {
			free(lower);
			return err_set(e, EINVAL, "the header '%s' is there twice", name);
		}
		if (order > 0)
			break;
	}
	if (set->n == MAX_SIGNED) {
		free(lower);
		return err_set(e, EINVAL, "more than %d headers to sign", MAX_SIGNED);
	}
	memmove(&set->rows[at + 1], &set->rows[at], (set->n - at) * sizeof(set->rows[0]));
	set->rows[at].name = lower;
	set->rows[at].value = value;
	set->n++;
	return 0;
}

static bool hash_is_signed(const struct aws_signing *in)
{
	return !strcmp(in->service, "s3") || !strcmp(in->payload_hash, AWS_UNSIGNED_PAYLOAD);
}

static int collect_headers(const struct aws_signing *in, const char *date, struct header_set *set,
			   struct err *e)
{
	int rc = add_signed(set, "host", in->host, e);

	if (rc == 0)
		rc = add_signed(set, "x-amz-date", date, e);
	if (rc == 0 && in->credentials->session_token)
		rc = add_signed(set, "x-amz-security-token", in->credentials->session_token, e);
	if (rc == 0 && hash_is_signed(in))
		rc = add_signed(set, "x-amz-content-sha256", in->payload_hash, e);
	for (size_t i = 0; i < in->n_headers && rc == 0; i++)
		rc = add_signed(set, in->headers[i].name, in->headers[i].value, e);
	return rc;
}

/* Without blanks at the ends, runs of blanks as one space. */
static int add_value(const char *value, struct buf *out)
{
	static const char blanks[] = " \t\r\n\v\f";
	bool first = true;
	int rc = 0;

	for (value += strspn(value, blanks); *value && rc == 0; first = false) {
		size_t len = strcspn(value, blanks);

		if (!first)
			rc = buf_addc(out, ' ');
		if (rc == 0)
			rc = buf_add(out, value, len);
		value += len;
		value += strspn(value, blanks);
	}
	return rc;
}

static int add_headers(const struct header_set *set, struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < set->n && rc == 0; i++) {
		rc = buf_addf(out, "%s:", set->rows[i].name);
		if (rc == 0)
			rc = add_value(set->rows[i].value, out);
		if (rc == 0)
			rc = buf_addc(out, '\n');
	}
	return rc;
}

static int add_names(const struct header_set *set, struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; i < set->n && rc == 0; i++)
		rc = buf_addf(out, "%s%s", i ? ";" : "", set->rows[i].name);
	return rc;
}

/* ---- signing -------------------------------------------------------------------------------- */

static int canonical_request(const struct aws_signing *in, const struct header_set *set,
			     struct buf *out)
{
	int rc = buf_addf(out, "%s\n", in->method);

	if (rc == 0)
		rc = add_path(in, out);
	if (rc == 0)
		rc = buf_addc(out, '\n');
	if (rc == 0)
		rc = aws_query_encode(in->query, in->n_query, out);
	if (rc == 0)
		rc = buf_addc(out, '\n');
	if (rc == 0)
		rc = add_headers(set, out);
	if (rc == 0)
		rc = buf_addc(out, '\n');
	if (rc == 0)
		rc = add_names(set, out);
	return rc < 0 ? rc : buf_addf(out, "\n%s", in->payload_hash);
}

static int signature_hex(const struct aws_signing *in, const char *date, const char *text,
			 char out[65])
{
	size_t size = digest_size(DIGEST_SHA256);
	uint8_t key[DIGEST_MAX], next[DIGEST_MAX];
	const char *const steps[] = {in->region, in->service, "aws4_request", text};
	char *seed = str_format("AWS4%s", in->credentials->secret_key);

	if (!seed)
		return -ENOMEM;
	hmac_of(DIGEST_SHA256, seed, strlen(seed), date, 8, key);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		hmac_of(DIGEST_SHA256, key, size, steps[i], strlen(steps[i]), next);
		memcpy(key, next, size);
	}
	hex_encode(key, size, out);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(next, sizeof(next));
	explicit_bzero(seed, strlen(seed));
	free(seed);
	return 0;
}

static int make_signature(const struct aws_signing *in, struct aws_signature *s, struct err *e)
{
	AUTO(header_set_release) struct header_set set = {.n = 0};
	AUTO(wipe_buf) struct buf canonical = BUF_INIT;
	AUTO_BUF names = BUF_INIT;
	AUTO_FREE char *scope = NULL;
	uint8_t digest[DIGEST_MAX];
	char hex[2 * DIGEST_MAX + 1];
	int rc = collect_headers(in, s->date, &set, e);

	if (rc < 0)
		return rc;
	scope = str_format("%.8s/%s/%s/aws4_request", s->date, in->region, in->service);
	if (!scope || canonical_request(in, &set, &canonical) < 0 || add_names(&set, &names) < 0)
		return err_nomem(e);
	digest_of(DIGEST_SHA256, canonical.data, canonical.len, digest);
	hex_encode(digest, digest_size(DIGEST_SHA256), hex);
	s->string_to_sign = str_format(ALGORITHM "\n%s\n%s\n%s", s->date, scope, hex);
	if (!s->string_to_sign || signature_hex(in, s->date, s->string_to_sign, hex) < 0)
		return err_nomem(e);
	s->authorization = str_format(ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
				      in->credentials->access_key, scope, buf_str(&names), hex);
	s->canonical_request = buf_detach(&canonical);
	return s->authorization && s->canonical_request ? 0 : err_nomem(e);
}

int aws_sign(const struct aws_signing *in, struct aws_signature *ret, struct err *e)
{
	AUTO(aws_signature_release) struct aws_signature s = {.date = ""};
	time_t now = (time_t)in->now;
	struct tm tm;
	int rc;

	if (!in->credentials->access_key || !in->credentials->secret_key)
		return err_set(e, EINVAL, "cannot sign without an access key and a secret key");
	if (*in->path != '/' || in->n_query > MAX_PARAMS)
		return err_set(e, EINVAL, "cannot sign this path or so many parameters");
	if (!gmtime_r(&now, &tm) ||
	    strftime(s.date, sizeof(s.date), "%Y%m%dT%H%M%SZ", &tm) != sizeof(s.date) - 1)
		return err_set(e, EINVAL, "the clock is outside the years 1000 to 9999");
	rc = make_signature(in, &s, e);
	if (rc < 0)
		return rc;
	*ret = s;
	s = (struct aws_signature){0};
	return 0;
}
