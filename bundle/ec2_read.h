/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: what bundle/format/ec2.c does with bundles that others made. In the sandbox. */
#ifndef BUNDLE_EC2_READ_H
#define BUNDLE_EC2_READ_H

#include "bundle/open.h"

int ec2_open(struct opening *o, struct err *e);
int ec2_verify(struct opening *o, struct err *e);
int ec2_info(struct opening *o, struct err *e);

#endif
