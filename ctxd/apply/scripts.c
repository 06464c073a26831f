/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripts of the context: each is run once for each machine and content, in their order. It is noted
 * before it is run, so that one that ends with a reboot is not run for ever.
 */
#include "ctxd/applied.h"
#include "ctxd/run.h"
#include "lib/log.h"
#include "lib/str.h"

/* Each has a key of its own, one that has another's name, too. */
static char *make_key(const struct context *c, const struct context_script *s)
{
	size_t before = 0;

	for (const struct context_script *other = c->scripts; other != s; other++)
		before += strcmp(other->name, s->name) == 0;
	return before ? str_format("script-%zu %s", before, s->name)
		      : str_format("script %s", s->name);
}

static int run_once(struct apply *a, const struct context_script *s, struct err *e)
{
	struct applied_digest d = APPLIED_DIGEST_INIT;
	AUTO_FREE char *key = make_key(a->c, s);
	char applied[APPLIED_VALUE_MAX], now[17];
	int rc;

	if (!key)
		return err_nomem(e);
	applied_adds(&d, a->c->instance_id);
	applied_add(&d, s->content.data, s->content.len);
	applied_text(&d, now);
	rc = applied_get(a->g, key, applied, e);
	if (rc < 0 || strcmp(applied, now) == 0)
		return rc;
	rc = a->g->live ? applied_set(a->g, key, now, e) : 0;
	return rc < 0 ? rc : run_script(a, s->name, &s->content, e);
}

/* One that fails does not keep the others from running. */
static int apply_scripts(struct apply *a, struct err *e)
{
	int rc = a->c->n_scripts ? run_write_files(a, e) : 0;

	for (size_t i = 0; rc != -ENOMEM && i < a->c->n_scripts; i++) {
		struct err mine;

		if (run_once(a, &a->c->scripts[i], &mine) >= 0)
			continue;
		if (rc == 0)
			*e = mine;
		else
			log_err("%s", mine.msg);
		rc = -e->code;
	}
	return rc;
}

const struct part part_scripts = {"scripts", apply_scripts, NULL};
