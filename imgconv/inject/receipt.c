/* SPDX-License-Identifier: Apache-2.0 */
/* What was put into a guest: see receipt.h. */
#include "imgconv/inject/receipt.h"

#include "lib/digest.h"
#include "lib/str.h"

#define RECEIPT_MAX (256 * KIB)
#define LINES_MAX 2000

static const char head[] =
	"# What 'imgconv inject --ctxd' has put in; 'imgconv inject --remove-ctxd' goes by it.\n";

static void line_release(struct receipt_line *l)
{
	free(l->path);
	free(l->to);
}

void receipt_release(struct receipt *m)
{
	for (size_t i = 0; i < m->n; i++)
		line_release(&m->lines[i]);
	free(m->lines);
	*m = (struct receipt){0};
}

void receipt_digest(const void *data, size_t len, char ret[65])
{
	uint8_t raw[DIGEST_MAX];

	digest_of(DIGEST_SHA256, data, len, raw);
	hex_encode(raw, 32, ret);
}

/* Takes what l owns. */
static int add(struct receipt *m, struct receipt_line *l, struct err *e)
{
	struct receipt_line *list;

	if (!l->path || (l->kind == RECEIPT_MOVED && !l->to)) {
		line_release(l);
		return err_nomem(e);
	}
	for (size_t i = 0; i < m->n; i++) {
		struct receipt_line *old = &m->lines[i];

		if (old->kind != l->kind || strcmp(old->path, l->path) != 0 ||
		    (l->to && strcmp(old->to, l->to) != 0))
			continue;
		line_release(old);
		*old = *l;
		return 0;
	}
	list = m->n < LINES_MAX ? realloc(m->lines, (m->n + 1) * sizeof(*list)) : NULL;
	if (!list) {
		line_release(l);
		return m->n < LINES_MAX
			       ? err_nomem(e)
			       : err_set(e, EFBIG, "'" RECEIPT_PATH "': more than %d lines",
					 LINES_MAX);
	}
	m->lines = list;
	list[m->n++] = *l;
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* "MODE SHA256 PATH" */
static bool parse_file(char *text, struct receipt_line *l)
{
	char *mode = strsep(&text, " "), *digest = strsep(&text, " "), *end = NULL;
	unsigned long n = strtoul(mode, &end, 8);

	if (!text || *end || n > 07777 || strlen(digest) != 64)
		return false;
	l->mode = (unsigned)n;
	memcpy(l->digest, digest, sizeof(l->digest));
	l->path = strdup(text);
	return *text == '/';
}

/* "OLD NEW" */
static bool parse_moved(char *text, struct receipt_line *l)
{
	char *old = strsep(&text, " ");

	if (!text || *old != '/' || *text != '/')
		return false;
	l->path = strdup(old);
	l->to = strdup(text);
	return true;
}

static int parse_line(char *line, struct receipt *m, struct err *e)
{
	char *word = strsep(&line, " ");
	struct receipt_line l = {0};
	bool good = false;

	if (*word == '#' || !*word)
		return 0;
	if (line && !strcmp(word, "file")) {
		l.kind = RECEIPT_FILE;
		good = parse_file(line, &l);
	} else if (line && !strcmp(word, "dir")) {
		l.kind = RECEIPT_DIR;
		l.path = strdup(line);
		good = *line == '/';
	} else if (line && !strcmp(word, "moved")) {
		l.kind = RECEIPT_MOVED;
		good = parse_moved(line, &l);
	}
	if (good)
		return add(m, &l, e);
	line_release(&l);
	return err_set(e, EBADMSG, "the guest's '" RECEIPT_PATH "' has a line that means nothing");
}

int receipt_parse(struct buf *text, struct receipt *ret, struct err *e)
{
	AUTO(receipt_release) struct receipt m = {0};
	char *rest = text->data;
	int rc = 0;

	*ret = m;
	if (memchr(buf_str(text), '\0', text->len))
		return err_set(e, EBADMSG, "the guest's '" RECEIPT_PATH "' is no text");
	while (rest && rc >= 0)
		rc = parse_line(strsep(&rest, "\n"), &m, e);
	if (rc < 0)
		return rc;
	*ret = m;
	m = (struct receipt){0};
	return 0;
}

int receipt_read(struct guest_fs *fs, struct receipt *ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = guest_fs_read_file(fs, RECEIPT_PATH, RECEIPT_MAX, &text, e);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	if (rc >= 0)
		rc = receipt_parse(&text, ret, e);
	return rc < 0 ? rc : 1;
}

/* ---- making ---------------------------------------------------------------------------------- */

int receipt_add_dir(struct receipt *m, const char *path, struct err *e)
{
	struct receipt_line l = {.kind = RECEIPT_DIR, .path = strdup(path)};

	return add(m, &l, e);
}

int receipt_add_overlay(struct receipt *m, const struct overlay *o, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < o->n && rc >= 0; i++) {
		const struct overlay_entry *x = &o->entries[i];
		struct receipt_line l = {.kind = RECEIPT_FILE, .mode = x->attr.mode};

		if (x->kind == OVERLAY_MOVE) {
			l.kind = RECEIPT_MOVED;
			l.to = strdup(x->data);
		} else if (x->kind != OVERLAY_FILE || x->shared) {
			continue;
		} else {
			receipt_digest(x->data, x->len, l.digest);
		}
		l.path = strdup(x->path);
		rc = add(m, &l, e);
	}
	return rc;
}

int receipt_text(const struct receipt *m, struct buf *out)
{
	int rc = buf_adds(out, head);

	for (size_t i = 0; i < m->n && rc >= 0; i++) {
		const struct receipt_line *l = &m->lines[i];

		if (l->kind == RECEIPT_FILE)
			rc = buf_addf(out, "file %o %s %s\n", l->mode, l->digest, l->path);
		else if (l->kind == RECEIPT_DIR)
			rc = buf_addf(out, "dir %s\n", l->path);
		else
			rc = buf_addf(out, "moved %s %s\n", l->path, l->to);
	}
	return rc;
}
