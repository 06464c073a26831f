/* SPDX-License-Identifier: Apache-2.0 */
/* The image that is exported, and the registry of targets: see catalog/export.h. */
#include "catalog/export.h"
#include "catalog/facts.h"
#include "lib/log.h"
#include "lib/str.h"

const struct export_type *const export_types[] = {
	&export_ec2, &export_s3, &export_glance, &export_file, NULL,
};

const struct export_type *export_find_type(const char *name)
{
	for (size_t i = 0; export_types[i]; i++) {
		if (strcmp(export_types[i]->name, name) == 0)
			return export_types[i];
	}
	return NULL;
}

/* One that is given and not taken. NULL: none. */
static const char *not_taken(const struct export_type *t, const struct export_opts *o)
{
	const struct {
		const char *name;
		bool given;
	} options[] = {
		{"--format", o->format != NULL},
		{"--compress", o->compression != IMAGE_COMPRESS_NONE},
		{"--description", o->description != NULL},
		{"--architecture", o->architecture != NULL},
		{"--boot-mode", o->boot_mode != NULL},
		{"--parent", o->parent != NULL},
		{"--bundle", o->bundle != NULL},
		{"--ec2cert", o->ec2_cert != NULL},
		{"--user", o->user != NULL},
		{"--acl", o->acl != NULL},
		{"--no-register", o->no_register},
		{"--force", o->replace},
		{"--workers", o->workers != 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].given && !str_has_word(t->options, options[i].name))
			return options[i].name;
	}
	return NULL;
}

int export_check(const struct export_type *t, const struct export_opts *o, struct err *e)
{
	const char *name = not_taken(t, o);

	if (name)
		return err_set(e, EINVAL, "%s has no effect with --to %s, which takes %s", name,
			       t->name, t->options);
	if (o->architecture && strcmp(o->architecture, "x86_64") != 0 &&
	    strcmp(o->architecture, "arm64") != 0)
		return err_set(e, EINVAL, "architecture '%s' is neither x86_64 nor arm64",
			       o->architecture);
	return t->check(o, e);
}

void export_report_release(struct export_report *r)
{
	free(r->location);
	free(r->image);
	for (size_t i = 0; i < r->n_snapshots; i++)
		free(r->snapshots[i]);
	*r = (struct export_report){0};
}

void export_source_release(struct export_source *x)
{
	for (unsigned n = 0; n < x->n_disks; n++) {
		if (x->disks[n].im)
			image_close(x->disks[n].im);
		if (x->disks[n].held >= 0)
			close(x->disks[n].held);
		store_disk_release(&x->disks[n].disk);
	}
	value_free(x->record);
	*x = (struct export_source){0};
}

/* A clone must not change while it is read. */
static int open_disk(struct export_source *x, unsigned n, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_ALLOW_BACKING};
	struct export_disk *d = &x->disks[n];
	int rc = store_find_disk(x->store, x->opts->image, n, &d->disk, e);

	if (rc == 0)
		rc = d->disk.kind == STORE_DISK_CLONE ? store_claim(&d->disk, &d->held, e)
						      : store_hold(&d->disk, &d->held, e);
	return rc < 0 ? rc : image_open(d->disk.path, &o, &d->im, e);
}

int export_source_open(struct store *s, const struct export_opts *o, struct export_source *ret,
		       struct err *e)
{
	AUTO(facts_release) struct facts facts = {0};
	const char *arch;
	unsigned n_disks = 0;
	int rc;

	*ret = (struct export_source){.store = s, .opts = o};
	rc = store_record(s, o->image, &ret->record, e);
	if (rc == 0)
		rc = store_count_disks(s, o->image, &n_disks, e);
	for (unsigned n = 0; rc == 0 && n < n_disks; n++) {
		ret->disks[n].held = -1;
		ret->n_disks = n + 1;
		rc = open_disk(ret, n, e);
	}
	if (rc == 0)
		rc = facts_read(s, o->image, &facts, e);
	if (rc < 0)
		return rc;
	arch = o->architecture ? o->architecture : store_text(ret->record, "source/architecture");
	ret->architecture = arch ? arch : facts.arm64 ? "arm64" : "x86_64";
	ret->bios = facts.bios;
	ret->uefi = facts.uefi;
	return 0;
}

const char *export_boot_mode(const struct export_source *x)
{
	if (x->opts->boot_mode)
		return x->opts->boot_mode;
	return x->bios && x->uefi ? "uefi-preferred"
	       : x->uefi          ? "uefi"
	       : x->bios          ? "legacy-bios"
				  : NULL;
}

const char *export_acl(const struct export_opts *o, const char *otherwise)
{
	if (!o->acl)
		return otherwise;
	return strcmp(o->acl, "none") == 0 ? NULL : o->acl;
}
