/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a network backend: what ctxd has there of interfaces that are gone goes, too. */
#include <dirent.h>

#include "ctxd/apply/network.h"
#include "lib/fs.h"
#include "lib/str.h"

typedef int file_fn(struct apply *a, const char *name, const char *path, const void *ctx,
		    struct err *e);

/* Calls fn for each file; without the folder for none. Returns 1 if one of them changed. */
static int each_file(struct apply *a, const char *folder, file_fn *fn, const void *ctx,
		     struct err *e)
{
	AUTO_FREE char *full = guest_path(a->g, folder);
	struct dirent *d;
	DIR *dir;
	bool changed = false;
	int rc = 0;

	if (!full)
		return err_nomem(e);
	dir = opendir(full);
	if (!dir)
		return errno == ENOENT ? 0 : err_errno(e, errno, "'%s'", folder);
	while (rc >= 0 && (d = readdir(dir))) {
		AUTO_FREE char *path = path_join(folder, d->d_name);

		rc = path ? fn(a, d->d_name, path, ctx, e) : err_nomem(e);
		changed |= rc > 0;
	}
	closedir(dir);
	return rc < 0 ? rc : changed;
}

struct own {
	const char *prefix;
	const struct context *c;
	network_current_fn *is_current;
};

static int remove_other(struct apply *a, const char *name, const char *path, const void *ctx,
			struct err *e)
{
	const struct own *o = ctx;

	if (!str_has_prefix(name, o->prefix) || o->is_current(o->c, name))
		return 0;
	return guest_remove_own(a->g, path, e);
}

int network_remove_others(struct apply *a, const char *folder, const char *prefix,
			  const struct context *c, network_current_fn *is_current, struct err *e)
{
	struct own own = {.prefix = prefix, .c = c, .is_current = is_current};

	return each_file(a, folder, remove_other, &own, e);
}

struct displaced {
	const char *const *prefixes;
	const struct strlist *names;
};

static int restore_other(struct apply *a, const char *name, const char *path, const void *ctx,
			 struct err *e)
{
	const struct displaced *o = ctx;

	for (const char *const *prefix = o->prefixes; *prefix; prefix++) {
		if (!str_has_prefix(name, *prefix))
			continue;
		for (size_t i = 0; o->names && i < o->names->n; i++) {
			if (strcmp(o->names->v[i], name + strlen(*prefix)) == 0)
				return 0;
		}
		return guest_restore(a->g, path, e);
	}
	return 0;
}

int network_restore_others(struct apply *a, const char *folder, const char *const *prefixes,
			   const struct strlist *names, struct err *e)
{
	struct displaced displaced = {.prefixes = prefixes, .names = names};

	return each_file(a, folder, restore_other, &displaced, e);
}
