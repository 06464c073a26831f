/* SPDX-License-Identifier: Apache-2.0 */
/* What a dialect has no room for, told. */
#ifndef METADATA_SERVER_LOST_H
#define METADATA_SERVER_LOST_H

#include "context/dialects.h"

/* A warning in one line with what is lost: "not said by nocloud: iam-role.name, nics[0].vpc-id". */
void lost_warn(const struct context_dialect *d, const struct strlist *lost);

#endif
