/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: what kind of machine an image boots on, by looking into it. */
#ifndef BUNDLE_MACHINE_H
#define BUNDLE_MACHINE_H

#include "imgconv/imgconv.h"

struct machine {
	const char *architecture; /* "x86_64", "aarch64"; NULL: not known; static */
	bool needs_uefi;          /* it has a boot loader for UEFI, and none for a BIOS */
	enum boot_bus bus;        /* that its kernel finds the disk on */
	bool has_virtio_net;      /* or nothing is known */
	char *os; /* "Debian GNU/Linux 12 (bookworm)"; NULL: not known; valid UTF-8 */
};

/*
 * What cannot be found out is left as it is where nothing is known. Errors: ENOMEM, ECANCELED.
 */
int machine_read(struct image *im, struct machine *ret, struct err *e);
void machine_release(struct machine *m);
DEFINE_AUTO_STRUCT(struct machine, machine_release);

#endif
