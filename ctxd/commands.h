/* SPDX-License-Identifier: Apache-2.0 */
/* Inside ctxd/: its subcommands and what they share. */
#ifndef CTXD_COMMANDS_H
#define CTXD_COMMANDS_H

#include "ctxd/detect.h"
#include "ctxd/guest.h"
#include "lib/cli.h"

int cmd_detect(const struct cli_command *self, int argc, char **argv);
int cmd_local(const struct cli_command *self, int argc, char **argv);
int cmd_network(const struct cli_command *self, int argc, char **argv);
int cmd_final(const struct cli_command *self, int argc, char **argv);
int cmd_update(const struct cli_command *self, int argc, char **argv);
int cmd_watch(const struct cli_command *self, int argc, char **argv);
int cmd_imds(const struct cli_command *self, int argc, char **argv);
int cmd_undo(const struct cli_command *self, int argc, char **argv);

#define WAIT_MS_DEFAULT 60000

enum {
	OPT_ROOT = 256,
	OPT_DEV,
	OPT_WAIT,
	OPT_FORCE,
};

/*
 * A stage's command line: -n, and of --root, --dev, --wait and --force those that are among the options. o
 * may be NULL where only the first two are. Returns 0, or the status to exit with.
 */
int parse_stage(const struct cli_command *self, int argc, char **argv, const struct option *options,
		struct guest *g, struct detect_opts *o);
/* --root DIR. Sets root and live. Errors: EINVAL. */
int set_root(struct guest *g, const char *dir, struct err *e);
/* --wait SECONDS. Errors: EINVAL. */
int set_wait(struct detect_opts *o, const char *seconds, struct err *e);

#endif
