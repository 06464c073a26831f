/* SPDX-License-Identifier: Apache-2.0 */
/* An image file of any format, with all bases in it; and the target file. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "catalog/export_image.h"
#include "lib/fs.h"
#include "lib/str.h"

const char *export_format(const struct export_opts *o)
{
	return o->format ? o->format : "qcow2";
}

int export_format_check(const struct export_opts *o, struct err *e)
{
	const struct image_create_opts c = {.compression = o->compression};

	return image_create_check(export_format(o), &c, e);
}

int export_write_image(const struct export_source *x, int fd, const char *name, struct err *e)
{
	const struct image_create_opts c = {.compression = x->opts->compression};
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct image *im = x->disks[0].im;
	const char *format = export_format(x->opts);
	struct progress *p;
	int rc;

	if (x->n_disks > 1)
		return err_set(e, ENOTSUP, "'%s' has %u disks: a file can hold one", x->opts->image,
			       x->n_disks);
	rc = image_create(fd, name, format, image_padded_size(format, image_size(im), &c), &c, &w,
			  e);
	if (rc < 0)
		return rc;
	p = progress_start("writing", image_size(im));
	rc = image_copy(im, w, p, e);
	progress_end(p, rc == 0);
	return rc < 0 ? rc : image_writer_finish(w, e);
}

int export_make_file(const struct export_source *x, int *ret_fd, uint64_t *ret_size, struct err *e)
{
	AUTO_FD int fd = open(store_path(x->store), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct stat st = {0};
	int rc;

	if (fd < 0)
		return err_errno(e, errno, "making a file in '%s'", store_path(x->store));
	rc = export_write_image(x, fd, x->opts->image, e);
	if (rc == 0 && fstat(fd, &st) < 0)
		rc = err_errno(e, errno, "the copy of '%s'", x->opts->image);
	if (rc < 0)
		return rc;
	*ret_size = (uint64_t)st.st_size;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int export_map_image(const struct export_source *x, struct export_mapped *ret, struct err *e)
{
	AUTO_FD int fd = -1;
	uint64_t size;
	void *data;
	int rc = export_make_file(x, &fd, &size, e);

	if (rc < 0)
		return rc;
	data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return err_errno(e, errno, "mapping the copy of '%s'", x->opts->image);
	(void)madvise(data, size, MADV_SEQUENTIAL);
	*ret = (struct export_mapped){data, size};
	return 0;
}

void export_mapped_release(struct export_mapped *m)
{
	if (m->data)
		munmap(m->data, m->size);
	*m = (struct export_mapped){0};
}

static int check(const struct export_opts *o, struct err *e)
{
	if (!o->dest)
		return err_set(e, EINVAL, "the file's path is expected");
	if (strcmp(o->dest, "-") == 0)
		return err_set(e, EINVAL, "an image is written to a file, not to standard output");
	return export_format_check(o, e);
}

static int run(struct session *s, const struct export_source *x, struct export_report *ret,
	       struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	int rc;

	(void)s;
	if (!x->opts->replace && access(x->opts->dest, F_OK) == 0)
		return err_set(e, EEXIST, "'%s' is there already (--force replaces it)",
			       x->opts->dest);
	rc = atomic_file_begin(&f, x->opts->dest, x->opts->replace ? 0 : FS_NO_REPLACE, e);
	if (rc == 0)
		rc = export_write_image(x, f.fd, x->opts->dest, e);
	if (rc == 0)
		rc = atomic_file_commit(&f, 0644, e);
	if (rc < 0)
		return rc;
	ret->location = strdup(x->opts->dest);
	return ret->location ? 0 : err_nomem(e);
}

const struct export_type export_file = {
	.name = "file",
	.options = "--format --compress --force",
	.run = run,
	.check = check,
};
