/* SPDX-License-Identifier: Apache-2.0 */
/* The one thing of lib/base.h that is not inline. */
#include "lib/base.h"

bool mem_is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	/* The first bytes by hand, then each byte against the one 16 before it: memcmp is
	 * vectorised. */
	for (size_t i = 0; i < MIN(len, (size_t)16); i++) {
		if (b[i])
			return false;
	}
	return len <= 16 || memcmp(b, b + 16, len - 16) == 0;
}
