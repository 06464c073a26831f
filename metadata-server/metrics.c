/* SPDX-License-Identifier: Apache-2.0 */
/* What Prometheus asks for: text format 0.0.4. */
#include <stdio.h>

#include "lib/version.h"
#include "metadata-server/access.h"
#include "metadata-server/control.h"

#define PREFIX "metadata_server_"

struct out {
	struct buf *b;
	int rc;
};

static void family(struct out *o, const char *name, const char *type, const char *help)
{
	if (!o->rc)
		o->rc = buf_addf(o->b, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name,
				 help, name, type);
}

static void sample(struct out *o, const char *name, const char *labels, uint64_t value)
{
	if (!o->rc)
		o->rc = buf_addf(o->b, PREFIX "%s%s %llu\n", name, labels,
				 (unsigned long long)value);
}

static void one(struct out *o, const char *name, const char *type, const char *help, uint64_t value)
{
	family(o, name, type, help);
	sample(o, name, "", value);
}

static void of_httpd(struct out *o, const struct server *s)
{
	struct httpd_stats st = {0};

	if (s->httpd)
		httpd_stats(s->httpd, &st);
	one(o, "connections_total", "counter", "Connections of guests.", st.connections);
	one(o, "connections_open", "gauge", "Connections that are open.", st.open);
	one(o, "connections_waiting", "gauge", "Requests that wait for something to be made.",
	    st.waiting);
	one(o, "connections_turned_away_total", "counter",
	    "Connections over a limit of their guest.", st.turned_away);
	one(o, "connections_evicted_total", "counter", "Connections ended to make room.",
	    st.evicted);
	one(o, "clients", "gauge", "Addresses that are known to the limits.", st.clients);
	one(o, "requests_malformed_total", "counter", "Requests that no honest client sends.",
	    st.bad);
	one(o, "requests_limited_total", "counter", "Requests over a limit of their guest.",
	    st.limited);
	one(o, "client_timeouts_total", "counter", "Connections ended because of a slow client.",
	    st.timeouts);
	one(o, "received_bytes_total", "counter", "Bytes from guests.", st.bytes_in);
	one(o, "sent_bytes_total", "counter", "Bytes to guests.", st.bytes_out);
}

static void of_requests(struct out *o, const struct server *s)
{
	char labels[32];

	family(o, "responses_total", "counter", "Answers, by the hundred of their status.");
	for (unsigned i = 1; i < 6; i++) {
		snprintf(labels, sizeof(labels), "{status=\"%uxx\"}", i);
		sample(o, "responses_total", labels, s->counts.by_status[i]);
	}
	family(o, "served_total", "counter", "Successful answers, by the version of the service.");
	sample(o, "served_total", "{imds=\"v1\"}", s->counts.without_token);
	sample(o, "served_total", "{imds=\"v2\"}", s->counts.with_token);
	one(o, "tokens_total", "counter", "Session tokens given out.", s->counts.tokens);
	one(o, "unknown_guests_total", "counter", "Requests of nobody that is known.",
	    s->counts.unknown);
}

int metrics_write(const struct server *s, struct buf *out, struct err *e)
{
	struct out o = {.b = out};

	family(&o, "info", "gauge", "The version.");
	sample(&o, "info", "{version=\"" ACCLIMATE_VERSION "\"}", 1);
	one(&o, "instances", "gauge", "Instances that are served.", server_count(s));
	one(&o, "instances_with_events", "gauge", "Instances that have events set.",
	    s->events.table.n);
	one(&o, "loads_total", "counter", "Times that definitions were read.", s->counts.loads);
	one(&o, "loads_failed_total", "counter", "Times that they had faults.",
	    s->counts.failed_loads);
	one(&o, "definitions_good", "gauge", "1: the last load had no faults.", !s->faults.len);
	one(&o, "last_load_timestamp_seconds", "gauge", "When definitions were last taken over.",
	    s->loaded_at);
	of_httpd(&o, s);
	of_requests(&o, s);
	if (s->access)
		one(&o, "access_lines_dropped_total", "counter",
		    "Lines of the access log that could not be written.",
		    access_dropped(s->access));
	return o.rc ? err_nomem(e) : 0;
}
