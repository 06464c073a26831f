/* SPDX-License-Identifier: Apache-2.0 */
/* Errors on the caller's stack: see lib/err.h. */
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>

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
	if (*src) {
		/* Do not leave the first half of a UTF-8 character. */
		while (at > 0 && ((unsigned char)msg[at - 1] & 0xc0) == 0x80)
			at--;
		if (at > 0 && ((unsigned char)msg[at - 1] & 0xc0) == 0xc0)
			at--;
	}
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
