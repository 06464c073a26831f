/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OVF packages after DMTF DSP0243 1.1.1:
 *
 *   NAME.ova   tar: NAME.ovf, NAME.mf?, NAME.cert?, files in the order of the References; .mf and
 *              .cert may be behind them
 *   .mf        a line a file: SHA1(NAME)= HEX, SHA256(NAME)= HEX
 *   .cert      SHA1(NAME.mf)= HEX of a signature over the .mf, then the signer's certificate in PEM
 */
#include "bundle/ova.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "bundle/cert.h"
#include "lib/log.h"
#include "lib/str.h"

#define TEXT_LIMIT MIB /* bytes of a manifest or certificate */
#define SIGNATURE_MAX 2048

/* ---- files ------------------------------------------------------------------------------------ */

int ova_open_file(struct ova *a, const char *name, struct ova_file *ret, struct err *e)
{
	struct stat st;
	int rc;

	*ret = (struct ova_file){.fd = -1};
	if (a->is_tar) {
		const struct tar_member *m = tar_index_find(&a->index, name);

		if (!m)
			return err_set(e, ENOENT, "file '%s' is missing", name);
		*ret = (struct ova_file){.fd = a->o->fd, .offset = m->offset, .size = m->size};
		return 0;
	}
	rc = open_beside(name, &ret->fd, e);
	if (rc < 0)
		return rc;
	ret->own = true;
	if (fstat(ret->fd, &st) < 0)
		return err_errno(e, errno, "'%s'", name);
	ret->size = (uint64_t)st.st_size;
	return 0;
}

void ova_close_file(struct ova_file *f)
{
	if (f->own && f->fd >= 0)
		close(f->fd);
	*f = (struct ova_file){.fd = -1};
}

static int read_text(struct ova *a, const char *name, uint64_t limit, struct buf *ret,
		     struct err *e)
{
	AUTO(ova_close_file) struct ova_file f = {.fd = -1};
	int rc = ova_open_file(a, name, &f, e);

	if (rc < 0)
		return rc;
	if (f.size > limit)
		return err_set(e, EFBIG, "'%s' has %" PRIu64 " bytes, more than %" PRIu64, name,
			       f.size, limit);
	if (buf_reserve(ret, (size_t)f.size) < 0)
		return err_nomem(e);
	rc = fs_pread(f.fd, ret->data, (size_t)f.size, f.offset, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", name);
	ret->len = (size_t)f.size;
	ret->data[ret->len] = '\0';
	return 0;
}

/* ---- manifest --------------------------------------------------------------------------------- */

/*
 * "ALGORITHM(NAME)= HEX" and its like with blanks in other places. name: NUL is put behind it in
 * place. *ret_hex ends with the line.
 */
static int parse_line(char *line, enum digest_kind *ret_kind, char **ret_name, char **ret_hex,
		      struct err *e)
{
	char *open = strchr(line, '('), *close = strrchr(line, ')');
	char *equals = close ? strchr(close, '=') : NULL;

	if (!open || !close || close < open || !equals)
		return err_set(e, EBADMSG, "'%.60s' is no line of the form ALGORITHM(FILE)= HEX",
			       line);
	*open = *close = '\0';
	for (char *p = open; p > line && p[-1] == ' ';)
		*--p = '\0';
	*ret_name = open + 1;
	*ret_hex = equals + 1 + strspn(equals + 1, " \t");
	(*ret_hex)[strcspn(*ret_hex, " \t\r")] = '\0';
	return digest_by_name(line, ret_kind, e);
}

static int add_digest(struct ova *a, char *line, struct err *e)
{
	struct ova_digest d = {0};
	struct ova_digest *grown;
	uint8_t raw[DIGEST_MAX];
	char *name = NULL, *hex = NULL;
	int rc = parse_line(line, &d.kind, &name, &hex, e);

	if (rc < 0 || !name || !hex)
		return rc;
	if (!name_is_plain(name))
		return err_set(e, EBADMSG, "'%s' is no plain file name", name);
	if (ova_digest_of(a, name))
		return err_set(e, EBADMSG, "'%s' stands twice", name);
	rc = hex_decode(hex, strlen(hex), raw, digest_size(d.kind), e);
	if (rc < 0)
		return err_wrap(e, "digest of '%s'", name);
	hex_encode(raw, digest_size(d.kind), d.hex);
	grown = reallocarray(a->digests, a->n_digests + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	a->digests = grown;
	d.name = strdup(name);
	if (!d.name)
		return err_nomem(e);
	grown[a->n_digests++] = d;
	return 0;
}

static int parse_manifest(struct ova *a, struct err *e)
{
	AUTO_FREE char *text = strndup(buf_str(&a->manifest), a->manifest.len);
	int rc = text ? 0 : err_nomem(e);

	for (char *rest = text, *line; rc == 0 && (line = strsep(&rest, "\n"));) {
		if (line[strspn(line, " \t\r")])
			rc = add_digest(a, line, e);
	}
	return rc;
}

const struct ova_digest *ova_digest_of(const struct ova *a, const char *name)
{
	for (size_t i = 0; i < a->n_digests; i++) {
		if (!strcmp(a->digests[i].name, name))
			return &a->digests[i];
	}
	return NULL;
}

static int check_text(const struct ova *a, const char *name, const struct buf *text, struct err *e)
{
	const struct ova_digest *d = ova_digest_of(a, name);
	uint8_t raw[DIGEST_MAX];
	char hex[2 * DIGEST_MAX + 1];

	if (!d)
		return err_set(e, EBADMSG, "the manifest does not name '%s'", name);
	digest_of(d->kind, text->data, text->len, raw);
	hex_encode(raw, digest_size(d->kind), hex);
	if (strcmp(hex, d->hex) != 0)
		return err_set(e, EBADMSG, "%s of '%s' is %s, the manifest says %s",
			       digest_name(d->kind), name, hex, d->hex);
	return 0;
}

static int check_cert(struct ova *a, const char *name, struct err *e)
{
	const struct bundle_args *args = &a->o->a->ec2;
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF by = BUF_INIT;
	uint8_t sig[SIGNATURE_MAX];
	enum digest_kind kind;
	char *signed_name = NULL, *hex = NULL, *pem;
	size_t len;
	int rc = read_text(a, name, TEXT_LIMIT, &text, e);

	if (rc < 0)
		return rc;
	pem = strchr(buf_str(&text), '\n');
	if (!pem)
		return err_set(e, EBADMSG, "'%s' has no signature", name);
	*pem++ = '\0';
	rc = parse_line(text.data, &kind, &signed_name, &hex, e);
	if (rc < 0 || !hex)
		return err_wrap(e, "'%s'", name);
	len = strlen(hex) / 2;
	if (len > sizeof(sig))
		return err_set(e, EBADMSG, "'%s': a signature of %zu bytes", name, len);
	rc = hex_decode(hex, strlen(hex), sig, len, e);
	if (rc == 0 && args->own_cert)
		rc = open_public_key(args->cert, &by, e);
	if (rc == 0)
		rc = cert_verify(pem, strlen(pem), kind, sig, len, buf_str(&a->manifest),
				 a->manifest.len, args->own_cert ? &by : NULL, &a->signer, e);
	return rc < 0 ? err_wrap(e, "'%s'", name) : 0;
}

/* ---- the package ------------------------------------------------------------------------------ */

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len > n && !strcasecmp(name + len - n, suffix);
}

/* The descriptor's name with another suffix, if there is such a file. */
static int sibling(struct ova *a, const char *suffix, char **ret, struct err *e)
{
	size_t stem = strlen(a->ovf_name) - strlen(".ovf");
	AUTO_FREE char *name = str_format("%.*s%s", (int)stem, a->ovf_name, suffix);
	AUTO(ova_close_file) struct ova_file f = {.fd = -1};
	struct err why = {0};
	int rc;

	if (!name)
		return err_nomem(e);
	rc = ova_open_file(a, name, &f, &why);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_set(e, -rc, "%s", why.msg);
	*ret = STEAL(name);
	return 0;
}

static int find_descriptor(struct ova *a, struct err *e)
{
	const char *found = NULL;

	if (!a->is_tar) {
		found = path_base(a->o->a->input);
		if (!has_suffix(found, ".ovf"))
			return err_set(e, EINVAL, "the descriptor's name does not end in '.ovf'");
		a->ovf_first = true;
	}
	for (size_t i = 0; a->is_tar && i < a->index.n; i++) {
		if (!has_suffix(a->index.members[i].name, ".ovf"))
			continue;
		if (found)
			return err_set(e, EBADMSG, "there are two descriptors, '%s' and '%s'",
				       found, a->index.members[i].name);
		found = a->index.members[i].name;
		a->ovf_first = i == 0;
	}
	if (!found)
		return err_set(e, EBADMSG, "the archive has no file NAME.ovf");
	a->ovf_name = strdup(found);
	return a->ovf_name ? 0 : err_nomem(e);
}

static int read_descriptor(struct ova *a, struct err *e)
{
	int rc = find_descriptor(a, e);

	if (rc == 0)
		rc = read_text(a, a->ovf_name, OVF_LIMIT, &a->ovf_text, e);
	return rc < 0 ? rc : ovf_parse(a->ovf_text.data, a->ovf_text.len, a->ovf_name, &a->ovf, e);
}

static int read_manifest(struct ova *a, struct err *e)
{
	AUTO_FREE char *name = NULL;
	AUTO_FREE char *cert = NULL;
	int rc = sibling(a, ".mf", &name, e);

	if (rc < 0 || !name)
		return rc;
	a->has_manifest = true;
	rc = read_text(a, name, TEXT_LIMIT, &a->manifest, e);
	if (rc == 0)
		rc = parse_manifest(a, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", name);
	rc = check_text(a, a->ovf_name, &a->ovf_text, e);
	if (rc == 0)
		rc = sibling(a, ".cert", &cert, e);
	a->has_cert = cert != NULL;
	return rc == 0 && cert && !a->o->a->ec2.ignore_signature ? check_cert(a, cert, e) : rc;
}

/* The certificate in the package proves nothing about who made it. */
static int check_signed(const struct ova *a, struct err *e)
{
	const struct bundle_args *args = &a->o->a->ec2;

	if (args->ignore_signature || (!args->require_signature && !args->own_cert))
		return 0;
	if (!a->has_cert)
		return err_set(e, EBADMSG, "signature not checked: there is none");
	if (!args->own_cert)
		return err_set(e, EBADMSG,
			       "signature not checked: give the signer's certificate by --cert");
	return 0;
}

static int check_files(struct ova *a, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->ovf.n_files; i++) {
		const struct ovf_file *f = &a->ovf.files[i];
		AUTO(ova_close_file) struct ova_file there = {.fd = -1};
		struct err why = {0};

		if (f->in_chunks)
			return err_set(e, ENOTSUP, "file '%s' is cut into chunks", f->href);
		rc = ova_open_file(a, f->href, &there, &why);
		/* That it is missing is found, not what keeps from looking. */
		if (rc < 0)
			rc = err_set(e, rc == -ENOENT ? EBADMSG : -rc, "%s", why.msg);
		if (rc == 0 && f->size && f->size != there.size)
			rc = err_set(e, EBADMSG,
				     "file '%s' has %" PRIu64
				     " bytes, the descriptor says %" PRIu64,
				     f->href, there.size, f->size);
		if (rc == 0 && a->has_manifest && !ova_digest_of(a, f->href))
			rc = err_set(e, EBADMSG, "the manifest does not name '%s'", f->href);
	}
	return rc;
}

int ova_read(struct opening *o, struct ova *ret, struct err *e)
{
	uint8_t magic[5];
	int rc;

	*ret = (struct ova){.o = o};
	ret->is_tar = o->file_size >= 262 && fs_pread(o->fd, magic, 5, 257, e) == 0 &&
		      !memcmp(magic, "ustar", 5);
	rc = ret->is_tar ? tar_index_read(o->fd, &ret->index, e) : 0;
	if (rc == 0)
		rc = read_descriptor(ret, e);
	if (rc == 0)
		rc = read_manifest(ret, e);
	if (rc == 0)
		rc = check_signed(ret, e);
	if (rc == 0)
		rc = check_files(ret, e);
	return rc < 0 ? err_wrap(e, "'%s'", o->a->input) : 0;
}

void ova_release(struct ova *a)
{
	for (size_t i = 0; i < a->n_digests; i++)
		free(a->digests[i].name);
	free(a->digests);
	tar_index_release(&a->index);
	ovf_release(&a->ovf);
	buf_release(&a->ovf_text);
	buf_release(&a->manifest);
	free(a->ovf_name);
	free(a->signer);
}
