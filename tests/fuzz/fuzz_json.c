/* SPDX-License-Identifier: Apache-2.0 */
/* lib/json: reading, places, writing, reading back. */
#include "tests/fuzz/value_json.h"

/* The place of a value is where its text stands. */
static void check_places(const struct value *v, const char *data, const char *end)
{
	const char *p = data;

	for (unsigned line = 1; line < v->line; line++)
		p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
	for (unsigned column = 1; column < v->column; column++) {
		for (p++; p < end && ((unsigned char)*p & 0xc0) == 0x80; p++)
			;
	}
	if (p >= end)
		abort();
	if (v->key                 ? *p != '"'
	    : v->kind == VALUE_MAP ? *p != '{'
				   : v->kind == VALUE_LIST && *p != '[')
		abort();
	if (!v->key && v->kind == VALUE_INT && strncmp(p, v->text, v->text_len) != 0)
		abort();
	value_foreach (item, v) {
		check_places(item, data, end);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct value_limits limits = {.bytes = 1u << 16, .depth = 60, .nodes = 10000};
	AUTO(value_free) struct value *v = NULL;
	struct err e;

	if (json_parse("fuzz", data, size, &limits, &v, &e) < 0)
		return 0;
	if (size < 4096)
		check_places(v, (const char *)data, (const char *)data + size);
	value_check(v);
	return 0;
}
