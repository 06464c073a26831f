/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a boot: see ctxd/stages.h. */
#include "ctxd/stages.h"

#include <stdio.h>

#include "ctxd/apply.h"
#include "ctxd/fetch.h"
#include "ctxd/hotplug.h"
#include "ctxd/relabel.h"
#include "ctxd/restart.h"
#include "ctxd/state.h"
#include "lib/log.h"
#include "lib/str.h"

void stage_tell(const struct guest *g)
{
	for (size_t i = 0; i < g->told.n; i++) {
		if (g->dry_run)
			puts(g->told.v[i]);
		else
			log_info("%s", g->told.v[i]);
	}
}

static void tell_context(const struct context *c)
{
	log_info("context from %s: instance %s, host name %s, %zu key(s), %zu NIC(s), %zu bytes of "
		 "user data",
		 c->source, c->instance_id ? c->instance_id : "unknown",
		 c->hostname ? c->hostname : "not given", c->ssh_keys.n, c->n_nics,
		 c->user_data.len);
}

/* After the boot the service is told, too, if the context is another. */
static int apply_to(struct guest *g, const struct context *c, bool running, struct err *e)
{
	struct apply a = {
		.g = g, .c = c, .running = running, .network_is_guests = state_is_remote(c)};
	int changed = state_save(g, c, e), rc = changed;

	if (changed > 0 || !running)
		tell_context(c);
	if (rc >= 0)
		rc = hotplug_watch(g, e);
	if (rc == 0)
		rc = apply_context(&a, e);
	if (changed > 0 && running)
		restart_imds(g);
	return rc;
}

static int read_found(const struct guest *g, const struct detection *d, struct context **ret,
		      struct err *e)
{
	AUTO(strlist_release) struct strlist notes = {0};
	struct fetch_opts o = {.with_user_data = !apply_has_cloud_init(g)};
	int rc = fetch_context(d, &o, ret, &notes, e);

	for (size_t i = 0; rc == 0 && i < notes.n; i++)
		log_warn("%s: %s", d->where, notes.v[i]);
	return rc;
}

static int apply_found(struct guest *g, const struct detection *d, struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	int rc = read_found(g, d, &c, e);

	return rc < 0 ? rc : apply_to(g, c, false, e);
}

/* Also after a failure: what was written is to be known. */
static int finish(struct guest *g, int rc, struct err *e)
{
	struct err mine;

	if (state_lock(g, &mine) < 0)
		log_warn("%s", mine.msg);
	relabel(g);
	if (guest_save_list(g, &mine) < 0) {
		if (rc == 0)
			*e = mine;
		rc = -e->code;
	}
	state_unlock(g);
	return rc;
}

static void explain(const struct detection *d)
{
	for (size_t i = 0; i < d->n_steps; i++)
		log_debug("%s: %s", d->steps[i].what, d->steps[i].why);
}

static int run_local(struct guest *g, const struct detect_opts *o, struct err *e)
{
	AUTO(detection_release) struct detection d = {.fd = -1};
	int rc = detect(o, &d, e);

	if (rc == 0)
		rc = state_lock(g, e);
	if (rc < 0)
		return rc;
	explain(&d);
	if (d.found)
		return finish(g, apply_found(g, &d, e), e);
	log_info("no context on this machine: its own ways are left to it");
	rc = state_remove(g, e);
	if (rc == 0)
		rc = hotplug_forget(g, e);
	if (rc == 0)
		rc = apply_nothing(g, e);
	return finish(g, rc, e);
}

int stage_local(struct guest *g, const struct detect_opts *o, struct err *e)
{
	int rc = state_lock(g, e);

	if (rc == 0)
		rc = state_begin(g, e);
	state_unlock(g); /* the wait for devices may be long */
	return rc < 0 ? rc : run_local(g, o, e);
}

static int run_network(struct guest *g, const struct detect_opts *o, struct err *e)
{
	AUTO(detection_release) struct detection d = {.fd = -1};
	struct detect_opts with = *o;
	int rc;

	with.network = true;
	with.wait_ms = 0;
	rc = detect(&with, &d, e);
	if (rc < 0)
		return rc;
	explain(&d);
	if (!d.found) {
		log_info("no metadata service is to be asked");
		return 0;
	}
	rc = state_lock(g, e);
	return rc < 0 ? rc : finish(g, apply_found(g, &d, e), e);
}

int stage_network(struct guest *g, const struct detect_opts *o, struct err *e)
{
	if (guest_exists(g, STATE_CONTEXT)) {
		log_debug("there is a context already");
		return 0;
	}
	/* On a cloud that it knows, the guest's own cloud-init asks the service itself. */
	if (apply_has_cloud_init(g) && !o->force) {
		log_info("metadata services are left to cloud-init");
		return 0;
	}
	return run_network(g, o, e);
}

int stage_final(struct guest *g, struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	struct apply a = {.g = g};
	int rc;

	if (!guest_exists(g, STATE_CONTEXT))
		return 0;
	rc = state_lock(g, e);
	if (rc == 0)
		rc = state_load(g, &c, e);
	if (rc < 0)
		return rc;
	a.c = c;
	rc = state_mark_booted(g, e);
	if (rc == 0)
		rc = apply_final(&a, e);
	return finish(g, rc, e);
}

/* Of two steps that were both done; rc's error is in e. */
static int first_error(int rc, int rc2, const struct err *mine, struct err *e)
{
	if (rc < 0)
		return rc;
	if (rc2 < 0)
		*e = *mine;
	return rc2;
}

/*
 * A medium that was taken out leaves the machine what it is, as one does on its way to be exchanged;
 * so does one that cannot be read, and a service that does not answer. What the context asks of disks
 * and NICs that came is done in any case.
 */
static int look_again(struct guest *g, const struct detect_opts *o, struct err *e)
{
	AUTO(context_free) struct context *c = NULL, *before = NULL;
	AUTO(detection_release) struct detection d = {.fd = -1};
	struct detect_opts with = *o;
	struct err mine;
	int rc = state_lock(g, e), rc2;

	if (rc == 0 && guest_exists(g, STATE_CONTEXT))
		rc = state_load(g, &before, e);
	if (rc < 0)
		return rc;
	with.network = before && state_is_remote(before);
	rc = detect(&with, &d, e);
	explain(&d);
	if (rc == 0 && d.found)
		rc = read_found(g, &d, &c, e);
	if (!c && before) {
		log_info("the context that this machine was given stays");
		c = STEAL(before);
	}
	rc2 = c ? apply_to(g, c, true, &mine) : 0;
	return first_error(rc, rc2, &mine, e);
}

int stage_update(struct guest *g, const struct detect_opts *o, struct err *e)
{
	struct err mine;
	int rc, rc2;

	if (!guest_exists(g, STATE_BOOTED)) {
		log_debug("the boot is not over: it does all that is to be done");
		return 0;
	}
	rc = finish(g, look_again(g, o, e), e);
	rc2 = stage_final(g, &mine);
	return first_error(rc, rc2, &mine, e);
}
