/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ISO image of any bytes. The input is what lies in the sectors from 16 on; empty ones before
 * them are put in, and an input with 'x' first is packed: (offset, length, bytes) records, so that
 * small inputs reach large offsets.
 */
#include <sys/mman.h>

#include "context/iso.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECTOR 2048
#define FIRST 16
#define IMAGE_MAX (256 * SECTOR)

static void unpack(int fd, const uint8_t *p, size_t size)
{
	while (size >= 4) {
		size_t at = (size_t)le16_get(p) * 16 % IMAGE_MAX, len = le16_get(p + 2);

		p += 4;
		size -= 4;
		len = MIN(len, size);
		if (pwrite(fd, p, len, (off_t)(FIRST * SECTOR + at)) < 0)
			return;
		p += len;
		size -= len;
	}
}

static int look(void *arg, const char *path, const void *data, size_t len, struct err *e)
{
	(void)arg;
	(void)data;
	(void)e;
	if (!*path || *path == '/' || len > 65536)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FD int fd = memfd_create("iso", MFD_CLOEXEC);
	AUTO_BUF out = BUF_INIT;
	char id[ISO_VOLUME_ID_MAX + 1];
	struct err e;

	if (fd < 0 || ftruncate(fd, FIRST * SECTOR + IMAGE_MAX) < 0)
		return 0;
	if (size && data[0] == 'x')
		unpack(fd, data + 1, size - 1);
	else if (pwrite(fd, data, MIN(size, IMAGE_MAX), FIRST * SECTOR) < 0)
		return 0;
	(void)iso_volume_id(fd, id, &e);
	if (iso_read_file(fd, "fuzz", "context.sh", 4096, &out, &e) == 0 && out.len > 4096)
		abort();
	(void)iso_walk(fd, "fuzz", 65536, look, NULL, &e);
	return 0;
}
