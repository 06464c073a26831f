/* SPDX-License-Identifier: Apache-2.0 */
/* A copy-on-write clone: a QCOW2 image without data of its own over another image. */
#include "imgconv/format.h"
#include "lib/fs.h"

/* The backing image must be one; its size is needed too. */
static int backing_size(const char *backing, const char *format, uint64_t *ret, struct err *e)
{
	struct image_open_opts o = {.format = format, .flags = IMAGE_INSPECT};
	AUTO(image_close) struct image *im = NULL;
	int rc = image_open(backing, &o, &im, e);

	if (rc == 0)
		*ret = round_up(image_size(im), 512);
	return rc;
}

int image_create_clone(const char *path, const char *backing, const char *backing_format,
		       uint64_t size, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	AUTO(image_writer_free) struct image_writer *w = NULL;
	AUTO_FREE char *real = realpath(backing, NULL);
	struct image_create_opts o = {.backing_format = backing_format};
	uint64_t least = 0;
	int rc;

	if (!real)
		return err_errno(e, errno, "'%s'", backing);
	if (!backing_format)
		return err_set(e, EINVAL, "the format of the backing file must be named");
	rc = backing_size(real, backing_format, &least, e);
	if (rc)
		return rc;
	if (size && size < least)
		return err_set(e, EINVAL, "a clone of %llu bytes is smaller than '%s'",
			       (unsigned long long)size, backing);
	o.backing_file = real;
	rc = atomic_file_begin(&f, path, FS_NO_REPLACE, e);
	if (rc == 0)
		rc = image_create(f.fd, path, "qcow2", size ? size : least, &o, &w, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	if (rc == 0)
		rc = atomic_file_commit(&f, fs_file_mode(), e);
	return rc;
}
