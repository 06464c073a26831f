/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OVA: a tar archive with an OVF descriptor first, stream-optimized VMDKs and a manifest behind
 * them, in one pass: the descriptor, which tells the sizes of the files, has room left for it, and
 * ends with as many blanks as its numbers turn out shorter. Layouts: bundle/ova.c, bundle/ovf_*.c.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "bundle/machine.h"
#include "bundle/ova.h"
#include "bundle/tar_write.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

#define VMDK_URI "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
#define HARDWARE "vmx-10" /* ESXi 5.5; VirtualBox takes any vmx-N */
#define STEP (256 * KIB)
#define DEFAULT_MEMORY (2 * GIB)

/* ---- making ---------------------------------------------------------------------------------- */

struct making {
	struct make *m;
	struct ovf ovf;
	char *stem; /* of the files' names */
	int fd;
	uint64_t at;       /* where the next member begins */
	uint64_t ovf_room; /* bytes of the descriptor */
	struct buf manifest;
};

static void making_release(struct making *k)
{
	ovf_release(&k->ovf);
	free(k->stem);
	if (k->fd >= 0)
		close(k->fd);
	buf_release(&k->manifest);
}
DEFINE_AUTO_STRUCT(struct making, making_release);

static int prepare(struct make *m, struct err *e)
{
	if (!name_is_plain(m->a->name) || strlen(m->a->name) > TAR_NAME_MAX - 20)
		return err_set(e, EINVAL, "the name '%s' is no short plain file name", m->a->name);
	return make_check_properties(m, e);
}

static int describe_disk(struct making *k, size_t i, struct err *e)
{
	struct ovf_file *f = &k->ovf.files[i];
	struct ovf_disk *d = &k->ovf.disks[i];

	f->id = str_format("file%zu", i + 1);
	f->href = str_format("%s-disk%zu.vmdk", k->stem, i + 1);
	f->size = INT64_MAX;
	d->id = str_format("vmdisk%zu", i + 1);
	d->format = strdup(VMDK_URI);
	d->file = f;
	d->capacity = image_padded_size("vmdk", image_size(k->m->disks[i]), NULL);
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

static int describe_boot(struct making *k, struct err *e)
{
	AUTO(machine_release) struct machine machine = {0};
	int rc = machine_read(k->m->disks[0], &machine, e);

	k->ovf.is_efi = machine.needs_uefi;
	k->ovf.os = STEAL(machine.os);
	return rc;
}

static int describe(struct making *k, struct err *e)
{
	const struct make_args *a = k->m->a;
	struct ovf *o = &k->ovf;
	int rc = 0;

	k->stem = strdup(a->name);
	o->name = strdup(a->name);
	o->system_type = strdup(HARDWARE);
	o->files = calloc(a->n_images, sizeof(*o->files));
	o->disks = calloc(a->n_images, sizeof(*o->disks));
	if (!k->stem || !o->name || !o->system_type || !o->files || !o->disks)
		return err_nomem(e);
	o->cpus = a->cpus ? a->cpus : 1;
	o->memory = a->memory ? a->memory : DEFAULT_MEMORY;
	o->n_files = o->n_disks = a->n_images;
	for (size_t i = 0; rc == 0 && i < a->n_images; i++)
		rc = describe_disk(k, i, e);
	if (rc == 0)
		rc = describe_properties(k, e);
	return rc < 0 ? rc : describe_boot(k, e);
}

static int put_header(struct making *k, uint64_t at, const char *name, uint64_t size, struct err *e)
{
	uint8_t block[TAR_BLOCK];

	tar_write_ustar(block, name, size);
	return fs_pwrite(k->fd, block, sizeof(block), at, e);
}

static int note_digest(struct making *k, const char *name, const char *hex, struct err *e)
{
	return buf_addf(&k->manifest, "SHA256(%s)= %s\n", name, hex) < 0 ? err_nomem(e) : 0;
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
	AUTO_FREE char *name = str_format("%s.ovf", k->stem);
	AUTO_BUF text = BUF_INIT;
	uint8_t sha[DIGEST_MAX];
	char hex[2 * DIGEST_MAX + 1];
	int rc = name ? ovf_write(&k->ovf, &text, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	while (text.len < k->ovf_room) {
		if (buf_addc(&text, text.len + 1 == k->ovf_room ? '\n' : ' ') < 0)
			return err_nomem(e);
	}
	digest_of(DIGEST_SHA256, text.data, text.len, sha);
	hex_encode(sha, digest_size(DIGEST_SHA256), hex);
	rc = put_header(k, 0, name, text.len, e);
	if (rc == 0)
		rc = fs_pwrite(k->fd, text.data, text.len, TAR_BLOCK, e);
	if (rc == 0) {
		AUTO_BUF disks = k->manifest;

		/* In the order of the files. */
		k->manifest = BUF_INIT;
		rc = note_digest(k, name, hex, e);
		if (rc == 0 && buf_add(&k->manifest, disks.data, disks.len) < 0)
			rc = err_nomem(e);
	}
	return rc;
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
	struct image *disk = k->m->disks[i];
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc =
		image_create(fd, k->ovf.files[i].href, "vmdk", k->ovf.disks[i].capacity, &o, &w, e);

	if (rc < 0)
		return rc;
	p = progress_start("packing", image_size(disk));
	rc = image_copy(disk, w, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc;
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
		rc = put_header(k, k->at, k->ovf.files[i].href, d.len, e);
	if (rc == 0)
		rc = note_digest(k, k->ovf.files[i].href, d.hex, e);
	k->ovf.files[i].size = d.len;
	k->at += TAR_BLOCK + round_up(d.len, TAR_BLOCK);
	return rc;
}

static int put_manifest(struct making *k, struct err *e)
{
	AUTO_FREE char *name = str_format("%s.mf", k->stem);
	int rc = name ? put_header(k, k->at, name, k->manifest.len, e) : err_nomem(e);

	if (rc == 0)
		rc = fs_pwrite(k->fd, k->manifest.data, k->manifest.len, k->at + TAR_BLOCK, e);
	if (rc < 0)
		return rc;
	k->at += TAR_BLOCK + round_up(k->manifest.len, TAR_BLOCK);
	/* Two empty blocks, and up to a whole record. */
	if (ftruncate(k->fd, (off_t)round_up(k->at + (uint64_t)2 * TAR_BLOCK, TAR_RECORD)) < 0)
		return err_errno(e, errno, "setting the archive's size");
	return 0;
}

static int run(struct make *m, struct err *e)
{
	AUTO(making_release) struct making k = {.m = m, .fd = -1};
	int rc = describe(&k, e);

	if (rc == 0)
		rc = make_file(make_output_name(m), &k.fd, e);
	if (rc == 0)
		rc = leave_room(&k, e);
	for (size_t i = 0; rc == 0 && i < m->a->n_images; i++)
		rc = put_disk(&k, i, e);
	if (rc == 0)
		rc = put_descriptor(&k, e);
	return rc < 0 ? rc : put_manifest(&k, e);
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool probe(const struct bundle_head *h)
{
	const char *text = (const char *)h->data;
	size_t name = h->len >= 262 ? strnlen(text, 100) : 0, at = 0;

	if (name && !memcmp(h->data + 257, "ustar", 5))
		return true;
	if (h->len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		at = 3;
	while (at < h->len && strchr(" \t\r\n", text[at]) && text[at])
		at++;
	return at < h->len && text[at] == '<' &&
	       (memmem(text, h->len, "<Envelope", 9) || memmem(text, h->len, ":Envelope", 9));
}

static int open_disks(struct opening *o, struct err *e)
{
	AUTO(ova_release) struct ova a = {0};
	unsigned first = o->a->disk ? o->a->disk - 1 : 0;
	int rc = ova_read(o, &a, e);

	if (rc < 0)
		return rc;
	if (!a.ovf.n_disks)
		return err_set(e, EBADMSG, "'%s' has no disks", o->a->input);
	if (first >= a.ovf.n_disks)
		return err_set(e, EINVAL, "'%s' has %zu disks", o->a->input, a.ovf.n_disks);
	if (!o->many && !o->a->disk && a.ovf.n_disks > 1)
		return err_set(e, EINVAL,
			       "'%s' has %zu disks: choose one by --disk N, or give a folder for "
			       "all",
			       o->a->input, a.ovf.n_disks);
	if (!a.has_manifest)
		log_warn("'%s' has no manifest: nothing tells whether its files are whole",
			 o->a->input);
	for (size_t i = first; rc == 0 && i < (o->a->disk ? first + 1 : a.ovf.n_disks); i++) {
		uint64_t size = 0;
		bool looked = false;

		rc = ova_read_disk(&a, &a.ovf.disks[i], true, &size, &looked, e);
	}
	return rc;
}

static int describe_signature(const struct ova *a, struct buf *out)
{
	AUTO_BUF shown = BUF_INIT;

	if (!a->has_manifest)
		return buf_adds(out,
				"manifest:  none: nothing tells whether the files are whole\n");
	if (buf_addf(out, "manifest:  %zu files\n", a->n_digests) < 0)
		return -ENOMEM;
	if (!a->signer)
		return buf_adds(out, "signature: none\n");
	if (str_escape(a->signer, strlen(a->signer), 200, &shown) < 0)
		return -ENOMEM;
	return buf_addf(out,
			"signature: verified; the certificate names '%s', which nobody vouches "
			"for\n",
			buf_str(&shown));
}

static int verify_disk(struct ova *a, size_t i, struct buf *out, struct err *e)
{
	uint64_t size = 0;
	bool looked = false;
	int rc = ova_read_disk(a, &a->ovf.disks[i], false, &size, &looked, e);

	if (rc < 0)
		return rc;
	if (looked)
		rc = buf_addf(out, "disk %zu:    %" PRIu64 " bytes, sound%s\n", i + 1, size,
			      a->has_manifest ? ", digest right" : "");
	else
		rc = buf_addf(out, "disk %zu:    %s, not looked into\n", i + 1,
			      a->has_manifest ? "digest right" : "there");
	return rc < 0 ? err_nomem(e) : 0;
}

static int verify(struct opening *o, struct err *e)
{
	AUTO(ova_release) struct ova a = {0};
	AUTO_BUF out = BUF_INIT;
	int rc = ova_read(o, &a, e);

	if (rc == 0 && !a.ovf_first)
		rc = err_set(e, EBADMSG, "'%s': the descriptor is not the first file", o->a->input);
	if (rc == 0 && describe_signature(&a, &out) < 0)
		rc = err_nomem(e);
	for (size_t i = 0; rc == 0 && i < a.ovf.n_disks; i++)
		rc = verify_disk(&a, i, &out, e);
	if (rc == 0)
		fputs(buf_str(&out), stdout);
	return rc;
}

/* ---- info ------------------------------------------------------------------------------------- */

static void json_disks(struct jsonw *w, const struct ova *a)
{
	jsonw_array(w, "disks");
	for (size_t i = 0; i < a->ovf.n_disks; i++) {
		const struct ovf_disk *d = &a->ovf.disks[i];

		jsonw_object(w, NULL);
		jsonw_string(w, "id", d->id);
		jsonw_string(w, "file", d->file ? d->file->href : NULL);
		jsonw_u64(w, "size", d->capacity);
		jsonw_string(w, "format", d->format);
		jsonw_close(w);
	}
	jsonw_close(w);
	jsonw_array(w, "properties");
	for (size_t i = 0; i < a->ovf.n_properties; i++) {
		const struct ovf_property *p = &a->ovf.properties[i];

		jsonw_object(w, NULL);
		jsonw_string(w, "key", p->key);
		jsonw_string(w, "type", p->type);
		jsonw_string(w, "value", p->value);
		jsonw_string(w, "label", p->label);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static int print_json(const struct ova *a, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "format", a->is_tar ? "ova" : "ovf");
	jsonw_string(&w, "name", a->ovf.name);
	jsonw_string(&w, "os", a->ovf.os);
	jsonw_string(&w, "product", a->ovf.product);
	jsonw_string(&w, "vendor", a->ovf.vendor);
	jsonw_string(&w, "version", a->ovf.version);
	jsonw_string(&w, "system-type", a->ovf.system_type);
	jsonw_string(&w, "firmware", a->ovf.is_efi ? "efi" : "bios");
	jsonw_u64(&w, "cpus", a->ovf.cpus);
	jsonw_u64(&w, "memory", a->ovf.memory);
	jsonw_bool(&w, "several-machines", a->ovf.is_collection);
	jsonw_bool(&w, "manifest", a->has_manifest);
	jsonw_string(&w, "signer", a->signer);
	json_disks(&w, a);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fputs(buf_str(&out), stdout);
	return rc;
}

static void print_row(const char *what, const char *value)
{
	AUTO_BUF shown = BUF_INIT;

	if (value && str_escape(value, strlen(value), 400, &shown) == 0)
		printf("%-15s%s\n", what, buf_str(&shown));
}

static void print_text(const struct ova *a)
{
	char size[16];

	print_row("name:", a->ovf.name);
	print_row("os:", a->ovf.os);
	print_row("product:", a->ovf.product);
	print_row("vendor:", a->ovf.vendor);
	print_row("version:", a->ovf.version);
	print_row("system type:", a->ovf.system_type);
	print_row("firmware:", a->ovf.is_efi ? "efi" : "bios");
	printf("%-15s%u\n", "cpus:", a->ovf.cpus);
	size_to_text(a->ovf.memory, size);
	printf("%-15s%s\n", "memory:", size);
	if (a->ovf.is_collection)
		printf("%-15s%s\n", "machines:", "several; this is the first one");
	for (size_t i = 0; i < a->ovf.n_disks; i++) {
		const struct ovf_disk *d = &a->ovf.disks[i];

		printf("%-15s%" PRIu64 " bytes", i ? "" : "disks:", d->capacity);
		if (d->file)
			printf(", '%s'", d->file->href);
		putchar('\n');
	}
	for (size_t i = 0; i < a->ovf.n_properties; i++) {
		AUTO_BUF row = BUF_INIT;

		(void)buf_addf(&row, "%s = %s", a->ovf.properties[i].key,
			       a->ovf.properties[i].value ? a->ovf.properties[i].value : "");
		print_row(i ? "" : "properties:", buf_str(&row));
	}
	print_row("manifest:", a->has_manifest ? "yes (disks not checked here)" : "no");
	print_row("signed by:", a->signer);
}

static int info(struct opening *o, struct err *e)
{
	AUTO(ova_release) struct ova a = {0};
	int rc = ova_read(o, &a, e);

	if (rc == 0 && o->a->show == CLI_JSON)
		rc = print_json(&a, e);
	else if (rc == 0)
		print_text(&a);
	return rc;
}

const struct bundle_format bundle_format_ova = {
	.name = "ova",
	.summary = "OVF package in a tar archive: descriptor, stream-optimized VMDKs, manifest",
	.most_images = 7,
	.prepare = prepare,
	.run = run,
	.probe = probe,
	.open = open_disks,
	.verify = verify,
	.info = info,
};
