/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers of a server's answer that tell a file's digest: a line each. The first byte says whether
 * it is S3's. What is taken is a digest that catalog/parse.h takes, and says where it is from.
 */
#include "catalog/parse.h"
#include "catalog/remote_digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(remote_file_release) struct remote_file f = {0};
	AUTO_FREE char *text = size ? strndup((const char *)data + 1, size - 1) : NULL;
	struct httpc_field fields[64];
	struct httpc_response r = {.headers = fields};
	enum digest_kind kind;
	char hex[2 * DIGEST_MAX + 1], *rest = text;
	struct err e;

	for (char *line; rest && r.n_headers < 64 && (line = strsep(&rest, "\n"));) {
		char *value = strstr(line, ": ");

		if (!value)
			continue;
		*value = '\0';
		fields[r.n_headers++] = (struct httpc_field){line, value + 2};
	}
	if (!text || remote_digest_of_head(&r, data[0] & 1, &f, &e) < 0 || !f.digest)
		return 0;
	if (!f.digest_by || digest_text_parse(f.digest, &kind, hex, &e) < 0)
		abort();
	return 0;
}
