/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of GetParametersByPath: what comes out of one is an AMI with a name. */
#include "catalog/parse.h"
#include "lib/str.h"

static int check_parameter(void *ctx, const char *name, const char *ami, struct err *e)
{
	(void)ctx;
	(void)e;
	if (!name || (!str_has_prefix(ami, "ami-") && !str_has_prefix(ami, "emi-")))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *next = NULL;
	struct err e = {0};

	if (ssm_page(data, size, check_parameter, NULL, &next, &e) < 0 && (!e.code || !*e.msg))
		abort();
	if (next && !*next)
		abort();
	return 0;
}
