/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initial RAM disks (Linux Documentation/driver-api/early-userspace/buffer-format.rst): cpio
 * archives of the new ASCII form one behind the other, zeros between them, the first ones often
 * with a processor's microcode; one of them may be compressed, and is the last that is looked at.
 *
 * A member is a header of 110 letters (magic "070701" or "070702", then 13 numbers of 8 hex
 * digits: 6 is the size of the file, 11 the length of its name with a NUL), the name and the file,
 * each padded to a multiple of 4 bytes. A member "TRAILER!!!" ends an archive.
 *
 * Nothing is kept but a name: memory is what decompression takes, time is bounded by the limit.
 */
#include "imgconv/disk/initrd.h"

#include <archive.h>
#include <stdio.h>

#include "lib/stop.h"
#include "lib/str.h"

#define PIECE (64 * KIB)
#define HEADROOM 32u /* of a stream's buffer, for what is left of the piece before */
#define HEADER 110u
#define NUMBERS 13u
#define NUMBER_SIZE 6u
#define NUMBER_NAME 11u
#define NAME_MAX_LEN 4096u
#define TRAILER "TRAILER!!!"
#define DICTIONARY_MAX (64 * MIB)
#define ZEROS_MAX (16 * MIB) /* between archives; more are the end */

static const struct compression {
	const char *name;
	const char *magic;
	size_t len;
	int filter;    /* ARCHIVE_FILTER_*; ARCHIVE_FILTER_NONE: not supported */
	unsigned cost; /* of a byte; 1: about a nanosecond */
} compressions[] = {
	{"gzip", "\x1f\x8b", 2, ARCHIVE_FILTER_GZIP, 4},
	{"bzip2", "BZh", 3, ARCHIVE_FILTER_BZIP2, 32},
	{"xz",
	 "\xfd"
	 "7zXZ\0",
	 6, ARCHIVE_FILTER_XZ, 12},
	{"lzma", "\x5d\0\0", 3, ARCHIVE_FILTER_LZMA, 12},
	{"zstd", "\x28\xb5\x2f\xfd", 4, ARCHIVE_FILTER_ZSTD, 2},
	{"lz4", "\x02\x21\x4c\x18", 4, ARCHIVE_FILTER_LZ4, 1},
	{"lz4", "\x04\x22\x4d\x18", 4, ARCHIVE_FILTER_LZ4, 1},
	{"lzo", "\x89LZO\0\r\n", 7, ARCHIVE_FILTER_NONE, 1},
};

/* A run of bytes, front to back: the file itself, or what is decompressed of it. */
struct stream {
	const struct initrd_source *source;
	struct archive *archive; /* NULL: the file itself */
	uint8_t *buf;            /* HEADROOM + PIECE bytes */
	size_t at, end;          /* of buf: what is not taken yet */
	uint64_t position;       /* of buf[at], from the stream's beginning */
	uint64_t loaded;         /* of the source: where the next piece is read */
	unsigned cost;           /* of a byte that is read */
	uint64_t read;
	uint64_t budget; /* what may be spent yet */
	bool limited;    /* the limit was reached */
	struct err *e;
};

static int load_source(const struct initrd_source *source, uint8_t *buf, uint64_t *loaded,
		       size_t *ret, struct err *e)
{
	int rc = source->read(source->ctx, buf, PIECE, *loaded, ret, e);

	if (rc >= 0)
		*loaded += PIECE;
	return rc;
}

static const char *archive_says(struct archive *a)
{
	const char *text = archive_error_string(a);

	return text ? text : "damaged";
}

/* The next piece: 1, 0 at the end or the limit. */
static int load(struct stream *s)
{
	size_t n = 0;
	int rc = stop_check(s->e);

	s->at = s->end = HEADROOM;
	if (rc < 0)
		return rc;
	if (!s->budget) {
		s->limited = true;
		return 0;
	}
	if (s->archive) {
		la_ssize_t got = archive_read_data(s->archive, s->buf + HEADROOM, PIECE);

		if (got < 0)
			return err_set(s->e, EBADMSG, "initrd: %s", archive_says(s->archive));
		n = (size_t)got;
	} else {
		rc = load_source(s->source, s->buf + HEADROOM, &s->loaded, &n, s->e);
		if (rc < 0)
			return rc;
	}
	s->end += n;
	s->read += n;
	s->budget -= MIN(s->budget, n * s->cost);
	return n > 0;
}

/* In the middle of something there is no more: the limit, or too short an archive. */
static int cut_short(struct stream *s)
{
	if (s->limited)
		return 0;
	return err_set(s->e, EBADMSG, "initrd: the archive ends early, at 0x%llx",
		       (unsigned long long)s->position);
}

/* Exactly len bytes: 1, or 0 if there is none at all. */
static int take(struct stream *s, void *to, size_t len)
{
	uint8_t *out = to;
	size_t left = len;

	while (left) {
		size_t n = MIN(left, s->end - s->at);

		if (!n) {
			int rc = load(s);

			if (rc == 0 && left < len)
				rc = cut_short(s);
			if (rc <= 0)
				return rc;
			continue;
		}
		memcpy(out, s->buf + s->at, n);
		out += n;
		left -= n;
		s->at += n;
		s->position += n;
	}
	return 1;
}

/* Passes over len bytes; of the file itself, without reading them. */
static int skip(struct stream *s, uint64_t len)
{
	for (;;) {
		uint64_t n = MIN(len, (uint64_t)(s->end - s->at));
		int rc;

		s->at += (size_t)n;
		s->position += n;
		len -= n;
		if (!len)
			return 1;
		if (!s->archive && len >= PIECE) {
			uint64_t whole = len - len % PIECE;

			/* The next piece to be read is a multiple of PIECE on. */
			s->loaded += whole;
			s->position += whole;
			len -= whole;
			if (s->loaded > s->source->size)
				return cut_short(s);
			continue;
		}
		rc = load(s);
		if (rc <= 0)
			return rc < 0 ? rc : cut_short(s);
	}
}

/* ---- cpio ------------------------------------------------------------------------------------ */

static int parse_number(const char *header, unsigned i, uint32_t *ret, struct err *e)
{
	uint8_t raw[4];
	int rc = hex_decode(header + 6 + (size_t)i * 8, 8, raw, sizeof(raw), e);

	*ret = be32_get(raw);
	return rc;
}

/* The name of the member whose header was read: 1, 0 at the end. */
static int take_name(struct stream *s, uint32_t name_len, char *name)
{
	int rc;

	if (!name_len || name_len > NAME_MAX_LEN)
		return err_set(s->e, EBADMSG, "initrd: a name of %u bytes at 0x%llx", name_len,
			       (unsigned long long)s->position);
	rc = take(s, name, name_len);
	if (rc == 0)
		return cut_short(s);
	if (rc > 0 && name[name_len - 1])
		return err_set(s->e, EBADMSG, "initrd: a name without an end at 0x%llx",
			       (unsigned long long)s->position);
	return rc;
}

static uint64_t padding(uint64_t position)
{
	return round_up(position, 4) - position;
}

/* One archive up to its trailer, or the end: 1 to go on, 0 when no more is to be seen. */
static int walk_cpio(struct stream *s, const struct initrd_walk *w)
{
	char header[HEADER], name[NAME_MAX_LEN];

	for (;;) {
		uint32_t size = 0, name_len = 0;
		int rc = take(s, header, HEADER);

		if (rc <= 0)
			return rc;
		if (memcmp(header, "070701", 6) != 0 && memcmp(header, "070702", 6) != 0)
			return err_set(s->e, EBADMSG, "initrd: no cpio header at 0x%llx",
				       (unsigned long long)(s->position - HEADER));
		rc = parse_number(header, NUMBER_SIZE, &size, s->e);
		if (rc >= 0)
			rc = parse_number(header, NUMBER_NAME, &name_len, s->e);
		if (rc >= 0)
			rc = take_name(s, name_len, name);
		if (rc > 0)
			rc = skip(s, padding(s->position));
		if (rc <= 0)
			return rc;
		if (strcmp(name, TRAILER) == 0)
			return 1;
		if (size && w->seen(w->ctx, name))
			return 0;
		/* The file, and what pads it. */
		rc = skip(s, size + padding(s->position + size));
		if (rc <= 0)
			return rc;
	}
}

/* Passes over zeros; the first other byte stays. */
static int skip_zeros(struct stream *s)
{
	uint64_t end = s->position + ZEROS_MAX;
	int rc;

	for (;;) {
		while (s->at < s->end && !s->buf[s->at]) {
			s->at++;
			s->position++;
		}
		if (s->at < s->end)
			return 1;
		rc = s->position < end ? load(s) : 0;
		if (rc <= 0)
			return rc;
	}
}

/* HEADROOM bytes from here on lie in the buffer, or all that there are. */
static int look_ahead(struct stream *s)
{
	uint8_t left[HEADROOM];
	size_t n = s->end - s->at;
	int rc;

	if (n >= HEADROOM)
		return 0;
	memcpy(left, s->buf + s->at, n);
	rc = load(s);
	if (rc < 0)
		return rc;
	s->at -= n;
	memcpy(s->buf + s->at, left, n);
	return 0;
}

/* ---- what is compressed ---------------------------------------------------------------------- */

/* The file from some place on, as libarchive reads it. */
struct feed {
	const struct initrd_source *source;
	uint8_t *buf; /* PIECE bytes, from where it is taken */
	size_t at, end;
	uint64_t loaded, limit;
	bool failed, limited;
	struct err e; /* if it failed */
};

static la_ssize_t feed_read(struct archive *a, void *ctx, const void **ret)
{
	struct feed *f = ctx;
	size_t n;

	(void)a;
	if (f->at == f->end && f->loaded >= f->limit) {
		f->limited = true;
	} else if (f->at == f->end) {
		f->at = f->end = 0;
		if (load_source(f->source, f->buf, &f->loaded, &f->end, &f->e) < 0) {
			f->failed = true;
			return -1;
		}
	}
	*ret = f->buf + f->at;
	n = f->end - f->at;
	f->at = f->end;
	return (la_ssize_t)n;
}

/*
 * The dictionary that liblzma allocates. xz (The .xz File Format 1.1.0, 3.1.1 and 5.3.1): the first
 * block's header behind the stream's 12 bytes | 1 flags, 0: one filter, no sizes | filter 0x21 |
 * 1 byte of properties | size, 2 or 3 times a power of two. lzma: u32 behind the first byte.
 */
static uint64_t dictionary_size(const struct compression *c, const uint8_t *p, size_t len)
{
	unsigned bits;

	if (c->filter == ARCHIVE_FILTER_LZMA)
		return len < 5 ? 0 : le32_get(p + 1);
	if (c->filter != ARCHIVE_FILTER_XZ || len < 18 || p[13] & 0x03 || p[14] != 0x21)
		return 0;
	bits = p[16] & 0x3f;
	return bits > 40 ? UINT64_MAX : (UINT64_C(2) | (bits & 1)) << (bits / 2 + 11);
}

static int walk_archives(struct stream *s, const struct initrd_walk *w, struct initrd_report *ret);

/* Opens what is compressed as one run of bytes, whatever is in it. */
static int open_archive(struct archive *a, const struct compression *c, struct feed *f,
			struct err *e)
{
	struct archive_entry *entry;

	/* One filter, so that layers in layers are not unpacked. ARCHIVE_WARN would mean that a
	 * program is to be run for it. */
	if (archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_append_filter(a, c->filter) != ARCHIVE_OK)
		return err_set(e, ENOTSUP, "initrd: %s is not supported here", c->name);
	if (archive_read_open(a, f, NULL, feed_read, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return err_set(e, EBADMSG, "initrd: %s", archive_says(a));
	return 0;
}

/* Goes on in the file behind what was compressed. */
static int seek(struct stream *s, uint64_t position)
{
	int rc;

	s->loaded = position - position % PIECE;
	s->position = position;
	rc = load(s);
	s->at = MIN(s->at + (size_t)(position % PIECE), s->end);
	return MIN(rc, 0);
}

static int walk_compressed(struct stream *s, const struct compression *c,
			   const struct initrd_walk *w, struct initrd_report *ret)
{
	AUTO_FREE uint8_t *buf = malloc(HEADROOM + PIECE);
	struct archive *a = archive_read_new();
	struct feed feed = {
		.source = s->source,
		.buf = s->buf,
		.at = s->at,
		.end = s->end,
		.loaded = s->loaded,
		.limit = s->loaded + s->budget,
	};
	struct stream inner = {
		.source = s->source,
		.archive = a,
		.buf = buf,
		.at = HEADROOM,
		.end = HEADROOM,
		.cost = c->cost,
		.budget = s->budget,
		.e = s->e,
	};
	int rc = a && buf ? 0 : err_nomem(s->e);

	if (rc >= 0)
		rc = open_archive(a, c, &feed, s->e);
	if (rc >= 0)
		rc = walk_archives(&inner, w, ret);
	s->read += inner.read;
	s->budget = inner.budget;
	s->limited |= inner.limited || feed.limited;
	if (rc < 0 && feed.failed) {
		if (s->e)
			*s->e = feed.e;
		rc = -feed.e.code;
	} else if (feed.limited) {
		rc = 0; /* the end that libarchive saw is one that we made */
	} else if (rc >= 0 && ret->whole) {
		int64_t used = archive_filter_bytes(a, -1);

		rc = used > 0 ? seek(s, s->position + (uint64_t)used) : -EBADMSG;
		rc = rc < 0 ? rc : 1;
	}
	if (a)
		archive_read_free(a);
	return rc;
}

static const struct compression *find_compression(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(compressions); i++) {
		const struct compression *c = &compressions[i];

		if (len >= c->len && memcmp(p, c->magic, c->len) == 0)
			return c;
	}
	return NULL;
}

static int begin_compressed(struct stream *s, const struct compression *c,
			    const struct initrd_walk *w, struct initrd_report *ret)
{
	snprintf(ret->compression, sizeof(ret->compression), "%s", c->name);
	if (c->filter == ARCHIVE_FILTER_NONE)
		return err_set(s->e, ENOTSUP, "initrd: compressed by %s", c->name);
	if (dictionary_size(c, s->buf + s->at, s->end - s->at) > DICTIONARY_MAX)
		return err_set(s->e, ENOTSUP, "initrd: %s with a dictionary of more than %u MiB",
			       c->name, (unsigned)(DICTIONARY_MAX / MIB));
	return walk_compressed(s, c, w, ret);
}

/* Everything from here on. */
static int walk_archives(struct stream *s, const struct initrd_walk *w, struct initrd_report *ret)
{
	bool any = false, end = false;
	int rc = skip_zeros(s);

	ret->whole = false;
	while (rc > 0 && !end) {
		const struct compression *c = NULL;

		rc = look_ahead(s);
		if (rc < 0)
			break;
		if (!s->archive)
			c = find_compression(s->buf + s->at, s->end - s->at);
		if (c) {
			rc = begin_compressed(s, c, w, ret);
		} else if (s->buf[s->at] == '0') {
			rc = walk_cpio(s, w);
		} else if (any) {
			end = true; /* the kernel stops here, too */
		} else {
			rc = err_set(s->e, EBADMSG,
				     "initrd: neither a cpio archive nor compressed");
		}
		any = true;
		if (rc > 0 && !end)
			rc = skip_zeros(s);
		end |= rc == 0 && s->at == s->end;
	}
	ret->read = s->read;
	ret->whole = rc >= 0 && end && !s->limited;
	return MIN(rc, 0);
}

int initrd_walk(const struct initrd_source *source, const struct initrd_walk *w,
		struct initrd_report *ret, struct err *e)
{
	AUTO_FREE uint8_t *buf = malloc(HEADROOM + PIECE);
	struct stream s = {.source = source,
			   .buf = buf,
			   .at = HEADROOM,
			   .end = HEADROOM,
			   .cost = 1,
			   .budget = w->limit,
			   .e = e};

	*ret = (struct initrd_report){.compression = "none"};
	if (!buf)
		return err_nomem(e);
	return walk_archives(&s, w, ret);
}
