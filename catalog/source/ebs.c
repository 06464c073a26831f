/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of EBS, by their ids or as DescribeSnapshots lists them (2016-11-15). How their blocks are
 * fetched is in ebs_blocks.c.
 */
#include <ctype.h>

#include "catalog/paging.h"
#include "catalog/parse.h"
#include "lib/str.h"

#define EMPTY_PAGES_MAX 100
#define LIST_PAGES_MAX 1000

static bool ebs_owns(const char *id)
{
	return str_has_prefix(id, "snap-");
}

/* A snapshot by its id: whether there is one, the fetch finds out, with fewer rights. */
static int ebs_find(struct session *s, const char *id, struct catalog_image *ret, struct err *e)
{
	AUTO(catalog_image_release)
	struct catalog_image im = {.delivery = DELIVERY_SNAPSHOT};
	size_t n = ebs_owns(id) ? strlen(id + 5) : 0;
	bool ok = n == 8 || n == 17;
	int rc;

	(void)s;
	for (const char *p = id + 5; ok && *p; p++)
		ok = isxdigit((unsigned char)*p);
	if (!ok)
		return err_set(e, EINVAL,
			       "'%s' is not the id of a snapshot: 'snap-' and 8 or 17 hex digits",
			       id);
	rc = image_set(&im.id, id, e);
	if (rc == 0)
		rc = image_set(&im.snapshot, id, e);
	if (rc < 0)
		return rc;
	*ret = im;
	im = (struct catalog_image){0};
	return 0;
}

/* An <item> of DescribeSnapshots. */
static int take_snapshot(const struct xml_node *item, image_fn *fn, void *ctx, struct err *e)
{
	AUTO(catalog_image_release)
	struct catalog_image im = {.delivery = DELIVERY_SNAPSHOT};
	const char *id, *status = xml_child_text(item, "status", "");
	uint64_t gib = 0;
	int rc = xml_need_text(item, "snapshotId", &id, e);

	if (rc == 0)
		rc = xml_need_u64(item, "volumeSize", 0, 65536, &gib, e);
	if (rc == 0)
		rc = image_set(&im.id, id, e);
	if (rc == 0)
		rc = image_set(&im.snapshot, id, e);
	if (rc == 0)
		rc = image_set(&im.name, xml_child_text(item, "description", NULL), e);
	if (rc == 0)
		rc = image_set(&im.owner, xml_child_text(item, "ownerId", NULL), e);
	if (rc == 0)
		rc = image_set(&im.creation_date, xml_child_text(item, "startTime", NULL), e);
	if (rc == 0)
		rc = image_set(&im.state, strcmp(status, "completed") == 0 ? "available" : status,
			       e);
	im.snapshot_size = gib * GIB;
	return rc < 0 ? rc : fn(ctx, &im);
}

static int ebs_list(struct session *s, const struct list_filter *f, image_fn *fn, void *ctx,
		    struct err *e)
{
	AUTO(paging_release)
	struct paging pages = {.most = LIST_PAGES_MAX, .most_empty = EMPTY_PAGES_MAX};
	AUTO_FREE char *token = NULL;

	for (;;) {
		AUTO(xml_free) struct xml_node *root = NULL;
		AUTO_BUF names = BUF_INIT;
		AUTO_FREE struct aws_param *params = NULL;
		const struct xml_node *set;
		const char *next;
		size_t n = 0;
		int rc = ec2_page_params(f, token, &names, &params, &n, e);

		if (rc == 0)
			rc = aws_ec2(s->aws, s->http, "DescribeSnapshots", params, n, &root, NULL,
				     e);
		if (rc < 0)
			return err_wrap(e, "listing snapshots");
		set = xml_child(root, "snapshotSet");
		for (const struct xml_node *i = xml_child(set, "item"); i && rc == 0;
		     i = xml_next(i, "item"))
			rc = take_snapshot(i, fn, ctx, e);
		next = xml_child_text(root, "nextToken", "");
		if (rc != 0 || !*next)
			return rc;
		rc = paging_next(&pages, next, !xml_child(set, "item"), e);
		if (rc < 0)
			return err_wrap(e, "listing snapshots");
		free(token);
		token = strdup(next);
		if (!token)
			return err_nomem(e);
	}
}

const struct source_type source_ebs = {
	.name = "ebs",
	.summary = "snapshots of EBS",
	.keys = "region endpoint-url profile owners",
	.by_owner = true,
	.aws = true,
	.owns = ebs_owns,
	.find = ebs_find,
	.list = ebs_list,
};
