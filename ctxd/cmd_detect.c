/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd detect: which context this machine has, and what was looked at to know it. */
#include <stdio.h>

#include "ctxd/commands.h"
#include "lib/json.h"

static int print_json(const struct detection *d, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_bool(&w, "found", d->found);
	if (d->found) {
		jsonw_string(&w, "kind", d->dialect->name);
		jsonw_string(&w, "where", d->where);
	}
	jsonw_array(&w, "steps");
	for (size_t i = 0; i < d->n_steps; i++) {
		jsonw_object(&w, NULL);
		jsonw_string(&w, "what", d->steps[i].what);
		jsonw_string(&w, "why", d->steps[i].why);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fputs(buf_str(&out), stdout);
	return rc;
}

static void print_text(const struct detection *d, bool explain)
{
	for (size_t i = 0; explain && i < d->n_steps; i++)
		printf("%s: %s\n", d->steps[i].what, d->steps[i].why);
	if (d->found)
		printf("%s%s %s\n", explain ? "found: " : "", d->dialect->name, d->where);
	else
		printf("%snone\n", explain ? "found: " : "");
}

enum {
	OPT_NETWORK = 512,
};

int cmd_detect(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"explain", no_argument, NULL, 'e'},
		{"output", required_argument, NULL, 'o'},
		{"root", required_argument, NULL, OPT_ROOT},
		{"dev", required_argument, NULL, OPT_DEV},
		{"wait", required_argument, NULL, OPT_WAIT},
		{"force", no_argument, NULL, OPT_FORCE},
		{"network", no_argument, NULL, OPT_NETWORK},
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
		else if (opt == OPT_NETWORK)
			o.network = true;
	}
	if (rc < 0)
		return cli_usage(self, "%s", e.msg);
	if (optind != argc)
		return cli_usage(self, "no argument is expected");
	if (detect(&o, &d, &e) < 0)
		return cli_fail(&e);
	if (output == CLI_TEXT)
		print_text(&d, explain);
	else if (print_json(&d, &e) < 0)
		return cli_fail(&e);
	return cli_finish(d.found ? EXIT_OK : EXIT_FOUND);
}
