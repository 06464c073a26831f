/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: what its subcommands share. */
#ifndef BUNDLE_CMD_H
#define BUNDLE_CMD_H

#include "bundle/open.h"
#include "lib/cli.h"

int cmd_create(const struct cli_command *self, int argc, char **argv);
int cmd_download(const struct cli_command *self, int argc, char **argv);
int cmd_migrate(const struct cli_command *self, int argc, char **argv);
int cmd_open(const struct cli_command *self, int argc, char **argv);
int cmd_upload(const struct cli_command *self, int argc, char **argv);
int cmd_verify(const struct cli_command *self, int argc, char **argv);
int cmd_info(const struct cli_command *self, int argc, char **argv);

enum {
	OPT_CERT = 256,
	OPT_REQUIRE_SIGNATURE,
	OPT_IGNORE_SIGNATURE,
};
#define BUNDLE_SHORTOPTS "k:d:"
/* clang-format off */
#define BUNDLE_LONGOPTS                                                                            \
	{"key", required_argument, NULL, 'k'},                                                     \
	{"cert", required_argument, NULL, OPT_CERT},                                               \
	{"parts", required_argument, NULL, 'd'},                                                   \
	{"require-signature", no_argument, NULL, OPT_REQUIRE_SIGNATURE},                           \
	{"ignore-signature", no_argument, NULL, OPT_IGNORE_SIGNATURE}
/* clang-format on */
#define BUNDLE_HELP                                                                                \
	"  -k, --key FILE              RSA private key, PEM (default: $EC2_PRIVATE_KEY)\n"         \
	"  --cert FILE                 the signer's certificate or public key (default: "          \
	"$EC2_CERT)\n"                                                                             \
	"  -d, --parts DIR             where the parts are (default: beside the manifest)\n"       \
	"  --require-signature         fail if the signature cannot be checked\n"                  \
	"  --ignore-signature          do not check the signature\n"

/* Defaults from the environment. */
void bundle_args_init(struct bundle_args *a);
/* Takes one of the options above; false: it is none of them. */
bool bundle_args_take(struct bundle_args *a, int opt, const char *value);
/* 0, or an exit status: what contradicts itself. */
int bundle_args_check(const struct cli_command *self, const struct bundle_args *a);

#endif
