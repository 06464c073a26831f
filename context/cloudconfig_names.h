/* SPDX-License-Identifier: Apache-2.0 */
/* What cloudconfig_write.c and cloudconfig_read.c share: how cloud-init calls the model's rows. */
#ifndef CONTEXT_CLOUDCONFIG_NAMES_H
#define CONTEXT_CLOUDCONFIG_NAMES_H

#include "context/fields.h"

/* The parts of the message. */
#define CC_CONFIG_TYPE "text/cloud-config"
#define CC_CONFIG_NAME "acclimate.cfg"
#define CC_SCRIPT_TYPE "text/x-shellscript"
#define CC_VENDOR_TYPE "text/plain" /* cloud-init looks what it is */
#define CC_VENDOR_NAME "vendor-data"

#define CC_HEAD "#cloud-config\n"

/* What makes a file system where there is none: the command, by which it is known again. */
#define CC_FORMAT                                                                                  \
	"blkid -p \"$1\" >/dev/null; [ $? -ne 2 ] || mkfs -t \"$2\" ${3:+-L \"$3\"} \"$1\""
#define CC_FORMAT_NAME "format"
#define CC_FORMAT_TYPE "ext4" /* where none is said */

#define CC_ANY_TYPE "auto" /* of a mount */

struct cc_name {
	const char *row, *key;
};

static const struct cc_name cc_top[] = {
	{"ssh-password-login", "ssh_pwauth"},
	{"time-zone", "timezone"},
	{"locale", "locale"},
};

/* sudo has rules of its own. */
static const struct cc_name cc_user[] = {
	{"name", "name"},
	{"gecos", "gecos"},
	{"home", "homedir"},
	{"shell", "shell"},
	{"uid", "uid"},
	{"primary-group", "primary_group"},
	{"groups", "groups"},
	{"ssh-keys", "ssh_authorized_keys"},
	{"password", "plain_text_passwd"},
	{"password-hash", "hashed_passwd"},
	{"lock-password", "lock_passwd"},
	{"system", "system"},
};

static const struct cc_name cc_file[] = {
	{"path", "path"},
	{"mode", "permissions"},
	{"owner", "owner"},
	{"append", "append"},
};

/* The row under cloud-init's name. */
static inline struct context_field cc_field(const struct context_field *table, struct cc_name n)
{
	struct context_field f = *context_field(table, n.row);

	f.name = n.key;
	return f;
}

#endif
