/* SPDX-License-Identifier: Apache-2.0 */
/* The talk with one source: see catalog/catalog.h. */
#include "catalog/cache.h"
#include "catalog/catalog.h"
#include "lib/log.h"

void session_note(void *opaque, const char *text)
{
	const struct session *s = opaque;

	progress_note(s->progress, text);
}

static int open_aws(const struct cloud_options *o, const struct source *src, struct session *s,
		    struct err *e)
{
	struct aws_options aws = o->aws;
	AUTO_BUF text = BUF_INIT;
	int rc;

	/* What the command line says goes before what the source says. */
	if (!aws.profile)
		aws.profile = src->profile;
	if (!aws.region)
		aws.region = src->region;
	if (!aws.endpoint_url)
		aws.endpoint_url = src->endpoint_url;
	rc = aws_open(&aws, &s->aws, e);
	if (rc == 0)
		rc = aws_http_client(s->aws, &s->http, e);
	if (rc < 0)
		return rc;
	if (log_get_level() >= LOG_LEVEL_DEBUG && aws_describe(s->aws, &text) == 0)
		log_debug("%s", buf_str(&text));
	return 0;
}

int session_open(const struct cloud_options *o, const struct source *src, struct session *ret,
		 struct err *e)
{
	AUTO(session_close)
	struct session s = {
		.source = src,
		.freshness = o->freshness,
		.attempt_timeout_ms = o->attempt_timeout_s * 1000,
	};
	struct err ignored;
	int rc;

	if (src && src->type->aws)
		rc = open_aws(o, src, &s, e);
	else
		rc = httpc_new(NULL, &s.http, e);
	if (rc < 0)
		return rc;
	/* A machine without a home still can ask; nothing is kept then. */
	if (src && cache_open(src, &s.cache, &ignored) < 0)
		log_debug("%s", ignored.msg);
	*ret = s;
	s = (struct session){0};
	return 0;
}

void session_close(struct session *s)
{
	httpc_free(s->http);
	aws_free(s->aws);
	cache_close(s->cache);
	if (s->token)
		explicit_bzero(s->token, strlen(s->token));
	free(s->token);
	free(s->endpoint);
	*s = (struct session){0};
}
