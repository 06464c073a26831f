/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd imds: serves the context that `ctxd local` found at 169.254.169.254, to this machine. */
#include <stdio.h>

#include "context/rules.h"
#include "ctxd/account.h"
#include "ctxd/background.h"
#include "ctxd/commands.h"
#include "ctxd/loopback.h"
#include "ctxd/serve.h"
#include "ctxd/state.h"
#include "lib/log.h"
#include "lib/str.h"

#define NOBODY 65534

enum {
	OPT_LISTEN = 512,
	OPT_ROOT_USER_DATA,
	OPT_DOWN,
};

/* An account of our own if the guest has one, else nobody. */
static int find_user(const struct guest *g, struct serve_opts *o, struct err *e)
{
	static const char *const names[] = {"_ctxd", "nobody"};

	o->uid = o->gid = NOBODY;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO(account_release) struct account a = {0};
		int rc = account_find(g, names[i], &a, e);

		if (rc < 0)
			return rc;
		if (rc > 0 && a.uid != 0) {
			o->uid = a.uid;
			o->gid = a.gid;
			return 0;
		}
	}
	return 0;
}

/* ADDRESS:PORT; cut is the address's memory, the caller's to free. */
static int parse_listen(const char *text, struct serve_opts *o, char **cut, struct err *e)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	if (!colon || str_to_u64(colon + 1, 0, 65535, &port, NULL) < 0)
		return err_set(e, EINVAL, "--listen: '%s' is not ADDRESS:PORT", text);
	free(*cut);
	*cut = strndup(text, (size_t)(colon - text));
	if (!*cut)
		return err_nomem(e);
	if (context_check_ipv4(*cut, NULL) < 0)
		return err_set(e, EINVAL, "--listen: '%s' is no IPv4 address", *cut);
	o->address = *cut;
	o->port = (unsigned)port;
	o->interface = NULL;
	return 0;
}

static int run(const struct guest *g, struct serve_opts *o, struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	AUTO(instance_free) struct instance *in = NULL;
	int rc = state_load(g, &c, e);

	if (rc < 0)
		return rc;
	if (!o->force && state_is_remote(c))
		return err_set(
			e, EADDRINUSE,
			"the context is from a metadata service, whose place this would take; "
			"--force does it");
	rc = instance_new("self", &c, &in, e);
	if (rc == 0) {
		/* Others have documents for scripts and user data, which are not for every account. */
		in->dialects = DIALECT_EC2;
		rc = instance_render(in, e);
	}
	if (rc == 0)
		rc = find_user(g, o, e);
	if (rc == 0 && o->interface)
		rc = loopback_take(e);
	return rc < 0 ? rc : serve(in, o, e);
}

/* Like run, but returns when the service listens; *ret_status is then what to exit with. */
static int run_in_background(const struct guest *g, struct serve_opts *o, int *ret_status,
			     struct err *e)
{
	int pid, rc = background_running(g, IMDS_PID, &pid, e);

	if (rc > 0) {
		log_info("the service runs already, as process %d", pid);
		return 0;
	}
	if (rc == 0)
		rc = background_fork(&o->ready_fd, ret_status, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	o->background = g;
	return run(g, o, e);
}

/* Ends what run_in_background began, and takes the address away that it took. */
static int stop(const struct guest *g, const struct serve_opts *o, struct err *e)
{
	int rc = background_stop(g, IMDS_PID, e);

	return rc < 0 || !o->interface ? rc : loopback_drop(e);
}

int cmd_imds(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"background", no_argument, NULL, 'b'},
		{"listen", required_argument, NULL, OPT_LISTEN},
		{"down", no_argument, NULL, OPT_DOWN},
		{"root", required_argument, NULL, OPT_ROOT},
		{"force", no_argument, NULL, OPT_FORCE},
		{"root-user-data", no_argument, NULL, OPT_ROOT_USER_DATA},
		{0},
	};
	AUTO(guest_release) struct guest g = GUEST_INIT;
	AUTO_FREE char *address = NULL;
	struct serve_opts o = {
		.address = LOOPBACK_ADDRESS,
		.port = 80,
		.interface = LOOPBACK_NAME,
	};
	bool down = false, background = false;
	struct err e;
	int opt, rc = 0, status = EXIT_OK;

	while (rc == 0 && (opt = cli_getopt(self, argc, argv, "b", options)) != -1) {
		if (opt == OPT_LISTEN)
			rc = parse_listen(optarg, &o, &address, &e);
		else if (opt == OPT_DOWN)
			down = true;
		else if (opt == OPT_FORCE)
			o.force = true;
		else if (opt == OPT_ROOT_USER_DATA)
			o.root_user_data = true;
		else if (opt == 'b')
			background = true;
		else if (opt == OPT_ROOT)
			rc = set_root(&g, optarg, &e);
	}
	if (rc < 0)
		return cli_usage(self, "%s", e.msg);
	if (optind != argc)
		return cli_usage(self, "no argument is expected");
	if (down)
		rc = stop(&g, &o, &e);
	else
		rc = background ? run_in_background(&g, &o, &status, &e) : run(&g, &o, &e);
	return rc < 0 ? cli_fail(&e) : cli_finish(status);
}
