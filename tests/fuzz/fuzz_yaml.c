/* SPDX-License-Identifier: Apache-2.0 */
/* lib/yaml; what it accepts is written as JSON and must read back the same. */
#include "lib/yaml.h"

#include "tests/fuzz/value_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct value_limits limits = {.bytes = 1u << 20, .depth = 60, .nodes = 10000};
	AUTO(value_free) struct value *v = NULL;
	struct err e;

	if (yaml_parse("fuzz", data, size, &limits, &v, &e) == 0)
		value_check(v);
	return 0;
}
