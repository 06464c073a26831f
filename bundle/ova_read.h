/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: what bundle/format/ova.c does with packages that others made. In the sandbox. */
#ifndef BUNDLE_OVA_READ_H
#define BUNDLE_OVA_READ_H

#include "bundle/open.h"

bool ova_probe(const struct bundle_head *h);
int ova_open(struct opening *o, struct err *e);
int ova_verify(struct opening *o, struct err *e);
int ova_info(struct opening *o, struct err *e);

#endif
