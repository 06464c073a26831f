/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_VERSION_H
#define LIB_VERSION_H

#define ACCLIMATE_VERSION "0.1.0"

#endif
