/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that has libguestfs does: it answers the requests of wire.h. */
#ifndef IMGCONV_INJECT_APPLIANCE_DRIVER_H
#define IMGCONV_INJECT_APPLIANCE_DRIVER_H

#include "lib/base.h"

struct driver_opts {
	const char *folder; /* private */
	const char *disk;   /* the socket at which the machine's disk is served by NBD */
	bool kvm;           /* may be used, if it is there */
};

/* Answers requests on fd until the peer is gone; then the machine is ended. */
void driver_run(int fd, const struct driver_opts *o);

#endif
