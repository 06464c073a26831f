/* SPDX-License-Identifier: Apache-2.0 */
/* A FAT volume of any bytes: refused, or files within the limit. */
#include <sys/mman.h>

#include "ctxd/fat.h"
#include "lib/fs.h"

#define LIMIT MIB

static int count(void *arg, const char *path, const void *data, size_t len, struct err *e)
{
	size_t *sum = arg;

	(void)data;
	(void)e;
	*sum += len;
	if (!*path || *path == '/' || *sum > LIMIT)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FD int fd = memfd_create("volume", MFD_CLOEXEC);
	char label[FAT_LABEL_MAX + 1];
	size_t sum = 0;

	if (fd < 0 || fs_pwrite(fd, data, size, 0, NULL) < 0)
		return 0;
	if (fat_label(fd, label, NULL) > 0 && strlen(label) > FAT_LABEL_MAX)
		abort();
	fat_walk(fd, "volume", LIMIT, count, &sum, NULL);
	return 0;
}
