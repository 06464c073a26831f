/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv check: whether the structure of images is sound; exit status 3 where it is not. */
#include <stdio.h>

#include "imgconv/args.h"
#include "imgconv/commands.h"
#include "imgconv/confine.h"
#include "lib/json.h"
#include "lib/str.h"

/* What is told of an image. */
struct verdict {
	const char *path;
	struct image *im; /* NULL: it does not even open */
	struct image_check check;
};

static void verdict_release(struct verdict *v)
{
	image_check_release(&v->check);
	if (v->im)
		image_close(v->im);
}
DEFINE_AUTO_STRUCT(struct verdict, verdict_release);

/* What is too malformed to be opened has been looked at, too. */
static int look(const char *path, const struct image_open_opts *o, struct verdict *v, struct err *e)
{
	struct progress *p;
	int rc = image_open(path, o, &v->im, e);

	v->path = path;
	if (rc == -EBADMSG || rc == -EFBIG)
		return image_check_add(&v->check, IMAGE_FINDING_ERROR, UINT64_MAX, 0, e, "%s",
				       e->msg);
	if (rc < 0)
		return rc;
	p = progress_start("checking", image_size(v->im));
	rc = image_check_read(v->im, &v->check, p, e);
	progress_end(p, rc == 0);
	return rc;
}

/* ---- text ---------------------------------------------------------------------------------- */

static void add_finding(struct buf *b, const struct image_finding *f)
{
	buf_addf(b, "  %s", f->kind == IMAGE_FINDING_LEAK ? "leak" : "error");
	if (f->offset != UINT64_MAX)
		buf_addf(b, " at 0x%llx", (unsigned long long)f->offset);
	buf_adds(b, ": ");
	str_escape(f->text, strlen(f->text), SIZE_MAX, b);
	buf_addc(b, '\n');
}

static void add_count(struct buf *b, uint64_t n, const char *what)
{
	buf_addf(b, "%llu %s%s", (unsigned long long)n, what, n == 1 ? "" : "s");
}

static void add_text(struct buf *b, const struct verdict *v)
{
	const struct image_check *c = &v->check;
	uint64_t all = c->n_errors + c->n_leaks;

	str_escape(v->path, strlen(v->path), SIZE_MAX, b);
	buf_adds(b, ": ");
	if (!all) {
		buf_adds(b, "sound\n");
		return;
	}
	add_count(b, c->n_errors, "error");
	buf_adds(b, ", ");
	add_count(b, c->n_leaks, "leak");
	if (c->leaked)
		buf_addf(b, " (%llu bytes)", (unsigned long long)c->leaked);
	buf_addc(b, '\n');
	for (size_t i = 0; i < c->n_findings; i++)
		add_finding(b, &c->findings[i]);
	if (all > c->n_findings)
		buf_addf(b, "  and %llu more\n", (unsigned long long)(all - c->n_findings));
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void json_verdict(struct jsonw *w, const struct verdict *v)
{
	const struct image_check *c = &v->check;

	jsonw_object(w, NULL);
	jsonw_string(w, "image", v->path);
	jsonw_string(w, "format", v->im ? image_format_name(v->im) : NULL);
	jsonw_u64(w, "errors", c->n_errors);
	jsonw_u64(w, "leaks", c->n_leaks);
	jsonw_u64(w, "leaked-bytes", c->leaked);
	jsonw_array(w, "findings");
	for (size_t i = 0; i < c->n_findings; i++) {
		const struct image_finding *f = &c->findings[i];

		jsonw_object(w, NULL);
		jsonw_string(w, "kind", f->kind == IMAGE_FINDING_LEAK ? "leak" : "error");
		if (f->offset == UINT64_MAX)
			jsonw_null(w, "offset");
		else
			jsonw_u64(w, "offset", f->offset);
		jsonw_string(w, "text", f->text);
		jsonw_close(w);
	}
	jsonw_close(w);
	jsonw_close(w);
}

/* ---- the command --------------------------------------------------------------------------- */

struct checking {
	char **paths;
	int n;
	struct image_open_opts open;
	enum cli_output output;
};

/* As JSON an object, or a list of them for several images. One that could not be looked at leaves
 * the others shown; that is then what the exit status says. */
static int check_all(const struct checking *x, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	bool found = false, failed = false, json = x->output == CLI_JSON;
	struct jsonw w;
	struct err why;

	jsonw_begin(&w, &out, true);
	if (json && x->n > 1)
		jsonw_array(&w, NULL);
	for (int i = 0; i < x->n; i++) {
		AUTO(verdict_release) struct verdict v = {0};

		if (look(x->paths[i], &x->open, &v, &why) < 0) {
			(void)cli_fail(&why);
			failed = true;
			continue;
		}
		found = found || v.check.n_errors || v.check.n_leaks;
		if (json)
			json_verdict(&w, &v);
		else
			add_text(&out, &v);
	}
	if (json && x->n > 1)
		jsonw_close(&w);
	if (json && (x->n > 1 || !failed) && jsonw_end(&w, e) < 0)
		return -e->code;
	fwrite(buf_str(&out), 1, out.len, stdout);
	return failed ? EXIT_FAILED : found ? EXIT_FOUND : EXIT_OK;
}

/* In a sandbox. */
static int check_confined(void *ctx, struct err *e)
{
	return check_all(ctx, e);
}

int cmd_check(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output", required_argument, NULL, 'o'},
		{"allow-extents", no_argument, NULL, OPT_ALLOW_EXTENTS},
		{NULL, 0, NULL, 0},
	};
	struct checking x = {.open.flags = IMAGE_INSPECT, .output = CLI_TEXT};
	struct err e;
	int opt, status;

	while ((opt = cli_getopt(self, argc, argv, "f:o:", longopts)) != -1) {
		if (opt == 'f')
			x.open.format = optarg;
		else if (opt == 'o' && cli_output_parse(optarg, &x.output, &e) < 0)
			return cli_usage(self, "%s", e.msg);
		else
			(void)open_args_take(&x.open, opt, optarg);
	}
	if (optind == argc)
		return cli_usage(self, "give an image");
	x.paths = argv + optind;
	x.n = argc - optind;
	status = confine_images(x.paths, (size_t)x.n, &x.open, check_confined, &x, &e);
	return status < 0 ? cli_fail(&e) : cli_finish(status);
}
