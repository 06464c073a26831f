/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a guest's context is: looked for on this machine alone, without the network, in a bounded
 * time, and with an account of what was looked at.
 */
#ifndef CTXD_DETECT_H
#define CTXD_DETECT_H

#include "ctxd/fetch.h"
#include "ctxd/guest.h"

struct detect_opts {
	const struct guest *g;
	const char *dev;  /* a folder of image files that stand for the block devices, or NULL */
	unsigned wait_ms; /* at most, for devices that are still being found; 0: no waiting */
	bool force;       /* take media also where they can hardly be the platform's */
};

/* One thing that was looked at, and what it was. */
struct detect_step {
	char *what, *why;
};

struct detection {
	bool found;
	enum media media;
	int fd;      /* open medium; -1: none */
	char *where; /* "/dev/sr0" */
	struct detect_step *steps;
	size_t n_steps;
};

/*
 * In this order: block devices with an ISO 9660 volume named CONTEXT (CD-ROMs first), the folder
 * /context. *ret is to be released also after a failure. Errors: errno of opendir, ENOMEM; a
 * device that cannot be read is a step, not an error.
 */
int detect(const struct detect_opts *o, struct detection *ret, struct err *e);
void detection_release(struct detection *d);
DEFINE_AUTO_STRUCT(struct detection, detection_release);

#endif
