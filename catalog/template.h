/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Definitions of virtual machines that boot an image of the store elsewhere. One struct template_type
 * a kind of hypervisor or manager, each in its own file; template.c lists them.
 */
#ifndef CATALOG_TEMPLATE_H
#define CATALOG_TEMPLATE_H

#include "catalog/run.h"

/* From the command line; NULL and 0: not given. */
struct template_opts {
	const char *image;
	const char *disk;     /* path of the first disk, as the other host has it */
	const char *iso;      /* path of a context ISO there */
	const char *instance; /* qemu: an instance file of metadata-server */
	const char *network;
	const char *uuid;
	const char *firmware; /* "bios", "uefi" */
	enum run_accel accel; /* RUN_AUTO: for qemu what works here, else KVM */
	uint64_t memory;      /* bytes; 0: 1 GiB */
	unsigned cpus;        /* 0: 2 */
};

/* What a definition is made of. */
struct template
{
	struct store *store;
	const struct template_opts *opts;
	struct value *record;
	struct facts facts;
	struct vm vm; /* machine, firmware, bus, disks, SMBIOS */
	bool layered; /* the first disk is not whole without its base */
};
void template_release(struct template *t);
DEFINE_AUTO_STRUCT(struct template, template_release);
int template_open(struct store *s, const struct template_opts *o, struct template *ret,
		  struct err *e);

struct template_type {
	const char *name; /* of --for */
	int (*write)(const struct template *t, struct buf *out, struct err *e);
	/* The options of template_opts that it takes, as "--iso --accel": others are refused. */
	const char *options;
	bool nvme; /* its machines can have disks by NVMe */
};
extern const struct template_type *const template_types[]; /* ended by NULL */
/* Checks what was given on the command line for a kind. Errors: EINVAL. */
int template_check(const struct template_type *t, const struct template_opts *o, struct err *e);

extern const struct template_type template_libvirt, template_qemu, template_opennebula,
	template_opennebula_image, template_proxmox;

#endif
