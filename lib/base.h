/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every file may use: cleanup attributes, checked arithmetic, byte order.
 * Header only; knows nothing but libc.
 */
#ifndef LIB_BASE_H
#define LIB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)
#define GIB (UINT64_C(1024) * MIB)

/*
 * Cleanup at the end of a scope. Pointers start as NULL, descriptors as -1:
 *
 *	AUTO_FREE char *name = NULL;
 *	AUTO_FD int fd = -1;
 *	AUTO(image_close) struct image *im = NULL;   after DEFINE_AUTO(struct image *, image_close)
 */
static inline void auto_free_(void *p)
{
	free(*(void **)p);
}

static inline void auto_close_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define AUTO_FREE __attribute__((cleanup(auto_free_)))
#define AUTO_FD __attribute__((cleanup(auto_close_)))
#define AUTO(fn) __attribute__((cleanup(auto_##fn##_)))

/* Makes AUTO(fn) for a destructor of one pointer; fn is not called with NULL. */
#define DEFINE_AUTO(type, fn)                                                                      \
	static inline void auto_##fn##_(type *p)                                                   \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}                                                                                          \
	struct auto_##fn##_needs_semicolon_

/* Makes AUTO(fn) for a struct that lives on the stack and is released by fn(&it). */
#define DEFINE_AUTO_STRUCT(type, fn)                                                               \
	static inline void auto_##fn##_(type *p)                                                   \
	{                                                                                          \
		fn(p);                                                                             \
	}                                                                                          \
	struct auto_##fn##_needs_semicolon_

/* Gives the value away: yields it and leaves NULL behind, so that cleanup does nothing. */
#define STEAL(p)                                                                                   \
	({                                                                                         \
		__typeof__(p) stolen_ = (p);                                                       \
		(p) = NULL;                                                                        \
		stolen_;                                                                           \
	})

/* The same for a file descriptor. */
static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* Overflow-checked: true and *ret set, or false and *ret unspecified. */
static inline bool u64_add(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

static inline bool u64_mul(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

static inline bool size_add(size_t a, size_t b, size_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

static inline bool size_mul(size_t a, size_t b, size_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

/* True if [off, off + len) lies in [0, limit); safe for every value. */
static inline bool range_within(uint64_t off, uint64_t len, uint64_t limit)
{
	return len <= limit && off <= limit - len;
}

/* a rounded up to a multiple of b (b > 0); the caller knows that it does not overflow. */
static inline uint64_t round_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b * b;
}

static inline uint64_t div_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static inline bool is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/*
 * For a table of 2^bits slots, 1 to 32, whose keys are chosen by others, who would have them all meet in one
 * place: each table has a multiplier of its own, which nobody knows.
 */
uint64_t hash_multiplier(void);

static inline size_t hash_slot(uint64_t multiplier, uint64_t key, unsigned bits)
{
	return (size_t)(key * multiplier >> (64 - bits));
}

/* Big and little endian integers at any alignment. */
#define DEFINE_ENDIAN(bits)                                                                        \
	static inline uint##bits##_t be##bits##_get(const void *p)                                 \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		memcpy(&v, p, sizeof(v));                                                          \
		return BE_ORDER_(bits, v);                                                         \
	}                                                                                          \
	static inline void be##bits##_put(void *p, uint##bits##_t v)                               \
	{                                                                                          \
		v = BE_ORDER_(bits, v);                                                            \
		memcpy(p, &v, sizeof(v));                                                          \
	}                                                                                          \
	static inline uint##bits##_t le##bits##_get(const void *p)                                 \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		memcpy(&v, p, sizeof(v));                                                          \
		return LE_ORDER_(bits, v);                                                         \
	}                                                                                          \
	static inline void le##bits##_put(void *p, uint##bits##_t v)                               \
	{                                                                                          \
		v = LE_ORDER_(bits, v);                                                            \
		memcpy(p, &v, sizeof(v));                                                          \
	}                                                                                          \
	struct endian_##bits##_needs_semicolon_

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BE_ORDER_(bits, v) __builtin_bswap##bits(v)
#define LE_ORDER_(bits, v) (v)
#else
#define BE_ORDER_(bits, v) (v)
#define LE_ORDER_(bits, v) __builtin_bswap##bits(v)
#endif

DEFINE_ENDIAN(16);
DEFINE_ENDIAN(32);
DEFINE_ENDIAN(64);

/* What holds here although clang's analyzer, which forgets and looks into one file, cannot see it.
 */
#ifdef __clang_analyzer__
#define ANALYZER_KNOWS(what) ((what) ? (void)0 : __builtin_unreachable())
#else
#define ANALYZER_KNOWS(what) ((void)0)
#endif

/* True if all len bytes are zero. */
bool mem_is_zero(const void *p, size_t len);

#endif
