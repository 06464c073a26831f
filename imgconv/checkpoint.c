/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a checkpoint, as it lies in an unfinished image. Big endian:
 *
 *	 0  8  "ACLCKPT1"
 *	 8  8  size of the guest's disk
 *	16  8  position: everything before it is in the file
 *	24  8  end of the part of the file that counts
 *	32  4  grain
 *	36  4  compression
 *	40  4  CRC-32 (as in gzip) of the 40 bytes before
 *	44  4  zero
 */
#include <zlib.h>

#include "imgconv/format.h"

static const uint8_t magic[8] = {'A', 'C', 'L', 'C', 'K', 'P', 'T', '1'};
#define CRC_OFFSET 40

void image_checkpoint_encode(const struct image_checkpoint *c, uint8_t out[IMAGE_CHECKPOINT_SIZE])
{
	memset(out, 0, IMAGE_CHECKPOINT_SIZE);
	memcpy(out, magic, sizeof(magic));
	be64_put(out + 8, c->size);
	be64_put(out + 16, c->position);
	be64_put(out + 24, c->file_end);
	be32_put(out + 32, c->grain);
	be32_put(out + 36, c->compression);
	be32_put(out + CRC_OFFSET, (uint32_t)crc32(0, out, CRC_OFFSET));
}

int image_checkpoint_decode(const uint8_t in[IMAGE_CHECKPOINT_SIZE], struct image_checkpoint *ret,
			    struct err *e)
{
	if (memcmp(in, magic, sizeof(magic)) != 0)
		return err_set(e, EBADMSG, "there is no checkpoint in the file");
	if (be32_get(in + CRC_OFFSET) != (uint32_t)crc32(0, in, CRC_OFFSET))
		return err_set(e, EBADMSG, "the checkpoint's checksum is wrong");
	*ret = (struct image_checkpoint){
		.size = be64_get(in + 8),
		.position = be64_get(in + 16),
		.file_end = be64_get(in + 24),
		.grain = be32_get(in + 32),
		.compression = be32_get(in + 36),
	};
	if (ret->position > ret->size)
		return err_set(e, EBADMSG, "the checkpoint lies past the disk's end");
	return 0;
}
