/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/aws.h share among themselves; nobody else includes this. */
#ifndef LIB_AWS_PRIVATE_H
#define LIB_AWS_PRIVATE_H

#include <pthread.h>

#include "lib/aws.h"
#include "lib/ini.h"

/* Releases a buffer that held a secret. */
static inline void wipe_buf(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->len);
	buf_release(b);
}
DEFINE_AUTO_STRUCT(struct buf, wipe_buf);

struct aws {
	char *profile;          /* name, never NULL */
	bool profile_by_option; /* named on the command line: then the environment's keys do not
				   count */
	char *credentials_path, *config_path;
	struct ini *credentials_file, *config_file; /* NULL: not there */
	char *config_section;                       /* "default" or "profile NAME" */
	char *region;                               /* NULL: unknown */
	char *endpoint_url;                         /* option */
	char *ca_file;
	bool anonymous, path_style;
	struct httpc_retry retry;
	int64_t (*now)(void);
	struct aws_credentials given; /* options; access_key NULL: none */

	pthread_mutex_t lock; /* of what follows */
	struct aws_credentials current;
	bool renewable; /* current can be asked for again where it came from */
};

/* An environment variable; one that is empty counts as not set. */
const char *aws_env(const char *name);
bool aws_env_true(const char *name);
/* Of the session's profile: from the credentials file, else from the config file; NULL. */
const char *aws_profile_get(const struct aws *a, const char *key);
bool aws_region_is_valid(const char *region);
/* "amazonaws.com" ...: the domain of the region's partition. */
const char *aws_dns_suffix(const char *region);
/* True if option, environment or profile name the endpoint, so that it is not AWS's own. */
bool aws_endpoint_is_custom(const struct aws *a, const char *service);

/* ---- aws_remote.c ---- */

/*
 * GETs a path of the instance metadata service (version 2) into out, at most 64 KiB.
 * Errors: ENOENT (404); ENOTSUP disabled by environment; those of httpc_send.
 */
int aws_imds_get(const struct aws *a, const char *path, struct buf *out, struct err *e);

/* Sources of the chain: 0, AWS_NO_CREDENTIALS where there is no such service, or an error. */
int aws_from_container(const struct aws *a, struct aws_credentials *ret, struct err *e);
int aws_from_imds(const struct aws *a, struct aws_credentials *ret, struct err *e);
#define AWS_NO_CREDENTIALS 1

/* ---- aws_credentials.c ---- */

/*
 * Reads {AccessKeyId, SecretAccessKey, Expiration} and a token under its name; name is the source's
 * for messages, which show no value.
 */
int aws_credentials_from_json(const char *name, const struct buf *text, const char *token_key,
			      struct aws_credentials *ret, struct err *e);

/* "2024-01-31T12:34:56Z", with or without fraction and offset, as seconds. Errors: EBADMSG. */
int aws_time_parse(const char *s, int64_t *ret, struct err *e);
int aws_credentials_copy(const struct aws_credentials *from, struct aws_credentials *to,
			 struct err *e);

/*
 * Asks each source in order; see aws_credentials. *ret_renewable as in struct aws. The caller
 * holds the lock.
 */
int aws_credentials_find(const struct aws *a, struct aws_credentials *ret, bool *ret_renewable,
			 struct err *e);
/* Forgets the current credentials. True if new ones can be had from their source. */
bool aws_credentials_forget(struct aws *a);

/* ---- aws_error.c ---- */

bool aws_error_is(const struct aws_error *error, const char *const *codes); /* NULL-ended */
/* To be tried again after a pause: by its code, whatever the status, or HTTP 429. */
bool aws_error_is_throttling(const struct aws_error *error);
/* The session token has expired: new credentials would do. */
bool aws_error_is_expiry(const struct aws_error *error, const struct httpc_response *r,
			 int64_t now);
/* "HTTP 503 SlowDown: its message", with that code. */
void aws_error_describe(const struct aws_error *error, int code, struct err *e);
/* The same with what the user can do about it, and the code that aws_send returns. */
void aws_error_explain(const struct aws_error *error, const struct httpc_response *r,
		       const struct aws_credentials *c, const char *region, int64_t now,
		       struct err *e);

#endif
