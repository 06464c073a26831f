/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `ctxd local` leaves for the rest of the boot, in /run/ctxd (mode 0700): the context, as
 * ctxd/wire.h writes it. That it is there means that this machine has a context of its own, so
 * ctxd-imds.service is started on that condition.
 */
#ifndef CTXD_STATE_H
#define CTXD_STATE_H

#include "ctxd/guest.h"

#define STATE_DIR "/run/ctxd"
#define STATE_CONTEXT STATE_DIR "/context"
#define STATE_BOOTED STATE_DIR "/booted" /* the final stage was reached */
#define STATE_POLL STATE_DIR "/poll"     /* nobody tells when the context changes: ask again */
#define STATE_READY STATE_DIR "/ready"   /* the digest of the context whose READY was sent */

/*
 * One ctxd at a time changes a guest: the boot's stages, an update that udev starts, a person. Waits
 * for the others' end; a dry run does not. Errors: errno.
 */
int state_lock(struct guest *g, struct err *e);
void state_unlock(struct guest *g);

/*
 * What an earlier boot left is taken away: where /run is a folder on the disk, as on Red Hat 6, or
 * came with an image that was saved while it ran. To be called with the lock held.
 */
int state_begin(struct guest *g, struct err *e);

/* Returns 1 if it is another context than the one that was there, else 0, or an error. */
int state_save(struct guest *g, const struct context *c, struct err *e);
/* Errors: ENOENT there is none, EBADMSG. */
int state_load(const struct guest *g, struct context **ret, struct err *e);
/* It came from a metadata service, by the network. */
bool state_is_remote(const struct context *c);
int state_remove(struct guest *g, struct err *e);
int state_mark_booted(struct guest *g, struct err *e);

#endif
