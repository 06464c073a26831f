/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of SELinux: see ctxd/relabel.h. */
#include "ctxd/relabel.h"

#include "lib/log.h"
#include "lib/proc.h"

#define SECONDS 60

void relabel(struct guest *g)
{
	const char **argv;
	struct err e;
	size_t n = 0;

	if (!g->live || g->dry_run || !g->changed.n || !guest_exists(g, "/sys/fs/selinux/enforce"))
		return;
	argv = calloc(g->changed.n + 5, sizeof(*argv));
	if (!argv)
		return;
	argv[n++] = "restorecon";
	argv[n++] = "-F";
	argv[n++] = "-R"; /* a new account's home has files */
	argv[n++] = "--";
	for (size_t i = 0; i < g->changed.n; i++)
		argv[n++] = g->changed.v[i];
	if (proc_run(argv, NULL, 0, NULL, 0, SECONDS, &e) < 0)
		log_warn("restorecon: %s", e.msg);
	free(argv);
}
