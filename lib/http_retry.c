/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one retry layer: httpc_call of lib/http.h.
 *
 * A download keeps count of what its sink has. Each new attempt asks for the rest by Range, bound
 * to the same object by If-Match (RFC 9110 sections 13.1.1 and 14), and its answer is judged before
 * a byte of it goes to the sink.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/http.h"
#include "lib/stop.h"
#include "lib/str.h"

#define DEFAULT_ATTEMPTS 6
#define DEFAULT_BASE_MS 500
#define DEFAULT_CAP_MS 20000
#define DEFAULT_TOTAL_MS 300000
#define SLEEP_SLICE_MS 50
#define MAX_AGAIN 2
#define MAX_LOOKUPS 3u
#define PROGRESS_BYTES (64u << 10) /* as much makes a broken attempt count as progress */
#define UNKNOWN UINT64_MAX

struct run {
	const struct httpc_call *call;
	struct httpc_response *r;
	struct httpc_retry retry; /* defaults filled in */
	unsigned attempt, again;
	uint64_t started_ms;

	/* Downloads. */
	bool download;
	uint64_t got;     /* bytes that the sink has, the first being number call->first */
	uint64_t skip;    /* bytes of this response that the sink has already */
	uint64_t end;     /* this response ends before this byte of the object; UNKNOWN */
	uint64_t total;   /* the object's size; UNKNOWN */
	char *etag;       /* strong; NULL: unknown */
	bool asked_range; /* in this attempt */
	bool judged;      /* this response's head */
	bool fatal;       /* what went wrong must not be tried again */
};

static void run_release(struct run *run)
{
	free(run->etag);
}
DEFINE_AUTO_STRUCT(struct run, run_release);

int httpc_sleep_ms(uint64_t ms, struct err *e)
{
	uint64_t until = clock_ms() + ms, now;

	while (!stop_requested() && (now = clock_ms()) < until) {
		uint64_t slice = MIN(until - now, (uint64_t)SLEEP_SLICE_MS);
		struct timespec ts = {.tv_nsec = (long)slice * 1000000};

		nanosleep(&ts, NULL); /* a signal may cut it short */
	}
	return stop_check(e);
}

/* ---- downloads: judging a response ---------------------------------------------------------- */

/* "bytes 5-9/10", "bytes 5-9/\*": a, b, total. False for anything else. */
static bool parse_content_range(const char *s, uint64_t *first, uint64_t *last, uint64_t *total)
{
	char text[80];
	char *dash, *slash;

	if (!s || strncmp(s, "bytes ", 6) != 0 || strlen(s + 6) >= sizeof(text))
		return false;
	memcpy(text, s + 6, strlen(s + 6) + 1);
	dash = strchr(text, '-');
	slash = strchr(text, '/');
	if (!dash || !slash || slash < dash)
		return false;
	*dash = *slash = '\0';
	*total = UNKNOWN;
	if (strcmp(slash + 1, "*") != 0 && str_to_u64(slash + 1, 0, UNKNOWN - 1, total, NULL) < 0)
		return false;
	return str_to_u64(text, 0, UNKNOWN - 1, first, NULL) == 0 &&
	       str_to_u64(dash + 1, *first, UNKNOWN - 1, last, NULL) == 0 && *last < *total;
}

static int changed(struct err *e)
{
	return err_set(e, ESTALE, "the object changed on the server while it was read");
}

/* A size or ETag that differs from an earlier attempt's. */
static int same_object(struct run *run, uint64_t total, struct err *e)
{
	const char *etag = httpc_header(run->r, "ETag");

	if (!run->got && !run->call->if_match)
		free(STEAL(run->etag)); /* what an attempt saw that brought nothing */
	if (run->etag && etag && strcmp(run->etag, etag) != 0)
		return changed(e);
	if (run->got && total != UNKNOWN && run->total != UNKNOWN && total != run->total)
		return changed(e);
	if (total != UNKNOWN || !run->got)
		run->total = total;
	/* A weak one ("W/...") says nothing about bytes. */
	if (!run->etag && etag && *etag == '"') {
		run->etag = strdup(etag);
		if (!run->etag)
			return err_nomem(e);
	}
	return 0;
}

static int judge_partial(struct run *run, struct err *e)
{
	const char *range = httpc_header(run->r, "Content-Range");
	uint64_t wanted = run->call->first + run->got, first, last, total;
	uint64_t length = run->call->length;

	if (!run->asked_range)
		return err_set(e, EPROTO, "HTTP 206 without having asked for a range");
	if (!parse_content_range(range, &first, &last, &total))
		return err_set(e, EPROTO, "HTTP 206 with a wrong Content-Range: '%s'",
			       range ? range : "");
	if (first != wanted || (length && last >= run->call->first + length))
		return err_set(e, EPROTO,
			       "asked for bytes from %" PRIu64 ", got Content-Range: '%s'", wanted,
			       range);
	run->end = last + 1;
	return same_object(run, total, e);
}

/* The whole object: what the sink has is skipped, or forgotten. */
static int judge_whole(struct run *run, struct err *e)
{
	const struct httpc_sink *sink = run->call->request.sink;
	const char *etag = httpc_header(run->r, "ETag");
	uint64_t total = UNKNOWN;
	bool same = run->etag && etag && !strcmp(run->etag, etag);
	int rc;

	if (run->asked_range && run->call->length)
		return err_set(e, ENOTSUP, "the server does not honour Range");
	httpc_header_u64(run->r, "Content-Length", &total, NULL);
	run->end = total;
	if (!run->got || same) {
		run->skip = run->call->first + run->got;
		return same_object(run, total, e);
	}
	if (run->call->first || run->call->if_match || !sink->restart)
		return changed(e);
	rc = sink->restart(sink->opaque, e);
	if (rc < 0)
		return rc;
	run->got = 0;
	free(STEAL(run->etag));
	return same_object(run, total, e);
}

static int judge(struct run *run, struct err *e)
{
	int rc;

	if (run->judged)
		return 0;
	run->judged = true;
	rc = run->r->status == 206 ? judge_partial(run, e) : judge_whole(run, e);
	run->fatal = rc < 0;
	return rc;
}

/* The sink of each attempt, before the caller's. */
static int on_data(void *opaque, const void *data, size_t len, struct err *e)
{
	struct run *run = opaque;
	const struct httpc_sink *sink = run->call->request.sink;
	uint64_t max = run->call->request.max_sink;
	uint64_t room;
	size_t drop;
	int rc = judge(run, e);

	if (rc < 0)
		return rc;
	drop = (size_t)MIN((uint64_t)len, run->skip);
	run->skip -= drop;
	len -= drop;
	if (!len)
		return 0;
	run->fatal = true; /* unless all goes well */
	room = run->end == UNKNOWN ? UNKNOWN : run->end - (run->call->first + run->got);
	if (len > room)
		return err_set(e, EPROTO, "the body is longer than its Content-Range");
	if (max && (run->got > max || len > max - run->got))
		return err_set(e, EFBIG, "the body is longer than %" PRIu64 " bytes", max);
	rc = sink->write(sink->opaque, (const char *)data + drop, len, e);
	if (rc < 0)
		return rc;
	run->got += len;
	run->fatal = false;
	return 0;
}

/* All bytes that the call wants are in the sink. */
static bool is_complete(const struct run *run)
{
	if (run->call->length)
		return run->got == run->call->length;
	return run->total != UNKNOWN && run->call->first + run->got == run->total;
}

/* After a response that came whole: 0, 1 = the rest must still be asked for, or an error. */
static int check_download(struct run *run, struct err *e)
{
	int rc = judge(run, e); /* there may have been no body */

	if (rc < 0)
		return rc;
	if (run->skip)
		return err_set(e, ERANGE, "the object ends before byte %" PRIu64, run->call->first);
	if (is_complete(run))
		return 0;
	/* 200 and the end of a chunked body: that is the object. */
	if (run->end == UNKNOWN)
		return 0;
	if (run->total != UNKNOWN && run->call->first + run->got == run->total)
		return err_set(e, ERANGE, "the object ends at byte %" PRIu64, run->total);
	return 1;
}

/* 416: nothing lies behind what the sink has, or the object became shorter. */
static int unsatisfiable(struct run *run, struct err *e)
{
	const char *range = httpc_header(run->r, "Content-Range");
	uint64_t total, offset = run->call->first + run->got;

	if (range && !strncmp(range, "bytes */", 8) &&
	    str_to_u64(range + 8, 0, UNKNOWN - 1, &total, NULL) == 0) {
		if (total == offset && !run->call->length) {
			run->r->status = 206;
			return 0;
		}
		if (!run->got)
			return err_set(e, ERANGE,
				       "the object has %" PRIu64 " bytes, asked was from %" PRIu64,
				       total, offset);
	}
	return run->got ? changed(e) : err_set(e, ERANGE, "HTTP 416: no byte %" PRIu64, offset);
}

/* ---- attempts ------------------------------------------------------------------------------- */

static int forget(struct run *run, struct err *e)
{
	const struct httpc_sink *sink = run->call->request.sink;
	int rc;

	if (run->call->first || !sink->restart)
		return err_set(e, ECONNRESET,
			       "the connection broke off and the server gives no ETag to resume "
			       "by");
	rc = sink->restart(sink->opaque, e);
	if (rc == 0)
		run->got = 0;
	return rc;
}

/* Sends one attempt. Headers: the call's, then Range and If-Match. */
static int attempt(struct httpc *c, struct run *run, struct err *e)
{
	const struct httpc_call *call = run->call;
	struct httpc_sink sink = {.write = on_data, .opaque = run};
	struct httpc_request req = call->request;
	AUTO_FREE struct httpc_header *headers = NULL;
	char range[64];
	int rc;

	run->asked_range = run->judged = false;
	run->skip = 0;
	run->end = UNKNOWN;
	if (run->download) {
		if (run->got && !run->etag) {
			rc = forget(run, e);
			run->fatal = rc < 0;
			if (rc < 0)
				return rc;
		}
		headers = calloc(req.n_headers + 2, sizeof(*headers));
		if (!headers)
			return err_nomem(e);
		if (req.n_headers)
			memcpy(headers, req.headers, req.n_headers * sizeof(*headers));
		req.headers = headers;
		req.sink = &sink;
		req.max_sink = 0;
		run->asked_range = call->first || call->length || run->got;
		if (call->length)
			snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64,
				 call->first + run->got, call->first + call->length - 1);
		else
			snprintf(range, sizeof(range), "bytes=%" PRIu64 "-",
				 call->first + run->got);
		if (run->asked_range)
			headers[req.n_headers++] = (struct httpc_header){"Range", range};
		if (run->etag && (run->asked_range || call->if_match))
			headers[req.n_headers++] = (struct httpc_header){"If-Match", run->etag};
	}
	if (call->prepare) {
		rc = call->prepare(call->opaque, run->attempt, &req, e);
		run->fatal = rc < 0;
		if (rc < 0)
			return rc;
	}
	return httpc_send(c, &req, run->r, e);
}

enum httpc_verdict httpc_classify(void *opaque, const struct httpc_response *r, struct err *e)
{
	(void)opaque;
	switch (r->status) {
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		err_set(e, EIO, "HTTP %d", r->status);
		return HTTPC_RETRY;
	case 404:
	case 410:
		err_set(e, ENOENT, "HTTP %d", r->status);
		return HTTPC_FAIL;
	case 401:
	case 403:
	case 407:
		err_set(e, EACCES, "HTTP %d", r->status);
		return HTTPC_FAIL;
	default:
		if (r->status >= 200 && r->status < 300)
			return HTTPC_DONE;
		err_set(e, EIO, "HTTP %d", r->status);
		return HTTPC_FAIL;
	}
}

static enum httpc_verdict ask_caller(struct run *run, struct err *e)
{
	enum httpc_verdict verdict;

	*e = (struct err){0};
	verdict = run->call->classify ? run->call->classify(run->call->opaque, run->r, e)
				      : httpc_classify(NULL, run->r, e);
	if (verdict != HTTPC_DONE && !e->code)
		err_set(e, EIO, "HTTP %d", run->r->status);
	if (verdict == HTTPC_AGAIN && run->again++ >= MAX_AGAIN)
		return HTTPC_FAIL;
	return verdict;
}

/* What becomes of an attempt; e says why unless it is done. */
static enum httpc_verdict verdict_of(struct run *run, int rc, struct err *e)
{
	int status = run->r->status;

	if (rc < 0) {
		if (run->fatal || !httpc_error_is_transient(rc))
			return HTTPC_FAIL;
		/* Cut off, but behind the last byte that was wanted. */
		return run->download && run->judged && is_complete(run) ? HTTPC_DONE : HTTPC_RETRY;
	}
	if (run->download && (status == 200 || status == 206)) {
		rc = check_download(run, e);
		if (rc < 0)
			return HTTPC_FAIL;
		if (rc > 0) {
			err_set(e, ECONNRESET, "the server sent a part only");
			return HTTPC_RETRY;
		}
	}
	if (run->download && status == 416 && run->asked_range)
		return unsatisfiable(run, e) < 0 ? HTTPC_FAIL : HTTPC_DONE;
	if (run->download && status == 412 && run->etag) {
		changed(e);
		return HTTPC_FAIL;
	}
	return ask_caller(run, e);
}

/* ---- pauses --------------------------------------------------------------------------------- */

/* Random in [d/2, d], so that many clients do not come back in step. */
static uint64_t backoff_ms(const struct run *run)
{
	unsigned shift = MIN(run->attempt - 1, 20u);
	uint64_t d = MIN((uint64_t)run->retry.base_ms << shift, (uint64_t)run->retry.cap_ms);
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)clock_ms();
	return d / 2 + random % (d / 2 + 1);
}

/* Retry-After: seconds or a date (RFC 9110 section 10.2.3); 0 if there is none. */
static uint64_t retry_after_ms(const struct run *run)
{
	const char *value = run->r->status ? httpc_header(run->r, "Retry-After") : NULL;
	uint64_t seconds;
	int64_t now = time(NULL), when;

	if (!value)
		return 0;
	if (str_to_u64(value, 0, UINT32_MAX, &seconds, NULL) == 0)
		return seconds * 1000;
	when = httpc_date(value);
	return when > now ? (uint64_t)(when - now) * 1000 : 0;
}

/* Waits before the next attempt. Nonzero when there must be none; e is the attempt's error then. */
static int pause_before_next(struct run *run, struct err *e)
{
	uint64_t asked = retry_after_ms(run), wait = MAX(backoff_ms(run), asked);
	uint64_t spent = clock_ms() - run->started_ms;
	/* A name that is not found is seldom found later. */
	unsigned max = e->code == EAGAIN ? MIN(run->retry.max_attempts, MAX_LOOKUPS)
					 : run->retry.max_attempts;
	char text[320];
	struct err stopped;
	int rc;

	if (run->attempt >= max)
		return run->attempt > 1 ? err_wrap(e, "after %u attempts", run->attempt) : -e->code;
	if (spent + wait > run->retry.total_ms) {
		if (asked)
			return err_wrap(e, "the server asks to wait %" PRIu64 " s", asked / 1000);
		return err_wrap(e, "after %" PRIu64 " s", spent / 1000);
	}
	snprintf(text, sizeof(text), "%.200s; attempt %u of %u in %.1f s", e->msg, run->attempt + 1,
		 max, (double)wait / 1000);
	if (run->retry.note)
		run->retry.note(run->retry.note_opaque, text);
	rc = httpc_sleep_ms(wait, &stopped);
	if (run->retry.note)
		run->retry.note(run->retry.note_opaque, NULL);
	if (rc < 0)
		*e = stopped;
	return rc;
}

/* ---- the call ------------------------------------------------------------------------------- */

static int start(struct run *run, struct err *e)
{
	const struct httpc_call *call = run->call;
	struct httpc_retry *t = &run->retry;

	if (call->retry)
		*t = *call->retry;
	t->max_attempts = t->max_attempts ? t->max_attempts : DEFAULT_ATTEMPTS;
	t->base_ms = t->base_ms ? t->base_ms : DEFAULT_BASE_MS;
	t->cap_ms = t->cap_ms ? t->cap_ms : DEFAULT_CAP_MS;
	t->total_ms = t->total_ms ? t->total_ms : DEFAULT_TOTAL_MS;
	run->attempt = 1;
	run->started_ms = clock_ms();
	run->total = UNKNOWN;
	run->download = call->request.method == HTTPC_GET && call->request.sink;
	if (!run->download && (call->first || call->length))
		return err_set(e, EINVAL, "a range needs GET and a sink");
	if (call->first > INT64_MAX || call->length > INT64_MAX)
		return err_set(e, EINVAL, "the range is too large");
	if (call->if_match) {
		run->etag = strdup(call->if_match);
		if (!run->etag)
			return err_nomem(e);
	}
	return 0;
}

static int run_attempts(struct httpc *c, struct run *run, struct err *e)
{
	for (;; run->attempt++) {
		uint64_t before = run->got;
		enum httpc_verdict verdict;
		int rc;

		do {
			rc = attempt(c, run, e);
			verdict = verdict_of(run, rc, e);
		} while (verdict == HTTPC_AGAIN);
		if (verdict == HTTPC_DONE)
			return 0;
		if (verdict == HTTPC_FAIL)
			return -e->code;
		if (run->got > before && run->got - before >= PROGRESS_BYTES) {
			run->attempt = 1;
			run->started_ms = clock_ms();
		}
		rc = pause_before_next(run, e);
		if (rc < 0)
			return rc;
	}
}

int httpc_call(struct httpc *c, const struct httpc_call *call, struct httpc_response *r,
	       struct err *e)
{
	AUTO(run_release) struct run run = {.call = call, .r = r};
	const char *url = call->request.url ? call->request.url : "";
	struct err local = {.code = 0};
	int rc;

	e = e ? e : &local;
	rc = start(&run, e);
	if (rc == 0)
		rc = run_attempts(c, &run, e);
	if (rc < 0 && rc != -ECANCELED && *url)
		err_wrap(e, "%s %.*s", httpc_method_name(call->request.method),
			 (int)strcspn(url, "?"), url);
	return rc;
}
