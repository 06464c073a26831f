/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dialects: the forms in which clouds hand a context to a guest, each a set of named documents. A
 * reader makes a context of a sealed tree (context/imds.h) of them, a writer the tree of a context.
 * Trees come from and go to folders, ISO images and HTTP.
 *
 *	yaml         instance.yaml: metadata-server.yaml(5)
 *	opennebula   context.sh, and what lies beside it on the image
 *	nocloud      meta-data, user-data, vendor-data, network-config
 *	ovf          ovf-env.xml
 *	ec2          meta-data/instance-id and so on, as below http://169.254.169.254/latest/
 *	cloudstack   latest/meta-data/instance-id and so on, as its virtual router serves them
 *	gce          computeMetadata.json: what "/computeMetadata/v1/?recursive=true" answers
 *	openstack    openstack/latest/meta_data.json, network_data.json, user_data ...: a config
 *	             drive, and what OpenStack serves by HTTP
 */
#ifndef CONTEXT_DIALECTS_H
#define CONTEXT_DIALECTS_H

#include "context/imds.h"

struct context_dialect {
	const char *name;
	const char *image;     /* what an image of it is called; NULL: there are none */
	const char *volume_id; /* of such an image */
	/* The one document that says that a tree is of this dialect. */
	const char *mark;
	/*
	 * source goes into the context. What could not be used is told in notes, a line each (may
	 * be NULL); it never makes the rest unusable. What is returned keeps context_validate.
	 * Errors: EBADMSG a document is malformed; ENOENT the mark is not there; EFBIG; ENOMEM.
	 */
	int (*read)(const struct tree *docs, const char *source, struct strlist *notes,
		    struct context **ret, struct err *e);
	/* Adds to a tree that is not sealed. Errors: EINVAL what cannot be said; ENOMEM. */
	int (*write)(const struct context *c, struct tree *docs, struct err *e);
	/*
	 * The rows (context/fields.h) that it has room for, and so come back as they were: NULL at
	 * the end; "nics.mtu" is a row of a struct, "users" all of its rows, "" everything.
	 */
	const char *const *fields;
};

/* All of them, NULL at the end. */
extern const struct context_dialect *const context_dialects[];
/* NULL if there is none of that name. */
const struct context_dialect *context_dialect(const char *name);

/* Writes, seals. Errors as of write, and tree_seal's. */
int dialect_write(const struct context_dialect *d, const struct context *c, struct tree **ret,
		  struct err *e);
/* Reads, validates. Errors as of read. */
int dialect_read(const struct context_dialect *d, const struct tree *docs, const char *source,
		 struct strlist *notes, struct context **ret, struct err *e);
/* Is there room for what a path of context_compare ("nics[0].mtu") names? */
bool dialect_keeps(const struct context_dialect *d, const char *path);

/*
 * What of c does not come back from documents that the dialect wrote of it: paths, as
 * context_compare gives them. Errors: as of read.
 */
int dialect_lost(const struct context_dialect *d, const struct context *c, const struct tree *docs,
		 struct strlist *ret, struct err *e);

extern const struct context_dialect dialect_yaml;
extern const struct context_dialect dialect_opennebula;
extern const struct context_dialect dialect_nocloud;
extern const struct context_dialect dialect_openstack;
extern const struct context_dialect dialect_ovf;
extern const struct context_dialect dialect_ec2;
extern const struct context_dialect dialect_gce;
extern const struct context_dialect dialect_cloudstack;

#endif
