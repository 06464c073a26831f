/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The script for bash: a table of commands, options and what their values can be, and a function
 * that looks them up. Needs bash 4.3 and nothing else. See lib/completion.h.
 */
#include "lib/completion.h"

/* _@ stands for _ and the program's name. */
static const char machine[] = "\n"
			      "# Offers $1 followed by each of the words $2 that begin with $3.\n"
			      "_@_offer()\n"
			      "{\n"
			      "\tlocal word IFS=$' \\t\\n'\n"
			      "\n"
			      "\tfor word in $2; do\n"
			      "\t\t[[ $word == \"$3\"* ]] || continue\n"
			      "\t\t[[ $word != *= ]] || compopt -o nospace\n"
			      "\t\tword=$1$word\n"
			      "\t\tCOMPREPLY+=(\"$add${word#\"$strip\"}\")\n"
			      "\tdone\n"
			      "}\n"
			      "\n"
			      "_@()\n"
			      "{\n"
			      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=() value word head i\n"
			      "\tlocal command='' kind='' options='' add='' strip=''\n"
			      "\tlocal -i arguments=0 end=0\n"
			      "\n"
			      "\t# bash cuts words at = and :, here they are whole.\n"
			      "\tfor ((i = 1; i <= COMP_CWORD; i++)); do\n"
			      "\t\tif ((i > 1)) && [[ ${COMP_WORDS[i]} == [=:]* || ${COMP_WORDS[i "
			      "- 1]} == *[=:] ]]; then\n"
			      "\t\t\twords[-1]+=${COMP_WORDS[i]}\n"
			      "\t\telse\n"
			      "\t\t\twords+=(\"${COMP_WORDS[i]}\")\n"
			      "\t\tfi\n"
			      "\tdone\n"
			      "\tvalue=${words[-1]}\n"
			      "\tunset 'words[-1]'\n"
			      "\n"
			      "\t# What was said before.\n"
			      "\tfor word in \"${words[@]}\"; do\n"
			      "\t\tif [[ $kind ]]; then\n"
			      "\t\t\tkind=''\n"
			      "\t\telif ((!end)) && [[ $word == -- ]]; then\n"
			      "\t\t\tend=1\n"
			      "\t\telif ((!end)) && [[ $word == -* ]]; then\n"
			      "\t\t\t[[ $word == *=* ]] || _@_table \"$command\" \"$word\"\n"
			      "\t\telif [[ ! $command ]]; then\n"
			      "\t\t\tcommand=$word\n"
			      "\t\telse\n"
			      "\t\t\targuments+=1\n"
			      "\t\tfi\n"
			      "\tdone\n"
			      "\n"
			      "\tif [[ ! $kind ]]; then\n"
			      "\t\tif ((!end)) && [[ $value == --*=* ]]; then\n"
			      "\t\t\t_@_table \"$command\" \"${value%%=*}\"\n"
			      "\t\t\tvalue=${value#*=}\n"
			      "\t\telif ((!end)) && [[ $value == -* ]]; then\n"
			      "\t\t\t_@_table \"$command\" ''\n"
			      "\t\t\tkind=\"one $options\"\n"
			      "\t\telse\n"
			      "\t\t\t_@_table \"$command\" $arguments\n"
			      "\t\tfi\n"
			      "\tfi\n"
			      "\n"
			      "\t# What is offered takes the place of $cur alone.\n"
			      "\t[[ $cur != [=:]* ]] || cur=''\n"
			      "\tif [[ $value == *\"$cur\" ]]; then\n"
			      "\t\tstrip=${value%\"$cur\"}\n"
			      "\telse\n"
			      "\t\tadd=${cur%\"$value\"}\n"
			      "\tfi\n"
			      "\tCOMPREPLY=()\n"
			      "\tcase $kind in\n"
			      "\tfile) compopt -o default ;;\n"
			      "\tdir) compopt -o dirnames ;;\n"
			      "\tone\\ *) _@_offer '' \"${kind#* }\" \"$value\" ;;\n"
			      "\tlist\\ *)\n"
			      "\t\thead=${value%\"${value##*,}\"}\n"
			      "\t\t_@_offer \"$head\" \"${kind#* }\" \"${value##*,}\"\n"
			      "\t\t;;\n"
			      "\tesac\n"
			      "}\n"
			      "\n"
			      "complete -F _@ ";

static void print_named(const char *text, const char *name, FILE *out)
{
	for (; *text; text++) {
		putc(*text, out);
		if (text[0] == '_' && text[1] == '@') {
			fputs(name, out);
			text++;
		}
	}
}

static void print_kind(const struct completion_value *v, FILE *out)
{
	switch (v->kind) {
	case CLI_VALUE_ANY:
		fputs("'any'", out);
		break;
	case CLI_VALUE_FILE:
		fputs("'file'", out);
		break;
	case CLI_VALUE_DIR:
		fputs("'dir'", out);
		break;
	case CLI_VALUE_ONE_OF:
		fprintf(out, "'one %s'", v->values);
		break;
	case CLI_VALUE_LIST:
		fprintf(out, "'list %s'", v->values);
		break;
	}
}

static void print_command(const struct cli_program *p, const struct cli_command *c, FILE *out)
{
	struct completion_options it = completion_options_of(c);
	struct completion_arguments a;
	struct completion_value v;
	struct completion_option o;
	const char *gap = "";

	fprintf(out, "\t%s)\n\t\toptions='", c->name);
	while (completion_next(&it, &o)) {
		if (o.letter)
			fprintf(out, "%s-%c", gap, o.letter);
		fprintf(out, "%s--%s", o.letter ? " " : gap, o.name);
		gap = " ";
	}
	fputs("'\n\t\tcase $2 in\n", out);
	it = completion_options_of(c);
	while (completion_next(&it, &o)) {
		if (!o.word[0])
			continue;
		completion_value_of(p, o.word, &v);
		fputs("\t\t", out);
		if (o.letter)
			fprintf(out, "-%c | ", o.letter);
		fprintf(out, "--%s) kind=", o.name);
		print_kind(&v, out);
		fputs(" ;;\n", out);
	}
	completion_arguments_of(c, &a);
	for (size_t i = 0; i < a.n; i++) {
		completion_value_of(p, a.words[i], &v);
		fprintf(out, "\t\t%zu%s) kind=", i, a.repeats && i + 1 == a.n ? " | [0-9]*" : "");
		print_kind(&v, out);
		fputs(" ;;\n", out);
	}
	fputs("\t\tesac\n\t\t;;\n", out);
}

void completion_bash(const struct cli_program *p, FILE *out)
{
	fprintf(out,
		"# Completes the command lines of %s in bash.\n"
		"# Printed by `%s completion bash`.\n\n"
		"# What there is behind the command $1: the options; and what the value of the "
		"option $2,\n# or the argument number $2, can be.\n"
		"_%s_table()\n{\n\tkind='' options=''\n\tcase $1 in\n"
		"\t'' | help)\n\t\t[[ $1 ]] || options='-h --help --version'\n"
		"\t\t[[ $2 != 0 ]] || kind='one",
		p->name, p->name, p->name);
	for (const struct cli_command *c = p->commands; c->name; c++)
		fprintf(out, " %s", c->name);
	fputs(" completion help'\n\t\t;;\n", out);
	for (const struct cli_command *c = p->commands; c->name; c++)
		print_command(p, c, out);
	print_command(p, &completion_command, out);
	fputs("\tesac\n}\n", out);
	print_named(machine, p->name, out);
	fprintf(out, "%s\n", p->name);
}
