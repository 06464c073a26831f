/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that what a guest is told must keep, whichever dialect it was read from. */
#include <arpa/inet.h>
#include <stdio.h>

#include "context/context.h"
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

int context_parse_route(const char *s, struct ip_prefix *dst, struct ip_prefix *gw, struct err *e)
{
	char to[64], via[8], by[64];
	struct ip_prefix d, g;
	bool is_default;

	if (!next_word(&s, to, sizeof(to)) || !next_word(&s, via, sizeof(via)) ||
	    !next_word(&s, by, sizeof(by)) || s[strspn(s, " ")] || strcmp(via, "via"))
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
	return 0;
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

static int named(int rc, struct err *e, const char *field)
{
	return rc ? err_wrap(e, "%s", field) : 0;
}

static int check_list(const struct strlist *l, int (*check)(const char *s, struct err *e),
		      const char *field, struct err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (check(l->v[i], e))
			return err_wrap(e, "%s[%zu]", field, i);
	return 0;
}

static int check_cidr(const char *s, struct err *e)
{
	struct ip_prefix ip;

	if (context_parse_ip(s, &ip, e))
		return -EBADMSG;
	return ip.has_prefix ? 0 : err_set(e, EBADMSG, "has no prefix length");
}

static int check_ip(const char *s, struct err *e)
{
	struct ip_prefix ip;

	if (context_parse_ip(s, &ip, e))
		return -EBADMSG;
	return ip.has_prefix ? err_set(e, EBADMSG, "has a prefix length") : 0;
}

static int check_gateway(const char *s, int family, struct err *e)
{
	struct ip_prefix ip;

	if (!s)
		return 0;
	if (check_ip(s, e) || context_parse_ip(s, &ip, e))
		return -EBADMSG;
	return ip.family == family
		       ? 0
		       : err_set(e, EBADMSG, "is not an IPv%d address", family == AF_INET ? 4 : 6);
}

static int check_route(const char *s, struct err *e)
{
	struct ip_prefix dst;

	return context_parse_route(s, &dst, NULL, e);
}

static int check_nic(const struct nic *n, struct err *e)
{
	char mac[18];

	if (n->mac[0] && (context_parse_mac(n->mac, mac, e) || strcmp(mac, n->mac)))
		return err_set(e, EBADMSG, "mac: is not a MAC address in lower case");
	if (check_list(&n->addresses, check_cidr, "addresses", e) ||
	    check_list(&n->dns, check_ip, "dns", e) ||
	    check_list(&n->search, context_check_hostname, "search", e) ||
	    check_list(&n->routes, check_route, "routes", e) ||
	    named(check_gateway(n->gateway, AF_INET, e), e, "gateway") ||
	    named(check_gateway(n->gateway6, AF_INET6, e), e, "gateway6") ||
	    named(check_gateway(n->public_ipv4, AF_INET, e), e, "public-ipv4"))
		return -EBADMSG;
	if (n->mtu && (n->mtu < 68 || n->mtu > 65535))
		return err_set(e, EBADMSG, "mtu: is not in 68 to 65535");
	return 0;
}

static int check_scalars(const struct context *c, struct err *e)
{
	const struct {
		const char *name, *value;
	} tokens[] = {
		{"ami-id", c->ami_id},
		{"instance-type", c->instance_type},
		{"availability-zone", c->availability_zone},
		{"availability-zone-id", c->availability_zone_id},
		{"region", c->region},
		{"reservation-id", c->reservation_id},
		{"account-id", c->account_id},
		{"architecture", c->architecture},
		{"kernel-id", c->kernel_id},
		{"ramdisk-id", c->ramdisk_id},
	};

	if (c->instance_id && context_check_instance_id(c->instance_id, e))
		return err_wrap(e, "instance-id");
	if (c->hostname && context_check_hostname(c->hostname, e))
		return err_wrap(e, "hostname");
	if (c->public_hostname && context_check_hostname(c->public_hostname, e))
		return err_wrap(e, "public-hostname");
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++)
		if (tokens[i].value && context_check_token(tokens[i].value, e))
			return err_wrap(e, "%s", tokens[i].name);
	return 0;
}

int context_validate(const struct context *c, struct err *e)
{
	if (check_scalars(c, e) ||
	    check_list(&c->security_groups, context_check_token, "security-groups", e) ||
	    check_list(&c->ssh_keys, context_check_ssh_key, "ssh-keys", e))
		return -EBADMSG;
	for (size_t i = 0; i < c->n_nics; i++) {
		if (check_nic(&c->nics[i], e))
			return err_wrap(e, "nics[%zu]", i);
		for (size_t j = 0; j < i; j++)
			if (c->nics[i].mac[0] && !strcmp(c->nics[i].mac, c->nics[j].mac))
				return err_set(e, EBADMSG,
					       "nics[%zu]: mac: is that of nics[%zu] too", i, j);
	}
	for (size_t i = 0; i < c->n_tags; i++)
		if (context_check_text(c->tags[i].value, e) ||
		    context_check_text(c->tags[i].key, e))
			return err_wrap(e, "tags[%zu]", i);
	for (size_t i = 0; i < c->n_block_devices; i++)
		if (context_check_tag_key(c->block_devices[i].key, e) ||
		    context_check_token(c->block_devices[i].value, e))
			return err_wrap(e, "block-devices[%zu]", i);
	return 0;
}
