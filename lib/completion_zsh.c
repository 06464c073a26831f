/* SPDX-License-Identifier: Apache-2.0 */
/* The script for zsh, for its own _arguments. See lib/completion.h. */
#include "lib/completion.h"

/* Text in a specification of _arguments, inside of single quotes. */
static void print_text(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else if (strchr("[]:\\", *text))
			fprintf(out, "\\%c", *text);
		else
			putc(*text, out);
	}
}

/* ":FMT:(qcow2 raw)" */
static void print_value(const struct cli_program *p, const char *word, FILE *out)
{
	struct completion_value v;

	completion_value_of(p, word, &v);
	putc(':', out);
	print_text(word, out);
	switch (v.kind) {
	case CLI_VALUE_ANY:
		fputs(": ", out);
		break;
	case CLI_VALUE_FILE:
		fputs(":_files", out);
		break;
	case CLI_VALUE_DIR:
		fputs(":_files -/", out);
		break;
	case CLI_VALUE_ONE_OF:
		fprintf(out, ":(%s)", v.values);
		break;
	case CLI_VALUE_LIST:
		fprintf(out, ":_sequence compadd -S \"\" - %s", v.values);
		break;
	}
}

/* An option that takes a value may come several times, one that does not only once. */
static void print_option(const struct cli_program *p, const struct completion_option *o, FILE *out)
{
	fputs("\t\t\t", out);
	if (o->word[0] && o->letter)
		fprintf(out, "'*'{-%c+,--%s=}'[", o->letter, o->name);
	else if (o->word[0])
		fprintf(out, "'*--%s=[", o->name);
	else if (o->letter)
		fprintf(out, "'(-%c --%s)'{-%c,--%s}'[", o->letter, o->name, o->letter, o->name);
	else
		fprintf(out, "'--%s[", o->name);
	print_text(o->text, out);
	putc(']', out);
	if (o->word[0])
		print_value(p, o->word, out);
	fputs("' \\\n", out);
}

static void print_command(const struct cli_program *p, const struct cli_command *c, FILE *out)
{
	struct completion_options it = completion_options_of(c);
	struct completion_arguments a;
	struct completion_option o;

	fprintf(out, "\t%s)\n\t\t_arguments -s -S \\\n", c->name);
	while (completion_next(&it, &o))
		print_option(p, &o, out);
	completion_arguments_of(c, &a);
	for (size_t i = 0; i < a.n; i++) {
		fprintf(out, "\t\t\t'%s", a.repeats && i + 1 == a.n ? "*" : "");
		print_value(p, a.words[i], out);
		fputs("' \\\n", out);
	}
	fputs("\t\t\t&& ret=0\n\t\t;;\n", out);
}

static void print_summary(const struct cli_command *c, FILE *out)
{
	fprintf(out, "\t\t'%s:", c->name);
	print_text(c->summary, out);
	fputs("'\n", out);
}

void completion_zsh(const struct cli_program *p, FILE *out)
{
	fprintf(out,
		"#compdef %s\n"
		"# Completes the command lines of %s in zsh.\n"
		"# Printed by `%s completion zsh`.\n\n"
		"_%s()\n{\n"
		"\tlocal curcontext=$curcontext state line ret=1\n"
		"\tlocal -a commands\n\n\tcommands=(\n",
		p->name, p->name, p->name, p->name);
	for (const struct cli_command *c = p->commands; c->name; c++)
		print_summary(c, out);
	print_summary(&completion_command, out);
	fputs("\t\t'help:show the options of a command'\n\t)\n"
	      "\t_arguments -C \\\n"
	      "\t\t'(-h --help)'{-h,--help}'[show what there is]' \\\n"
	      "\t\t'--version[show the version]' \\\n"
	      "\t\t'1:command:->command' \\\n"
	      "\t\t'*::argument:->arguments' && ret=0\n\n"
	      "\tif [[ $state == command ]]; then\n"
	      "\t\t_describe command commands && ret=0\n"
	      "\t\treturn ret\n"
	      "\tfi\n"
	      "\tcase $words[1] in\n"
	      "\thelp) _describe command commands && ret=0 ;;\n",
	      out);
	for (const struct cli_command *c = p->commands; c->name; c++)
		print_command(p, c, out);
	print_command(p, &completion_command, out);
	/* The file is the body of the function when zsh loads it, or it is sourced. */
	fprintf(out,
		"\tesac\n\treturn ret\n}\n\n"
		"if [[ $funcstack[1] == _%s ]]; then\n\t_%s \"$@\"\nelse\n\tcompdef _%s %s\nfi\n",
		p->name, p->name, p->name, p->name);
}
