/* SPDX-License-Identifier: Apache-2.0 */
/* The same with many writes, to every kind. */
#define THOROUGH true
#include "test_qcow2_update.c"
