/* SPDX-License-Identifier: Apache-2.0 */
/* What a catalog knows of an image, as a table of texts; names of architectures and formats. */
#include <stdio.h>
#include <strings.h>

#include "catalog/source.h"
#include "lib/str.h"

#define FIELD(name, member, shown, searched)                                                       \
	{                                                                                          \
		name, offsetof(struct catalog_image, member), shown, searched                      \
	}

/* The order is that of the index's columns: a change is a new version of it (catalog/index.c). */
const struct catalog_field catalog_fields[] = {
	FIELD("id", id, true, true),
	FIELD("name", name, true, true),
	FIELD("description", description, true, true),
	FIELD("os", os, true, true),
	FIELD("release", release, true, true),
	FIELD("version", version, true, true),
	FIELD("architecture", architecture, true, true),
	FIELD("state", state, true, false),
	FIELD("owner", owner, true, true),
	FIELD("owner-alias", owner_alias, true, true),
	FIELD("root-device-type", root_device_type, true, false),
	FIELD("root-device-name", root_device_name, true, false),
	FIELD("virtualization", virtualization, true, false),
	FIELD("boot-mode", boot_mode, true, false),
	FIELD("platform", platform, true, true),
	FIELD("location", location, true, false),
	FIELD("creation-date", creation_date, true, false),
	FIELD("kernel-id", kernel_id, true, false),
	FIELD("ramdisk-id", ramdisk_id, true, false),
	FIELD("product-codes", product_codes, true, false),
	FIELD("region", region, true, true),
	FIELD("words", words, false, true),
	FIELD("why-not", why_not, false, false),
	FIELD("bucket", bucket, false, false),
	FIELD("key", key, false, false),
	FIELD("snapshot", snapshot, true, true),
	FIELD("url", url, true, false),
	FIELD("format", format, true, true),
	FIELD("digest", digest, true, false),
	{0},
};

void catalog_image_release(struct catalog_image *im)
{
	for (const struct catalog_field *f = catalog_fields; f->name; f++)
		free(*catalog_field_of(im, f));
	*im = (struct catalog_image){0};
}

int catalog_image_copy(const struct catalog_image *from, struct catalog_image *to)
{
	*to = *from;
	for (const struct catalog_field *f = catalog_fields; f->name; f++)
		*catalog_field_of(to, f) = NULL;
	for (const struct catalog_field *f = catalog_fields; f->name; f++) {
		const char *text = *catalog_field_of(from, f);

		if (text && !(*catalog_field_of(to, f) = strdup(text))) {
			catalog_image_release(to);
			return -ENOMEM;
		}
	}
	return 0;
}

int image_set(char **ret, const char *text, struct err *e)
{
	if (!text || !*text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : err_nomem(e);
}

const char *arch_name(const char *s)
{
	static const struct {
		const char *theirs, *ours;
	} names[] = {
		{"amd64", "x86_64"},    {"x64", "x86_64"},    {"x86-64", "x86_64"},
		{"aarch64", "arm64"},   {"arm64v8", "arm64"}, {"i686", "i386"},
		{"i586", "i386"},       {"x86", "i386"},      {"armv7l", "armhf"},
		{"ppc64el", "ppc64le"}, {"arm", "armhf"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(s, names[i].theirs) == 0)
			return names[i].ours;
	}
	return s;
}

/* The file's name without the ending of a compression. */
static size_t without_packing(const char *name)
{
	static const char *const packed[] = {".gz", ".xz", ".zst", ".bz2"};
	size_t n = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(packed); i++) {
		size_t m = strlen(packed[i]);

		if (n > m && strcasecmp(name + n - m, packed[i]) == 0)
			return n - m;
	}
	return n;
}

static bool ends_with(const char *name, size_t n, const char *ending)
{
	size_t m = strlen(ending);

	return n > m && strncasecmp(name + n - m, ending, m) == 0;
}

const char *format_by_name(const char *name)
{
	static const char *const formats[] = {"qcow2", "vmdk", "vdi", "vhd", "vhdx", "raw"};
	size_t n = without_packing(name);

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		char ending[8];

		snprintf(ending, sizeof(ending), ".%s", formats[i]);
		if (ends_with(name, n, ending))
			return formats[i];
	}
	return ends_with(name, n, ".vpc") ? "vhd" : NULL;
}

bool name_is_image(const char *name)
{
	size_t n = without_packing(name);

	return format_by_name(name) || ends_with(name, n, ".img") || ends_with(name, n, ".disk") ||
	       ends_with(name, n, ".ova") || ends_with(name, n, ".image");
}
