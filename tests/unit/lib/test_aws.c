/* SPDX-License-Identifier: Apache-2.0 */
/* lib/aws: where credentials, regions and endpoints come from; requests, errors, redirects. */
#include "tests/unit/cmocka.h"

#include <sys/stat.h>

#include "lib/aws.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "tests/unit/lib/misbehave.h"

static const struct httpc_retry quick = {.max_attempts = 4, .base_ms = 2, .cap_ms = 8};
static char *dir;

/* ---- a clean machine ------------------------------------------------------------------------- */

static int64_t the_clock = 1700000000; /* 2023-11-14T22:13:20Z */

static int64_t test_now(void)
{
	return the_clock;
}

static void write_file(const char *name, const char *text)
{
	AUTO_FREE char *path = path_join(dir, name);
	struct err e;

	if (fs_write_file(path, text, strlen(text), 0700, &e) < 0)
		fail_msg("%s", e.msg);
}

static int start(void **state)
{
	if (misbehave_start(state) < 0)
		return -1;
	return fs_make_temp_dir("/tmp/acclimate-test", &dir, NULL);
}

static int end(void **state)
{
	misbehave_end(state);
	fs_remove_tree(dir, NULL);
	free(dir);
	return 0;
}

/* No settings but an empty home, and no instance metadata. */
static int clean(void **state)
{
	AUTO_FREE char *aws = path_join(dir, ".aws");

	(void)state;
	for (char **v = environ; *v;) {
		AUTO_FREE char *name = strndup(*v, strcspn(*v, "="));

		if (str_has_prefix(name, "AWS_"))
			unsetenv(name);
		else
			v++;
	}
	setenv("HOME", dir, 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	the_clock = 1700000000;
	return fs_remove_tree(aws, NULL) < 0 || mkdir(aws, 0700) < 0 ? -1 : 0;
}

static struct aws *open_aws(const struct aws_options *o)
{
	struct aws_options all = o ? *o : (struct aws_options){0};
	struct aws *a = NULL;
	struct err e;

	all.now = test_now;
	all.retry = &quick;
	if (aws_open(&all, &a, &e) < 0)
		fail_msg("%s", e.msg);
	return a;
}

static void assert_keys(const struct aws_options *o, const char *access, const char *token,
			const char *source)
{
	AUTO(aws_free) struct aws *a = open_aws(o);
	AUTO(aws_credentials_release) struct aws_credentials c = {0};
	struct err e;

	if (aws_credentials(a, &c, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(c.access_key, access);
	if (token)
		assert_string_equal(c.session_token, token);
	else
		assert_null(c.session_token);
	if (!strstr(c.source, source))
		fail_msg("from %s, not %s", c.source, source);
}

static void assert_no_keys(const struct aws_options *o, int rc, const char *message)
{
	AUTO(aws_free) struct aws *a = open_aws(o);
	struct aws_credentials c = {0};
	struct err e = {.msg = ""};
	int got = aws_credentials(a, &c, &e);

	if (got != rc || !strstr(e.msg, message))
		fail_msg("%d %s", got, e.msg);
	assert_null(c.access_key);
}

static void assert_opens_not(const struct aws_options *o, int rc, const char *message)
{
	struct aws *a = NULL;
	struct err e = {.msg = ""};
	int got = aws_open(o, &a, &e);

	if (got != rc || !strstr(e.msg, message))
		fail_msg("%d %s", got, e.msg);
}

/* ---- credentials ---------------------------------------------------------------------------- */

static void the_chain_takes_the_first_that_has_keys(void **state)
{
	static const struct aws_options dev = {.profile = "dev"};
	static const struct aws_options given = {
		.access_key = "AKOPT", .secret_key = "s", .session_token = "t"};

	(void)state;
	write_file(
		".aws/credentials",
		"[default]\naws_access_key_id=AKDEF\naws_secret_access_key=s\n"
		"[dev]\naws_access_key_id=AKDEV\naws_secret_access_key=s\naws_session_token=t\n");
	write_file(".aws/config", "[default]\naws_access_key_id=AKCONF\naws_secret_access_key=s\n"
				  "[profile ops]\naws_access_key_id=AKOPS\n"
				  "aws_secret_access_key=s\n");
	assert_keys(NULL, "AKDEF", NULL, "[default]");
	assert_keys(&dev, "AKDEV", "t", "[dev]");
	setenv("AWS_PROFILE", "ops", 1);
	assert_keys(NULL, "AKOPS", NULL, "[profile ops] of");
	setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	assert_keys(NULL, "AKENV", NULL, "the environment");
	setenv("AWS_SESSION_TOKEN", "tok", 1);
	assert_keys(NULL, "AKENV", "tok", "the environment");
	assert_keys(&dev, "AKDEV", "t", "[dev]"); /* an explicit profile wins */
	assert_keys(&given, "AKOPT", "t", "the command line");
}

static void files_can_lie_elsewhere(void **state)
{
	AUTO_FREE char *path = path_join(dir, "creds");

	(void)state;
	write_file("creds", "[x]\naws_access_key_id = AKX\naws_secret_access_key = s\n");
	setenv("AWS_SHARED_CREDENTIALS_FILE", "~/creds", 1);
	setenv("AWS_DEFAULT_PROFILE", "x", 1);
	assert_keys(NULL, "AKX", NULL, "[x]");
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	assert_keys(NULL, "AKX", NULL, "[x]");
}

static void broken_sources_are_errors_not_skipped(void **state)
{
	static const struct aws_options none = {.profile = "none"};
	static const struct aws_options half = {.access_key = "AK"};
	static const struct aws_options sso = {.profile = "sso"};
	static const struct aws_options role = {.profile = "role"};
	static const struct aws_options partial = {.profile = "partial"};

	(void)state;
	write_file(".aws/config", "[profile sso]\nsso_session = x\n[profile role]\nrole_arn = a\n"
				  "source_profile = default\n[profile partial]\n"
				  "aws_access_key_id = AK\n");
	assert_no_keys(NULL, -ENOKEY, "no AWS credentials: not in the environment");
	assert_opens_not(&none, -EINVAL, "the AWS profile 'none' is neither in");
	assert_opens_not(&half, -EINVAL, "must be given together");
	assert_no_keys(&sso, -ENOTSUP,
		       "'sso_session', which is not supported: 'aws configure "
		       "export-credentials --profile sso --format env'");
	assert_no_keys(&role, -ENOTSUP, "'role_arn'");
	assert_no_keys(&partial, -EINVAL, "must have both");
	setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	assert_no_keys(NULL, -EINVAL, "AWS_SECRET_ACCESS_KEY is not");
	unsetenv("AWS_ACCESS_KEY_ID");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/x", 1);
	assert_no_keys(NULL, -ENOTSUP, "AWS_WEB_IDENTITY_TOKEN_FILE");
	write_file(".aws/credentials", "[default]\nSECRETLINE\n");
	assert_opens_not(NULL, -EBADMSG, ".aws/credentials:2: neither");
}

static void expired_keys_are_noticed_before_they_are_sent(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	setenv("AWS_CREDENTIAL_EXPIRATION", "2023-11-14T22:13:21.5+00:00", 1);
	assert_keys(NULL, "AK", NULL, "environment");
	setenv("AWS_CREDENTIAL_EXPIRATION", "2023-11-15T00:13:20+02:00", 1);
	assert_no_keys(NULL, -EKEYEXPIRED, "the environment have expired: get new ones");
	setenv("AWS_CREDENTIAL_EXPIRATION", "tomorrow", 1);
	assert_no_keys(NULL, -EBADMSG, "'tomorrow' is not a time");
}

static void a_process_gives_keys_and_is_asked_again(void **state)
{
	AUTO(aws_free) struct aws *a = NULL;
	AUTO(aws_credentials_release) struct aws_credentials c = {0}, d = {0};
	AUTO_BUF config = BUF_INIT;

	(void)state;
	/* Each call gives another key; the words are split as a shell would, without a shell. */
	write_file("give keys", "#!/bin/sh\necho x >> \"$HOME/calls\"\n"
				"[ \"$1\" = 'a b' ] && [ \"$2\" = '$HOME' ] || exit 3\n"
				"printf '{\"Version\": 1, \"AccessKeyId\": \"AK%d\", "
				"\"SecretAccessKey\": \"s\", \"Expiration\": "
				"\"2023-11-14T23:13:20Z\"}' $(wc -l < \"$HOME/calls\")\n");
	assert_int_equal(
		buf_addf(&config,
			 "[default]\ncredential_process = \"%s/give keys\" a\\ b '$HOME'\n", dir),
		0);
	write_file(".aws/config", buf_str(&config));
	a = open_aws(NULL);
	assert_int_equal(aws_credentials(a, &c, NULL), 0);
	assert_string_equal(c.access_key, "AK1");
	aws_credentials_release(&c);
	assert_int_equal(aws_credentials(a, &c, NULL), 0);
	assert_string_equal(c.access_key, "AK1");
	the_clock += 3400; /* less than 5 minutes are left */
	assert_int_equal(aws_credentials(a, &d, NULL), 0);
	assert_string_equal(d.access_key, "AK2");
}

static void a_broken_process_is_named_without_its_arguments(void **state)
{
	static const struct {
		const char *line, *message;
		int rc;
	} cases[] = {
		{"/bin/sh -c 'exit 3 # SECRET'", "the credential_process '/bin/sh'", -EIO},
		{"/bin/echo SECRET", "gave no JSON", -EBADMSG},
		{"/bin/echo '{\"Version\": 2}'", "no \"Version\": 1", -EBADMSG},
		{"/bin/echo '{\"Version\": 1}'", "no AccessKeyId", -EBADMSG},
		{"/bin/echo 'SECRET", "a quote in credential_process is not closed", -EINVAL},
		{"/no/such/SECRETLESS x", "/no/such", -ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(aws_free) struct aws *a = NULL;
		AUTO_FREE char *text =
			str_format("[default]\ncredential_process = %s\n", cases[i].line);
		struct aws_credentials c;
		struct err e = {.msg = ""};

		write_file(".aws/config", text);
		a = open_aws(NULL);
		if (aws_credentials(a, &c, &e) != cases[i].rc || !strstr(e.msg, cases[i].message) ||
		    strstr(e.msg, "SECRET "))
			fail_msg("%s: %d %s", cases[i].line, e.code, e.msg);
	}
}

static void a_container_gives_keys(void **state)
{
	AUTO_FREE char *url = str_format("%s/role", misbehave_base);
	AUTO_FREE char *token = path_join(dir, "token");

	(void)state;
	write_file("token", "container-secret\n");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-secret", 1);
	assert_keys(NULL, "AKCONTAINER", "t", "container");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong", 1);
	assert_no_keys(NULL, -EIO, "container credentials: HTTP 403");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token, 1);
	assert_keys(NULL, "AKCONTAINER", "t", "container");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/role", 1);
	assert_no_keys(NULL, -EACCES, "neither https nor a loopback address");
}

static void instance_metadata_gives_keys_and_region(void **state)
{
	AUTO(aws_free) struct aws *a = NULL;

	(void)state;
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", misbehave_base, 1);
	assert_keys(NULL, "AKIMDS1", "imds-token", "instance metadata");
	a = open_aws(NULL);
	assert_string_equal(aws_region(a), "eu-west-3");
}

static void the_anonymous_have_no_keys(void **state)
{
	static const struct aws_options o = {.anonymous = true};
	AUTO(aws_free) struct aws *a = open_aws(&o);
	struct aws_credentials c;

	(void)state;
	assert_int_equal(aws_credentials(a, &c, NULL), 0);
	assert_null(c.access_key);
}

/* ---- region and endpoint -------------------------------------------------------------------- */

static void assert_endpoint(const struct aws_options *o, const char *service, const char *region,
			    const char *url)
{
	AUTO(aws_free) struct aws *a = open_aws(o);
	AUTO_FREE char *got = NULL;
	struct err e;

	if (aws_endpoint(a, service, region, &got, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(got, url);
}

static void regions_come_from_option_environment_profile(void **state)
{
	static const struct aws_options opt = {.region = "us-west-1"};
	static const struct aws_options bad = {.region = "evil.org/"};

	(void)state;
	write_file(".aws/config", "[default]\nregion = sa-east-1\n");
	assert_endpoint(NULL, "ec2", NULL, "https://ec2.sa-east-1.amazonaws.com");
	setenv("AWS_DEFAULT_REGION", "eu-north-1", 1);
	assert_endpoint(NULL, "ebs", NULL, "https://ebs.eu-north-1.amazonaws.com");
	setenv("AWS_REGION", "eu-south-1", 1);
	assert_endpoint(NULL, "ssm", NULL, "https://ssm.eu-south-1.amazonaws.com");
	assert_endpoint(&opt, "s3", NULL, "https://s3.us-west-1.amazonaws.com");
	assert_endpoint(&opt, "s3", "cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn");
	assert_endpoint(&opt, "s3", "us-isob-east-1", "https://s3.us-isob-east-1.sc2s.sgov.gov");
	assert_endpoint(&opt, "s3", "us-gov-west-1", "https://s3.us-gov-west-1.amazonaws.com");
	assert_opens_not(&bad, -EINVAL, "'evil.org/' is not the name of an AWS region");
}

static void endpoints_come_from_option_environment_profile(void **state)
{
	static const struct aws_options opt = {.endpoint_url = "http://OPT.example:80/"};
	static const struct aws_options bad = {.endpoint_url = "ftp://x"};

	(void)state;
	write_file(".aws/config", "[default]\nendpoint_url = https://profile.example\n"
				  "services = mine\n[services mine]\ns3 =\n"
				  "  endpoint_url = https://services.example/s3/\n");
	assert_endpoint(NULL, "ec2", NULL, "https://profile.example");
	assert_endpoint(NULL, "s3", NULL, "https://services.example/s3");
	setenv("AWS_ENDPOINT_URL", "https://env.example:8773/services", 1);
	assert_endpoint(NULL, "s3", NULL, "https://env.example:8773/services");
	setenv("AWS_ENDPOINT_URL_S3", "https://s3.example", 1);
	assert_endpoint(NULL, "s3", NULL, "https://s3.example");
	assert_endpoint(NULL, "ebs", NULL, "https://env.example:8773/services");
	assert_endpoint(&opt, "s3", NULL, "http://opt.example");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	assert_endpoint(NULL, "s3", "us-east-1", "https://s3.us-east-1.amazonaws.com");
	assert_endpoint(&opt, "s3", NULL, "http://opt.example");
	assert_opens_not(&bad, -EINVAL, "AWS endpoint");
}

static void objects_have_the_urls_of_s3(void **state)
{
	static const struct aws_options west = {.region = "us-west-2"};
	static const struct aws_options path = {.region = "us-west-2", .path_style = true};
	static const struct aws_options own = {.endpoint_url = "http://h:8080/base"};
	static const struct {
		const struct aws_options *o;
		const char *bucket, *key, *url;
	} cases[] = {
		{&west, "my-bucket", "a b/c+d",
		 "https://my-bucket.s3.us-west-2.amazonaws.com/"
		 "a%20b/c%2Bd"},
		{&west, "my.bucket", "k", "https://s3.us-west-2.amazonaws.com/my.bucket/k"},
		{&west, "My_Bucket", "/k//..",
		 "https://s3.us-west-2.amazonaws.com/My_Bucket//k//.."},
		{&path, "my-bucket", "k", "https://s3.us-west-2.amazonaws.com/my-bucket/k"},
		{&own, "my-bucket", "\xc3\xa9?#%", "http://h:8080/base/my-bucket/%C3%A9%3F%23%25"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(aws_free) struct aws *a = open_aws(cases[i].o);
		AUTO_FREE char *url = NULL;

		assert_int_equal(aws_s3_url(a, cases[i].bucket, cases[i].key, &url, NULL), 0);
		assert_string_equal(url, cases[i].url);
		assert_int_equal(aws_s3_url(a, "a/b", "k", &url, NULL), -EINVAL);
		assert_int_equal(aws_s3_url(a, "..", "k", &url, NULL), -EINVAL);
	}
}

/* ---- requests ------------------------------------------------------------------------------- */

#define SECRET "the-secret-key-itself"
#define TOKEN "the-session-token-itself"

/* A session with the server's /aws/CASE as endpoint. */
static struct aws *session(const char *name)
{
	AUTO_FREE char *url = str_format("%s/aws/%s", misbehave_base, name);
	struct aws_options o = {
		.region = "us-east-1",
		.endpoint_url = url,
		.access_key = "AKSTATIC",
		.secret_key = SECRET,
		.session_token = TOKEN,
	};

	return open_aws(&o);
}

static int send_one(struct aws *a, const struct aws_request *req, struct httpc_response *r,
		    struct aws_error *error, struct err *e)
{
	AUTO(httpc_free) struct httpc *c = NULL;
	int rc;

	assert_int_equal(aws_http_client(a, &c, e), 0);
	e->msg[0] = '\0';
	rc = aws_send(a, c, req, r, error, e);
	assert_null(strstr(e->msg, SECRET));
	assert_null(strstr(e->msg, TOKEN));
	return rc;
}

static void a_request_carries_all_that_was_signed(void **state)
{
	static const struct aws_param query[] = {{"b", "x/y="}, {"a", NULL}};
	static const struct httpc_header headers[] = {{"X-Amz-Request-Payer", "requester"}};
	AUTO(aws_free) struct aws *a = session("echo");
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO(value_free) struct value *v = NULL;
	struct aws_request req = {
		.method = HTTPC_PUT,
		.service = "s3",
		.bucket = "b",
		.path = "/k e",
		.query = query,
		.n_query = 2,
		.headers = headers,
		.n_headers = 1,
		.body = "data",
		.body_len = 4,
	};
	const struct value *h;
	struct err e;

	(void)state;
	assert_int_equal(send_one(a, &req, &r, NULL, &e), 0);
	assert_int_equal(json_parse("echo", r.body.data, r.body.len, NULL, &v, &e), 0);
	h = value_get(v, "headers");
	assert_string_equal(value_get(v, "target")->text, "/aws/echo/b/k%20e?a=&b=x%2Fy%3D");
	assert_string_equal(value_get(h, "x-amz-date")->text, "20231114T221320Z");
	assert_string_equal(value_get(h, "x-amz-security-token")->text, TOKEN);
	assert_string_equal(value_get(h, "x-amz-content-sha256")->text, value_get(v, "body")->text);
	assert_non_null(strstr(value_get(h, "authorization")->text,
			       "Credential=AKSTATIC/20231114/us-east-1/s3/aws4_request, "
			       "SignedHeaders=host;x-amz-content-sha256;x-amz-date;"
			       "x-amz-request-payer;x-amz-security-token, Signature="));
}

static void the_anonymous_send_no_signature(void **state)
{
	AUTO_FREE char *url = str_format("%s/aws/echo", misbehave_base);
	struct aws_options o = {.endpoint_url = url, .anonymous = true};
	AUTO(aws_free) struct aws *a = open_aws(&o);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_request req = {.service = "s3", .bucket = "b", .path = "/k"};
	struct err e;

	(void)state;
	assert_int_equal(send_one(a, &req, &r, NULL, &e), 0);
	assert_null(strstr(buf_str(&r.body), "authorization"));
	assert_null(strstr(buf_str(&r.body), "x-amz"));
}

static void unsigned_payloads_say_so(void **state)
{
	AUTO(aws_free) struct aws *a = session("echo");
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_request req = {
		.method = HTTPC_PUT, .service = "ebs", .path = "/x", .unsigned_payload = true};
	struct err e;

	(void)state;
	assert_int_equal(send_one(a, &req, &r, NULL, &e), 0);
	assert_non_null(strstr(buf_str(&r.body), "\"x-amz-content-sha256\": \"UNSIGNED-PAYLOAD\""));
	req.service = "s3"; /* not over plain HTTP */
	req.bucket = "b";
	assert_int_equal(send_one(a, &req, &r, NULL, &e), 0);
	assert_null(strstr(buf_str(&r.body), "UNSIGNED"));
}

static int ec2(const char *action, struct aws_error *error, struct err *e)
{
	AUTO(aws_free) struct aws *a = session("ec2");
	AUTO(httpc_free) struct httpc *c = NULL;
	AUTO(xml_free) struct xml_node *root = NULL;
	static const struct aws_param params[] = {{"ImageId.1", "ami-1"}};
	int rc;

	assert_int_equal(aws_http_client(a, &c, e), 0);
	e->msg[0] = '\0';
	rc = aws_ec2(a, c, action, params, 1, &root, error, e);
	assert_null(strstr(e->msg, SECRET));
	assert_null(strstr(e->msg, TOKEN));
	return rc;
}

static void ec2_answers_are_parsed_and_throttling_waited_for(void **state)
{
	struct aws_error error;
	struct err e;

	(void)state;
	if (ec2("Works", &error, &e) < 0)
		fail_msg("%s", e.msg);
	if (ec2("Throttled", &error, &e) < 0)
		fail_msg("%s", e.msg);
}

static void ec2_errors_say_what_to_do(void **state)
{
	static const struct {
		const char *code;
		int rc;
		const char *message;
	} cases[] = {
		{"AuthFailure", -EACCES,
		 "HTTP 401 AuthFailure (the access key from the command line is not accepted in "
		 "region us-east-1)"},
		{"UnauthorizedOperation", -EACCES,
		 "HTTP 403 UnauthorizedOperation: You are not authorized (the credentials from the "
		 "command line do not allow it"},
		{"SignatureDoesNotMatch", -EACCES, "does not fit its access key"},
		{"InvalidAMIID.NotFound", -ENOENT,
		 "HTTP 400 InvalidAMIID.NotFound: The image id '[ami-1]' does not exist"},
		{"RequestExpired", -EACCES,
		 "this machine's clock (2023-11-14 22:13 UTC) differs from the server's (Thu, 01 "
		 "Jan "
		 "2099 00:00:00 GMT): set it"},
		{"Echo", -EINVAL, "HTTP 400 Echo: (its message held a secret)"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct aws_error error;
		struct err e;
		int rc = ec2(cases[i].code, &error, &e);

		if (rc != cases[i].rc || !strstr(e.msg, cases[i].message))
			fail_msg("%s: %d %s", cases[i].code, rc, e.msg);
		assert_string_equal(error.code, cases[i].code);
		assert_string_equal(error.request_id, "rq-1");
	}
}

static int s3_get(const char *name, const char *bucket, enum httpc_method method,
		  struct httpc_response *r, struct aws_error *error, struct err *e)
{
	AUTO(aws_free) struct aws *a = session(name);
	struct aws_request req = {
		.method = method, .service = "s3", .bucket = bucket, .path = "/k"};

	return send_one(a, &req, r, error, e);
}

static void s3_is_followed_to_another_region_once(void **state)
{
	static const char *const ways[] = {"header", "body", "bare"};
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_error error;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (s3_get("west", ways[i], HTTPC_GET, &r, &error, &e) < 0)
			fail_msg("%s: %s", ways[i], e.msg);
		assert_string_equal(buf_str(&r.body), "us-west-2");
	}
	assert_int_equal(s3_get("west", "header", HTTPC_HEAD, &r, &error, &e), 0);
	assert_int_equal(s3_get("west", "loop", HTTPC_GET, &r, &error, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "HTTP 301"));
	assert_int_equal(s3_get("west", "china", HTTPC_GET, &r, &error, &e), -EACCES);
	assert_non_null(strstr(e.msg, "refused to follow the bucket to region 'cn-north-1'"));
	assert_int_equal(s3_get("west", "evil", HTTPC_GET, &r, &error, &e), -EACCES);
	assert_non_null(strstr(e.msg, "refused to follow"));
}

static void s3_errors_are_named(void **state)
{
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_error error;
	struct err e;

	(void)state;
	assert_int_equal(s3_get("other", "b", HTTPC_GET, &r, &error, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/aws/other/b/k: HTTP 404 NoSuchKey: The specified key does "
				      "not exist"));
	assert_string_equal(error.code, "NoSuchKey");
	assert_int_equal(error.status, 404);
	/* The same code, and a server whose clock agrees. */
	the_clock = 4070908800; /* Thu, 01 Jan 2099 */
	assert_int_equal(ec2("RequestExpired", &error, &e), -EKEYEXPIRED);
	assert_non_null(strstr(e.msg, "the temporary credentials from the command line have "
				      "expired"));
	assert_int_equal(s3_get("expired", "b", HTTPC_GET, &r, &error, &e), -EKEYEXPIRED);
	assert_non_null(
		strstr(e.msg, "the temporary credentials from the command line have expired"));
}

static void expired_keys_of_an_instance_are_renewed_once(void **state)
{
	AUTO_FREE char *url = str_format("%s/aws/expired", misbehave_base);
	struct aws_options o = {.region = "us-east-1", .endpoint_url = url};
	AUTO(aws_free) struct aws *a = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_request req = {.service = "s3", .bucket = "b", .path = "/k"};
	struct err e;

	(void)state;
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", misbehave_base, 1);
	a = open_aws(&o);
	if (send_one(a, &req, &r, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(str_has_prefix(buf_str(&r.body), "AKIMDS"));
}

static int ebs(const char *path, struct aws_error *error, struct err *e)
{
	AUTO(aws_free) struct aws *a = session("ebs");
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_request req = {.service = "ebs", .path = path};

	return send_one(a, &req, &r, error, e);
}

static void ebs_throttles_with_http_400(void **state)
{
	struct aws_error error;
	struct err e;

	(void)state;
	assert_int_equal(ebs("/throttled", &error, &e), 0);
	assert_int_equal(ebs("/invalid", &error, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "HTTP 400 ValidationException INVALID_BLOCK_TOKEN: bad "
				      "token"));
	assert_string_equal(error.reason, "INVALID_BLOCK_TOKEN");
	assert_int_equal(ebs("/missing", &error, &e), -ENOENT);
	assert_string_equal(error.code, "ResourceNotFoundException");
}

static void without_region_or_keys_nothing_is_sent(void **state)
{
	static const struct aws_options o = {.access_key = "AK", .secret_key = "s"};
	AUTO(aws_free) struct aws *a = open_aws(&o);
	AUTO(aws_free) struct aws *b = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	struct aws_request req = {.service = "ec2"};
	struct err e;

	(void)state;
	assert_int_equal(send_one(a, &req, &r, NULL, &e), -EINVAL);
	assert_true(str_has_prefix(e.msg, "no AWS region: give --region"));
	req.region = "us-east-1";
	b = open_aws(NULL);
	assert_int_equal(send_one(b, &req, &r, NULL, &e), -ENOKEY);
	assert_true(str_has_prefix(e.msg, "no AWS credentials: "));
}

static void error_documents_that_are_none_are_harmless(void **state)
{
	static const char *const bodies[] = {"",
					     "<",
					     "<html><head/></html>",
					     "{",
					     "[]",
					     "{\"__type\": 5}",
					     "<Error/>",
					     "<Response><Errors/></Response>",
					     "{\"__type\":\"a#B:c\",\"message\":\"m\"}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		AUTO_HTTPC_RESPONSE r = {.status = 500};
		struct aws_error error;

		assert_int_equal(buf_adds(&r.body, bodies[i]), 0);
		aws_error_parse(&r, &error);
		assert_string_equal(error.code, i == ARRAY_SIZE(bodies) - 1 ? "B" : "");
	}
}

#define TEST(f) cmocka_unit_test_setup(f, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_chain_takes_the_first_that_has_keys),
		TEST(files_can_lie_elsewhere),
		TEST(broken_sources_are_errors_not_skipped),
		TEST(expired_keys_are_noticed_before_they_are_sent),
		TEST(a_process_gives_keys_and_is_asked_again),
		TEST(a_broken_process_is_named_without_its_arguments),
		TEST(a_container_gives_keys),
		TEST(instance_metadata_gives_keys_and_region),
		TEST(the_anonymous_have_no_keys),
		TEST(regions_come_from_option_environment_profile),
		TEST(endpoints_come_from_option_environment_profile),
		TEST(objects_have_the_urls_of_s3),
		TEST(a_request_carries_all_that_was_signed),
		TEST(the_anonymous_send_no_signature),
		TEST(unsigned_payloads_say_so),
		TEST(ec2_answers_are_parsed_and_throttling_waited_for),
		TEST(ec2_errors_say_what_to_do),
		TEST(s3_is_followed_to_another_region_once),
		TEST(s3_errors_are_named),
		TEST(expired_keys_of_an_instance_are_renewed_once),
		TEST(ebs_throttles_with_http_400),
		TEST(without_region_or_keys_nothing_is_sent),
		TEST(error_documents_that_are_none_are_harmless),
	};

	return cmocka_run_group_tests(tests, start, end);
}
