/* SPDX-License-Identifier: Apache-2.0 */
/* What an image of the store needs to boot, found out by looking at its first disk, in a sandbox. */
#ifndef CATALOG_FACTS_H
#define CATALOG_FACTS_H

#include "catalog/store.h"

struct facts {
	bool bios, uefi;    /* boot loaders that firmware of this kind finds */
	bool arm64;         /* for arm64; else for x86-64 */
	bool has_kernel;    /* a kernel was found, and so the bus is known */
	bool no_virtio_net; /* its kernel has no driver of such a network card */
	char bus[16];       /* boot_bus_name of the best one: "virtio"; "unknown" */
	char *os;           /* PRETTY_NAME; NULL: not known. Escape it. */
	uint64_t size;      /* of the first disk, bytes */
};
void facts_release(struct facts *f);
DEFINE_AUTO_STRUCT(struct facts, facts_release);

/* What cannot be found out is left; an image that cannot be parsed at all is no error. Errors: those
 * of store_find_disk, and of the sandbox. */
int facts_read(const struct store *s, const char *name, struct facts *ret, struct err *e);

#endif
