/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that parses could hand over: it is refused, or comes out as it went in. */
#include "metadata-server/conversion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(conversion_release) struct conversion x = {0};
	AUTO(conversion_release) struct conversion again = {0};
	AUTO_BUF packed = BUF_INIT;

	if (conversion_unpack(&x, data, size, NULL))
		return 0;
	if (conversion_pack(&x, &packed) ||
	    conversion_unpack(&again, packed.data, packed.len, NULL) || again.from != x.from)
		abort();
	return 0;
}
