/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A context as bytes: see ctxd/wire.h. Both ends are the same program, so there is no version
 * beyond the magic.
 *
 *	+0   8   "ctxd-2\n\0"
 *	+8       records, up to the end:
 *	           1   tag: the member's place in its table of context/fields.h, from 1; or, outermost,
 *	               TAG_NOTE and TAG_SOURCE
 *	           4   length of the value, little-endian
 *	           n   value, by the member's kind:
 *	                 texts, MACs     without NUL
 *	                 numbers, times, choices, methods    8 bytes, little-endian
 *	                 bytes           as they are
 *	                 lists           a record for each text
 *	                 pairs           a record for each: key, NUL, value
 *	                 a struct        records of its members; of an array one such record for each
 *
 * What is not given is not there.
 */
#include "ctxd/wire.h"

#include "context/fields.h"

#define MAGIC "ctxd-2\n" /* and the NUL that ends it */
#define MAGIC_LEN 8
#define RECORD_HEAD 5
#define RECORDS_MAX 65536
#define STRUCTS_MAX 4096
#define NUMBER_LEN 8
#define TAG_NOTE 254
#define TAG_SOURCE 255

#define FIELD(type, base, at) ((type *)(void *)((char *)(base) + (at)))
#define CONST_FIELD(type, base, at) ((const type *)(const void *)((const char *)(base) + (at)))

/* ---- writing --------------------------------------------------------------------------- */

static int add(struct buf *out, unsigned tag, const void *value, size_t len)
{
	unsigned char head[RECORD_HEAD];

	if (len > WIRE_MAX)
		return -EFBIG;
	head[0] = (unsigned char)tag;
	le32_put(head + 1, (uint32_t)len);
	if (buf_add(out, head, sizeof(head)) < 0 || (len && buf_add(out, value, len) < 0))
		return -ENOMEM;
	return out->len > WIRE_MAX ? -EFBIG : 0;
}

static int add_text(struct buf *out, unsigned tag, const char *text)
{
	return text ? add(out, tag, text, strlen(text)) : 0;
}

static int add_number(struct buf *out, unsigned tag, uint64_t v)
{
	unsigned char value[NUMBER_LEN];

	le64_put(value, v);
	return add(out, tag, value, sizeof(value));
}

static int add_list(struct buf *out, unsigned tag, const struct strlist *l)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->n; i++)
		rc = add_text(out, tag, l->v[i]);
	return rc;
}

static int add_pairs(struct buf *out, unsigned tag, const struct context_pair *pairs, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		AUTO_BUF pair = BUF_INIT;

		if (buf_add(&pair, pairs[i].key, strlen(pairs[i].key) + 1) < 0 ||
		    buf_adds(&pair, pairs[i].value) < 0)
			return -ENOMEM;
		rc = add(out, tag, pair.data, pair.len);
	}
	return rc;
}

static int add_fields(struct buf *out, const struct context_field *table, const void *object);

static int add_struct(struct buf *out, unsigned tag, const struct context_field *f,
		      const void *object)
{
	AUTO_BUF inner = BUF_INIT;
	int rc = add_fields(&inner, f->fields, object);

	return rc < 0 ? rc : add(out, tag, inner.data, inner.len);
}

static int add_structs(struct buf *out, unsigned tag, const struct context_field *f,
		       const void *object)
{
	const char *items = *CONST_FIELD(char *, object, f->offset);
	size_t n = *CONST_FIELD(size_t, object, f->offset_n);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_struct(out, tag, f, items + i * f->size);
	return rc;
}

static int add_field(struct buf *out, unsigned tag, const struct context_field *f,
		     const void *object)
{
	const struct buf *bytes;

	switch (f->kind) {
	case CTX_END:
		break;
	case CTX_TEXT:
		return add_text(out, tag, *CONST_FIELD(char *, object, f->offset));
	case CTX_MAC:
		return add_text(out, tag, CONST_FIELD(char, object, f->offset));
	case CTX_U32:
	case CTX_MODE:
		return add_number(out, tag, *CONST_FIELD(uint32_t, object, f->offset));
	case CTX_SIZE:
	case CTX_TIME:
		return add_number(out, tag, *CONST_FIELD(uint64_t, object, f->offset));
	case CTX_CHOICE:
		return add_number(out, tag, *CONST_FIELD(enum context_choice, object, f->offset));
	case CTX_METHOD:
		return add_number(out, tag, *CONST_FIELD(enum nic_method, object, f->offset));
	case CTX_LIST:
		return add_list(out, tag, CONST_FIELD(struct strlist, object, f->offset));
	case CTX_BYTES:
		bytes = CONST_FIELD(struct buf, object, f->offset);
		return add(out, tag, bytes->data, bytes->len);
	case CTX_PAIRS:
		return add_pairs(out, tag, *CONST_FIELD(struct context_pair *, object, f->offset),
				 *CONST_FIELD(size_t, object, f->offset_n));
	case CTX_STRUCT:
		return add_struct(out, tag, f, CONST_FIELD(char, object, f->offset));
	case CTX_STRUCTS:
		return add_structs(out, tag, f, object);
	}
	return 0;
}

static int add_fields(struct buf *out, const struct context_field *table, const void *object)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && table[i].name; i++) {
		if (context_field_given(&table[i], object))
			rc = add_field(out, i + 1, &table[i], object);
	}
	return rc;
}

int wire_encode(const struct context *c, const struct strlist *notes, struct buf *out,
		struct err *e)
{
	int rc = buf_add(out, MAGIC, MAGIC_LEN);

	if (rc == 0)
		rc = add_text(out, TAG_SOURCE, c->source);
	if (rc == 0)
		rc = add_fields(out, context_fields, c);
	if (rc == 0 && notes)
		rc = add_list(out, TAG_NOTE, notes);
	if (rc == -EFBIG)
		return err_set(e, EFBIG, "the context is larger than %llu bytes",
			       (unsigned long long)WIRE_MAX);
	return rc < 0 ? err_nomem(e) : 0;
}

/* ---- reading --------------------------------------------------------------------------- */

struct reader {
	const char *data;
	size_t records, structs;
	struct err *e;
};

struct record {
	unsigned tag;
	const char *value;
	size_t len;
};

static bool is_text(const struct record *r)
{
	return !r->len || !memchr(r->value, '\0', r->len);
}

static int take_text(const struct record *r, char **to)
{
	if (!is_text(r) || *to)
		return -EBADMSG;
	*to = strndup(r->value, r->len);
	return *to ? 0 : -ENOMEM;
}

static int take_list(const struct record *r, struct strlist *to)
{
	AUTO_FREE char *text = NULL;
	int rc = take_text(r, &text);

	return rc < 0 ? rc : strlist_add(to, text);
}

static int take_mac(const struct record *r, char to[18])
{
	if (!is_text(r) || r->len != 17)
		return -EBADMSG;
	memcpy(to, r->value, r->len);
	to[r->len] = '\0';
	return 0;
}

static int take_pair(const struct record *r, struct context_pair **pairs, size_t *n)
{
	const char *nul = r->len ? memchr(r->value, '\0', r->len) : NULL;
	AUTO_FREE char *value = NULL;
	struct record rest;

	if (!nul)
		return -EBADMSG;
	rest = (struct record){r->tag, nul + 1, r->len - (size_t)(nul + 1 - r->value)};
	if (!is_text(&rest))
		return -EBADMSG;
	value = strndup(rest.value, rest.len);
	return value ? pairs_add(pairs, n, r->value, value) : -ENOMEM;
}

static int take_bytes(const struct record *r, const struct context_field *f, void *object)
{
	struct buf *to = FIELD(struct buf, object, f->offset);

	if (to->len || (f->offset_n && *FIELD(bool, object, f->offset_n)))
		return -EBADMSG;
	if (f->offset_n)
		*FIELD(bool, object, f->offset_n) = true;
	return r->len ? buf_add(to, r->value, r->len) : 0;
}

static int take_number(const struct record *r, const struct context_field *f, void *object)
{
	uint64_t v;

	if (r->len != NUMBER_LEN)
		return -EBADMSG;
	v = le64_get(r->value);
	switch (f->kind) {
	case CTX_CHOICE:
		if (v > CHOICE_YES)
			return -EBADMSG;
		*FIELD(enum context_choice, object, f->offset) = (enum context_choice)v;
		return 0;
	case CTX_METHOD:
		if (v > NIC_SKIP)
			return -EBADMSG;
		*FIELD(enum nic_method, object, f->offset) = (enum nic_method)v;
		return 0;
	case CTX_U32:
	case CTX_MODE:
		if (v > UINT32_MAX)
			return -EBADMSG;
		*FIELD(uint32_t, object, f->offset) = (uint32_t)v;
		return 0;
	default:
		*FIELD(uint64_t, object, f->offset) = v;
		return 0;
	}
}

static int take_fields(struct reader *rd, const char *p, size_t len,
		       const struct context_field *table, void *object);

static int take_struct(struct reader *rd, const struct record *r, const struct context_field *f,
		       void *object)
{
	void *to = FIELD(char, object, f->offset);

	if (++rd->structs > STRUCTS_MAX)
		return -EBADMSG;
	if (f->kind == CTX_STRUCTS)
		to = context_field_append(f, object);
	return to ? take_fields(rd, r->value, r->len, f->fields, to) : -ENOMEM;
}

static int take(struct reader *rd, const struct record *r, const struct context_field *f,
		void *object)
{
	switch (f->kind) {
	case CTX_END:
		break;
	case CTX_TEXT:
		return take_text(r, FIELD(char *, object, f->offset));
	case CTX_MAC:
		return take_mac(r, FIELD(char, object, f->offset));
	case CTX_U32:
	case CTX_MODE:
	case CTX_SIZE:
	case CTX_TIME:
	case CTX_CHOICE:
	case CTX_METHOD:
		return take_number(r, f, object);
	case CTX_LIST:
		return take_list(r, FIELD(struct strlist, object, f->offset));
	case CTX_BYTES:
		return take_bytes(r, f, object);
	case CTX_PAIRS:
		return take_pair(r, FIELD(struct context_pair *, object, f->offset),
				 FIELD(size_t, object, f->offset_n));
	case CTX_STRUCT:
	case CTX_STRUCTS:
		return take_struct(rd, r, f, object);
	}
	return -EBADMSG;
}

/* Cuts the record at *at off. */
static int next(struct reader *rd, const char *p, size_t len, size_t *at, struct record *ret)
{
	if (len - *at < RECORD_HEAD || ++rd->records > RECORDS_MAX)
		return -EBADMSG;
	ret->tag = (unsigned char)p[*at];
	ret->len = le32_get(p + *at + 1);
	ret->value = p + *at + RECORD_HEAD;
	if (ret->len > len - *at - RECORD_HEAD)
		return -EBADMSG;
	*at += RECORD_HEAD + ret->len;
	return 0;
}

static const struct context_field *row(const struct context_field *table, unsigned tag)
{
	for (unsigned i = 0; table[i].name; i++) {
		if (i + 1 == tag)
			return &table[i];
	}
	return NULL;
}

/* Tables nest as the model does, so the depth is bounded by it. */
static int take_fields(struct reader *rd, const char *p, size_t len,
		       const struct context_field *table, void *object)
{
	size_t at = 0;

	while (at < len) {
		size_t begin = at;
		const struct context_field *f;
		struct record r;
		int rc = next(rd, p, len, &at, &r);

		f = rc == 0 ? row(table, r.tag) : NULL;
		if (rc == 0)
			rc = f ? take(rd, &r, f, object) : -EBADMSG;
		if (rc == -EBADMSG && !*rd->e->msg)
			err_set(rd->e, EBADMSG, "context message: bad record at 0x%zx",
				(size_t)(p + begin - rd->data));
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The outermost records, which may also be notes and the source. */
static int take_all(struct reader *rd, size_t len, struct context *c, struct strlist *notes)
{
	size_t at = MAGIC_LEN;

	while (at < len) {
		size_t begin = at;
		struct record r;
		int rc = next(rd, rd->data, len, &at, &r);

		if (rc == 0 && r.tag == TAG_SOURCE)
			rc = take_text(&r, &c->source);
		else if (rc == 0 && r.tag == TAG_NOTE)
			rc = notes ? take_list(&r, notes) : 0;
		else if (rc == 0)
			rc = take_fields(rd, rd->data + begin, at - begin, context_fields, c);
		if (rc == -EBADMSG && !*rd->e->msg)
			err_set(rd->e, EBADMSG, "context message: bad record at 0x%zx", begin);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int wire_decode(const void *data, size_t len, struct context **ret, struct strlist *notes,
		struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	struct err mine = {0};
	struct reader rd = {.data = data, .e = &mine};
	int rc;

	if (len > WIRE_MAX || len < MAGIC_LEN || memcmp(data, MAGIC, MAGIC_LEN) != 0)
		return err_set(e, EBADMSG, "context message: no such message, of %zu bytes", len);
	rc = context_new(&c, e);
	if (rc < 0)
		return rc;
	rc = take_all(&rd, len, c, notes);
	if (rc == -EBADMSG)
		return err_set(e, EBADMSG, "%s", mine.msg);
	if (rc < 0)
		return err_nomem(e);
	rc = context_validate(c, e);
	if (rc == 0)
		*ret = STEAL(c);
	return rc;
}
