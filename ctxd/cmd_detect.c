/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd detect: which context this machine has, and what was looked at to know it. */
#include <stdio.h>

#include "ctxd/commands.h"

/* RFC 8259 section 7; bytes above 0x7f are given as they are when the terminal's text is UTF-8. */
static void print_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void print_json(const struct detection *d)
{
	printf("{\n  \"found\": %s", d->found ? "true" : "false");
	if (d->found) {
		printf(",\n  \"kind\": \"opennebula\",\n  \"where\": ");
		print_string(d->where);
	}
	printf(",\n  \"steps\": [");
	for (size_t i = 0; i < d->n_steps; i++) {
		printf("%s\n    {\"what\": ", i ? "," : "");
		print_string(d->steps[i].what);
		printf(", \"why\": ");
		print_string(d->steps[i].why);
		putchar('}');
	}
	printf("%s]\n}\n", d->n_steps ? "\n  " : "");
}

static void print_text(const struct detection *d, bool explain)
{
	for (size_t i = 0; explain && i < d->n_steps; i++)
		printf("%s: %s\n", d->steps[i].what, d->steps[i].why);
	if (d->found)
		printf("%sopennebula %s\n", explain ? "found: " : "", d->where);
	else
		printf("%snone\n", explain ? "found: " : "");
}

int cmd_detect(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"explain", no_argument, NULL, 'e'},
		{"output", required_argument, NULL, 'o'},
		{"root", required_argument, NULL, OPT_ROOT},
		{"dev", required_argument, NULL, OPT_DEV},
		{"wait", required_argument, NULL, OPT_WAIT},
		{"force", no_argument, NULL, OPT_FORCE},
		{0},
	};
	AUTO(guest_release) struct guest g = GUEST_INIT;
	AUTO(detection_release) struct detection d = {.fd = -1};
	struct detect_opts o = {.g = &g};
	enum cli_output output = CLI_TEXT;
	bool explain = false;
	struct err e;
	int opt, rc = 0;

	while (rc == 0 && (opt = cli_getopt(self, argc, argv, "eo:", options)) != -1) {
		if (opt == 'e')
			explain = true;
		else if (opt == 'o')
			rc = cli_output_parse(optarg, &output, &e);
		else if (opt == OPT_ROOT)
			rc = set_root(&g, optarg, &e);
		else if (opt == OPT_DEV)
			o.dev = optarg;
		else if (opt == OPT_WAIT)
			rc = set_wait(&o, optarg, &e);
		else if (opt == OPT_FORCE)
			o.force = true;
	}
	if (rc < 0)
		return cli_usage(self, "%s", e.msg);
	if (optind != argc)
		return cli_usage(self, "no argument is expected");
	if (detect(&o, &d, &e) < 0)
		return cli_fail(&e);
	if (output == CLI_JSON)
		print_json(&d);
	else
		print_text(&d, explain);
	return cli_finish(d.found ? EXIT_OK : EXIT_FOUND);
}
