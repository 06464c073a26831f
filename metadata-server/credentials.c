/* SPDX-License-Identifier: Apache-2.0 */
/* What a credential process says, and how it is run: see metadata-server/credentials.h. */
#include "metadata-server/credentials.h"

#include "lib/json.h"
#include "lib/proc.h"

enum {
	MAX_OUTPUT = 65536,
	VALID_FOR = 3600, /* seconds, where it does not say: then it is asked again */
};

/* ---- the command ----------------------------------------------------------------------------- */

/* One word at *p, appended to out; *p moves behind it. */
static int take_word(const char **p, struct buf *out, struct err *e)
{
	char quote = '\0';
	int rc = 0;

	for (; **p && (quote || !strchr(" \t", **p)) && !rc; (*p)++) {
		char c = **p;

		if (quote ? c == quote : c == '"' || c == '\'') {
			quote = quote ? '\0' : c;
			continue;
		}
		if (c == '\\' && quote != '\'' && (!quote || (*p)[1] == '"' || (*p)[1] == '\\')) {
			c = *++*p;
			if (!c)
				return err_set(e, EBADMSG, "ends with a backslash");
		}
		rc = buf_addc(out, c);
	}
	if (rc)
		return err_nomem(e);
	return quote ? err_set(e, EBADMSG, "a quote (%c) does not end", quote) : 0;
}

int credentials_words(const char *text, struct strlist *ret, struct err *e)
{
	const char *p = text + strspn(text, " \t");

	while (*p) {
		AUTO_BUF word = BUF_INIT;
		int rc = take_word(&p, &word, e);

		if (rc)
			return err_wrap(e, "credential-process");
		if (strlist_add(ret, buf_str(&word)))
			return err_nomem(e);
		p += strspn(p, " \t");
	}
	return ret->n ? 0 : err_set(e, EBADMSG, "credential-process: there is no program");
}

/* ---- its output ------------------------------------------------------------------------------ */

/* RFC 3339 in UTC: fractions of a second are dropped, +00:00 is Z. */
static int parse_expiration(const char *text, uint64_t *ret, struct err *e)
{
	size_t len = strlen(text);
	char whole[CONTEXT_TIME_SIZE];
	const char *rest;

	if (len < CONTEXT_TIME_SIZE - 1)
		return err_set(e, EBADMSG, "Expiration is not a time");
	memcpy(whole, text, CONTEXT_TIME_SIZE - 2);
	whole[CONTEXT_TIME_SIZE - 2] = 'Z';
	whole[CONTEXT_TIME_SIZE - 1] = '\0';
	rest = text + CONTEXT_TIME_SIZE - 2;
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if ((strcmp(rest, "Z") && strcmp(rest, "+00:00")) || context_parse_time(whole, ret, NULL))
		return err_set(e, EBADMSG, "Expiration is not a time in UTC");
	return 0;
}

static int member(const struct value *root, const char *key, bool required, const char **ret,
		  struct err *e)
{
	const struct value *v = value_get(root, key);

	*ret = NULL;
	if (!v || v->kind == VALUE_NULL)
		return required ? err_set(e, EBADMSG, "there is no %s", key) : 0;
	if (v->kind != VALUE_STRING || !v->text_len || strlen(v->text) != v->text_len)
		return err_set(e, EBADMSG, "%s is not text", key);
	*ret = v->text;
	return 0;
}

/* What it wrote, as what the guest gets. No value of it may get into a message. */
static int translate(const struct buf *output, uint64_t now, struct buf *out, uint64_t *ret_expires,
		     struct err *e)
{
	const char *id, *secret, *token, *expiration;
	AUTO(value_free) struct value *root = NULL;
	char updated[CONTEXT_TIME_SIZE], ends[CONTEXT_TIME_SIZE];
	const struct value *version;
	struct jsonw w;
	int rc = json_parse("output", buf_str(output), output->len, NULL, &root, NULL);

	if (rc)
		return rc == -ENOMEM ? err_nomem(e) : err_set(e, EBADMSG, "is not JSON");
	version = value_get(root, "Version");
	if (!version || version->kind != VALUE_INT || version->integer != 1)
		return err_set(e, EBADMSG, "Version is not 1");
	rc = member(root, "AccessKeyId", true, &id, e);
	rc = rc ? rc : member(root, "SecretAccessKey", true, &secret, e);
	rc = rc ? rc : member(root, "SessionToken", false, &token, e);
	rc = rc ? rc : member(root, "Expiration", false, &expiration, e);
	*ret_expires = now + VALID_FOR;
	if (!rc && expiration)
		rc = parse_expiration(expiration, ret_expires, e);
	if (!rc && *ret_expires <= now)
		rc = err_set(e, EBADMSG, "they have ended already");
	if (rc)
		return rc;
	context_format_time(now, updated);
	context_format_time(*ret_expires, ends);
	jsonw_begin(&w, out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "Code", "Success");
	jsonw_string(&w, "LastUpdated", updated);
	jsonw_string(&w, "Type", "AWS-HMAC");
	jsonw_string(&w, "AccessKeyId", id);
	jsonw_string(&w, "SecretAccessKey", secret);
	jsonw_string(&w, "Token", token ? token : "");
	jsonw_string(&w, "Expiration", ends);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

/* ---- both ------------------------------------------------------------------------------------ */

int credentials_run(const struct instance *in, uint64_t now, struct buf *out, uint64_t *ret_expires,
		    struct err *e)
{
	const char *command = in->context->iam_role.credential_process;
	AUTO(strlist_release) struct strlist words = {0};
	AUTO_BUF output = BUF_INIT;
	int rc;

	if (!command)
		return err_set(e, ENOENT, "has no credential-process");
	rc = credentials_words(command, &words, e);
	if (!rc && strlist_add(&words, ""))
		return err_nomem(e);
	if (rc)
		return rc;
	free(words.v[words.n - 1]); /* the NULL that ends it */
	words.v[--words.n] = NULL;
	rc = proc_run((const char *const *)words.v, NULL, 0, &output, MAX_OUTPUT,
		      CREDENTIALS_SECONDS, e);
	rc = rc ? rc : translate(&output, now, out, ret_expires, e);
	if (output.data)
		explicit_bzero(output.data, output.cap);
	return rc ? err_wrap(e, "credential-process '%s'", words.v[0]) : 0;
}
