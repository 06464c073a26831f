/* SPDX-License-Identifier: Apache-2.0 */
/* Hex and base64 (RFC 4648): see lib/str.h. Small, so that a static ctxd needs no crypto library.
 */
#include "lib/str.h"

void hex_encode(const void *data, size_t len, char *out)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		*out++ = hex[p[i] >> 4];
		*out++ = hex[p[i] & 15];
	}
	*out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(const char *hex, size_t hex_len, void *out, size_t len, struct err *e)
{
	uint8_t *p = out;

	if (hex_len / 2 != len || hex_len % 2)
		return err_set(e, EBADMSG, "%zu hex digits where %zu are needed", hex_len, 2 * len);
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return err_set(e, EBADMSG, "no hex digit at position %zu", 2 * i);
		p[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static const char alphabet_std[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int encode64(const char *alphabet, const void *data, size_t len, struct buf *out)
{
	const uint8_t *p = data;
	size_t n;

	if (!size_mul(len / 3 + 1, 4, &n) || buf_reserve(out, n) < 0)
		return -ENOMEM;
	while (len) {
		uint32_t v = (uint32_t)p[0] << 16 | (len > 1 ? (uint32_t)p[1] << 8 : 0) |
			     (len > 2 ? p[2] : 0);
		char four[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63],
				len > 1 ? alphabet[v >> 6 & 63] : '=',
				len > 2 ? alphabet[v & 63] : '='};
		size_t used = MIN(len, (size_t)3);

		buf_add(out, four, sizeof(four)); /* reserved above */
		p += used;
		len -= used;
	}
	return 0;
}

int base64_encode(const void *data, size_t len, struct buf *out)
{
	return encode64(alphabet_std, data, len, out);
}

int base64url_encode(const void *data, size_t len, struct buf *out)
{
	return encode64(alphabet_url, data, len, out);
}

static int decode64(const char *alphabet, const char *text, size_t len, struct buf *out,
		    struct err *e)
{
	uint32_t bits = 0;
	unsigned n = 0, padding = 0;
	size_t start = out->len;

	if (buf_reserve(out, len / 4 * 3 + 3) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < len; i++) {
		const char *at;
		char c = text[i];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		at = c ? strchr(alphabet, c) : NULL;
		if (c == '=' && n >= 2) {
			padding++;
		} else if (!at || padding) {
			out->len = start;
			return err_set(e, EBADMSG, "no base64 at byte %zu", i);
		}
		bits = bits << 6 | (at ? (uint32_t)(at - alphabet) : 0);
		if (++n == 4) {
			uint8_t three[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8),
					    (uint8_t)bits};

			/* Bits that the padding cuts off must be zero: one text for one value. */
			if (padding && (bits & (padding == 1 ? 0xffu : 0xffffu))) {
				out->len = start;
				return err_set(e, EBADMSG, "stray bits in the last base64 group");
			}
			if (buf_add(out, three, 3 - padding) < 0) {
				out->len = start;
				return err_nomem(e);
			}
			bits = n = 0;
			if (padding)
				n = 4; /* nothing may follow */
		} else if (n > 4) {
			out->len = start;
			return err_set(e, EBADMSG, "text behind the base64 padding at byte %zu", i);
		}
	}
	if (n != 0 && n != 4) {
		out->len = start;
		return err_set(e, EBADMSG, "base64 ends within a group");
	}
	return 0;
}

int base64_decode(const char *text, size_t len, struct buf *out, struct err *e)
{
	return decode64(alphabet_std, text, len, out, e);
}

int base64url_decode(const char *text, size_t len, struct buf *out, struct err *e)
{
	return decode64(alphabet_url, text, len, out, e);
}
