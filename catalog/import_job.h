/* SPDX-License-Identifier: Apache-2.0 */
/* Inside import: what its steps share. One import on its way. */
#ifndef CATALOG_IMPORT_JOB_H
#define CATALOG_IMPORT_JOB_H

#include "catalog/catalog.h"
#include "catalog/import.h"
#include "catalog/target.h"

struct import_job {
	struct catalog *catalog;
	struct session session; /* with the image's source */
	const struct import_opts *opts;
	struct catalog_image image;
	struct catalog_image wanted; /* what was asked for, where image is another in its place */
	char *copy_journal;          /* path; NULL: no copy was asked for */
	char *name;
	const struct delivery_type *delivery; /* NULL: as a file */
	struct store_import *import;
	char *disk;     /* path */
	char *parts;    /* path of what session.keep is */
	bool partition; /* a bare one, at BOOT_PARTITION_START if it came by a target */
	bool kept;      /* what was fetched is worth keeping */
	struct target *target;
	struct fetch_report report;
	struct boot_report boot;
	bool booted; /* boot is filled */
	struct inject_report inject;
	bool injected;
};

/* ---- import_fetch.c ---- */

/* What the command line says of fetching. */
void import_set_up(const struct import_job *j, struct session *s);
/*
 * Gets the disk, at j->disk, by j->delivery or whatever can stand in its place; fills the report and
 * what is known of the disk. Errors: as import_image; j->kept: another try can go on.
 */
int import_fetch(struct import_job *j, struct err *e);
/* Removes the copy of an AMI that was made for this, if one was. Warns if that fails. */
int import_remove_copy(struct import_job *j);

/* ---- import_record.c ---- */

/* What is known of the image, where it came from and what was done, beside the disk. */
int import_write_record(const struct import_job *j, struct err *e);

#endif
