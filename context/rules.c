/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of single values: see context/rules.h. */
#include "context/rules.h"

#include <sys/socket.h>

#include "lib/fs.h"
#include "lib/str.h"

static const char letters_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* Is every character of s a letter, a digit or one of more? */
static bool only(const char *s, const char *more)
{
	for (; *s; s++)
		if (!strchr(letters_digits, *s) && !strchr(more, *s))
			return false;
	return true;
}

/* One line of at most max bytes. */
static int check_line(const char *s, size_t max, struct err *e)
{
	if (strlen(s) > max)
		return err_set(e, EBADMSG, "is longer than %zu bytes", max);
	if (strpbrk(s, "\n\t"))
		return err_set(e, EBADMSG, "holds a control character");
	return context_check_text(s, e);
}

int context_check_utf8(const char *s, struct err *e)
{
	return utf8_valid(s, strlen(s)) ? 0 : err_set(e, EBADMSG, "is not UTF-8");
}

/* ---- addresses ----------------------------------------------------------------------------- */

int context_check_cidr(const char *s, struct err *e)
{
	struct ip_prefix ip;

	if (context_parse_ip(s, &ip, e))
		return -EBADMSG;
	return ip.has_prefix ? 0
			     : err_set(e, EBADMSG, "needs a prefix length, as in 192.168.0.5/24");
}

int context_check_ip(const char *s, struct err *e)
{
	struct ip_prefix ip;

	if (context_parse_ip(s, &ip, e))
		return -EBADMSG;
	return ip.has_prefix ? err_set(e, EBADMSG, "must not have a prefix length") : 0;
}

static int check_family(const char *s, int family, struct err *e)
{
	struct ip_prefix ip;

	if (context_check_ip(s, e) || context_parse_ip(s, &ip, e))
		return -EBADMSG;
	return ip.family == family
		       ? 0
		       : err_set(e, EBADMSG, "is not an IPv%d address", family == AF_INET ? 4 : 6);
}

int context_check_ipv4(const char *s, struct err *e)
{
	return check_family(s, AF_INET, e);
}

int context_check_ipv6(const char *s, struct err *e)
{
	return check_family(s, AF_INET6, e);
}

int context_check_route(const char *s, struct err *e)
{
	struct ip_prefix dst;

	return context_parse_route(s, &dst, NULL, e);
}

int context_check_host(const char *s, struct err *e)
{
	return context_check_ip(s, NULL) && context_check_hostname(s, NULL)
		       ? err_set(e, EBADMSG, "is neither a host name nor an address")
		       : 0;
}

int context_check_url(const char *s, struct err *e)
{
	size_t scheme = str_has_prefix(s, "https://") ? 8 : str_has_prefix(s, "http://") ? 7 : 0;

	if (!scheme || !s[scheme] || s[scheme] == '/' || strlen(s) > 2048)
		return err_set(e, EBADMSG, "is not an http:// or https:// URL");
	for (const char *p = s; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("\"'<>\\`", *p))
			return err_set(e, EBADMSG,
				       "is not a URL: a character in it must be percent-encoded");
	return 0;
}

/* dev_valid_name() of the kernel, and printable. */
int context_check_interface(const char *s, struct err *e)
{
	size_t len = strlen(s);

	for (const char *p = s; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == '/' || *p == ':')
			len = 0;
	if (len < 1 || len > 15 || !strcmp(s, ".") || !strcmp(s, ".."))
		return err_set(e, EBADMSG, "is not the name of a network interface");
	return 0;
}

/* "0000:01:00.0" or, without its domain, "01:00.0". */
int context_check_pci_address(const char *s, struct err *e)
{
	static const char shape[] = "xxxx:xx:xx.x";
	size_t skip = strlen(s) == strlen(shape) ? 0 : 5;
	bool bad = strlen(s) != strlen(shape) - skip;

	for (size_t i = 0; !bad && s[i]; i++)
		bad = shape[i + skip] == 'x' ? !strchr("0123456789abcdefABCDEF", s[i])
					     : s[i] != shape[i + skip];
	return bad ? err_set(e, EBADMSG, "is not a PCI address, as in 0000:01:00.0") : 0;
}

/* ---- accounts ------------------------------------------------------------------------------ */

int context_check_user_name(const char *s, struct err *e)
{
	size_t len = strlen(s);

	if (len < 1 || len > 32 || !only(s, "_.-") || strchr("0123456789.-", *s))
		return err_set(e, EBADMSG,
			       "is not a user's name: 1 to 32 letters, digits and _ . -, a letter "
			       "or _ first");
	return 0;
}

int context_check_passwd_field(const char *s, struct err *e)
{
	if (strchr(s, ':'))
		return err_set(e, EBADMSG, "holds a ':'");
	return check_line(s, 512, e);
}

int context_check_password(const char *s, struct err *e)
{
	return *s ? check_line(s, 512, e) : err_set(e, EBADMSG, "is empty");
}

int context_check_secret(const char *s, struct err *e)
{
	return *s ? check_line(s, 16 * KIB, e) : err_set(e, EBADMSG, "is empty");
}

int context_check_sudo(const char *s, struct err *e)
{
	return check_line(s, 1024, e);
}

int context_check_owner(const char *s, struct err *e)
{
	const char *colon = strchr(s, ':');
	AUTO_FREE char *user = strndup(s, colon ? (size_t)(colon - s) : strlen(s));

	if (!user || context_check_user_name(user, NULL) ||
	    (colon && context_check_user_name(colon + 1, NULL)))
		return err_set(e, EBADMSG, "is not USER or USER:GROUP");
	return 0;
}

/* ---- files and disks ------------------------------------------------------------------------- */

int context_check_path(const char *s, struct err *e)
{
	if (*s != '/' || strlen(s) > 4095)
		return err_set(e, EBADMSG, "is not an absolute path");
	for (const char *p = s; *p;) {
		size_t len = strcspn(p, "/");

		if ((len == 1 || len == 2) && !strncmp(p, "..", len))
			return err_set(e, EBADMSG, "has '.' or '..' in it");
		p += len + (p[len] == '/');
	}
	return check_line(s, 4095, e);
}

int context_check_file_name(const char *s, struct err *e)
{
	return name_is_plain(s) ? context_check_text(s, e)
				: err_set(e, EBADMSG, "is not the name of a file");
}

int context_check_fstab_field(const char *s, struct err *e)
{
	if (!*s || strchr(s, ' ') || *s == '#')
		return err_set(e, EBADMSG, "is not one word");
	return check_line(s, 4095, e);
}

/* ---- words ----------------------------------------------------------------------------------- */

int context_check_time_zone(const char *s, struct err *e)
{
	if (!*s || *s == '/' || strlen(s) > 64 || !only(s, "/_+-") || strstr(s, "//") ||
	    s[strlen(s) - 1] == '/')
		return err_set(e, EBADMSG, "is not a time zone, as in Europe/Zurich");
	return 0;
}

int context_check_locale(const char *s, struct err *e)
{
	if (!*s || strlen(s) > 64 || !only(s, "_.@-") || *s == '.' || *s == '-')
		return err_set(e, EBADMSG, "is not a locale, as in de_CH.UTF-8");
	return 0;
}

int context_check_count(const char *s, struct err *e)
{
	uint64_t n;

	return str_to_u64(s, 1, 65535, &n, NULL) ? err_set(e, EBADMSG, "is not 1 to 65535") : 0;
}

int context_check_spot_action(const char *s, struct err *e)
{
	if (strcmp(s, "stop") && strcmp(s, "hibernate") && strcmp(s, "terminate"))
		return err_set(e, EBADMSG, "is not one of: stop, hibernate, terminate");
	return 0;
}

/* Any other would be taken for one that is over, and a guest not be warned. */
int context_check_maintenance_state(const char *s, struct err *e)
{
	if (strcmp(s, "active") && strcmp(s, "completed") && strcmp(s, "canceled"))
		return err_set(e, EBADMSG, "is not one of: active, completed, canceled");
	return 0;
}
