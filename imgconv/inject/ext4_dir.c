/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders and paths of ext2/3/4. Entries are taken only from blocks that are tiled by them without
 * a gap; "..", which an image can point anywhere, is never believed: paths go back by the way they
 * came, so that nothing leads out of the guest or round in a circle.
 */
#include <inttypes.h>
#include <stdio.h>

#include "imgconv/inject/ext4_priv.h"

/* struct ext4_dir_entry_2 (Linux, ext4 disk layout, "Linear Directories") */
#define DE_OFF_INODE 0
#define DE_OFF_NAME_LEN 6
#define DE_OFF_NAME 8
#define DE_MIN 8

/* struct dx_root, dx_node (same document, "Hash Tree Directories") */
#define DX_ROOT_INFO 24
#define DX_ROOT_INFO_LEN 8
#define DX_ROOT_LIMIT 32
#define DX_NODE_LIMIT 8
#define DX_ENTRY 8
#define DX_TAIL 8
#define DX_BLOCK_MASK 0x0fffffffu
#define DX_HASH_MAX 5

#define DIR_HOLES_MAX 64

/* ---- one block of entries ------------------------------------------------------------------ */

struct tile_stats {
	unsigned live_bytes; /* record lengths of entries in use */
	unsigned dead;       /* entries not in use, the checksum tail not counted */
};

static int tile(struct ext4_fs *g, ext2_ino_t dir, char *data, unsigned size, blk64_t block_nr,
		ext4_slot_fn *fn, void *ctx, struct tile_stats *stats, struct err *e)
{
	int before = -1;

	for (unsigned off = 0; off < size;) {
		struct ext2_dir_entry *de = (struct ext2_dir_entry *)(data + off);
		struct ext4_slot s;
		unsigned rec_len = 0;
		int rc = 0;

		if (size - off < DE_MIN)
			return err_set(e, EBADMSG, "folder %u: an entry's rest of %u bytes", dir,
				       size - off);
		ext2fs_get_rec_len(g->fs, de, &rec_len);
		s = (struct ext4_slot){
			.name = data + off + DE_OFF_NAME,
			.name_len = (uint8_t)data[off + DE_OFF_NAME_LEN],
			.ino = le32_get(data + off + DE_OFF_INODE),
			.block = block_nr ? data : NULL,
			.block_nr = block_nr,
			.offset = off,
			.before = before,
		};
		if (rec_len < DE_MIN || rec_len % 4 || rec_len > size - off ||
		    (s.ino && s.name_len + DE_OFF_NAME > rec_len))
			return err_set(e, EBADMSG, "folder %u: bad entry at 0x%x of block %llu",
				       dir, off, (unsigned long long)block_nr);
		if (s.ino && (!s.name_len || memchr(s.name, '\0', s.name_len) ||
			      memchr(s.name, '/', s.name_len)))
			return err_set(e, EBADMSG, "folder %u: bad name at 0x%x of block %llu", dir,
				       off, (unsigned long long)block_nr);
		if (stats && s.ino)
			stats->live_bytes += rec_len;
		else if (stats && rec_len != sizeof(struct ext2_dir_entry_tail))
			stats->dead++;
		if (s.ino && fn)
			rc = fn(ctx, &s, e);
		if (rc)
			return rc;
		before = (int)off;
		off += rec_len;
	}
	return 0;
}

/* A folder inside its inode: the parent's number, then two runs of entries. */
static int walk_inline(struct ext4_fs *g, ext2_ino_t dir, struct ext2_inode *inode,
		       ext4_slot_fn *fn, void *ctx, struct err *e)
{
	AUTO_BUF data = BUF_INIT;
	int rc = ext4_inline_get(g, dir, inode, &data, e);

	if (rc < 0)
		return rc;
	if (data.len < EXT4_MIN_INLINE_DATA_SIZE)
		return err_set(e, EBADMSG, "folder %u is cut short", dir);
	rc = tile(g, dir, data.data + EXT4_INLINE_DATA_DOTDOT_SIZE,
		  EXT4_MIN_INLINE_DATA_SIZE - EXT4_INLINE_DATA_DOTDOT_SIZE, 0, fn, ctx, NULL, e);
	if (rc)
		return rc;
	return tile(g, dir, data.data + EXT4_MIN_INLINE_DATA_SIZE,
		    (unsigned)(data.len - EXT4_MIN_INLINE_DATA_SIZE), 0, fn, ctx, NULL, e);
}

static int dir_inode(struct ext4_fs *g, ext2_ino_t dir, struct ext2_inode *inode, struct err *e)
{
	uint64_t most;
	int rc = ext4_inode_get(g, dir, inode, e);

	if (rc < 0)
		return rc;
	if (!LINUX_S_ISDIR(inode->i_mode))
		return err_set(e, ENOTDIR, "inode %u is not a folder", dir);
	if (inode->i_flags & EXT4_ENCRYPT_FL)
		return err_set(e, ENOTSUP, "folder %u is encrypted", dir);
	/* Holes are few in a folder: one that is larger than its file system only takes time. */
	most = MIN(EXT4_DIR_SIZE_MAX, ext2fs_blocks_count(g->fs->super) * g->fs->blocksize);
	if (!(inode->i_flags & EXT4_INLINE_DATA_FL) &&
	    (EXT2_I_SIZE(inode) % g->fs->blocksize || EXT2_I_SIZE(inode) > most))
		return err_set(e, EBADMSG, "folder %u has a size of %" PRIu64, dir,
			       (uint64_t)EXT2_I_SIZE(inode));
	return 0;
}

static int read_dir_block(struct ext4_fs *g, ext2_ino_t dir, struct ext2_inode *inode,
			  uint64_t lblk, char *block, blk64_t *nr, struct err *e)
{
	errcode_t err;
	int rc = ext4_map(g, dir, inode, lblk, nr, e);

	if (rc < 0 || !*nr)
		return rc;
	err = ext2fs_read_dir_block4(g->fs, *nr, block, 0, dir);
	if (err)
		return ext4_error(g, err, e, "folder %u, block %" PRIu64, dir, lblk);
	return 0;
}

int ext4_dir_walk(struct ext4_fs *g, ext2_ino_t dir, ext4_slot_fn *fn, void *ctx, struct err *e)
{
	AUTO_FREE char *block = NULL;
	struct ext2_inode inode;
	unsigned holes = 0;
	uint64_t n_blocks;
	int rc = dir_inode(g, dir, &inode, e);

	if (rc < 0)
		return rc;
	if (inode.i_flags & EXT4_INLINE_DATA_FL)
		return walk_inline(g, dir, &inode, fn, ctx, e);
	block = malloc(g->fs->blocksize);
	if (!block)
		return err_nomem(e);
	n_blocks = EXT2_I_SIZE(&inode) / g->fs->blocksize;
	for (uint64_t l = 0; l < n_blocks && !rc; l++) {
		blk64_t nr;

		rc = read_dir_block(g, dir, &inode, l, block, &nr, e);
		/* No kernel makes any, and they cost nothing but the time to run over them. */
		if (!rc && !nr && ++holes > DIR_HOLES_MAX)
			rc = err_set(e, EBADMSG, "folder %u has more than %d holes", dir,
				     DIR_HOLES_MAX);
		if (!rc && nr)
			rc = tile(g, dir, block, g->fs->blocksize, nr, fn, ctx, NULL, e);
	}
	return rc;
}

struct lookup {
	const char *name;
	size_t name_len;
	ext2_ino_t found;
};

static int lookup_slot(void *ctx, const struct ext4_slot *s, struct err *e)
{
	struct lookup *l = ctx;

	(void)e;
	if (s->name_len != l->name_len || memcmp(s->name, l->name, l->name_len) != 0)
		return 0;
	l->found = s->ino;
	return 1;
}

int ext4_dir_lookup(struct ext4_fs *g, ext2_ino_t dir, const char *name, size_t name_len,
		    ext2_ino_t *ret, struct err *e)
{
	struct lookup l = {.name = name, .name_len = name_len};
	int rc = ext4_dir_walk(g, dir, lookup_slot, &l, e);

	*ret = l.found;
	return rc < 0 ? rc : 0;
}

/* ---- before a change: everything that libext2fs takes for granted ---------------------------- */

enum {
	SEEN_NODE = 1,
	SEEN_LEAF,
};

struct htree_check {
	struct ext4_fs *g;
	ext2_ino_t dir;
	struct ext2_inode *inode;
	uint64_t n_blocks;
	uint8_t *seen; /* n_blocks of them */
	struct err *e;
};

static int bad_htree(struct htree_check *c, uint64_t lblk)
{
	return err_set(c->e, EBADMSG, "folder %u: damaged index in block %" PRIu64, c->dir, lblk);
}

static int check_htree_leaf(struct htree_check *c, uint64_t lblk)
{
	AUTO_FREE char *block = malloc(c->g->fs->blocksize);
	struct tile_stats stats = {0};
	blk64_t nr;
	int rc;

	if (!block)
		return err_nomem(c->e);
	rc = read_dir_block(c->g, c->dir, c->inode, lblk, block, &nr, c->e);
	if (rc < 0)
		return rc;
	if (!nr)
		return bad_htree(c, lblk);
	rc = tile(c->g, c->dir, block, c->g->fs->blocksize, nr, NULL, NULL, &stats, c->e);
	/* A leaf that is crumbled into unused entries cannot be split. */
	if (!rc && stats.dead > 1 && stats.live_bytes < c->g->fs->blocksize * 3 / 4)
		return bad_htree(c, lblk);
	return rc;
}

static int check_htree_node(struct htree_check *c, uint64_t lblk, unsigned levels_below)
{
	const unsigned bs = c->g->fs->blocksize;
	const unsigned at = lblk ? DX_NODE_LIMIT : DX_ROOT_LIMIT;
	const unsigned tail = ext2fs_has_feature_metadata_csum(c->g->fs->super) ? DX_TAIL : 0;
	AUTO_FREE char *block = malloc(bs);
	unsigned limit, count;
	blk64_t nr;
	int rc;

	if (!block)
		return err_nomem(c->e);
	rc = read_dir_block(c->g, c->dir, c->inode, lblk, block, &nr, c->e);
	if (rc < 0)
		return rc;
	if (!nr)
		return bad_htree(c, lblk);
	limit = le16_get(block + at);
	count = le16_get(block + at + 2);
	if (limit != (bs - at - tail) / DX_ENTRY || !count || count > limit)
		return bad_htree(c, lblk);
	for (unsigned i = 0; i < count; i++) {
		uint64_t child = le32_get(block + at + i * DX_ENTRY + 4) & DX_BLOCK_MASK;

		if (!child || child >= c->n_blocks || c->seen[child])
			return bad_htree(c, lblk);
		c->seen[child] = levels_below ? SEEN_NODE : SEEN_LEAF;
		rc = levels_below ? check_htree_node(c, child, levels_below - 1)
				  : check_htree_leaf(c, child);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_htree(struct ext4_fs *g, ext2_ino_t dir, struct ext2_inode *inode, struct err *e)
{
	const unsigned bs = g->fs->blocksize;
	AUTO_FREE uint8_t *seen = NULL;
	AUTO_FREE char *block = malloc(bs);
	struct htree_check c = {
		.g = g,
		.dir = dir,
		.inode = inode,
		.n_blocks = EXT2_I_SIZE(inode) / bs,
		.e = e,
	};
	const uint8_t *info;
	unsigned levels, rec_dot = 0, rec_dotdot = 0;
	blk64_t nr;
	int rc;

	if (!block)
		return err_nomem(e);
	rc = read_dir_block(g, dir, inode, 0, block, &nr, e);
	if (rc < 0)
		return rc;
	info = (const uint8_t *)block + DX_ROOT_INFO;
	ext2fs_get_rec_len(g->fs, (struct ext2_dir_entry *)block, &rec_dot);
	ext2fs_get_rec_len(g->fs, (struct ext2_dir_entry *)(block + 12), &rec_dotdot);
	levels = info[6];
	if (!nr || rec_dot != 12 || rec_dotdot != bs - 12 || le32_get(info) != 0 ||
	    info[4] > DX_HASH_MAX || info[5] != DX_ROOT_INFO_LEN ||
	    levels >= (ext2fs_has_feature_largedir(g->fs->super) ? 3u : 2u))
		return bad_htree(&c, 0);
	seen = calloc(1, c.n_blocks ? c.n_blocks : 1);
	if (!seen)
		return err_nomem(e);
	c.seen = seen;
	seen[0] = SEEN_NODE;
	return check_htree_node(&c, 0, levels);
}

int ext4_dir_check(struct ext4_fs *g, ext2_ino_t dir, struct err *e)
{
	struct ext2_inode inode;
	uint64_t n_blocks;
	int rc = dir_inode(g, dir, &inode, e);

	if (rc < 0)
		return rc;
	rc = ext4_dir_walk(g, dir, NULL, NULL, e);
	if (rc < 0 || (inode.i_flags & EXT4_INLINE_DATA_FL))
		return rc;
	n_blocks = EXT2_I_SIZE(&inode) / g->fs->blocksize;
	if (!n_blocks)
		return err_set(e, EBADMSG, "folder %u is empty, without even \".\"", dir);
	for (uint64_t l = 0; l < n_blocks; l++) {
		blk64_t nr;

		rc = ext4_map(g, dir, &inode, l, &nr, e);
		if (rc < 0)
			return rc;
		if (!nr)
			return err_set(e, EBADMSG, "folder %u has a hole at block %" PRIu64, dir,
				       l);
	}
	rc = ext4_blocks_check(g, dir, n_blocks, e);
	if (rc >= 0 && (inode.i_flags & EXT2_INDEX_FL))
		rc = check_htree(g, dir, &inode, e);
	return rc;
}

/* ---- paths ---------------------------------------------------------------------------------- */

struct walk_step {
	ext2_ino_t ino;
	size_t real_len; /* of the real path up to here */
};

struct path_walk {
	struct walk_step *steps; /* from the root (steps[0]) to where we are */
	size_t n, cap;
	struct buf real;
	struct buf todo; /* what is left of the path, links expanded */
	unsigned links;
};

static int push(struct path_walk *w, ext2_ino_t ino, const char *name, size_t len, struct err *e)
{
	if (w->n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 32;
		struct walk_step *steps = realloc(w->steps, cap * sizeof(*steps));

		if (!steps)
			return err_nomem(e);
		w->steps = steps;
		w->cap = cap;
	}
	if (w->n && (buf_addc(&w->real, '/') < 0 || buf_add(&w->real, name, len) < 0))
		return err_nomem(e);
	w->steps[w->n++] = (struct walk_step){.ino = ino, .real_len = w->real.len};
	return 0;
}

static void pop_to(struct path_walk *w, size_t n)
{
	w->n = n;
	w->real.len = w->steps[n - 1].real_len;
	if (w->real.data)
		w->real.data[w->real.len] = '\0';
}

/* Puts a link's target in front of what is left. */
static int expand(struct path_walk *w, struct ext4_fs *g, ext2_ino_t ino, struct ext2_inode *inode,
		  const char *path, struct err *e)
{
	AUTO_BUF all = BUF_INIT;
	struct buf swap;
	int rc;

	if (++w->links > EXT4_SYMLINKS_MAX)
		return err_set(e, ELOOP, "'%s': more than %d symbolic links", path,
			       EXT4_SYMLINKS_MAX);
	rc = ext4_link_target(g, ino, inode, &all, e);
	if (rc < 0)
		return rc;
	if (all.len + w->todo.len > 64 * KIB)
		return err_set(e, ENAMETOOLONG, "'%s': symbolic links make it too long", path);
	if (buf_addc(&all, '/') < 0 || buf_add(&all, buf_str(&w->todo), w->todo.len) < 0)
		return err_nomem(e);
	swap = w->todo;
	w->todo = all;
	all = swap;
	if (w->todo.data[0] == '/')
		pop_to(w, 1);
	return 0;
}

/* Takes the next component off what is left; its length, 0 at the end. */
static size_t next_component(struct path_walk *w, char name[EXT4_NAME_LIMIT + 1])
{
	size_t skip = 0, len;

	while (skip < w->todo.len && w->todo.data[skip] == '/')
		skip++;
	buf_consume(&w->todo, skip);
	len = w->todo.len ? strcspn(w->todo.data, "/") : 0;
	if (len <= EXT4_NAME_LIMIT) {
		if (len)
			memcpy(name, w->todo.data, len);
		name[len] = '\0';
		buf_consume(&w->todo, len);
	}
	return len;
}

static bool nothing_left(const struct path_walk *w)
{
	return !w->todo.len || strspn(w->todo.data, "/") == w->todo.len;
}

/* One component. Returns 1 when the last one does not exist. */
static int step(struct path_walk *w, struct ext4_fs *g, const char *name, size_t len,
		const char *path, unsigned flags, struct err *e)
{
	struct ext2_inode inode;
	ext2_ino_t ino;
	int rc;

	if (!strcmp(name, "."))
		return 0;
	if (!strcmp(name, "..")) {
		if (w->n > 1)
			pop_to(w, w->n - 1);
		return 0;
	}
	rc = ext4_dir_lookup(g, w->steps[w->n - 1].ino, name, len, &ino, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", path);
	if (!ino) {
		if (nothing_left(w) && (flags & EXT4_MAY_LACK))
			return 1;
		return err_set(e, ENOENT, "'%s': no '%s' in '%s'", path, name,
			       w->real.len ? w->real.data : "/");
	}
	rc = ext4_inode_get(g, ino, &inode, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", path);
	if (LINUX_S_ISLNK(inode.i_mode) && (!nothing_left(w) || (flags & EXT4_FOLLOW)))
		return expand(w, g, ino, &inode, path, e);
	return push(w, ino, name, len, e);
}

static int resolve(struct path_walk *w, struct ext4_fs *g, const char *path, unsigned flags,
		   struct ext4_path *ret, struct err *e)
{
	char name[EXT4_NAME_LIMIT + 1] = "";
	int rc = push(w, EXT2_ROOT_INO, "", 0, e);

	if (rc >= 0 && buf_adds(&w->todo, path) < 0)
		rc = err_nomem(e);
	while (rc == 0) {
		size_t len = next_component(w, name);

		if (!len)
			break;
		if (len > EXT4_NAME_LIMIT)
			return err_set(e, ENAMETOOLONG, "'%s': a name of %zu bytes", path, len);
		rc = step(w, g, name, len, path, flags, e);
	}
	if (rc < 0)
		return rc;
	ret->parent = w->steps[w->n - 1].ino;
	if (rc == 0) {
		const char *slash = w->real.len ? strrchr(w->real.data, '/') : NULL;

		ret->ino = ret->parent;
		if (w->n > 1)
			ret->parent = w->steps[w->n - 2].ino;
		snprintf(ret->name, sizeof(ret->name), "%s", slash ? slash + 1 : "");
	} else {
		ret->ino = 0;
		memcpy(ret->name, name, sizeof(ret->name));
		if (buf_addf(&w->real, "/%s", name) < 0)
			return err_nomem(e);
	}
	if (!w->real.len && buf_addc(&w->real, '/') < 0)
		return err_nomem(e);
	ret->real = buf_detach(&w->real);
	return ret->real ? 0 : err_nomem(e);
}

int ext4_path_resolve(struct ext4_fs *g, const char *path, unsigned flags, struct ext4_path *ret,
		      struct err *e)
{
	struct path_walk w = {0};
	int rc;

	*ret = (struct ext4_path){0};
	if (path[0] != '/')
		return err_set(e, EINVAL, "'%s' is not an absolute path", path);
	if (strlen(path) > 64 * KIB)
		return err_set(e, ENAMETOOLONG, "a path of %zu bytes", strlen(path));
	rc = resolve(&w, g, path, flags, ret, e);
	free(w.steps);
	buf_release(&w.real);
	buf_release(&w.todo);
	return rc;
}

void ext4_path_release(struct ext4_path *p)
{
	free(p->real);
	p->real = NULL;
}
