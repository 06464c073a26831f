/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to OpenStack: see lib/openstack.h. */
#include "lib/openstack.h"

#include <ctype.h>

#include "lib/json.h"
#include "lib/str.h"

struct openstack {
	struct httpc *http;
	char *token;
	char *endpoint;
};

void openstack_free(struct openstack *o)
{
	if (!o)
		return;
	httpc_free(o->http);
	if (o->token)
		explicit_bzero(o->token, strlen(o->token));
	free(o->token);
	free(o->endpoint);
	free(o);
}

const char *openstack_endpoint(const struct openstack *o)
{
	return o->endpoint;
}

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static const char *env_or(const char *name, const char *other)
{
	const char *v = env(name);

	return v ? v : other;
}

/* ---- requests ------------------------------------------------------------------------------------ */

/* What Keystone and Glance say is wrong, in JSON or HTML, in few words. */
static void take_words(const struct httpc_response *r, struct buf *out)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *v;
	const char *text = NULL;

	if (json_parse("error", r->body.data, r->body.len, NULL, &root, NULL) == 0) {
		v = value_path(root, "error/message");
		if (!v)
			v = value_get(root, "message");
		if (v && value_text(v, &text, NULL) == 0)
			(void)str_escape(text, strlen(text), 300, out);
	}
}

static int judge(const struct httpc_response *r, struct err *e)
{
	AUTO_BUF words = BUF_INIT;
	int code = r->status == 404                       ? ENOENT
		   : r->status == 401 || r->status == 403 ? EACCES
		   : r->status == 409                     ? EEXIST
		   : r->status == 413                     ? EFBIG
		   : r->status >= 500                     ? EIO
							  : EINVAL;

	if (r->status >= 200 && r->status < 300)
		return 0;
	take_words(r, &words);
	return err_set(e, code, "HTTP %d%s%s", r->status, words.len ? ": " : "", buf_str(&words));
}

/* All complete answers are for judge, but those that may be better next time. */
static enum httpc_verdict classify(void *opaque, const struct httpc_response *r, struct err *e)
{
	enum httpc_verdict v = httpc_classify(opaque, r, e);

	return v == HTTPC_FAIL ? HTTPC_DONE : v;
}

static int call(struct httpc *http, const struct httpc_request *request, bool once,
		struct httpc_response *r, struct err *e)
{
	static const struct httpc_retry single = {.max_attempts = 1};
	const struct httpc_call c = {
		.classify = classify, .request = *request, .retry = once ? &single : NULL};
	int rc = httpc_call(http, &c, r, e);

	return rc < 0 ? rc : judge(r, e);
}

int openstack_send(struct openstack *o, const struct openstack_request *q, struct httpc_response *r,
		   struct err *e)
{
	AUTO_FREE char *url = str_format("%s%s", o->endpoint, q->path);
	struct httpc_header headers[3] = {{"accept", "application/json"}};
	struct httpc_request request = {.method = q->method,
					.url = url,
					.headers = headers,
					.n_headers = 1,
					.body = q->body,
					.body_len = q->body_len};
	int rc;

	if (!url)
		return err_nomem(e);
	if (o->token)
		headers[request.n_headers++] = (struct httpc_header){"x-auth-token", o->token};
	if (q->type)
		headers[request.n_headers++] = (struct httpc_header){"content-type", q->type};
	rc = call(o->http, &request, q->once, r, e);
	return rc < 0 ? err_wrap(e, "%s %s", httpc_method_name(q->method), url) : 0;
}

/* ---- logging in ------------------------------------------------------------------------------------ */

/* {"id": ...} or {"name": ..., "domain": {...}} under a key. */
static void put_named(struct jsonw *w, const char *key, const char *id, const char *name,
		      const char *domain_id, const char *domain_name)
{
	if (key)
		jsonw_object(w, key);
	if (id) {
		jsonw_string(w, "id", id);
	} else {
		jsonw_string(w, "name", name);
		jsonw_object(w, "domain");
		if (domain_id)
			jsonw_string(w, "id", domain_id);
		else
			jsonw_string(w, "name", domain_name ? domain_name : "Default");
		jsonw_close(w);
	}
	if (key)
		jsonw_close(w);
}

static int put_application(struct jsonw *w, struct err *e)
{
	const char *secret = env("OS_APPLICATION_CREDENTIAL_SECRET");

	if (!secret)
		return err_set(e, EINVAL, "OS_APPLICATION_CREDENTIAL_SECRET is not set");
	jsonw_array(w, "methods");
	jsonw_string(w, NULL, "application_credential");
	jsonw_close(w);
	jsonw_object(w, "application_credential");
	jsonw_string(w, "id", env("OS_APPLICATION_CREDENTIAL_ID"));
	jsonw_string(w, "secret", secret);
	jsonw_close(w);
	return 0;
}

static int put_password(struct jsonw *w, struct err *e)
{
	const char *password = env("OS_PASSWORD"), *name = env("OS_USERNAME"),
		   *id = env("OS_USER_ID");

	if (!password || (!name && !id))
		return err_set(e, EINVAL, "OS_USERNAME and OS_PASSWORD are not set (nor OS_TOKEN)");
	jsonw_array(w, "methods");
	jsonw_string(w, NULL, "password");
	jsonw_close(w);
	jsonw_object(w, "password");
	jsonw_object(w, "user");
	put_named(w, NULL, id, name, env("OS_USER_DOMAIN_ID"), env("OS_USER_DOMAIN_NAME"));
	jsonw_string(w, "password", password);
	jsonw_close(w);
	jsonw_close(w);
	return 0;
}

static int login_body(struct buf *out, struct err *e)
{
	const char *project = env("OS_PROJECT_NAME"), *project_id = env("OS_PROJECT_ID");
	bool application = env("OS_APPLICATION_CREDENTIAL_ID") != NULL;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	jsonw_object(&w, "auth");
	jsonw_object(&w, "identity");
	rc = application ? put_application(&w, e) : put_password(&w, e);
	if (rc < 0)
		return rc;
	jsonw_close(&w);
	/* An application credential has its scope in itself. */
	if (!application && (project || project_id)) {
		jsonw_object(&w, "scope");
		put_named(&w, "project", project_id, project, env("OS_PROJECT_DOMAIN_ID"),
			  env("OS_PROJECT_DOMAIN_NAME"));
		jsonw_close(&w);
	}
	jsonw_close(&w);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

static const char *text_of(const struct value *v, const char *key)
{
	const struct value *m = value_get(v, key);
	const char *s;

	return m && value_text(m, &s, NULL) == 0 ? s : "";
}

static const char *find_endpoint(const struct value *root, const char *service)
{
	const char *region = env("OS_REGION_NAME"), *interface = env_or("OS_INTERFACE", "public");

	value_foreach (s, value_path(root, "token/catalog")) {
		if (strcmp(text_of(s, "type"), service) != 0)
			continue;
		value_foreach (x, value_get(s, "endpoints")) {
			if (strncmp(text_of(x, "interface"), interface,
				    strlen(text_of(x, "interface"))) != 0 ||
			    !*text_of(x, "interface"))
				continue;
			if (!region || strcmp(text_of(x, "region"), region) == 0 ||
			    strcmp(text_of(x, "region_id"), region) == 0)
				return text_of(x, "url");
		}
	}
	return NULL;
}

/* A token, and the endpoint unless it is given already. */
static int login(struct openstack *o, const char *service, const char *auth_url, struct err *e)
{
	static const struct httpc_header json = {"content-type", "application/json"};
	AUTO(value_free) struct value *root = NULL;
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF body = BUF_INIT;
	AUTO_FREE char *url = NULL;
	size_t n = strlen(auth_url);
	struct httpc_request request = {
		.method = HTTPC_POST, .headers = &json, .n_headers = 1, .total_timeout_ms = 60000};
	const char *token, *endpoint;
	int rc = login_body(&body, e);

	while (n && auth_url[n - 1] == '/')
		n--;
	/* People give it with and without the version. */
	url = str_format("%.*s%s/auth/tokens", (int)n, auth_url,
			 n > 3 && strncmp(auth_url + n - 3, "/v3", 3) == 0 ? "" : "/v3");
	if (rc < 0 || !url)
		return rc < 0 ? rc : err_nomem(e);
	request.url = url;
	request.body = body.data;
	request.body_len = body.len;
	rc = call(o->http, &request, false, &r, e);
	explicit_bzero(body.data, body.len);
	if (rc < 0)
		return err_wrap(e, "logging in at '%s'", auth_url);
	token = httpc_header(&r, "x-subject-token");
	if (!token)
		return err_set(e, EBADMSG, "'%s' gave no token", url);
	o->token = strdup(token);
	if (!o->token)
		return err_nomem(e);
	if (o->endpoint)
		return 0;
	rc = json_parse("the token", r.body.data, r.body.len, NULL, &root, e);
	if (rc < 0)
		return rc;
	endpoint = find_endpoint(root, service);
	if (!endpoint)
		return err_set(e, ENOENT, "the cloud's catalog has no service '%s' in this region",
			       service);
	o->endpoint = strdup(endpoint);
	return o->endpoint ? 0 : err_nomem(e);
}

/* OS_IMAGE_URL for "image". */
static int given_endpoint(struct openstack *o, const char *service, struct err *e)
{
	AUTO_FREE char *name = str_format("OS_%s_URL", service);
	const char *url;

	if (!name)
		return err_nomem(e);
	for (char *p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	url = env(name);
	if (url && !(o->endpoint = strdup(url)))
		return err_nomem(e);
	return 0;
}

int openstack_open(const char *service, struct openstack **ret, struct err *e)
{
	AUTO(openstack_free) struct openstack *o = calloc(1, sizeof(*o));
	const struct httpc_config config = {.ca_file = env("OS_CACERT")};
	const char *auth_url = env("OS_AUTH_URL"),
		   *token = env_or("OS_TOKEN", env("OS_AUTH_TOKEN"));
	size_t n;
	int rc = o ? httpc_new(&config, &o->http, e) : err_nomem(e);

	if (rc == 0)
		rc = given_endpoint(o, service, e);
	if (rc < 0)
		return rc;
	if (token && !(o->token = strdup(token)))
		return err_nomem(e);
	if (!o->endpoint && !auth_url)
		return err_set(e, EINVAL, "no OpenStack is named: OS_AUTH_URL is not set");
	if (token && !o->endpoint)
		return err_set(e, EINVAL, "with OS_TOKEN the service's URL is needed, too");
	if (!token && auth_url)
		rc = login(o, service, auth_url, e);
	if (rc < 0)
		return rc;
	n = strlen(o->endpoint);
	while (n && o->endpoint[n - 1] == '/')
		o->endpoint[--n] = '\0';
	*ret = STEAL(o);
	return 0;
}
