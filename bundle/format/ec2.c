/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EC2 instance-store bundles as files of a folder: PREFIX.part.N and PREFIX.manifest.xml. The parts
 * are made in the sandbox; their secret is sealed and the manifest signed outside, by a private key
 * that the sandbox never holds.
 */
#include <inttypes.h>

#include "bundle/ec2_read.h"
#include "bundle/format.h"
#include "lib/log.h"
#include "lib/str.h"

#define PARTS_MAX (UINT32_C(1) << 20) /* 10 TiB of usual parts */
#define EC2_SIZE_MAX (10 * GIB)       /* of an instance-store image, says EC2 */

/* What comes back from the sandbox. */
struct told {
	char digest[41];
	uint64_t size, bundled_size, n_parts;
	char digests[PARTS_MAX][41];
};

struct ec2 {
	struct manifest *m;
	struct bundle_secret secret;
	enum bundle_style style;
	struct told *told;
	struct part_sink sink;
	int fd; /* of the part that is written */
	size_t part;
};

/* ---- before ---------------------------------------------------------------------------------- */

static int choose_style(const char *style, enum bundle_style *ret, struct err *e)
{
	if (!style || !strcmp(style, "euca2ools"))
		*ret = BUNDLE_STYLE_EUCA2OOLS;
	else if (!strcmp(style, "amazon"))
		*ret = BUNDLE_STYLE_AMAZON;
	else
		return err_set(e, EINVAL, "the style is 'amazon' or 'euca2ools', not '%s'", style);
	return 0;
}

static int choose_secret(const struct make_args *a, struct bundle_secret *ret, struct err *e)
{
	int rc;

	if (!a->enc_key && !a->enc_iv)
		return bundle_secret_random(ret, e);
	if (!a->enc_key || !a->enc_iv)
		return err_set(e, EINVAL, "--enc-key and --enc-iv are given together or not");
	rc = hex_decode(a->enc_key, strlen(a->enc_key), ret->key, sizeof(ret->key), NULL);
	if (rc == 0)
		rc = hex_decode(a->enc_iv, strlen(a->enc_iv), ret->iv, sizeof(ret->iv), NULL);
	return rc < 0 ? err_set(e, EINVAL, "--enc-key and --enc-iv are 32 hex digits each") : 0;
}

static int new_manifest(const struct make_args *a, struct manifest **ret, struct err *e)
{
	const struct manifest_spec spec = {
		.name = a->name,
		.user = a->user,
		.architecture = a->architecture ? a->architecture : "x86_64",
		.type = a->type,
		.kernel_id = a->kernel,
		.ramdisk_id = a->ramdisk,
		.kernel_name = a->kernel_name,
		.mappings = a->mappings,
		.n_mappings = a->n_mappings,
		.product_codes = a->product_codes,
		.n_product_codes = a->n_product_codes,
	};

	if (!a->user)
		return err_set(e, EINVAL, "give the account's number: --user NUMBER");
	return manifest_new(&spec, ret, e);
}

static int prepare(struct make *m, struct err *e)
{
	const struct make_args *a = m->a;
	struct ec2 *own = calloc(1, sizeof(*own));
	int rc;

	if (!own)
		return err_nomem(e);
	m->own = own;
	own->fd = -1;
	rc = choose_style(a->style, &own->style, e);
	if (rc == 0)
		rc = choose_secret(a, &own->secret, e);
	if (rc == 0)
		rc = new_manifest(a, &own->m, e);
	/* The keys are tried before the work, not after it. */
	if (rc == 0 && !a->cert && !a->ec2_cert)
		rc = err_set(e, EINVAL,
			     "for whom is it? --cert FILE, or --ec2cert FILE, or both are needed");
	if (rc == 0)
		rc = manifest_seal(own->m, &own->secret, a->cert, a->ec2_cert, e);
	if (rc == 0 && a->key) {
		AUTO_BUF unused = BUF_INIT;

		rc = manifest_write(own->m, own->style, a->key, &unused, e);
	}
	if (rc < 0)
		return rc;
	own->told = shared_memory(sizeof(*own->told));
	return own->told ? 0 : err_nomem(e);
}

/* ---- in the sandbox -------------------------------------------------------------------------- */

static int write_part(void *ctx, size_t index, const void *data, size_t len, struct err *e)
{
	struct ec2 *own = ctx;
	AUTO_FREE char *name = NULL;
	int rc = 0;

	if (own->fd < 0) {
		/* The real name may not be known before the number of parts is. */
		name = bundle_part_name(BUNDLE_STYLE_EUCA2OOLS, own->m->name, index, 0);
		if (!name)
			return err_nomem(e);
		if (index >= PARTS_MAX)
			return err_set(e, EFBIG, "more than %" PRIu32 " parts", PARTS_MAX);
		rc = make_file(name, &own->fd, e);
	}
	return rc < 0 ? rc : fs_write(own->fd, data, len, e);
}

static int end_part(void *ctx, size_t index, uint64_t size, const char *sha1, struct err *e)
{
	struct ec2 *own = ctx;

	(void)size;
	(void)e;
	memcpy(own->told->digests[index], sha1, sizeof(own->told->digests[index]));
	close(steal_fd(&own->fd));
	return 0;
}

static int run(struct make *m, struct err *e)
{
	struct ec2 *own = m->own;
	const struct make_disk *disk = &m->disks[0];
	uint64_t size = make_disk_size(disk);
	const struct bundle_ec2_opts o = {
		.part_size = m->a->part_size,
		.dense = m->a->dense,
		.one_member = m->a->one_member,
		.threads = m->a->threads,
		.stream = disk->stream,
	};
	struct part_sink sink = {.write = write_part, .end = end_part, .ctx = own};
	struct told *told = own->told;
	struct progress *p;
	int rc;

	if (size > EC2_SIZE_MAX)
		log_warn("'%s' has more than the 10 GiB that EC2 takes", m->a->images[0]);
	p = progress_start("bundling", size);
	rc = bundle_ec2_create(disk->im, &o, own->style, &own->secret, &sink, own->m, p, e);
	progress_end(p, rc == 0);
	if (own->fd >= 0)
		close(steal_fd(&own->fd));
	if (rc < 0)
		return rc;
	memcpy(told->digest, own->m->digest, sizeof(told->digest));
	told->size = own->m->size;
	told->bundled_size = own->m->bundled_size;
	told->n_parts = own->m->n_parts;
	return 0;
}

/* ---- after ----------------------------------------------------------------------------------- */

static bool is_digest(const char *s)
{
	return strnlen(s, 41) == 40 && strspn(s, "0123456789abcdef") == 40;
}

/* What the sandbox told is as hostile as the image: it is checked for its form. */
static int take_parts(struct make *m, struct err *e)
{
	struct ec2 *own = m->own;
	struct manifest *to = own->m;
	size_t n = (size_t)own->told->n_parts;

	if (n != m->out.n || !n || n > PARTS_MAX || !is_digest(own->told->digest))
		return err_set(e, EBADMSG,
			       "the confined process tells of other parts than it made");
	/* Where there was no child, the manifest is full already. */
	for (size_t i = 0; i < to->n_parts; i++)
		free(to->parts[i].filename);
	free(STEAL(to->parts));
	to->n_parts = 0;
	to->parts = calloc(n, sizeof(*to->parts));
	if (!to->parts)
		return err_nomem(e);
	memcpy(to->digest, own->told->digest, sizeof(to->digest));
	to->size = own->told->size;
	to->bundled_size = own->told->bundled_size;
	for (size_t i = 0; i < n; i++) {
		struct manifest_part *part = &to->parts[to->n_parts++];
		int rc;

		if (!is_digest(own->told->digests[i]))
			return err_set(e, EBADMSG, "part %zu has no digest", i);
		memcpy(part->digest, own->told->digests[i], sizeof(part->digest));
		part->filename = bundle_part_name(own->style, to->name, i, n);
		if (!part->filename)
			return err_nomem(e);
		rc = output_rename(&m->out, i, part->filename, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int complete(struct make *m, struct err *e)
{
	struct ec2 *own = m->own;
	AUTO_FREE char *name = str_format("%s.manifest.xml", own->m->name);
	AUTO_BUF text = BUF_INIT;
	int fd = -1;
	int rc = name ? take_parts(m, e) : err_nomem(e);

	if (rc == 0)
		rc = manifest_write(own->m, own->style, m->a->key, &text, e);
	if (rc == 0)
		rc = output_file(&m->out, name, &fd, e);
	if (rc == 0)
		rc = fs_write(fd, text.data, text.len, e);
	if (rc < 0)
		return rc;
	log_info("'%s/%s': %" PRIu64 " bytes in %zu parts of %" PRIu64 "%s", m->out.folder, name,
		 own->m->size, own->m->n_parts, own->m->bundled_size,
		 m->a->key ? "" : ", not signed");
	return 0;
}

static void release(struct make *m)
{
	struct ec2 *own = m->own;

	if (!own)
		return;
	manifest_free(own->m);
	bundle_secret_wipe(&own->secret);
	shared_memory_free(own->told, sizeof(*own->told));
	free(own);
}

/* ---- recognising ----------------------------------------------------------------------------- */

/* All XML that is nobody else's: what is wrong with it, the manifest's reader says. */
static bool probe(const struct bundle_head *h)
{
	size_t at = h->len >= 3 && !memcmp(h->data, "\xef\xbb\xbf", 3) ? 3 : 0;

	while (at < h->len && h->data[at] && strchr(" \t\r\n", h->data[at]))
		at++;
	return h->len < 18 || (at < h->len && h->data[at] == '<');
}

const struct bundle_format bundle_format_ec2 = {
	.name = "ec2",
	.summary = "instance-store bundle: encrypted parts, a signed manifest",
	.is_folder = true,
	.most_images = 1,
	.is_signed = true,
	.prepare = prepare,
	.run = run,
	.complete = complete,
	.release = release,
	.probe = probe,
	.open = ec2_open,
	.verify = ec2_verify,
	.info = ec2_info,
};
