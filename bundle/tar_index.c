/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers of a tar archive, one after the other: ustar, GNU and PAX, as OVA files have them.
 * Only regular files count; a folder's own entry is passed over. A name is what a file of the
 * package is called, never a path: whatever has more than a plain name is refused ("./NAME" alone
 * is taken, which `tar -C folder .` writes).
 */
#include <inttypes.h>
#include <sys/stat.h>

#include "bundle/tar_header.h"
#include "bundle/tar_index.h"
#include "lib/fs.h"
#include "lib/stop.h"

#define MEMBERS_MAX 10000
#define EXT_LIMIT (UINT64_C(1) << 20) /* bytes of a PAX or long-name header */
#define NAME_FIELD 100
#define PREFIX_AT 345
#define PREFIX_FIELD 155

struct scan {
	int fd;
	uint64_t size, at;
	struct tar_index *t;
	char *long_name; /* of the next member; NULL: its header has it */
	struct pax_attrs pax;
};

static void scan_release(struct scan *s)
{
	free(s->long_name);
	pax_attrs_release(&s->pax);
}
DEFINE_AUTO_STRUCT(struct scan, scan_release);

static char *field(const uint8_t *at, size_t len)
{
	return strndup((const char *)at, strnlen((const char *)at, len));
}

static int take_name(struct scan *s, const uint8_t *block, const struct tar_header *h, char **ret,
		     struct err *e)
{
	AUTO_FREE char *name = STEAL(s->long_name);
	const char *plain;

	if (!name && !(name = field(block, NAME_FIELD)))
		return err_nomem(e);
	/* A name that needs ustar's prefix has a folder. */
	if (!h->gnu && block[PREFIX_AT])
		return err_set(e, EBADMSG, "file '%s' lies in a folder, '%.*s'", name, PREFIX_FIELD,
			       (const char *)block + PREFIX_AT);
	plain = !strncmp(name, "./", 2) ? name + 2 : name;
	if (!name_is_plain(plain))
		return err_set(e, EBADMSG, "file '%s' has no plain file name", name);
	if (tar_index_find(s->t, plain))
		return err_set(e, EBADMSG, "file '%s' is there twice", plain);
	*ret = strdup(plain);
	return *ret ? 0 : err_nomem(e);
}

static int add_member(struct scan *s, const uint8_t *block, const struct tar_header *h,
		      struct err *e)
{
	struct tar_index *t = s->t;
	struct tar_member m = {.offset = s->at, .size = h->size};
	int rc = take_name(s, block, h, &m.name, e);

	if (rc < 0)
		return rc;
	if (t->n == MEMBERS_MAX) {
		free(m.name);
		return err_set(e, EFBIG, "more than %d files", MEMBERS_MAX);
	}
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 16;
		struct tar_member *grown = reallocarray(t->members, cap, sizeof(*grown));

		if (!grown) {
			free(m.name);
			return err_nomem(e);
		}
		t->members = grown;
		t->cap = cap;
	}
	t->members[t->n++] = m;
	return 0;
}

/* The path of a PAX header, which pax_parse has no use for. */
static int pax_path(const char *records, size_t len, char **ret, struct err *e)
{
	const char *p = records, *end = records + len;

	while (p < end) {
		uint64_t n = 0;
		const char *space = memchr(p, ' ', (size_t)(end - p));

		/* pax_parse has seen that the records are whole. */
		if (!space || tar_decimal(p, (size_t)(space - p), &n, e) < 0 || !n ||
		    n > (uint64_t)(end - p))
			return err_set(e, EBADMSG, "a malformed PAX record");
		if (n > (size_t)(space + 6 - p) && !strncmp(space + 1, "path=", 5)) {
			free(*ret);
			*ret = strndup(space + 6, (size_t)(p + n - 1 - (space + 6)));
			if (!*ret)
				return err_nomem(e);
		}
		p += n;
	}
	return 0;
}

static int take_ext(struct scan *s, const struct tar_header *h, struct err *e)
{
	AUTO_FREE char *data = NULL;
	int rc;

	if (h->size > EXT_LIMIT)
		return err_set(e, EFBIG, "a header of %" PRIu64 " bytes", h->size);
	data = calloc(1, (size_t)h->size + 1);
	if (!data)
		return err_nomem(e);
	rc = fs_pread(s->fd, data, (size_t)h->size, s->at, e);
	if (rc < 0)
		return rc;
	if (h->type == 'L') {
		free(s->long_name);
		s->long_name = STEAL(data);
		return 0;
	}
	if (h->type == 'K')
		return 0;
	rc = pax_parse(data, (size_t)h->size, &s->pax, e);
	return rc < 0 ? rc : pax_path(data, (size_t)h->size, &s->long_name, e);
}

static int take_header(struct scan *s, const uint8_t *block, struct err *e)
{
	struct tar_header h;
	int rc = tar_header_parse(block, &h, e);
	uint64_t padded;

	if (rc < 0)
		return rc;
	if (h.type == '0' && s->pax.has_size)
		h.size = s->pax.size;
	s->at += TAR_BLOCK;
	if (!range_within(s->at, h.size, s->size))
		return err_set(e, EBADMSG, "%" PRIu64 " bytes reach past the end of the archive",
			       h.size);
	switch (h.type) {
	case '0':
		if (s->pax.has_map || s->pax.has_version || s->pax.has_real_size)
			return err_set(e, ENOTSUP, "a sparse file");
		rc = add_member(s, block, &h, e);
		pax_attrs_release(&s->pax);
		break;
	case 'x':
	case 'g':
	case 'L':
	case 'K':
		rc = take_ext(s, &h, e);
		break;
	case '5':
		free(STEAL(s->long_name));
		pax_attrs_release(&s->pax);
		break;
	default:
		return err_set(e, ENOTSUP, "a member of type '%c'", h.type);
	}
	padded = round_up(h.size, TAR_BLOCK);
	s->at = MIN(s->at + padded, s->size);
	return rc;
}

int tar_index_read(int fd, struct tar_index *ret, struct err *e)
{
	AUTO(tar_index_release) struct tar_index t = {0};
	AUTO(scan_release) struct scan s = {.fd = fd, .t = &t};
	uint8_t block[TAR_BLOCK];
	struct stat st;
	unsigned headers = 0;

	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	s.size = (uint64_t)st.st_size;
	while (s.at < s.size) {
		uint64_t at = s.at;
		int rc = stop_check(e);

		if (rc == 0 && s.size - s.at < TAR_BLOCK)
			rc = err_set(e, EBADMSG, "the archive is no whole blocks");
		if (rc == 0)
			rc = fs_pread(fd, block, sizeof(block), s.at, e);
		if (rc == 0 && mem_is_zero(block, sizeof(block)))
			break;
		if (rc == 0 && ++headers > 4 * MEMBERS_MAX)
			rc = err_set(e, EFBIG, "too many headers");
		if (rc == 0)
			rc = take_header(&s, block, e);
		if (rc < 0)
			return err_wrap(e, "tar at 0x%" PRIx64, at);
	}
	*ret = t;
	t = (struct tar_index){0};
	return 0;
}

void tar_index_release(struct tar_index *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->members[i].name);
	free(t->members);
	*t = (struct tar_index){0};
}

const struct tar_member *tar_index_find(const struct tar_index *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (!strcmp(t->members[i].name, name))
			return &t->members[i];
	}
	return NULL;
}
