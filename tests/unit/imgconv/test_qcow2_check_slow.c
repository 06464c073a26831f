/* SPDX-License-Identifier: Apache-2.0 */
/* The same with qemu-img's verdict of each damage, and more of it by chance. */
#define THOROUGH true
#include "test_qcow2_check.c"
