/* SPDX-License-Identifier: Apache-2.0 */
/* What an image is, as facts that can be shown as text or JSON. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/format.h"

int image_info_add(struct image_info *info, const char *key, enum image_fact_kind kind,
		   uint64_t number, const char *text, size_t text_len, struct err *e)
{
	struct image_fact fact = {
		.key = key, .kind = kind, .inside = info->in_group, .number = number};
	struct image_fact *grown;

	grown = reallocarray(info->facts, info->n_facts + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	info->facts = grown;
	if (text && !(fact.text = strndup(text, text_len)))
		return err_nomem(e);
	info->facts[info->n_facts++] = fact;
	return 0;
}

int image_info_open_group(struct image_info *info, const char *key, struct err *e)
{
	int rc;

	info->in_group = false;
	rc = image_info_add(info, key, IMAGE_FACT_GROUP, 0, NULL, 0, e);
	info->in_group = rc == 0;
	return rc;
}

void image_info_close_group(struct image_info *info)
{
	info->in_group = false;
}

int image_info_warn(struct image_info *info, struct err *e, const char *fmt, ...)
{
	char **grown = reallocarray(info->warnings, info->n_warnings + 1, sizeof(*grown));
	char *text = NULL;
	va_list ap;
	int n;

	if (!grown)
		return err_nomem(e);
	info->warnings = grown;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_nomem(e);
	info->warnings[info->n_warnings++] = text;
	return 0;
}

int image_info_read(struct image *im, struct image_info *ret, struct err *e)
{
	AUTO(image_info_release) struct image_info info = {0};
	struct stat st;
	int rc = 0;

	if (fstat(im->fd, &st) < 0)
		return err_errno(e, errno, "'%s'", im->name);
	info.virtual_size = im->size;
	info.file_size = im->file_size;
	info.allocated =
		S_ISREG(st.st_mode) && !im->is_part ? (uint64_t)st.st_blocks * 512 : im->file_size;
	if (im->size % 512)
		rc = image_info_warn(&info, e, "the size is not a multiple of 512 bytes");
	if (rc == 0 && im->format->info)
		rc = im->format->info(im, &info, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", im->name);
	*ret = info;
	info = (struct image_info){0};
	return 0;
}

void image_info_release(struct image_info *info)
{
	for (size_t i = 0; i < info->n_facts; i++)
		free(info->facts[i].text);
	free(info->facts);
	for (size_t i = 0; i < info->n_warnings; i++)
		free(info->warnings[i]);
	free(info->warnings);
	*info = (struct image_info){0};
}
