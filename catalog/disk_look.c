/* SPDX-License-Identifier: Apache-2.0 */
/* See catalog/disk_look.h. The disk was written by children that had seen what is hostile. */
#include "catalog/disk_look.h"

#include "catalog/target.h"
#include "imgconv/confine.h"

struct looking {
	const char *path;
	struct disk_look found;
};

static int look(void *ctx, struct err *e)
{
	const struct image_open_opts o = {.format = "qcow2"};
	struct looking *l = ctx;
	AUTO(image_close) struct image *disk = NULL;
	uint8_t head[512];
	int rc = image_open(l->path, &o, &disk, e);

	if (rc == 0 && image_size(disk) < sizeof(head))
		rc = err_set(e, EBADMSG, "it has %llu bytes, and is no disk",
			     (unsigned long long)image_size(disk));
	if (rc == 0)
		rc = image_pread(disk, head, sizeof(head), 0, e);
	if (rc < 0)
		return rc;
	l->found.size = image_size(disk);
	l->found.is_disk = target_head_is_disk(head);
	return 0;
}

int disk_look(const char *path, struct disk_look *ret, struct err *e)
{
	struct looking l = {.path = path};
	const struct confine_file file = {.path = path};
	const struct confine c = {.files = &file,
				  .n_files = 1,
				  .run = look,
				  .ctx = &l,
				  .result = &l.found,
				  .result_len = sizeof(l.found)};
	int rc = confine_run(&c, e);

	if (rc == 0)
		*ret = l.found;
	return rc;
}
