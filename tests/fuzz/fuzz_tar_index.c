/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives of several files: what the index says lies in the archive, by plain names, once. */
#include <sys/mman.h>

#include "bundle/tar_index.h"
#include "lib/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(tar_index_release) struct tar_index t = {0};
	AUTO_FD int fd = memfd_create("tar", MFD_CLOEXEC);
	struct err e = {0};

	if (fd < 0 || fs_pwrite(fd, data, size, 0, &e) < 0)
		abort();
	if (tar_index_read(fd, &t, &e) < 0) {
		if (!e.code || !*e.msg || t.n)
			abort();
		return 0;
	}
	for (size_t i = 0; i < t.n; i++) {
		const struct tar_member *m = &t.members[i];

		if (!name_is_plain(m->name) || !range_within(m->offset, m->size, size) ||
		    tar_index_find(&t, m->name) != m)
			abort();
	}
	return 0;
}
