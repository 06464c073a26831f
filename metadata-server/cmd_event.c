/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server event: what the running server announces to a guest, by its Unix socket. */
#include <stdio.h>
#include <time.h>

#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "metadata-server/commands.h"
#include "metadata-server/control.h"

enum {
	OPT_CONTROL = 256,
	OPT_AT,
	OPT_IN,
	OPT_UNTIL,
	OPT_ID,
	OPT_STATE,
	OPT_DESCRIPTION,
	SPOT_NOTICE = 120, /* seconds before */
};

/* ---- events ---------------------------------------------------------------------------------- */

struct event_opts {
	const char *control, *at, *in, *until, *id, *state, *description;
};

/* --at, or --in, or so many seconds from now. */
static int when(const struct event_opts *o, uint64_t otherwise, char out[CONTEXT_TIME_SIZE],
		struct err *e)
{
	uint64_t at = (uint64_t)time(NULL) + otherwise;
	uint64_t in;

	if (o->at && o->in)
		return err_set(e, EINVAL, "--at and --in are two times");
	if (o->at && context_parse_time(o->at, &at, e))
		return err_wrap(e, "'%s'", o->at);
	if (o->in && str_to_u64(o->in, 0, UINT32_MAX, &in, e))
		return err_wrap(e, "'%s'", o->in);
	if (o->in)
		at = (uint64_t)time(NULL) + in;
	context_format_time(at, out);
	return 0;
}

static int add_maintenance(struct jsonw *w, const struct event_opts *o, const char *code,
			   struct err *e)
{
	char before[CONTEXT_TIME_SIZE], id[64];
	struct timespec now;
	uint64_t until;
	int rc = when(o, 0, before, e);

	if (rc)
		return rc;
	if (o->until && context_parse_time(o->until, &until, e))
		return err_wrap(e, "'%s'", o->until);
	/* One in the same second is another one, and must not take its place. */
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(id, sizeof(id), "event-%016llx",
		 (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec);
	jsonw_array(w, "maintenance");
	jsonw_object(w, NULL);
	jsonw_string(w, "id", o->id ? o->id : id);
	jsonw_string(w, "code", code);
	if (o->description)
		jsonw_string(w, "description", o->description);
	jsonw_string(w, "state", o->state ? o->state : "active");
	jsonw_string(w, "not-before", before);
	if (o->until)
		jsonw_string(w, "not-after", o->until);
	jsonw_close(w);
	jsonw_close(w);
	return 0;
}

/* What the words say, as the body of a PATCH. Errors: EINVAL they make no sense. */
static int event_body(const struct event_opts *o, const char *kind, const char *value,
		      struct buf *out, struct err *e)
{
	char at[CONTEXT_TIME_SIZE];
	struct jsonw w;
	int rc = 0;

	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	if (!strcmp(kind, "spot") && value) {
		rc = when(o, SPOT_NOTICE, at, e);
		jsonw_object(&w, "spot");
		jsonw_string(&w, "action", value);
		jsonw_string(&w, "time", at);
		jsonw_close(&w);
	} else if (!strcmp(kind, "rebalance") && !value) {
		rc = when(o, 0, at, e);
		jsonw_string(&w, "rebalance-time", at);
	} else if (!strcmp(kind, "maintenance") && value) {
		rc = add_maintenance(&w, o, value, e);
	} else if (!strcmp(kind, "lifecycle") && value) {
		jsonw_string(&w, "target-lifecycle-state", value);
	} else {
		return err_set(e, EINVAL,
			       "give spot ACTION, rebalance, maintenance CODE, lifecycle STATE, "
			       "or clear [KIND]");
	}
	if (rc)
		return rc;
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

static const char *kind_key(const char *kind)
{
	if (!strcmp(kind, "rebalance"))
		return "rebalance-time";
	return !strcmp(kind, "lifecycle") ? "target-lifecycle-state" : kind;
}

/* An option that the kind (NULL: none, what is set is shown) has no use for is a mistake. */
static int check_opts(const struct event_opts *o, const char *kind, struct err *e)
{
	bool maintenance = kind && !strcmp(kind, "maintenance");
	bool timed = maintenance || (kind && (!strcmp(kind, "spot") || !strcmp(kind, "rebalance")));

	if (!maintenance && (o->until || o->id || o->state || o->description))
		return err_set(e, EINVAL,
			       "--until, --id, --state and --description are of maintenance");
	if (!timed && (o->at || o->in))
		return err_set(e, EINVAL, "--at and --in are of spot, rebalance and maintenance");
	return 0;
}

static int event(const struct cli_command *self, const struct event_opts *o, int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : NULL;
	bool clear = kind && !strcmp(kind, "clear");
	AUTO_BUF target = BUF_INIT;
	AUTO_BUF body = BUF_INIT;
	struct err e = {0};

	if (check_opts(o, kind, &e))
		return cli_usage(self, "%s", e.msg);
	if (cmd_instance_target(argv[0], "events", clear && argc > 2 ? kind_key(argv[2]) : NULL,
				&target, &e))
		return cli_fail(&e);
	if (!kind)
		return cmd_ask(o->control, "GET", target.data, NULL);
	if (clear)
		return cmd_ask(o->control, "DELETE", target.data, NULL);
	if (event_body(o, kind, argc > 2 ? argv[2] : NULL, &body, &e))
		return e.code == EINVAL || e.code == EBADMSG || e.code == ERANGE
			       ? cli_usage(self, "%s", e.msg)
			       : cli_fail(&e);
	return cmd_ask(o->control, "PATCH", target.data, body.data);
}

static int run_event(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"control", required_argument, NULL, OPT_CONTROL},
		{"at", required_argument, NULL, OPT_AT},
		{"in", required_argument, NULL, OPT_IN},
		{"until", required_argument, NULL, OPT_UNTIL},
		{"id", required_argument, NULL, OPT_ID},
		{"state", required_argument, NULL, OPT_STATE},
		{"description", required_argument, NULL, OPT_DESCRIPTION},
		{0},
	};
	struct event_opts o = {.control = CONTROL_SOCKET};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "", options)) != -1) {
		const char **at = opt == OPT_CONTROL ? &o.control
				  : opt == OPT_AT    ? &o.at
				  : opt == OPT_IN    ? &o.in
				  : opt == OPT_UNTIL ? &o.until
				  : opt == OPT_ID    ? &o.id
				  : opt == OPT_STATE ? &o.state
						     : &o.description;

		*at = optarg;
	}
	if (optind == argc)
		return cli_usage(self, "give an INSTANCE");
	if (argc - optind > 3)
		return cli_usage(self, "too many arguments");
	return event(self, &o, argc - optind, argv + optind);
}

const struct cli_command event_command = {
	.name = "event",
	.args = "INSTANCE [spot ACTION|rebalance|maintenance CODE|lifecycle STATE|clear [KIND]]",
	.summary = "set, clear or show what is announced to a running guest",
	.help = "      --at TIME               when, as in 2024-04-11T06:00:00Z\n"
		"      --in SECONDS            when, from now (spot: 120)\n"
		"      --until TIME            maintenance: its end\n"
		"      --id ID                 maintenance: its id; takes the place of one that is "
		"there\n"
		"      --state STATE           maintenance: active, completed, canceled\n"
		"      --description TEXT      maintenance: what it is\n"
		"      --control SOCKET        of the server (" CONTROL_SOCKET ")\n",
	.run = run_event,
};
