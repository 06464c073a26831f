/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion of command lines in bash and zsh, made out of the texts of --help. Private to
 * lib/cli.c and its own files: completion.c reads the texts, completion_bash.c and completion_zsh.c
 * print the scripts.
 */
#ifndef LIB_COMPLETION_H
#define LIB_COMPLETION_H

#include <stdio.h>

#include "lib/cli.h"

/* The options of every command. */
#define COMMON_HELP                                                                                \
	"  -q, --quiet                 no progress, no remarks\n"                                  \
	"  -v, --verbose               say more\n"                                                 \
	"  -h, --help                  show this help\n"

/* Prints the script for "bash" or "zsh" to standard output. Errors: EINVAL another shell. */
int completion_print(const struct cli_program *p, const char *shell, struct err *e);
void completion_bash(const struct cli_program *p, FILE *out);
void completion_zsh(const struct cli_program *p, FILE *out);

/* The row of `completion` itself, which every program has. */
extern const struct cli_command completion_command;

/* An option, as its lines in --help have it. Texts that are too long are cut. */
struct completion_option {
	char letter; /* "-f"; '\0': none */
	char name[40];
	char word[48]; /* "FMT"; empty: it takes no value */
	char text[240];
};

/* Walks over the options of a command, those that all commands have last. */
struct completion_options {
	const char *at;   /* what has not been read yet */
	const char *then; /* what follows it; NULL: nothing */
};
struct completion_options completion_options_of(const struct cli_command *c);
/* False at the end. */
bool completion_next(struct completion_options *it, struct completion_option *ret);

/* The arguments that are no options: the words of a command's synopsis outside of brackets. */
#define COMPLETION_ARGUMENTS_MAX 8
struct completion_arguments {
	char words[COMPLETION_ARGUMENTS_MAX][48]; /* n of them, in their order */
	size_t n;
	bool repeats; /* the last one */
};
void completion_arguments_of(const struct cli_command *c, struct completion_arguments *ret);

/* What a word stands for. */
struct completion_value {
	enum cli_value_kind kind;
	char values[2048]; /* ONE_OF, LIST: separated by blanks */
};
void completion_value_of(const struct cli_program *p, const char *word,
			 struct completion_value *ret);

#endif
