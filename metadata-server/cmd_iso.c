/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server iso: an instance as the image that a cloud without this service hands over. */
#include "context/docs.h"
#include "lib/log.h"
#include "metadata-server/commands.h"
#include "metadata-server/lost.h"
#include "metadata-server/one.h"

enum {
	OPT_STRICT = 256
};

static const struct context_dialect *find_kind(const char *name)
{
	for (size_t i = 0; context_dialects[i]; i++)
		if (context_dialects[i]->image && !strcmp(context_dialects[i]->image, name))
			return context_dialects[i];
	return NULL;
}

struct iso_opts {
	const struct context_dialect *kind;
	const char *volume_id, *dir;
	bool strict;
};

static int build(const struct iso_opts *o, const struct context *c, const char *out,
		 bool *incomplete, struct err *e)
{
	AUTO(tree_free) struct tree *docs = NULL;
	AUTO(strlist_release) struct strlist lost = {0};
	int rc;

	ANALYZER_KNOWS(o->kind);
	rc = dialect_write(o->kind, c, &docs, e);
	rc = rc ? rc : dialect_lost(o->kind, c, docs, &lost, e);
	if (rc)
		return rc;
	lost_warn(o->kind, &lost);
	*incomplete = lost.n;
	if (o->strict && lost.n)
		return 0;
	return docs_save_iso(docs, out, o->volume_id ? o->volume_id : o->kind->volume_id, e);
}

int cmd_iso(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"instances", required_argument, NULL, 'd'},
		{"kind", required_argument, NULL, 'k'},
		{"volume-id", required_argument, NULL, 'V'},
		{"strict", no_argument, NULL, OPT_STRICT},
		{0},
	};
	AUTO(instance_free) struct instance *in = NULL;
	struct iso_opts o = {.kind = &dialect_opennebula};
	bool incomplete = false;
	size_t faults = 0;
	struct err e = {0};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "d:k:V:", options)) != -1) {
		if (opt == 'd')
			o.dir = optarg;
		else if (opt == 'V')
			o.volume_id = optarg;
		else if (opt == OPT_STRICT)
			o.strict = true;
		else if (!find_kind(optarg))
			return cli_usage(self, "no kind of image '%s'", optarg);
		else
			o.kind = find_kind(optarg);
	}
	if (argc - optind != 2)
		return cli_usage(self, "give one INSTANCE and one OUT.iso");
	if (one_load(argv[optind], o.dir, report_fault, &faults, &in, &e))
		return one_fail(faults, &e);
	if (build(&o, in->context, argv[optind + 1], &incomplete, &e) < 0)
		return cli_fail(&e);
	return cli_finish(o.strict && incomplete ? EXIT_FOUND : EXIT_OK);
}

const struct cli_command iso_command = {
	.name = "iso",
	.args = "[--kind KIND] [--volume-id ID] [--strict] INSTANCE OUT.iso",
	.summary = "write an instance as a context image (ISO 9660)",
	.help = "  -d, --instances DIR         folder in which INSTANCE is a name\n"
		"  -k, --kind KIND             opennebula: context.sh on volume CONTEXT (default)\n"
		"                              nocloud: meta-data, user-data ... on volume cidata\n"
		"                              config-drive: OpenStack's, on volume config-2\n"
		"                              ovf: ovf-env.xml on volume OVF-TRANSPORT\n"
		"  -V, --volume-id ID          another volume id\n"
		"      --strict                no image (exit status 3) if it has no room for "
		"all\n",
	.run = cmd_iso,
};
