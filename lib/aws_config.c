/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session: profile files, region, endpoints, from where the AWS tools take them (AWS SDKs and
 * Tools Reference Guide, "Configuration and credential file settings").
 */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "lib/aws_private.h"
#include "lib/fs.h"
#include "lib/str.h"

#define MAX_FILE (1u << 20)

const char *aws_env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

bool aws_env_true(const char *name)
{
	const char *v = aws_env(name);

	return v && !strcasecmp(v, "true");
}

static int64_t system_now(void)
{
	return time(NULL);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The variable's path, else ~/.aws/NAME; "~/" is the home folder. */
static int config_path(const char *variable, const char *name, char **ret, struct err *e)
{
	const char *given = aws_env(variable);
	const char *home = aws_env("HOME");

	if (given && (strncmp(given, "~/", 2) != 0 || !home))
		*ret = strdup(given);
	else if (given)
		*ret = path_join(home, given + 2);
	else
		*ret = str_format("%s/.aws/%s", home ? home : "", name);
	return *ret ? 0 : err_nomem(e);
}

/* A file that is not there gives NULL. */
static int load_ini(const char *path, struct ini **ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	rc = fs_read_file(path, MAX_FILE, &text, e);
	if (rc == 0)
		rc = ini_parse(path, buf_str(&text), text.len, ret, e);
	if (text.data)
		explicit_bzero(text.data, text.len);
	return rc;
}

const char *aws_profile_get(const struct aws *a, const char *key)
{
	const char *v = ini_get(a->credentials_file, a->profile, key);

	if (!v || !*v)
		v = ini_get(a->config_file, a->config_section, key);
	return v && *v ? v : NULL;
}

/* [default] or [profile NAME]; some write [profile default] too. */
static int find_section(struct aws *a, struct err *e)
{
	bool is_default = !strcmp(a->profile, "default");

	if (is_default && ini_has_section(a->config_file, "default"))
		a->config_section = strdup("default");
	else
		a->config_section = str_format("profile %s", a->profile);
	return a->config_section ? 0 : err_nomem(e);
}

static int load_profile(struct aws *a, const struct aws_options *o, struct err *e)
{
	const char *by_env =
		aws_env("AWS_PROFILE") ? aws_env("AWS_PROFILE") : aws_env("AWS_DEFAULT_PROFILE");
	const char *name = o->profile ? o->profile : by_env;
	int rc;

	a->profile_by_option = o->profile;
	a->profile = strdup(name ? name : "default");
	if (!a->profile)
		return err_nomem(e);
	rc = config_path("AWS_SHARED_CREDENTIALS_FILE", "credentials", &a->credentials_path, e);
	if (rc == 0)
		rc = config_path("AWS_CONFIG_FILE", "config", &a->config_path, e);
	if (rc == 0)
		rc = load_ini(a->credentials_path, &a->credentials_file, e);
	if (rc == 0)
		rc = load_ini(a->config_path, &a->config_file, e);
	if (rc == 0)
		rc = find_section(a, e);
	if (rc < 0)
		return rc;
	if (name && !ini_has_section(a->credentials_file, name) &&
	    !ini_has_section(a->config_file, a->config_section))
		return err_set(e, EINVAL, "the AWS profile '%s' is neither in '%s' nor in '%s'",
			       name, a->credentials_path, a->config_path);
	return 0;
}

/* ---- region --------------------------------------------------------------------------------- */

/* It becomes part of host names that get our signature. */
bool aws_region_is_valid(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= 63 && s[0] != '-' && s[len - 1] != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int find_region(struct aws *a, const struct aws_options *o, struct err *e)
{
	AUTO_BUF by_imds = BUF_INIT;
	const char *region = o->region;

	if (!region)
		region = aws_env("AWS_REGION");
	if (!region)
		region = aws_env("AWS_DEFAULT_REGION");
	if (!region)
		region = aws_profile_get(a, "region");
	if (!region && !aws_endpoint_is_custom(a, "ec2") && !aws_endpoint_is_custom(a, "s3") &&
	    aws_imds_get(a, "/latest/meta-data/placement/region", &by_imds, NULL) == 0)
		region = buf_str(&by_imds);
	if (!region)
		return 0;
	if (!aws_region_is_valid(region))
		return err_set(e, EINVAL, "'%s' is not the name of an AWS region", region);
	a->region = strdup(region);
	return a->region ? 0 : err_nomem(e);
}

const char *aws_region(const struct aws *a)
{
	return a->region;
}

/* ---- endpoints ------------------------------------------------------------------------------ */

const char *aws_dns_suffix(const char *region)
{
	static const struct {
		const char *prefix, *suffix;
	} partitions[] = {
		{"cn-", "amazonaws.com.cn"},   {"eusc-", "amazonaws.eu"},
		{"us-isob-", "sc2s.sgov.gov"}, {"us-isof-", "csp.hci.ic.gov"},
		{"us-iso-", "c2s.ic.gov"},     {"eu-isoe-", "cloud.adc-e.uk"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(partitions); i++) {
		if (str_has_prefix(region, partitions[i].prefix))
			return partitions[i].suffix;
	}
	return "amazonaws.com";
}

/* By environment or profile; NULL. */
static const char *configured_endpoint(const struct aws *a, const char *service)
{
	const char *ignore = aws_profile_get(a, "ignore_configured_endpoint_urls");
	const char *services = aws_profile_get(a, "services");
	char section[256], key[64], variable[64];
	const char *v;

	if (aws_env_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") ||
	    (ignore && !strcasecmp(ignore, "true")))
		return NULL;
	snprintf(variable, sizeof(variable), "AWS_ENDPOINT_URL_%s", service);
	for (char *p = variable; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	v = aws_env(variable);
	if (!v)
		v = aws_env("AWS_ENDPOINT_URL");
	if (!v && services) {
		snprintf(section, sizeof(section), "services %s", services);
		snprintf(key, sizeof(key), "%s.endpoint_url", service);
		v = ini_get(a->config_file, section, key);
	}
	return v && *v ? v : aws_profile_get(a, "endpoint_url");
}

bool aws_endpoint_is_custom(const struct aws *a, const char *service)
{
	return a->endpoint_url || configured_endpoint(a, service);
}

/* Checks a URL that a user wrote; gives it back without a slash at its end. */
static int custom_endpoint(const char *url, char **ret, struct err *e)
{
	AUTO(httpc_url_release) struct httpc_url u = {0};
	int rc = httpc_url_parse(url, &u, e);
	size_t len;

	if (rc < 0)
		return err_wrap(e, "AWS endpoint"), rc;
	if (*u.query)
		return err_set(e, EINVAL, "the AWS endpoint '%s' must not have a query", url);
	len = strlen(u.path);
	while (len && u.path[len - 1] == '/')
		u.path[--len] = '\0';
	*ret = str_format("%s://%s%s", u.scheme, u.authority, u.path);
	return *ret ? 0 : err_nomem(e);
}

int aws_endpoint(const struct aws *a, const char *service, const char *region, char **ret,
		 struct err *e)
{
	const char *custom = a->endpoint_url ? a->endpoint_url : configured_endpoint(a, service);

	if (custom)
		return custom_endpoint(custom, ret, e);
	if (!region)
		region = a->region;
	if (!region)
		return err_set(
			e, EINVAL,
			"no AWS region: give --region, or set AWS_REGION, or 'region' in the "
			"profile '%s'",
			a->profile);
	if (!aws_region_is_valid(region))
		return err_set(e, EINVAL, "'%s' is not the name of an AWS region", region);
	*ret = str_format("https://%s.%s.%s", service, region, aws_dns_suffix(region));
	return *ret ? 0 : err_nomem(e);
}

/* ---- the session ---------------------------------------------------------------------------- */

static int copy_optional(const char *s, char **ret, struct err *e)
{
	if (!s)
		return 0;
	*ret = strdup(s);
	return *ret ? 0 : err_nomem(e);
}

static int take_options(struct aws *a, const struct aws_options *o, struct err *e)
{
	const char *ca = aws_env("AWS_CA_BUNDLE");
	int rc = 0;

	a->anonymous = o->anonymous;
	a->path_style = o->path_style;
	a->now = o->now ? o->now : system_now;
	if (o->retry)
		a->retry = *o->retry;
	if (!o->access_key != !o->secret_key)
		return err_set(e, EINVAL, "access key and secret key must be given together");
	if (o->endpoint_url)
		rc = custom_endpoint(o->endpoint_url, &a->endpoint_url, e);
	if (rc == 0)
		rc = copy_optional(o->access_key, &a->given.access_key, e);
	if (rc == 0)
		rc = copy_optional(o->secret_key, &a->given.secret_key, e);
	if (rc == 0)
		rc = copy_optional(o->session_token, &a->given.session_token, e);
	if (rc == 0)
		rc = load_profile(a, o, e);
	if (rc == 0)
		rc = copy_optional(ca ? ca : aws_profile_get(a, "ca_bundle"), &a->ca_file, e);
	return rc;
}

int aws_open(const struct aws_options *o, struct aws **ret, struct err *e)
{
	static const struct aws_options none = {0};
	AUTO(aws_free) struct aws *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return err_nomem(e);
	pthread_mutex_init(&a->lock, NULL);
	o = o ? o : &none;
	rc = take_options(a, o, e);
	if (rc == 0)
		rc = find_region(a, o, e);
	if (rc == 0)
		*ret = STEAL(a);
	return rc;
}

void aws_free(struct aws *a)
{
	if (!a)
		return;
	aws_credentials_release(&a->given);
	aws_credentials_release(&a->current);
	ini_free(a->credentials_file);
	ini_free(a->config_file);
	pthread_mutex_destroy(&a->lock);
	free(a->profile);
	free(a->credentials_path);
	free(a->config_path);
	free(a->config_section);
	free(a->region);
	free(a->endpoint_url);
	free(a->ca_file);
	free(a);
}

int aws_http_client(const struct aws *a, struct httpc **ret, struct err *e)
{
	struct httpc_config cfg = {.ca_file = a->ca_file};

	return httpc_new(&cfg, ret, e);
}

int aws_describe(struct aws *a, struct buf *out)
{
	AUTO_FREE char *source = NULL;
	int rc;

	pthread_mutex_lock(&a->lock);
	source = strdup(a->anonymous        ? "none (anonymous)"
			: a->current.source ? a->current.source
					    : "not asked for yet");
	pthread_mutex_unlock(&a->lock);
	if (!source)
		return -ENOMEM;
	rc = buf_addf(out, "credentials: %s; region: %s", source, a->region ? a->region : "none");
	if (rc == 0 && a->endpoint_url)
		rc = buf_addf(out, "; endpoint: %s", a->endpoint_url);
	return rc;
}
