/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP answer of any bytes: refused, or a status and a body within the limit. */
#include "ctxd/http_client.h"

#define LIMIT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *exact = malloc(size ? size : 1);
	AUTO_FREE char *text = strndup((const char *)data, size);
	AUTO(http_url_release) struct http_url u = {0};
	AUTO_BUF body = BUF_INIT;
	int rc;

	if (!exact || !text)
		return 0;
	if (size)
		memcpy(exact, data, size);
	rc = http_answer_parse(exact, size, LIMIT, &body, NULL);
	if (rc > 999 || body.len > LIMIT)
		abort();
	if (http_url_parse(text, &u, NULL) == 0 && (u.path[0] != '/' || !u.port))
		abort();
	return 0;
}
