/* SPDX-License-Identifier: Apache-2.0 */
/* Errors on the caller's stack: see lib/err.h. */
#define LIB_ERR_C
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>

/* How many bytes at the end of msg are the first part of a UTF-8 character that was cut. */
static size_t cut_character(const char *msg, size_t len)
{
	for (size_t n = 1; n <= 4 && n <= len; n++) {
		unsigned char c = (unsigned char)msg[len - n];
		size_t needs = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if ((c & 0xc0) != 0x80)
			return needs > n ? n : 0;
	}
	return 0;
}

/* Appends src to msg as one printable line; what does not fit is cut at a character's end. */
static void append_line(char *msg, size_t cap, const char *src)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = strlen(msg);

	for (; *src; src++) {
		unsigned char c = (unsigned char)*src;
		bool control = c < 0x20 || c == 0x7f;
		size_t need = control ? 4 : 1;

		if (at + need >= cap)
			break;
		if (control) {
			msg[at++] = '\\';
			msg[at++] = 'x';
			msg[at++] = hex[c >> 4];
			msg[at++] = hex[c & 15];
		} else {
			msg[at++] = (char)c;
		}
	}
	at -= cut_character(msg, at);
	msg[at] = '\0';
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	char text[sizeof(e->msg)];
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		e->code = code;
		e->msg[0] = '\0';
		append_line(e->msg, sizeof(e->msg), text);
	}
	return -code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	char text[sizeof(e->msg)];
	char reason[128];
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		e->code = code;
		e->msg[0] = '\0';
		append_line(e->msg, sizeof(e->msg), text);
		append_line(e->msg, sizeof(e->msg), ": ");
		append_line(e->msg, sizeof(e->msg), strerror_r(code, reason, sizeof(reason)));
	}
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->msg)];
	char inner[sizeof(e->msg)];
	va_list ap;

	if (!e)
		return -EIO;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(inner, e->msg, sizeof(inner));
	e->msg[0] = '\0';
	append_line(e->msg, sizeof(e->msg), text);
	append_line(e->msg, sizeof(e->msg), ": ");
	append_line(e->msg, sizeof(e->msg), inner);
	return -e->code;
}

int err_nomem(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}
