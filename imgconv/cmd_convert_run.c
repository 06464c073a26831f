/* SPDX-License-Identifier: Apache-2.0 */
/* What imgconv convert does, once it knows what: see imgconv/cmd_convert.h. */
#include <sys/stat.h>

#include "imgconv/cmd_convert.h"
#include "imgconv/confine.h"
#include "imgconv/files.h"
#include "imgconv/layer.h"
#include "imgconv/via_qemu.h"
#include "lib/log.h"

/* ---- limits -------------------------------------------------------------------------------- */

/* The target's size: most formats count in sectors, some in more. */
static uint64_t target_size(const struct convert *c, uint64_t size)
{
	uint64_t padded = image_padded_size(c->format, size, &c->create);

	if (padded == size)
		return size;
	if (size % 512)
		log_warn("'%s' is %llu bytes, no multiple of 512: %llu zero bytes are added",
			 c->source, (unsigned long long)size, (unsigned long long)(padded - size));
	else
		log_warn("'%s' is %llu bytes; a %s image with these options has %llu: zeros are "
			 "added",
			 c->source, (unsigned long long)size, c->format,
			 (unsigned long long)padded);
	return padded;
}

/*
 * More data than this are not believed of a file of that size. Disks compress to a half or a
 * third, seldom to a tenth; deflate's limit, 1032, is reached by what was made to fill disks.
 */
#define HONEST_RATIO 200
#define HONEST_LEAST (64 * MIB)

static uint64_t max_data(const struct convert *c, uint64_t file_size)
{
	uint64_t limit;

	if (c->max_output != UINT64_MAX)
		return MAX(c->max_output, 1);
	if (__builtin_mul_overflow(file_size, (uint64_t)HONEST_RATIO, &limit))
		return 0;
	return MAX(limit, HONEST_LEAST);
}

/* The limit was ours, not the user's. */
static int explain_limit(const struct convert *c, struct err *e)
{
	if (c->max_output != UINT64_MAX)
		return -e->code;
	return err_wrap(
		e, "'%s' holds more than its size makes likely (--max-output SIZE allows more)",
		c->source);
}

/* ---- images -------------------------------------------------------------------------------- */

/* An image in a file that is open, and stays so. */
static int open_again(int fd, const char *name, const struct image_open_opts *o, struct image **ret,
		      struct err *e)
{
	int own = dup(fd);
	int rc;

	if (own < 0)
		return err_errno(e, errno, "%s", name);
	rc = image_open_fd(own, name, o, ret, e);
	if (rc < 0)
		close(own);
	return rc;
}

static int open_source(const struct convert *c, struct image **ret, struct err *e)
{
	struct image_open_opts raw = {.format = "raw"};

	if (c->raw_fd >= 0)
		return open_again(c->raw_fd, c->source, &raw, ret, e);
	if (strcmp(c->source, "-") != 0)
		return image_open(c->source, &c->open, ret, e);
	return open_again(STDIN_FILENO, "standard input", &c->open, ret, e);
}

static int tell_changes(const struct inject_report *r, struct err *e)
{
	/* Standard output may be the image. */
	for (const char *s = buf_str(&r->changes); *s;) {
		size_t len = strcspn(s, "\n");

		log_info("%.*s", (int)len, s);
		s += len + (s[len] == '\n');
	}
	return change_tell(r, false, e);
}

/*
 * What is copied: the source, or a layer over it with changes to the guest's files. *layer is to be
 * closed before src.
 */
static int change_source(const struct convert *c, struct image *src, bool tell,
			 struct image **layer, struct image **ret, struct err *e)
{
	AUTO(inject_report_release) struct inject_report r = {0};
	int rc;

	*ret = src;
	if (!c->changes.any)
		return 0;
	rc = image_layer_new(src, layer, e);
	if (rc == 0)
		rc = inject_apply(*layer, c->changes.overlay, &c->changes.opts, &r, e);
	if (rc == -ENOTSUP && c->verify)
		rc = err_wrap(e, "with --verify, which needs changes that are the same twice");
	if (rc == 0)
		rc = image_layer_seal(*layer, e);
	if (rc == 0 && tell)
		rc = tell_changes(&r, e);
	*ret = *layer;
	return rc;
}

static int verify(struct image *src, struct image *copy, const struct convert *c, struct err *e)
{
	struct progress *p = progress_start("verifying", image_size(copy));
	uint64_t where;
	int rc = image_compare(src, copy, &where, p, e);

	progress_end(p, rc == 0);
	if (rc < 0)
		return err_wrap(e, "verifying");
	if (rc > 0)
		return err_set(e, EIO, "verifying: '%s' differs from '%s' at byte %llu", c->target,
			       c->source, (unsigned long long)where);
	return 0;
}

/*
 * In a sandbox: reads the target back, before it has its name. Several files find each other by their
 * names: they are read back when they have them.
 */
static int verify_copy(void *ctx, struct err *e)
{
	const struct convert *c = ctx;
	struct image_open_opts o = {.format = c->format,
				    .flags = c->t.n_companions ? IMAGE_ALLOW_EXTENTS : 0};
	AUTO(image_close) struct image *src = NULL;
	AUTO(image_close) struct image *layer = NULL;
	AUTO(image_close) struct image *copy = NULL;
	struct image *changed = NULL;
	int rc = open_source(c, &src, e);

	if (rc == 0)
		rc = change_source(c, src, false, &layer, &changed, e);
	if (rc == 0 && c->t.n_companions)
		rc = image_open(c->target, &o, &copy, e);
	else if (rc == 0)
		rc = open_again(c->t.fd, c->target, &o, &copy, e);
	return rc < 0 ? err_wrap(e, "verifying") : verify(changed, copy, c, e);
}

/* An image, or, if that is NULL, a stream. */
static int copy_from(struct convert *c, struct image *src, struct image_stream *s, struct err *e)
{
	uint64_t size = src ? image_size(src) : image_stream_size(s);
	AUTO(image_writer_free) struct image_writer *w = NULL;
	struct progress *p;
	int rc = image_create(c->t.fd, c->t.name, c->format, target_size(c, size), &c->create, &w,
			      e);

	if (rc)
		return rc;
	p = progress_start("converting", size);
	rc = src ? image_copy_digest(src, w, c->digest, p, e)
		 : image_stream_copy(s, w, c->digest, p, e);
	if (rc == 0)
		rc = image_writer_finish(w, e);
	progress_end(p, rc == 0);
	return rc < 0 && image_writer_over_limit(w) ? explain_limit(c, e) : rc;
}

static int copy_image(struct convert *c, struct err *e)
{
	AUTO(image_close) struct image *src = NULL;
	AUTO(image_close) struct image *layer = NULL;
	AUTO(image_info_release) struct image_info info = {0};
	struct image *changed = NULL;
	int rc = open_source(c, &src, e);

	if (rc == 0)
		rc = image_info_read(src, &info, e);
	/* What QEMU read was measured by the image's own size. */
	c->create.max_data = c->via_qemu ? 0 : max_data(c, info.file_size);
	if (rc == 0)
		rc = change_source(c, src, true, &layer, &changed, e);
	return rc < 0 ? rc : copy_from(c, changed, NULL, e);
}

/* A pipe's size is not known: any amount of data is believed. */
static int copy_stream(struct convert *c, struct err *e)
{
	AUTO(image_stream_free) struct image_stream *s = NULL;
	int rc = image_stream_open(STDIN_FILENO, "standard input", c->open.format, c->size, &s, e);

	c->create.max_data = c->max_output == UINT64_MAX ? 0 : MAX(c->max_output, 1);
	return rc < 0 ? rc : copy_from(c, NULL, s, e);
}

/* In a sandbox. */
static int copy(void *ctx, struct err *e)
{
	struct convert *c = ctx;
	int rc;

	c->create.companions = confine_companions();
	rc = convert_source_is_pipe(c) ? copy_stream(c, e) : copy_image(c, e);
	if (rc == 0 && c->digest)
		digest_final_hex(c->digest, c->hex);
	return rc;
}

/* The source is hostile: another process reads it, while this one names the files that it makes. */
static int confined(struct convert *c, int (*run)(void *ctx, struct err *e), struct err *e)
{
	bool by_name = run == verify_copy && c->t.n_companions;
	const struct confine_file files[] = {
		{.path = c->source, .beneath = confine_beneath(&c->open)},
		{.path = c->open.parent},
		{.path = by_name ? c->target : NULL, .beneath = true},
	};
	const struct confine confine = {
		.files = files,
		.n_files = ARRAY_SIZE(files),
		/* What a machine writes differs from one time to the next. */
		.appliance = c->changes.any && !c->verify,
		.companions = run == copy ? c->create.companions : NULL,
		.run = run,
		.ctx = c,
		/* A child that computes none leaves it as it was. */
		.result = c->hex,
		.result_len = sizeof(c->hex),
	};

	return confine_run(&confine, e);
}

/* Has QEMU read the source, into a file beside the target. */
static int read_by_qemu(struct convert *c, struct err *e)
{
	const char *temporary = getenv("TMPDIR");
	AUTO_FREE char *folder = c->t.pipe || c->t.device
					 ? strdup(temporary && *temporary ? temporary : "/var/tmp")
					 : image_folder_of(c->target);
	struct via_qemu q = {.name = c->source, .folder = folder};
	AUTO_FD int fd = -1;
	struct stat st;
	int rc;

	if (!folder)
		return err_nomem(e);
	rc = image_opener->open(c->source, false, &fd, e);
	if (rc < 0)
		return rc;
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "'%s'", c->source);
	q.fd = fd;
	q.timeout_s = c->timeout_s == UINT64_MAX ? VIA_QEMU_TIMEOUT_S : (unsigned)c->timeout_s;
	q.max_output = c->create.max_data = max_data(c, (uint64_t)st.st_size);
	rc = via_qemu_read(&q, &c->raw_fd, e);
	return rc == -EFBIG ? explain_limit(c, e) : rc;
}

int convert_run(struct convert *c, struct err *e)
{
	int rc = target_begin(&c->t, c->target, c->target_flags, &c->create, e);

	if (rc == 0 && c->t.device && strcmp(c->format, "raw") != 0)
		rc = err_set(e, EINVAL, "a device is written as raw alone");
	if (rc == 0 && c->via_qemu)
		rc = read_by_qemu(c, e);
	if (rc == 0)
		rc = confined(c, copy, e);
	if (rc == 0 && c->verify && !c->t.n_companions)
		rc = confined(c, verify_copy, e);
	if (rc == 0)
		rc = target_commit(&c->t, e);
	if (rc == 0 && c->verify && c->t.n_companions) {
		rc = confined(c, verify_copy, e);
		if (rc < 0)
			target_unlink(&c->t);
	}
	target_abort(&c->t);
	if (c->raw_fd >= 0)
		close(c->raw_fd);
	return rc;
}
