/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server convert: a context from one dialect to another. */
#include <stdio.h>
#include <sys/stat.h>

#include "context/docs.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"
#include "metadata-server/commands.h"
#include "metadata-server/lost.h"

enum {
	OPT_STRICT = 256
};

struct convert_opts {
	const struct context_dialect *from, *to;
	enum cli_output output;
	bool strict;
	const char *in, *out; /* out NULL: none was given */
};

struct conversion {
	struct context *c;
	struct tree *docs; /* NULL: there is no --to */
	struct strlist notes, lost;
};

static void conversion_release(struct conversion *x)
{
	if (x->c)
		context_free(x->c);
	if (x->docs)
		tree_free(x->docs);
	strlist_release(&x->notes);
	strlist_release(&x->lost);
}
DEFINE_AUTO_STRUCT(struct conversion, conversion_release);

/* ---- reading --------------------------------------------------------------------------------- */

/* An instance's own file may name others beside it; so it is read as such, not as a document. */
static int read_instance(const char *path, struct context **ret, struct err *e)
{
	AUTO(instance_free) struct instance *in = NULL;
	int rc = instance_read_yaml(path, NULL, NULL, &in, e);

	if (!rc)
		*ret = STEAL(in->context);
	return rc;
}

static bool is_instance(const struct convert_opts *o)
{
	struct stat st;

	return str_has_suffix(o->in, ".yaml") && (!o->from || o->from == &dialect_yaml) &&
	       !stat(o->in, &st) && S_ISREG(st.st_mode);
}

static int read_input(struct convert_opts *o, struct conversion *x, struct err *e)
{
	AUTO(tree_free) struct tree *docs = NULL;
	bool iso;
	int rc;

	if (is_instance(o)) {
		o->from = &dialect_yaml;
		return read_instance(o->in, &x->c, e);
	}
	rc = docs_load(o->in, o->from ? o->from->mark : NULL, &docs, &iso, e);
	if (rc)
		return rc;
	if (!o->from)
		o->from = docs_dialect(docs);
	if (!o->from)
		return err_set(e, EINVAL, "'%s': is of no dialect that is known; say --from",
			       o->in);
	rc = dialect_read(o->from, docs, o->in, &x->notes, &x->c, e);
	return rc ? err_wrap(e, "reading '%s'", o->in) : 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct count {
	size_t n;
	struct http_slice only;
};

static int count_doc(void *arg, const char *path, struct http_slice value)
{
	struct count *c = arg;

	(void)path;
	c->n++;
	c->only = value;
	return 0;
}

static int write_file(const char *out, struct http_slice doc, struct err *e)
{
	int rc = out ? fs_write_file(out, doc.p, doc.len, 0600, e)
		     : fs_write(STDOUT_FILENO, doc.p, doc.len, e);

	return rc && out ? err_wrap(e, "writing '%s'", out) : rc;
}

static int write_output(const struct convert_opts *o, const struct conversion *x, struct err *e)
{
	const char *out = o->out && strcmp(o->out, "-") != 0 ? o->out : NULL;
	struct count docs = {0};
	struct stat st;

	if (out && str_has_suffix(out, ".iso")) {
		if (!o->to->volume_id)
			return err_set(e, EINVAL, "there are no images of '%s'", o->to->name);
		return docs_save_iso(x->docs, out, o->to->volume_id, e);
	}
	tree_walk(x->docs, UINT32_MAX, count_doc, &docs);
	if (docs.n == 1 && !(out && !stat(out, &st) && S_ISDIR(st.st_mode)))
		return write_file(out, docs.only, e);
	if (!out)
		return err_set(e, EINVAL,
			       "'%s' is several documents here: give a folder or OUT.iso",
			       o->to->name);
	return docs_save_folder(x->docs, out, e);
}

static void put_list(struct jsonw *w, const char *key, const struct strlist *l)
{
	jsonw_array(w, key);
	for (size_t i = 0; i < l->n; i++)
		jsonw_string(w, NULL, l->v[i]);
	jsonw_close(w);
}

/* The model itself, and what was found out on the way. */
static int print_report(const struct convert_opts *o, const struct conversion *x, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "from", o->from->name);
	if (o->to)
		jsonw_string(&w, "to", o->to->name);
	put_list(&w, "notes", &x->notes);
	if (o->to)
		put_list(&w, "lost", &x->lost);
	context_put_json(&w, "context", x->c);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc ? rc : fs_write(STDOUT_FILENO, out.data, out.len, e);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int convert(struct convert_opts *o, bool *found, struct err *e)
{
	AUTO(conversion_release) struct conversion x = {0};
	int rc = read_input(o, &x, e);

	if (!rc && o->to)
		rc = dialect_write(o->to, x.c, &x.docs, e);
	if (!rc && o->to)
		rc = dialect_lost(o->to, x.c, x.docs, &x.lost, e);
	if (rc)
		return rc;
	for (size_t i = 0; i < x.notes.n; i++)
		log_warn("'%s': %s", o->in, x.notes.v[i]);
	if (o->to)
		lost_warn(o->to, &x.lost);
	*found = x.lost.n || x.notes.n;
	if (o->output == CLI_JSON)
		rc = print_report(o, &x, e);
	if (rc || !o->to || (o->strict && *found) || (o->output == CLI_JSON && !o->out))
		return rc;
	return write_output(o, &x, e);
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},
		{"output", required_argument, NULL, 'o'},
		{"strict", no_argument, NULL, OPT_STRICT},
		{0},
	};
	struct convert_opts o = {0};
	const struct context_dialect **dialect;
	bool found = false;
	struct err e = {0};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "f:t:o:", options)) != -1) {
		dialect = opt == 'f' ? &o.from : &o.to;
		if (opt == OPT_STRICT)
			o.strict = true;
		else if (opt == 'o' && cli_output_parse(optarg, &o.output, &e))
			return cli_usage(self, "%s", e.msg);
		else if (opt != 'o' && !(*dialect = context_dialect(optarg)))
			return cli_usage(self, "no dialect '%s'", optarg);
	}
	if (argc - optind < 1 || argc - optind > 2)
		return cli_usage(self, "give one INPUT, and at most one OUTPUT");
	if (!o.to && o.output == CLI_TEXT)
		return cli_usage(self, "give --to DIALECT, or -o json");
	if (o.from && !o.from->read)
		return cli_usage(self, "'%s' cannot be read", o.from->name);
	if (o.to && !o.to->write)
		return cli_usage(self, "'%s' cannot be written", o.to->name);
	o.in = argv[optind];
	o.out = argv[optind + 1];
	if (convert(&o, &found, &e))
		return cli_fail(&e);
	return cli_finish(o.strict && found ? EXIT_FOUND : EXIT_OK);
}

const struct cli_command convert_command = {
	.name = "convert",
	.args = "[--from DIALECT] --to DIALECT [--strict] [-o text|json] INPUT [OUTPUT]",
	.summary = "turn a context of one dialect into one of another",
	.help = "  -f, --from DIALECT          of INPUT: a file, a folder, an ISO image, or - ;\n"
		"                              found out by what is there where it can be\n"
		"  -t, --to DIALECT            of OUTPUT: a file, a new folder, an image "
		"(OUT.iso), "
		"or -\n"
		"  -o, --output text|json      json prints the context, and what was lost\n"
		"      --strict                exit status 3, and no output, if anything was lost\n"
		"\n"
		"Dialects: yaml, opennebula, nocloud, openstack, ovf, ec2, gce, cloudstack.\n",
	.run = run,
};
