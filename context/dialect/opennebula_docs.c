/* SPDX-License-Identifier: Apache-2.0 */
/* OpenNebula's context as documents: context.sh, and the files that lie beside it on the image. */
#include "context/dialects.h"
#include "context/opennebula.h"
#include "context/reading.h"
