/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process that reads hostile bytes gives up, in a guest of any age: who it is, descriptors,
 * memory and time, and, where the kernel has filters (3.5), all system calls but a few.
 *
 * lib/sandbox.h does more, with a library and on kernels of today; ctxd is one static file that
 * also runs where there is neither.
 */
#ifndef CTXD_CONFINE_H
#define CTXD_CONFINE_H

#include "lib/base.h"

/*
 * Keeps in as 0 and out as 1, and closes all others; where we are root, becomes nobody. Then no
 * file can be opened, no program or process started, no signal sent; network: one connection at a
 * time can be made. Never undone. Returns false if something that every kernel has failed.
 */
bool confine(int in, int out, bool network);

/*
 * PR_SET_NO_NEW_PRIVS where the kernel has it. Older ones give privileges by set-user-id programs;
 * who calls this starts none.
 */
bool confine_privileges(void);

#endif
