/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server convert: a context from one dialect to another. */
#include <stdio.h>
#include <sys/stat.h>

#include "context/docs.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"
#include "metadata-server/commands.h"
#include "metadata-server/conversion.h"
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
	if (docs.n == 1 &&
	    !(out && (str_has_suffix(out, "/") || (!stat(out, &st) && S_ISDIR(st.st_mode)))))
		return write_file(out, docs.only, e);
	if (!out)
		return err_set(e, EINVAL,
			       "'%s' is several documents here: give a folder or OUT.iso",
			       o->to->name);
	return docs_save_folder(x->docs, out, e);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int convert(const struct convert_opts *o, bool *found, struct err *e)
{
	bool report = o->output == CLI_JSON;
	AUTO(conversion_release)
	struct conversion x = {.from = o->from, .to = o->to, .wants_report = report};
	int rc = conversion_run(&x, o->in, e);

	if (rc)
		return rc;
	for (size_t i = 0; i < x.notes.n; i++)
		log_warn("'%s': %s", o->in, x.notes.v[i]);
	if (o->to)
		lost_warn(o->to, &x.lost);
	*found = x.lost.n || x.notes.n;
	if (report)
		rc = fs_write(STDOUT_FILENO, x.report.data, x.report.len, e);
	if (rc || !o->to || (o->strict && *found) || (report && !o->out))
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
	if (!o.to && argc - optind == 2)
		return cli_usage(self,
				 "OUTPUT is written in the dialect of --to, which is not there");
	if (o.output == CLI_JSON && argc - optind == 2 && !strcmp(argv[optind + 1], "-"))
		return cli_usage(self,
				 "-o json prints the context on standard output: no OUTPUT -");
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
