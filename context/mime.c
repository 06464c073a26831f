/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multipart messages: see context/mime.h. What is read is what is written here, byte for byte: a
 * message of anybody else's is not looked into.
 *
 *	Content-Type: multipart/mixed; boundary="==acclimate-context=="
 *	MIME-Version: 1.0
 *
 *	--==acclimate-context==
 *	Content-Type: TYPE
 *	MIME-Version: 1.0
 *	Content-Transfer-Encoding: base64
 *	Content-Disposition: attachment; filename="NAME"
 *
 *	base64, in lines of 76
 *	--==acclimate-context==--
 */
#include "context/mime.h"

#include "lib/str.h"

/* Base64 has no '-': no line of a part is the boundary. */
#define BOUNDARY "--==acclimate-context=="
#define HEAD                                                                                       \
	"Content-Type: multipart/mixed; boundary=\"==acclimate-context==\"\n"                      \
	"MIME-Version: 1.0\n"                                                                      \
	"\n"
#define PART BOUNDARY "\nContent-Type: "
#define TYPE_END                                                                                   \
	"\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n"                                 \
	"Content-Disposition: attachment; filename=\""
#define NAME_END "\"\n\n"
#define END BOUNDARY "--\n"

enum {
	LINE = 76,
	MOST = 255, /* bytes of a type or a name */
};

int mime_begin(struct buf *out)
{
	return buf_adds(out, HEAD);
}

int mime_part(struct buf *out, const char *type, const char *name, const void *data, size_t len)
{
	AUTO_BUF text = BUF_INIT;
	int rc = buf_addf(out, PART "%s" TYPE_END "%s" NAME_END, type, name);

	rc = rc ? rc : base64_encode(data, len, &text);
	for (size_t i = 0; i < text.len && !rc; i += LINE)
		rc = buf_addf(out, "%.*s\n", (int)MIN((size_t)LINE, text.len - i), text.data + i);
	return rc;
}

int mime_end(struct buf *out)
{
	return buf_adds(out, END);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct rest {
	const char *p;
	size_t len;
};

static bool take(struct rest *r, const char *text)
{
	size_t len = strlen(text);

	if (r->len < len || memcmp(r->p, text, len) != 0)
		return false;
	r->p += len;
	r->len -= len;
	return true;
}

/* What is there up to `end`, which is taken too. */
static bool take_until(struct rest *r, const char *end, char out[MOST + 1])
{
	size_t n = 0;

	while (n < r->len && n < MOST && r->p[n] != *end && r->p[n])
		n++;
	memcpy(out, r->p, n);
	out[n] = '\0';
	r->p += n;
	r->len -= n;
	return n && take(r, end);
}

/* All lines up to the next boundary, decoded. */
static int take_content(struct rest *r, struct buf *out, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	while (r->len && *r->p != '-') {
		const char *nl = memchr(r->p, '\n', r->len);
		size_t len = nl ? (size_t)(nl - r->p) : r->len;

		if (buf_add(&text, r->p, len))
			return err_nomem(e);
		r->p += len + (nl != NULL);
		r->len -= len + (nl != NULL);
	}
	return base64_decode(buf_str(&text), text.len, out, e);
}

bool mime_is_ours(const void *data, size_t len)
{
	struct rest r = {data, len};

	return take(&r, HEAD);
}

int mime_read(const void *data, size_t len,
	      int (*fn)(void *arg, const char *type, const char *name, const struct buf *content),
	      void *arg, struct err *e)
{
	struct rest r = {data, len};
	char type[MOST + 1], name[MOST + 1];

	if (!take(&r, HEAD))
		return err_set(e, EBADMSG, "is not a message of ours");
	while (!take(&r, END)) {
		AUTO_BUF content = BUF_INIT;
		int rc;

		if (!take(&r, PART) || !take_until(&r, TYPE_END, type) ||
		    !take_until(&r, NAME_END, name))
			return err_set(e, EBADMSG, "a part of the message is not as we write it");
		rc = take_content(&r, &content, e);
		rc = rc ? rc : fn(arg, type, name, &content);
		if (rc)
			return rc;
	}
	return r.len ? err_set(e, EBADMSG, "there is more behind the message") : 0;
}
