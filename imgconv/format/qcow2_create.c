/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning a QCOW2 image, or going on with one that was left at a checkpoint. */
#include <sys/stat.h>

#include "imgconv/format/qcow2_write.h"
#include "lib/fs.h"

#define DEFAULT_CLUSTER_BITS 16u
#define BACKING_FORMAT_MAX 31
#define ZLIB_LEVEL_MAX 12u
#define ZSTD_LEVEL_MAX 19u

/* ---- beginning ----------------------------------------------------------------------------- */

const struct image_option qcow2_options[] = {
	{"version", "2|3", "2 is read by QEMU before 1.1 too, but has zlib alone; default: 3"},
	{"compat", "0.10|1.1", "the same in qemu-img's words: 0.10 is version 2"},
	{"preallocation", "off|metadata|falloc|full",
	 "a place in the file for zeros too: left empty, kept free, or written; default: off"},
	{"extended_l2", "on|off", "entries for subclusters, QEMU 5.2 and later; default: off"},
	{NULL, NULL, NULL},
};

static int take_version(struct qcow2_writer *w, const struct image_create_opts *o, struct err *e)
{
	static const char *const versions[] = {"2", "3", NULL};
	static const char *const compats[] = {"0.10", "1.1", "v2", "v3", NULL};
	static const char *const switches[] = {"off", "on", NULL};
	unsigned version, compat, extended;
	int rc = image_create_choice(o, "version", versions, 1, &version, e);

	if (rc == 0)
		rc = image_create_choice(o, "compat", compats, version, &compat, e);
	if (rc == 0)
		rc = image_create_choice(o, "extended_l2", switches, 0, &extended, e);
	if (rc)
		return rc;
	if (image_create_option(o, "version") && compat % 2 != version)
		return err_set(e, EINVAL, "version and compat say different things");
	w->version = 2 + compat % 2;
	w->header_length = w->version == 2 ? HDR_V2_LENGTH : QCOW2_HEADER_LENGTH;
	w->entry_size = extended ? 16 : 8;
	if (w->version == 2 && (extended || w->compression == IMAGE_COMPRESS_ZSTD))
		return err_set(e, EINVAL, "version 2 has no %s",
			       extended ? "extended L2 entries" : "compression by zstd");
	if (extended && w->cluster_bits < QCOW2_EXTENDED_MIN_BITS)
		return err_set(e, EINVAL, "extended L2 entries need clusters of 16 KiB or more");
	return 0;
}

static int take_preallocation(struct qcow2_writer *w, const struct image_create_opts *o,
			      struct err *e)
{
	static const char *const names[] = {"off", "metadata", "falloc", "full", NULL};
	unsigned chosen;
	int rc = image_create_choice(o, "preallocation", names, 0, &chosen, e);

	if (rc)
		return rc;
	if (chosen && w->compression != IMAGE_COMPRESS_NONE)
		return err_set(e, EINVAL, "there is no place to keep for compressed clusters");
	if (chosen && w->common.over_backing)
		return err_set(e, EINVAL,
			       "preallocated clusters would hide those of the backing file");
	w->preallocation = (enum qcow2_preallocation)chosen;
	return 0;
}

static int take_options(struct qcow2_writer *w, const struct image_create_opts *o, struct err *e)
{
	uint64_t size = o && o->cluster_size ? o->cluster_size : 1ull << DEFAULT_CLUSTER_BITS;
	unsigned limit =
		o && o->compression == IMAGE_COMPRESS_ZSTD ? ZSTD_LEVEL_MAX : ZLIB_LEVEL_MAX;
	int rc;

	if (!is_pow2(size) || size < 1ull << QCOW2_MIN_CLUSTER_BITS ||
	    size > 1ull << QCOW2_MAX_CLUSTER_BITS)
		return err_set(e, EINVAL,
			       "a cluster size of %llu bytes is no power of two from 512 to 2 MiB",
			       (unsigned long long)size);
	if (w->common.size % 512)
		return err_set(e, EINVAL, "a size of %llu bytes is no multiple of 512",
			       (unsigned long long)w->common.size);
	w->compression = o ? o->compression : IMAGE_COMPRESS_NONE;
	w->level = o ? o->level : 0;
	if (w->level > limit || (w->level && w->compression == IMAGE_COMPRESS_NONE))
		return err_set(e, EINVAL, "there is no compression level %u here", w->level);
	w->cluster_size = size;
	w->cluster_bits = (unsigned)__builtin_ctzll(size);
	rc = take_version(w, o, e);
	if (rc == 0)
		rc = take_preallocation(w, o, e);
	if (rc)
		return rc;
	w->common.grain = (uint32_t)size;
	w->common.encodes = w->compression != IMAGE_COMPRESS_NONE;
	w->l2_entries = size / w->entry_size;
	w->block_entries = size * 8 >> QCOW2_REFCOUNT_ORDER;
	return 0;
}

static int take_backing(struct qcow2_writer *w, const struct image_create_opts *o, struct err *e)
{
	if (!o || !o->backing_file)
		return 0;
	if (!o->backing_format || strlen(o->backing_format) > BACKING_FORMAT_MAX)
		return err_set(e, EINVAL, "the format of the backing file must be named");
	if (!*o->backing_file ||
	    strlen(o->backing_file) >
		    MIN((uint64_t)QCOW2_BACKING_NAME_MAX, w->cluster_size - QCOW2_HEADER_BYTES))
		return err_set(e, EINVAL, "the backing file's name is empty or too long");
	w->backing_file = strdup(o->backing_file);
	w->backing_format = strdup(o->backing_format);
	return w->backing_file && w->backing_format ? 0 : err_nomem(e);
}

/* On a device what was there before would show through. */
static int check_target(const struct qcow2_writer *w, struct err *e)
{
	struct stat st;

	if (fstat(w->common.fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	if (S_ISBLK(st.st_mode))
		return err_set(e, ENOTSUP, "a QCOW2 image is not written to a block device");
	return 0;
}

uint64_t qcow2_full_size(const struct image_writer *iw)
{
	const struct qcow2_writer *w = (const struct qcow2_writer *)iw;
	uint64_t tables = w->reftable_offset / w->cluster_size + w->reftable_clusters;
	uint64_t data = iw->over_backing ? 0 : div_up(iw->size, w->cluster_size);
	uint64_t l2 = iw->over_backing ? 0 : w->n_l1;
	uint64_t counted = tables + data + l2;

	/* A compressed cluster begins at most one new cluster of the file, as a plain one does.
	 * Of those that a refcount block counts one is itself. */
	return (counted + counted / (w->block_entries - 1) + 1) << w->cluster_bits;
}

/* Places and sizes of the fixed tables; *ret_blocks the refcount blocks that they need. */
static int lay_out(struct qcow2_writer *w, uint64_t *ret_blocks, struct err *e)
{
	uint64_t cs = w->cluster_size;
	uint64_t data = div_up(w->common.size, cs);
	uint64_t l1_clusters, used, blocks = 1, worst;

	w->n_l1 = div_up(data, w->l2_entries);
	l1_clusters = div_up(w->n_l1 * 8, cs);
	if (w->n_l1 * 8 > QCOW2_L1_MAX)
		return err_set(e, EFBIG, "%llu bytes are too many for clusters of %llu bytes",
			       (unsigned long long)w->common.size, (unsigned long long)cs);
	/* At worst all clusters are stored as they are, and each L2 table and each checkpoint
	 * leaves one cluster unused before it. */
	worst = data + 2 * w->n_l1 + l1_clusters + data / 64 + 1024;
	worst += worst / w->block_entries * 2;
	w->reftable_clusters = MAX(1, div_up(div_up(worst, w->block_entries) * 8, cs));
	w->reftable_clusters = MIN(w->reftable_clusters, MAX(QCOW2_REFTABLE_MAX / cs, 1));
	w->n_reftable = w->reftable_clusters * cs / 8;
	w->l1_offset = cs;
	w->reftable_offset = (1 + l1_clusters) * cs;
	used = 1 + l1_clusters + w->reftable_clusters;
	while (blocks * w->block_entries < used + blocks)
		blocks++;
	w->next_cluster = used + blocks;
	*ret_blocks = blocks;
	return 0;
}

/* Writes the refcount blocks of the fixed tables; the last one becomes the current one. */
static int write_first_blocks(struct qcow2_writer *w, uint64_t blocks, struct err *e)
{
	uint64_t first = w->next_cluster - blocks;

	for (uint64_t i = 0; i < blocks; i++) {
		uint64_t end = MIN((i + 1) * w->block_entries, w->next_cluster);
		int rc;

		memset(w->block, 0, (size_t)w->cluster_size);
		w->block_index = i;
		w->reftable[i] = (first + i) << w->cluster_bits;
		for (uint64_t c = i * w->block_entries; c < end; c++)
			qcow2_writer_count(w, c);
		rc = qcow2_writer_flush_block(w, e);
		if (rc)
			return rc;
	}
	return 0;
}

/* A writer with its fixed layout and nothing written; *ret_blocks as of lay_out. */
static int new_writer(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
		      struct image_writer **ret, uint64_t *ret_blocks, struct err *e)
{
	AUTO(image_writer_discard) struct image_writer *iw = NULL;
	struct qcow2_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return err_nomem(e);
	iw = &w->common;
	rc = image_writer_init(iw, &image_format_qcow2, fd, name, size, o, e);
	if (rc == 0)
		rc = take_options(w, o, e);
	if (rc == 0)
		rc = take_backing(w, o, e);
	if (rc == 0)
		rc = check_target(w, e);
	if (rc == 0)
		rc = lay_out(w, ret_blocks, e);
	if (rc)
		return rc;
	w->l1 = calloc(w->n_l1 ? w->n_l1 : 1, sizeof(*w->l1));
	w->reftable = calloc(w->n_reftable, sizeof(*w->reftable));
	w->l2 = calloc(1, (size_t)w->cluster_size);
	w->block = calloc(1, (size_t)w->cluster_size);
	w->out = malloc(MAX(QCOW2_OUT_MAX, w->cluster_size));
	if (!w->l1 || !w->reftable || !w->l2 || !w->block || !w->out)
		return err_nomem(e);
	*ret = STEAL(iw);
	return 0;
}

int qcow2_create(int fd, const char *name, uint64_t size, const struct image_create_opts *o,
		 struct image_writer **ret, struct err *e)
{
	AUTO(image_writer_discard) struct image_writer *iw = NULL;
	uint64_t blocks;
	int rc = new_writer(fd, name, size, o, &iw, &blocks, e);

	if (rc == 0)
		rc = qcow2_writer_keep_room(to_writer(iw), qcow2_full_size(iw), e);
	if (rc == 0)
		rc = write_first_blocks(to_writer(iw), blocks, e);
	if (rc == 0 && to_writer(iw)->backing_file)
		rc = fs_pwrite(fd, to_writer(iw)->backing_file, strlen(to_writer(iw)->backing_file),
			       QCOW2_HEADER_BYTES, e);
	if (rc)
		return rc;
	*ret = STEAL(iw);
	return 0;
}

/* ---- resuming ------------------------------------------------------------------------------ */

static int damaged(const char *what, uint64_t i, struct err *e)
{
	return err_set(e, EBADMSG, "%s entry %llu does not fit the checkpoint", what,
		       (unsigned long long)i);
}

static int read_u64s(const struct qcow2_writer *w, uint64_t *v, uint64_t n, uint64_t off,
		     struct err *e)
{
	int rc = fs_pread(w->common.fd, v, (size_t)n * 8, off, e);

	for (uint64_t i = 0; rc == 0 && i < n; i++)
		v[i] = be64_get(&v[i]);
	return rc;
}

/* L1 and the table that the checkpoint lies in, without what was added after it. */
static int resume_l1(struct qcow2_writer *w, const struct image_checkpoint *c, struct err *e)
{
	uint64_t covers = w->l2_entries << w->cluster_bits;
	uint64_t current = c->position / covers;
	uint64_t keep;
	int rc = read_u64s(w, w->l1, w->n_l1, w->l1_offset, e);

	for (uint64_t i = 0; rc == 0 && i < w->n_l1; i++) {
		uint64_t off = w->l1[i] & ENTRY_OFFSET_MASK;

		if (i > current || (i == current && off >= c->file_end))
			w->l1[i] = off = 0;
		if (off && (w->l1[i] != (off | ENTRY_COPIED) || off % w->cluster_size ||
			    off >= c->file_end))
			return damaged("L1", i, e);
	}
	if (rc < 0 || current >= w->n_l1 || !w->l1[current])
		return rc;
	w->l2_index = current;
	w->l2_offset = w->l1[current] & ENTRY_OFFSET_MASK;
	rc = fs_pread(w->common.fd, w->l2, (size_t)w->cluster_size, w->l2_offset, e);
	if (rc)
		return rc;
	/* The position is inside of a cluster only at the disk's end: that cluster is whole. */
	keep = div_up(c->position % covers, w->cluster_size) * w->entry_size;
	memset(w->l2 + keep, 0, (size_t)(w->cluster_size - keep));
	return 0;
}

static int resume_refcounts(struct qcow2_writer *w, const struct image_checkpoint *c, struct err *e)
{
	uint64_t end = c->file_end >> w->cluster_bits;
	uint64_t current = (end - 1) / w->block_entries;
	int rc = read_u64s(w, w->reftable, w->n_reftable, w->reftable_offset, e);

	if (rc == 0 && current >= w->n_reftable)
		return damaged("refcount table", current, e);
	for (uint64_t i = 0; rc == 0 && i < w->n_reftable; i++) {
		if (i > current)
			w->reftable[i] = 0;
		else if (!w->reftable[i] || w->reftable[i] % w->cluster_size ||
			 w->reftable[i] >= c->file_end)
			return damaged("refcount table", i, e);
	}
	if (rc)
		return rc;
	w->block_index = current;
	w->next_cluster = end;
	rc = fs_pread(w->common.fd, w->block, (size_t)w->cluster_size, w->reftable[current], e);
	for (uint64_t i = end - current * w->block_entries; rc == 0 && i < w->block_entries; i++)
		be16_put(w->block + i * 2, 0);
	return rc;
}

int qcow2_resume(int fd, const char *name, const struct image_create_opts *o,
		 struct image_writer **ret, struct err *e)
{
	AUTO(image_writer_discard) struct image_writer *iw = NULL;
	uint8_t h[QCOW2_HEADER_BYTES], expected[QCOW2_HEADER_BYTES];
	const uint8_t *ext;
	struct qcow2_writer *w;
	struct image_checkpoint c;
	uint64_t file_size, blocks;
	int rc = image_fd_size(fd, &file_size, e);

	if (rc)
		return rc;
	if (file_size < sizeof(h))
		return err_set(e, EBADMSG, "there is no checkpoint in the file");
	rc = fs_pread(fd, h, sizeof(h), 0, e);
	ext = h + (rc == 0 && be32_get(h + HDR_VERSION) == 2 ? HDR_V2_LENGTH : QCOW2_HEADER_LENGTH);
	if (rc == 0 && be32_get(ext) != EXT_CHECKPOINT)
		return err_set(e, EBADMSG, "there is no checkpoint in the file");
	if (rc == 0)
		rc = image_checkpoint_decode(ext + 8, &c, e);
	if (rc == 0)
		rc = new_writer(fd, name, c.size, o, &iw, &blocks, e);
	if (rc)
		return rc;
	w = to_writer(iw);
	if (c.grain != iw->grain || c.compression != (uint32_t)w->compression)
		return err_set(e, EINVAL,
			       "the file was begun with other cluster size or compression");
	qcow2_writer_header(w, &c, expected);
	if (memcmp(h, expected, sizeof(h)) != 0)
		return err_set(e, EBADMSG, "header and checkpoint do not fit each other");
	if (c.file_end % w->cluster_size || c.file_end > file_size ||
	    c.file_end < w->next_cluster << w->cluster_bits ||
	    (c.position % iw->grain && c.position != c.size))
		return err_set(e, EBADMSG, "the checkpoint does not fit the file");
	rc = resume_l1(w, &c, e);
	if (rc == 0)
		rc = resume_refcounts(w, &c, e);
	if (rc == 0 && ftruncate(fd, (off_t)c.file_end) < 0)
		rc = err_errno(e, errno, "setting the file's size");
	if (rc)
		return rc;
	iw->position = c.position;
	w->preallocated = round_up(c.position, w->cluster_size);
	*ret = STEAL(iw);
	return 0;
}
