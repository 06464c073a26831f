/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the same kind that takes an image's place: see remake.h. */
#include "imgconv/remake.h"

#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/args.h"
#include "lib/log.h"

/* ---- what kind it is ------------------------------------------------------------------------ */

/* "block-size" is what is said of an image that was made with block_size. */
static bool same_key(const char *fact, const char *option)
{
	for (; *fact && *option; fact++, option++) {
		if (*fact != *option && !(*fact == '-' && *option == '_'))
			return false;
	}
	return *fact == *option;
}

/* True if the value is one of "this|that", or any value is taken. */
static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	if (!strchr(choices, '|'))
		return true;
	for (const char *p = choices; p; p = strchr(p, '|')) {
		p += *p == '|';
		if (strncasecmp(p, value, len) == 0 && (!p[len] || p[len] == '|'))
			return true;
	}
	return false;
}

/* Adds the option that makes the copy what the fact says of the image. */
static int keep_fact(const struct image *im, const struct image_option *o,
		     const struct image_fact *f, struct buf *out, struct err *e)
{
	char number[24];
	const char *value = f->text;

	if (f->kind == IMAGE_FACT_U64) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)f->number);
		value = number;
	}
	if (!value || strpbrk(value, ",="))
		return 0;
	if (!is_choice(o->values, value))
		return err_set(e, ENOTSUP,
			       "'%s': %s images with %s '%s' are not made here; convert it to one "
			       "that is (imgconv convert -O %s), and change that",
			       image_name(im), image_format_name(im), f->key, value,
			       image_format_name(im));
	return buf_addf(out, "%s%s=%s", out->len ? "," : "", o->key, value) < 0 ? err_nomem(e) : 0;
}

/* What has to be wished of the copy, "key=value,key=value". */
int remake_options(struct image *im, struct buf *out, struct err *e)
{
	const struct image_option *o = image_format_options(image_format_name(im));
	AUTO(image_info_release) struct image_info info = {0};
	int rc = image_info_read(im, &info, e);

	for (; rc == 0 && o && o->key; o++) {
		for (size_t i = 0; rc == 0 && i < info.n_facts; i++) {
			if (same_key(info.facts[i].key, o->key))
				rc = keep_fact(im, o, &info.facts[i], out, e);
		}
	}
	return rc;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* The image's own mode, and its owner as far as that can be. */
static int commit(struct atomic_file *f, const struct stat *st, const char *path, struct err *e)
{
	if ((st->st_uid != geteuid() || st->st_gid != getegid()) &&
	    fchown(f->fd, st->st_uid, st->st_gid) < 0)
		log_warn("'%s' belongs to you now: %s", path, strerror(errno));
	return atomic_file_commit(f, st->st_mode & 07777, e);
}

int remake_run(const char *path, const struct confine *c, struct atomic_file *copy, struct err *e)
{
	/* Where a symbolic link leads: the link stays. */
	AUTO_FREE char *real = realpath(path, NULL);
	struct stat st;
	int rc;

	if (!real || stat(real, &st) < 0)
		return err_errno(e, errno, "'%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ENOTSUP, "'%s' is not a regular file", path);
	rc = atomic_file_begin(copy, real, 0, e);
	if (rc == 0)
		rc = confine_run(c, e);
	if (rc == 0)
		rc = commit(copy, &st, path, e);
	atomic_file_abort(copy);
	return rc;
}

int remake_write(int fd, struct image *kind, struct image *data, struct image_create_opts *o,
		 uint64_t size, const char *what, struct err *e)
{
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc = image_create(fd, image_name(kind), image_format_name(kind), size, o, &w, e);

	if (rc < 0)
		return rc;
	p = progress_start(what, image_size(data));
	rc = image_copy(data, w, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
}
