/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd local: finds the context on this machine and applies it, before there is a network. */
#include <stdio.h>

#include "ctxd/apply.h"
#include "ctxd/commands.h"
#include "ctxd/state.h"
#include "lib/log.h"

static void release_notes(struct strlist *l)
{
	strlist_release(l);
}
DEFINE_AUTO_STRUCT(struct strlist, release_notes);

/* What was done: for people in the log, for --dry-run as the answer. */
static void tell(const struct guest *g)
{
	for (size_t i = 0; i < g->told.n; i++) {
		if (g->dry_run)
			puts(g->told.v[i]);
		else
			log_info("%s", g->told.v[i]);
	}
}

static int apply_found(struct guest *g, struct detection *d, struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	AUTO(release_notes) struct strlist notes = {0};
	struct apply a = {.g = g};
	int rc = fetch_context(d->media, d->fd, d->where, &c, &notes, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < notes.n; i++)
		log_warn("%s: %s", d->where, notes.v[i]);
	log_info("context from %s: instance %s, host name %s, %zu key(s), %zu NIC(s), %zu bytes of "
		 "user data",
		 c->source, c->instance_id ? c->instance_id : "unknown",
		 c->hostname ? c->hostname : "not given", c->ssh_keys.n, c->n_nics,
		 c->user_data.len);
	a.c = c;
	rc = state_save(g, c, e);
	return rc < 0 ? rc : apply_context(&a, e);
}

static int run(struct guest *g, const struct detect_opts *o, struct err *e)
{
	AUTO(detection_release) struct detection d = {.fd = -1};
	struct err list_error;
	int rc = detect(o, &d, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < d.n_steps; i++)
		log_debug("%s: %s", d.steps[i].what, d.steps[i].why);
	if (d.found) {
		rc = apply_found(g, &d, e);
	} else {
		log_info("no context: this machine's own ways are left to it");
		rc = state_remove(g, e);
		if (rc == 0)
			rc = apply_nothing(g, e);
	}
	/* Also after a failure: what was written is to be known. */
	if (guest_save_list(g, &list_error) < 0) {
		if (rc == 0)
			*e = list_error;
		rc = -e->code;
	}
	return rc;
}

int cmd_local(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"dry-run", no_argument, NULL, 'n'},
		{"root", required_argument, NULL, OPT_ROOT},
		{"dev", required_argument, NULL, OPT_DEV},
		{"wait", required_argument, NULL, OPT_WAIT},
		{"force", no_argument, NULL, OPT_FORCE},
		{0},
	};
	AUTO(guest_release) struct guest g = GUEST_INIT;
	struct detect_opts o = {.g = &g, .wait_ms = WAIT_MS_DEFAULT};
	struct err e;
	int opt, rc = 0;

	while (rc == 0 && (opt = cli_getopt(self, argc, argv, "n", options)) != -1) {
		if (opt == 'n')
			g.dry_run = true;
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
	rc = run(&g, &o, &e);
	tell(&g);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
