/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was applied once and is then the guest's: passwords, files, scripts. Each has a key and a
 * value that changes when what is to be applied does, in APPLIED_PATH (mode 0600): so a person's
 * later change stays until the context itself changes.
 */
#ifndef CTXD_APPLIED_H
#define CTXD_APPLIED_H

#include "ctxd/guest.h"

#define APPLIED_PATH "/var/lib/ctxd/applied"
#define APPLIED_VALUE_MAX 512

/* The value of a key, "" if there is none; out has room for APPLIED_VALUE_MAX. */
int applied_get(const struct guest *g, const char *key, char *out, struct err *e);
/* Neither key nor value has control characters. With dry_run nothing is noted. */
int applied_set(struct guest *g, const char *key, const char *value, struct err *e);
/* Text that changes with what was added; out has room for 17. FNV-1a, 64 bits: no secret is safe. */
struct applied_digest {
	uint64_t state;
};
#define APPLIED_DIGEST_INIT ((struct applied_digest){UINT64_C(0xcbf29ce484222325)})
void applied_add(struct applied_digest *d, const void *data, size_t len);
void applied_adds(struct applied_digest *d, const char *s); /* NULL counts, too */
void applied_text(const struct applied_digest *d, char out[17]);

#endif
