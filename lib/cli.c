/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: see lib/cli.h. */
#include "lib/cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/completion.h"
#include "lib/log.h"
#include "lib/progress.h"
#include "lib/stop.h"
#include "lib/version.h"

#define OPTIONS_MAX 64
#define SHORT_MAX 128

static const struct cli_program *program;

static int run_completion(const struct cli_command *self, int argc, char **argv)
{
	struct err e;

	if (cli_getopt(self, argc, argv, "", NULL) != -1)
		return EXIT_USAGE;
	if (argc - optind != 1)
		return cli_usage(self, "give a shell: bash or zsh");
	if (completion_print(program, argv[optind], &e) < 0)
		return cli_usage(self, "%s", e.msg);
	return cli_finish(EXIT_OK);
}

const struct cli_command completion_command = {
	.name = "completion",
	.args = "bash|zsh",
	.summary = "print the script that completes command lines in a shell",
	.run = run_completion,
};

static void print_program_help(FILE *to)
{
	fprintf(to, "usage: %s COMMAND [OPTION]... [ARGUMENT]...\n\n%s\n\ncommands:\n",
		program->name, program->about);
	for (const struct cli_command *c = program->commands; c->name; c++)
		fprintf(to, "  %-10s %s\n", c->name, c->summary);
	fprintf(to, "  %-10s %s\n", completion_command.name, completion_command.summary);
	fprintf(to, "\n'%s COMMAND --help' shows a command's options; 'man %s' tells all.\n",
		program->name, program->name);
}

static void print_command_help(const struct cli_command *c)
{
	printf("usage: %s %s %s\n\n%s\n", program->name, c->name, c->args, c->summary);
	printf("\noptions:\n%s%s", c->help ? c->help : "", COMMON_HELP);
}

static const struct cli_command *find(const char *name)
{
	for (const struct cli_command *c = program->commands; c->name; c++) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return strcmp(name, completion_command.name) == 0 ? &completion_command : NULL;
}

static int unknown(const char *what, const char *name)
{
	fprintf(stderr, "%s: %s '%s'; try '%s --help'\n", program->name, what, name, program->name);
	return EXIT_USAGE;
}

int cli_main(const struct cli_program *p, int argc, char **argv)
{
	const struct cli_command *c;
	const char *word = argc > 1 ? argv[1] : NULL;

	program = p;
	log_init(p->name);
	stop_install();
	if (!word) {
		print_program_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0 ||
	    (strcmp(word, "help") == 0 && argc == 2)) {
		print_program_help(stdout);
		return cli_finish(EXIT_OK);
	}
	if (strcmp(word, "--version") == 0) {
		printf("%s (Acclimate) %s\n", p->name, ACCLIMATE_VERSION);
		if (p->features)
			printf("%s\n", p->features);
		return cli_finish(EXIT_OK);
	}
	if (strcmp(word, "help") == 0) {
		c = find(argv[2]);
		if (!c)
			return unknown("no command", argv[2]);
		print_command_help(c);
		return cli_finish(EXIT_OK);
	}
	if (word[0] == '-')
		return unknown("no option", word);
	c = find(word);
	if (!c)
		return unknown("no command", word);
	return c->run(c, argc - 1, argv + 1);
}

int cli_getopt(const struct cli_command *self, int argc, char **argv, const char *shortopts,
	       const struct option *longopts)
{
	static const struct option common[] = {
		{"help", no_argument, NULL, 'h'},
		{"quiet", no_argument, NULL, 'q'},
		{"verbose", no_argument, NULL, 'v'},
	};
	struct option all[OPTIONS_MAX] = {0};
	char shorts[SHORT_MAX];
	size_t n = 0;
	int opt;

	while (longopts && longopts[n].name && n < OPTIONS_MAX - ARRAY_SIZE(common) - 1) {
		all[n] = longopts[n];
		n++;
	}
	memcpy(all + n, common, sizeof(common));
	snprintf(shorts, sizeof(shorts), ":%shqv", shortopts);
	for (;;) {
		opt = getopt_long(argc, argv, shorts, all, NULL);
		switch (opt) {
		case 'h':
			print_command_help(self);
			exit(cli_finish(EXIT_OK));
		case 'q':
			progress_set_mode(PROGRESS_OFF);
			log_set_level(LOG_LEVEL_WARN);
			continue;
		case 'v':
			log_set_level(LOG_LEVEL_DEBUG);
			continue;
		case ':':
			exit(cli_usage(self, "option '%s' needs a value", argv[optind - 1]));
		case '?':
			if (optopt && optopt < 128)
				exit(cli_usage(self, "no option '-%c'", optopt));
			exit(cli_usage(self, "no option '%s'", argv[optind - 1]));
		default:
			return opt;
		}
	}
}

int cli_usage(const struct cli_command *self, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s %s: ", program->name, self->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; try '%s %s --help'\n", program->name, self->name);
	return EXIT_USAGE;
}

int cli_fail(const struct err *e)
{
	log_err("%s", e->msg);
	return stop_exit_status(e->code == EOWNERDEAD ? EXIT_DEFECT : EXIT_FAILED);
}

int cli_output_parse(const char *s, enum cli_output *ret, struct err *e)
{
	if (strcmp(s, "text") == 0)
		*ret = CLI_TEXT;
	else if (strcmp(s, "json") == 0)
		*ret = CLI_JSON;
	else
		return err_set(e, EINVAL, "output '%s' is neither text nor json", s);
	return 0;
}

int cli_finish(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log_err("writing standard output: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return stop_exit_status(status);
}
