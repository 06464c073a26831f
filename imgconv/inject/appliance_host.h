/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side of libguestfs that is not confined: a process of its own that has the library, and
 * through it a virtual machine whose one disk is served by the process that asked for it
 * (imgconv/nbd.h). It is told what to do by messages (wire.h).
 */
#ifndef IMGCONV_INJECT_APPLIANCE_HOST_H
#define IMGCONV_INJECT_APPLIANCE_HOST_H

#include <sys/types.h>

#include "lib/err.h"

struct appliance_host {
	pid_t pid;    /* 0: none runs */
	char *folder; /* private: sockets, and what libguestfs needs for a while */
	int disks;    /* for who serves the disk: each message has a connection; -1: given away */
};
#define APPLIANCE_HOST_INIT ((struct appliance_host){.disks = -1})

/*
 * Starts the process; *ret_requests is the socket for messages. With kvm false the machine is
 * emulated. Nothing is loaded or launched before WIRE_LAUNCH. To be called while there is one thread.
 */
int appliance_host_start(struct appliance_host *h, bool kvm, int *ret_requests, struct err *e);
/* Ends the process and its machine, if there is one, and removes its folder. */
void appliance_host_end(struct appliance_host *h);

/* Whether there is KVM to be tried, and nobody asked libguestfs to do without. */
bool appliance_host_has_kvm(void);

#endif
