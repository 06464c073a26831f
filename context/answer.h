/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to the metadata service while it is answered, and how the dialects that are served
 * by HTTP find each other: imds_answer chooses by the first component of the path.
 */
#ifndef CONTEXT_ANSWER_H
#define CONTEXT_ANSWER_H

#include "context/imds.h"

struct answer {
	const struct http_request *rq;
	const struct instance *in;
	const struct imds_env *env;
	struct http_response *res;
	const char *why; /* static; for the log, if it is refused */
	struct err *e;
};

/* All return 0 or -ENOMEM. */

/* An error page; why may be NULL. */
int answer_refuse(struct answer *a, int status, const char *why);
int answer_refuse_method(struct answer *a, const char *allow);
int answer_header(struct answer *a, const char *name, const char *value);
int answer_header_number(struct answer *a, const char *name, unsigned value);
bool answer_is_get(const struct answer *a); /* or HEAD */
/* 200 with these bytes. */
int answer_bytes(struct answer *a, const char *type, const void *data, size_t len);

/*
 * What the query has for a name, decoded, into out (at most size - 1 bytes); false if it is not
 * there, too long, or malformed.
 */
bool answer_query(const struct answer *a, const char *name, char *out, size_t size);

/* Is it asked by an address, or a name that it is known by? See struct imds_env. */
bool is_known_host(const struct answer *a);

/* What the guest said under a key; NULL: nothing. */
const char *answer_said(const struct answer *a, const char *key);
/* It says the bytes (NULL: no longer anything): 200, 400 no text, 413, 429 or 500. */
int answer_say(struct answer *a, const char *key, const void *data, size_t len);

/*
 * The dialects below a first component of their own; path is what is behind that, "" for itself.
 */
int answer_openstack(struct answer *a, const char *path);
int answer_nocloud(struct answer *a, const char *path);
int answer_gce(struct answer *a, const char *path);
/* path: behind "instance/guest-attributes/". */
int answer_gce_guest(struct answer *a, const char *path);
/*
 * CloudStack's names stand among EC2's: true and *rc set if path (behind "latest/") is one, which
 * is then answered.
 */
bool answer_cloudstack(struct answer *a, const char *path, int *rc);
/* Is it for CloudStack's password server, which knows no path but "/"? */
bool is_cloudstack_password(const struct answer *a, const char *path);
int answer_cloudstack_password(struct answer *a);

#endif
