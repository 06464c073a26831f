/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that what a guest is told must keep, whichever dialect it was read from. */
#include <arpa/inet.h>
#include <stdio.h>

#include "context/fields.h"
#include "lib/http_response.h"
#include "lib/str.h"

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool only(const char *s, const char *more)
{
	for (; *s; s++)
		if (!is_alnum(*s) && !strchr(more, *s))
			return false;
	return true;
}

int context_check_instance_id(const char *s, struct err *e)
{
	size_t len = strlen(s);

	if (len < 1 || len > 128 || !only(s, "._:-"))
		return err_set(e, EBADMSG,
			       "is not an instance id: 1 to 128 letters, digits and . _ : -");
	return 0;
}

int context_check_hostname(const char *s, struct err *e)
{
	size_t label = 0;

	if (!*s || strlen(s) > 253)
		return err_set(e, EBADMSG, "is not a host name: 1 to 253 characters");
	if (!only(s, "-."))
		return err_set(e, EBADMSG,
			       "is not a host name: letters, digits, '-' and '.' alone");
	for (const char *p = s;; p++) {
		if (*p && *p != '.') {
			label++;
			continue;
		}
		if (label < 1 || label > 63 || p[-1] == '-' || p[-(ptrdiff_t)label] == '-')
			return err_set(e, EBADMSG,
				       "is not a host name: each label has 1 to 63 characters and "
				       "no '-' at its ends");
		label = 0;
		if (!*p)
			return 0;
	}
}

int context_check_text(const char *s, struct err *e)
{
	if (!utf8_valid(s, strlen(s)))
		return err_set(e, EBADMSG, "is not UTF-8");
	for (; *s; s++)
		if (((unsigned char)*s < 0x20 && *s != '\t' && *s != '\n') || *s == 0x7f)
			return err_set(e, EBADMSG, "holds a control character");
	return 0;
}

int context_check_token(const char *s, struct err *e)
{
	size_t len = strlen(s);

	if (len < 1 || len > 255)
		return err_set(e, EBADMSG, "is not 1 to 255 characters long");
	if (strchr(s, '\n') || strchr(s, '\t'))
		return err_set(e, EBADMSG, "holds a control character");
	return context_check_text(s, e);
}

int context_check_tag_key(const char *s, struct err *e)
{
	size_t len = strlen(s);

	/* what EC2 lets be in a tag's key where tags are served as paths */
	if (len < 1 || len > 128 || !only(s, "+-=.,_:@") || !strcmp(s, ".") || !strcmp(s, "..") ||
	    !strcmp(s, "_index"))
		return err_set(e, EBADMSG,
			       "is not a tag's key: 1 to 128 letters, digits and + - = . , _ : @, "
			       "and not . or .. or _index");
	return 0;
}

/* Is [p, p + len) the name of a key's type? All of OpenSSH's begin with one of these. */
static bool is_key_type(const char *p, size_t len)
{
	static const char *const types[] = {"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (len > strlen(types[i]) && !strncmp(p, types[i], strlen(types[i])))
			return true;
	return false;
}

/* The end of a word of an authorized_keys line: blanks within double quotes belong to it. */
static const char *word_end(const char *p)
{
	bool quoted = false;

	for (; *p && (quoted || *p != ' '); p++) {
		if (*p == '\\' && p[1] == '"')
			p++;
		else if (*p == '"')
			quoted = !quoted;
	}
	return p;
}

int context_check_ssh_key(const char *s, struct err *e)
{
	const char *end = word_end(s);

	if (strlen(s) > 16 * KIB)
		return err_set(e, EBADMSG, "is longer than 16 KiB");
	if (strchr(s, '\n') || strchr(s, '\t'))
		return err_set(e, EBADMSG, "is not one line of an authorized_keys file");
	if (context_check_text(s, e))
		return -EBADMSG;
	if (*s == '#')
		return err_set(e, EBADMSG, "is a comment, not an SSH public key");
	if (!is_key_type(s, (size_t)(end - s)) && *end) { /* options may come first */
		s = end + strspn(end, " ");
		end = word_end(s);
	}
	if (!is_key_type(s, (size_t)(end - s)))
		return err_set(e, EBADMSG, "is not an SSH public key: no key type in it");
	s = end + strspn(end, " ");
	end = word_end(s);
	for (const char *p = s; p < end; p++)
		if (!is_alnum(*p) && !strchr("+/=", *p))
			return err_set(e, EBADMSG, "is not an SSH public key: not base64");
	if (s == end)
		return err_set(e, EBADMSG,
			       "is not an SSH public key: there is no key behind its type");
	return 0;
}

int context_parse_mac(const char *s, char out[18], struct err *e)
{
	unsigned char b[6];
	unsigned any = 0;

	if (strlen(s) != 17)
		return err_set(e, EBADMSG, "is not a MAC address");
	for (size_t i = 0; i < 6; i++) {
		if (i && s[3 * i - 1] != s[2])
			return err_set(e, EBADMSG, "is not a MAC address");
		if (hex_decode(s + 3 * i, 2, &b[i], 1, NULL))
			return err_set(e, EBADMSG, "is not a MAC address");
		any |= b[i];
	}
	if (s[2] != ':' && s[2] != '-')
		return err_set(e, EBADMSG, "is not a MAC address");
	if (!any || b[0] & 1)
		return err_set(e, EBADMSG, "is not a MAC address that a NIC can have");
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return 0;
}

int context_parse_ip(const char *s, struct ip_prefix *ret, struct err *e)
{
	char text[INET6_ADDRSTRLEN];
	size_t len = strcspn(s, "/");
	struct ip_prefix ip = {0};
	uint64_t prefix;
	unsigned max;

	if (len >= sizeof(text))
		return err_set(e, EBADMSG, "is not an IP address");
	memcpy(text, s, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, ip.b) == 1)
		ip.family = AF_INET;
	else if (inet_pton(AF_INET6, text, ip.b) == 1)
		ip.family = AF_INET6;
	else
		return err_set(e, EBADMSG, "is not an IP address");
	max = ip.family == AF_INET ? 32 : 128;
	ip.prefix = max;
	if (s[len] == '/') {
		if (str_to_u64(s + len + 1, 0, max, &prefix, NULL))
			return err_set(e, EBADMSG, "has no prefix length of 0 to %u behind its '/'",
				       max);
		ip.prefix = (unsigned)prefix;
		ip.has_prefix = true;
	}
	*ret = ip;
	return 0;
}

void context_format_ip(const struct ip_prefix *ip, char out[46])
{
	if (!inet_ntop(ip->family, ip->b, out, 46))
		out[0] = '\0';
}

void context_format_network(const struct ip_prefix *ip, char out[50])
{
	struct ip_prefix net = *ip;

	for (unsigned bit = ip->prefix; bit < sizeof(net.b) * 8; bit++)
		net.b[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
	context_format_ip(&net, out);
	snprintf(out + strlen(out), 50 - strlen(out), "/%u", ip->prefix % 1000);
}

/* The next word of *p, copied into out; false if there is none, or it is too long. */
static bool next_word(const char **p, char *out, size_t size)
{
	size_t len;

	*p += strspn(*p, " ");
	len = strcspn(*p, " ");
	if (!len || len >= size)
		return false;
	memcpy(out, *p, len);
	out[len] = '\0';
	*p += len;
	return true;
}

/* The end of a route: nothing, or "metric N". */
static bool parse_metric(const char *s, uint32_t *ret)
{
	char word[8], number[16];
	uint64_t n = 0;
	bool good = true;

	if (s[strspn(s, " ")])
		good = next_word(&s, word, sizeof(word)) && !strcmp(word, "metric") &&
		       next_word(&s, number, sizeof(number)) && !s[strspn(s, " ")] &&
		       !str_to_u64(number, 1, UINT32_MAX, &n, NULL);
	*ret = (uint32_t)n;
	return good;
}

int context_parse_route_metric(const char *s, struct ip_prefix *dst, struct ip_prefix *gw,
			       uint32_t *metric, struct err *e)
{
	char to[64], via[8], by[64];
	struct ip_prefix d, g;
	bool is_default;
	uint32_t m;

	if (!next_word(&s, to, sizeof(to)) || !next_word(&s, via, sizeof(via)) ||
	    !next_word(&s, by, sizeof(by)) || strcmp(via, "via") || !parse_metric(s, &m))
		return err_set(e, EBADMSG, "is not a route: 'DESTINATION/LENGTH via GATEWAY'");
	is_default = !strcmp(to, "default");
	if (context_parse_ip(by, &g, e))
		return err_wrap(e, "route's gateway");
	if (g.has_prefix)
		return err_set(e, EBADMSG, "route's gateway has a prefix length");
	if (is_default)
		d = (struct ip_prefix){.family = g.family, .has_prefix = true};
	else if (context_parse_ip(to, &d, e))
		return err_wrap(e, "route's destination");
	if (d.family != g.family)
		return err_set(e, EBADMSG, "route mixes IPv4 and IPv6");
	*dst = d;
	if (gw)
		*gw = g;
	if (metric)
		*metric = m;
	return 0;
}

int context_parse_route(const char *s, struct ip_prefix *dst, struct ip_prefix *gw, struct err *e)
{
	return context_parse_route_metric(s, dst, gw, NULL, e);
}

/* Days of 1970-01-01 to the date, in the Gregorian calendar; a year begins in March here. */
static uint64_t days_to(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month > 2 ? year : year - 1;
	unsigned from_march = month > 2 ? month - 3 : month + 9;

	return UINT64_C(365) * y + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5 + day -
	       1 - 719468;
}

/* The number that `digits` digits at s make; *bad is set where there is none. */
static unsigned number_at(const char *s, unsigned digits, bool *bad)
{
	unsigned n = 0;

	for (unsigned i = 0; i < digits; i++) {
		if (s[i] < '0' || s[i] > '9')
			*bad = true;
		n = n * 10 + (unsigned)(s[i] - '0');
	}
	return n;
}

int context_parse_time(const char *s, uint64_t *ret, struct err *e)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:ddZ";
	unsigned year, month, day, hour, minute, second;
	char back[CONTEXT_TIME_SIZE];
	bool bad = strlen(s) != strlen(shape);

	for (size_t i = 0; shape[i] && !bad; i++)
		bad = shape[i] != 'd' && s[i] != shape[i];
	if (bad)
		return err_set(e, EBADMSG, "is not a time, as in 2024-04-11T06:00:00Z");
	year = number_at(s, 4, &bad);
	month = number_at(s + 5, 2, &bad);
	day = number_at(s + 8, 2, &bad);
	hour = number_at(s + 11, 2, &bad);
	minute = number_at(s + 14, 2, &bad);
	second = number_at(s + 17, 2, &bad);
	if (bad || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
	    minute > 59 || second > 59)
		return err_set(e, EBADMSG, "is not a time, as in 2024-04-11T06:00:00Z");
	*ret = days_to(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	context_format_time(*ret, back); /* a day that the month does not have comes back another */
	return strcmp(back, s) ? err_set(e, EBADMSG, "is not a day of that month") : 0;
}

void context_format_time(uint64_t unix_seconds, char out[CONTEXT_TIME_SIZE])
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char date[HTTP_DATE_SIZE]; /* "Thu, 11 Apr 2024 06:00:00 GMT": the calendar is in there */
	char month[4] = "";
	const char *at;

	http_date(unix_seconds, date);
	memcpy(month, date + 8, 3);
	at = strstr(months, month);
	snprintf(out, CONTEXT_TIME_SIZE, "%.4s-%02u-%.2sT%.8sZ", date + 12,
		 at ? ((unsigned)(at - months) / 3 + 1) % 100 : 0, date + 5, date + 17);
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* NICs are told apart by their MACs, else by their names. */
static int check_nics(const struct context *c, struct err *e)
{
	for (size_t i = 0; i < c->n_nics; i++) {
		const struct nic *n = &c->nics[i];
		const struct nic *parent;

		for (size_t j = 0; j < i; j++) {
			if (n->mac[0] && !strcmp(n->mac, c->nics[j].mac))
				return err_set(e, EBADMSG,
					       "nics[%zu]: mac: is that of nics[%zu] too", i, j);
			if (n->name && c->nics[j].name && !strcmp(n->name, c->nics[j].name))
				return err_set(e, EBADMSG,
					       "nics[%zu]: name: is that of nics[%zu] too", i, j);
		}
		if (!n->vlan_parent)
			continue;
		parent = nic_parent(c, n);
		if (!n->vlan_id || !parent || parent->vlan_parent)
			return err_set(e, EBADMSG, "nics[%zu]: vlan-parent: %s", i,
				       n->vlan_id ? "is no other NIC's MAC address or name"
						  : "is there without vlan-id");
	}
	return 0;
}

/* What is there in half would not be served, and nobody told. */
static int check_halves(const struct context *c, struct err *e)
{
	const struct context_role *r = &c->iam_role;

	if (!c->spot.action != !c->spot.time)
		return err_set(e, EBADMSG, "spot: needs an action and a time");
	if (!r->access_key_id != !r->secret_access_key)
		return err_set(e, EBADMSG,
			       "iam-role: access-key-id and secret-access-key belong together");
	if (!r->name && (r->access_key_id || r->credential_process))
		return err_set(e, EBADMSG, "iam-role: credentials need a name");
	return 0;
}

int context_validate(const struct context *c, struct err *e)
{
	if (context_fields_check(context_fields, c, e) || check_halves(c, e))
		return -EBADMSG;
	return check_nics(c, e);
}
