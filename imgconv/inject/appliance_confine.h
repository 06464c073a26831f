/* SPDX-License-Identifier: Apache-2.0 */
/* What the process with libguestfs, and the QEMU that it starts, may do. */
#ifndef IMGCONV_INJECT_APPLIANCE_CONFINE_H
#define IMGCONV_INJECT_APPLIANCE_CONFINE_H

#include "lib/err.h"

/*
 * This process, and all that it starts: a session of its own; of the environment what programs and
 * libguestfs go by, with `folder` for temporary files; no more privileges by setuid; no core dump; where
 * the kernel has Landlock, every file may be read, but only `folder`, where libguestfs keeps its machine,
 * and the devices that QEMU needs may be written, and no TCP. Errors: errno.
 */
int appliance_confine(const char *folder, struct err *e);

#endif
