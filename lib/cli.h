/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all command lines share: a table of subcommands, --help and --version, usage errors
 * (exit 2), exit codes.
 */
#ifndef LIB_CLI_H
#define LIB_CLI_H

#include <getopt.h>

#include "lib/err.h"

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_FOUND = 3, /* a check found something, a comparison a difference */
};

struct cli_command {
	const char *name;
	const char *args;    /* synopsis behind the name: "[-f FMT] SRC DST" */
	const char *summary; /* one line */
	const char *help;    /* the options, a line each, for --help; NULL: none */
	int (*run)(const struct cli_command *self, int argc, char **argv); /* exit status */
};

/*
 * Runs the subcommand that argv names; a table ends with a row without a name. Handles -h, --help,
 * --version and `help [COMMAND]` itself, sets up the log under `program`, installs lib/stop.h.
 * about: one sentence. features: what --version lists behind the version, NULL for none.
 */
int cli_main(const char *program, const char *about, const char *features,
	     const struct cli_command *commands, int argc, char **argv);

/*
 * getopt_long for a subcommand; every table gets -h, --help (prints to stdout, exits 0),
 * -q, --quiet (no progress, no info) and -v, --verbose in addition. Returns as getopt_long; a
 * wrong option ends the program with a usage error. argv[0] is the command's name.
 */
int cli_getopt(const struct cli_command *self, int argc, char **argv, const char *shortopts,
	       const struct option *longopts);

/* "PROGRAM COMMAND: text" and "try 'PROGRAM COMMAND --help'" on stderr; returns EXIT_USAGE. */
int cli_usage(const struct cli_command *self, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "PROGRAM: message" on stderr; returns EXIT_FAILED, or 128 + N when a signal stopped us. */
int cli_fail(const struct err *e);

/* For -o: "text" (default) or "json". Errors: EINVAL. */
enum cli_output {
	CLI_TEXT,
	CLI_JSON,
};
int cli_output_parse(const char *s, enum cli_output *ret, struct err *e);

/* Flushes stdout; an error there (full disk, closed pipe) is a failure. Returns the exit status. */
int cli_finish(int status);

#endif
