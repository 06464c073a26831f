/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all command lines share: a table of subcommands, --help and --version, completion in
 * shells, usage errors (exit 2), exit codes.
 */
#ifndef LIB_CLI_H
#define LIB_CLI_H

#include <getopt.h>

#include "lib/err.h"

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_FOUND = 3,  /* a check found something, a comparison a difference */
	EXIT_DEFECT = 4, /* a process that worked for us died (EOWNERDEAD) */
};

/*
 * Completion reads the two texts too, so they keep a form: an option's line is "  -x, --long VALUE",
 * what it does begins behind 30 characters, or on the next line, behind 30 blanks.
 */
struct cli_command {
	const char *name;
	const char *args;    /* synopsis behind the name: "[-f FMT] SRC DST" */
	const char *summary; /* one line */
	const char *help;    /* the options, a line each, for --help; NULL: none */
	int (*run)(const struct cli_command *self, int argc, char **argv); /* exit status */
};

/* What a word that stands for a value in these texts can be. */
enum cli_value_kind {
	CLI_VALUE_ANY, /* nothing can be offered */
	CLI_VALUE_FILE,
	CLI_VALUE_DIR,
	CLI_VALUE_ONE_OF,
	CLI_VALUE_LIST, /* of them, separated by commas */
};
struct cli_value {
	const char *word; /* "FMT" */
	enum cli_value_kind kind;
	const char *values; /* ONE_OF, LIST: separated by blanks; those that end with = go on */
};

struct cli_program {
	const char *name;
	const char *about;                  /* one sentence */
	const char *features;               /* behind the version in --version; NULL: nothing */
	const struct cli_command *commands; /* ended by a row without a name */
	/*
	 * The program's own words, ended by a row without one; NULL: none. FILE, DIR, TAR and
	 * "this|that" are known.
	 */
	const struct cli_value *values;
};

/*
 * Runs the subcommand that argv names. Handles -h, --help, --version, `help [COMMAND]` and
 * `completion SHELL` itself, sets up the log under the program's name, installs lib/stop.h.
 */
int cli_main(const struct cli_program *program, int argc, char **argv);

/*
 * getopt_long for a subcommand; every table gets -h, --help (prints to stdout, exits 0),
 * -q, --quiet (no progress, no info) and -v, --verbose in addition. Returns as getopt_long; a
 * wrong option ends the program with a usage error. argv[0] is the command's name.
 */
int cli_getopt(const struct cli_command *self, int argc, char **argv, const char *shortopts,
	       const struct option *longopts);

/* "PROGRAM COMMAND: text" and "try 'PROGRAM COMMAND --help'" on stderr; returns EXIT_USAGE. */
int cli_usage(const struct cli_command *self, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "PROGRAM: message" on stderr; returns EXIT_FAILED or EXIT_DEFECT, or 128 + N when a signal
 * stopped us. */
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
