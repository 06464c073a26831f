/* SPDX-License-Identifier: Apache-2.0 */
/* `serve`: what the running process is made of, put together and taken apart in order. */
#ifndef METADATA_SERVER_SERVICE_H
#define METADATA_SERVER_SERVICE_H

#include "metadata-server/server.h"
#include "metadata-server/watch.h"

enum {
	MAX_LISTEN = 256,
};

struct service_opts {
	const char *instances, *as, *interface, *token_key;
	const char *listen[MAX_LISTEN];
	size_t n_listen;
	bool stdio;
	const char *control; /* Unix socket; NULL: none */
	const char *metrics; /* ADDR:PORT; NULL: none */
	const char *state;   /* folder for what outlives the process; NULL: none */
	const char *identity_key, *identity_cert; /* PEM files; NULL: documents are not signed */
	const char *access_log;                   /* NULL: none */
	bool access_json;
	struct strlist hosts; /* as struct imds_env has names */
	bool any_host;
	const char *user; /* NULL: the one that started it */
	bool no_watch;
	unsigned max_connections, guest_connections;
	struct httpd_rate guest_requests, guest_bytes;
};

/* Runs until it is told to end. Returns an exit status; says what is wrong. */
int service_run(const struct service_opts *o);

#endif
