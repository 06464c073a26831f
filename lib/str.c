/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, sizes, escaping, wildcards: see lib/str.h. Hex and base64 are in lib/encode.c. */
#include "lib/str.h"

#include <stdio.h>

bool str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = words; n && (p = strstr(p, word)); p += n) {
		if ((p == words || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
	}
	return false;
}

/* Digits from *s on; leaves *s behind them. */
static int digits(const char **s, uint64_t *ret, struct err *e)
{
	uint64_t v = 0;
	const char *p = *s;

	if (*p < '0' || *p > '9')
		return err_set(e, EINVAL, "'%s' is not a number", *s);
	for (; *p >= '0' && *p <= '9'; p++) {
		if (!u64_mul(v, 10, &v) || !u64_add(v, (uint64_t)(*p - '0'), &v))
			return err_set(e, ERANGE, "'%s' is too large", *s);
	}
	*s = p;
	*ret = v;
	return 0;
}

int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *e)
{
	const char *p = s;
	uint64_t v;
	int rc = digits(&p, &v, e);

	if (rc < 0)
		return rc;
	if (*p)
		return err_set(e, EINVAL, "'%s' is not a number", s);
	if (v < min || v > max)
		return err_set(e, ERANGE, "'%s' is not between %llu and %llu", s,
			       (unsigned long long)min, (unsigned long long)max);
	*ret = v;
	return 0;
}

int str_to_size(const char *s, uint64_t *ret, struct err *e)
{
	static const char units[] = "KMGT";
	const char *p = s;
	uint64_t v;
	int rc = digits(&p, &v, e);

	if (rc < 0)
		return rc;
	if (*p) {
		/* A blank would become the NUL behind the units. */
		const char *unit = *p != ' ' ? strchr(units, *p & ~0x20) : NULL;

		if (!unit || p[1])
			return err_set(e, EINVAL,
				       "'%s' is not a size (a number, then K, M, G or T)", s);
		if (!u64_mul(v, UINT64_C(1) << (10 * (unsigned)(unit - units + 1)), &v))
			return err_set(e, ERANGE, "'%s' is too large", s);
	}
	*ret = v;
	return 0;
}

size_t utf8_char(const uint8_t *s, size_t len)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return len >= 2 && (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		uint8_t low = s[0] == 0xe0 ? 0xa0 : 0x80, high = s[0] == 0xed ? 0x9f : 0xbf;

		return len >= 3 && s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 ? 3 : 0;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		uint8_t low = s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xf4 ? 0x8f : 0xbf;

		return len >= 4 && s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 &&
				       (s[3] & 0xc0) == 0x80
			       ? 4
			       : 0;
	}
	return 0;
}

bool utf8_valid(const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s;

	while (len) {
		size_t n = *p ? utf8_char(p, len) : 0;

		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

/* Control characters and what is no UTF-8; backslashes, too, if it shall be possible to take back. */
static int escape(const char *s, size_t len, size_t max, bool backslashes, struct buf *out)
{
	const uint8_t *p = (const uint8_t *)s;
	const uint8_t *end = p + MIN(len, max);
	int rc = 0;

	while (p < end && rc == 0) {
		size_t n = utf8_char(p, (size_t)(end - p));
		/* U+0080..U+009F are control characters too. */
		bool c1 = n == 2 && p[0] == 0xc2 && p[1] < 0xa0;

		if (*p == '\n')
			rc = buf_adds(out, "\\n");
		else if (*p == '\t')
			rc = buf_adds(out, "\\t");
		else if (*p == '\\' && backslashes)
			rc = buf_adds(out, "\\\\");
		else if (!n || *p < 0x20 || *p == 0x7f || c1)
			rc = buf_addf(out, "\\x%02x", *p);
		else
			rc = buf_add(out, p, n);
		p += n && !c1 ? n : 1;
	}
	return rc;
}

int str_escape(const char *s, size_t len, size_t max, struct buf *out)
{
	return escape(s, len, max, true, out);
}

int str_escape_shown(const char *s, size_t len, size_t max, struct buf *out)
{
	return escape(s, len, max, false, out);
}

bool str_glob(const char *pattern, const char *s)
{
	const char *star = NULL, *resume = NULL;

	/* Only the last '*' needs to be tried again, at each further position. */
	while (*s) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = s;
		} else if (*pattern && (*pattern == '?' || *pattern == *s)) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star;
			s = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

void size_to_text(uint64_t bytes, char out[16])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1000 && u + 1 < ARRAY_SIZE(units)) {
		v /= 1024;
		u++;
	}
	if (u == 0)
		snprintf(out, 16, "%u B", (unsigned)bytes);
	else
		snprintf(out, 16,
			 v < 9.995   ? "%.2f %s"
			 : v < 99.95 ? "%.1f %s"
				     : "%.0f %s",
			 v, units[u]);
}

char *str_format(const char *fmt, ...)
{
	AUTO_BUF b = BUF_INIT;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_vaddf(&b, fmt, ap);
	va_end(ap);
	return rc < 0 ? NULL : buf_detach(&b);
}
