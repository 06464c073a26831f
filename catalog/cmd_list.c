/* SPDX-License-Identifier: Apache-2.0 */
/* catalog list: the images that the sources offer. */
#include "catalog/commands.h"
#include "catalog/results.h"

#define LISTED_MAX 64 /* owners and filters each */

enum {
	OPT_OWNER = OPT_OTHER,
	OPT_FILTER,
	OPT_ALL,
};

struct args {
	struct cloud_options cloud;
	struct aws_param filters[LISTED_MAX];
	const char *owners[LISTED_MAX];
	struct list_filter filter;
	bool everyone; /* --owner all */
	struct query query;
	enum cli_output output;
};

static int list(struct args *a, char *const *names, size_t n_names, struct err *e)
{
	AUTO(catalog_close) struct catalog c = {0};
	AUTO(results_release) struct results r = {0};
	bool filtered = a->filter.n_filters || a->filter.n_owners || a->everyone;
	int rc = catalog_open(&a->cloud, &c, e);

	if (filtered && !a->everyone && !a->filter.n_owners) {
		a->owners[0] = "self";
		a->filter.n_owners = 1;
	}
	if (rc == 0)
		rc = catalog_search(&c, names, n_names, &a->query, filtered ? &a->filter : NULL,
				    results_add, &r, e);
	return rc < 0 ? rc : results_print(&r, a->output, e);
}

/* Returns a usage error's status, or -1. */
static int take_option(const struct cli_command *self, struct args *a, int opt)
{
	struct err e;
	char *eq;

	switch (opt) {
	case OPT_OWNER:
		if (a->filter.n_owners == LISTED_MAX)
			return cli_usage(self, "too many owners");
		if (strcmp(optarg, "all") == 0)
			a->everyone = true;
		else
			a->owners[a->filter.n_owners++] = optarg;
		return -1;
	case OPT_FILTER:
		eq = strchr(optarg, '=');
		if (!eq || eq == optarg || a->filter.n_filters == LISTED_MAX)
			return cli_usage(self, "no filter NAME=VALUE: '%s'", optarg);
		*eq = '\0';
		a->filters[a->filter.n_filters++] = (struct aws_param){optarg, eq + 1};
		return -1;
	case OPT_ALL:
		a->query.older = true;
		return -1;
	default:
		return cli_output_parse(optarg, &a->output, &e) < 0 ? cli_usage(self, "%s", e.msg)
								    : -1;
	}
}

int cmd_list(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		CLOUD_OPTIONS,
		{"owner", required_argument, NULL, OPT_OWNER},
		{"filter", required_argument, NULL, OPT_FILTER},
		{"all", no_argument, NULL, OPT_ALL},
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	struct args a = {0};
	struct err e;
	int opt;

	a.filter.filters = a.filters;
	a.filter.owners = a.owners;
	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		int status = cloud_option(&a.cloud, opt) ? -1 : take_option(self, &a, opt);

		if (status >= 0)
			return status;
	}
	if (list(&a, argv + optind, (size_t)(argc - optind), &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
