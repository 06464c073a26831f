/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the administrator asks of the running server: HTTP and JSON on a Unix socket, whose
 * permissions say who may. The address for metrics answers the reading part of it alone.
 *
 *	GET    /v1/status
 *	GET    /v1/instances
 *	POST   /v1/reload                          409 and the faults where there are some
 *	GET    /v1/instances/NAME/events
 *	PATCH  /v1/instances/NAME/events           see events_set
 *	DELETE /v1/instances/NAME/events[/KIND]
 *	GET    /v1/instances/NAME/guest            what it says of itself: {"KEY": "text"}
 *	DELETE /v1/instances/NAME/guest[/KEY]
 *	GET    /metrics                            Prometheus, text format 0.0.4
 *	GET    /healthz                            200; 503 where the last load had faults
 *
 * Errors are {"error": "..."} with 400, 404, 405, 409 or 500.
 */
#ifndef METADATA_SERVER_CONTROL_H
#define METADATA_SERVER_CONTROL_H

#include "metadata-server/server.h"

#define CONTROL_SOCKET "/run/acclimate/metadata-server.sock"

/* The service on a loop that is there: base. full: the Unix socket's, else metrics and health. */
int control_new(struct server *s, struct event_base *base, bool full, struct httpd **ret,
		struct err *e);

/* Answers one request; for control_new and for tests. *ret starts as HTTP_RESPONSE_INIT. */
int control_answer(struct server *s, bool full, const struct http_request *rq,
		   struct http_slice body, struct http_response *ret, struct err *e);

/*
 * Makes a Unix socket that listens: mode 0660, in place of one that nobody listens on any more.
 * Errors: EADDRINUSE a server listens there; EINVAL path too long; errno.
 */
int control_listen(const char *path, int *ret, struct err *e);

/*
 * The client's side: one request to the server at the socket. *status and the body. Errors: errno
 * of connecting ("is no server running?"); EBADMSG the answer is not HTTP; EFBIG.
 */
int control_ask(const char *socket_path, const char *method, const char *target, const char *body,
		int *status, struct buf *ret, struct err *e);

/* Appends the metrics. Errors: ENOMEM. */
int metrics_write(const struct server *s, struct buf *out, struct err *e);

#endif
