/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The credential chain: each source in the order of the table at the end, the first that has keys
 * wins. A source that is there but broken is an error, not a reason to go on: otherwise a request
 * would be made as somebody else.
 */
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "lib/aws_private.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/proc.h"
#include "lib/str.h"

#define RENEW_BEFORE_S 300
#define PROCESS_LIMIT_S 60
#define MAX_DOCUMENT (64u << 10)
#define MAX_ARGS 64

static void free_secret(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void aws_credentials_release(struct aws_credentials *c)
{
	free_secret(c->access_key);
	free_secret(c->secret_key);
	free_secret(c->session_token);
	free(c->source);
	*c = (struct aws_credentials){0};
}

/* Copies; token and source may be NULL. */
static int set_credentials(struct aws_credentials *c, const char *access_key,
			   const char *secret_key, const char *token, int64_t expires,
			   const char *source, struct err *e)
{
	struct aws_credentials made = {
		.access_key = strdup(access_key),
		.secret_key = strdup(secret_key),
		.session_token = token && *token ? strdup(token) : NULL,
		.expires = expires,
		.source = strdup(source ? source : ""),
	};

	if (!made.access_key || !made.secret_key || !made.source ||
	    (token && *token && !made.session_token)) {
		aws_credentials_release(&made);
		return err_nomem(e);
	}
	aws_credentials_release(c);
	*c = made;
	return 0;
}

int aws_credentials_copy(const struct aws_credentials *from, struct aws_credentials *to,
			 struct err *e)
{
	*to = (struct aws_credentials){0};
	if (!from->access_key)
		return 0;
	return set_credentials(to, from->access_key, from->secret_key, from->session_token,
			       from->expires, from->source, e);
}

int aws_time_parse(const char *s, int64_t *ret, struct err *e)
{
	struct tm tm = {0};
	const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t offset = 0;

	if (p && *p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	if (p && (*p == '+' || *p == '-')) {
		struct tm away = {0};
		const char *behind = strptime(p + 1, "%H:%M", &away);

		offset = (*p == '-' ? -60 : 60) * (int64_t)(away.tm_hour * 60 + away.tm_min);
		p = behind;
	} else if (p && *p == 'Z') {
		p++;
	} else {
		p = NULL;
	}
	if (!p || *p)
		return err_set(e, EBADMSG, "'%.40s' is not a time", s);
	*ret = timegm(&tm) - offset;
	return 0;
}

/* ---- options, environment ------------------------------------------------------------------- */

static int from_options(const struct aws *a, struct aws_credentials *ret, struct err *e)
{
	const struct aws_credentials *g = &a->given;

	if (!g->access_key)
		return AWS_NO_CREDENTIALS;
	return set_credentials(ret, g->access_key, g->secret_key, g->session_token, 0,
			       "the command line", e);
}

static int from_environment(const struct aws *a, struct aws_credentials *ret, struct err *e)
{
	const char *id = aws_env("AWS_ACCESS_KEY_ID"), *secret = aws_env("AWS_SECRET_ACCESS_KEY");
	const char *until = aws_env("AWS_CREDENTIAL_EXPIRATION");
	int64_t expires = 0;
	int rc;

	if (a->profile_by_option || (!id && !secret))
		return AWS_NO_CREDENTIALS;
	if (!id || !secret)
		return err_set(e, EINVAL, "%s is set, but %s is not",
			       id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
			       id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
	rc = until ? aws_time_parse(until, &expires, e) : 0;
	if (rc < 0)
		return err_wrap(e, "AWS_CREDENTIAL_EXPIRATION"), rc;
	return set_credentials(ret, id, secret, aws_env("AWS_SESSION_TOKEN"), expires,
			       "the environment", e);
}

static int from_web_identity(const struct aws *a, struct aws_credentials *ret, struct err *e)
{
	(void)ret;
	if (a->profile_by_option || !aws_env("AWS_WEB_IDENTITY_TOKEN_FILE"))
		return AWS_NO_CREDENTIALS;
	return err_set(e, ENOTSUP,
		       "AWS_WEB_IDENTITY_TOKEN_FILE is set, but web identities are not supported: "
		       "'aws configure export-credentials --format env' gives keys for them");
}

/* ---- profile -------------------------------------------------------------------------------- */

/* Ways to get keys that need another service first. */
static int refuse_assumed(const struct aws *a, struct err *e)
{
	static const char *const keys[] = {"role_arn", "sso_session", "sso_start_url",
					   "web_identity_token_file", "login_session"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (aws_profile_get(a, keys[i]))
			return err_set(e, ENOTSUP,
				       "the AWS profile '%s' uses '%s', which is not supported: "
				       "'aws configure export-credentials --profile %s --format "
				       "env' gives keys for it",
				       a->profile, keys[i], a->profile);
	}
	return 0;
}

static int from_section(const struct ini *ini, const char *section, const char *path,
			struct aws_credentials *ret, struct err *e)
{
	const char *id = ini_get(ini, section, "aws_access_key_id");
	const char *secret = ini_get(ini, section, "aws_secret_access_key");
	AUTO_FREE char *source = NULL;

	if (!id && !secret)
		return AWS_NO_CREDENTIALS;
	if (!id || !*id || !secret || !*secret)
		return err_set(e, EINVAL,
			       "'%s': section [%s] must have both aws_access_key_id and "
			       "aws_secret_access_key",
			       path, section);
	source = str_format("section [%s] of '%s'", section, path);
	if (!source)
		return err_nomem(e);
	return set_credentials(ret, id, secret, ini_get(ini, section, "aws_session_token"), 0,
			       source, e);
}

static int from_credentials_file(const struct aws *a, struct aws_credentials *ret, struct err *e)
{
	int rc = refuse_assumed(a, e);

	if (rc < 0)
		return rc;
	return from_section(a->credentials_file, a->profile, a->credentials_path, ret, e);
}

static int from_config_file(const struct aws *a, struct aws_credentials *ret, struct err *e)
{
	return from_section(a->config_file, a->config_section, a->config_path, ret, e);
}

/* ---- JSON documents of the three below ------------------------------------------------------- */

/* AccessKeyId, SecretAccessKey, a token under its name, Expiration. Values are never shown. */
int aws_credentials_from_json(const char *name, const struct buf *text, const char *token_key,
			      struct aws_credentials *ret, struct err *e)
{
	AUTO(value_free) struct value *v = NULL;
	const char *id, *secret, *token = NULL, *until = NULL;
	int64_t expires = 0;
	struct err inner;
	int rc = json_parse(name, text->data, text->len, NULL, &v, &inner);

	if (rc < 0)
		return err_set(e, EBADMSG, "%s gave no JSON", name);
	if (!value_get(v, "AccessKeyId") || !value_get(v, "SecretAccessKey") ||
	    value_string(value_get(v, "AccessKeyId"), &id, NULL) < 0 ||
	    value_string(value_get(v, "SecretAccessKey"), &secret, NULL) < 0)
		return err_set(e, EBADMSG, "%s gave no AccessKeyId or SecretAccessKey", name);
	if (value_get(v, token_key) && value_get(v, token_key)->kind != VALUE_NULL)
		rc = value_string(value_get(v, token_key), &token, e);
	if (rc == 0 && value_get(v, "Expiration") &&
	    value_get(v, "Expiration")->kind != VALUE_NULL) {
		rc = value_string(value_get(v, "Expiration"), &until, e);
		if (rc == 0 && (rc = aws_time_parse(until, &expires, e)) < 0)
			err_wrap(e, "%s: Expiration", name);
	}
	return rc < 0 ? rc : set_credentials(ret, id, secret, token, expires, name, e);
}

/* ---- credential_process --------------------------------------------------------------------- */

struct words {
	char *items[MAX_ARGS + 1];
	size_t n;
};

static void words_release(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->items[i]);
}
DEFINE_AUTO_STRUCT(struct words, words_release);

/* The next word of a command line with the shell's quotes, and nothing else of a shell's. */
static int next_word(const char **line, struct buf *word, struct err *e)
{
	const char *p = *line;
	char quote = '\0';
	int rc = 0;

	for (; *p && rc == 0; p++) {
		if (!quote && (*p == ' ' || *p == '\t'))
			break;
		if (quote ? *p == quote : (*p == '\'' || *p == '"')) {
			quote = quote ? '\0' : *p;
			continue;
		}
		/* Within double quotes a backslash escapes these two alone. */
		if (*p == '\\' && p[1] && (!quote || (quote == '"' && strchr("\"\\", p[1]))))
			p++;
		rc = buf_addc(word, *p);
	}
	if (rc < 0)
		return err_nomem(e);
	if (quote)
		return err_set(e, EINVAL, "a quote in credential_process is not closed");
	*line = p + strspn(p, " \t");
	return 0;
}

static int split_words(const char *line, struct words *ret, struct err *e)
{
	line += strspn(line, " \t");
	while (*line) {
		AUTO_BUF word = BUF_INIT;
		int rc = next_word(&line, &word, e);

		if (rc < 0)
			return rc;
		if (ret->n == MAX_ARGS)
			return err_set(e, E2BIG, "credential_process has more than %d words",
				       MAX_ARGS);
		ret->items[ret->n] = buf_detach(&word);
		if (!ret->items[ret->n++])
			return err_nomem(e);
	}
	return 0;
}

static int check_version(const char *name, const struct buf *text, struct err *e)
{
	AUTO(value_free) struct value *v = NULL;
	const struct value *version;

	if (json_parse(name, text->data, text->len, NULL, &v, NULL) < 0)
		return err_set(e, EBADMSG, "%s gave no JSON", name);
	version = value_get(v, "Version");
	if (!version || version->kind != VALUE_INT || version->integer != 1)
		return err_set(e, EBADMSG, "%s gave no \"Version\": 1", name);
	return 0;
}

static int from_process(const struct aws *a, struct aws_credentials *ret, struct err *e)
{
	const char *line = aws_profile_get(a, "credential_process");
	AUTO(wipe_buf) struct buf out = BUF_INIT;
	AUTO(words_release) struct words words = {.n = 0};
	AUTO_FREE char *name = NULL;
	int rc;

	if (!line)
		return AWS_NO_CREDENTIALS;
	rc = split_words(line, &words, e);
	if (rc < 0)
		return err_wrap(e, "AWS profile '%s'", a->profile), rc;
	/* Its arguments are not shown: they may hold secrets. */
	name = str_format("the credential_process '%s'", words.n ? words.items[0] : "");
	if (!name)
		return err_nomem(e);
	rc = proc_run((const char *const *)words.items, NULL, 0, &out, MAX_DOCUMENT,
		      PROCESS_LIMIT_S, e);
	if (rc < 0)
		return err_wrap(e, "%s", name), rc;
	rc = check_version(name, &out, e);
	return rc < 0 ? rc : aws_credentials_from_json(name, &out, "SessionToken", ret, e);
}

/* ---- the chain ------------------------------------------------------------------------------ */

static const struct source {
	const char *name;
	int (*load)(const struct aws *a, struct aws_credentials *ret, struct err *e);
	bool renewable; /* gives other keys when asked again */
} sources[] = {
	{"command line", from_options, false},
	{"environment", from_environment, false},
	{"web identity", from_web_identity, false},
	{"credentials file", from_credentials_file, false},
	{"credential_process", from_process, true},
	{"config file", from_config_file, false},
	{"container", aws_from_container, true},
	{"instance metadata", aws_from_imds, true},
};

int aws_credentials_find(const struct aws *a, struct aws_credentials *ret, bool *ret_renewable,
			 struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		int rc = sources[i].load(a, ret, e);

		if (rc < 0)
			return rc;
		if (rc != AWS_NO_CREDENTIALS) {
			*ret_renewable = sources[i].renewable;
			return 0;
		}
	}
	return err_set(e, ENOKEY,
		       "no AWS credentials: not in the environment (AWS_ACCESS_KEY_ID), nor in the "
		       "profile '%s' of '%s' and '%s', nor from a container or instance role",
		       a->profile, a->credentials_path, a->config_path);
}

bool aws_credentials_forget(struct aws *a)
{
	bool renewable;

	pthread_mutex_lock(&a->lock);
	renewable = a->renewable && a->current.access_key;
	if (renewable)
		aws_credentials_release(&a->current);
	pthread_mutex_unlock(&a->lock);
	return renewable;
}

/* With the lock held: current is there and not known to have expired. */
static int refresh(struct aws *a, struct err *e)
{
	struct aws_credentials fresh = {0};
	bool have = a->current.access_key, renewable = false;
	int64_t left = a->current.expires - a->now();
	int rc;

	if (have && (!a->current.expires || left > RENEW_BEFORE_S || (!a->renewable && left > 0)))
		return 0;
	if (have && !a->renewable)
		return err_set(e, EKEYEXPIRED,
			       "the AWS credentials from %s have expired: get new ones",
			       a->current.source);
	rc = aws_credentials_find(a, &fresh, &renewable, e);
	if (rc < 0)
		return have && left > 0 ? 0 : rc;
	aws_credentials_release(&a->current);
	a->current = fresh;
	a->renewable = renewable;
	if (fresh.expires && fresh.expires <= a->now())
		return err_set(e, EKEYEXPIRED,
			       "the AWS credentials from %s have expired: get new ones",
			       fresh.source);
	return 0;
}

int aws_credentials(struct aws *a, struct aws_credentials *ret, struct err *e)
{
	int rc;

	*ret = (struct aws_credentials){0};
	if (a->anonymous)
		return 0;
	pthread_mutex_lock(&a->lock);
	rc = refresh(a, e);
	if (rc == 0)
		rc = aws_credentials_copy(&a->current, ret, e);
	pthread_mutex_unlock(&a->lock);
	return rc;
}
