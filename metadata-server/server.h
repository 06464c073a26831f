/* SPDX-License-Identifier: Apache-2.0 */
/* The running service: instances, and how a request finds its own. */
#ifndef METADATA_SERVER_SERVER_H
#define METADATA_SERVER_SERVER_H

#include "lib/httpd.h"
#include "metadata-server/store/store.h"

/* More lines than this in a second about guests that are not known are counted, not written. */
#define SERVER_WARNINGS_PER_SECOND 10

struct server {
	const char *dir;      /* folder of instances; NULL: there is none */
	const char *as;       /* the one instance that everybody is; NULL: they are told apart */
	struct store *store;  /* NULL with `as` */
	struct instance *one; /* NULL without `as` */
	struct token_key key;
	struct httpd *httpd;
	/* of the request in hand, for the log */
	const struct instance *asked;
	const char *why;
	struct err unknown;
	uint64_t warned_at; /* the second that `warned` counts */
	unsigned warned;
};

/* Reads what dir and as name. On failure what was loaded before stays. Faults are reported. */
int server_load(struct server *s, size_t *faults, struct err *e);
/* Makes s->httpd, which answers from s; s must stay where it is. */
int server_start(struct server *s, struct err *e);
void server_release(struct server *s);
DEFINE_AUTO_STRUCT(struct server, server_release);

/*
 * "ADDR:PORT", "[ADDR]:PORT": numeric. interface (may be NULL) is the scope of a link-local
 * address. Errors: EINVAL.
 */
int parse_listen(const char *text, const char *interface, struct sockaddr_storage *ret,
		 socklen_t *ret_len, struct err *e);

#endif
