/* SPDX-License-Identifier: Apache-2.0 */
/* Where a file itself has holes: for formats that keep a disk's bytes as they are. */
#include "imgconv/format.h"

int image_file_extent(int fd, uint64_t off, uint64_t end, struct extent *ret, struct err *e)
{
	off_t data = lseek(fd, (off_t)off, SEEK_DATA);
	off_t hole;

	*ret = (struct extent){.start = off, .length = end - off, .kind = EXTENT_DATA};
	if (data < 0 && errno == ENXIO) {
		ret->kind = EXTENT_HOLE;
		return 0;
	}
	if (data < 0) /* not known here: all is data */
		return 0;
	if ((uint64_t)data > off) {
		ret->kind = EXTENT_HOLE;
		ret->length = MIN((uint64_t)data, end) - off;
		return 0;
	}
	hole = lseek(fd, (off_t)off, SEEK_HOLE);
	if (hole < 0)
		return err_errno(e, errno, "SEEK_HOLE at 0x%llx", (unsigned long long)off);
	if ((uint64_t)hole > off)
		ret->length = MIN((uint64_t)hole, end) - off;
	return 0;
}
