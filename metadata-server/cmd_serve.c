/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server serve: answers guests, on TCP or on one connection at stdin and stdout. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"
#include "metadata-server/commands.h"
#include "metadata-server/one.h"
#include "metadata-server/server.h"

enum {
	MAX_LISTEN = 16,
};

struct serve_opts {
	const char *instances, *as, *interface, *token_key;
	const char *listen[MAX_LISTEN];
	size_t n_listen;
	bool stdio;
};

static void on_stop(void *arg, int signo)
{
	struct server *s = arg;

	(void)signo;
	httpd_stop(s->httpd);
}

static void on_reload(void *arg, int signo)
{
	struct server *s = arg;
	struct err e = {0};
	size_t faults = 0;

	(void)signo;
	if (!server_load(s, &faults, &e)) {
		log_info("loaded again, instances: %zu", s->store ? store_count(s->store) : 1);
		return;
	}
	if (!faults)
		log_err("%s", e.msg);
	log_err("not loaded again: what was served before stays");
}

static int watch_signals(struct server *s, struct err *e)
{
	int rc = httpd_on_signal(s->httpd, SIGTERM, on_stop, s, e);

	rc = rc ? rc : httpd_on_signal(s->httpd, SIGINT, on_stop, s, e);
	return rc ? rc : httpd_on_signal(s->httpd, SIGHUP, on_reload, s, e);
}

/*
 * Where --stdio has its key by default. One process serves one connection, and a token of one must
 * hold on the next, so that the key cannot be of the process alone.
 */
static int default_key(struct token_key *ret, struct err *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	AUTO_FREE char *dir = NULL;
	AUTO_FREE char *path = NULL;
	int rc;

	if (!runtime || runtime[0] != '/')
		return err_set(e, EINVAL,
			       "--stdio needs --token-key FILE where XDG_RUNTIME_DIR is not set");
	dir = path_join(runtime, "acclimate");
	path = dir ? path_join(dir, "token.key") : NULL;
	if (!path)
		return err_nomem(e);
	rc = fs_mkdir_p(dir, 0700, e);
	return rc ? rc : token_key_load(path, ret, e);
}

static int load_key(const struct serve_opts *o, struct token_key *ret, struct err *e)
{
	if (o->token_key)
		return token_key_load(o->token_key, ret, e);
	return o->stdio ? default_key(ret, e) : token_key_random(ret, e);
}

static int say_listening(const struct server *s, size_t i, struct err *e)
{
	struct sockaddr_storage ss;
	char ip[INET6_ADDRSTRLEN] = "";
	int rc = httpd_local_addr(s->httpd, i, &ss, e);

	if (rc)
		return rc;
	if (ss.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&ss;

		inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		log_info("listening on %s:%u", ip, ntohs(v4->sin_port));
	} else {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&ss;

		inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		log_info("listening on [%s]:%u", ip, ntohs(v6->sin6_port));
	}
	return 0;
}

static int open_listeners(struct server *s, const struct serve_opts *o, struct err *e)
{
	for (size_t i = 0; i < o->n_listen; i++) {
		struct sockaddr_storage ss;
		socklen_t len;
		int rc = parse_listen(o->listen[i], o->interface, &ss, &len, e);

		rc = rc ? rc : httpd_listen(s->httpd, (struct sockaddr *)&ss, len, o->interface, e);
		rc = rc ? rc : say_listening(s, i, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int serve(const struct serve_opts *o)
{
	AUTO(server_release) struct server s = {.dir = o->instances, .as = o->as};
	struct err e = {0};
	size_t faults = 0;

	if (server_load(&s, &faults, &e))
		return one_fail(faults, &e);
	if (load_key(o, &s.key, &e) || server_start(&s, &e) || watch_signals(&s, &e))
		return cli_fail(&e);
	if (o->stdio ? httpd_serve_fds(s.httpd, STDIN_FILENO, STDOUT_FILENO, &e)
		     : open_listeners(&s, o, &e))
		return cli_fail(&e);
	return httpd_run(s.httpd, &e) ? cli_fail(&e) : EXIT_OK;
}

static int check_opts(const struct cli_command *self, const struct serve_opts *o, int argc)
{
	if (optind != argc)
		return cli_usage(self, "too many arguments");
	if (o->stdio && (o->n_listen || o->interface))
		return cli_usage(self, "--stdio does not listen: no --listen, no --interface");
	if (!o->stdio && !o->n_listen)
		return cli_usage(self, "give --listen ADDRESS:PORT, or --stdio INSTANCE");
	if (!o->as && !o->instances)
		return cli_usage(self, "give --instances FOLDER, or --as INSTANCE.yaml");
	return EXIT_OK;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"instances", required_argument, NULL, 'd'},
		{"listen", required_argument, NULL, 'l'},
		{"as", required_argument, NULL, 'a'},
		{"interface", required_argument, NULL, 'i'},
		{"stdio", required_argument, NULL, 's'},
		{"token-key", required_argument, NULL, 'k'},
		{0},
	};
	struct serve_opts o = {0};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "d:l:a:i:s:k:", options)) != -1) {
		switch (opt) {
		case 'd':
			o.instances = optarg;
			break;
		case 'l':
			if (o.n_listen == MAX_LISTEN)
				return cli_usage(self, "more than %d --listen", MAX_LISTEN);
			o.listen[o.n_listen++] = optarg;
			break;
		case 'a':
		case 's':
			if (o.as)
				return cli_usage(self, "--as and --stdio name one instance, once");
			o.as = optarg;
			o.stdio = opt == 's';
			break;
		case 'i':
			o.interface = optarg;
			break;
		case 'k':
			o.token_key = optarg;
			break;
		}
	}
	opt = check_opts(self, &o, argc);
	return opt ? opt : serve(&o);
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
		"  -k, --token-key FILE        key of session tokens, made if there is none\n",
	.run = run,
};
