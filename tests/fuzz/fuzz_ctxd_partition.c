/* SPDX-License-Identifier: Apache-2.0 */
/* A partition table of any bytes: refused, or grown once and then no more. */
#include <fcntl.h>
#include <sys/mman.h>

#include "ctxd/partition.h"
#include "lib/fs.h"

#define DISK (4 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FD int fd = memfd_create("disk", MFD_CLOEXEC);
	struct partition_grown p;

	if (fd < 0 || size > DISK || ftruncate(fd, (off_t)DISK) < 0 ||
	    fs_pwrite(fd, data, size, 0, NULL) < 0)
		return 0;
	for (unsigned number = 1; number <= 5; number++) {
		if (partition_grow(fd, DISK, 512, number, false, &p, NULL) <= 0)
			continue;
		if (!range_within(p.start, p.size, DISK) || p.size <= p.old_size ||
		    partition_grow(fd, DISK, 512, number, false, &p, NULL) != 0)
			abort();
	}
	return 0;
}
