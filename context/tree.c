/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An immutable set of paths with bytes behind them: a sorted array over one run of bytes, about
 * 5 KiB for an instance. Directories are not stored: they are what leaves have in common.
 */
#include <stdio.h>

#include "context/imds.h"

struct node {
	uint32_t path; /* offset in bytes; NUL-terminated */
	uint32_t since;
	uint32_t value; /* offset in bytes */
	uint32_t len;
};

struct tree {
	struct node *nodes; /* n, sorted by path once sealed */
	size_t n, cap;
	struct buf bytes;
};

static bool is_visible(const struct node *n, unsigned version)
{
	return (n->since & TREE_DATE) <= (version & TREE_DATE) &&
	       !(n->since & TREE_NEEDS & ~version);
}

int tree_new(struct tree **ret, struct err *e)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : err_nomem(e);
}

void tree_free(struct tree *t)
{
	free(t->nodes);
	buf_release(&t->bytes);
	free(t);
}

static const char *path_of(const struct tree *t, const struct node *n)
{
	return t->bytes.data + n->path;
}

static struct http_slice value_of(const struct tree *t, const struct node *n)
{
	return (struct http_slice){t->bytes.data + n->value, n->len};
}

int tree_add(struct tree *t, unsigned since, const char *path, const void *value, size_t len,
	     struct err *e)
{
	size_t path_len = strlen(path);
	size_t end;

	if (!size_add(t->bytes.len, path_len + 1, &end) || !size_add(end, len, &end) ||
	    end > UINT32_MAX)
		return err_set(e, EFBIG, "an instance's metadata is larger than 4 GiB");
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 32;
		struct node *grown = reallocarray(t->nodes, cap, sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		t->nodes = grown;
		t->cap = cap;
	}
	if (buf_reserve(&t->bytes, path_len + 1 + len))
		return err_nomem(e);
	t->nodes[t->n++] = (struct node){.path = (uint32_t)t->bytes.len,
					 .since = since,
					 .value = (uint32_t)(t->bytes.len + path_len + 1),
					 .len = (uint32_t)len};
	/* the room is there: these cannot fail */
	buf_add(&t->bytes, path, path_len + 1);
	buf_add(&t->bytes, value, len);
	return 0;
}

int tree_adds(struct tree *t, unsigned since, const char *path, const char *value, struct err *e)
{
	return tree_add(t, since, path, value, strlen(value), e);
}

/* The first node whose path is not less than `path`. */
static size_t lower_bound(const struct tree *t, const char *path)
{
	size_t lo = 0;
	size_t hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(path_of(t, &t->nodes[mid]), path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int compare(const void *a, const void *b, void *tree)
{
	return strcmp(path_of(tree, a), path_of(tree, b));
}

int tree_seal(struct tree *t, struct err *e)
{
	AUTO_BUF dir = BUF_INIT;

	if (t->n)
		qsort_r(t->nodes, t->n, sizeof(*t->nodes), compare, t);
	for (size_t i = 0; i < t->n; i++) {
		const char *path = path_of(t, &t->nodes[i]);
		size_t at;

		if (i && !strcmp(path, path_of(t, &t->nodes[i - 1])))
			return err_set(e, EEXIST, "'%s' is there twice", path);
		if (*path && path[strlen(path) - 1] == '/')
			continue;
		buf_clear(&dir);
		if (buf_adds(&dir, path) || buf_addc(&dir, '/'))
			return err_nomem(e);
		at = lower_bound(t, dir.data);
		if (at < t->n && !strncmp(path_of(t, &t->nodes[at]), dir.data, dir.len))
			return err_set(e, EEXIST, "'%s' is a leaf and a directory", path);
	}
	return 0;
}

/*
 * Lists what lies below prefix ("" or ending in '/') from node i on. Children with a common first
 * component are neighbours, since all paths with one prefix are. Returns how many, or -ENOMEM.
 */
static int list(const struct tree *t, size_t i, unsigned version, const char *prefix,
		struct buf *listing)
{
	size_t prefix_len = strlen(prefix);
	const char *last = NULL;
	size_t last_len = 0;
	int n = 0;

	for (; i < t->n; i++) {
		const char *name = path_of(t, &t->nodes[i]);
		const char *slash;
		size_t len;

		if (strncmp(name, prefix, prefix_len))
			break;
		name += prefix_len;
		if (!is_visible(&t->nodes[i], version) || !*name)
			continue;
		slash = strchr(name, '/');
		len = slash ? (size_t)(slash - name) + 1 : strlen(name);
		if (last && len == last_len && !memcmp(name, last, len))
			continue;
		last = name;
		last_len = len;
		if ((n++ && buf_addc(listing, '\n')) || buf_add(listing, name, len))
			return -ENOMEM;
	}
	return n;
}

int tree_lookup(const struct tree *t, unsigned version, const char *path, struct http_slice *ret,
		struct buf *listing)
{
	AUTO_BUF prefix = BUF_INIT;
	size_t i = lower_bound(t, path);
	const struct node *own;
	int n;

	if (*path && i < t->n && !strcmp(path_of(t, &t->nodes[i]), path)) {
		if (!is_visible(&t->nodes[i], version))
			return TREE_NONE;
		*ret = value_of(t, &t->nodes[i]);
		return t->nodes[i].since & TREE_MADE ? TREE_MADE_LEAF : TREE_LEAF;
	}
	if (*path && (buf_adds(&prefix, path) || buf_addc(&prefix, '/')))
		return -ENOMEM;
	i = lower_bound(t, buf_str(&prefix));
	own = i < t->n ? &t->nodes[i] : NULL;
	if (*path && own && !strcmp(path_of(t, own), buf_str(&prefix)) &&
	    is_visible(own, version)) {
		struct http_slice text = value_of(t, own);

		return buf_add(listing, text.p, text.len) ? -ENOMEM : TREE_DIRECTORY;
	}
	n = list(t, i, version, buf_str(&prefix), listing);
	if (n < 0)
		return n;
	return n ? TREE_DIRECTORY : TREE_NONE;
}

int tree_walk(const struct tree *t, unsigned version,
	      int (*fn)(void *arg, const char *path, struct http_slice value), void *arg)
{
	for (size_t i = 0; i < t->n; i++) {
		const char *path = path_of(t, &t->nodes[i]);
		int rc;

		if (!is_visible(&t->nodes[i], version) || !*path || path[strlen(path) - 1] == '/')
			continue;
		rc = fn(arg, path, value_of(t, &t->nodes[i]));
		if (rc)
			return rc;
	}
	return 0;
}
