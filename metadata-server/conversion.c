/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversions in a child: see metadata-server/conversion.h. It hands over, in a file in memory,
 * records one after the other:
 *
 *	offset  bytes
 *	0       1      'f' the name of `from`, 'n' a note, 'l' what is lost, 'r' the report,
 *	               'd' a document
 *	1       4      length of the path, big-endian; 0 but for a document
 *	5       4      length of the value
 *	9              path, value
 */
#include "metadata-server/conversion.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "context/docs.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"
#include "lib/worker.h"

enum {
	HEAD = 9,
	PATH_MOST = 4096,
	SHOWN_MOST = 4096, /* bytes of a line that is shown */
	LINES_MOST = 65536,
};
#define RESULT_MAX (4 * DOCS_MAX)

void conversion_release(struct conversion *x)
{
	strlist_release(&x->notes);
	strlist_release(&x->lost);
	buf_release(&x->report);
	if (x->docs)
		tree_free(x->docs);
	x->docs = NULL;
}

/* ---- what is handed over --------------------------------------------------------------------- */

static int put(struct buf *out, char kind, const char *path, const void *value, size_t len)
{
	uint8_t head[HEAD] = {(uint8_t)kind};

	if (len > UINT32_MAX)
		return -EFBIG;
	be32_put(head + 1, (uint32_t)strlen(path));
	be32_put(head + 5, (uint32_t)len);
	return buf_add(out, head, HEAD) || buf_adds(out, path) || buf_add(out, value, len) ? -ENOMEM
											   : 0;
}

static int put_doc(void *out, const char *path, struct http_slice value)
{
	return put(out, 'd', path, value.p, value.len);
}

int conversion_pack(const struct conversion *x, struct buf *out)
{
	int rc = put(out, 'f', "", x->from->name, strlen(x->from->name));

	for (size_t i = 0; i < x->notes.n && !rc; i++)
		rc = put(out, 'n', "", x->notes.v[i], strlen(x->notes.v[i]));
	for (size_t i = 0; i < x->lost.n && !rc; i++)
		rc = put(out, 'l', "", x->lost.v[i], strlen(x->lost.v[i]));
	rc = rc ? rc : put(out, 'r', "", buf_str(&x->report), x->report.len);
	return rc || !x->docs ? rc : tree_walk(x->docs, UINT32_MAX, put_doc, out);
}

static int broken(struct err *e)
{
	return err_set(e, EBADMSG, "the process that parses came back with nonsense");
}

/* "a/b": below the folder that it is put in, whoever wrote it. */
static bool is_path_below(const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");
		AUTO_FREE char *name = strndup(path, len);

		if (!name || !name_is_plain(name))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
	return false;
}

static int take_line(struct strlist *l, const char *value, size_t len, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (l->n == LINES_MOST)
		return broken(e);
	if (str_escape_shown(value, len, SHOWN_MOST, &text) || strlist_add(l, buf_str(&text)))
		return err_nomem(e);
	return 0;
}

static int take(struct conversion *x, char kind, const char *path, const char *value, size_t len,
		struct err *e)
{
	AUTO_FREE char *name = NULL;

	switch (kind) {
	case 'f':
		name = strndup(value, len);
		if (!name)
			return err_nomem(e);
		x->from = context_dialect(name);
		return x->from ? 0 : broken(e);
	case 'n':
		return take_line(&x->notes, value, len, e);
	case 'l':
		return take_line(&x->lost, value, len, e);
	case 'r':
		return buf_add(&x->report, value, len) ? err_nomem(e) : 0;
	case 'd':
		return is_path_below(path) ? tree_add(x->docs, 0, path, value, len, e) : broken(e);
	default:
		return broken(e);
	}
}

int conversion_unpack(struct conversion *x, const void *data, size_t len, struct err *e)
{
	const char *p = data;
	int rc = x->docs ? 0 : tree_new(&x->docs, e);

	while (!rc && len) {
		uint32_t path_len = len < HEAD ? 0 : be32_get(p + 1);
		uint32_t value_len = len < HEAD ? 0 : be32_get(p + 5);
		AUTO_FREE char *path = NULL;

		if (len < HEAD || path_len > PATH_MOST || path_len > len - HEAD ||
		    value_len > len - HEAD - path_len)
			return broken(e);
		path = strndup(p + HEAD, path_len);
		if (!path)
			return err_nomem(e);
		rc = take(x, *p, path, p + HEAD + path_len, value_len, e);
		p += HEAD + path_len + value_len;
		len -= HEAD + path_len + value_len;
	}
	rc = rc ? rc : tree_seal(x->docs, e);
	return rc || x->from ? rc : broken(e);
}

/* ---- in the child ---------------------------------------------------------------------------- */

struct work {
	struct conversion *x;
	const char *in;
	int fd;               /* of in; -1: it is read already: */
	struct tree *docs;    /* a folder's */
	struct context *read; /* an instance's */
	int result;           /* file in memory */
};

static void work_release(struct work *w)
{
	if (w->fd > STDIN_FILENO)
		close(w->fd);
	if (w->docs)
		tree_free(w->docs);
	if (w->read)
		context_free(w->read);
	if (w->result >= 0)
		close(w->result);
}
DEFINE_AUTO_STRUCT(struct work, work_release);

static int read_input(struct work *w, struct err *e)
{
	struct conversion *x = w->x;
	bool iso;
	int rc = 0;

	if (w->read)
		return 0;
	if (!w->docs)
		rc = docs_load(w->fd, w->in, x->from ? x->from->mark : NULL, &w->docs, &iso, e);
	if (rc)
		return rc;
	if (!x->from)
		x->from = docs_dialect(w->docs);
	if (!x->from)
		return err_set(e, EINVAL, "'%s': is of no dialect that is known; say --from",
			       w->in);
	rc = dialect_read(x->from, w->docs, w->in, &x->notes, &w->read, e);
	return rc ? err_wrap(e, "reading '%s'", w->in) : 0;
}

static void put_list(struct jsonw *w, const char *key, const struct strlist *l)
{
	jsonw_array(w, key);
	for (size_t i = 0; i < l->n; i++)
		jsonw_string(w, NULL, l->v[i]);
	jsonw_close(w);
}

/* The model itself, and what was found out on the way. */
static int write_report(struct conversion *x, const struct context *c, struct err *e)
{
	struct jsonw w;

	jsonw_begin(&w, &x->report, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "from", x->from->name);
	if (x->to)
		jsonw_string(&w, "to", x->to->name);
	put_list(&w, "notes", &x->notes);
	if (x->to)
		put_list(&w, "lost", &x->lost);
	context_put_json(&w, "context", c);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

static int convert(void *ctx, struct err *e)
{
	struct work *w = ctx;
	struct conversion *x = w->x;
	AUTO_BUF out = BUF_INIT;
	int rc = read_input(w, e);

	if (!rc && x->to)
		rc = dialect_write(x->to, w->read, &x->docs, e);
	if (!rc && x->to)
		rc = dialect_lost(x->to, w->read, x->docs, &x->lost, e);
	if (!rc && x->wants_report)
		rc = write_report(x, w->read, e);
	if (!rc && conversion_pack(x, &out))
		rc = err_nomem(e);
	return rc ? rc : fs_pwrite(w->result, out.data, out.len, 0, e);
}

/* ---- outside of it --------------------------------------------------------------------------- */

static bool is_instance(const struct conversion *x, const char *in)
{
	struct stat st;

	return str_has_suffix(in, ".yaml") && (!x->from || x->from == &dialect_yaml) &&
	       !stat(in, &st) && S_ISREG(st.st_mode);
}

/* What has to be opened, and the administrator's own file. */
static int prepare(struct work *w, struct err *e)
{
	AUTO(instance_free) struct instance *in = NULL;
	struct stat st;
	bool iso;
	int rc;

	if (is_instance(w->x, w->in)) {
		w->x->from = &dialect_yaml;
		rc = instance_read_yaml(w->in, NULL, NULL, &in, e);
		if (!rc)
			w->read = STEAL(in->context);
		return rc;
	}
	w->fd = strcmp(w->in, "-") != 0 ? open(w->in, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (w->fd < 0 || fstat(w->fd, &st))
		return err_errno(e, errno, "'%s'", w->in);
	return S_ISDIR(st.st_mode) ? docs_load(w->fd, w->in, NULL, &w->docs, &iso, e) : 0;
}

int conversion_run(struct conversion *x, const char *in, struct err *e)
{
	AUTO(work_release) struct work w = {.x = x, .in = in, .fd = -1, .result = -1};
	const struct worker worker = {.run = convert, .ctx = &w};
	AUTO_BUF result = BUF_INIT;
	int rc = prepare(&w, e);

	if (rc)
		return rc;
	w.result = memfd_create("conversion", MFD_CLOEXEC);
	rc = w.result < 0 ? err_errno(e, errno, "making a file in memory") : worker_run(&worker, e);
	rc = rc ? rc : fs_read_fd(w.result, in, RESULT_MAX, &result, e);
	if (rc)
		return rc;
	/* without a sandbox the work was done here */
	conversion_release(x);
	return conversion_unpack(x, buf_str(&result), result.len, e);
}
