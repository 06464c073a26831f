/* SPDX-License-Identifier: Apache-2.0 */
/* Instances out of a folder of YAML files. */
#include <dirent.h>

#include "lib/fs.h"
#include "lib/str.h"
#include "metadata-server/store/store.h"

static void close_dir(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, close_dir);

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the instances' files, sorted, so that faults come in an order. */
static int list_files(const char *path, struct strlist *names, struct err *e)
{
	AUTO(close_dir) DIR *d = opendir(path);

	if (!d)
		return err_errno(e, errno, "folder '%s'", path);
	for (;;) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(d);
		if (!entry && errno)
			return err_errno(e, errno, "folder '%s'", path);
		if (!entry)
			break;
		if (entry->d_name[0] == '.' || !str_has_suffix(entry->d_name, ".yaml"))
			continue;
		if (strlist_add(names, entry->d_name))
			return err_nomem(e);
	}
	if (names->n)
		qsort(names->v, names->n, sizeof(char *), compare_names);
	return 0;
}

static int load_all(const char *path, const struct strlist *names, instance_report_fn *report,
		    void *arg, struct instance_list *l, struct err *e)
{
	int first = 0;

	for (size_t i = 0; i < names->n; i++) {
		AUTO(instance_free) struct instance *in = NULL;
		AUTO_FREE char *file = path_join(path, names->v[i]);
		int rc;

		if (!file)
			return err_nomem(e);
		rc = instance_read_yaml(file, report, arg, &in, first ? NULL : e);
		first = first ? first : rc;
		if (!rc && instance_list_add(l, &in, e))
			return -ENOMEM;
	}
	return first;
}

int directory_load(const char *path, instance_report_fn *report, void *arg, struct store **ret,
		   struct err *e)
{
	AUTO(instance_list_release) struct instance_list l = {0};
	AUTO(strlist_release) struct strlist names = {0};
	AUTO(store_free) struct store *s = NULL;
	int rc, together;

	rc = list_files(path, &names, e);
	if (rc) {
		if (report && e)
			report(arg, e);
		return rc;
	}
	rc = load_all(path, &names, report, arg, &l, e);
	if (rc == -ENOMEM)
		return rc;
	/* what is good by itself may still clash: tell that too */
	together = store_new(&l, report, arg, &s, rc ? NULL : e);
	if (rc || together)
		return rc ? rc : together;
	*ret = STEAL(s);
	return 0;
}
