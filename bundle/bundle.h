/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The face of the delivery formats. Here: EC2 instance-store bundles, that is encrypted parts and
 * a signed manifest (version 2007-10-10). Opening is one pass: parts -> AES -> gzip -> tar ->
 * image writer, every digest checked on the way, nothing kept on disk but the output. Making one is
 * the same the other way round.
 */
#ifndef BUNDLE_BUNDLE_H
#define BUNDLE_BUNDLE_H

#include "imgconv/imgconv.h"
#include "lib/digest.h"

struct manifest_part {
	char *filename;  /* a plain file name, unique in the manifest */
	char digest[41]; /* SHA-1, lower-case hex */
};
struct manifest_mapping {
	char *virtual_name; /* "ami", "root", "ephemeral0" */
	char *device;       /* "sda1", "/dev/sda1" */
};

/* Strings are never NULL but where it says so, and hold no control characters. */
struct manifest {
	char *version;                                          /* "2007-10-10" */
	char *bundler_name, *bundler_version, *bundler_release; /* not signed; NULL: not given */
	char *name;                                             /* image/name: a plain file name */
	char *user;                                             /* account, usually 12 digits */
	char *architecture;                /* NULL: a manifest older than 2007-08-29 */
	char *type;                        /* machine, kernel, ramdisk */
	char *kernel_id, *ramdisk_id;      /* NULL: none */
	char *kernel_name;                 /* NULL: none; of a kernel */
	struct manifest_mapping *mappings; /* as in the file */
	size_t n_mappings;
	char **product_codes;
	size_t n_product_codes;
	char **ancestors; /* AMI ids */
	size_t n_ancestors;
	char digest[41];          /* SHA-1 of the tar stream */
	uint64_t size;            /* bytes of the image, > 0, < 2^63 */
	uint64_t bundled_size;    /* bytes of all parts, likewise */
	char *user_key, *user_iv; /* hex of the RSA cipher texts; NULL if absent or empty */
	char *ec2_key, *ec2_iv;
	struct manifest_part *parts; /* in order of their index */
	size_t n_parts;              /* > 0 */
	/*
	 * The exact bytes that the signature covers: the elements machine_configuration and image
	 * as they stand in the file. All that is in this struct comes from them, but for version,
	 * bundler and signature.
	 */
	struct buf signed_text;
	char *signature; /* hex; NULL: none, or "UNSIGNED" */
	struct buf text; /* the whole manifest as read */
};

#define MANIFEST_LIMIT (16 * MIB) /* bytes of a manifest that we read */

/*
 * Parses a manifest; origin is for messages. The layout is the one that ec2-ami-tools 1.5.3 and
 * euca2ools 3.4 write. What would be read and what would be verified must be the same bytes:
 * a file where a search for "<image>" finds another place than the element is refused.
 * Errors: EBADMSG (with line and rule), ENOTSUP a version or algorithm, EFBIG over a limit.
 */
int manifest_parse(const void *xml, size_t len, const char *origin, struct manifest **ret,
		   struct err *e);
/*
 * The same in a process that can open nothing (lib/worker.h). To be called while there is one thread.
 * Errors: as above, and as worker_run.
 */
int manifest_parse_confined(const void *xml, size_t len, const char *origin, struct manifest **ret,
			    struct err *e);
/* Reads the file at path ("-": standard input) and parses it so. Errors: errno of open; as above. */
int manifest_read(const char *path, struct manifest **ret, struct err *e);
void manifest_free(struct manifest *m);
DEFINE_AUTO(struct manifest *, manifest_free);

/*
 * Verifies the signature (RSA PKCS#1 v1.5 with SHA-1 over signed_text) by the certificate, public
 * key or private key in PEM at key_path. A certificate's dates are not looked at.
 * Errors: EBADMSG unsigned, or it does not verify; EINVAL no RSA key in the file.
 */
int manifest_verify(const struct manifest *m, const char *key_path, struct err *e);

/* The AES key and IV of the parts. Wipe it with bundle_secret_wipe. */
struct bundle_secret {
	uint8_t key[16], iv[16];
	bool for_user; /* came from the user_* pair, not from ec2_* */
};
/*
 * Decrypts the secret by the RSA private key (PEM without a passphrase) at key_path; the pair
 * user_* is tried first, then ec2_*.
 * Errors: EACCES the key fits neither; EBADMSG there is no pair; EINVAL the key file.
 */
int manifest_decrypt_secret(const struct manifest *m, const char *key_path,
			    struct bundle_secret *ret, struct err *e);
void bundle_secret_wipe(struct bundle_secret *s);
DEFINE_AUTO_STRUCT(struct bundle_secret, bundle_secret_wipe);

/*
 * Where the parts come from, in order. read gives up to len bytes of part `index` and sets
 * *ret_len, 0 at its end; it returns 0 or a negative errno. Calls for a part end before those for
 * the next begin; all are made by one thread, but another one than the caller's of bundle_*.
 * Bytes of a part may be given before the source has it whole: the opener checks each part's
 * digest before it uses any of them, so it holds one part. When another stage fails, the call that
 * is under way is waited for: a source that can block has its own time limits and stop_check.
 */
struct part_source {
	int (*read)(void *ctx, size_t index, void *buf, size_t len, size_t *ret_len, struct err *e);
	void *ctx;
};
/*
 * Parts as files that `open` gives by their names, plain file names; the descriptor is the source's,
 * ctx stays the caller's. m must outlive it.
 */
int part_source_open(int (*open)(void *ctx, const char *name, int *ret_fd, struct err *e),
		     void *ctx, const struct manifest *m, struct part_source *ret, struct err *e);
void part_source_open_free(struct part_source *s);
DEFINE_AUTO_STRUCT(struct part_source, part_source_open_free);

/*
 * Parts as objects of S3 beside the one called manifest_key, fetched ahead on `workers` threads
 * (0: 4), each with a connection of its own; 48 MiB of them are held, in memory or in the folder
 * `keep` (NULL: none), which is there: parts stay there, and those that are there are not fetched. If
 * one cannot be put there, the folder is removed, with a warning, and it goes on without. progress (may
 * be NULL) gets the bytes that are given on, and notes of retries. a and m must outlive it. Errors:
 * EFBIG, ENOMEM, EAGAIN.
 */
struct aws;
struct part_fetch;
struct part_fetch_opts {
	unsigned workers;
	unsigned timeout_ms; /* of one request, which goes on after that in another; 0: none */
	const char *keep;
	struct progress *progress;
};
int part_fetch_new(struct aws *a, const char *bucket, const char *manifest_key,
		   const struct manifest *m, const struct part_fetch_opts *o,
		   struct part_fetch **ret, struct err *e);
void part_fetch_free(struct part_fetch *f);
DEFINE_AUTO(struct part_fetch *, part_fetch_free);
/*
 * The next part, which must be called `name`, as a file at its beginning, which is the caller's. Its
 * bytes are not proven. Errors: EACCES it is another one; as s3_get.
 */
int part_fetch_next(struct part_fetch *f, const char *name, int *ret_fd, struct err *e);
/* How many parts lie in `keep`, and how many of those lay there before. */
size_t part_fetch_kept(struct part_fetch *f, size_t *ret_found);

#define BUNDLE_PART_LIMIT (32 * MIB) /* bytes of a part; tools make 10 MiB */

/*
 * Where the image's bytes go: write gets runs of data, front to back, never overlapping; what is
 * between them is a hole of a sparse member and reads as zeros. len > 0.
 */
struct bundle_sink {
	int (*write)(void *ctx, const void *data, size_t len, uint64_t off, struct err *e);
	void *ctx;
	/* Before the first write: the image's size, once it is known. NULL: nobody asks. */
	int (*begin)(void *ctx, uint64_t size, struct err *e);
};
/* A sink that writes into w at dst_offset; the bundle does not finish w. */
struct bundle_writer {
	struct image_writer *w;
	uint64_t dst_offset;
};
struct bundle_sink bundle_sink_to_writer(struct bundle_writer *bw);

/*
 * Opens the bundle into sink; sink == NULL: verify only. Checks part digests, bundled size,
 * padding, gzip's own checks, tar structure, tar digest, image size. The digests of the whole are
 * known at the end only: what went to the sink counts when 0 is returned. p may be NULL and gets
 * bytes of parts (its total is m->bundled_size).
 * Runs on three threads, the caller's included, which alone calls the sink. Holds two parts and
 * 4 MiB.
 * Errors: EBADMSG, each naming part, rule and values; EFBIG a part over BUNDLE_PART_LIMIT, a tar
 * header or sparse map over its limit; ECANCELED; what the source and the sink return.
 */
int bundle_ec2_open(const struct manifest *m, const struct bundle_secret *secret,
		    struct part_source *src, const struct bundle_sink *sink, struct progress *p,
		    struct err *e);

/* What can be checked without the secret: presence, digest and sum of sizes of all parts. */
int bundle_ec2_check_parts(const struct manifest *m, struct part_source *src, struct progress *p,
			   struct err *e);

/* ---- making --------------------------------------------------------------------------------- */

/* Whose manifests and names of parts ours look like. All tools read both. */
enum bundle_style {
	BUNDLE_STYLE_EUCA2OOLS, /* PREFIX.part.00: a part's name is known before the number of them */
	BUNDLE_STYLE_AMAZON,    /* PREFIX.part.0: as wide as their number is */
};
/* The name of a part; count: how many there are (euca2ools: any). NULL when memory is out. */
char *bundle_part_name(enum bundle_style style, const char *prefix, size_t index, size_t count);

/* What a new manifest says of the machine; all is copied. NULL and 0: it does not say. */
struct manifest_spec {
	const char *name;         /* also the prefix of all files' names; needed */
	const char *user;         /* 12 digits, hyphens are left out; needed */
	const char *architecture; /* needed */
	const char *type;         /* NULL: "machine" */
	const char *kernel_id, *ramdisk_id, *kernel_name;
	const struct manifest_mapping *mappings;
	size_t n_mappings;
	char *const *product_codes;
	size_t n_product_codes;
	char *const *ancestors;
	size_t n_ancestors;
};
/*
 * A manifest without parts, secret and signature. Errors: EINVAL, naming what is wrong; ENOMEM.
 */
int manifest_new(const struct manifest_spec *s, struct manifest **ret, struct err *e);
/* Sets one of the ids; NULL or "" takes it away. Errors: EINVAL, ENOMEM. */
int manifest_set_kernel(struct manifest *m, const char *kernel_id, struct err *e);
int manifest_set_ramdisk(struct manifest *m, const char *ramdisk_id, struct err *e);

/* A new secret, random. Errors: errno of getrandom. */
int bundle_secret_random(struct bundle_secret *ret, struct err *e);

/*
 * Where the parts go, the counterpart of struct part_source. Parts ascend, and all bytes of one
 * come before the first of the next. Calls are made in one thread, the caller's of bundle_ec2_create
 * where what is bundled is an image.
 */
struct part_sink {
	/* The next len bytes (> 0) of part `index`. */
	int (*write)(void *ctx, size_t index, const void *data, size_t len, struct err *e);
	/* Part `index` is whole: its size and SHA-1. NULL: nothing is to be done then. */
	int (*end)(void *ctx, size_t index, uint64_t size, const char *sha1, struct err *e);
	void *ctx;
};

struct bundle_ec2_opts {
	uint64_t part_size; /* 0: 10 MiB, as all tools make; at most BUNDLE_PART_LIMIT */
	bool dense;         /* no sparse archive, even if the image has holes */
	bool one_member;    /* of gzip, for readers that stop after the first; 4 % larger */
	unsigned threads;   /* 0: one a processor */
	/* What is bundled comes through a pipe: the image is NULL. There are no holes then, and the
	 * sink is called in another thread. */
	struct image_stream *stream;
};
/*
 * Writes the image into parts: tar, gzip, AES-128-CBC, in one pass. Fills digest, size,
 * bundled_size and parts of m, whose part names are those of style; the same image, name and
 * secret give the same bytes. o may be NULL. p may be NULL and gets bytes of the image. Holds
 * 32 MiB and 16 bytes for each hole.
 * Errors: EFBIG the image has more than two million holes; EINVAL the part size; those of the image
 * and of the sink; ECANCELED.
 */
int bundle_ec2_create(struct image *im, const struct bundle_ec2_opts *o, enum bundle_style style,
		      const struct bundle_secret *secret, struct part_sink *sink,
		      struct manifest *m, struct progress *p, struct err *e);

/*
 * Encrypts the secret for the owners of the certificates or public keys (PEM) at these paths; NULL:
 * for nobody, and what m had is taken away. Errors: EINVAL no RSA key in the file.
 */
int manifest_seal(struct manifest *m, const struct bundle_secret *secret, const char *user_cert,
		  const char *ec2_cert, struct err *e);
/*
 * Appends the manifest's text to out, signed by the RSA private key (PEM without a passphrase) at
 * key_path; NULL: unsigned. The manifest then says that we made it. Errors: EINVAL the key file.
 */
int manifest_write(const struct manifest *m, enum bundle_style style, const char *key_path,
		   struct buf *out, struct err *e);

#endif
