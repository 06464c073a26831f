/* SPDX-License-Identifier: Apache-2.0 */
/* New files of one folder: see bundle/output.h. */
#include "bundle/output.h"

#include <sys/stat.h>

#include "lib/str.h"

int output_begin(struct output *o, const char *path, bool is_folder, bool replace, struct err *e)
{
	*o = (struct output){.replace = replace};
	o->folder = is_folder ? strdup(path) : path_folder(path);
	if (!o->folder)
		return err_nomem(e);
	fs_raise_file_limit(); /* each part is an open file until all are named */
	if (!is_folder)
		return 0;
	if (mkdir(path, 0777) == 0)
		o->made = true;
	else if (errno != EEXIST)
		return err_errno(e, errno, "making the folder '%s'", path);
	return 0;
}

int output_file(struct output *o, const char *name, int *ret_fd, struct err *e)
{
	AUTO_FREE char *path = path_join(o->folder, name);
	int rc;

	if (!path)
		return err_nomem(e);
	if (!name_is_plain(name))
		return err_set(e, EINVAL, "'%s' is no plain file name", name);
	for (size_t i = 0; i < o->n; i++) {
		if (!strcmp(o->files[i].path, path))
			return err_set(e, EINVAL, "'%s' would be written twice", path);
	}
	if (o->n == o->cap) {
		size_t cap = o->cap ? 2 * o->cap : 16;
		struct atomic_file *grown = reallocarray(o->files, cap, sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		o->files = grown;
		o->cap = cap;
	}
	rc = atomic_file_begin(&o->files[o->n], path, o->replace ? 0 : FS_NO_REPLACE, e);
	if (rc == 0)
		*ret_fd = o->files[o->n++].fd;
	return rc;
}

int output_rename(struct output *o, size_t i, const char *name, struct err *e)
{
	char *path = path_join(o->folder, name);

	if (!path)
		return err_nomem(e);
	free(o->files[i].path);
	o->files[i].path = path;
	return 0;
}

static struct atomic_file *nth_to_name(const struct output *o, size_t i)
{
	return &o->files[o->backwards ? o->n - 1 - i : i];
}

int output_commit(struct output *o, struct err *e)
{
	unsigned mode = fs_file_mode();
	size_t done = 0;
	int rc = 0;

	for (; rc == 0 && done < o->n; done++) {
		struct atomic_file *f = nth_to_name(o, done);
		AUTO_FREE char *path = strdup(f->path);

		rc = path ? atomic_file_commit(f, mode, e) : err_nomem(e);
		/* Kept for taking it back. */
		free(f->path);
		f->path = STEAL(path);
	}
	if (rc == 0)
		o->made = false;
	/* The last one was not named. What was replaced cannot come back, but is whole. */
	for (size_t i = 0; rc < 0 && !o->replace && i + 1 < done; i++)
		unlink(nth_to_name(o, i)->path);
	return rc;
}

void output_abort(struct output *o)
{
	for (size_t i = 0; i < o->n; i++)
		atomic_file_abort(&o->files[i]);
	free(o->files);
	if (o->made)
		rmdir(o->folder);
	free(o->folder);
	free(o->name);
	free(o->prefix);
	free(o->suffix);
	*o = (struct output){0};
}

int output_allow(struct output *o, const char *name, const char *prefix, const char *suffix,
		 struct err *e)
{
	o->name = name ? strdup(name) : NULL;
	o->prefix = prefix ? strdup(prefix) : NULL;
	o->suffix = prefix ? strdup(suffix) : NULL;
	if ((name && !o->name) || (prefix && (!o->prefix || !o->suffix)))
		return err_nomem(e);
	return 0;
}

static bool is_allowed(const struct output *o, const char *name)
{
	if (o->name && !strcmp(name, o->name))
		return true;
	/* What begins with a dot is read by shells and the like. */
	return o->prefix && strlen(name) > strlen(o->prefix) + strlen(o->suffix) &&
	       str_has_prefix(name, o->prefix) && str_has_suffix(name, o->suffix) &&
	       (*o->prefix || *name != '.');
}

int output_serve(struct output *o, const char *name, struct worker_answer *ret, struct err *e)
{
	if (!is_allowed(o, name))
		return err_set(e, EACCES, "'%s' is no name of a file that is made", name);
	ret->keep = true;
	return output_file(o, name, &ret->fd, e);
}

int output_ask(unsigned what, const char *name, int *ret_fd, struct err *e)
{
	return worker_ask(what, name, strlen(name), ret_fd, NULL, e);
}
