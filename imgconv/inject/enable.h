/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services of ours in a guest, one function an init system: appends to an overlay the files that
 * start them, where that guest has such, and the links that its own tool would make to enable them.
 */
#ifndef IMGCONV_INJECT_ENABLE_H
#define IMGCONV_INJECT_ENABLE_H

#include "imgconv/inject/distro.h"
#include "imgconv/inject/overlay.h"

struct enable {
	struct guest_fs *fs;
	const struct overlay *files; /* what enable_load made */
	struct overlay *to;
	struct err *e;
};

/*
 * Puts the services in a folder of the host into files: "/systemd/NAME", "/openrc/NAME",
 * "/upstart/NAME", "/sysv/debian/NAME" and so on. That a system has none is no error here.
 */
int enable_load(struct overlay *files, const char *dir, struct err *e);
/* One file of that folder, as "/NAME". Errors: ENOENT; EFBIG more than limit bytes. */
int enable_load_file(struct overlay *files, const char *dir, const char *name, size_t limit,
		     struct err *e);

/* All of them, as the guest has it. Errors: ENOTSUP an unknown init system, and those below. */
int enable_services(struct enable *x, const struct distro *d);

/* Units, and what [Install] asks for. Errors: ENOTSUP there is no folder of units. */
int enable_systemd(struct enable *x);
/*
 * Scripts with LSB headers (Debian and its kin, SUSE): links are numbered so that the headers of
 * these scripts and of the guest's own are obeyed; where there is no number left between, those of
 * later scripts grow by one, as with insserv(8). What startpar(8) goes by is kept in step.
 * Errors: ENOTSUP no such order exists; EFBIG.
 */
int enable_lsb(struct enable *x, enum guest_services kind);
/* Scripts with "# chkconfig:" lines. Errors: ENOTSUP the network comes too early. */
int enable_chkconfig(struct enable *x);
/* Scripts in the runlevel that a line "# runlevel: NAME" of theirs says. */
int enable_openrc(struct enable *x);
/* Jobs, which enable themselves. */
int enable_upstart(struct enable *x);

/* ---- what they share ------------------------------------------------------------------------- */

/*
 * Calls fn for each of the files whose path is prefix and a name; fn returns 0 or a negative errno.
 * Errors: ENOENT there is none.
 */
int enable_each(struct enable *x, const char *prefix,
		int (*fn)(struct enable *x, const struct overlay_entry *file, const char *name));
/* Puts the file below dir, with that mode. */
int enable_add_file(struct enable *x, const char *dir, const char *name,
		    const struct overlay_entry *file, unsigned mode);
/* A link dir/name to target, in a folder that is made if need be. */
int enable_add_link(struct enable *x, const char *dir, const char *name, const char *target);
bool enable_exists(struct enable *x, const char *path);

#endif
