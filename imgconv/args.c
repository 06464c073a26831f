/* SPDX-License-Identifier: Apache-2.0 */
/* Options that several commands have: see imgconv/args.h. */
#include "imgconv/args.h"

#include "lib/str.h"

bool open_args_take(struct image_open_opts *o, int opt, const char *value)
{
	switch (opt) {
	case OPT_SNAPSHOT:
		o->snapshot = value;
		return true;
	case OPT_ALLOW_BACKING:
		o->flags |= IMAGE_ALLOW_BACKING;
		return true;
	case OPT_ALLOW_EXTENTS:
		o->flags |= IMAGE_ALLOW_EXTENTS;
		return true;
	case OPT_PARENT:
		o->parent = value;
		return true;
	default:
		return false;
	}
}

static int parse_compression(struct image_create_opts *o, const char *value, struct err *e)
{
	static const char *const names[] = {
		[IMAGE_COMPRESS_NONE] = "none",
		[IMAGE_COMPRESS_ZLIB] = "zlib",
		[IMAGE_COMPRESS_ZSTD] = "zstd",
		[IMAGE_COMPRESS_GZIP] = "gzip",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			o->compression = (enum image_compression)i;
			return 0;
		}
	}
	return err_set(e, EINVAL, "'%s' is none of none, zlib, zstd, gzip", value);
}

/* 0 would be the format's own. */
static int parse_cluster_size(struct image_create_opts *o, const char *value, struct err *e)
{
	int rc = str_to_size(value, &o->cluster_size, e);

	if (rc == 0 && !o->cluster_size)
		return err_set(e, EINVAL, "'%s' is no power of two", value);
	return rc;
}

/* pair is "key=value"; value points into it. What is not for all formats is left to the format. */
static int parse_option(struct create_args *a, struct image_create_opts *o, char *pair,
			const char *value, struct err *e)
{
	size_t key_len = (size_t)(value - pair) - 1;
	uint64_t n;
	int rc;

	if (strncmp(pair, "cluster_size=", key_len + 1) == 0)
		return parse_cluster_size(o, value, e);
	if (strncmp(pair, "compression_level=", key_len + 1) == 0) {
		rc = str_to_u64(value, 1, 19, &n, e);
		o->level = rc == 0 ? (unsigned)n : 0;
		return rc;
	}
	if (strncmp(pair, "compression=", key_len + 1) == 0)
		return parse_compression(o, value, e);
	if (a->n + 1 == ARRAY_SIZE(a->pairs))
		return err_set(e, EINVAL, "more than %zu options", a->n);
	a->pairs[a->n++] = pair;
	o->options = a->pairs;
	return 0;
}

int create_args_add(struct create_args *a, struct image_create_opts *o, char *text, struct err *e)
{
	char *pair;

	while ((pair = strsep(&text, ","))) {
		const char *equals = strchr(pair, '=');
		int rc;

		if (!equals)
			return err_set(e, EINVAL, "'%s' is not of the form KEY=VALUE", pair);
		rc = parse_option(a, o, pair, equals + 1, e);
		if (rc < 0)
			return err_wrap(e, "%.*s", (int)(equals - pair), pair);
	}
	return 0;
}
