/* SPDX-License-Identifier: Apache-2.0 */
/* SELinux: files that were written get the labels that the guest's policy has for their paths. */
#ifndef CTXD_RELABEL_H
#define CTXD_RELABEL_H

#include "ctxd/guest.h"

/*
 * By the guest's restorecon, for what was written in this run, where SELinux is on. It is early in
 * the boot and a label can be put right later, so a failure is a warning.
 */
void relabel(struct guest *g);

#endif
