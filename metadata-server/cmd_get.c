/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server get: the answer to one request, without a server. */
#include <stdio.h>
#include <time.h>

#include "lib/log.h"
#include "lib/str.h"
#include "metadata-server/commands.h"
#include "metadata-server/host.h"
#include "metadata-server/one.h"

/* The administrator asks: no token is needed. */
static int get(const struct instance *in, const char *path, struct http_response *res,
	       struct err *e)
{
	AUTO_FREE char *target = str_format("%s%s", path[0] == '/' ? "" : "/", path);
	const struct token_key key = {0}; /* unused: no token is looked at */
	AUTO(host_release) struct host host = {0};
	struct imds_host made;
	struct imds_env env = {
		.key = &key, .host = &made, .now = (uint64_t)time(NULL), .trusted = true};
	struct http_request rq = {.method = {"GET", 3}, .minor = 1};

	if (!target)
		return err_nomem(e);
	host_make(&host, &made);
	rq.target = (struct http_slice){target, strlen(target)};
	return imds_answer(&rq, in, &env, res, NULL, e);
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"instances", required_argument, NULL, 'd'},
		{0},
	};
	AUTO(http_response_release) struct http_response res = HTTP_RESPONSE_INIT;
	AUTO(instance_free) struct instance *in = NULL;
	const char *dir = NULL;
	struct err e = {0};
	size_t faults = 0;

	while (cli_getopt(self, argc, argv, "d:", options) != -1)
		dir = optarg;
	if (argc - optind != 2)
		return cli_usage(self, "give one INSTANCE and one PATH");
	if (one_load(argv[optind], dir, report_fault, &faults, &in, &e))
		return one_fail(faults, &e);
	if (get(in, argv[optind + 1], &res, &e))
		return cli_fail(&e);
	if (res.status != 200) {
		log_err("'%s': %d %s", argv[optind + 1], res.status, http_status_text(res.status));
		return EXIT_FAILED;
	}
	fwrite(buf_str(&res.body), 1, res.body.len, stdout);
	return cli_finish(EXIT_OK);
}

const struct cli_command get_command = {
	.name = "get",
	.args = "[--instances DIR] INSTANCE PATH",
	.summary = "print what a guest gets at a path, as in latest/meta-data/hostname",
	.help = "  -d, --instances DIR         folder in which INSTANCE is a name\n",
	.run = run,
};
