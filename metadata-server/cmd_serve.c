/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server serve: answers guests, on TCP or on one connection at stdin and stdout. */
#include "lib/str.h"
#include "metadata-server/commands.h"
#include "metadata-server/notify.h"
#include "metadata-server/service.h"

enum {
	OPT_CONTROL = 256,
	OPT_METRICS,
	OPT_STATE,
	OPT_USER,
	OPT_IDENTITY_KEY,
	OPT_IDENTITY_CERT,
	OPT_ACCESS_LOG,
	OPT_ACCESS_FORMAT,
	OPT_NO_WATCH,
	OPT_HOST,
	OPT_MAX_CONNECTIONS,
	OPT_GUEST_CONNECTIONS,
	OPT_GUEST_REQUESTS,
	OPT_GUEST_BYTES,
};

#define NOT_GIVEN UINT64_MAX

static const struct option options[] = {
	{"instances", required_argument, NULL, 'd'},
	{"listen", required_argument, NULL, 'l'},
	{"as", required_argument, NULL, 'a'},
	{"interface", required_argument, NULL, 'i'},
	{"stdio", required_argument, NULL, 's'},
	{"token-key", required_argument, NULL, 'k'},
	{"control", required_argument, NULL, OPT_CONTROL},
	{"metrics", required_argument, NULL, OPT_METRICS},
	{"state", required_argument, NULL, OPT_STATE},
	{"user", required_argument, NULL, OPT_USER},
	{"identity-key", required_argument, NULL, OPT_IDENTITY_KEY},
	{"identity-cert", required_argument, NULL, OPT_IDENTITY_CERT},
	{"access-log", required_argument, NULL, OPT_ACCESS_LOG},
	{"access-log-format", required_argument, NULL, OPT_ACCESS_FORMAT},
	{"host", required_argument, NULL, OPT_HOST},
	{"no-watch", no_argument, NULL, OPT_NO_WATCH},
	{"max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS},
	{"guest-connections", required_argument, NULL, OPT_GUEST_CONNECTIONS},
	{"guest-requests", required_argument, NULL, OPT_GUEST_REQUESTS},
	{"guest-bytes", required_argument, NULL, OPT_GUEST_BYTES},
	{0},
};

static int check_opts(const struct cli_command *self, const struct service_opts *o, int argc)
{
	int first;

	if (optind != argc)
		return cli_usage(self, "too many arguments");
	if (o->stdio && (o->n_listen || o->interface || o->control || o->metrics))
		return cli_usage(self, "--stdio does not listen: no --listen, --interface, "
				       "--control, --metrics");
	if (o->stdio && o->access_log && !strcmp(o->access_log, "-"))
		return cli_usage(self, "--stdio answers on standard output: no --access-log -");
	if (!o->stdio && !o->n_listen && !notify_sockets(&first))
		return cli_usage(self, "give --listen ADDRESS:PORT, or --stdio INSTANCE");
	/* What is bound to no interface hears all of them. */
	if (o->interface && !*o->interface)
		return cli_usage(self, "--interface is empty");
	if (o->access_json && !o->access_log)
		return cli_usage(self,
				 "--access-log-format is of --access-log, which is not there");
	if (!o->identity_key != !o->identity_cert)
		return cli_usage(self, "--identity-key and --identity-cert belong together");
	if (!o->as && !o->instances)
		return cli_usage(self, "give --instances FOLDER, or --as INSTANCE.yaml");
	return EXIT_OK;
}

/* "RATE" or "RATE/BURST", a second; 0: no limit. Without a burst there are ten seconds' worth. */
static int parse_rate(const char *text, struct httpd_rate *ret)
{
	size_t len = strcspn(text, "/");
	AUTO_FREE char *rate = strndup(text, len);

	if (!rate || str_to_size(rate, &ret->rate, NULL) || ret->rate > INT64_MAX / 100000)
		return -EINVAL;
	ret->burst = ret->rate * 10;
	if (text[len] && (str_to_size(text + len + 1, &ret->burst, NULL) ||
			  ret->burst > INT64_MAX / 100000 || !ret->burst))
		return -EINVAL;
	return 0;
}

static int parse_number(const char *text, uint64_t most, unsigned *ret)
{
	uint64_t n;
	int rc = str_to_u64(text, 0, most, &n, NULL);

	if (!rc)
		*ret = (unsigned)n;
	return rc;
}

/* The options that have numbers. Returns -ENOENT for another one. */
static int take_limit(int opt, const char *text, struct service_opts *o)
{
	switch (opt) {
	case OPT_MAX_CONNECTIONS:
		return parse_number(text, 1000000, &o->max_connections) || !o->max_connections
			       ? -EINVAL
			       : 0;
	case OPT_GUEST_CONNECTIONS:
		return parse_number(text, 1000000, &o->guest_connections);
	case OPT_GUEST_REQUESTS:
		return parse_rate(text, &o->guest_requests);
	case OPT_GUEST_BYTES:
		return parse_rate(text, &o->guest_bytes);
	default:
		return -ENOENT;
	}
}

static const char **path_of(int opt, struct service_opts *o)
{
	switch (opt) {
	case 'd':
		return &o->instances;
	case 'i':
		return &o->interface;
	case 'k':
		return &o->token_key;
	case OPT_CONTROL:
		return &o->control;
	case OPT_METRICS:
		return &o->metrics;
	case OPT_STATE:
		return &o->state;
	case OPT_USER:
		return &o->user;
	case OPT_IDENTITY_KEY:
		return &o->identity_key;
	case OPT_IDENTITY_CERT:
		return &o->identity_cert;
	case OPT_ACCESS_LOG:
		return &o->access_log;
	default:
		return NULL;
	}
}

static int take_host(const struct cli_command *self, const char *name, struct service_opts *o)
{
	struct err e = {0};

	if (!strcmp(name, "any")) {
		o->any_host = true;
		return EXIT_OK;
	}
	if (context_check_hostname(name, &e))
		return cli_usage(self, "--host '%s' %s", name, e.msg);
	if (!strlist_add(&o->hosts, name))
		return EXIT_OK;
	err_nomem(&e);
	return cli_fail(&e);
}

/* One option; an exit status if it is wrong. */
static int take(const struct cli_command *self, int opt, struct service_opts *o)
{
	const char **path = path_of(opt, o);
	enum cli_output format;
	struct err e = {0};
	int rc;

	if (path) {
		*path = optarg;
		return EXIT_OK;
	}
	switch (opt) {
	case 'l':
		if (o->n_listen == MAX_LISTEN)
			return cli_usage(self, "more than %d --listen", MAX_LISTEN);
		o->listen[o->n_listen++] = optarg;
		return EXIT_OK;
	case 'a':
	case 's':
		if (o->as)
			return cli_usage(self, "--as and --stdio name one instance, once");
		o->as = optarg;
		o->stdio = opt == 's';
		return EXIT_OK;
	case OPT_HOST:
		return take_host(self, optarg, o);
	case OPT_NO_WATCH:
		o->no_watch = true;
		return EXIT_OK;
	case OPT_ACCESS_FORMAT:
		if (cli_output_parse(optarg, &format, &e))
			return cli_usage(self, "%s", e.msg);
		o->access_json = format == CLI_JSON;
		return EXIT_OK;
	}
	rc = take_limit(opt, optarg, o);
	return rc ? cli_usage(self, "'%s' is not a limit", optarg) : EXIT_OK;
}

static int run_with(const struct cli_command *self, int argc, char **argv, struct service_opts *o)
{
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "d:l:a:i:s:k:", options)) != -1) {
		int status = take(self, opt, o);

		if (status)
			return status;
	}
	/* one instance for whoever asks is for tests: in a hurry, and under names of their own */
	if (o->guest_requests.rate == NOT_GIVEN)
		o->guest_requests = (struct httpd_rate){.rate = o->as ? 0 : 200, .burst = 2000};
	if (o->guest_bytes.rate == NOT_GIVEN)
		o->guest_bytes =
			(struct httpd_rate){.rate = o->as ? 0 : 16 * MIB, .burst = 64 * MIB};
	o->any_host |= o->as && !o->stdio && !o->hosts.n;
	opt = check_opts(self, o, argc);
	return opt ? opt : service_run(o);
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	struct service_opts o = {
		.max_connections = 16384,
		.guest_connections = 64,
		.guest_requests = {.rate = NOT_GIVEN},
		.guest_bytes = {.rate = NOT_GIVEN},
	};
	int status = run_with(self, argc, argv, &o);

	strlist_release(&o.hosts);
	return status;
}

const struct cli_command serve_command = {
	.name = "serve",
	.args = "--instances DIR --listen ADDR:PORT | --stdio INSTANCE",
	.summary = "answer guests",
	.help = "  -d, --instances DIR         folder of NAME.yaml, one an instance\n"
		"  -l, --listen ADDR:PORT      listen there; may be given several times\n"
		"  -a, --as INSTANCE           whoever asks is this instance: a file or a name in "
		"DIR\n"
		"  -i, --interface IF          take connections that come in by this interface "
		"alone\n"
		"  -s, --stdio INSTANCE        serve one connection on stdin and stdout, as "
		"INSTANCE\n"
		"  -k, --token-key FILE        key of session tokens, made if there is none\n"
		"      --control SOCKET        Unix socket for event, reload, status, list\n"
		"      --metrics ADDR:PORT     metrics for Prometheus, and health\n"
		"      --state DIR             folder in which events, and what guests say, are "
		"kept\n"
		"      --user NAME             become this user once it listens\n"
		"      --identity-key FILE     RSA key that identity documents are signed with\n"
		"      --identity-cert FILE    its certificate\n"
		"      --access-log FILE       a line for each request; - is standard output\n"
		"      --access-log-format text|json\n"
		"                              how its lines are written\n"
		"      --host NAME             a name that guests may ask by (Host), beside "
		"addresses; "
		"any\n"
		"      --no-watch              read definitions again on request alone\n"
		"      --max-connections N     of all guests together (16384)\n"
		"      --guest-connections N   of one guest (64); 0: no limit\n"
		"      --guest-requests N/N    of one guest: a second, and at once (200/2000; with "
		"--as none)\n"
		"      --guest-bytes N/N       of answers to one guest, the same (16M/64M)\n",
	.run = run,
};
