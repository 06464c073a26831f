/* SPDX-License-Identifier: Apache-2.0 */
/* bundle verify: everything that can be checked, without writing anything. */
#include <inttypes.h>
#include <stdio.h>

#include "bundle/cmd.h"
#include "bundle/open.h"
#include "lib/progress.h"

static int verify(const struct bundle_args *a, struct err *e)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(bundle_secret_wipe) struct bundle_secret secret = {0};
	AUTO(part_source_dir_free) struct part_source src = {0};
	const char *signer = NULL;
	struct progress *p;
	int rc = manifest_read(a->manifest, &m, e);

	if (rc == 0)
		rc = bundle_unlock(a, m, &secret, &signer, e);
	if (rc == 0)
		rc = bundle_parts(a, m, &src, e);
	if (rc < 0)
		return rc;
	p = progress_start("verifying", m->bundled_size);
	rc = a->key ? bundle_ec2_open(m, &secret, &src, NULL, p, e)
		    : bundle_ec2_check_parts(m, &src, p, e);
	progress_end(p, rc == 0);
	if (rc < 0)
		return rc;
	if (signer)
		printf("signature: verified with '%s'\n", signer);
	else
		printf("signature: not checked\n");
	printf("parts:     %zu, %" PRIu64 " bytes, every digest right\n", m->n_parts,
	       m->bundled_size);
	if (a->key)
		printf("image:     %" PRIu64 " bytes, digest right\n", m->size);
	else
		printf("image:     not checked: no private key\n");
	return 0;
}

int cmd_verify(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {BUNDLE_LONGOPTS, {0}};
	struct bundle_args a;
	struct open_args o = {0};
	struct err e = {0};
	bool taken = false;
	int opt, rc;

	bundle_args_init(&a);
	while ((opt = cli_getopt(self, argc, argv, BUNDLE_SHORTOPTS, options)) != -1)
		(void)bundle_args_take(&a, opt, optarg); /* there are no others */
	if (argc - optind != 1)
		return cli_usage(self, "one BUNDLE is needed");
	a.manifest = o.input = argv[optind];
	rc = open_delivery(&o, OPEN_VERIFY, &taken, &e);
	if (rc == 0 && !taken)
		rc = verify(&a, &e);
	if (rc == -EBADMSG) {
		(void)cli_fail(&e);
		return EXIT_FOUND;
	}
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
