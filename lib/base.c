/* SPDX-License-Identifier: Apache-2.0 */
/* What of lib/base.h is not inline. */
#include "lib/base.h"

#include <sys/random.h>

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

uint64_t hash_multiplier(void)
{
	uint64_t m;

	/* Without it keys are spread all the same, if predictably. */
	if (getrandom(&m, sizeof(m), GRND_NONBLOCK) != (ssize_t)sizeof(m))
		m = UINT64_C(0x9e3779b97f4a7c15);
	return m | 1;
}
