/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a context is looked for, and the account of it: see ctxd/detect.h. */
#include "ctxd/detect.h"

#include <stdarg.h>

#include "ctxd/coldplug.h"
#include "lib/str.h"

/* ---- the account ----------------------------------------------------------------------------- */

int detect_step(struct detection *d, struct err *e, const char *what, const char *fmt, ...)
{
	AUTO_BUF why = BUF_INIT;
	struct detect_step *grown;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_vaddf(&why, fmt, ap);
	va_end(ap);
	grown = reallocarray(d->steps, d->n_steps + 1, sizeof(*grown));
	if (!grown || rc < 0)
		return err_nomem(e);
	d->steps = grown;
	grown[d->n_steps] = (struct detect_step){strdup(what), buf_detach(&why)};
	if (!grown[d->n_steps].what || !grown[d->n_steps].why) {
		free(grown[d->n_steps].what);
		free(grown[d->n_steps].why);
		return err_nomem(e);
	}
	d->n_steps++;
	return 0;
}

static void forget_steps(struct detection *d)
{
	for (size_t i = 0; i < d->n_steps; i++) {
		free(d->steps[i].what);
		free(d->steps[i].why);
	}
	free(d->steps);
	d->steps = NULL;
	d->n_steps = 0;
}

void detection_release(struct detection *d)
{
	forget_steps(d);
	free(d->where);
	free(d->url);
	free(d->instance_id);
	free(d->hostname);
	if (d->docs)
		tree_free(d->docs);
	if (d->fd >= 0)
		close(d->fd);
	*d = (struct detection){.fd = -1};
}

int detect_found(struct detection *d, const char *dialect, enum media media, const char *where,
		 struct err *e)
{
	d->dialect = context_dialect(dialect);
	if (!d->dialect)
		return detect_step(d, e, where, "a context of a kind that ctxd does not read: %s",
				   dialect);
	free(d->where);
	d->where = strdup(where);
	d->media = media;
	d->found = d->where != NULL;
	return d->where ? 1 : err_nomem(e);
}

int detect_add_doc(struct detection *d, const char *name, const void *data, size_t len,
		   struct err *e)
{
	int rc = d->docs ? 0 : tree_new(&d->docs, e);

	return rc < 0 ? rc : tree_add(d->docs, 0, name, data, len, e);
}

/* ---- all together ---------------------------------------------------------------------------- */

/* What is on the machine. */
static int look(const struct detect_opts *o, struct detection *d, struct err *e)
{
	static int (*const kinds[])(const struct detect_opts *o, struct detection *d,
				    struct err *e) = {detect_devices, detect_folder, detect_vmware,
						      detect_hints};
	int rc = 0;

	forget_steps(d);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(kinds); i++)
		rc = kinds[i](o, d, e);
	return rc;
}

/* The medium's driver may still be on its way: look again whenever a device appears. */
static int look_and_wait(const struct detect_opts *o, struct detection *d, struct err *e)
{
	AUTO(coldplug_free) struct coldplug *events = NULL;
	bool settled = false;
	int rc = coldplug_watch(o->wait_ms, &events, e); /* before the first look */

	if (rc == 0)
		rc = look(o, d, e);
	while (rc == 0 && !settled) {
		rc = coldplug_wait(events, &settled, e);
		if (rc == 0)
			rc = look(o, d, e);
	}
	return rc;
}

int detect(const struct detect_opts *o, struct detection *ret, struct err *e)
{
	const char *cloud = o->force ? NULL : detect_cloud(o->g);
	int rc;

	*ret = (struct detection){.fd = -1};
	if (o->wait_ms && o->g->live && !o->dev && !cloud)
		rc = look_and_wait(o, ret, e);
	else
		rc = look(o, ret, e);
	if (rc == 0 && cloud)
		rc = detect_step(ret, e, "machine", "%s: it has a metadata service of its own",
				 cloud);
	if (rc == 0 && o->network)
		rc = detect_service(o, ret, e);
	if (rc > 0 && ret->docs && tree_seal(ret->docs, e) < 0)
		rc = -e->code;
	return rc < 0 ? rc : 0;
}
