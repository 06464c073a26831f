/* SPDX-License-Identifier: Apache-2.0 */
/* RegisterImage (EC2 2016-11-15): snapshots, or a bundle in S3, become an AMI; and the target ec2. */
#include <stdio.h>

#include "catalog/export.h"
#include "catalog/parse.h"
#include "lib/log.h"
#include "lib/str.h"

#define PARAMS_MAX 64

/* Parameters; the values that were made belong to it. */
struct params {
	struct aws_param items[PARAMS_MAX]; /* n */
	size_t n;
	char *made[PARAMS_MAX]; /* n_made */
	size_t n_made;
	bool failed;
};

static void params_release(struct params *p)
{
	for (size_t i = 0; i < p->n_made; i++)
		free(p->made[i]);
}
DEFINE_AUTO_STRUCT(struct params, params_release);

static void add(struct params *p, const char *name, const char *value)
{
	if (p->n == PARAMS_MAX)
		p->failed = true;
	else if (value)
		p->items[p->n++] = (struct aws_param){name, value};
}

static const char *made(struct params *p, char *text)
{
	if (!text || p->n_made == PARAMS_MAX) {
		free(text);
		p->failed = true;
		return NULL;
	}
	return p->made[p->n_made++] = text;
}

/* The first is the root, the others come where the source had them, or behind it. */
static void add_snapshots(struct params *p, const char *root, char *const *snapshots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *device =
			i == 0 ? root : made(p, str_format("/dev/sd%c", (char)('e' + i)));

		add(p, made(p, str_format("BlockDeviceMapping.%zu.DeviceName", i + 1)), device);
		add(p, made(p, str_format("BlockDeviceMapping.%zu.Ebs.SnapshotId", i + 1)),
		    snapshots[i]);
		add(p, made(p, str_format("BlockDeviceMapping.%zu.Ebs.DeleteOnTermination", i + 1)),
		    "true");
	}
}

static int new_id(const struct xml_node *root, char **ret, struct err *e)
{
	const char *id = xml_child_text(root, "imageId", NULL);

	if (!id || !(str_has_prefix(id, "ami-") || str_has_prefix(id, "emi-")))
		return err_set(e, EBADMSG, "RegisterImage tells no id");
	*ret = strdup(id);
	return *ret ? 0 : err_nomem(e);
}

/* Whether an AMI of ours has that name and is of what was just made: then the answer to a request that
 * was repeated was lost, not the request. *ret_id stays NULL if there is none. */
static int find_registered(struct session *s, const char *name, const char *snapshot,
			   const char *location, char **ret_id, struct err *e)
{
	const struct aws_param params[] = {
		{"Owner.1", "self"},
		{"Filter.1.Name", "name"},
		{"Filter.1.Value.1", name},
	};
	AUTO(xml_free) struct xml_node *root = NULL;
	AUTO(catalog_image_release) struct catalog_image im = {0};
	const struct xml_node *item;
	int rc = aws_ec2(s->aws, s->http, "DescribeImages", params, ARRAY_SIZE(params), &root, NULL,
			 e);

	item = rc == 0 ? xml_path(root, "imagesSet/item") : NULL;
	if (!item)
		return rc;
	rc = ec2_image(item, &im, e);
	if (rc == 0 && ((snapshot && im.snapshot && strcmp(im.snapshot, snapshot) == 0) ||
			(location && im.location && strcmp(im.location, location) == 0)))
		*ret_id = STEAL(im.id);
	return rc;
}

int ec2_register(struct session *s, const struct export_source *x, char *const *snapshots,
		 size_t n_snapshots, const char *location, char **ret_id, struct err *e)
{
	AUTO(params_release) struct params p = {0};
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct export_opts *o = x->opts;
	const char *device = store_text(x->record, "source/root-device-name");
	const char *name = o->dest ? o->dest : o->image;
	struct aws_error refused = {0};
	int rc;

	add(&p, "Name", name);
	add(&p, "Description", o->description);
	add(&p, "Architecture", x->architecture);
	if (location) {
		add(&p, "ImageLocation", location);
	} else {
		device = device && str_has_prefix(device, "/dev/") ? device : "/dev/xvda";
		add(&p, "RootDeviceName", device);
		add(&p, "EnaSupport", "true");
		add(&p, "BootMode", export_boot_mode(x));
		add_snapshots(&p, device, snapshots, n_snapshots);
	}
	add(&p, "VirtualizationType", "hvm");
	if (p.failed)
		return err_nomem(e);
	rc = aws_ec2(s->aws, s->http, "RegisterImage", p.items, p.n, &root, &refused, e);
	if (rc < 0 && strcmp(refused.code, "InvalidAMIName.Duplicate") == 0 &&
	    find_registered(s, name, n_snapshots ? snapshots[0] : NULL, location, ret_id, NULL) ==
		    0 &&
	    *ret_id)
		return 0;
	if (rc == 0)
		rc = new_id(root, ret_id, e);
	return rc < 0 ? err_wrap(e, "registering the image") : 0;
}

/* ---- the target ------------------------------------------------------------------------------------- */

static int check(const struct export_opts *o, struct err *e)
{
	static const char *const modes[] = {"legacy-bios", "uefi", "uefi-preferred"};
	bool known = !o->boot_mode;

	for (size_t i = 0; o->boot_mode && i < ARRAY_SIZE(modes); i++)
		known |= strcmp(o->boot_mode, modes[i]) == 0;
	if (!known)
		return err_set(e, EINVAL,
			       "boot mode '%s' is not one of legacy-bios, uefi, "
			       "uefi-preferred",
			       o->boot_mode);
	if (o->bundle && o->parent)
		return err_set(e, EINVAL, "a bundle has no --parent");
	if (!o->bundle && (o->ec2_cert || o->user || o->acl))
		return err_set(e, EINVAL, "--ec2cert, --user and --acl are of bundles (--bundle)");
	return 0;
}

/* What somebody pays for is not to be passed on unseen. */
static void warn_codes(const struct export_source *x)
{
	const char *codes = store_text(x->record, "source/product-codes");

	if (codes && *codes)
		log_warn("the image came with the product codes '%s': whether it may be published "
			 "is for its seller to say",
			 codes);
}

static int upload_disks(struct session *s, const struct export_source *x, struct export_report *ret,
			struct err *e)
{
	int rc = 0;

	if (x->n_disks > 1 && x->opts->parent)
		return err_set(e, EINVAL, "--parent is for images of one disk, '%s' has %u",
			       x->opts->image, x->n_disks);
	for (unsigned n = 0; rc == 0 && n < x->n_disks; n++) {
		rc = ebs_upload(s, x, n, x->opts->parent, &ret->snapshots[n], ret, e);
		ret->n_snapshots = rc == 0 ? n + 1 : n;
		if (rc == 0)
			log_info("disk %u is snapshot '%s'", n, ret->snapshots[n]);
	}
	return rc;
}

static int run(struct session *s, const struct export_source *x, struct export_report *ret,
	       struct err *e)
{
	int rc;

	warn_codes(x);
	rc = x->opts->bundle ? bundle_upload(s, x, &ret->location, ret, e)
			     : upload_disks(s, x, ret, e);
	if (rc == 0 && !x->opts->no_register)
		rc = ec2_register(s, x, ret->snapshots, ret->n_snapshots, ret->location,
				  &ret->image, e);
	return rc;
}

const struct export_type export_ec2 = {
	.name = "ec2",
	.options = "--description --architecture --boot-mode --parent --bundle --ec2cert --user "
		   "--acl --no-register --workers",
	.run = run,
	.check = check,
	.cloud = &source_ec2,
};
