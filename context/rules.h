/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of single values beyond those of context/context.h, for context/fields.c: 0 or -EBADMSG
 * with a message that is the rule.
 */
#ifndef CONTEXT_RULES_H
#define CONTEXT_RULES_H

#include "context/context.h"

int context_check_utf8(const char *s, struct err *e); /* and nothing else */
int context_check_cidr(const char *s, struct err *e);
int context_check_ip(const char *s, struct err *e);
int context_check_ipv4(const char *s, struct err *e);
int context_check_ipv6(const char *s, struct err *e);
int context_check_route(const char *s, struct err *e);
int context_check_interface(const char *s, struct err *e); /* a name that the kernel takes */
int context_check_pci_address(const char *s, struct err *e);
int context_check_host(const char *s, struct err *e); /* a name or an address */
int context_check_url(const char *s, struct err *e);  /* http or https, at most 2048 bytes */
int context_check_user_name(const char *s, struct err *e);
int context_check_passwd_field(const char *s, struct err *e);
int context_check_password(const char *s, struct err *e);
int context_check_secret(const char *s, struct err *e); /* one line of at most 16 KiB */
int context_check_sudo(const char *s, struct err *e);
int context_check_path(const char *s, struct err *e); /* absolute, without "." and ".." */
int context_check_file_name(const char *s, struct err *e);
int context_check_owner(const char *s, struct err *e); /* USER or USER:GROUP */
int context_check_fstab_field(const char *s, struct err *e);
int context_check_time_zone(const char *s, struct err *e);
int context_check_locale(const char *s, struct err *e);
int context_check_count(const char *s, struct err *e); /* a number, 1 to 65535 */
int context_check_spot_action(const char *s, struct err *e);
int context_check_maintenance_state(const char *s, struct err *e);

#endif
