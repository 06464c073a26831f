/* SPDX-License-Identifier: Apache-2.0 */
/* catalog search: images by words and by FIELD=PATTERN, in what the sources have listed. */
#include "catalog/commands.h"
#include "catalog/results.h"
#include "lib/str.h"

enum {
	OPT_ALL = OPT_OTHER,
	OPT_AMIS,
};

static int search(struct cloud_options *cloud, const struct query *q, enum cli_output output,
		  struct err *e)
{
	AUTO(catalog_close) struct catalog c = {0};
	AUTO(results_release) struct results r = {0};
	int rc = catalog_open(cloud, &c, e);

	if (rc == 0)
		rc = catalog_search(&c, NULL, 0, q, NULL, results_add, &r, e);
	return rc < 0 ? rc : results_print(&r, output, e);
}

int cmd_search(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		CLOUD_OPTIONS,
		{"all", no_argument, NULL, OPT_ALL},
		{"amis", no_argument, NULL, OPT_AMIS},
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	AUTO(query_release) struct query q = {0};
	struct cloud_options cloud = {0};
	enum cli_output output = CLI_TEXT;
	bool all = false, amis = false;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		if (cloud_option(&cloud, opt))
			continue;
		if (opt == OPT_ALL)
			all = true;
		else if (opt == OPT_AMIS)
			amis = true;
		else if (cli_output_parse(optarg, &output, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (optind == argc)
		return cli_usage(self, "no word to search for");
	if (query_parse((const char *const *)argv + optind, (size_t)(argc - optind), &q, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	q.older = all;
	q.elsewhere = amis;
	/* Who asks for an AMI by its id wants to see it. */
	for (size_t i = 0; i < q.n_words; i++)
		q.elsewhere |= str_has_prefix(q.words[i], "ami-");
	q.older |= q.elsewhere;
	if (search(&cloud, &q, output, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
