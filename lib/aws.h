/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to EC2, S3, EBS direct and SSM: credentials, region and endpoints from where the AWS
 * tools take them, Signature Version 4, requests with retries, error documents.
 *
 * Secrets never appear in messages; they are wiped when freed.
 */
#ifndef LIB_AWS_H
#define LIB_AWS_H

#include "lib/http.h"
#include "lib/xml.h"

/* ---- credentials ---------------------------------------------------------------------------- */

struct aws_credentials {
	char *access_key;
	char *secret_key;
	char *session_token; /* NULL: long-term credentials */
	int64_t expires;     /* seconds since the epoch; 0: not known to expire */
	char *source;        /* for messages: "environment", "profile 'dev' in '...'" */
};
void aws_credentials_release(struct aws_credentials *c);
DEFINE_AUTO_STRUCT(struct aws_credentials, aws_credentials_release);

/* ---- signing -------------------------------------------------------------------------------- */

struct aws_param {
	const char *name;
	const char *value; /* NULL is signed and sent as "name=" */
};

#define AWS_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

/* What is signed; nothing in it is percent-encoded. */
struct aws_signing {
	const struct aws_credentials *credentials;
	const char *region;
	const char *service; /* "s3" is special: its path is encoded once, all others' twice */
	const char *method;
	const char *host; /* as the Host header has it */
	const char *path; /* begins with '/' */
	const struct aws_param *query;
	size_t n_query;
	/* Headers to be signed besides host and x-amz-date; names in any case, unique. */
	const struct httpc_header *headers;
	size_t n_headers;
	const char *payload_hash; /* lower-case hex SHA-256 of the body, or AWS_UNSIGNED_PAYLOAD */
	int64_t now;              /* seconds since the epoch */
};

/* The result; strings are the struct's. */
struct aws_signature {
	char date[17]; /* X-Amz-Date: YYYYMMDDTHHMMSSZ */
	char *authorization;
	char *canonical_request; /* for tests: it holds the session token where there is one */
	char *string_to_sign;
};
void aws_signature_release(struct aws_signature *s);
DEFINE_AUTO_STRUCT(struct aws_signature, aws_signature_release);

/*
 * Signs. The session token is signed as x-amz-security-token and must be sent as such by the
 * caller; for S3 x-amz-content-sha256 is signed too.
 * Source: AWS General Reference, "Create a signed AWS API request". Errors: EINVAL, ENOMEM.
 */
int aws_sign(const struct aws_signing *in, struct aws_signature *ret, struct err *e);

/* Appends "a=b&c=" sorted and encoded as it is signed. 0 or -ENOMEM. */
int aws_query_encode(const struct aws_param *query, size_t n_query, struct buf *out);

/* ---- session -------------------------------------------------------------------------------- */

/* From the command line; a NULL member is taken from environment, profile, or instance metadata. */
struct aws_options {
	const char *profile;      /* --profile */
	const char *region;       /* --region */
	const char *endpoint_url; /* --endpoint-url: for every service */
	const char *access_key, *secret_key, *session_token;
	bool anonymous;                  /* --no-sign-request */
	bool path_style;                 /* S3: never bucket.host */
	const struct httpc_retry *retry; /* copied; NULL: defaults */
	/* The clock, for tests; NULL: time(2). */
	int64_t (*now)(void);
};

/*
 * Who asks, where and as whom. Made once, shared by threads (renewing credentials is locked), each
 * with an httpc of its own.
 */
struct aws;

/*
 * Reads the configuration; asks no server yet except for the region where nothing else tells it
 * (instance metadata, one second). Order for credentials: options; environment, unless a profile
 * was named by option; web identity, SSO and assumed roles of a profile are refused with ENOTSUP;
 * profile (credentials file, then config file); credential_process; container; instance metadata.
 * Errors: EINVAL (a profile that does not exist, bad URL), EBADMSG malformed file, ENOMEM.
 */
int aws_open(const struct aws_options *o, struct aws **ret, struct err *e);
void aws_free(struct aws *a);
DEFINE_AUTO(struct aws *, aws_free);

/* The region, or NULL if nothing tells one; lives as long as a. */
const char *aws_region(const struct aws *a);
/* A client with the session's settings (AWS_CA_BUNDLE); the caller's. */
int aws_http_client(const struct aws *a, struct httpc **ret, struct err *e);
/*
 * The base URL of a service ("ec2", "s3", "ebs", "ssm"), without a slash at its end: from options,
 * AWS_ENDPOINT_URL_SERVICE, AWS_ENDPOINT_URL, the profile (services section, endpoint_url), else
 * SERVICE.REGION.amazonaws.com and its like in other partitions. The caller's to free.
 * Errors: EINVAL where there is no region.
 */
int aws_endpoint(const struct aws *a, const char *service, const char *region, char **ret,
		 struct err *e);
/*
 * Credentials as they are now, renewed where they expire within 5 minutes and their source can.
 * ret is the caller's to release; all NULL when anonymous.
 * Errors: ENOKEY when no source has any (says which were asked), EKEYEXPIRED.
 */
int aws_credentials(struct aws *a, struct aws_credentials *ret, struct err *e);
/* Fills what was found so far for `-v`: "credentials from ...; region ...; endpoint ...". */
int aws_describe(struct aws *a, struct buf *out);

/* ---- requests ------------------------------------------------------------------------------- */

struct aws_request {
	enum httpc_method method;
	const char *service;
	const char *bucket; /* S3: NULL for the service itself */
	/* Not encoded, begins with '/'. S3: "/" and the key. NULL: "/". */
	const char *path;
	const struct aws_param *query;
	size_t n_query;
	const struct httpc_header *headers; /* all are signed */
	size_t n_headers;
	const void *body;
	size_t body_len;
	/* Do not hash the body: EBS PutSnapshotBlock; for S3 over https only. */
	bool unsigned_payload;
	const char *region; /* NULL: the session's */
	/* The rest as in struct httpc_request and struct httpc_call. */
	const struct httpc_sink *sink;
	size_t max_body;
	uint64_t max_sink;
	uint64_t first, length;
	const char *if_match;
	unsigned total_timeout_ms;
	void (*note)(void *opaque, const char *text);
	void *note_opaque;
};

/* What a service said was wrong. */
struct aws_error {
	int status;        /* HTTP; 0: no response came */
	char code[128];    /* "InvalidAMIID.NotFound"; "" if none was given */
	char message[512]; /* as sent, cut, escaped by err_set when shown */
	char reason[64];   /* EBS: "SNAPSHOT_NOT_FOUND" */
	char region[64];   /* S3: the region to ask instead */
	char request_id[128];
};

/*
 * Builds, signs and sends; each attempt is signed anew. Retries throttling and server errors
 * (HTTP 429, 5xx, and the throttling codes whatever their status); what a new attempt cannot
 * cure fails at once with a message that says what to do. A response of S3 that names another
 * region is followed once, inside the same partition or custom endpoint only.
 * r: the response; its body is there for all statuses. ret_error may be NULL; filled for every
 * failure that a response told (code "" and status 0 else).
 * Errors: ENOENT (404 and codes ...NotFound), EACCES (401, 403), EKEYEXPIRED (expired token),
 * ESTALE and ERANGE as httpc_call, EBUSY (still throttled), EINVAL (other 4xx), EIO (5xx), those of
 * httpc_call and aws_credentials.
 */
int aws_send(struct aws *a, struct httpc *c, const struct aws_request *req,
	     struct httpc_response *r, struct aws_error *ret_error, struct err *e);

/*
 * An EC2 Query action: POSTs Action, Version (2016-11-15) and params, and parses the XML response.
 * *ret is the root (DescribeImagesResponse ...), the caller's, xml_free.
 */
int aws_ec2(struct aws *a, struct httpc *c, const char *action, const struct aws_param *params,
	    size_t n_params, struct xml_node **ret, struct aws_error *ret_error, struct err *e);

/* The URL of an object, encoded: for messages and tests. The caller's to free. */
int aws_s3_url(const struct aws *a, const char *bucket, const char *key, char **ret, struct err *e);

/*
 * Reads an error document: XML of S3 (Error/Code), of EC2 (Response/Errors/Error/Code), JSON of EBS
 * and SSM (message, reason, __type; x-amzn-ErrorType header). Never fails: what cannot be read
 * leaves code "". r needs status, headers and body.
 */
void aws_error_parse(const struct httpc_response *r, struct aws_error *ret);

#endif
