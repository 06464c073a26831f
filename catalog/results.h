/* SPDX-License-Identifier: Apache-2.0 */
/* What list and search print: images of several sources, sorted, as text or JSON. */
#ifndef CATALOG_RESULTS_H
#define CATALOG_RESULTS_H

#include "catalog/catalog.h"
#include "lib/cli.h"

struct result {
	const char *source; /* name; NULL: none */
	bool plain_id;      /* the id alone is enough to find it */
	struct catalog_image image;
};
struct results {
	struct result *items; /* n */
	size_t n, cap;
};
void results_release(struct results *r);
DEFINE_AUTO_STRUCT(struct results, results_release);

/* A found_fn; ctx: struct results. */
int results_add(void *ctx, const struct source *src, const struct catalog_image *im);
/* Sorts, newest first, and prints. */
int results_print(struct results *r, enum cli_output output, struct err *e);
/* How a user names the image: its id, or SOURCE:ID. The caller's; NULL when memory is out. */
char *image_reference(const struct source *src, const char *id);

#endif
