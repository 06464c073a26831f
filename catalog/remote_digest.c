/* SPDX-License-Identifier: Apache-2.0 */
/* See catalog/remote_digest.h. */
#include "catalog/remote_digest.h"

#include "catalog/parse.h"
#include "catalog/web.h"
#include "lib/log.h"
#include "lib/str.h"

#define SUMS_LIMIT (4u << 20)

static int set(struct remote_file *f, enum digest_kind kind, const char *hex, const char *by,
	       struct err *e)
{
	if (f->digest)
		return 0;
	f->digest_by = by;
	return digest_text(kind, hex, &f->digest, e);
}

/* BASE64, or :BASE64: as a structured field has it; n bytes. */
static int set_base64(struct remote_file *f, enum digest_kind kind, const char *text, size_t n,
		      const char *by, struct err *e)
{
	AUTO_BUF bytes = BUF_INIT;
	char hex[2 * DIGEST_MAX + 1];

	if (n >= 2 && text[0] == ':' && text[n - 1] == ':') {
		text++;
		n -= 2;
	}
	if (base64_decode(text, n, &bytes, NULL) < 0 || bytes.len != digest_size(kind))
		return 0;
	hex_encode(bytes.data, bytes.len, hex);
	return set(f, kind, hex, by, e);
}

/* The value of `key` in a list "key=value, key=value"; NULL: it is not there. */
static const char *item_of(const char *list, const char *key, size_t *ret_len)
{
	size_t n = strlen(key);

	while (*list) {
		size_t len = strcspn(list, ",");

		if (len > n && !strncasecmp(list, key, n) && list[n] == '=') {
			*ret_len = len - n - 1;
			while (*ret_len && list[n + *ret_len] == ' ')
				--*ret_len;
			return list + n + 1;
		}
		list += len;
		list += strspn(list, ", ");
	}
	return NULL;
}

/* From every header of that name. */
static int take_list(const struct httpc_response *r, const char *name, enum digest_kind kind,
		     const char *key, struct remote_file *f, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n_headers; i++) {
		size_t n;
		const char *value;

		if (strcasecmp(r->headers[i].name, name) != 0)
			continue;
		value = item_of(r->headers[i].value, key, &n);
		if (value)
			rc = set_base64(f, kind, value, n, name, e);
	}
	return rc;
}

/* Whether what comes is packed for the way, or was unpacked: then digests are of other bytes. */
static bool is_transformed(const struct httpc_response *r)
{
	const char *coding = httpc_header(r, "Content-Encoding");
	const char *stored = httpc_header(r, "x-goog-stored-content-encoding");

	return (coding && strcasecmp(coding, "identity") != 0) ||
	       (stored && strcasecmp(stored, "identity") != 0);
}

/* An ETag of S3 is the object's MD5 if it came in one piece (else there is a dash in it), and was not
 * encrypted by a key of its own. */
static int take_etag(const struct httpc_response *r, struct remote_file *f, struct err *e)
{
	const char *etag = httpc_header(r, "ETag");
	const char *sse = httpc_header(r, "x-amz-server-side-encryption");
	char hex[33];

	if (!etag || strlen(etag) != 34 || etag[0] != '"' || (sse && strcmp(sse, "AES256") != 0) ||
	    httpc_header(r, "x-amz-server-side-encryption-customer-algorithm"))
		return 0;
	memcpy(hex, etag + 1, 32);
	hex[32] = '\0';
	if (strspn(hex, "0123456789abcdef") != 32)
		return 0;
	return set(f, DIGEST_MD5, hex, "ETag", e);
}

int remote_digest_of_head(const struct httpc_response *r, bool s3, struct remote_file *f,
			  struct err *e)
{
	static const struct {
		const char *name;
		enum digest_kind kind;
		const char *key;
	} lists[] = {
		{"Repr-Digest", DIGEST_SHA512, "sha-512"},
		{"Repr-Digest", DIGEST_SHA256, "sha-256"},
		{"Digest", DIGEST_SHA512, "sha-512"},
		{"Digest", DIGEST_SHA256, "sha-256"},
		{"x-goog-hash", DIGEST_MD5, "md5"},
	};
	const char *md5 = httpc_header(r, "Content-MD5");
	int rc = 0;

	if (is_transformed(r))
		return 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(lists); i++)
		rc = take_list(r, lists[i].name, lists[i].kind, lists[i].key, f, e);
	if (rc == 0 && md5)
		rc = set_base64(f, DIGEST_MD5, md5, strlen(md5), "Content-MD5", e);
	return rc == 0 && s3 ? take_etag(r, f, e) : rc;
}

/* ---- files of check sums ---------------------------------------------------------------------- */

struct search {
	const char *name;
	char *digest;
};

static int look_at_sum(void *ctx, const char *name, const char *digest, struct err *e)
{
	struct search *s = ctx;

	if (strcmp(name, s->name) != 0 || s->digest)
		return 0;
	s->digest = strdup(digest);
	return s->digest ? 0 : err_nomem(e);
}

/* Most servers have none: that is no error, nor is one that cannot be read. */
static int look_beside(struct session *s, const char *url, const char *sums, struct search *ret,
		       struct err *e)
{
	AUTO_FREE char *beside = NULL;
	AUTO_BUF text = BUF_INIT;
	struct err why;
	int rc = web_join(url, sums, &beside, &why);

	if (rc == 0)
		rc = web_document(s, beside, NULL, SUMS_LIMIT, &text, &why);
	if (rc == 0)
		rc = sums_parse(text.data, text.len, look_at_sum, ret, &why);
	if (rc == -ECANCELED || rc == -ENOMEM) {
		if (e)
			*e = why;
		return rc;
	}
	if (rc < 0)
		log_debug("no %s: %s", sums, why.msg);
	return 0;
}

int remote_digest_beside(struct session *s, const char *url, struct remote_file *f, struct err *e)
{
	static const char *const names[] = {"SHA512SUMS", "SHA256SUMS"};
	const char *slash = strrchr(url, '/');
	struct search found = {.name = slash ? slash + 1 : ""};

	/* What is behind "?" may be a right to this one file. */
	if (!*found.name || strchr(url, '?'))
		return 0;
	for (size_t i = 0; !found.digest && i < ARRAY_SIZE(names); i++) {
		int rc = look_beside(s, url, names[i], &found, e);

		if (rc < 0)
			return rc;
		if (found.digest) {
			free(f->digest);
			f->digest = found.digest;
			f->digest_by = names[i];
		}
	}
	return 0;
}
