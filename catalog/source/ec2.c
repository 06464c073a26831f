/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images of EC2, and of clouds that speak its Query API, by DescribeImages (2016-11-15).
 *
 * An instance-store image is delivered as a bundle: imageLocation is BUCKET/KEY of its manifest.
 * An EBS image is delivered as the snapshot that its root device (rootDeviceName) maps to.
 * Elements that are not known here are ignored; names are matched without their namespace.
 *
 * "ssm:/aws/service/..." is the AMI that the parameter of that name holds: see catalog/source/ssm.c.
 */
#include <ctype.h>

#include "catalog/paging.h"
#include "catalog/parse.h"
#include "lib/str.h"

#define PAGE_SIZE "500" /* MaxResults of DescribeImages and DescribeSnapshots: 5 to 1000 */
#define PAGES_MAX 2000
#define EMPTY_PAGES_MAX 20

static bool is_image_id(const char *id)
{
	return str_has_prefix(id, "ami-") || str_has_prefix(id, "emi-");
}

static bool ec2_owns(const char *id)
{
	return is_image_id(id) || str_has_prefix(id, SSM_ID_PREFIX);
}

/* ami- and 8 or 17 hex digits; Eucalyptus uses emi- and upper case. */
static int check_id(const char *id, struct err *e)
{
	size_t n = is_image_id(id) ? strlen(id + 4) : 0;
	bool ok = n == 8 || n == 17;

	for (const char *p = id + 4; ok && *p; p++)
		ok = isxdigit((unsigned char)*p);
	if (!ok)
		return err_set(e, EINVAL,
			       "'%s' is not the id of an image: 'ami-' and 8 or 17 hex digits", id);
	return 0;
}

/* Copies the text of a child, if there is one that is not empty. */
static int take(const struct xml_node *item, const char *name, char **ret, struct err *e)
{
	const char *text = xml_child_text(item, name, NULL);

	if (!text || !*text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : err_nomem(e);
}

/* bucket/path/to/x.manifest.xml */
static int take_bundle(struct catalog_image *im, struct err *e)
{
	const char *slash = im->location ? strchr(im->location, '/') : NULL;

	if (!slash || slash == im->location || !slash[1])
		return err_set(e, EBADMSG,
			       "image '%s': its location '%s' is not BUCKET/KEY of a manifest",
			       im->id, im->location ? im->location : "");
	im->bucket = strndup(im->location, (size_t)(slash - im->location));
	im->key = strdup(slash + 1);
	if (!im->bucket || !im->key)
		return err_nomem(e);
	im->delivery = DELIVERY_BUNDLE;
	return 0;
}

/* The snapshot behind the root device. */
static int take_snapshot(const struct xml_node *item, struct catalog_image *im, struct err *e)
{
	const struct xml_node *map = xml_child(item, "blockDeviceMapping");

	for (const struct xml_node *m = xml_child(map, "item"); m; m = xml_next(m, "item")) {
		const struct xml_node *ebs = xml_child(m, "ebs");
		const char *device = xml_child_text(m, "deviceName", "");
		const char *snapshot = xml_child_text(ebs, "snapshotId", "");
		uint64_t gib;
		int rc;

		if (!im->root_device_name || strcmp(device, im->root_device_name) != 0)
			continue;
		if (!*snapshot)
			break;
		im->snapshot = strdup(snapshot);
		if (!im->snapshot)
			return err_nomem(e);
		rc = xml_child(ebs, "volumeSize")
			     ? xml_need_u64(ebs, "volumeSize", 1, 65536, &gib, e)
			     : (gib = 0, 0);
		if (rc < 0)
			return rc;
		im->snapshot_size = gib * GIB;
		im->delivery = DELIVERY_SNAPSHOT;
		return 0;
	}
	im->why_not = str_format("no snapshot is mapped to its root device '%s'",
				 im->root_device_name ? im->root_device_name : "");
	return im->why_not ? 0 : err_nomem(e);
}

static int take_product_codes(const struct xml_node *item, struct catalog_image *im, struct err *e)
{
	const struct xml_node *codes = xml_child(item, "productCodes");
	AUTO_BUF all = BUF_INIT;

	for (const struct xml_node *c = xml_child(codes, "item"); c; c = xml_next(c, "item")) {
		im->marketplace |= strcmp(xml_child_text(c, "type", ""), "marketplace") == 0;
		if (buf_addf(&all, "%s%s", all.len ? " " : "",
			     xml_child_text(c, "productCode", "")) < 0)
			return err_nomem(e);
	}
	if (all.len && !(im->product_codes = buf_detach(&all)))
		return err_nomem(e);
	return 0;
}

/* An <item> of imagesSet. */
int ec2_image(const struct xml_node *item, struct catalog_image *im, struct err *e)
{
	const struct {
		const char *name;
		char **ret;
	} texts[] = {
		{"imageId", &im->id},
		{"name", &im->name},
		{"description", &im->description},
		{"imageState", &im->state},
		{"imageOwnerId", &im->owner},
		{"imageOwnerAlias", &im->owner_alias},
		{"architecture", &im->architecture},
		{"rootDeviceType", &im->root_device_type},
		{"rootDeviceName", &im->root_device_name},
		{"virtualizationType", &im->virtualization},
		{"bootMode", &im->boot_mode},
		{"platform", &im->platform},
		{"imageLocation", &im->location},
		{"creationDate", &im->creation_date},
		{"kernelId", &im->kernel_id},
		{"ramdiskId", &im->ramdisk_id},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(texts); i++)
		rc = take(item, texts[i].name, texts[i].ret, e);
	if (rc < 0)
		return rc;
	if (!im->id)
		return xml_err(item, e, EBADMSG, "an image without imageId");
	im->is_public = strcmp(xml_child_text(item, "isPublic", ""), "true") == 0;
	rc = take_product_codes(item, im, e);
	if (rc < 0)
		return rc;
	if (im->root_device_type && strcmp(im->root_device_type, "instance-store") == 0)
		return take_bundle(im, e);
	if (im->root_device_type && strcmp(im->root_device_type, "ebs") == 0)
		return take_snapshot(item, im, e);
	im->why_not = str_format("its root device is of type '%s'",
				 im->root_device_type ? im->root_device_type : "");
	return im->why_not ? 0 : err_nomem(e);
}

static int ec2_find(struct session *s, const char *id, struct catalog_image *ret, struct err *e);

static int find_by_parameter(struct session *s, const char *name, struct catalog_image *ret,
			     struct err *e)
{
	AUTO_FREE char *id = NULL;
	int rc = ssm_parameter(s, name, &id, e);

	return rc < 0 ? rc : ec2_find(s, id, ret, e);
}

static int ec2_find(struct session *s, const char *id, struct catalog_image *ret, struct err *e)
{
	const struct aws_param params[] = {{"ImageId.1", id}};
	AUTO(xml_free) struct xml_node *root = NULL;
	AUTO(catalog_image_release) struct catalog_image im = {0};
	const struct xml_node *item;
	int rc;

	if (str_has_prefix(id, SSM_ID_PREFIX))
		return find_by_parameter(s, id + strlen(SSM_ID_PREFIX), ret, e);
	rc = check_id(id, e);
	if (rc < 0)
		return rc;
	rc = aws_ec2(s->aws, s->http, "DescribeImages", params, ARRAY_SIZE(params), &root, NULL, e);
	if (rc < 0)
		return err_wrap(e, "looking up '%s'", id);
	item = xml_path(root, "imagesSet/item");
	if (!item)
		return err_set(e, ENOENT, "image '%s' is not known to this cloud", id);
	rc = ec2_image(item, &im, e);
	if (rc < 0)
		return rc;
	if (strcmp(im.id, id) != 0)
		return err_set(e, EBADMSG, "asked for image '%s', the cloud answered with '%s'", id,
			       im.id);
	*ret = im;
	im = (struct catalog_image){0};
	return 0;
}

int ec2_page_params(const struct list_filter *f, const char *token, struct buf *names,
		    struct aws_param **ret, size_t *ret_n, struct err *e)
{
	size_t max = f->n_filters * 2 + f->n_owners + 2, n = 0;
	AUTO_FREE struct aws_param *p = calloc(max, sizeof(*p));
	size_t *at = calloc(max, sizeof(*at));
	int rc = 0;

	if (!p || !at) {
		free(at);
		return err_nomem(e);
	}
	for (size_t i = 0; rc == 0 && i < f->n_filters; i++) {
		at[n] = names->len;
		p[n++].value = f->filters[i].name;
		rc = buf_addf(names, "Filter.%zu.Name%c", i + 1, 0);
		at[n] = names->len;
		p[n++].value = f->filters[i].value;
		if (rc == 0)
			rc = buf_addf(names, "Filter.%zu.Value.1%c", i + 1, 0);
	}
	for (size_t i = 0; rc == 0 && i < f->n_owners; i++) {
		at[n] = names->len;
		p[n++].value = f->owners[i];
		rc = buf_addf(names, "Owner.%zu%c", i + 1, 0);
	}
	/* The buffer moves while it grows: names are pointed to only now. */
	for (size_t i = 0; rc == 0 && i < n; i++)
		p[i].name = names->data + at[i];
	free(at);
	if (rc < 0)
		return err_nomem(e);
	p[n++] = (struct aws_param){"MaxResults", PAGE_SIZE};
	if (token)
		p[n++] = (struct aws_param){"NextToken", token};
	*ret = STEAL(p);
	*ret_n = n;
	return 0;
}

static int ec2_list(struct session *s, const struct list_filter *f,
		    int (*fn)(void *ctx, const struct catalog_image *im), void *ctx, struct err *e)
{
	AUTO_FREE char *token = NULL;
	AUTO(paging_release)
	struct paging pages = {.most = PAGES_MAX, .most_empty = EMPTY_PAGES_MAX};

	for (;;) {
		AUTO(xml_free) struct xml_node *root = NULL;
		AUTO_BUF names = BUF_INIT;
		AUTO_FREE struct aws_param *params = NULL;
		const struct xml_node *set;
		const char *next;
		size_t n = 0;
		int rc = ec2_page_params(f, token, &names, &params, &n, e);

		if (rc == 0)
			rc = aws_ec2(s->aws, s->http, "DescribeImages", params, n, &root, NULL, e);
		if (rc < 0)
			return err_wrap(e, "listing images");
		set = xml_child(root, "imagesSet");
		for (const struct xml_node *i = xml_child(set, "item"); i;
		     i = xml_next(i, "item")) {
			AUTO(catalog_image_release) struct catalog_image im = {0};

			rc = ec2_image(i, &im, e);
			if (rc == 0)
				rc = fn(ctx, &im);
			if (rc != 0)
				return rc;
		}
		/* A page may be short or empty and still not be the last one. */
		next = xml_child_text(root, "nextToken", "");
		if (!*next)
			return 0;
		rc = paging_next(&pages, next, !xml_child(set, "item"), e);
		if (rc < 0)
			return err_wrap(e, "listing images");
		free(token);
		token = strdup(next);
		if (!token)
			return err_nomem(e);
	}
}

const struct source_type source_ec2 = {
	.name = "ec2",
	.summary = "EC2 and clouds that speak its API: AMIs",
	.keys = "region endpoint-url profile owners",
	.by_owner = true,
	.by_filter = true,
	.aws = true,
	.owns = ec2_owns,
	.find = ec2_find,
	.list = ec2_list,
};
