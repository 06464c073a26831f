/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of imgconv, one in each cmd_*.c; the table is in main.c. */
#ifndef IMGCONV_COMMANDS_H
#define IMGCONV_COMMANDS_H

#include "lib/cli.h"

int cmd_convert(const struct cli_command *self, int argc, char **argv);
int cmd_info(const struct cli_command *self, int argc, char **argv);
int cmd_check(const struct cli_command *self, int argc, char **argv);
int cmd_compare(const struct cli_command *self, int argc, char **argv);
int cmd_map(const struct cli_command *self, int argc, char **argv);
int cmd_measure(const struct cli_command *self, int argc, char **argv);
int cmd_create(const struct cli_command *self, int argc, char **argv);
int cmd_resize(const struct cli_command *self, int argc, char **argv);
int cmd_bootable(const struct cli_command *self, int argc, char **argv);
int cmd_inject(const struct cli_command *self, int argc, char **argv);
int cmd_ls(const struct cli_command *self, int argc, char **argv);
int cmd_cat(const struct cli_command *self, int argc, char **argv);

#endif
