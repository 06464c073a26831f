/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMDK's descriptor: lines of text, hostile. It is taken apart line by line, and a line that is
 * none of the kinds below is refused:
 *
 *	# comment
 *	key=value or key="value"              no blanks before the =
 *	ddb.key = "value"                     the disk's data base
 *	RW|RDONLY|NOACCESS sectors FLAT|SPARSE|ZERO|... "file" [offset]
 *
 * Other readers search the text for createType= and parentCID= wherever they stand, so that each of
 * them may stand there once.
 */
#include <strings.h>

#include "imgconv/format/vmdk.h"
#include "lib/fs.h"
#include "lib/str.h"

#define CREATE_TYPE "createType="
#define PARENT_CID "parentCID="
#define NO_PARENT 0xffffffffu
#define VALUE_MAX 255

const char *const vmdk_types[] = {
	"monolithicSparse",
	"streamOptimized",
	"monolithicFlat",
	"twoGbMaxExtentSparse",
	"twoGbMaxExtentFlat",
	"vmfs",
	NULL,
};

/* A part of the text. */
struct piece {
	const char *s;
	size_t len;
};

struct parse {
	struct vmdk_descriptor *d;
	bool embedded;
	unsigned line; /* from 1 */
	bool has_parent_cid;
	uint32_t parent_cid;
};

void vmdk_refuse(struct err *refusal, const struct err *why)
{
	if (!refusal->code)
		*refusal = *why;
}

void vmdk_descriptor_release(struct vmdk_descriptor *d)
{
	for (size_t i = 0; i < d->n_lines; i++)
		free(d->lines[i].file);
	free(d->lines);
	free(d->create_type);
	free(d->adapter);
	free(d->hwversion);
	free(d->encoding);
	*d = (struct vmdk_descriptor){0};
}

/* ---- words --------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(struct piece *p)
{
	while (p->len && is_blank(p->s[0])) {
		p->s++;
		p->len--;
	}
	while (p->len && is_blank(p->s[p->len - 1]))
		p->len--;
}

static bool piece_is(struct piece p, const char *word)
{
	return p.len == strlen(word) && strncasecmp(p.s, word, p.len) == 0;
}

static bool starts_with(struct piece p, const char *word)
{
	return p.len >= strlen(word) && strncasecmp(p.s, word, strlen(word)) == 0;
}

/* Takes what comes before the first blank. */
static struct piece next_word(struct piece *rest)
{
	struct piece word = *rest;

	word.len = 0;
	while (word.len < rest->len && !is_blank(rest->s[word.len]))
		word.len++;
	rest->s += word.len;
	rest->len -= word.len;
	trim(rest);
	return word;
}

/* "key=value" without blanks and quotes around the value. */
static struct piece value_of(struct piece line, size_t key_len)
{
	struct piece v = {line.s + key_len, line.len - key_len};

	trim(&v);
	if (v.len >= 2 && v.s[0] == '"' && v.s[v.len - 1] == '"') {
		v.s++;
		v.len -= 2;
	}
	return v;
}

static int malformed(const struct parse *p, const char *why, struct err *e)
{
	return err_set(e, EBADMSG, "line %u of the descriptor: %s", p->line, why);
}

/* A text that may be given once. */
static int take_text(struct parse *p, char **to, struct piece v, struct err *e)
{
	if (*to)
		return malformed(p, "the key is given twice", e);
	if (v.len > VALUE_MAX)
		return malformed(p, "the value is too long", e);
	*to = strndup(v.s, v.len);
	return *to ? 0 : err_nomem(e);
}

static int take_hex(struct parse *p, struct piece v, uint32_t *ret, struct err *e)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	char text[9];

	if (!v.len || v.len > 8)
		return malformed(p, "the content's identifier is no number", e);
	memcpy(text, v.s, v.len);
	text[v.len] = '\0';
	if (strspn(text, digits) != v.len)
		return malformed(p, "the content's identifier is no number", e);
	*ret = (uint32_t)strtoul(text, NULL, 16);
	return 0;
}

static int take_number(struct parse *p, struct piece v, uint64_t *ret, struct err *e)
{
	uint64_t n = 0;

	if (!v.len || v.len > 18)
		return malformed(p, "a number of sectors is expected", e);
	for (size_t i = 0; i < v.len; i++) {
		if (v.s[i] < '0' || v.s[i] > '9')
			return malformed(p, "a number of sectors is expected", e);
		n = n * 10 + (uint64_t)(v.s[i] - '0');
	}
	if (n > VMDK_SECTORS_MAX)
		return malformed(p, "the number of sectors is over the limit", e);
	*ret = n;
	return 0;
}

/* ---- extents ------------------------------------------------------------------------------- */

static enum vmdk_kind take_kind(struct parse *p, struct piece word)
{
	struct err why;

	if (piece_is(word, "SPARSE"))
		return VMDK_SPARSE;
	if (piece_is(word, "ZERO"))
		return VMDK_ZERO;
	if (!piece_is(word, "FLAT") && !piece_is(word, "VMFS")) {
		err_set(&why, ENOTSUP, "extents of the type '%.*s' are not supported",
			(int)MIN(word.len, 64), word.s);
		vmdk_refuse(&p->d->refusal, &why);
	}
	return VMDK_FLAT;
}

/* "file" and what follows it. */
static int take_file(struct parse *p, struct piece rest, struct vmdk_line *ret, struct err *e)
{
	const char *end;
	struct err why;
	int rc = 0;

	end = rest.len ? memchr(rest.s + 1, '"', rest.len - 1) : NULL;
	if (!end || rest.s[0] != '"')
		return malformed(p, "the extent's file name is not in quotes", e);
	ret->file = strndup(rest.s + 1, (size_t)(end - rest.s - 1));
	if (!ret->file)
		return err_nomem(e);
	rest.len -= (size_t)(end + 1 - rest.s);
	rest.s = end + 1;
	trim(&rest);
	if (rest.len && ret->kind == VMDK_FLAT)
		rc = take_number(p, next_word(&rest), &ret->offset, e);
	/* Names of devices may have more behind them: those are not read anyway. */
	if (rc == 0 && rest.len && !p->d->refusal.code)
		rc = malformed(p, "there is more behind the extent", e);
	if (rc == 0 && !name_is_plain(ret->file)) {
		err_set(&why, EACCES, "the extent '%s' is not a plain file name", ret->file);
		vmdk_refuse(&p->d->refusal, &why);
	}
	return rc;
}

static int parse_extent(struct parse *p, struct piece rest, struct vmdk_line *ret, struct err *e)
{
	struct piece access = next_word(&rest);
	struct err why;
	int rc = take_number(p, next_word(&rest), &ret->sectors, e);

	if (rc == 0 && !ret->sectors)
		rc = malformed(p, "the extent has no sectors", e);
	if (rc)
		return rc;
	ret->kind = take_kind(p, next_word(&rest));
	if (piece_is(access, "NOACCESS")) {
		err_set(&why, ENOTSUP, "extents without access are not supported");
		vmdk_refuse(&p->d->refusal, &why);
	}
	if (ret->kind == VMDK_ZERO)
		return rest.len ? malformed(p, "there is more behind the extent", e) : 0;
	return take_file(p, rest, ret, e);
}

static int add_extent(struct parse *p, struct piece line, struct err *e)
{
	struct vmdk_descriptor *d = p->d;
	struct vmdk_line parsed = {0};
	struct vmdk_line *grown;
	int rc;

	if (d->n_lines == VMDK_EXTENTS_MAX)
		return err_set(e, EFBIG, "more than %u extents", VMDK_EXTENTS_MAX);
	rc = parse_extent(p, line, &parsed, e);
	if (rc == 0 && d->sectors + parsed.sectors > VMDK_SECTORS_MAX)
		rc = malformed(p, "the extents are over the limit", e);
	if (rc == 0) {
		grown = reallocarray(d->lines, d->n_lines + 1, sizeof(*grown));
		if (grown) {
			d->lines = grown;
			d->lines[d->n_lines++] = parsed;
			d->sectors += parsed.sectors;
			return 0;
		}
		rc = err_nomem(e);
	}
	free(parsed.file);
	return rc;
}

/* ---- lines --------------------------------------------------------------------------------- */

static int parse_data_base(struct parse *p, struct piece line, struct err *e)
{
	const char *equals = memchr(line.s, '=', line.len);
	struct piece key = {line.s, equals ? (size_t)(equals - line.s) : 0};

	if (!equals)
		return 0;
	trim(&key);
	if (piece_is(key, "ddb.adapterType"))
		return take_text(p, &p->d->adapter, value_of(line, (size_t)(equals + 1 - line.s)),
				 e);
	if (piece_is(key, "ddb.virtualHWVersion"))
		return take_text(p, &p->d->hwversion, value_of(line, (size_t)(equals + 1 - line.s)),
				 e);
	return 0;
}

static int parse_key(struct parse *p, struct piece line, size_t key_len, struct err *e)
{
	struct piece v = value_of(line, key_len);
	struct err why;

	if (starts_with(line, CREATE_TYPE))
		return take_text(p, &p->d->create_type, v, e);
	if (starts_with(line, "encoding="))
		return take_text(p, &p->d->encoding, v, e);
	if (starts_with(line, "CID="))
		return take_hex(p, v, &p->d->cid, e);
	if (starts_with(line, PARENT_CID)) {
		p->has_parent_cid = true;
		return take_hex(p, v, &p->parent_cid, e);
	}
	if (starts_with(line, "parentFileNameHint=")) {
		err_set(&why, EACCES,
			"this is a delta disk: its data lie on those of its parent '%.*s'",
			(int)MIN(v.len, VALUE_MAX), v.s);
		vmdk_refuse(&p->d->refusal, &why);
	}
	if (starts_with(line, "version=") && !piece_is(v, "1") && !piece_is(v, "2") &&
	    !piece_is(v, "3"))
		return malformed(p, "the version is not supported", e);
	return 0;
}

static int parse_line(struct parse *p, struct piece line, struct err *e)
{
	const char *equals;
	size_t word = 0;

	p->line++;
	trim(&line);
	if (!line.len || line.s[0] == '#')
		return 0;
	if (starts_with(line, "ddb"))
		return parse_data_base(p, line, e);
	while (word < line.len && !is_blank(line.s[word]))
		word++;
	equals = memchr(line.s, '=', word);
	if (equals)
		return parse_key(p, line, (size_t)(equals + 1 - line.s), e);
	if (piece_is((struct piece){line.s, word}, "RW") ||
	    piece_is((struct piece){line.s, word}, "RDONLY") ||
	    piece_is((struct piece){line.s, word}, "NOACCESS"))
		return add_extent(p, line, e);
	return malformed(p, "it is none of a descriptor's", e);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static unsigned count(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);
	unsigned found = 0;

	for (size_t i = 0; i + n <= len; i++)
		found += strncasecmp(text + i, word, n) == 0;
	return found;
}

/* Text is nothing but that; embedded ones are ASCII. */
static int check_text(const char *text, size_t len, bool embedded, struct err *e)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == 0x7f ||
		    (c >= 0x80 && embedded))
			return err_set(e, EBADMSG, "byte 0x%02x at %zu is no text", c, i);
	}
	if (!len && embedded)
		return vmdk_no_descriptor(e);
	if (!count(text, len, CREATE_TYPE))
		return err_set(e, EBADMSG, "there is no createType");
	if (count(text, len, CREATE_TYPE) > 1 || count(text, len, PARENT_CID) > 1)
		return err_set(e, EBADMSG, "createType or parentCID stands there twice");
	return 0;
}

static enum vmdk_type find_type(const char *name)
{
	unsigned i = 0;

	while (vmdk_types[i] && strcasecmp(vmdk_types[i], name) != 0)
		i++;
	return vmdk_types[i] ? (enum vmdk_type)i : VMDK_OTHER;
}

/* What type, extents and place of the descriptor have to do with each other. */
static void check_type(struct parse *p)
{
	struct vmdk_descriptor *d = p->d;
	bool monolithic = d->type == VMDK_MONOLITHIC_SPARSE || d->type == VMDK_STREAM_OPTIMIZED;
	struct err why = {0};

	if (p->has_parent_cid && p->parent_cid != NO_PARENT)
		err_set(&why, EACCES,
			"this is a delta disk: its data lie on those of the parent %08x",
			p->parent_cid);
	else if (d->type == VMDK_OTHER)
		err_set(&why, ENOTSUP, "VMDK images of the type '%s' are not supported",
			d->create_type);
	else if (p->embedded != monolithic)
		err_set(&why, ENOTSUP, "a descriptor of the type %s %s", vmdk_types[d->type],
			p->embedded ? "inside of an extent is not supported"
				    : "in a file of its own is not supported");
	else if (p->embedded && d->n_lines > 1)
		err_set(&why, EACCES, "the embedded descriptor names %zu extents, not one",
			d->n_lines);
	for (size_t i = 0; i < d->n_lines && !why.code; i++) {
		bool sparse = d->lines[i].kind == VMDK_SPARSE;

		if (d->lines[i].kind != VMDK_ZERO &&
		    sparse != (monolithic || d->type == VMDK_SPLIT_SPARSE))
			err_set(&why, EBADMSG, "extent %zu is %s, which %s images do not have",
				i + 1, sparse ? "sparse" : "flat", vmdk_types[d->type]);
	}
	if (p->embedded && !why.code && d->lines[0].kind == VMDK_ZERO)
		err_set(&why, EBADMSG, "the embedded descriptor's extent is not sparse");
	if (why.code)
		vmdk_refuse(&d->refusal, &why);
}

int vmdk_descriptor_parse(const char *text, size_t len, bool embedded, struct vmdk_descriptor *ret,
			  struct err *e)
{
	AUTO(vmdk_descriptor_release) struct vmdk_descriptor d = {0};
	struct parse p = {.d = &d, .embedded = embedded};
	const char *end;
	int rc;

	len = strnlen(text, len);
	end = text + len;
	rc = check_text(text, len, embedded, e);
	while (rc == 0 && text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));

		if (!nl)
			nl = end;
		rc = parse_line(&p, (struct piece){text, (size_t)(nl - text)}, e);
		text = nl + 1;
	}
	if (rc == 0 && !d.create_type)
		rc = err_set(e, EBADMSG, "createType stands in a comment alone");
	if (rc == 0 && !d.n_lines)
		rc = err_set(e, EBADMSG, "the descriptor names no extent");
	if (rc)
		return rc;
	d.type = find_type(d.create_type);
	check_type(&p);
	*ret = d;
	d = (struct vmdk_descriptor){0};
	return 0;
}

bool vmdk_is_descriptor(const uint8_t *data, size_t len)
{
	static const char first[] = "# Disk DescriptorFile";
	const char *text = (const char *)data;
	const char *end = text + len;

	if (len >= strlen(first) && strncasecmp(text, first, strlen(first)) == 0)
		return true;
	/* Comments and empty lines, then the version. */
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		struct piece line = {text, nl ? (size_t)(nl - text) : 0};

		if (!nl)
			return false;
		trim(&line);
		if (line.len && line.s[0] != '#')
			return line.len == 9 && starts_with(line, "version=") && line.s[8] >= '1' &&
			       line.s[8] <= '3';
		text = nl + 1;
	}
	return false;
}
