/* SPDX-License-Identifier: Apache-2.0 */
/* catalog list: the images that a cloud offers. */
#include <stdio.h>

#include "catalog/commands.h"
#include "catalog/import.h"
#include "lib/json.h"
#include "lib/str.h"

#define LISTED_MAX 64 /* owners and filters each */

struct listing {
	bool json;
	struct jsonw w;
	struct catalog_image *images; /* n, to be sorted */
	size_t n, cap;
};

/* Keeps a copy of what a line shows. */
static int keep(void *ctx, const struct catalog_image *im)
{
	struct listing *l = ctx;
	struct catalog_image *c;

	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct catalog_image *more = reallocarray(l->images, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->images = more;
		l->cap = cap;
	}
	c = &l->images[l->n++];
	*c = (struct catalog_image){.is_public = im->is_public, .delivery = im->delivery};
#define COPY(field)                                                                                \
	do {                                                                                       \
		if (im->field && !(c->field = strdup(im->field)))                                  \
			return -ENOMEM;                                                            \
	} while (0)
	COPY(id);
	COPY(name);
	COPY(description);
	COPY(state);
	COPY(owner);
	COPY(owner_alias);
	COPY(architecture);
	COPY(root_device_type);
	COPY(root_device_name);
	COPY(virtualization);
	COPY(boot_mode);
	COPY(platform);
	COPY(location);
	COPY(creation_date);
	COPY(snapshot);
	COPY(kernel_id);
	COPY(ramdisk_id);
	COPY(product_codes);
#undef COPY
	return 0;
}

static void listing_release(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		catalog_image_release(&l->images[i]);
	free(l->images);
}
DEFINE_AUTO_STRUCT(struct listing, listing_release);

/* Newest first: clouds give them in no order. */
static int by_date(const void *pa, const void *pb)
{
	const struct catalog_image *a = pa, *b = pb;
	int order = strcmp(b->creation_date ? b->creation_date : "",
			   a->creation_date ? a->creation_date : "");

	return order ? order : strcmp(a->id, b->id);
}

/* Text of the cloud, safe on a terminal. */
static void print_cell(const char *s, int width)
{
	AUTO_BUF b = BUF_INIT;

	s = s ? s : "-";
	str_escape(s, strlen(s), 256, &b);
	printf("%-*s ", width, buf_str(&b));
}

static void print_text(const struct listing *l)
{
	printf("%-21s %-14s %-8s %-11s %-10s %s\n", "ID", "ROOT", "ARCH", "STATE", "CREATED",
	       "NAME");
	for (size_t i = 0; i < l->n; i++) {
		const struct catalog_image *im = &l->images[i];
		char date[11] = "-";

		if (im->creation_date)
			snprintf(date, sizeof(date), "%.10s", im->creation_date);
		print_cell(im->id, 21);
		print_cell(im->root_device_type, 14);
		print_cell(im->architecture, 8);
		print_cell(im->state, 11);
		print_cell(date, 10);
		print_cell(im->name, 0);
		putchar('\n');
	}
}

static int print_json(const struct listing *l, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_array(&w, NULL);
	for (size_t i = 0; i < l->n; i++) {
		jsonw_object(&w, NULL);
		catalog_image_json(&w, &l->images[i]);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fwrite(out.data, 1, out.len, stdout);
	return rc;
}

static int list(const struct cloud_options *cloud, const struct list_filter *filter,
		enum cli_output output, struct err *e)
{
	AUTO(session_close) struct session s = {0};
	AUTO(listing_release) struct listing l = {0};
	int rc = session_open(cloud, &s, e);

	for (size_t i = 0; rc == 0 && source_types[i]; i++)
		rc = source_types[i]->list(&s, filter, keep, &l, e);
	if (rc == -ENOMEM)
		return err_nomem(e);
	if (rc < 0)
		return rc;
	if (l.n)
		qsort(l.images, l.n, sizeof(*l.images), by_date);
	if (output == CLI_JSON)
		return print_json(&l, e);
	print_text(&l);
	return 0;
}

int cmd_list(const struct cli_command *self, int argc, char **argv)
{
	enum {
		OPT_OWNER = OPT_OTHER,
		OPT_FILTER
	};
	static const struct option longopts[] = {
		CLOUD_OPTIONS,
		{"owner", required_argument, NULL, OPT_OWNER},
		{"filter", required_argument, NULL, OPT_FILTER},
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	struct cloud_options cloud = {0};
	const char *owners[LISTED_MAX] = {"self"};
	struct aws_param filters[LISTED_MAX];
	struct list_filter filter = {filters, 0, owners, 0};
	bool everyone = false;
	enum cli_output output = CLI_TEXT;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		char *eq;

		if (cloud_option(&cloud, opt))
			continue;
		switch (opt) {
		case OPT_OWNER:
			if (filter.n_owners == LISTED_MAX)
				return cli_usage(self, "too many owners");
			if (strcmp(optarg, "all") == 0)
				everyone = true;
			else
				owners[filter.n_owners++] = optarg;
			break;
		case OPT_FILTER:
			eq = strchr(optarg, '=');
			if (!eq || eq == optarg || filter.n_filters == LISTED_MAX)
				return cli_usage(self, "no filter NAME=VALUE: '%s'", optarg);
			*eq = '\0';
			filters[filter.n_filters++] = (struct aws_param){optarg, eq + 1};
			break;
		case 'o':
			if (cli_output_parse(optarg, &output, &e) < 0)
				return cli_usage(self, "%s", e.msg);
			break;
		default:
			break;
		}
	}
	if (optind != argc)
		return cli_usage(self, "no argument is expected: '%s'", argv[optind]);
	if (!filter.n_owners && !everyone)
		filter.n_owners = 1;
	if (list(&cloud, &filter, output, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
