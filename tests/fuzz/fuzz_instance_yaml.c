/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of instances; what is taken is written and read back the same. */
#include "context/imds.h"

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void count(void *arg, const struct err *e)
{
	check(e->code > 0 && e->msg[0]);
	(*(size_t *)arg)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(instance_free) struct instance *in = NULL;
	AUTO(instance_free) struct instance *back = NULL;
	AUTO_BUF first = BUF_INIT;
	AUTO_BUF second = BUF_INIT;
	size_t faults = 0;
	struct err e = {0};

	if (instance_parse_yaml("a", "a.yaml", data, size, -1, count, &faults, &in, &e)) {
		check(faults > 0 && e.code > 0);
		return 0;
	}
	check(faults == 0);
	check(!instance_write_json(in, true, &first, &e));
	check(!instance_parse_yaml("a", "a.yaml", first.data, first.len, -1, NULL, NULL, &back,
				   &e));
	check(!instance_write_json(back, true, &second, &e));
	check(first.len == second.len && !memcmp(first.data, second.data, first.len));
	check(in->context->user_data.len == back->context->user_data.len);
	return 0;
}
