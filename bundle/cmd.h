/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: what its subcommands share. */
#ifndef BUNDLE_CMD_H
#define BUNDLE_CMD_H

#include "bundle/bundle.h"
#include "lib/cli.h"

int cmd_create(const struct cli_command *self, int argc, char **argv);
int cmd_open(const struct cli_command *self, int argc, char **argv);
int cmd_verify(const struct cli_command *self, int argc, char **argv);
int cmd_info(const struct cli_command *self, int argc, char **argv);

/* A bundle as the command line names it. */
struct bundle_args {
	const char *manifest;
	const char *key;       /* NULL: none */
	const char *cert;      /* NULL: none */
	const char *parts_dir; /* NULL: the manifest's folder */
	bool require_signature, ignore_signature;
};

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

/*
 * Checks the signature as far as cert and key allow (warning on stderr where they do not) and, if
 * there is a key, decrypts the secret. *ret_signer: the file that the signature verified with, or
 * NULL.
 */
int bundle_unlock(const struct bundle_args *a, const struct manifest *m,
		  struct bundle_secret *secret, const char **ret_signer, struct err *e);
/* The folder of the parts as a source. */
int bundle_parts(const struct bundle_args *a, const struct manifest *m, struct part_source *ret,
		 struct err *e);

#endif
