/* SPDX-License-Identifier: Apache-2.0 */
/* An instance named on the command line: a file, or a name in a folder. */
#include "metadata-server/one.h"

#include "lib/cli.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

void report_fault(void *arg, const struct err *e)
{
	size_t *n = arg;

	(*n)++;
	log_err("%s", e->msg);
}

int one_file(const char *arg, const char *dir, char **ret, struct err *e)
{
	AUTO_FREE char *file = NULL;

	if (strchr(arg, '/') || str_has_suffix(arg, ".yaml")) {
		*ret = strdup(arg);
		return *ret ? 0 : err_nomem(e);
	}
	if (!dir)
		return err_set(e, EINVAL,
			       "instance '%s': is not a file NAME.yaml, and without --instances "
			       "there is no folder to find it in",
			       arg);
	if (!name_is_plain(arg))
		return err_set(e, EINVAL, "instance '%s': is not a name", arg);
	file = str_format("%s.yaml", arg);
	*ret = file ? path_join(dir, file) : NULL;
	return *ret ? 0 : err_nomem(e);
}

int one_load(const char *arg, const char *dir, instance_report_fn *report, void *report_arg,
	     struct instance **ret, struct err *e)
{
	AUTO_FREE char *path = NULL;
	int rc = one_file(arg, dir, &path, e);

	return rc ? rc : instance_read_yaml(path, report, report_arg, ret, e);
}

int one_fail(size_t faults, const struct err *e)
{
	return faults ? EXIT_FAILED : cli_fail(e);
}
