/* SPDX-License-Identifier: Apache-2.0 */
/* What this host makes for its guests: signatures, and credentials of their roles. */
#ifndef METADATA_SERVER_HOST_H
#define METADATA_SERVER_HOST_H

#include "metadata-server/credentials.h"
#include "metadata-server/sign.h"

struct host {
	struct signer *signer;           /* NULL: there is no key */
	struct credentials *credentials; /* NULL: programs are run at once, and waited for */
};

void host_release(struct host *h);
DEFINE_AUTO_STRUCT(struct host, host_release);

/* Fills *ret for requests that are answered by this host; h must stay where it is. */
void host_make(struct host *h, struct imds_host *ret);

#endif
