/* SPDX-License-Identifier: Apache-2.0 */
/* A message from ctxd's reader of any bytes: refused, or a valid context that encodes again. */
#include "ctxd/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(context_free) struct context *c = NULL, *back = NULL;
	AUTO_BUF wire = BUF_INIT;
	struct strlist notes = {0};
	struct err e;

	if (wire_decode(data, size, &c, &notes, &e) == 0) {
		if (context_validate(c, &e) < 0 || wire_encode(c, &notes, &wire, &e) < 0 ||
		    wire_decode(wire.data, wire.len, &back, NULL, &e) < 0)
			abort();
	}
	strlist_release(&notes);
	return 0;
}
