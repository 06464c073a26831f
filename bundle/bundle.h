/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The face of the delivery formats. Here: EC2 instance-store bundles, that is encrypted parts and
 * a signed manifest (version 2007-10-10). Opening is one pass: parts -> AES -> gzip -> tar ->
 * image writer, every digest checked on the way, nothing kept on disk but the output.
 */
#ifndef BUNDLE_BUNDLE_H
#define BUNDLE_BUNDLE_H

#include "imgconv/imgconv.h"
#include "lib/digest.h"

struct manifest_part {
	char *filename;  /* a plain file name */
	char digest[41]; /* SHA-1, lower-case hex */
};

struct manifest {
	char *name; /* image/name */
	char *user; /* account, digits */
	char *architecture;
	char *type;                   /* machine, kernel, ramdisk */
	char *kernel_id, *ramdisk_id; /* NULL: none */
	char digest[41];              /* SHA-1 of the tar stream */
	uint64_t size;                /* bytes of the image */
	uint64_t bundled_size;
	char *user_key, *user_iv; /* hex of the RSA cipher texts; NULL if absent */
	char *ec2_key, *ec2_iv;
	struct manifest_part *parts; /* in order of their index */
	size_t n_parts;
	struct buf signed_text; /* the exact bytes that the signature covers */
	char *signature;        /* hex; NULL: none, or "UNSIGNED" */
	struct buf text;        /* the whole manifest as read */
};

#define MANIFEST_LIMIT (16 * 1024 * 1024) /* bytes of a manifest that we read */

/* Parses; origin is for messages. Errors: EBADMSG (with line and rule), ENOTSUP a version. */
int manifest_parse(const void *xml, size_t len, const char *origin, struct manifest **ret,
		   struct err *e);
void manifest_free(struct manifest *m);
DEFINE_AUTO(struct manifest *, manifest_free);

/*
 * Verifies the signature by the certificate or public key in PEM at cert_path.
 * Errors: EBADMSG unsigned or does not verify; EINVAL the certificate.
 */
int manifest_verify(const struct manifest *m, const char *cert_path, struct err *e);

/* The AES key and IV, decrypted by the user's private key (PEM at key_path); user_* are tried
 * first, then ec2_*. Errors: EACCES wrong key; EBADMSG; EINVAL the key file. */
struct bundle_secret {
	uint8_t key[16], iv[16];
};
int manifest_decrypt_secret(const struct manifest *m, const char *key_path,
			    struct bundle_secret *ret, struct err *e);

/*
 * Where the parts come from, in order. read gives up to len bytes of part `index`, 0 at its end;
 * calls for a part end before those for the next begin. Bytes of a part may be given before it was
 * read whole: the opener checks each part's digest before it uses any of them, so it holds one
 * part.
 */
struct part_source {
	int (*read)(void *ctx, size_t index, void *buf, size_t len, size_t *ret_len, struct err *e);
	void *ctx;
};
/* Parts as files in a folder; name is resolved below dir only. Release by part_source_dir_free. */
int part_source_dir(const char *dir, const struct manifest *m, struct part_source *ret,
		    struct err *e);
void part_source_dir_free(struct part_source *s);

/*
 * Opens the bundle into w at dst_offset; w == NULL: verify only. Checks part digests, bundled
 * size, padding, gzip's own checks, tar structure, tar digest, image size. Does not finish w.
 * Errors: EBADMSG, each naming part, rule and values; what the source and the writer return.
 */
int bundle_ec2_open(const struct manifest *m, const struct bundle_secret *secret,
		    struct part_source *src, struct image_writer *w, uint64_t dst_offset,
		    struct progress *p, struct err *e);

#endif
