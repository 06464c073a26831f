/* SPDX-License-Identifier: Apache-2.0 */
/* lib/ini. */
#include "lib/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(ini_free) struct ini *ini = NULL;
	const char *v;
	struct err e;

	if (ini_parse("fuzz", data, size, &ini, &e) < 0)
		return 0;
	v = ini_get(ini, "default", "region");
	if (v && (!ini_has_section(ini, "default") || strpbrk(v, "\n") || strlen(v) > size))
		abort();
	ini_get(ini, "services x", "s3.endpoint_url");
	return 0;
}
