/* SPDX-License-Identifier: Apache-2.0 */
/* Time that only goes on, for limits and pauses. */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds since some moment in the past, whatever happens to the machine's date. */
static inline uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* What is left until then, as poll() takes it: 0 if it is over. */
static inline int clock_left_ms(uint64_t until)
{
	uint64_t now = clock_ms();

	if (until <= now)
		return 0;
	return until - now < INT_MAX ? (int)(until - now) : INT_MAX;
}

#endif
