/* SPDX-License-Identifier: Apache-2.0 */
/* What may be wished of a new image: options of its format, checked in one place for all. */
#include <stdio.h>

#include "imgconv/options.h"
#include "lib/str.h"

const struct image_option *image_format_options(const char *format)
{
	static const struct image_option none[] = {{NULL, NULL, NULL}};
	const struct image_format *f = image_format_by_name(format);

	if (!f)
		return NULL;
	return f->options ? f->options : none;
}

const char *image_why_no_pipe(const char *format, const struct image_create_opts *o)
{
	const struct image_format *f = image_format_by_name(format);

	if (f && f->why_no_pipe)
		return f->why_no_pipe(o);
	return "its tables are known only at the end, but lie at the beginning";
}

uint64_t image_padded_size(const char *format, uint64_t size, const struct image_create_opts *o)
{
	const struct image_format *f = image_format_by_name(format);

	if (size > UINT64_MAX / 2)
		return size; /* more than any format takes */
	if (f && f->padded_size)
		return f->padded_size(size, o);
	return round_up(size, 512);
}

static size_t key_length(const char *pair)
{
	return strcspn(pair, "=");
}

static bool is_key(const char *pair, const char *key)
{
	return str_has_prefix(pair, key) && pair[strlen(key)] == '=';
}

const char *image_create_option(const struct image_create_opts *o, const char *key)
{
	const char *found = NULL;

	/* The last one counts, as on command lines. */
	for (size_t i = 0; o && o->options && o->options[i]; i++) {
		if (is_key(o->options[i], key))
			found = o->options[i] + strlen(key) + 1;
	}
	return found;
}

int image_create_choice(const struct image_create_opts *o, const char *key,
			const char *const *names, unsigned none, unsigned *ret, struct err *e)
{
	const char *value = image_create_option(o, key);
	AUTO_BUF all = BUF_INIT;

	*ret = none;
	if (!value)
		return 0;
	for (unsigned i = 0; names[i]; i++) {
		if (strcasecmp(names[i], value) == 0) {
			*ret = i;
			return 0;
		}
		buf_addf(&all, "%s%s", i ? ", " : "", names[i]);
	}
	return err_set(e, EINVAL, "%s: '%s' is none of %s", key, value, buf_str(&all));
}

static int check_options(const struct image_format *f, const struct image_create_opts *o,
			 struct err *e)
{
	for (size_t i = 0; o->options && o->options[i]; i++) {
		const struct image_option *known = f->options;

		while (known && known->key && !is_key(o->options[i], known->key))
			known++;
		if (!known || !known->key)
			return err_set(e, ENOTSUP, "%s images have no option '%.*s'", f->name,
				       (int)key_length(o->options[i]), o->options[i]);
	}
	return 0;
}

int image_options_check(const struct image_format *f, const struct image_create_opts *o,
			struct err *e)
{
	static const unsigned takes[] = {
		[IMAGE_COMPRESS_ZLIB] = FORMAT_TAKES_ZLIB,
		[IMAGE_COMPRESS_ZSTD] = FORMAT_TAKES_ZSTD,
		[IMAGE_COMPRESS_GZIP] = FORMAT_TAKES_GZIP,
	};
	const unsigned any = FORMAT_TAKES_ZLIB | FORMAT_TAKES_ZSTD | FORMAT_TAKES_GZIP;
	bool compressed = o && o->compression != IMAGE_COMPRESS_NONE;
	const char *why;

	if (!o)
		return 0;
	if (o->cluster_size && !(f->takes & FORMAT_TAKES_CLUSTER_SIZE))
		return err_set(e, ENOTSUP, "%s images have no clusters of another size", f->name);
	if (compressed && !(f->takes & any))
		return err_set(e, ENOTSUP, "%s images are not compressed", f->name);
	if (compressed && !(f->takes & takes[o->compression]))
		return err_set(e, ENOTSUP, "%s images are not compressed that way", f->name);
	if (o->backing_file && !(f->takes & FORMAT_TAKES_BACKING))
		return err_set(e, ENOTSUP, "%s images have no backing file", f->name);
	if (o->pipe) {
		why = image_why_no_pipe(f->name, o);
		if (why)
			return err_set(e, ENOTSUP, "%s cannot be written to a pipe: %s", f->name,
				       why);
	}
	return check_options(f, o, e);
}

int image_create_check(const char *format, const struct image_create_opts *o, struct err *e)
{
	const struct image_format *f = image_format_by_name(format);

	if (!f || !f->create)
		return err_set(e, ENOTSUP, "cannot write images of the format '%s'", format);
	return image_options_check(f, o, e);
}
