/* SPDX-License-Identifier: Apache-2.0 */
/* Options that several subcommands have: see ctxd/commands.h. */
#include <sys/stat.h>

#include "ctxd/commands.h"
#include "lib/str.h"

#define WAIT_MAX 600 /* seconds */

/* "/" is the running system. */
int set_root(struct guest *g, const char *dir, struct err *e)
{
	struct stat st;
	size_t len = strlen(dir);
	char *copy;

	if (stat(dir, &st) < 0)
		return err_errno(e, errno, "'%s'", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "'%s' is no folder", dir);
	while (len && dir[len - 1] == '/')
		len--;
	copy = len ? strndup(dir, len) : NULL;
	if (len && !copy)
		return err_nomem(e);
	free(g->own_root); /* the last one counts */
	g->own_root = copy;
	g->root = copy ? copy : "";
	g->live = !copy;
	return 0;
}

int set_wait(struct detect_opts *o, const char *seconds, struct err *e)
{
	uint64_t n;
	int rc = str_to_u64(seconds, 0, WAIT_MAX, &n, e);

	if (rc < 0)
		return err_wrap(e, "--wait");
	o->wait_ms = (unsigned)n * 1000;
	return 0;
}

int parse_stage(const struct cli_command *self, int argc, char **argv, const struct option *options,
		struct guest *g, struct detect_opts *o)
{
	struct err e;
	int opt, rc = 0;

	while (rc == 0 && (opt = cli_getopt(self, argc, argv, "n", options)) != -1) {
		if (opt == 'n')
			g->dry_run = true;
		else if (opt == OPT_ROOT)
			rc = set_root(g, optarg, &e);
		else if (opt == OPT_DEV)
			o->dev = optarg;
		else if (opt == OPT_WAIT)
			rc = set_wait(o, optarg, &e);
		else if (opt == OPT_FORCE)
			o->force = true;
	}
	if (rc < 0)
		return cli_usage(self, "%s", e.msg);
	return optind != argc ? cli_usage(self, "no argument is expected") : 0;
}
