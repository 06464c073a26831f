/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a VHD. A dynamic one:
 *
 *	0       copy of the footer
 *	512     dynamic disk header
 *	1536    BAT
 *	blocks, in the order in which they come: each one's data begin at a multiple of 4096, its
 *	        bitmap (all ones) in the sector before; data that are not written are holes
 *	footer
 *
 * The disk is as large as it was wished to be. Its geometry is the largest there is, and the
 * creator is Windows: either makes other programs go by the size. With geometry=chs it is as
 * large as Virtual PC would make it: the least that cylinders, heads and sectors can say.
 *
 * Time stamps are zero (2000-01-01), the UUID follows from the image.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/format/vhd.h"
#include "lib/fs.h"
#include "lib/stop.h"

#define GRAIN 4096u
#define BLOCK_SIZE (2 * MIB)
#define BITMAP_SIZE VHD_SECTOR
#define BAT_OFFSET (VHD_FOOTER_SIZE + VHD_HEADER_SIZE)
/* What a block takes of the file: its data, and before them the page that the bitmap ends. */
#define BLOCK_SPACE (BLOCK_SIZE + GRAIN)

/* The bounds of what Azure takes as a disk. */
#define AZURE_MIN (20 * MIB)
#define AZURE_MAX VHD_MAX_FIXED_SIZE

#define CREATOR_VERSION 0x00060001u

const struct image_option vhd_options[] = {
	{"subformat", "dynamic|fixed", "blocks only where there are data, or all bytes; dynamic"},
	{"geometry", "exact|chs",
	 "exactly the wished size, or rounded up as Virtual PC needs it; exact"},
	{"azure", "on|off", "fixed, of whole MiB, within the bounds of Azure; off"},
	{"uuid", "UUID", "the disk's UUID; else it follows from the image"},
	{NULL, NULL, NULL},
};

struct vhd_wishes {
	bool fixed;
	bool chs;
	bool azure;
};

struct vhd_writer {
	struct image_writer common;
	struct vhd_wishes wishes;
	struct image_identity *identity;
	uint8_t uuid[IMAGE_UUID_SIZE];
	bool has_uuid;

	/* Dynamic. */
	uint32_t *bat; /* n_blocks, in the file's order */
	uint32_t n_blocks;
	uint64_t next; /* where the data of the next block go */

	/* Behind all that is there: where the footer goes, or (fixed, into a pipe) what is written. */
	uint64_t end;
};

static struct vhd_writer *to_writer(struct image_writer *w)
{
	return (struct vhd_writer *)w;
}

void vhd_writer_free(struct image_writer *iw)
{
	struct vhd_writer *w = to_writer(iw);

	if (w->identity)
		image_identity_free(w->identity);
	free(w->bat);
}

/* ---- options and sizes ---------------------------------------------------------------------- */

static int take_options(const struct image_create_opts *o, struct vhd_wishes *ret, struct err *e)
{
	static const char *const subformats[] = {"dynamic", "fixed", NULL};
	static const char *const geometries[] = {"exact", "chs", NULL};
	static const char *const switches[] = {"off", "on", NULL};
	unsigned subformat, geometry, azure;
	int rc = image_create_choice(o, "azure", switches, 0, &azure, e);

	/* For Azure it is fixed unless something else is said. */
	if (rc == 0)
		rc = image_create_choice(o, "subformat", subformats, azure, &subformat, e);
	if (rc == 0)
		rc = image_create_choice(o, "geometry", geometries, 0, &geometry, e);
	if (rc)
		return rc;
	if (azure && !subformat)
		return err_set(e, EINVAL, "Azure takes fixed images only");
	if (azure && geometry)
		return err_set(e, EINVAL, "Azure takes whole MiB only, which geometry=chs are not");
	*ret = (struct vhd_wishes){.fixed = subformat, .chs = geometry, .azure = azure};
	return 0;
}

struct geometry {
	uint32_t cylinders, heads, sectors;
};

/* The specification's appendix "CHS Calculation". The product is n or less. */
static struct geometry geometry_of(uint64_t n)
{
	struct geometry g = {.heads = VHD_MAX_HEADS, .sectors = VHD_MAX_SECTORS};
	uint64_t tracks;

	n = MIN(n, VHD_MAX_GEOMETRY);
	if (n >= (uint64_t)VHD_MAX_CYLINDERS * 16 * 63) {
		tracks = n / g.sectors;
	} else {
		g.sectors = 17;
		tracks = n / g.sectors;
		g.heads = (uint32_t)MAX((tracks + 1023) / 1024, UINT64_C(4));
		if (tracks >= g.heads * 1024 || g.heads > 16) {
			g.sectors = 31;
			g.heads = 16;
			tracks = n / g.sectors;
		}
		if (tracks >= g.heads * 1024) {
			g.sectors = 63;
			g.heads = 16;
			tracks = n / g.sectors;
		}
	}
	g.cylinders = (uint32_t)(tracks / g.heads);
	return g;
}

static uint64_t geometry_sectors(const struct geometry *g)
{
	return (uint64_t)g->cylinders * g->heads * g->sectors;
}

/* The least disk, of `size` bytes or more, that a geometry can say; over the largest geometry, as
 * it is. A cylinder has 4080 sectors at most, so this ends soon. */
static uint64_t chs_size(uint64_t size)
{
	uint64_t n = div_up(size, VHD_SECTOR), wished = n;
	struct geometry g;

	if (n > VHD_MAX_GEOMETRY)
		return n * VHD_SECTOR;
	do {
		g = geometry_of(n++);
	} while (geometry_sectors(&g) < wished);
	return geometry_sectors(&g) * VHD_SECTOR;
}

uint64_t vhd_padded_size(uint64_t size, const struct image_create_opts *o)
{
	struct vhd_wishes wishes = {.fixed = false};

	if (take_options(o, &wishes, NULL) == 0 && wishes.azure)
		return round_up(size, MIB);
	return wishes.chs ? chs_size(size) : round_up(size, VHD_SECTOR);
}

static int check_size(const struct vhd_writer *w, const struct image_create_opts *o, struct err *e)
{
	uint64_t size = w->common.size;

	if (w->wishes.azure && (size < AZURE_MIN || size > AZURE_MAX))
		return err_set(e, EINVAL, "Azure takes disks from 20 MiB to 32 TiB, not %llu bytes",
			       (unsigned long long)size);
	if (!w->wishes.azure && size > VHD_MAX_SIZE)
		return err_set(e, EINVAL,
			       "%llu bytes are more than the 2040 GiB that a VHD can have (but on "
			       "Azure)",
			       (unsigned long long)size);
	if (vhd_padded_size(size, o) != size)
		return err_set(e, EINVAL, "a size of %llu bytes is not one of this kind of VHD",
			       (unsigned long long)size);
	return 0;
}

const char *vhd_why_no_pipe(const struct image_create_opts *o)
{
	struct vhd_wishes wishes = {.fixed = false};

	if (take_options(o, &wishes, NULL) < 0 || wishes.fixed)
		return NULL; /* bad options are told later */
	return "the table at the beginning of a dynamic VHD is known only at the end "
	       "(subformat=fixed has none)";
}

/* ---- life ----------------------------------------------------------------------------------- */

/* The footer has to be at the end, which on a device is not where the disk ends. */
static int check_target(const struct image_writer *w, struct err *e)
{
	struct stat st;

	if (fstat(w->fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	if (S_ISBLK(st.st_mode))
		return err_set(e, ENOTSUP, "a VHD ends with the file: it cannot be on a device");
	return 0;
}

static int prepare_tables(struct vhd_writer *w, struct err *e)
{
	if (w->wishes.fixed)
		return 0;
	w->n_blocks = (uint32_t)div_up(w->common.size, BLOCK_SIZE);
	w->bat = malloc((size_t)w->n_blocks * sizeof(*w->bat));
	if (!w->bat)
		return err_nomem(e);
	memset(w->bat, 0xff, (size_t)w->n_blocks * sizeof(*w->bat));
	w->end = round_up(BAT_OFFSET + (uint64_t)w->n_blocks * 4, VHD_SECTOR);
	w->next = round_up(w->end + BITMAP_SIZE, GRAIN);
	return 0;
}

static int start_identity(struct vhd_writer *w, struct err *e)
{
	char what[64];

	snprintf(what, sizeof(what), "vhd %s %s", w->wishes.fixed ? "fixed" : "dynamic",
		 w->wishes.chs ? "chs" : "exact");
	return image_identity_new(what, w->common.size, &w->identity, e);
}

int vhd_create(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
	       struct image_writer **ret, struct err *e)
{
	AUTO(image_writer_discard) struct image_writer *iw = NULL;
	struct vhd_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return err_nomem(e);
	iw = &w->common;
	rc = image_writer_init(iw, &image_format_vhd, fd, name, size, o, e);
	if (rc == 0)
		rc = take_options(o, &w->wishes, e);
	if (rc == 0)
		rc = image_uuid_option(o, w->uuid, &w->has_uuid, e);
	if (rc == 0)
		rc = check_size(w, o, e);
	if (rc == 0)
		rc = check_target(iw, e);
	if (rc == 0)
		rc = start_identity(w, e);
	if (rc == 0)
		rc = prepare_tables(w, e);
	if (rc)
		return rc;
	iw->grain = GRAIN;
	iw->fixed = w->wishes.fixed;
	*ret = STEAL(iw);
	return 0;
}

/* ---- data ----------------------------------------------------------------------------------- */

/* Makes room for a block at the end of the file. */
static int new_block(struct vhd_writer *w, uint32_t block, struct err *e)
{
	static const uint8_t ones[BITMAP_SIZE] = {[0 ... BITMAP_SIZE - 1] = 0xff};
	uint64_t bitmap = w->next - BITMAP_SIZE;

	be32_put(&w->bat[block], (uint32_t)(bitmap / VHD_SECTOR));
	w->end = w->next + BLOCK_SIZE;
	w->next += BLOCK_SPACE;
	return fs_pwrite(w->common.fd, ones, sizeof(ones), bitmap, e);
}

int vhd_place(struct image_writer *iw, uint64_t off, size_t len, struct image_place *ret,
	      struct err *e)
{
	struct vhd_writer *w = to_writer(iw);
	uint32_t block = (uint32_t)(off / BLOCK_SIZE);
	uint64_t skip = off % BLOCK_SIZE;
	int rc = 0;

	*ret = (struct image_place){.fd = iw->fd, .off = off, .len = len};
	if (w->wishes.fixed)
		return 0;
	if (w->bat[block] == VHD_ABSENT)
		rc = new_block(w, block, e);
	ret->off = (uint64_t)be32_get(&w->bat[block]) * VHD_SECTOR + BITMAP_SIZE + skip;
	ret->len = (size_t)MIN((uint64_t)len, BLOCK_SIZE - skip);
	image_identity_run(w->identity, off, ret->len);
	return rc;
}

/* The next bytes of the disk, into a pipe. */
static int write_next(struct vhd_writer *w, const void *data, size_t len, struct err *e)
{
	if (w->end < IMAGE_IDENTITY_BYTES)
		image_identity_bytes(w->identity, data,
				     (size_t)MIN((uint64_t)len, IMAGE_IDENTITY_BYTES - w->end));
	w->end += len;
	return fs_write(w->common.fd, data, len, e);
}

static int write_zeros(struct vhd_writer *w, uint64_t end, struct err *e)
{
	static const uint8_t zeros[64 * KIB];
	int rc = 0;

	while (rc == 0 && w->end < end) {
		rc = write_next(w, zeros, (size_t)MIN(end - w->end, (uint64_t)sizeof(zeros)), e);
		rc = rc ? rc : stop_check(e);
	}
	return rc;
}

/* Into a pipe, fixed. */
int vhd_write(struct image_writer *iw, const void *data, size_t len, uint64_t off, struct err *e)
{
	struct vhd_writer *w = to_writer(iw);
	int rc = write_zeros(w, off, e);

	return rc < 0 ? rc : write_next(w, data, len, e);
}

/* ---- end ------------------------------------------------------------------------------------ */

/* A name of fixed length, without a NUL. */
static void put_name(uint8_t *at, const char *name)
{
	while (*name)
		*at++ = (uint8_t)*name++;
}

static void fill_footer(struct vhd_writer *w, uint8_t f[VHD_FOOTER_SIZE])
{
	struct geometry g = {VHD_MAX_CYLINDERS, VHD_MAX_HEADS, VHD_MAX_SECTORS};

	if (w->wishes.chs)
		g = geometry_of(w->common.size / VHD_SECTOR);
	if (!w->has_uuid)
		image_identity_uuid(w->identity, w->uuid);
	memset(f, 0, VHD_FOOTER_SIZE);
	put_name(f, VHD_COOKIE);
	be32_put(f + FOOTER_FEATURES, VHD_FEATURE_RESERVED);
	be32_put(f + FOOTER_VERSION, VHD_VERSION);
	be64_put(f + FOOTER_DATA_OFFSET, w->wishes.fixed ? UINT64_MAX : VHD_FOOTER_SIZE);
	put_name(f + FOOTER_CREATOR, "win ");
	be32_put(f + FOOTER_CREATOR_VERSION, CREATOR_VERSION);
	put_name(f + FOOTER_CREATOR_OS, "Wi2k");
	be64_put(f + FOOTER_ORIGINAL_SIZE, w->common.size);
	be64_put(f + FOOTER_CURRENT_SIZE, w->common.size);
	be16_put(f + FOOTER_CYLINDERS, (uint16_t)g.cylinders);
	f[FOOTER_HEADS] = (uint8_t)g.heads;
	f[FOOTER_SECTORS] = (uint8_t)g.sectors;
	be32_put(f + FOOTER_TYPE, w->wishes.fixed ? VHD_FIXED : VHD_DYNAMIC);
	memcpy(f + FOOTER_UUID, w->uuid, IMAGE_UUID_SIZE);
	be32_put(f + FOOTER_CHECKSUM, vhd_checksum(f, VHD_FOOTER_SIZE, FOOTER_CHECKSUM));
}

static void fill_header(const struct vhd_writer *w, uint8_t h[VHD_HEADER_SIZE])
{
	memset(h, 0, VHD_HEADER_SIZE);
	put_name(h, VHD_HEADER_COOKIE);
	be64_put(h + HEADER_DATA_OFFSET, UINT64_MAX);
	be64_put(h + HEADER_TABLE_OFFSET, BAT_OFFSET);
	be32_put(h + HEADER_VERSION, VHD_VERSION);
	be32_put(h + HEADER_ENTRIES, w->n_blocks);
	be32_put(h + HEADER_BLOCK_SIZE, (uint32_t)BLOCK_SIZE);
	be32_put(h + HEADER_CHECKSUM, vhd_checksum(h, VHD_HEADER_SIZE, HEADER_CHECKSUM));
}

static int finish_fixed(struct vhd_writer *w, struct err *e)
{
	uint8_t footer[VHD_FOOTER_SIZE];
	uint64_t size = w->common.size;
	int fd = w->common.fd, rc;

	if (w->common.pipe) {
		rc = write_zeros(w, size, e);
		fill_footer(w, footer);
		return rc < 0 ? rc : fs_write(fd, footer, VHD_FOOTER_SIZE, e);
	}
	if (ftruncate(fd, (off_t)size) < 0)
		return err_errno(e, errno, "setting the file's size");
	rc = image_identity_read(w->identity, fd, 0, MIN(size, IMAGE_IDENTITY_BYTES), e);
	fill_footer(w, footer);
	return rc < 0 ? rc : fs_pwrite(fd, footer, VHD_FOOTER_SIZE, size, e);
}

int vhd_finish(struct image_writer *iw, struct err *e)
{
	struct vhd_writer *w = to_writer(iw);
	uint8_t footer[VHD_FOOTER_SIZE], header[VHD_HEADER_SIZE], pad[VHD_SECTOR];
	size_t bat_len = (size_t)w->n_blocks * 4;
	int rc;

	if (w->wishes.fixed)
		return finish_fixed(w, e);
	fill_footer(w, footer);
	fill_header(w, header);
	memset(pad, 0xff, sizeof(pad));
	rc = fs_pwrite(iw->fd, header, sizeof(header), VHD_FOOTER_SIZE, e);
	if (rc == 0)
		rc = fs_pwrite(iw->fd, w->bat, bat_len, BAT_OFFSET, e);
	if (rc == 0 && bat_len % VHD_SECTOR)
		rc = fs_pwrite(iw->fd, pad, VHD_SECTOR - bat_len % VHD_SECTOR, BAT_OFFSET + bat_len,
			       e);
	if (rc == 0)
		rc = fs_pwrite(iw->fd, footer, sizeof(footer), w->end, e);
	if (rc == 0)
		rc = fs_pwrite(iw->fd, footer, sizeof(footer), 0, e);
	return rc;
}

uint64_t vhd_full_size(const struct image_writer *iw)
{
	const struct vhd_writer *w = (const struct vhd_writer *)iw;

	if (w->wishes.fixed)
		return iw->size + VHD_FOOTER_SIZE;
	return round_up(BAT_OFFSET + (uint64_t)w->n_blocks * 4 + VHD_SECTOR, GRAIN) +
	       w->n_blocks * BLOCK_SPACE + VHD_FOOTER_SIZE;
}
