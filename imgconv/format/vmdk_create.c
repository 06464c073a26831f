/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning a VMDK image: options, files, the descriptor and the header. */
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/format/vmdk_write.h"
#include "lib/fs.h"
#include "lib/str.h"

#define LEVEL_MAX 12u
#define HWVERSION_DEFAULT 4u
#define FLAT_GRAIN 4096u /* the unit in which zeros are left out: a block of most file systems */
/* 2047 MiB, as VMware splits them: with its tables a sparse extent stays under 2 GiB. */
#define SPLIT_SIZE (2047 * MIB)
/* What images that are one file call themselves inside: bytes do not depend on the file's name. */
#define OWN_NAME "disk.vmdk"

const struct image_option vmdk_options[] = {
	{"subformat",
	 "monolithicSparse|streamOptimized|monolithicFlat|twoGbMaxExtentSparse|twoGbMaxExtentFlat",
	 "how it is laid out; default: monolithicSparse, if compressed streamOptimized"},
	{"adapter_type", "ide|buslogic|lsilogic|legacyESX",
	 "the controller it is meant for; default: ide, of streamOptimized lsilogic"},
	{"hwversion", "N", "version of the virtual hardware; default: 4"},
	{NULL, NULL, NULL},
};

static const char *const subformats[] = {"monolithicSparse",   "streamOptimized",
					 "monolithicFlat",     "twoGbMaxExtentSparse",
					 "twoGbMaxExtentFlat", NULL};
static const char *const adapters[] = {"ide", "buslogic", "lsilogic", "legacyESX", NULL};
#define ADAPTER_IDE 0u
#define ADAPTER_LSILOGIC 2u

/* ---- options ------------------------------------------------------------------------------- */

static int take_subformat(const struct image_create_opts *o, enum vmdk_type *ret, struct err *e)
{
	bool compressed = o && o->compression == IMAGE_COMPRESS_ZLIB;
	unsigned type = 0;
	int rc = image_create_choice(o, "subformat", subformats,
				     compressed ? VMDK_STREAM_OPTIMIZED : VMDK_MONOLITHIC_SPARSE,
				     &type, e);

	if (rc)
		return rc;
	*ret = (enum vmdk_type)type;
	if (compressed && *ret != VMDK_STREAM_OPTIMIZED)
		return err_set(e, EINVAL,
			       "only images of the subformat streamOptimized are "
			       "compressed, not %s",
			       subformats[type]);
	return 0;
}

const char *vmdk_why_no_pipe(const struct image_create_opts *o)
{
	enum vmdk_type type = VMDK_OTHER;

	if (take_subformat(o, &type, NULL) < 0 || type == VMDK_STREAM_OPTIMIZED)
		return NULL; /* what is wrong with the options is told by create */
	if (type == VMDK_MONOLITHIC_SPARSE)
		return "the tables at its beginning are known only at the end "
		       "(subformat=streamOptimized can be)";
	return "it consists of several files";
}

static int take_options(struct vmdk_writer *w, const struct image_create_opts *o, struct err *e)
{
	const char *hwversion = image_create_option(o, "hwversion");
	uint64_t version = HWVERSION_DEFAULT;
	unsigned adapter = 0;
	int rc = take_subformat(o, &w->type, e);

	if (rc == 0)
		rc = image_create_choice(o, "adapter_type", adapters,
					 w->type == VMDK_STREAM_OPTIMIZED ? ADAPTER_LSILOGIC
									  : ADAPTER_IDE,
					 &adapter, e);
	if (rc)
		return rc;
	if (hwversion) {
		rc = str_to_u64(hwversion, 1, 999, &version, e);
		if (rc < 0)
			return err_set(e, EINVAL, "hwversion: '%s' is no number from 1 to 999",
				       hwversion);
	}
	w->adapter = adapters[adapter];
	w->hwversion = (unsigned)version;
	w->level = o ? o->level : 0;
	if (w->level > LEVEL_MAX || (w->level && w->type != VMDK_STREAM_OPTIMIZED))
		return err_set(e, EINVAL, "there is no compression level %u here", w->level);
	return 0;
}

/* The content's identifier: the same for the same size and options, never one with a meaning. */
static void make_cid(struct vmdk_writer *w)
{
	uint8_t hash[DIGEST_MAX];
	char text[160];
	int n = snprintf(text, sizeof(text), "vmdk %s %s %u %llu", subformats[w->type], w->adapter,
			 w->hwversion, (unsigned long long)w->common.size);

	digest_of(DIGEST_SHA256, text, (size_t)n, hash);
	w->cid = be32_get(hash + 12) & 0x7fffffffu;
	be32_put(hash + 12, w->cid);
	hex_encode(hash, 16, w->long_cid);
}

static int check_size(const struct vmdk_writer *w, struct err *e)
{
	uint64_t size = w->common.size;

	if (size % SECTOR)
		return err_set(e, EINVAL, "a size of %llu bytes is no multiple of 512",
			       (unsigned long long)size);
	if (div_up(size, w->extent_size) > VMDK_EXTENTS_MAX)
		return err_set(e, EINVAL, "%llu bytes are more than %u extents hold",
			       (unsigned long long)size, VMDK_EXTENTS_MAX);
	return 0;
}

/* ---- layout -------------------------------------------------------------------------------- */

static bool is_flat(const struct vmdk_writer *w)
{
	return w->type == VMDK_MONOLITHIC_FLAT || w->type == VMDK_SPLIT_FLAT;
}

static bool is_embedded(const struct vmdk_writer *w)
{
	return w->type == VMDK_MONOLITHIC_SPARSE || w->type == VMDK_STREAM_OPTIMIZED;
}

uint64_t vmdk_extent_length(const struct vmdk_writer *w, size_t i)
{
	return MIN(w->extent_size, w->common.size - i * w->extent_size);
}

struct vmdk_layout vmdk_lay_out(uint64_t length, bool embedded)
{
	struct vmdk_layout l = {.n_gd = (uint32_t)div_up(length, VMDK_GT_COVERS)};

	l.gd_sectors = div_up((uint64_t)l.n_gd * 4, SECTOR);
	l.rgd = embedded ? 1 + VMDK_DESCRIPTOR_SECTORS : 1;
	l.rgt = l.rgd + l.gd_sectors;
	l.gd = l.rgt + (uint64_t)l.n_gd * GT_SECTORS;
	l.gt = l.gd + l.gd_sectors;
	l.overhead = round_up(l.gt + (uint64_t)l.n_gd * GT_SECTORS, VMDK_GRAIN_SECTORS);
	return l;
}

uint64_t vmdk_full_size(const struct image_writer *iw)
{
	const struct vmdk_writer *w = (const struct vmdk_writer *)iw;
	uint64_t grains = div_up(iw->size, VMDK_GRAIN_SIZE);
	AUTO_BUF text = BUF_INIT;
	uint64_t total = 0;

	if (!is_embedded(w)) {
		(void)vmdk_write_descriptor(w, &text, NULL);
		total = text.len;
	}
	if (is_flat(w))
		return total + iw->size;
	if (w->type == VMDK_STREAM_OPTIMIZED)
		return VMDK_GRAIN_SIZE + grains * iw->encoded_max +
		       (uint64_t)w->n_gd * (SECTOR + GT_SIZE) + SECTOR +
		       round_up((uint64_t)w->n_gd * 4, SECTOR) + TRAILER_SIZE;
	for (size_t i = 0; i < w->n_extents; i++)
		total += vmdk_lay_out(vmdk_extent_length(w, i), is_embedded(w)).overhead * SECTOR;
	return total + grains * VMDK_GRAIN_SIZE;
}

void vmdk_put_header(const struct vmdk_writer *w, uint64_t capacity, const struct vmdk_layout *l,
		     uint8_t h[SECTOR])
{
	bool stream = w->type == VMDK_STREAM_OPTIMIZED;

	memset(h, 0, SECTOR);
	le32_put(h, VMDK_MAGIC);
	le32_put(h + HDR_VERSION, stream ? 3 : 1);
	le32_put(h + HDR_FLAGS,
		 FLAG_NEWLINES | (stream ? FLAG_COMPRESSED | FLAG_MARKERS : FLAG_RGD));
	le64_put(h + HDR_CAPACITY, capacity);
	le64_put(h + HDR_GRAIN, VMDK_GRAIN_SECTORS);
	if (is_embedded(w)) {
		le64_put(h + HDR_DESCRIPTOR, 1);
		le64_put(h + HDR_DESCRIPTOR_SIZE, VMDK_DESCRIPTOR_SECTORS);
	}
	le32_put(h + HDR_GT_ENTRIES, GT_ENTRIES);
	le64_put(h + HDR_RGD, l->rgd);
	le64_put(h + HDR_GD, l->gd);
	le64_put(h + HDR_OVERHEAD, l->overhead);
	le32_put(h + HDR_NEWLINES, VMDK_NEWLINES);
	le16_put(h + HDR_COMPRESSION, stream ? COMPRESSION_DEFLATE : 0);
}

/* ---- the descriptor ------------------------------------------------------------------------ */

/* The file name of extent i; "-s001.vmdk" and so on behind the stem. */
static void file_name(const struct vmdk_writer *w, size_t i, char *name, size_t len)
{
	if (w->type == VMDK_MONOLITHIC_FLAT)
		snprintf(name, len, "%s-flat.vmdk", w->stem);
	else
		snprintf(name, len, "%s-%c%03zu.vmdk", w->stem,
			 w->type == VMDK_SPLIT_FLAT ? 'f' : 's', i + 1);
}

static void add_geometry(const struct vmdk_writer *w, struct buf *out)
{
	bool ide = strcmp(w->adapter, adapters[ADAPTER_IDE]) == 0;
	unsigned heads = ide ? 16 : 255;
	uint64_t cylinders = w->common.size / SECTOR / (heads * 63u);

	cylinders = MIN(MAX(cylinders, 1), ide ? 16383u : 65535u);
	buf_addf(out, "ddb.geometry.cylinders = \"%llu\"\n", (unsigned long long)cylinders);
	buf_addf(out, "ddb.geometry.heads = \"%u\"\n", heads);
	buf_addf(out, "ddb.geometry.sectors = \"63\"\n");
}

int vmdk_write_descriptor(const struct vmdk_writer *w, struct buf *out, struct err *e)
{
	char name[NAME_MAX + 1] = OWN_NAME;

	/* Room for all, so that nothing of what follows can fail. */
	if (buf_reserve(out, 1024 + w->n_extents * (sizeof(name) + 64)) < 0)
		return err_nomem(e);
	buf_addf(out, "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\n");
	buf_addf(out, "CID=%08x\nparentCID=ffffffff\ncreateType=\"%s\"\n", w->cid,
		 subformats[w->type]);
	buf_addf(out, "\n# Extent description\n");
	for (size_t i = 0; i < w->n_extents; i++) {
		if (w->stem)
			file_name(w, i, name, sizeof(name));
		buf_addf(out, "RW %llu %s \"%s\"%s\n",
			 (unsigned long long)(vmdk_extent_length(w, i) / SECTOR),
			 is_flat(w) ? "FLAT" : "SPARSE", name, is_flat(w) ? " 0" : "");
	}
	buf_addf(out, "\n# The Disk Data Base\n#DDB\n\n");
	buf_addf(out, "ddb.longContentID = \"%s\"\n", w->long_cid);
	buf_addf(out, "ddb.virtualHWVersion = \"%u\"\n", w->hwversion);
	add_geometry(w, out);
	buf_addf(out, "ddb.adapterType = \"%s\"\n", w->adapter);
	buf_addf(out, "ddb.toolsVersion = \"2147483647\"\n"); /* not managed */
	return 0;
}

/* ---- beginning ----------------------------------------------------------------------------- */

/* The names end up in quotes in a line of text. */
static int take_stem(struct vmdk_writer *w, const char *stem, struct err *e)
{
	if (!name_is_plain(stem) || strchr(stem, '"') || strlen(stem) > NAME_MAX - 16)
		return err_set(e, EINVAL, "'%s' cannot be a part of names in a VMDK descriptor",
			       stem);
	w->stem = strdup(stem);
	return w->stem ? 0 : err_nomem(e);
}

static int make_files(struct vmdk_writer *w, const struct image_create_opts *o, struct err *e)
{
	const struct image_companions *c = o ? o->companions : NULL;
	char name[NAME_MAX + 1];
	int rc;

	if (is_embedded(w)) {
		w->fds[0] = w->common.fd;
		return 0;
	}
	if (!c)
		return err_set(e, EINVAL, "images of the subformat %s consist of several files",
			       subformats[w->type]);
	rc = take_stem(w, c->stem, e);
	for (size_t i = 0; rc == 0 && i < w->n_extents; i++) {
		file_name(w, i, name, sizeof(name));
		rc = c->create(c->ctx, name, &w->fds[i], e);
		if (rc == 0 && is_flat(w) &&
		    ftruncate(w->fds[i], (off_t)vmdk_extent_length(w, i)) < 0)
			rc = err_errno(e, errno, "setting the size of '%s'", name);
	}
	return rc;
}

/* What is not written must be zeros: a device has something there. */
static int check_target(const struct vmdk_writer *w, struct err *e)
{
	struct stat st;

	if (w->common.pipe)
		return 0;
	if (fstat(w->common.fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ENOTSUP, "VMDK images are written to files and pipes only");
	return 0;
}

static int prepare(struct vmdk_writer *w, const struct image_create_opts *o, struct err *e)
{
	struct image_writer *iw = &w->common;
	bool split = w->type == VMDK_SPLIT_FLAT || w->type == VMDK_SPLIT_SPARSE;
	int rc;

	w->extent_size = split ? SPLIT_SIZE : VMDK_SIZE_MAX;
	rc = check_size(w, e);
	if (rc)
		return rc;
	iw->grain = is_flat(w) ? FLAT_GRAIN : VMDK_GRAIN_SIZE;
	iw->fixed = is_flat(w);
	make_cid(w);
	w->n_extents = (size_t)div_up(iw->size, w->extent_size);
	w->fds = calloc(w->n_extents, sizeof(*w->fds));
	if (!w->fds)
		return err_nomem(e);
	rc = make_files(w, o, e);
	if (rc)
		return rc;
	if (w->type == VMDK_STREAM_OPTIMIZED) {
		iw->encodes = true;
		iw->encoded_max = (uint32_t)round_up(
			GRAIN_HEADER + vmdk_encoded_max(VMDK_GRAIN_SIZE), SECTOR);
		return vmdk_stream_begin(w, e);
	}
	if (!is_flat(w)) {
		w->layout = vmdk_lay_out(vmdk_extent_length(w, 0), is_embedded(w));
		w->next = w->layout.overhead;
	}
	return 0;
}

int vmdk_create(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
		struct image_writer **ret, struct err *e)
{
	AUTO(image_writer_discard) struct image_writer *iw = NULL;
	struct vmdk_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return err_nomem(e);
	iw = &w->common;
	rc = image_writer_init(iw, &image_format_vmdk, fd, name, size, o, e);
	if (rc == 0)
		rc = take_options(w, o, e);
	if (rc == 0)
		rc = check_target(w, e);
	if (rc == 0)
		rc = prepare(w, o, e);
	if (rc)
		return rc;
	*ret = STEAL(iw);
	return 0;
}

void vmdk_writer_free(struct image_writer *iw)
{
	struct vmdk_writer *w = to_vmdk_writer(iw);

	free(w->stem);
	free(w->fds);
	free(w->gd);
	free(w->out);
}

/* ---- grains -------------------------------------------------------------------------------- */

int vmdk_writer_encoder_new(const struct image_writer *iw, void **ret, struct err *e)
{
	struct vmdk_encoder *encoder = NULL;
	int rc = vmdk_encoder_new(((const struct vmdk_writer *)iw)->level, &encoder, e);

	*ret = encoder;
	return rc;
}

/*
 * With the header, but for the place on the disk, and padded to a sector. The disk's last grain is a
 * whole one, too: what inflates to less is refused by 7-Zip.
 */
size_t vmdk_writer_encode(const struct image_writer *iw, void *encoder, const void *grain,
			  size_t len, void *out)
{
	uint8_t *bytes = out;
	size_t encoded = vmdk_encode(encoder, grain, iw->grain, bytes + GRAIN_HEADER);
	size_t padded = (size_t)round_up(GRAIN_HEADER + encoded, SECTOR);

	(void)len;
	le32_put(bytes + MARKER_SIZE_AT, (uint32_t)encoded);
	memset(bytes + GRAIN_HEADER + encoded, 0, padded - GRAIN_HEADER - encoded);
	return padded;
}
