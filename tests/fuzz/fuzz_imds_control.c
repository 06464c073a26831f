/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of metadata-server's control socket: a line "METHOD TARGET", then the body. Whatever
 * is set stays readable, can be applied, and is gone when it is cleared.
 */
#include "lib/log.h"
#include "metadata-server/control.h"

static struct server server;

static void make(void)
{
	static const char yaml[] = "instance-id: i-1\nspot: {action: stop, time: "
				   "2030-01-01T00:00:00Z}\n";

	log_set_level(LOG_LEVEL_ERR);
	server.as = "a.yaml";
	if (instance_parse_yaml("a", "a.yaml", yaml, sizeof(yaml) - 1, -1, NULL, NULL, &server.one,
				NULL))
		abort();
}

static int ask(const char *method, const char *target, struct http_slice body, struct buf *ret)
{
	AUTO(http_response_release) struct http_response res = HTTP_RESPONSE_INIT;
	struct http_request rq = {
		.method = {method, strlen(method)}, .target = {target, strlen(target)}, .minor = 1};
	struct err e = {0};

	if (control_answer(&server, true, &rq, body, &res, &e) == 0 && ret &&
	    buf_add(ret, buf_str(&res.body), res.body.len))
		abort();
	return res.status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http_slice none = {"", 0};
	const char *text = (const char *)data;
	const char *nl = size ? memchr(text, '\n', size) : NULL;
	size_t line = nl ? (size_t)(nl - text) : size;
	AUTO_FREE char *head = strndup(size ? text : "", line);
	struct http_slice body = {nl ? nl + 1 : "", nl ? size - line - 1 : 0};
	AUTO_BUF left = BUF_INIT;
	char *target;

	if (!server.one)
		make();
	if (!head)
		return 0;
	target = strchr(head, ' ');
	if (target)
		*target++ = '\0';
	/* reading all files again is not what this is about */
	if (!strcmp(head, "POST"))
		return 0;
	if (ask(head, target ? target : "/", body, NULL) == 500)
		abort();
	if (ask("GET", "/v1/instances/a/events", none, NULL) != 200 ||
	    ask("DELETE", "/v1/instances/a/events", none, &left) != 200 ||
	    strcmp(buf_str(&left), "{}\n"))
		abort();
	return 0;
}
