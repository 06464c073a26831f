/* SPDX-License-Identifier: Apache-2.0 */
/* The access log: a line for each request, text or JSON. */
#ifndef METADATA_SERVER_ACCESS_H
#define METADATA_SERVER_ACCESS_H

#include "lib/httpd.h"

struct access_line {
	const char *peer, *interface;       /* "": not known */
	const char *instance, *instance_id; /* NULL: not known */
	struct http_slice method, target;
	const char *token; /* "v2": it had one; "v1": none */
	int status;
	size_t bytes;
	const char *why; /* NULL: nothing to tell */
};

struct access_log;

/*
 * Lines are appended to a file, made with mode 0640, or go to standard output ("-"). What cannot be
 * written at once, on a pipe whose reader is slow, is dropped and counted.
 */
int access_open(const char *path, bool json, struct access_log **ret, struct err *e);
void access_close(struct access_log *a);
DEFINE_AUTO(struct access_log *, access_close);
/* Lines are written when there are many, and by the loop within a second. */
int access_attach(struct access_log *a, struct event_base *base, struct err *e);
void access_write(struct access_log *a, const struct access_line *l);
uint64_t access_dropped(const struct access_log *a);

#endif
