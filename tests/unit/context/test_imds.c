/* SPDX-License-Identifier: Apache-2.0 */
/* What is answered to which request, and that all that is listed is there. */
#include "tests/unit/cmocka.h"

#include <stdio.h>

#include "context/imds.h"

#define NOW UINT64_C(1700000000)

static const struct token_key key = {{9}};

static const char definition[] =
	"instance-id: i-0a1b\n"
	"hostname: web1.example.org\n"
	"ami-id: ami-1\n"
	"availability-zone: eu-west-1b\n"
	"launch-time: 2024-04-11T06:00:00Z\n"
	"launch-index: 3\n"
	"ssh-keys: ['ssh-rsa AAAA ops', 'ssh-rsa BBBB ops', 'ssh-rsa CCCC dev', 'ssh-rsa DDDD']\n"
	"security-groups: [web, ssh]\n"
	"nics:\n"
	"  - {mac: '02:00:00:00:00:02', addresses: [10.0.0.2/8, 10.0.0.3/8, 110.0.0.1/8, "
	"'fe80::2/64', 'fd00::2/64'], public-ipv4: 192.0.2.1}\n"
	"  - {mac: '02:00:00:00:00:01'}\n"
	"user-data-base64: AAEC/w==\n"
	"tags: {Name: web1, 'a:b': 'x/y z'}\n"
	"block-devices: {ami: sda1, root: /dev/sda1}\n";

static struct instance *make(const char *yaml)
{
	struct instance *in = NULL;
	struct err e = {0};

	if (instance_parse_yaml("web1", "web1.yaml", yaml, strlen(yaml), -1, NULL, NULL, &in, &e))
		fail_msg("%s", e.msg);
	return in;
}

static int setup(void **state)
{
	*state = make(definition);
	((struct instance *)*state)->modified = 784111777;
	return 0;
}

static int teardown(void **state)
{
	instance_free(*state);
	return 0;
}

struct reply {
	int status;
	char headers[1024];
	char body[4096];
	size_t body_len;
	unsigned hop_limit;
	const char *why;
};

/* text: the request's lines but the version and the last, "GET /x\r\nA: b". */
static struct reply ask(const struct instance *in, uint64_t now, const char *text)
{
	AUTO(http_response_release) struct http_response res = HTTP_RESPONSE_INIT;
	struct http_limits limits = HTTP_LIMITS_DEFAULT;
	struct imds_env env = {.key = &key, .now = now};
	size_t line = strcspn(text, "\r");
	AUTO_BUF raw = BUF_INIT;
	struct http_request rq;
	struct http_parser p;
	struct reply r = {0};
	struct err e = {0};

	buf_addf(&raw, "%.*s HTTP/1.1\r\nHost: a%s\r\n\r\n", (int)line, text, text + line);
	http_parser_init(&p, &limits);
	assert_int_equal(http_parse(&p, raw.data, raw.len, &rq), HTTP_DONE);
	assert_int_equal(imds_answer(&rq, in, &env, &res, &r.why, &e), 0);
	r.status = res.status;
	r.hop_limit = res.hop_limit;
	snprintf(r.headers, sizeof(r.headers), "%s", buf_str(&res.headers));
	assert_true(res.body.len < sizeof(r.body));
	memcpy(r.body, buf_str(&res.body), res.body.len + 1);
	r.body_len = res.body.len;
	return r;
}

static struct reply get(const struct instance *in, const char *path)
{
	char text[600];

	snprintf(text, sizeof(text), "GET %s", path);
	return ask(in, NOW, text);
}

static void assert_get(const struct instance *in, const char *path, const char *body)
{
	struct reply r = get(in, path);

	if (r.status != 200)
		fail_msg("%s: %d %s", path, r.status, r.why ? r.why : "");
	assert_string_equal(r.body, body);
}

static void assert_status(const struct instance *in, const char *text, int status)
{
	struct reply r = ask(in, NOW, text);

	if (r.status != status)
		fail_msg("%s: %d", text, r.status);
}

static void serves_values_and_listings(void **state)
{
	struct instance *in = *state;

	assert_get(in, "/latest", "dynamic\nmeta-data\nuser-data");
	assert_get(in, "/latest/", "dynamic\nmeta-data\nuser-data");
	assert_get(in, "/latest/meta-data/instance-id", "i-0a1b");
	assert_get(in, "/latest/meta-data/instance-id/", "i-0a1b");
	assert_get(in, "/latest/meta-data/placement", "availability-zone\nregion");
	assert_get(in, "/latest/meta-data/placement/", "availability-zone\nregion");
	assert_get(in, "/latest/meta-data/placement/region", "eu-west-1");
	assert_get(in, "/latest/meta-data/security-groups", "web\nssh");
	assert_get(in, "/latest/meta-data/ami-launch-index", "3");
	assert_get(in, "/latest/meta-data/mac", "02:00:00:00:00:02");
	assert_get(in, "/latest/meta-data/tags/instance/a:b", "x/y z");
	assert_get(in, "/latest/meta-data/block-device-mapping/", "ami\nroot");
	assert_get(in, "/latest/dynamic", "fws/\ninstance-identity/");
	assert_get(in, "/latest/meta-data/instance-id?x=y", "i-0a1b");
	assert_get(in, "//latest///meta-data//instance-id", "i-0a1b");
	assert_get(in, "/%6catest/meta-data/instance%2Did", "i-0a1b");
}

static void lists_versions(void **state)
{
	struct reply r = get(*state, "/");

	assert_int_equal(r.status, 200);
	assert_memory_equal(r.body, "1.0\n2007-01-19\n", 15);
	assert_string_equal(r.body + r.body_len - 17, "2024-04-11\nlatest");
	assert_status(*state, "GET /2009-04-05/", 404);
	assert_status(*state, "GET /latestx/", 404);
	assert_status(*state, "GET /1.0/meta-data/ami-id", 200);
}

static void public_keys_are_listed_with_names_that_differ(void **state)
{
	struct instance *in = *state;

	assert_get(in, "/latest/meta-data/public-keys/", "0=key-0\n1=key-1\n2=dev\n3=key-3");
	assert_get(in, "/latest/meta-data/public-keys", "0=key-0\n1=key-1\n2=dev\n3=key-3");
	assert_get(in, "/latest/meta-data/public-keys/2", "openssh-key");
	assert_get(in, "/latest/meta-data/public-keys/2/openssh-key", "ssh-rsa CCCC dev\n");
	assert_status(in, "GET /latest/meta-data/public-keys/4/openssh-key", 404);
}

static void interfaces_are_listed_by_mac(void **state)
{
	struct instance *in = *state;
#define MACS "/latest/meta-data/network/interfaces/macs/"

	assert_get(in, MACS, "02:00:00:00:00:01/\n02:00:00:00:00:02/");
	assert_get(in, MACS "02:00:00:00:00:02/device-number", "0");
	assert_get(in, MACS "02:00:00:00:00:01/device-number", "1");
	assert_get(in, MACS "02:00:00:00:00:02/local-ipv4s", "10.0.0.2\n10.0.0.3\n110.0.0.1");
	assert_get(in, MACS "02:00:00:00:00:02/subnet-ipv4-cidr-block", "10.0.0.0/8");
	assert_get(in, MACS "02:00:00:00:00:02/ipv6s", "fd00::2");
	assert_get(in, MACS "02:00:00:00:00:02/ipv4-associations/192.0.2.1", "10.0.0.2");
	assert_get(in, MACS "02:00:00:00:00:01/",
		   "device-number\nlocal-hostname\nmac\nsecurity-groups");
}

static void old_versions_do_not_show_what_came_later(void **state)
{
	struct instance *in = *state;

	assert_status(in, "GET /2009-04-04/meta-data/mac", 404);
	assert_status(in, "GET /2011-01-01/meta-data/mac", 200);
	assert_status(in, "GET /2019-10-01/meta-data/placement/region", 404);
	assert_status(in, "GET /2020-10-27/meta-data/placement/region", 200);
	assert_status(in, "GET /2021-01-03/meta-data/tags/", 404);
	assert_get(in, "/1.0/meta-data/",
		   "ami-id\nami-launch-index\nami-manifest-path\nhostname\ninstance-id\n"
		   "local-ipv4\npublic-keys/\nsecurity-groups");
	assert_get(in, "/1.0/", "meta-data\nuser-data");
}

/* Every listed child can be had, all the way down. */
static size_t crawl(const struct instance *in, const char *path)
{
	struct reply r = get(in, path);
	size_t leaves = 0;
	char *save = NULL;

	if (r.status != 200)
		fail_msg("%s is listed, and answers %d", path, r.status);
	for (char *name = strtok_r(r.body, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
		bool keys = strstr(path, "/public-keys/") && strchr(name, '=');
		char child[512];

		if (keys)
			*strchr(name, '=') = '\0';
		snprintf(child, sizeof(child), "%s%s%s", path, name, keys ? "/" : "");
		if (child[strlen(child) - 1] == '/') {
			leaves += crawl(in, child);
		} else {
			assert_int_equal(get(in, child).status, 200);
			leaves++;
		}
	}
	return leaves;
}

static void all_that_is_listed_is_served_in_every_version(void **state)
{
	struct reply r = get(*state, "/");
	char *save = NULL;
	size_t leaves = 0;

	for (char *v = strtok_r(r.body, "\n", &save); v; v = strtok_r(NULL, "\n", &save)) {
		size_t n;
		char path[64];

		snprintf(path, sizeof(path), "/%s/meta-data/", v);
		n = crawl(*state, path);
		assert_true(n >= leaves);
		leaves = n;
		snprintf(path, sizeof(path), "/%s/dynamic/", v);
		if (strcmp(v, "2009-04-04") >= 0)
			crawl(*state, path);
		else
			assert_int_equal(get(*state, path).status, 404);
	}
	assert_true(leaves > 30);
}

static void user_data_comes_byte_for_byte(void **state)
{
	struct reply r = get(*state, "/latest/user-data");
	struct instance *in;

	assert_int_equal(r.status, 200);
	assert_int_equal(r.body_len, 4);
	assert_memory_equal(r.body, "\x00\x01\x02\xff", 4);
	assert_non_null(strstr(r.headers, "Content-Type: application/octet-stream\r\n"));
	in = make("instance-id: i-1\n");
	assert_status(in, "GET /latest/user-data", 404);
	assert_get(in, "/latest/", "dynamic\nmeta-data");
	instance_free(in);
	in = make("instance-id: i-1\nuser-data: ''\n");
	assert_status(in, "GET /latest/user-data", 404);
	instance_free(in);
}

static void the_identity_document_says_what_meta_data_says(void **state)
{
	struct reply r = get(*state, "/latest/dynamic/instance-identity/document");

	assert_non_null(strstr(r.body, "\"instanceId\" : \"i-0a1b\",\n"));
	assert_non_null(strstr(r.body, "\"region\" : \"eu-west-1\",\n"));
	assert_non_null(strstr(r.body, "\"availabilityZone\" : \"eu-west-1b\",\n"));
	assert_non_null(strstr(r.body, "\"privateIp\" : \"10.0.0.2\",\n"));
	assert_non_null(strstr(r.body, "\"pendingTime\" : \"2024-04-11T06:00:00Z\",\n"));
	assert_non_null(strstr(r.body, "\"accountId\" : null,\n"));
	assert_get(*state, "/latest/dynamic/instance-identity/", "document");
}

static void says_what_kind_of_answer_it_is(void **state)
{
	struct reply r = get(*state, "/latest/meta-data/ami-id");

	assert_string_equal(r.headers, "Content-Type: text/plain\r\nAccept-Ranges: none\r\n"
				       "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
	assert_int_equal(r.hop_limit, 0);
	r = get(*state, "/latest/meta-data/nothing");
	assert_int_equal(r.status, 404);
	assert_non_null(strstr(r.body, "<title>404 - Not Found</title>"));
}

static void refuses_paths_that_mean_something_else(void **state)
{
	static const char *const bad[] = {
		"/latest/../latest/", "/latest/meta-data/..", "/./latest",  "/latest/%2e%2e/x",
		"/latest/%2E./x",     "/latest%2fmeta-data",  "/latest%2F", "/latest/%00",
		"/latest/%0a",        "/latest/%7f",          "/latest/%",  "/latest/%4",
		"/latest/%zz",        "/latest/%+1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct reply r = get(*state, bad[i]);

		if (r.status != 400)
			fail_msg("%s: %d", bad[i], r.status);
	}
	assert_status(*state, "GET /latest/%252e%252e/", 404); /* decoded once */
	assert_status(*state, "GET /latest/...", 404);
}

#define PUT "PUT /latest/api/token\r\n"
#define TTL "X-aws-ec2-metadata-token-ttl-seconds: "

static void a_token_is_given_by_the_rules(void **state)
{
	struct instance *in = *state;
	struct reply r;

	in->imds.hop_limit = 2;
	r = ask(in, NOW, PUT TTL "21600");
	assert_int_equal(r.status, 200);
	assert_int_equal(r.body_len, 56);
	assert_int_equal(r.hop_limit, 2);
	assert_non_null(strstr(r.headers, TTL "21600\r\n"));
	assert_status(in, PUT TTL "1", 200);
	assert_status(in, "PUT /latest/api/token/\r\n" TTL "1", 200);
	assert_status(in, "PUT /latest/api/token", 400);
	assert_status(in, PUT TTL "0", 400);
	assert_status(in, PUT TTL "21601", 400);
	assert_status(in, PUT TTL "-1", 400);
	assert_status(in, PUT TTL "1s", 400);
	assert_status(in, PUT TTL "", 400);
	assert_status(in, PUT TTL "99999999999999999999999", 400);
	assert_status(in, PUT TTL "60\r\n" TTL "60", 400);
	assert_status(in, PUT TTL "60\r\nX-Forwarded-For: 10.0.0.1", 403);
	assert_status(in, PUT TTL "60\r\nx-forwarded-for:", 403);
	assert_status(in, "PUT /2021-01-03/api/token\r\n" TTL "60", 403);
	assert_status(in, "PUT /1999-01-01/api/token\r\n" TTL "60", 405);
	assert_status(in, "PUT /latest/meta-data/\r\n" TTL "60", 405);
	assert_status(in, "POST /latest/api/token\r\n" TTL "60", 405);
	assert_status(in, "put /latest/api/token\r\n" TTL "60", 405);
	r = ask(in, NOW, "GET /latest/api/token");
	assert_int_equal(r.status, 405);
	assert_string_equal(r.headers, "Allow: OPTIONS, PUT\r\n");
	assert_int_equal(r.body_len, 0);
	assert_status(in, "GET /latest/api/", 404);
}

static void a_token_opens_what_is_closed_without(void **state)
{
	struct instance *in = *state;
	struct instance *other = make("instance-id: i-2\n");
	char text[256], token[64];
	struct reply r;

	strcpy(token, ask(in, NOW, PUT TTL "60").body);
	snprintf(text, sizeof(text), "GET /latest/meta-data/ami-id\r\nX-aws-ec2-metadata-token: %s",
		 token);
	for (int required = 0; required < 2; required++) {
		in->imds.tokens = required ? IMDS_TOKENS_REQUIRED : IMDS_TOKENS_OPTIONAL;
		r = ask(in, NOW + 20, text);
		assert_int_equal(r.status, 200);
		assert_non_null(strstr(r.headers, TTL "40\r\n"));
		assert_int_equal(ask(in, NOW + 60, text).status, 401);
		assert_int_equal(ask(other, NOW, text).status, 401);
		assert_status(in, "GET /latest/meta-data/ami-id", required ? 401 : 200);
		assert_status(in, "GET /nothing", required ? 401 : 404);
		assert_status(in, "GET /", required ? 401 : 200);
		assert_status(in, "GET /latest/\r\nX-aws-ec2-metadata-token:", 401);
		assert_status(in, "GET /latest/\r\nX-aws-ec2-metadata-token: x", 401);
		snprintf(text, sizeof(text),
			 "GET /latest/\r\nX-aws-ec2-metadata-token: %s\r\n"
			 "X-aws-ec2-metadata-token: %s",
			 token, token);
		assert_int_equal(ask(in, NOW, text).status, 401);
		snprintf(text, sizeof(text),
			 "GET /latest/meta-data/ami-id\r\nX-aws-ec2-metadata-token: %s", token);
	}
	instance_free(other);
}

static void only_get_and_head_read(void **state)
{
	struct reply r = ask(*state, NOW, "DELETE /latest/");

	assert_int_equal(r.status, 405);
	assert_non_null(strstr(r.headers, "Allow: GET, HEAD\r\n"));
	assert_status(*state, "HEAD /latest/", 200);
	assert_status(*state, "get /latest/", 405);
}

static void a_disabled_service_answers_403_to_all(void **state)
{
	struct instance *in = *state;

	in->imds.enabled = false;
	assert_status(in, "GET /", 403);
	assert_status(in, PUT TTL "60", 403);
	assert_status(in, "GET /..", 403);
}

static void tags_can_be_kept_back(void **state)
{
	struct instance *in = *state;

	in->imds.instance_tags = false;
	assert_int_equal(instance_render(in, NULL), 0);
	assert_status(in, "GET /latest/meta-data/tags/", 404);
}

static void a_tree_refuses_what_it_could_not_list(void **state)
{
	struct tree *t;
	struct err e = {0};

	(void)state;
	assert_int_equal(tree_new(&t, &e), 0);
	assert_int_equal(tree_adds(t, 0, "a", "1", &e), 0);
	assert_int_equal(tree_adds(t, 0, "a-b", "1", &e), 0);
	assert_int_equal(tree_adds(t, 0, "b/c", "1", &e), 0);
	assert_int_equal(tree_seal(t, &e), 0);
	assert_int_equal(tree_adds(t, 0, "b/c", "2", &e), 0);
	assert_int_equal(tree_seal(t, &e), -EEXIST);
	tree_free(t);
	assert_int_equal(tree_new(&t, &e), 0);
	assert_int_equal(tree_adds(t, 0, "a", "1", &e), 0);
	assert_int_equal(tree_adds(t, 0, "a-b", "1", &e), 0);
	assert_int_equal(tree_adds(t, 0, "a/c", "1", &e), 0);
	assert_int_equal(tree_seal(t, &e), -EEXIST);
	tree_free(t);
}

#define with_instance(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_instance(serves_values_and_listings),
		with_instance(lists_versions),
		with_instance(public_keys_are_listed_with_names_that_differ),
		with_instance(interfaces_are_listed_by_mac),
		with_instance(old_versions_do_not_show_what_came_later),
		with_instance(all_that_is_listed_is_served_in_every_version),
		with_instance(user_data_comes_byte_for_byte),
		with_instance(the_identity_document_says_what_meta_data_says),
		with_instance(says_what_kind_of_answer_it_is),
		with_instance(refuses_paths_that_mean_something_else),
		with_instance(a_token_is_given_by_the_rules),
		with_instance(a_token_opens_what_is_closed_without),
		with_instance(only_get_and_head_read),
		with_instance(a_disabled_service_answers_403_to_all),
		with_instance(tags_can_be_kept_back),
		cmocka_unit_test(a_tree_refuses_what_it_could_not_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
