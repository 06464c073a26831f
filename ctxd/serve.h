/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata service inside the guest. */
#ifndef CTXD_SERVE_H
#define CTXD_SERVE_H

#include "context/imds.h"
#include "ctxd/guest.h"

struct serve_opts {
	const char *address;   /* numeric IPv4 */
	unsigned port;         /* 0: any free one */
	const char *interface; /* NULL: any */
	bool root_user_data;   /* user data are for root alone */
	bool force;            /* serve also what another metadata service has said */
	unsigned uid, gid;     /* what to become once bound; 0: stay */
	/* In the background (ctxd/background.h): what to tell; NULL, and not looked at: not. */
	const struct guest *background;
	int ready_fd;
};

/*
 * Serves in's tree until SIGTERM or SIGINT. Tells the service manager when it listens; prints
 * "listening on ADDRESS:PORT" to the log. Errors: errno of bind and the like.
 */
int serve(const struct instance *in, const struct serve_opts *o, struct err *e);

#endif
