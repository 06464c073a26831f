/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EC2 dialect's notices of what is going to happen to the machine:
 *
 *	spot/instance-action               {"action": "terminate", "time": "2024-04-11T06:00:00Z"}
 *	spot/termination-time              the time, of an end that is for good
 *	events/recommendations/rebalance   {"noticeTime": "..."}
 *	events/maintenance/scheduled       [ {Code, Description, EventId, NotBefore ...} ]
 *	events/maintenance/history         the same, completed or canceled
 *	autoscaling/target-lifecycle-state
 *
 * The notices are not there until there is one; the two lists always are.
 */
#include "context/dialect/ec2.h"
#include "lib/http_response.h"

/* "11 Apr 2024 06:00:00 GMT": times of maintenance are written like this. */
static void maintenance_time(uint64_t unix_seconds, char out[HTTP_DATE_SIZE])
{
	char date[HTTP_DATE_SIZE];
	const char *from = date + 5; /* behind "Thu, " */

	http_date(unix_seconds, date);
	if (*from == '0')
		from++;
	memcpy(out, from, strlen(from) + 1);
}

static int add_event(struct buf *out, const struct context_maintenance *m, bool first)
{
	char before[HTTP_DATE_SIZE] = "";
	char after[HTTP_DATE_SIZE] = "";
	char deadline[HTTP_DATE_SIZE] = "";
	bool any = false;
	int rc = buf_adds(out, first ? " {" : ", {");

	if (m->not_before)
		maintenance_time(m->not_before, before);
	if (m->not_after)
		maintenance_time(m->not_after, after);
	if (m->not_before_deadline)
		maintenance_time(m->not_before_deadline, deadline);
	const struct {
		const char *key, *value;
	} members[] = {
		{"NotBefore", before},
		{"Code", m->code},
		{"Description", m->description ? m->description : m->code},
		{"EventId", m->id},
		{"NotAfter", after},
		{"NotBeforeDeadline", deadline},
		{"State", m->state ? m->state : "active"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(members) && !rc; i++) {
		if (!ec2_given(members[i].value))
			continue;
		rc = buf_addf(out, "%s\n  \"%s\" : ", any ? "," : "", members[i].key);
		rc = rc ? rc : ec2_add_json_string(out, members[i].value);
		any = true;
	}
	return rc ? rc : buf_adds(out, "\n}");
}

static void render_maintenance(struct ec2_render *r, const char *path, bool past)
{
	const struct context *c = r->c;
	AUTO_BUF out = BUF_INIT;
	bool first = true;
	int rc = buf_adds(&out, "[");

	for (size_t i = 0; i < c->n_maintenance && !rc; i++) {
		const struct context_maintenance *m = &c->maintenance[i];
		bool is_past = m->state && strcmp(m->state, "active");

		if (is_past != past)
			continue;
		rc = add_event(&out, m, first);
		first = false;
	}
	rc = rc ? rc : buf_adds(&out, first ? "]" : " ]");
	if (rc && !r->rc)
		r->rc = err_nomem(r->e);
	ec2_leaf(r, 20180817, path, out.data);
}

static void render_spot(struct ec2_render *r)
{
	const struct context_spot *spot = &r->c->spot;
	char at[CONTEXT_TIME_SIZE];
	AUTO_BUF out = BUF_INIT;

	if (!spot->action || !spot->time)
		return;
	context_format_time(spot->time, at);
	if (buf_addf(&out, "{\"action\": \"%s\", \"time\": \"%s\"}", spot->action, at) && !r->rc)
		r->rc = err_nomem(r->e);
	ec2_leaf(r, 20161115, "meta-data/spot/instance-action", out.data);
	if (!strcmp(spot->action, "terminate"))
		ec2_leaf(r, 20141105, "meta-data/spot/termination-time", at);
}

void ec2_render_events(struct ec2_render *r)
{
	const struct context *c = r->c;

	render_maintenance(r, "meta-data/events/maintenance/history", true);
	render_maintenance(r, "meta-data/events/maintenance/scheduled", false);
	render_spot(r);
	if (c->rebalance_time) {
		char at[CONTEXT_TIME_SIZE];

		context_format_time(c->rebalance_time, at);
		AUTO_BUF out = BUF_INIT;

		if (buf_addf(&out, "{\"noticeTime\": \"%s\"}", at) && !r->rc)
			r->rc = err_nomem(r->e);
		ec2_leaf(r, 20201027, "meta-data/events/recommendations/rebalance", out.data);
	}
	ec2_leaf(r, 20210715, "meta-data/autoscaling/target-lifecycle-state",
		 c->target_lifecycle_state);
}
