/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenNebula dialect: context.sh, the file of shell variables that OpenNebula puts on the ISO
 * image with volume id CONTEXT. Where its variables are described: docs.opennebula.io, "Virtual
 * Machine Definition Template", section "Context Section".
 */
#ifndef CONTEXT_OPENNEBULA_H
#define CONTEXT_OPENNEBULA_H

#include "context/context.h"

#define OPENNEBULA_VOLUME_ID "CONTEXT"
#define OPENNEBULA_FILE "context.sh"

/*
 * Reads context.sh. source goes into the context ("opennebula /dev/sr0"). What could not be used
 * is told in notes, a line each (may be NULL); it never makes the rest unusable.
 *
 * The instance id is EC2_INSTANCE_ID where we wrote one; else i- and 17 hex digits made from VMID
 * and ONEGATE_ENDPOINT; else from the first NIC's MAC, which stays with a machine for its life;
 * else from the whole text. So it changes with the machine, not with each boot, nor when a key or
 * a second NIC is added to the machine.
 *
 * Errors: EFBIG, EBADMSG (context/shellvars.h), ENOMEM.
 */
int opennebula_read(const char *text, size_t len, const char *source, struct strlist *notes,
		    struct context **ret, struct err *e);

/*
 * Appends a context.sh: names in byte order, values in single quotes. User data are written in
 * base64. What OpenNebula has no variable for goes into EC2_* ones. The first IPv4 and the first
 * IPv6 address of a NIC are its own, further ones are aliases.
 * Errors: EINVAL what cannot be said in context.sh (a NUL, a NIC without MAC), ENOMEM.
 */
int opennebula_write(const struct context *c, struct buf *out, struct err *e);

#endif
