/* SPDX-License-Identifier: Apache-2.0 */
/* No name service in this program: see ctxd/nonss.c. */
#ifndef CTXD_NONSS_H
#define CTXD_NONSS_H

/* Does nothing; that main calls it makes the linker take the stand-ins beside it. */
void nonss_init(void);

#endif
