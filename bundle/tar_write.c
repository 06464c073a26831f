/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tar header blocks as euca2ools writes them (Python's tarfile: mode 0644, owner 0, time 0, no
 * names), and for a file with holes the type S of GNU tar, which ec2-ami-tools writes and every
 * known reader of bundles takes. The layout stands in tar_header.c.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bundle/tar_write.h"

enum {
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_CHECKSUM = 148,
	AT_TYPE = 156,
	AT_MAGIC = 257,
	AT_MAJOR = 329,
	AT_MINOR = 337,
	AT_MAP = 386,
	AT_EXTENDED = 482,
	AT_REAL_SIZE = 483,
	MAP_ENTRIES = 4,
	EXT_ENTRIES = 21,
	EXT_EXTENDED = 504,
	ENTRY = 24,
	NUMBER = 12,
};

/* Eleven octal digits and a NUL; base 256 for what needs more. */
static void put_number(uint8_t *at, uint64_t v)
{
	char text[32];

	if (v < UINT64_C(1) << 33) {
		snprintf(text, sizeof(text), "%011" PRIo64, v);
		memcpy(at, text, NUMBER);
		return;
	}
	memset(at, 0, NUMBER);
	at[0] = 0x80;
	be64_put(at + 4, v);
}

static void put_checksum(uint8_t *block)
{
	unsigned sum = 0;
	char text[16];

	memset(block + AT_CHECKSUM, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	snprintf(text, sizeof(text), "%06o", sum & 0777777);
	memcpy(block + AT_CHECKSUM, text, 7);
}

static void put_common(uint8_t *block, const char *name, uint64_t size, char type)
{
	memset(block, 0, TAR_BLOCK);
	memcpy(block, name, strlen(name) + 1);
	memcpy(block + AT_MODE, "0000644", 8);
	memcpy(block + AT_UID, "0000000", 8);
	memcpy(block + AT_GID, "0000000", 8);
	put_number(block + AT_SIZE, size);
	put_number(block + AT_MTIME, 0);
	block[AT_TYPE] = (uint8_t)type;
}

/* Entries from *at on; the rest stays empty, which ends the map. */
static void put_entries(uint8_t *block, unsigned n, const struct tar_map *map, size_t *at)
{
	for (unsigned i = 0; i < n && *at < map->n; i++, ++*at) {
		put_number(block, map->extents[*at].start);
		put_number(block + NUMBER, map->extents[*at].length);
		block += ENTRY;
	}
}

static uint64_t stored(const struct tar_map *map)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < map->n; i++)
		sum += map->extents[i].length;
	return sum;
}

int tar_write_header(struct buf *out, const char *name, uint64_t size, const struct tar_map *map,
		     struct err *e)
{
	uint8_t block[TAR_BLOCK];
	size_t at = 0;

	put_common(block, name, map ? stored(map) : size, map ? 'S' : '0');
	memcpy(block + AT_MAGIC, "ustar  \0", 8);
	if (map) {
		put_entries(block + AT_MAP, MAP_ENTRIES, map, &at);
		block[AT_EXTENDED] = at < map->n;
		put_number(block + AT_REAL_SIZE, size);
	}
	put_checksum(block);
	if (buf_add(out, block, sizeof(block)) < 0)
		return err_nomem(e);
	while (map && at < map->n) {
		memset(block, 0, sizeof(block));
		put_entries(block, EXT_ENTRIES, map, &at);
		block[EXT_EXTENDED] = at < map->n;
		if (buf_add(out, block, sizeof(block)) < 0)
			return err_nomem(e);
	}
	return 0;
}

void tar_write_ustar(uint8_t block[TAR_BLOCK], const char *name, uint64_t size)
{
	static const char magic[8] = {'u', 's', 't', 'a', 'r', '\0', '0', '0'};

	put_common(block, name, size, '0');
	memcpy(block + AT_MAGIC, magic, sizeof(magic));
	memcpy(block + AT_MAJOR, "0000000", 8);
	memcpy(block + AT_MINOR, "0000000", 8);
	put_checksum(block);
}
