/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a VDI as VirtualBox lays it out: header, block map at 1 MiB, data at the next whole MiB,
 * blocks of 1 MiB in the order in which they come. In a static image all blocks are there, each
 * where its number says, and what is not written is a hole of the file.
 *
 * Of the map one piece is in memory: blocks come in ascending order. UUIDs follow from the image.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/format/vdi.h"
#include "lib/fs.h"
#include "lib/stop.h"

#define GRAIN 4096u
#define BLOCK_SIZE MIB
#define MAP_OFFSET MIB
#define HEADER_LENGTH 0x190u
#define TEXT "<<< Oracle VM VirtualBox Disk Image >>>\n"

const struct image_option vdi_options[] = {
	{"subformat", "dynamic|static",
	 "blocks only where there are data, or all of them; dynamic (fixed is static)"},
	{"uuid", "UUID", "the image's UUID; else it follows from the image"},
	{NULL, NULL, NULL},
};

struct vdi_writer {
	struct image_writer common;
	bool fixed;
	uint32_t n_blocks;
	uint64_t data_offset;
	struct image_identity *identity;
	uint8_t uuid[IMAGE_UUID_SIZE];
	bool has_uuid;

	uint32_t allocated; /* blocks of the file */
	uint32_t block;     /* the disk's block that is the last one of them */
	uint8_t *map;       /* a piece of VDI_WINDOW entries, as in the file */
	uint64_t map_first; /* its first entry; all before it are written */
};

static struct vdi_writer *to_writer(struct image_writer *w)
{
	return (struct vdi_writer *)w;
}

void vdi_writer_free(struct image_writer *iw)
{
	struct vdi_writer *w = to_writer(iw);

	if (w->identity)
		image_identity_free(w->identity);
	free(w->map);
}

static int take_options(struct vdi_writer *w, const struct image_create_opts *o, struct err *e)
{
	static const char *const subformats[] = {"dynamic", "static", "fixed", NULL};
	unsigned subformat;
	int rc = image_create_choice(o, "subformat", subformats, 0, &subformat, e);

	if (rc == 0)
		rc = image_uuid_option(o, w->uuid, &w->has_uuid, e);
	w->fixed = rc == 0 && subformat != 0;
	return rc;
}

static int check_target(const struct image_writer *w, struct err *e)
{
	struct stat st;

	if (w->size % VDI_SECTOR)
		return err_set(e, EINVAL, "a size of %llu bytes is no multiple of 512",
			       (unsigned long long)w->size);
	if (fstat(w->fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	/* Blocks are written in part, and what was there would shine through. */
	if (S_ISBLK(st.st_mode))
		return err_set(e, ENOTSUP, "a VDI is a regular file: it is not made on a device");
	return 0;
}

/* A new piece of the map: nothing is there, or in a static image all. */
static void begin_map(struct vdi_writer *w)
{
	for (uint32_t i = 0; i < VDI_WINDOW; i++)
		le32_put(w->map + i * 4, w->fixed ? (uint32_t)w->map_first + i : VDI_FREE);
}

int vdi_create(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
	       struct image_writer **ret, struct err *e)
{
	AUTO(image_writer_discard) struct image_writer *iw = NULL;
	struct vdi_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return err_nomem(e);
	iw = &w->common;
	rc = image_writer_init(iw, &image_format_vdi, fd, name, size, o, e);
	if (rc == 0)
		rc = take_options(w, o, e);
	if (rc == 0)
		rc = check_target(iw, e);
	if (rc == 0)
		rc = image_identity_new(w->fixed ? "vdi static" : "vdi dynamic", size, &w->identity,
					e);
	if (rc)
		return rc;
	w->n_blocks = (uint32_t)div_up(size, BLOCK_SIZE);
	w->data_offset = round_up(MAP_OFFSET + (uint64_t)w->n_blocks * 4, MIB);
	w->map = malloc(VDI_WINDOW * 4);
	if (!w->map)
		return err_nomem(e);
	begin_map(w);
	iw->grain = GRAIN;
	iw->fixed = w->fixed;
	*ret = STEAL(iw);
	return 0;
}

/* Writes the map up to `block`, which then lies in the piece in memory (or is its end). */
static int advance_map(struct vdi_writer *w, uint64_t block, struct err *e)
{
	while (block >= w->map_first + VDI_WINDOW) {
		int rc = fs_pwrite(w->common.fd, w->map, VDI_WINDOW * 4,
				   MAP_OFFSET + w->map_first * 4, e);

		if (rc == 0)
			rc = stop_check(e);
		if (rc)
			return rc;
		w->map_first += VDI_WINDOW;
		begin_map(w);
	}
	return 0;
}

int vdi_place(struct image_writer *iw, uint64_t off, size_t len, struct image_place *ret,
	      struct err *e)
{
	struct vdi_writer *w = to_writer(iw);
	uint32_t block = (uint32_t)(off / BLOCK_SIZE);
	uint64_t skip = off % BLOCK_SIZE;

	*ret = (struct image_place){.fd = iw->fd, .off = w->data_offset + off, .len = len};
	if (w->fixed)
		return 0;
	if (!w->allocated || w->block != block) {
		int rc = advance_map(w, block, e);

		if (rc)
			return rc;
		le32_put(w->map + (block - w->map_first) * 4, w->allocated++);
		w->block = block;
	}
	ret->off = w->data_offset + (w->allocated - 1) * BLOCK_SIZE + skip;
	ret->len = (size_t)MIN((uint64_t)len, BLOCK_SIZE - skip);
	image_identity_run(w->identity, off, ret->len);
	return 0;
}

static void fill_header(struct vdi_writer *w, uint8_t h[VDI_BYTES])
{
	uint8_t change[DIGEST_MAX];

	if (!w->has_uuid)
		image_identity_uuid(w->identity, w->uuid);
	memset(h, 0, VDI_BYTES);
	memcpy(h + VDI_TEXT, TEXT, strlen(TEXT));
	le32_put(h + VDI_MAGIC, VDI_SIGNATURE);
	le32_put(h + VDI_VERSION_AT, VDI_VERSION);
	le32_put(h + VDI_HEADER_SIZE, HEADER_LENGTH);
	le32_put(h + VDI_TYPE, w->fixed ? VDI_STATIC : VDI_DYNAMIC);
	le32_put(h + VDI_MAP_OFFSET, (uint32_t)MAP_OFFSET);
	le32_put(h + VDI_DATA_OFFSET, (uint32_t)w->data_offset);
	le32_put(h + VDI_SECTOR_SIZE, VDI_SECTOR);
	le64_put(h + VDI_DISK_SIZE, w->common.size);
	le32_put(h + VDI_BLOCK_SIZE, (uint32_t)BLOCK_SIZE);
	le32_put(h + VDI_BLOCKS, w->n_blocks);
	le32_put(h + VDI_ALLOCATED, w->fixed ? w->n_blocks : w->allocated);
	vdi_swap_uuid(w->uuid, h + VDI_UUID);
	/* The last change has a UUID of its own. */
	digest_of(DIGEST_SHA256, w->uuid, sizeof(w->uuid), change);
	change[7] = (uint8_t)((change[7] & 0x0f) | 0x80);
	change[8] = (uint8_t)((change[8] & 0x3f) | 0x80);
	memcpy(h + VDI_UUID_CHANGE, change, IMAGE_UUID_SIZE);
	le32_put(h + VDI_GEOMETRY + 12, VDI_SECTOR);
}

int vdi_finish(struct image_writer *iw, struct err *e)
{
	struct vdi_writer *w = to_writer(iw);
	uint32_t there = w->fixed ? w->n_blocks : w->allocated;
	uint8_t header[VDI_BYTES];
	int rc = advance_map(w, w->n_blocks, e);

	if (rc == 0 && w->map_first < w->n_blocks)
		rc = fs_pwrite(iw->fd, w->map, (size_t)(w->n_blocks - w->map_first) * 4,
			       MAP_OFFSET + w->map_first * 4, e);
	/* A block that was written in part is there as a whole, too. */
	if (rc == 0 && ftruncate(iw->fd, (off_t)(w->data_offset + there * BLOCK_SIZE)) < 0)
		rc = err_errno(e, errno, "setting the file's size");
	if (rc == 0 && w->fixed)
		rc = image_identity_read(w->identity, iw->fd, w->data_offset,
					 MIN(iw->size, IMAGE_IDENTITY_BYTES), e);
	if (rc)
		return rc;
	fill_header(w, header);
	return fs_pwrite(iw->fd, header, sizeof(header), 0, e);
}

uint64_t vdi_full_size(const struct image_writer *iw)
{
	const struct vdi_writer *w = (const struct vdi_writer *)iw;

	return w->data_offset + w->n_blocks * BLOCK_SIZE;
}
