/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest's cloud-init can be told and no document of its data source has a place for: users,
 * mounts, files, scripts and so on, as a cloud-config and scripts in the vendor-data. The operator's
 * own vendor-data stay in it as they are, and prevail, as user-data do, which are never touched.
 */
#ifndef CONTEXT_CLOUDCONFIG_H
#define CONTEXT_CLOUDCONFIG_H

#include "context/reading.h"

/* What is to be in it, beside what always is. */
struct cloudconfig_scope {
	bool secrets;  /* passwords: root alone reads it */
	bool password; /* the default user's in clear, too */
	bool seed;     /* of the random generator */
	bool files;
};

/* Rows of the model (context/fields.h) that come back by it whatever the scope; NULL at the end. */
#define CLOUDCONFIG_FIELDS                                                                         \
	"default-user.name", "default-user.gecos", "default-user.home", "default-user.shell",      \
		"default-user.primary-group", "default-user.groups", "default-user.sudo",          \
		"default-user.password-hash", "default-user.lock-password", "users",               \
		"ssh-password-login", "time-zone", "locale", "ntp-servers", "grow-root",           \
		"swap-file", "swap-size", "mounts", "scripts", "ready.url"

/*
 * Appends the vendor-data of c; *has: there are some. Vendor-data of the operator that cloud-init
 * would not find again in a message are left alone, and nothing is added to them. Errors: ENOMEM.
 */
int cloudconfig_write(const struct context *c, struct cloudconfig_scope scope, struct buf *out,
		      bool *has, struct err *e);
/* Takes vendor-data into r->c: what the above wrote, or bytes. 0 or -ENOMEM. */
int cloudconfig_read(struct reading *r, const void *data, size_t len);

#endif
