/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of metadata-server; main.c has them in the order in which --help shows them. */
#ifndef METADATA_SERVER_COMMANDS_H
#define METADATA_SERVER_COMMANDS_H

#include "lib/buf.h"
#include "lib/cli.h"

extern const struct cli_command serve_command;
extern const struct cli_command check_command;
extern const struct cli_command list_command;
extern const struct cli_command show_command;
extern const struct cli_command get_command;
extern const struct cli_command iso_command;
extern const struct cli_command convert_command;
extern const struct cli_command event_command;
extern const struct cli_command guest_command;
extern const struct cli_command status_command;
extern const struct cli_command reload_command;
extern const struct cli_command rules_command;

/* Asks the running server: an answer in JSON goes to stdout, faults to stderr. An exit status. */
int cmd_ask(const char *socket_path, const char *method, const char *target, const char *body);
/*
 * Appends "/v1/instances/NAME/WHAT", and "/PART" where there is one, escaped. Errors: ENOMEM; EINVAL
 * name is not an instance's, or part is empty.
 */
int cmd_instance_target(const char *name, const char *what, const char *part, struct buf *out,
			struct err *e);

int cmd_iso(const struct cli_command *self, int argc, char **argv);

#endif
