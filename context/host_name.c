/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By what names the service may be asked. A browser in a guest that is led to a page whose name
 * then turns into 169.254.169.254 ("DNS rebinding") asks by that page's name: whoever asks by an
 * address, or by a name that the service is known by, was not led there.
 *
 * EC2 itself takes any name; so do we where env->names is NULL.
 */
#include <sys/socket.h>

#include "context/answer.h"

/* Those that software of guests asks by, without being told any. */
static const char *const known[] = {
	"metadata.google.internal", /* Google's libraries */
	"metadata",                 /* the same */
	"instance-data",            /* EC2's, in cloud-init */
	"instance-data.ec2.internal",
	"data-server", /* CloudStack's, in cloud-init */
	"localhost",
};

/* Without the port, and the dot at the end of a full name. */
static struct http_slice without_port(struct http_slice s)
{
	const char *end = s.len && *s.p == '[' ? memchr(s.p, ']', s.len) : NULL;
	const char *colon = memchr(end ? end : s.p, ':', s.len - (end ? (size_t)(end - s.p) : 0));

	if (colon)
		s.len = (size_t)(colon - s.p);
	if (s.len && s.p[s.len - 1] == '.')
		s.len--;
	return s;
}

/* "10.0.0.1", "[::1]", "[fe80::1%eth0]" */
static bool is_address(struct http_slice s)
{
	bool bracket = s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']';
	char text[64];
	struct ip_prefix ip;

	if (bracket)
		s = (struct http_slice){s.p + 1, s.len - 2};
	if (s.len >= sizeof(text))
		return false;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	if (bracket)
		text[strcspn(text, "%")] = '\0';
	return !context_parse_ip(text, &ip, NULL) && !ip.has_prefix &&
	       (ip.family == AF_INET6) == bracket;
}

bool is_known_host(const struct answer *a)
{
	const struct strlist *names = a->env->names;
	const struct http_field *f = http_field_find(a->rq, "Host", NULL);
	struct http_slice host;

	if (!names || !f || !f->value.len)
		return true;
	host = without_port(f->value);
	if (is_address(host))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (http_slice_is_nocase(host, known[i]))
			return true;
	for (size_t i = 0; i < names->n; i++)
		if (http_slice_is_nocase(host, names->v[i]))
			return true;
	return false;
}
