/* SPDX-License-Identifier: Apache-2.0 */
/* Web servers' listings of folders, files of check sums, names of files: see catalog/parse.h. */
#include <ctype.h>
#include <strings.h>

#include "catalog/parse.h"
#include "lib/fs.h"
#include "lib/str.h"

#define NAMES_MAX 100000
#define NAME_BYTES 255

/* ---- digests -------------------------------------------------------------------------------- */

int digest_text(enum digest_kind kind, const char *hex, char **ret, struct err *e)
{
	size_t n = strlen(hex);
	char *p;

	if (n != 2 * digest_size(kind) || strspn(hex, "0123456789abcdefABCDEF") != n)
		return err_set(e, EBADMSG, "'%s' is no %s digest", hex, digest_name(kind));
	*ret = str_format("%s:%s", digest_name(kind), hex);
	if (!*ret)
		return err_nomem(e);
	for (p = *ret; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return 0;
}

int digest_text_parse(const char *text, enum digest_kind *ret_kind,
		      char ret_hex[2 * DIGEST_MAX + 1], struct err *e)
{
	const char *colon = strchr(text, ':');
	char kind[16];
	size_t n = colon ? strlen(colon + 1) : 0;

	if (!colon || (size_t)(colon - text) >= sizeof(kind))
		return err_set(e, EBADMSG, "'%s' is no digest", text);
	memcpy(kind, text, (size_t)(colon - text));
	kind[colon - text] = '\0';
	if (digest_by_name(kind, ret_kind, e) < 0)
		return err_wrap(e, "'%s' is no digest", text);
	if (n != 2 * digest_size(*ret_kind) || strspn(colon + 1, "0123456789abcdef") != n)
		return err_set(e, EBADMSG, "'%s' is no digest", text);
	memcpy(ret_hex, colon + 1, n + 1);
	return 0;
}

/* ---- check sums ----------------------------------------------------------------------------- */

static bool kind_by_digits(size_t n, enum digest_kind *ret)
{
	*ret = n == 128 ? DIGEST_SHA512 : DIGEST_SHA256;
	return n == 64 || n == 128;
}

/* "SHA256 (NAME) = HEX" as BSD's tools write it. */
static bool split_bsd(char *line, char **ret_hex, char **ret_name)
{
	char *open = strstr(line, " ("), *close = strstr(line, ") = ");

	if (!str_has_prefix(line, "SHA") || !open || !close || close < open + 2)
		return false;
	*close = '\0';
	*ret_name = open + 2;
	*ret_hex = close + 4;
	return true;
}

static bool split_gnu(char *line, char **ret_hex, char **ret_name)
{
	size_t n = strcspn(line, " \t");

	if (!line[n])
		return false;
	*ret_hex = line;
	*ret_name = line + n + 1;
	line[n] = '\0';
	*ret_name += strspn(*ret_name, " \t");
	*ret_name += **ret_name == '*';
	return true;
}

static int take_sum(char *line, sum_fn *fn, void *ctx, struct err *e)
{
	AUTO_FREE char *digest = NULL;
	char *hex, *name;
	enum digest_kind kind;
	size_t n = strlen(line);

	while (n && isspace((unsigned char)line[n - 1]))
		line[--n] = '\0';
	if (!split_bsd(line, &hex, &name) && !split_gnu(line, &hex, &name))
		return 0;
	name += str_has_prefix(name, "./") ? 2 : 0;
	if (!kind_by_digits(strlen(hex), &kind) || !name_is_plain(name))
		return 0;
	if (digest_text(kind, hex, &digest, NULL) < 0)
		return 0;
	return fn(ctx, name, digest, e);
}

int sums_parse(const char *text, size_t len, sum_fn *fn, void *ctx, struct err *e)
{
	const char *end = text + len;
	size_t n = 0;

	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t bytes = (size_t)((nl ? nl : end) - text);
		char line[NAME_BYTES + 200];
		int rc;

		if (bytes && bytes < sizeof(line) && !memchr(text, '\0', bytes)) {
			if (++n > NAMES_MAX)
				return err_set(e, EFBIG, "more than %d check sums", NAMES_MAX);
			memcpy(line, text, bytes);
			line[bytes] = '\0';
			rc = take_sum(line, fn, ctx, e);
			if (rc != 0)
				return rc;
		}
		text += bytes + 1;
	}
	return 0;
}

/* ---- listings ------------------------------------------------------------------------------- */

static int hex_value(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Undoes %XX and &amp;; false for what cannot be a name. */
static bool decode_href(const char *p, size_t n, char out[NAME_BYTES + 2])
{
	size_t len = 0;

	for (const char *end = p + n; p < end; p++) {
		char c = *p;

		if (len > NAME_BYTES)
			return false;
		if (c == '%' && end - p > 2 && isxdigit((unsigned char)p[1]) &&
		    isxdigit((unsigned char)p[2])) {
			c = (char)(hex_value(p[1]) * 16 + hex_value(p[2]));
			p += 2;
		} else if (c == '&' && end - p > 4 && strncasecmp(p, "&amp;", 5) == 0) {
			p += 4;
		}
		if (!c)
			return false;
		out[len++] = c;
	}
	out[len] = '\0';
	return true;
}

static int take_href(const char *p, size_t n, href_fn *fn, void *ctx, struct err *e)
{
	char name[NAME_BYTES + 2];
	size_t len;
	bool folder, plain;

	if (memchr(p, '?', n) || memchr(p, '#', n) || memchr(p, ':', n))
		return 0;
	if (n > 2 && p[0] == '.' && p[1] == '/') {
		p += 2;
		n -= 2;
	}
	if (!decode_href(p, n, name))
		return 0;
	len = strlen(name);
	folder = len && name[len - 1] == '/';
	if (folder)
		name[len - 1] = '\0';
	plain = name_is_plain(name);
	if (folder)
		name[len - 1] = '/';
	return plain ? fn(ctx, name, e) : 0;
}

int hrefs_parse(const char *html, size_t len, href_fn *fn, void *ctx, struct err *e)
{
	const char *p = html, *end = html + len;
	size_t n = 0;

	while (p < end) {
		const char *eq = memchr(p, '=', (size_t)(end - p)), *close;
		char quote;
		int rc;

		if (!eq)
			return 0;
		p = eq + 1;
		if (eq - html < 4 || strncasecmp(eq - 4, "href", 4) != 0 || p >= end)
			continue;
		quote = *p;
		if (quote != '"' && quote != '\'')
			continue;
		close = memchr(p + 1, quote, (size_t)(end - p - 1));
		if (!close)
			return 0;
		if (++n > NAMES_MAX)
			return err_set(e, EFBIG, "a listing of more than %d names", NAMES_MAX);
		rc = take_href(p + 1, (size_t)(close - p - 1), fn, ctx, e);
		if (rc != 0)
			return rc;
		p = close + 1;
	}
	return 0;
}

/* ---- names ---------------------------------------------------------------------------------- */

static const char *const systems[] = {
	"debian", "ubuntu",  "fedora",  "centos",  "almalinux", "rocky", "opensuse",
	"suse",   "alpine",  "arch",    "freebsd", "openbsd",   "nixos", "cirros",
	"gentoo", "openwrt", "flatcar", "talos",   "amzn2",     "rhel",  "oraclelinux",
};
static const char *const machines[] = {
	"x86_64",  "amd64",   "arm64", "aarch64", "i386",   "i686",    "armhf",
	"ppc64le", "ppc64el", "s390x", "riscv64", "armv7l", "loong64",
};

static bool is_one_of(const char *word, const char *const *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(word, all[i]) == 0)
			return true;
	}
	return false;
}

/* "debian-12-generic-arm64-20240507-1740.qcow2": words between - and _, the ending taken off. */
int guess_by_name(const char *name, struct catalog_image *im, struct err *e)
{
	char text[NAME_BYTES + 1];
	char *save = NULL;
	size_t n = MIN(strlen(name), (size_t)NAME_BYTES);
	int rc = 0;

	memcpy(text, name, n);
	text[n] = '\0';
	/* What separates in "x86_64" is part of it. */
	for (char *p = text; (p = strcasestr(p, "x86_64"));)
		p[3] = '+';
	for (char *w = strtok_r(text, "-_", &save); rc == 0 && w; w = strtok_r(NULL, "-_", &save)) {
		char *plus = strchr(w, '+'), *dot = strchr(w, '.');
		bool number = isdigit((unsigned char)*w);

		if (plus && plus == w + 3)
			*plus = '_';
		if (dot && !number)
			*dot = '\0';
		else if (dot && !isdigit((unsigned char)dot[1]))
			*dot = '\0';
		if (!im->os && is_one_of(w, systems, ARRAY_SIZE(systems)))
			rc = image_set(&im->os, w, e);
		else if (!im->architecture && is_one_of(w, machines, ARRAY_SIZE(machines)))
			rc = image_set(&im->architecture, arch_name(w), e);
		else if (number && strspn(w, "0123456789.") == strlen(w))
			rc = !im->release && strlen(w) < 8 ? image_set(&im->release, w, e)
			     : !im->version                ? image_set(&im->version, w, e)
							   : 0;
	}
	return rc;
}
