/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PAX extended header records, "LENGTH KEY=VALUE\n", where LENGTH counts the whole record.
 * After POSIX.1-2017 pax, "pax Extended Header"; the GNU.sparse keys after the GNU tar 1.34 manual,
 * "PAX Format, Versions 0.0 and 0.1" and "Version 1.0". Keys that say nothing about where a
 * member's bytes are (names, owners, times) are passed over.
 */
#include "bundle/tar_header.h"

int tar_decimal(const char *s, size_t len, uint64_t *ret, struct err *e)
{
	uint64_t v = 0;

	if (!len || len > 19)
		return err_set(e, EBADMSG, "a number has %zu digits", len);
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return err_set(e, EBADMSG, "'%.*s' is no decimal number", (int)len, s);
		v = 10 * v + (uint64_t)(s[i] - '0'); /* 19 digits fit */
	}
	if (v > INT64_MAX)
		return err_set(e, EBADMSG, "number %.*s is too large", (int)len, s);
	*ret = v;
	return 0;
}

/* GNU.sparse.map of version 0.1: "offset,length,offset,length"; replaces what was there. */
static int map_0_1(const char *s, size_t len, struct pax_attrs *a, struct err *e)
{
	const char *end = s + len;
	uint64_t pair[2];
	unsigned have = 0;

	a->map.n = 0;
	while (s < end) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		size_t digits = (size_t)((comma ? comma : end) - s);
		int rc = tar_decimal(s, digits, &pair[have], e);

		if (rc == 0 && ++have == 2) {
			have = 0;
			rc = tar_map_add(&a->map, pair[0], pair[1], e);
		}
		if (rc < 0)
			return rc;
		s += digits + (comma != NULL);
	}
	if (have)
		return err_set(e, EBADMSG, "an offset has no length");
	return 0;
}

/* GNU.sparse.numbytes of version 0.0 completes the offset before it. */
static int entry_0_0(uint64_t length, struct pax_attrs *a, struct err *e)
{
	if (!a->has_offset)
		return err_set(e, EBADMSG, "a length has no offset");
	a->has_offset = false;
	a->has_map = true;
	return tar_map_add(&a->map, a->offset, length, e);
}

static int record(const char *key, const char *value, size_t len, struct pax_attrs *a,
		  struct err *e)
{
	const struct {
		const char *key;
		bool *has;
		uint64_t *value;
	} numbers[] = {
		{"size", &a->has_size, &a->size},
		{"GNU.sparse.size", &a->has_real_size, &a->real_size},
		{"GNU.sparse.realsize", &a->has_real_size, &a->real_size},
		{"GNU.sparse.major", &a->has_version, &a->major},
		{"GNU.sparse.minor", &a->has_version, &a->minor},
		{"GNU.sparse.offset", &a->has_offset, &a->offset},
	};
	uint64_t length;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (!strcmp(key, numbers[i].key)) {
			*numbers[i].has = true;
			return tar_decimal(value, len, numbers[i].value, e);
		}
	}
	if (!strcmp(key, "GNU.sparse.map")) {
		a->has_map = true;
		return map_0_1(value, len, a, e);
	}
	if (!strcmp(key, "GNU.sparse.numbytes")) {
		int rc = tar_decimal(value, len, &length, e);

		return rc < 0 ? rc : entry_0_0(length, a, e);
	}
	return 0;
}

/* Splits the record at p, at most `left` bytes; *ret_len is its whole length. */
static int next_record(const char *p, size_t left, struct pax_attrs *a, size_t *ret_len,
		       struct err *e)
{
	const char *space = memchr(p, ' ', MIN(left, 20));
	char key[32]; /* the longest that matters is GNU.sparse.numblocks */
	uint64_t len = 0;
	const char *body, *equals, *end;
	size_t key_len;

	if (!space || tar_decimal(p, (size_t)(space - p), &len, NULL) < 0)
		return err_set(e, EBADMSG, "PAX record without a length");
	body = space + 1;
	if (len > left || len <= (size_t)(body - p) || p[len - 1] != '\n')
		return err_set(e, EBADMSG, "PAX record has a wrong length");
	end = p + len - 1;
	equals = memchr(body, '=', (size_t)(end - body));
	if (!equals || equals == body)
		return err_set(e, EBADMSG, "PAX record without a key");
	*ret_len = len;
	key_len = (size_t)(equals - body);
	if (key_len >= sizeof(key) || memchr(body, '\0', key_len))
		return 0; /* none of ours */
	memcpy(key, body, key_len);
	key[key_len] = '\0';
	if (record(key, equals + 1, (size_t)(end - equals - 1), a, e) < 0)
		return err_wrap(e, "PAX record '%s'", key);
	return 0;
}

int pax_parse(const char *records, size_t len, struct pax_attrs *a, struct err *e)
{
	while (len) {
		size_t used = 0;
		int rc = next_record(records, len, a, &used, e);

		if (rc < 0)
			return rc;
		records += used;
		len -= used;
	}
	return 0;
}

void pax_attrs_release(struct pax_attrs *a)
{
	tar_map_release(&a->map);
	*a = (struct pax_attrs){0};
}
