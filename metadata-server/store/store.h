/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All instances that a server knows, at one moment: an immutable snapshot, found by name or by who
 * asks. A change makes a new one. Where instances come from is a file of its own: directory.c.
 */
#ifndef METADATA_SERVER_STORE_H
#define METADATA_SERVER_STORE_H

#include "context/imds.h"

struct store;

/* Appends to a list that becomes a store; takes *in over, on success alone. */
struct instance_list {
	struct instance **v; /* n */
	size_t n, cap;
};
int instance_list_add(struct instance_list *l, struct instance **in, struct err *e);
void instance_list_release(struct instance_list *l);
DEFINE_AUTO_STRUCT(struct instance_list, instance_list_release);

/*
 * Makes the store of a list, which is empty afterwards. Instances must differ in name and
 * instance id, and no two may be known by the same thing; each fault is reported (see
 * instance_read_yaml). Errors: EEXIST, the first fault; ENOMEM.
 */
int store_new(struct instance_list *l, instance_report_fn *report, void *arg, struct store **ret,
	      struct err *e);
void store_free(struct store *s);
DEFINE_AUTO(struct store *, store_free);

size_t store_count(const struct store *s);
/* In order of their names. */
const struct instance *store_at(const struct store *s, size_t i);
/* NULL if there is none. */
const struct instance *store_find(const struct store *s, const char *name);

/*
 * Who is known by this interface and address in this network namespace (NULL: the server's)? mac_of is asked, at most once, when an instance
 * wants to know the MAC address too; it fills out and returns true, or false if it is not known.
 * Returns how many match, *ret is one of them. The time does not grow with the number of instances.
 */
size_t store_identify(const struct store *s, const char *netns, const char *interface,
		      const char *address, bool (*mac_of)(void *arg, char out[18]), void *arg,
		      const struct instance **ret);

/*
 * Puts another instance in the place of the one that has its name, and is known by the same; that
 * one is freed. Takes *in over, on success alone. Errors: ENOENT there is none of that name.
 */
int store_replace(struct store *s, struct instance **in, struct err *e);

/* ---- a folder of definitions ---------------------------------------------------------------- */

#define DIRECTORY_MAX ((size_t)1000000) /* instances */

struct directory; /* a folder, and what was read of it */

int directory_open(const char *path, struct directory **ret, struct err *e);
void directory_free(struct directory *d);
DEFINE_AUTO(struct directory *, directory_free);
/*
 * Reads every NAME.yaml of the folder (others, hidden ones and subfolders are left alone); those
 * that have not changed since the call before are not read again, but with `all`. only (may be
 * NULL): nothing but these files has changed, so the others are not even looked at. All faults are
 * reported, and with one there is no store. Errors: as instance_read_yaml and store_new; errno of
 * opendir.
 */
int directory_load(struct directory *d, bool all, const struct strlist *only,
		   instance_report_fn *report, void *arg, struct store **ret, struct err *e);
/* The same for those who read it once. */
int directory_load_once(const char *path, instance_report_fn *report, void *arg, struct store **ret,
			struct err *e);

#endif
