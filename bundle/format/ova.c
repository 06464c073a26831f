/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OVA: a tar archive with an OVF descriptor first, stream-optimized VMDKs, a manifest and, where
 * there is a key to sign it with, a certificate behind them, in one pass: the descriptor, which tells
 * the sizes of the files, has room left for it, and ends with as many blanks as its numbers turn out
 * shorter. The sandbox makes descriptor and disks and tells their digests; manifest and signature are
 * made outside, by a key that the sandbox never holds. Layouts: bundle/ova.c, bundle/ovf_*.c.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>

#include "bundle/cert.h"
#include "bundle/ova_read.h"
#include "bundle/ovf.h"
#include "bundle/tar_write.h"
#include "lib/str.h"

#define VMDK_URI "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
#define HARDWARE "vmx-10" /* ESXi 5.5; VirtualBox takes any vmx-N */
#define STEP (256 * KIB)
#define DEFAULT_MEMORY (2 * GIB)
#define DISKS_MAX 7
#define SHA256_HEX 64
#define OS_MAX 256 /* bytes of the guest's name, for which room is left where it is not known yet */

/* What comes back from the sandbox. */
struct told {
	uint64_t at;                                 /* where the archive goes on */
	char digests[1 + DISKS_MAX][SHA256_HEX + 1]; /* of the descriptor and the disks */
};

/* ---- before ---------------------------------------------------------------------------------- */

static int prepare(struct make *m, struct err *e)
{
	const struct make_args *a = m->a;
	AUTO_FREE char *hex = NULL;
	AUTO_FREE char *pem = NULL;
	const struct buf nothing = BUF_INIT;
	int rc;

	if (!name_is_plain(a->name) || strlen(a->name) > TAR_NAME_MAX - 20)
		return err_set(e, EINVAL, "the name '%s' is no short plain file name", a->name);
	if (!a->key != !a->cert)
		return err_set(e, EINVAL, "a signature needs both --key and --cert");
	rc = make_check_properties(m, e);
	/* The key is tried before the work, not after it. */
	if (rc == 0 && a->key)
		rc = cert_sign(a->key, a->cert, &nothing, &hex, &pem, e);
	if (rc < 0)
		return rc;
	m->own = shared_memory(sizeof(struct told));
	return m->own ? 0 : err_nomem(e);
}

static void release(struct make *m)
{
	shared_memory_free(m->own, sizeof(struct told));
}

static char *member_name(const struct make *m, const char *suffix)
{
	return str_format("%s%s", m->a->name, suffix);
}

/* The name of disk i, from 0. */
static char *disk_name(const struct make *m, size_t i)
{
	return str_format("%s-disk%zu.vmdk", m->a->name, i + 1);
}

static int put_header(int fd, uint64_t at, const char *name, uint64_t size, struct err *e)
{
	uint8_t block[TAR_BLOCK];

	tar_write_ustar(block, name, size);
	return fs_pwrite(fd, block, sizeof(block), at, e);
}

/* ---- in the sandbox: the descriptor ---------------------------------------------------------- */

struct making {
	struct make *m;
	struct told *told;
	struct ovf ovf;
	int fd;
	uint64_t at;       /* where the next member begins */
	uint64_t ovf_room; /* bytes of the descriptor */
};

static void making_release(struct making *k)
{
	ovf_release(&k->ovf);
	if (k->fd >= 0)
		close(k->fd);
}
DEFINE_AUTO_STRUCT(struct making, making_release);

static int describe_disk(struct making *k, size_t i, struct err *e)
{
	struct ovf_file *f = &k->ovf.files[i];
	struct ovf_disk *d = &k->ovf.disks[i];

	f->id = str_format("file%zu", i + 1);
	f->href = disk_name(k->m, i);
	f->size = INT64_MAX;
	d->id = str_format("vmdisk%zu", i + 1);
	d->format = strdup(VMDK_URI);
	d->file = f;
	d->capacity = image_padded_size("vmdk", make_disk_size(&k->m->disks[i]), NULL);
	return f->id && f->href && d->id && d->format ? 0 : err_nomem(e);
}

static int describe_properties(struct making *k, struct err *e)
{
	const struct make_args *a = k->m->a;

	k->ovf.properties = calloc(a->n_properties + 1, sizeof(*k->ovf.properties));
	if (!k->ovf.properties)
		return err_nomem(e);
	for (size_t i = 0; i < a->n_properties; i++) {
		const char *equals = strchr(a->properties[i], '=');
		struct ovf_property *p = &k->ovf.properties[k->ovf.n_properties++];

		p->key = strndup(a->properties[i], (size_t)(equals - a->properties[i]));
		p->value = strdup(equals + 1);
		if (!p->key || !p->value)
			return err_nomem(e);
	}
	return 0;
}

/* The longest that can be said of what boots. */
static int describe_boot_room(struct making *k, struct err *e)
{
	k->ovf.is_efi = true;
	k->ovf.os = calloc(1, OS_MAX + 1);
	if (!k->ovf.os)
		return err_nomem(e);
	memset(k->ovf.os, 'x', OS_MAX);
	return 0;
}

/* The first disk lies in the archive, from at on. */
static int describe_boot(struct making *k, uint64_t at, uint64_t len, struct err *e)
{
	AUTO(machine_release) struct machine machine = {0};
	int rc = make_look(&k->m->disks[0], k->fd, at, len, "vmdk", &machine, e);

	k->ovf.is_efi = machine.needs_uefi;
	free(k->ovf.os);
	k->ovf.os = STEAL(machine.os);
	return rc;
}

static int describe(struct making *k, struct err *e)
{
	const struct make_args *a = k->m->a;
	struct ovf *o = &k->ovf;
	int rc = 0;

	o->name = strdup(a->name);
	o->system_type = strdup(HARDWARE);
	o->files = calloc(a->n_images, sizeof(*o->files));
	o->disks = calloc(a->n_images, sizeof(*o->disks));
	if (!o->name || !o->system_type || !o->files || !o->disks)
		return err_nomem(e);
	o->cpus = a->cpus ? a->cpus : 1;
	o->memory = a->memory ? a->memory : DEFAULT_MEMORY;
	o->n_files = o->n_disks = a->n_images;
	for (size_t i = 0; rc == 0 && i < a->n_images; i++)
		rc = describe_disk(k, i, e);
	if (rc == 0)
		rc = describe_properties(k, e);
	return rc < 0 ? rc : describe_boot_room(k, e);
}

/* The descriptor with its numbers as long as they can be says how much room it needs. */
static int leave_room(struct making *k, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = ovf_write(&k->ovf, &text, e);

	if (rc < 0)
		return rc;
	k->ovf_room = text.len;
	k->at = TAR_BLOCK + round_up(k->ovf_room, TAR_BLOCK);
	return 0;
}

static int put_descriptor(struct making *k, struct err *e)
{
	AUTO_FREE char *name = member_name(k->m, ".ovf");
	AUTO_BUF text = BUF_INIT;
	uint8_t sha[DIGEST_MAX];
	int rc = name ? ovf_write(&k->ovf, &text, e) : err_nomem(e);

	/* A guest can call itself what it likes. */
	if (rc == 0 && text.len > k->ovf_room) {
		free(STEAL(k->ovf.os));
		text.len = 0;
		rc = ovf_write(&k->ovf, &text, e);
	}
	if (rc < 0)
		return rc;
	while (text.len < k->ovf_room) {
		if (buf_addc(&text, text.len + 1 == k->ovf_room ? '\n' : ' ') < 0)
			return err_nomem(e);
	}
	digest_of(DIGEST_SHA256, text.data, text.len, sha);
	hex_encode(sha, digest_size(DIGEST_SHA256), k->told->digests[0]);
	rc = put_header(k->fd, 0, name, text.len, e);
	return rc < 0 ? rc : fs_pwrite(k->fd, text.data, text.len, TAR_BLOCK, e);
}

/* ---- a disk: image -> streamOptimized -> pipe -> SHA-256 -> archive ----------------------------- */

struct drain {
	int from, to;
	uint64_t at, len;
	char hex[2 * DIGEST_MAX + 1];
	int rc;
	struct err e;
};

static int drain_run(struct drain *d, struct err *e)
{
	AUTO(digest_free) struct digest *sha = NULL;
	AUTO_FREE uint8_t *buf = malloc(STEP);
	int rc = buf ? digest_new(DIGEST_SHA256, &sha, e) : err_nomem(e);

	while (rc == 0) {
		ssize_t n = read(d->from, buf, STEP);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "reading a pipe");
		if (n == 0)
			break;
		digest_add(sha, buf, (size_t)n);
		rc = fs_pwrite(d->to, buf, (size_t)n, d->at + d->len, e);
		d->len += (uint64_t)n;
	}
	if (rc == 0)
		digest_final_hex(sha, d->hex);
	return rc;
}

static void *drain_thread(void *arg)
{
	struct drain *d = arg;

	d->rc = drain_run(d, &d->e);
	/* Who writes gets EPIPE. */
	close(d->from);
	return NULL;
}

static int write_stream(struct making *k, size_t i, int fd, struct err *e)
{
	static const char *const options[] = {"subformat=streamOptimized", NULL};
	const struct image_create_opts o = {
		.options = options, .threads = k->m->a->threads, .pipe = true};
	AUTO(image_writer_free) struct image_writer *w = NULL;
	int rc =
		image_create(fd, k->ovf.files[i].href, "vmdk", k->ovf.disks[i].capacity, &o, &w, e);

	return rc < 0 ? rc : make_fill(&k->m->disks[i], w, "packing", e);
}

static int pass_through(struct making *k, size_t i, struct drain *d, struct err *e)
{
	pthread_t thread;
	int ends[2];
	int rc;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, errno, "making a pipe");
	d->from = ends[0];
	rc = pthread_create(&thread, NULL, drain_thread, d);
	if (rc) {
		close(ends[0]);
		close(ends[1]);
		return err_errno(e, rc, "starting a thread");
	}
	rc = write_stream(k, i, ends[1], e);
	close(ends[1]);
	pthread_join(thread, NULL);
	if (d->rc < 0) {
		if (e)
			*e = d->e;
		return d->rc;
	}
	return rc;
}

static int put_disk(struct making *k, size_t i, struct err *e)
{
	struct drain d = {.to = k->fd, .at = k->at + TAR_BLOCK};
	int rc = pass_through(k, i, &d, e);

	if (rc == 0)
		rc = put_header(k->fd, k->at, k->ovf.files[i].href, d.len, e);
	if (rc == 0)
		memcpy(k->told->digests[1 + i], d.hex, SHA256_HEX + 1);
	if (rc == 0 && i == 0)
		rc = describe_boot(k, d.at, d.len, e);
	k->ovf.files[i].size = d.len;
	k->at += TAR_BLOCK + round_up(d.len, TAR_BLOCK);
	return rc;
}

static int run(struct make *m, struct err *e)
{
	AUTO(making_release) struct making k = {.m = m, .told = m->own, .fd = -1};
	int rc = describe(&k, e);

	if (rc == 0)
		rc = make_file(make_output_name(m), &k.fd, e);
	if (rc == 0)
		rc = leave_room(&k, e);
	for (size_t i = 0; rc == 0 && i < m->a->n_images; i++)
		rc = put_disk(&k, i, e);
	if (rc == 0)
		rc = put_descriptor(&k, e);
	k.told->at = k.at;
	return rc;
}

/* ---- after ----------------------------------------------------------------------------------- */

static int add_digest(struct buf *out, const char *name, const char *hex, struct err *e)
{
	/* What the sandbox told is as hostile as the image: it is checked for its form. */
	if (strnlen(hex, SHA256_HEX + 1) != SHA256_HEX ||
	    strspn(hex, "0123456789abcdef") != SHA256_HEX)
		return err_set(e, EBADMSG, "the confined process tells no digest of '%s'", name);
	return buf_addf(out, "SHA256(%s)= %s\n", name, hex) < 0 ? err_nomem(e) : 0;
}

static int write_manifest(const struct make *m, struct buf *out, struct err *e)
{
	const struct told *told = m->own;
	AUTO_FREE char *ovf = member_name(m, ".ovf");
	int rc = ovf ? add_digest(out, ovf, told->digests[0], e) : err_nomem(e);

	for (size_t i = 0; rc == 0 && i < m->a->n_images; i++) {
		AUTO_FREE char *name = disk_name(m, i);

		rc = name ? add_digest(out, name, told->digests[1 + i], e) : err_nomem(e);
	}
	return rc;
}

static int sign(const struct make *m, const struct buf *manifest, struct buf *out, struct err *e)
{
	AUTO_FREE char *name = member_name(m, ".mf");
	AUTO_FREE char *hex = NULL;
	AUTO_FREE char *pem = NULL;
	int rc = name ? cert_sign(m->a->key, m->a->cert, manifest, &hex, &pem, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	return buf_addf(out, "SHA256(%s)= %s\n%s", name, hex, pem) < 0 ? err_nomem(e) : 0;
}

static int put_text(const struct make *m, int fd, const char *suffix, const struct buf *text,
		    uint64_t *at, struct err *e)
{
	AUTO_FREE char *name = member_name(m, suffix);
	int rc = name ? put_header(fd, *at, name, text->len, e) : err_nomem(e);

	if (rc == 0)
		rc = fs_pwrite(fd, text->data, text->len, *at + TAR_BLOCK, e);
	*at += TAR_BLOCK + round_up(text->len, TAR_BLOCK);
	return rc;
}

static int complete(struct make *m, struct err *e)
{
	int fd = m->out.n == 1 ? m->out.files[0].fd : -1;
	uint64_t at = ((const struct told *)m->own)->at;
	AUTO_BUF manifest = BUF_INIT;
	AUTO_BUF cert = BUF_INIT;
	struct stat st;
	int rc;

	if (fd < 0)
		return err_set(e, EBADMSG, "the confined process made no archive");
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "the archive");
	if (at % TAR_BLOCK || at != round_up((uint64_t)st.st_size, TAR_BLOCK))
		return err_set(e, EBADMSG, "the confined process tells of another archive");
	rc = write_manifest(m, &manifest, e);
	if (rc == 0)
		rc = put_text(m, fd, ".mf", &manifest, &at, e);
	if (rc == 0 && m->a->key) {
		rc = sign(m, &manifest, &cert, e);
		if (rc == 0)
			rc = put_text(m, fd, ".cert", &cert, &at, e);
	}
	if (rc < 0)
		return rc;
	/* Two empty blocks, and up to a whole record. */
	if (ftruncate(fd, (off_t)round_up(at + (uint64_t)2 * TAR_BLOCK, TAR_RECORD)) < 0)
		return err_errno(e, errno, "setting the archive's size");
	return 0;
}

const struct bundle_format bundle_format_ova = {
	.name = "ova",
	.summary = "OVF package in a tar archive: descriptor, stream-optimized VMDKs, manifest",
	.most_images = DISKS_MAX,
	.is_signed = true,
	.prepare = prepare,
	.run = run,
	.complete = complete,
	.release = release,
	.probe = ova_probe,
	.open = ova_open,
	.verify = ova_verify,
	.info = ova_info,
};
