/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error documents of AWS. The first line, if it begins with "x-", is the value of the header
 * x-amzn-ErrorType; the rest is the body.
 */
#include "lib/aws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_HTTPC_RESPONSE r = {.status = 400};
	const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
	struct aws_error error;
	const char *all[] = {error.code, error.message, error.reason, error.region,
			     error.request_id};

	if (newline && size > 2 && !memcmp(data, "x-", 2)) {
		size_t len = (size_t)(newline - data);

		r.headers = calloc(1, sizeof(*r.headers));
		if (!r.headers)
			return 0;
		r.n_headers = 1;
		r.headers[0].name = strdup("x-amzn-ErrorType");
		r.headers[0].value = strndup((const char *)data + 2, len - 2);
		if (!r.headers[0].name || !r.headers[0].value)
			return 0;
		data += len + 1;
		size -= len + 1;
	}
	if (buf_add(&r.body, data, size) < 0)
		return 0;
	aws_error_parse(&r, &error);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (strlen(all[i]) >= sizeof(error.message))
			abort();
	}
	return error.status == 400 ? 0 : -1;
}
