/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a guest's context is: looked for in a fixed order, in a bounded time, and with an account of
 * what was looked at. What is on this machine comes first and needs no network; a metadata service
 * is only taken to be there when the machine says on which cloud it runs.
 */
#ifndef CTXD_DETECT_H
#define CTXD_DETECT_H

#include "context/dialects.h"
#include "ctxd/guest.h"

#define VMWARE_VARIABLE "guestinfo.opennebula." /* where VMware's host says it */

struct detect_opts {
	const struct guest *g;
	const char *dev;  /* a folder of image files that stand for the block devices, or NULL */
	unsigned wait_ms; /* at most, for devices that are still being found; 0: no waiting */
	bool force;       /* take media also where they can hardly be the platform's */
	bool network;     /* metadata services, too; nothing is asked of them here */
};

/* One thing that was looked at, and what it was. */
struct detect_step {
	char *what, *why;
};

enum media {
	MEDIA_ISO,
	MEDIA_FAT,
	MEDIA_DOCS, /* in memory already */
	MEDIA_HTTP,
};

struct detection {
	bool found;
	const struct context_dialect *dialect;
	enum media media;
	int fd;            /* MEDIA_ISO, MEDIA_FAT: open; else -1 */
	struct tree *docs; /* MEDIA_DOCS: sealed */
	char *url;         /* MEDIA_HTTP: where its documents begin; ends with '/' */
	char *where;       /* "/dev/sr0", "http://169.254.169.254/" */
	/* What the kernel's command line or the firmware say besides; NULL: nothing. */
	char *instance_id, *hostname;
	struct detect_step *steps;
	size_t n_steps;
};

/*
 * In this order: block devices with a volume whose name is a dialect's (CD-ROMs first), the folder
 * /context, what VMware's host says, hints of the command line and the firmware, and then (network)
 * the metadata service of the cloud that the firmware names. *ret is to be released also after a
 * failure. Errors: errno of opendir, ENOMEM; what cannot be read is a step, not an error.
 */
int detect(const struct detect_opts *o, struct detection *ret, struct err *e);
void detection_release(struct detection *d);
DEFINE_AUTO_STRUCT(struct detection, detection_release);

/* ---- inside: each of these looks at one kind, and returns 1 if it found something ----------- */

int detect_devices(const struct detect_opts *o, struct detection *d, struct err *e);
int detect_folder(const struct detect_opts *o, struct detection *d, struct err *e);
int detect_vmware(const struct detect_opts *o, struct detection *d, struct err *e);
int detect_hints(const struct detect_opts *o, struct detection *d, struct err *e);
int detect_service(const struct detect_opts *o, struct detection *d, struct err *e);

/* The cloud without media of its own that this machine says it runs on; NULL: none. */
const char *detect_cloud(const struct guest *g);
/* A file of /sys/class/dmi/id begins with text. */
bool detect_dmi_is(const struct guest *g, const char *file, const char *text);

/* Adds a step; 0 or -ENOMEM. */
int detect_step(struct detection *d, struct err *e, const char *what, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* Sets what was found; returns 1, or -ENOMEM. */
int detect_found(struct detection *d, const char *dialect, enum media media, const char *where,
		 struct err *e);
/* One document in memory is all there is. Errors: ENOMEM. */
int detect_add_doc(struct detection *d, const char *name, const void *data, size_t len,
		   struct err *e);

#endif
