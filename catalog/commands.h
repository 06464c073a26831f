/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of catalog, and the options that those which talk to a cloud share. */
#ifndef CATALOG_COMMANDS_H
#define CATALOG_COMMANDS_H

#include "catalog/source.h"
#include "lib/cli.h"

int cmd_list(const struct cli_command *self, int argc, char **argv);
int cmd_show(const struct cli_command *self, int argc, char **argv);
int cmd_import(const struct cli_command *self, int argc, char **argv);
int cmd_images(const struct cli_command *self, int argc, char **argv);
int cmd_rm(const struct cli_command *self, int argc, char **argv);
int cmd_tag(const struct cli_command *self, int argc, char **argv);
int cmd_clone(const struct cli_command *self, int argc, char **argv);
int cmd_commit(const struct cli_command *self, int argc, char **argv);
int cmd_gc(const struct cli_command *self, int argc, char **argv);
int cmd_verify(const struct cli_command *self, int argc, char **argv);
int cmd_run(const struct cli_command *self, int argc, char **argv);

/* Values of long options without a letter. */
enum {
	OPT_PROFILE = 0x100,
	OPT_REGION,
	OPT_ENDPOINT,
	OPT_STORE,
	OPT_OTHER, /* a command's own begin here */
};

#define CLOUD_OPTIONS                                                                              \
	{"profile", required_argument, NULL, OPT_PROFILE},                                         \
		{"region", required_argument, NULL, OPT_REGION},                                   \
	{                                                                                          \
		"endpoint-url", required_argument, NULL, OPT_ENDPOINT                              \
	}

#define CLOUD_HELP                                                                                 \
	"      --profile NAME          profile of the AWS configuration files\n"                   \
	"      --region NAME           region to ask\n"                                            \
	"      --endpoint-url URL      a compatible cloud's endpoint, for every service\n"

#define STORE_OPTION                                                                               \
	{                                                                                          \
		"store", required_argument, NULL, OPT_STORE                                        \
	}
#define STORE_HELP "      --store DIR             the local store\n"

struct cloud_options {
	struct aws_options aws;
};
/* True if opt was one of CLOUD_OPTIONS; its value (optarg) is taken. */
bool cloud_option(struct cloud_options *o, int opt);
/* Opens the session that the options describe; released by session_close. */
int session_open(const struct cloud_options *o, struct session *ret, struct err *e);
void session_close(struct session *s);
DEFINE_AUTO_STRUCT(struct session, session_close);

#endif
