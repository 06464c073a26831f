/* SPDX-License-Identifier: Apache-2.0 */
/* What list and search print: see catalog/results.h. */
#include "catalog/results.h"

#include <stdio.h>

#include "lib/json.h"
#include "lib/str.h"

static bool is_plain_id(const struct source *src, const char *id)
{
	return !src || (src->type->owns && src->type->owns(id));
}

char *image_reference(const struct source *src, const char *id)
{
	return is_plain_id(src, id) ? strdup(id) : str_format("%s:%s", src->name, id);
}

int results_add(void *ctx, const struct source *src, const struct catalog_image *im)
{
	struct results *r = ctx;
	struct result *item;

	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 64;
		struct result *more = reallocarray(r->items, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		r->items = more;
		r->cap = cap;
	}
	item = &r->items[r->n];
	*item = (struct result){.source = src->name, .plain_id = is_plain_id(src, im->id)};
	if (catalog_image_copy(im, &item->image) < 0)
		return -ENOMEM;
	r->n++;
	return 0;
}

void results_release(struct results *r)
{
	for (size_t i = 0; i < r->n; i++)
		catalog_image_release(&r->items[i].image);
	free(r->items);
	*r = (struct results){0};
}

/* Newest first: catalogs give them in no order. */
static int by_date(const void *pa, const void *pb)
{
	const struct catalog_image *a = &((const struct result *)pa)->image,
				   *b = &((const struct result *)pb)->image;
	int order = strcmp(b->creation_date ? b->creation_date : "",
			   a->creation_date ? a->creation_date : "");

	return order ? order : strcmp(a->id, b->id);
}

/* Text of a catalog, safe on a terminal. */
static void print_cell(const char *s, int width)
{
	AUTO_BUF b = BUF_INIT;

	s = s && *s ? s : "-";
	str_escape(s, strlen(s), 256, &b);
	printf("%-*s ", width, buf_str(&b));
}

static void print_line(const struct result *r)
{
	const struct catalog_image *im = &r->image;
	AUTO_FREE char *id = r->plain_id ? strdup(im->id) : str_format("%s:%s", r->source, im->id);
	uint64_t bytes = im->size ? im->size : im->snapshot_size;
	const char *kind = im->elsewhere                       ? "ami"
			   : im->delivery == DELIVERY_SNAPSHOT ? "snapshot"
			   : im->delivery == DELIVERY_BUNDLE   ? "bundle"
							       : im->format;
	char size[16] = "-", date[11] = "-";

	if (bytes)
		size_to_text(bytes, size);
	if (im->creation_date)
		snprintf(date, sizeof(date), "%.10s", im->creation_date);
	print_cell(im->architecture, 8);
	print_cell(date, 10);
	print_cell(kind, 8);
	print_cell(size, 10);
	print_cell(im->name, 40);
	print_cell(id, 0);
	putchar('\n');
}

static int print_json(const struct results *r, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_array(&w, NULL);
	for (size_t i = 0; i < r->n; i++) {
		jsonw_object(&w, NULL);
		if (r->items[i].source)
			jsonw_string(&w, "source", r->items[i].source);
		catalog_image_json(&w, &r->items[i].image);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fwrite(out.data, 1, out.len, stdout);
	return rc;
}

int results_print(struct results *r, enum cli_output output, struct err *e)
{
	if (r->n)
		qsort(r->items, r->n, sizeof(*r->items), by_date);
	if (output == CLI_JSON)
		return print_json(r, e);
	printf("%-8s %-10s %-8s %-10s %-40s %s\n", "ARCH", "CREATED", "FORMAT", "SIZE", "NAME",
	       "IMAGE");
	for (size_t i = 0; i < r->n; i++)
		print_line(&r->items[i]);
	return 0;
}
