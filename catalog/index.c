/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for images in what a source listed: see catalog/index.h. */
#include "catalog/index.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"

/* ---- reading -------------------------------------------------------------------------------- */

struct index {
	char *path;
	const char *data; /* mapped; len > 0 */
	size_t len;
	int64_t mtime;
};

int index_open(const char *path, struct index **ret, struct err *e)
{
	AUTO(index_close) struct index *x = calloc(1, sizeof(*x));
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;

	if (!x)
		return err_nomem(e);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "opening '%s'", path);
	x->path = strdup(path);
	if (!x->path)
		return err_nomem(e);
	x->mtime = st.st_mtime;
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size < strlen(INDEX_MAGIC))
		return err_set(e, EBADMSG, "'%s' is no index of images", path);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return err_errno(e, errno, "mapping '%s'", path);
	x->data = map;
	x->len = (size_t)st.st_size;
	if (memcmp(x->data, INDEX_MAGIC, strlen(INDEX_MAGIC)) != 0 || x->data[x->len - 1] != '\n')
		return err_set(e, EBADMSG, "'%s' is no index of images of this version", path);
	*ret = STEAL(x);
	return 0;
}

void index_close(struct index *x)
{
	if (!x)
		return;
	if (x->data)
		munmap((void *)x->data, x->len);
	free(x->path);
	free(x);
}

int64_t index_time(const struct index *x)
{
	return x->mtime;
}

/* Where the columns of a line are. */
struct line {
	const char *start, *end; /* behind its first TAB, its LF */
	const char *searched, *searched_end;
};

static bool split(const char *start, const char *end, struct line *ret)
{
	const char *id_end = memchr(start, '\t', (size_t)(end - start));

	ret->start = start;
	ret->end = end;
	ret->searched = id_end ? id_end + 1 : NULL;
	ret->searched_end =
		id_end ? memchr(ret->searched, '\t', (size_t)(end - ret->searched)) : NULL;
	return ret->searched_end != NULL;
}

/* Undoes add_escaped; NULL for an empty text. */
static int take_text(const char *p, size_t n, char **ret)
{
	char *out;

	if (!n)
		return 0;
	out = *ret = malloc(n + 1);
	if (!out)
		return -ENOMEM;
	for (const char *end = p + n; p < end; p++) {
		char c = *p;

		if (c == '\\' && p + 1 < end) {
			c = *++p;
			c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
		}
		*out++ = c;
	}
	*out = '\0';
	return 0;
}

static int take_numbers(const char *p, size_t n, struct catalog_image *im)
{
	char text[160];
	int delivery;
	unsigned flags;

	if (n >= sizeof(text))
		return -EBADMSG;
	memcpy(text, p, n);
	text[n] = '\0';
	if (sscanf(text, "%d,%u,%" SCNu64 ",%" SCNu64 ",%" SCNu64, &delivery, &flags,
		   &im->snapshot_size, &im->size, &im->virtual_size) != 5 ||
	    delivery < DELIVERY_NONE || delivery > DELIVERY_FILE)
		return -EBADMSG;
	im->delivery = (enum delivery_kind)delivery;
	im->is_public = flags & 1;
	im->older = flags & 2;
	im->elsewhere = flags & 4;
	im->marketplace = flags & 8;
	return 0;
}

static int take_line(const struct line *l, struct catalog_image *im)
{
	const char *p = l->searched_end + 1;
	const char *tab = memchr(p, '\t', (size_t)(l->end - p));
	int rc = tab ? take_numbers(p, (size_t)(tab - p), im) : -EBADMSG;

	for (const struct catalog_field *f = catalog_fields; rc == 0 && f->name; f++) {
		if (!tab)
			return -EBADMSG;
		p = tab + 1;
		tab = memchr(p, '\t', (size_t)(l->end - p));
		rc = take_text(p, (size_t)((tab ? tab : l->end) - p), catalog_field_of(im, f));
	}
	if (rc == 0 && (tab || !im->id))
		return -EBADMSG;
	return rc;
}

static int damaged(const struct index *x, int rc, struct err *e)
{
	if (rc == -ENOMEM)
		return err_nomem(e);
	return err_set(e, EBADMSG, "'%s' is damaged; --refresh makes it anew", x->path);
}

int index_find(const struct index *x, const char *id, struct catalog_image *ret, struct err *e)
{
	AUTO(catalog_image_release) struct catalog_image im = {0};
	AUTO_BUF want = BUF_INIT;
	struct line l;
	const char *at, *end;
	int rc;

	if (buf_adds(&want, "\n\t") < 0 || index_add_escaped(&want, id) < 0 ||
	    buf_addc(&want, '\t') < 0)
		return err_nomem(e);
	at = memmem(x->data, x->len, want.data, want.len);
	if (!at)
		return err_set(e, ENOENT, "no image '%s'", id);
	at += 2;
	end = memchr(at, '\n', x->len - (size_t)(at - x->data));
	rc = end && split(at, end, &l) ? take_line(&l, &im) : -EBADMSG;
	if (rc < 0)
		return damaged(x, rc, e);
	*ret = im;
	im = (struct catalog_image){0};
	return 0;
}

/* ---- queries -------------------------------------------------------------------------------- */

static const struct catalog_field *field_by_name(const char *name, size_t n)
{
	static const struct {
		const char *theirs, *ours;
	} short_names[] = {{"arch", "architecture"}, {"distro", "os"}, {"serial", "version"}};

	for (size_t i = 0; i < ARRAY_SIZE(short_names); i++) {
		if (strlen(short_names[i].theirs) == n &&
		    strncmp(name, short_names[i].theirs, n) == 0)
			return field_by_name(short_names[i].ours, strlen(short_names[i].ours));
	}
	for (const struct catalog_field *f = catalog_fields; f->name; f++) {
		if (f->shown && strlen(f->name) == n && strncmp(name, f->name, n) == 0)
			return f;
	}
	return NULL;
}

static int lower_copy(const char *s, char **ret, struct err *e)
{
	*ret = strdup(s);
	for (char *p = *ret; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return *ret ? 0 : err_nomem(e);
}

static int parse_filter(const char *word, const char *eq, struct query *q, struct err *e)
{
	const struct catalog_field *f = field_by_name(word, (size_t)(eq - word));
	const char *pattern = eq + 1;
	char *copy;
	int rc;

	if (!f)
		return err_set(e, EINVAL, "no field '%.*s' of an image to look for",
			       (int)(eq - word), word);
	if (strcmp(f->name, "architecture") == 0)
		pattern = arch_name(pattern);
	rc = lower_copy(pattern, &copy, e);
	if (rc < 0)
		return rc;
	q->filters[q->n_filters++] = (struct query_filter){f->name, copy};
	return 0;
}

int query_parse(const char *const *words, size_t n, struct query *ret, struct err *e)
{
	AUTO(query_release) struct query q = {0};
	int rc = 0;

	q.words = calloc(n + 1, sizeof(*q.words));
	q.filters = calloc(n + 1, sizeof(*q.filters));
	if (!q.words || !q.filters)
		return err_nomem(e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const char *eq = strchr(words[i], '=');
		char *copy;

		if (!*words[i] || eq == words[i])
			return err_set(e, EINVAL, "'%s' is neither a word nor FIELD=PATTERN",
				       words[i]);
		if (eq) {
			rc = parse_filter(words[i], eq, &q, e);
			continue;
		}
		rc = lower_copy(words[i], &copy, e);
		if (rc == 0)
			q.words[q.n_words++] = copy;
	}
	if (rc < 0)
		return rc;
	*ret = q;
	q = (struct query){0};
	return 0;
}

void query_release(struct query *q)
{
	for (size_t i = 0; i < q->n_words; i++)
		free((char *)q->words[i]);
	for (size_t i = 0; i < q->n_filters; i++)
		free((char *)q->filters[i].pattern);
	free(q->words);
	free(q->filters);
	*q = (struct query){0};
}

static bool is_pattern(const char *word)
{
	return word[strcspn(word, "*?")] != '\0';
}

/* A word with * or ? matches a whole blank-separated piece; others match anywhere. */
static bool word_matches(const char *word, const char *text, size_t len)
{
	if (!is_pattern(word))
		return memmem(text, len, word, strlen(word)) != NULL;
	for (const char *p = text, *end = text + len; p < end;) {
		const char *blank = memchr(p, ' ', (size_t)(end - p));
		size_t n = (size_t)((blank ? blank : end) - p);
		char piece[INDEX_SEARCHED_MAX + 1];

		if (n && n < sizeof(piece)) {
			memcpy(piece, p, n);
			piece[n] = '\0';
			if (str_glob(word, piece))
				return true;
		}
		p += n + 1;
	}
	return false;
}

static bool filter_matches(const struct query_filter *q, const struct catalog_image *im)
{
	const struct catalog_field *f = field_by_name(q->name, strlen(q->name));
	const char *text = f ? *catalog_field_of(im, f) : NULL;
	AUTO_FREE char *low = NULL;

	return text && lower_copy(text, &low, NULL) == 0 && str_glob(q->pattern, low);
}

static bool kind_matches(const struct query *q, const struct catalog_image *im)
{
	if ((im->older && !q->older) || (im->elsewhere && !q->elsewhere))
		return false;
	for (size_t i = 0; i < q->n_filters; i++) {
		if (!filter_matches(&q->filters[i], im))
			return false;
	}
	return true;
}

bool query_matches(const struct query *q, const struct catalog_image *im)
{
	AUTO_BUF text = BUF_INIT;

	for (const struct catalog_field *f = catalog_fields; f->name; f++) {
		const char *s = *catalog_field_of(im, f);

		if (f->searched && s && index_add_searched(&text, s) < 0)
			return false;
	}
	for (size_t i = 0; i < q->n_words; i++) {
		if (!word_matches(q->words[i], buf_str(&text), text.len))
			return false;
	}
	return kind_matches(q, im);
}

/* The rarest thing to look for in the whole index at once: the longest word without a pattern. */
static const char *needle_of(const struct query *q)
{
	const char *best = NULL;

	for (size_t i = 0; i < q->n_words; i++) {
		if (!is_pattern(q->words[i]) && (!best || strlen(q->words[i]) > strlen(best)))
			best = q->words[i];
	}
	return best;
}

/* The numbers' column says what can be left out before a line is taken apart. */
static bool worth_reading(const struct query *q, const struct line *l)
{
	const char *comma = memchr(l->searched_end, ',', (size_t)(l->end - l->searched_end));
	unsigned flags = comma && isdigit((unsigned char)comma[1]) ? (unsigned)atoi(comma + 1) : 0;

	if ((flags & 2 && !q->older) || (flags & 4 && !q->elsewhere))
		return false;
	for (size_t i = 0; i < q->n_words; i++) {
		if (!word_matches(q->words[i], l->searched,
				  (size_t)(l->searched_end - l->searched)))
			return false;
	}
	return true;
}

int index_search(const struct index *x, const struct query *q, image_fn *fn, void *ctx,
		 struct err *e)
{
	const char *needle = needle_of(q), *p = x->data + strlen(INDEX_MAGIC),
		   *end = x->data + x->len;
	size_t needle_len = needle ? strlen(needle) : 0;

	while (p < end) {
		AUTO(catalog_image_release) struct catalog_image im = {0};
		const char *hit = p, *line_end;
		struct line l;
		int rc;

		if (needle) {
			hit = memmem(p, (size_t)(end - p), needle, needle_len);
			if (!hit)
				return 0;
			while (hit > p && hit[-1] != '\n')
				hit--;
		}
		line_end = memchr(hit, '\n', (size_t)(end - hit));
		if (!line_end || *hit != '\t' || !split(hit + 1, line_end, &l))
			return damaged(x, -EBADMSG, e);
		p = line_end + 1;
		if (!worth_reading(q, &l))
			continue;
		rc = take_line(&l, &im);
		if (rc < 0)
			return damaged(x, rc, e);
		if (!kind_matches(q, &im))
			continue;
		rc = fn(ctx, &im);
		if (rc != 0)
			return rc;
	}
	return 0;
}
