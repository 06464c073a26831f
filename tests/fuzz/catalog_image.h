/* SPDX-License-Identifier: Apache-2.0 */
/* For fuzzers of catalogs' documents: what has to be true of every image that comes out of one. */
#ifndef TESTS_FUZZ_CATALOG_IMAGE_H
#define TESTS_FUZZ_CATALOG_IMAGE_H

#include "catalog/index.h"
#include "catalog/parse.h"
#include "lib/str.h"

/* An image_fn. It has an id; a file has an address that is fetched, and a digest that can be read. */
static int check_image(void *ctx, const struct catalog_image *im)
{
	AUTO(catalog_image_release) struct catalog_image copy = {0};
	AUTO(query_release) struct query q = {0};
	const char *const words[] = {"a*b", "arch=x86_64"};
	char hex[2 * DIGEST_MAX + 1];
	enum digest_kind kind;

	(void)ctx;
	if (!im->id || !*im->id)
		abort();
	if (im->delivery == DELIVERY_FILE && !str_has_prefix(im->url, "http://") &&
	    !str_has_prefix(im->url, "https://") && !str_has_prefix(im->url, "s3://"))
		abort();
	if (im->digest && digest_text_parse(im->digest, &kind, hex, NULL) < 0)
		abort();
	if (query_parse(words, 2, &q, NULL) == 0)
		(void)query_matches(&q, im);
	return catalog_image_copy(im, &copy);
}

#endif
