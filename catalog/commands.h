/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of catalog, and the options that those which talk to a cloud share. */
#ifndef CATALOG_COMMANDS_H
#define CATALOG_COMMANDS_H

#include "catalog/catalog.h"
#include "lib/cli.h"

int cmd_list(const struct cli_command *self, int argc, char **argv);
int cmd_search(const struct cli_command *self, int argc, char **argv);
int cmd_source(const struct cli_command *self, int argc, char **argv);
int cmd_show(const struct cli_command *self, int argc, char **argv);
int cmd_import(const struct cli_command *self, int argc, char **argv);
int cmd_images(const struct cli_command *self, int argc, char **argv);
int cmd_rm(const struct cli_command *self, int argc, char **argv);
int cmd_tag(const struct cli_command *self, int argc, char **argv);
int cmd_clone(const struct cli_command *self, int argc, char **argv);
int cmd_commit(const struct cli_command *self, int argc, char **argv);
int cmd_gc(const struct cli_command *self, int argc, char **argv);
int cmd_verify(const struct cli_command *self, int argc, char **argv);
int cmd_export(const struct cli_command *self, int argc, char **argv);
int cmd_template(const struct cli_command *self, int argc, char **argv);
int cmd_run(const struct cli_command *self, int argc, char **argv);

/* Their options, for --help, where there are many. */
extern const char cmd_import_help[];
extern const char cmd_export_help[];
extern const char cmd_template_help[];

/* Values of long options without a letter. */
enum {
	OPT_PROFILE = 0x100,
	OPT_REGION,
	OPT_ENDPOINT,
	OPT_SOURCE,
	OPT_OFFLINE,
	OPT_REFRESH,
	OPT_STORE,
	OPT_OTHER, /* a command's own begin here */
};

#define CLOUD_OPTIONS                                                                              \
	{"profile", required_argument, NULL, OPT_PROFILE},                                         \
		{"region", required_argument, NULL, OPT_REGION},                                   \
		{"endpoint-url", required_argument, NULL, OPT_ENDPOINT},                           \
		{"source", required_argument, NULL, OPT_SOURCE},                                   \
		{"offline", no_argument, NULL, OPT_OFFLINE},                                       \
	{                                                                                          \
		"refresh", no_argument, NULL, OPT_REFRESH                                          \
	}

#define CLOUD_HELP                                                                                 \
	"      --profile NAME          profile of the AWS configuration files\n"                   \
	"      --region NAME           region to ask\n"                                            \
	"      --endpoint-url URL      a compatible cloud's endpoint, for every service\n"         \
	"      --source NAME           this source alone (catalog source list)\n"                  \
	"      --offline               no server is asked: what was read before\n"                 \
	"      --refresh               ask again, however young what was read is\n"

#define STORE_OPTION                                                                               \
	{                                                                                          \
		"store", required_argument, NULL, OPT_STORE                                        \
	}
#define STORE_HELP "      --store DIR             the local store\n"

/* The value of the first of two variables that is set and not empty, or NULL. */
const char *env_or(const char *name, const char *other);

/* True if opt was one of CLOUD_OPTIONS; its value (optarg) is taken. */
bool cloud_option(struct cloud_options *o, int opt);

#endif
