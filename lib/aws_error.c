/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What AWS services say when they refuse, and what a user can do about it:
 *
 *	S3       XML   Error: Code, Message, Region, RequestId
 *	EC2      XML   Response: Errors: Error: Code, Message; RequestID
 *	others   XML   ErrorResponse: Error: Code, Message; RequestId
 *	EBS      JSON  Message, Reason; the code in the header x-amzn-ErrorType: "Code:uri"
 *	SSM      JSON  __type "namespace#Code", message
 */
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "lib/aws_private.h"
#include "lib/json.h"
#include "lib/str.h"

#define MAX_DOCUMENT (256u << 10)
#define MAX_SKEW_S 300

static const char *first_of(const char *a, const char *b)
{
	return a ? a : b ? b : "";
}

#define COPY(dst, src) snprintf((dst), sizeof(dst), "%s", (src))

static void parse_xml(const struct httpc_response *r, struct aws_error *ret)
{
	static const struct xml_limits limits = {.bytes = MAX_DOCUMENT, .depth = 16, .nodes = 1000};
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct xml_node *error;

	if (xml_parse("", r->body.data, r->body.len, &limits, &root, NULL) < 0)
		return;
	if (!strcmp(root->name, "Error"))
		error = root;
	else if (!strcmp(root->name, "Response"))
		error = xml_path(root, "Errors/Error");
	else
		error = xml_path(root, "Error");
	COPY(ret->code, xml_child_text(error, "Code", ""));
	COPY(ret->message, xml_child_text(error, "Message", ""));
	COPY(ret->region, xml_child_text(error, "Region", ""));
	COPY(ret->request_id, first_of(xml_child_text(error, "RequestId", NULL),
				       first_of(xml_child_text(root, "RequestID", NULL),
						xml_child_text(root, "RequestId", NULL))));
}

/* A member that is a string, by either spelling. */
static const char *member(const struct value *v, const char *a, const char *b)
{
	const char *s = "";
	const struct value *m = value_get(v, a) ? value_get(v, a) : value_get(v, b);

	if (m)
		value_string(m, &s, NULL);
	return s;
}

/* "com.amazon.coral.service#AccessDeniedException:http://..." into "AccessDeniedException" */
static void copy_type(struct aws_error *ret, const char *type)
{
	const char *hash = strrchr(type, '#');

	COPY(ret->code, hash ? hash + 1 : type);
	ret->code[strcspn(ret->code, ":")] = '\0';
}

static void parse_json(const struct httpc_response *r, struct aws_error *ret)
{
	static const struct value_limits limits = {
		.bytes = MAX_DOCUMENT, .depth = 16, .nodes = 1000};
	AUTO(value_free) struct value *v = NULL;
	const char *type = httpc_header(r, "x-amzn-ErrorType");

	if (type)
		copy_type(ret, type);
	if (json_parse("", r->body.data, r->body.len, &limits, &v, NULL) < 0)
		return;
	if (!type)
		copy_type(ret, member(v, "__type", "code"));
	COPY(ret->message, member(v, "message", "Message"));
	COPY(ret->reason, member(v, "Reason", "reason"));
}

static const char *skip_blanks(const struct httpc_response *r)
{
	const char *p = buf_str(&r->body);

	return p + strspn(p, " \t\r\n");
}

void aws_error_parse(const struct httpc_response *r, struct aws_error *ret)
{
	const char *region = httpc_header(r, "x-amz-bucket-region");
	const char *id =
		first_of(httpc_header(r, "x-amzn-RequestId"), httpc_header(r, "x-amz-request-id"));

	*ret = (struct aws_error){.status = r->status};
	if (*skip_blanks(r) == '<')
		parse_xml(r, ret);
	else
		parse_json(r, ret);
	if (region)
		COPY(ret->region, region);
	if (!*ret->request_id)
		COPY(ret->request_id, id);
}

/* ---- what a code means ---------------------------------------------------------------------- */

bool aws_error_is(const struct aws_error *error, const char *const *codes)
{
	while (*codes && strcmp(error->code, *codes) != 0)
		codes++;
	return *codes;
}

/* As botocore's standard mode retries them, and S3's RequestTimeout. */
bool aws_error_is_throttling(const struct aws_error *error)
{
	static const char *const codes[] = {
		"Throttling",
		"ThrottlingException",
		"ThrottledException",
		"RequestThrottled",
		"RequestThrottledException",
		"RequestLimitExceeded",
		"TooManyRequestsException",
		"BandwidthLimitExceeded",
		"LimitExceededException",
		"EC2ThrottledException",
		"SlowDown",
		"PriorRequestNotComplete",
		"TransactionInProgressException",
		"ProvisionedThroughputExceededException",
		"RequestTimeout",
		"RequestTimeoutException",
		NULL,
	};

	return error->status == 429 || aws_error_is(error, codes);
}

/* What the user can do about a code; the key's source and the region are filled in. */
struct advice {
	const char *code;
	const char *text;
	int rc;     /* positive errno */
	bool quiet; /* the service's own message can hold what was signed: do not show it */
};

static const struct advice advices[] = {
	{"AuthFailure", "the access key from %s is not accepted in region %s", EACCES, true},
	{"InvalidClientTokenId", "the access key from %s is not known in region %s", EACCES, false},
	{"InvalidAccessKeyId", "the access key from %s is not known in region %s", EACCES, false},
	{"UnrecognizedClientException", "the access key or token from %s is not known in region %s",
	 EACCES, false},
	{"InvalidToken", "the session token from %s is not accepted in region %s", EACCES, false},
	{"SignatureDoesNotMatch", "the secret key from %s does not fit its access key (region %s)",
	 EACCES, true},
	{"InvalidSignatureException",
	 "the secret key from %s does not fit its access key (region %s)", EACCES, true},
	{"IncompleteSignature", "the access key from %s is malformed (region %s)", EACCES, true},
	{"MissingAuthenticationToken", "credentials are needed (now: %s; region %s)", EACCES,
	 false},
	{"ExpiredToken", "the credentials from %s have expired: get new ones (%s)", EKEYEXPIRED,
	 false},
	{"ExpiredTokenException", "the credentials from %s have expired: get new ones (%s)",
	 EKEYEXPIRED, false},
	{"TokenRefreshRequired", "the credentials from %s have expired: get new ones (%s)",
	 EKEYEXPIRED, false},
	{"UnauthorizedOperation", "the credentials from %s do not allow it in region %s", EACCES,
	 false},
	{"AccessDenied", "the credentials from %s do not allow it in region %s", EACCES, false},
	{"AccessDeniedException", "the credentials from %s do not allow it in region %s", EACCES,
	 false},
	{"OptInRequired", "the account of the credentials from %s has not enabled it (%s)", EACCES,
	 false},
};

static const struct advice *advice_for(const char *code)
{
	for (size_t i = 0; i < ARRAY_SIZE(advices); i++) {
		if (!strcmp(advices[i].code, code))
			return &advices[i];
	}
	return NULL;
}

static int rc_of_status(int status, const char *code)
{
	if (status == 404 || str_has_suffix(code, "NotFound") ||
	    str_has_suffix(code, "NotFoundException") || str_has_prefix(code, "NoSuch"))
		return ENOENT;
	if (status == 401 || status == 403)
		return EACCES;
	return status >= 500 ? EIO : EINVAL;
}

/* "HTTP 403 AccessDenied: its message". */
static void describe(const struct aws_error *error, bool quiet, char *out, size_t cap)
{
	const char *message = quiet ? "" : error->message;
	/* IAM adds a cipher text of kilobytes. */
	const char *encoded = strstr(message, "Encoded authorization failure message");
	int len = encoded ? (int)(encoded - message) : (int)strlen(message);

	while (len && strchr(" .\n", message[len - 1]))
		len--;
	snprintf(out, cap, "HTTP %d%s%s%s%s%s%.*s", error->status, *error->code ? " " : "",
		 error->code, *error->reason ? " " : "", error->reason, len ? ": " : "", len,
		 message);
}

void aws_error_describe(const struct aws_error *error, int code, struct err *e)
{
	char said[800];

	describe(error, false, said, sizeof(said));
	err_set(e, code, "%s", said);
}

/* The server's clock and ours are further apart than services allow (5 minutes for some). */
static bool is_skewed(const struct httpc_response *r, int64_t now)
{
	const char *date = httpc_header(r, "Date");
	int64_t theirs = date ? httpc_date(date) : -1;

	return theirs >= 0 && (theirs > now ? theirs - now : now - theirs) > MAX_SKEW_S;
}

bool aws_error_is_expiry(const struct aws_error *error, const struct httpc_response *r, int64_t now)
{
	static const char *const codes[] = {"ExpiredToken", "ExpiredTokenException",
					    "TokenRefreshRequired", NULL};

	/* EC2 says the last both of an expired session token and of a request that is too old. */
	return aws_error_is(error, codes) ||
	       (!strcmp(error->code, "RequestExpired") && !is_skewed(r, now));
}

static void clock_error(const struct aws_error *error, const struct httpc_response *r, int64_t now,
			struct err *e)
{
	const char *date = httpc_header(r, "Date");
	time_t t = (time_t)now;
	char ours[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(ours, sizeof(ours), "%Y-%m-%d %H:%M UTC", &tm);
	err_set(e, EACCES,
		"HTTP %d %s: this machine's clock (%s) differs from the server's (%.40s): set it",
		error->status, error->code, ours, date ? date : "unknown");
}

void aws_error_explain(const struct aws_error *error, const struct httpc_response *r,
		       const struct aws_credentials *c, const char *region, int64_t now,
		       struct err *e)
{
	static const char *const skewed[] = {"RequestTimeTooSkewed", "RequestExpired",
					     "RequestInTheFuture", NULL};
	const struct advice *advice = advice_for(error->code);
	const char *source = c->source ? c->source : "nowhere (anonymous)";
	char said[800], todo[300];

	if (c->session_token && aws_error_is_expiry(error, r, now)) {
		err_set(e, EKEYEXPIRED,
			"HTTP %d %s: the temporary credentials from %s have expired: get new ones",
			error->status, error->code, source);
		return;
	}
	if (c->access_key && aws_error_is(error, skewed)) {
		clock_error(error, r, now, e);
		return;
	}
	describe(error, advice && advice->quiet, said, sizeof(said));
	if (!advice) {
		err_set(e, rc_of_status(error->status, error->code), "%s", said);
		return;
	}
	/* A row of the table above, with two %s. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(todo, sizeof(todo), advice->text, source, region);
#pragma GCC diagnostic pop
	err_set(e, advice->rc, "%s (%s)", said, todo);
}
