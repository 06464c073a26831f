/* SPDX-License-Identifier: Apache-2.0 */
/* Whole requests to the metadata service, and their targets as paths. */
#include "context/imds.h"

static const char yaml[] =
	"instance-id: i-1\nhostname: a.b\nssh-keys: [ssh-rsa AAAA a]\nuser-data: x\nnics: [{mac: "
	"'02:00:00:00:00:01', addresses: [10.0.0.1/8]}]\ntags: {a: b, enable-guest-attributes: "
	"'TRUE'}\ndefault-user: {password: x}\n"
	"dialects: [ec2, openstack, nocloud, cloudstack, gce]\n";

/* What the guest said last. */
static struct context_pair said;
static size_t n_said;

static const struct context_pair *all_said(void *arg, const struct instance *in, size_t *n)
{
	(void)arg;
	(void)in;
	*n = n_said;
	return &said;
}

static int say(void *arg, const struct instance *in, const char *key, const char *value,
	       struct err *e)
{
	(void)arg;
	(void)in;
	(void)e;
	n_said = value != NULL;
	return context_set(&said.key, key) || context_set(&said.value, value) ? -ENOMEM : 0;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_path(struct http_slice target)
{
	AUTO_BUF path = BUF_INIT;
	const char *p;

	if (imds_path(target, &path, NULL))
		return;
	p = buf_str(&path);
	check(strlen(p) == path.len); /* no NUL */
	check(p[0] != '/' && (!path.len || p[path.len - 1] != '/') && !strstr(p, "//"));
	check(strcmp(p, "..") != 0 && strncmp(p, "../", 3) != 0 && !strstr(p, "/../"));
	for (; *p; p++)
		check((unsigned char)*p >= 0x20 && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct token_key key;
	static struct instance *in;
	AUTO(http_response_release) struct http_response res = HTTP_RESPONSE_INIT;
	static const struct imds_said keeper = {.all = all_said, .set = say};
	static char name[] = "a", *names[] = {name};
	static const struct strlist known = {names, ARRAY_SIZE(names)};
	struct imds_env env = {.names = &known, .key = &key, .now = 1700000000, .said = &keeper};
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	struct http_request rq;
	struct http_parser p;
	const char *why;

	if (!in && instance_parse_yaml("a", "a", yaml, sizeof(yaml) - 1, -1, NULL, NULL, &in, NULL))
		abort();
	check_path((struct http_slice){(const char *)data, size});
	http_parser_init(&p, &limits);
	if (http_parse(&p, (const char *)data, size, &rq) != HTTP_DONE)
		return 0;
	env.body = (struct http_slice){(const char *)data + p.head_len, size - p.head_len};
	check(!imds_answer(&rq, in, &env, &res, &why, NULL));
	check(res.wait_ms || (res.status >= 200 && res.status < 500));
	check(!res.hop_limit || (res.status == 200 && res.body.len == 56));
	return 0;
}
