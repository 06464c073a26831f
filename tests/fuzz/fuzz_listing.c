/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings of folders, files of check sums, names of files. Besides not crashing: every name is a
 * plain file name, every digest can be read back.
 */
#include "catalog/parse.h"
#include "lib/fs.h"

static int take_sum(void *ctx, const char *name, const char *digest, struct err *e)
{
	char hex[2 * DIGEST_MAX + 1];
	enum digest_kind kind;

	(void)ctx;
	if (!name_is_plain(name) || digest_text_parse(digest, &kind, hex, e) < 0)
		abort();
	return 0;
}

static int take_href(void *ctx, const char *name, struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {0};
	char copy[300];
	size_t n = strlen(name);

	(void)ctx;
	if (!n || n >= sizeof(copy))
		abort();
	memcpy(copy, name, n + 1);
	if (copy[n - 1] == '/')
		copy[n - 1] = '\0';
	if (!name_is_plain(copy))
		abort();
	(void)name_is_image(name);
	return guess_by_name(name, &im, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;

	(void)sums_parse((const char *)data, size, take_sum, NULL, &e);
	(void)hrefs_parse((const char *)data, size, take_href, NULL, &e);
	return 0;
}
