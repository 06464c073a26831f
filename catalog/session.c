/* SPDX-License-Identifier: Apache-2.0 */
/* The options that say which cloud to ask and as whom: see catalog/commands.h. */
#include "catalog/commands.h"
#include "lib/log.h"

bool cloud_option(struct cloud_options *o, int opt)
{
	switch (opt) {
	case OPT_PROFILE:
		o->aws.profile = optarg;
		return true;
	case OPT_REGION:
		o->aws.region = optarg;
		return true;
	case OPT_ENDPOINT:
		o->aws.endpoint_url = optarg;
		return true;
	default:
		return false;
	}
}

int session_open(const struct cloud_options *o, struct session *ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = aws_open(&o->aws, &ret->aws, e);

	if (rc == 0)
		rc = aws_http_client(ret->aws, &ret->http, e);
	if (rc < 0)
		return rc;
	if (log_get_level() >= LOG_LEVEL_DEBUG && aws_describe(ret->aws, &text) == 0)
		log_debug("%s", buf_str(&text));
	return 0;
}

void session_close(struct session *s)
{
	httpc_free(s->http);
	aws_free(s->aws);
	*s = (struct session){0};
}
