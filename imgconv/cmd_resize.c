/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imgconv resize: another size for the disk of an image. In place where the format allows it, else
 * by a copy of the same kind that takes the image's place.
 */
#include "imgconv/args.h"
#include "imgconv/commands.h"
#include "imgconv/remake.h"
#include "lib/log.h"
#include "lib/str.h"

struct resizing {
	const char *path, *format;
	const char *text; /* the size as it was given */
	struct atomic_file copy;
	struct sizes {
		uint64_t old, wanted;
	} sizes; /* once they are known */
};

/* "20G", "+20G", "-20G" */
static int wanted_size(const char *text, uint64_t old, uint64_t *ret, struct err *e)
{
	bool relative = *text == '+' || *text == '-';
	uint64_t n;
	int rc = str_to_size(text + relative, &n, e);

	if (rc < 0)
		return rc;
	if (*text == '-' && n >= old)
		return err_set(e, EINVAL, "nothing would be left of the disk's %llu bytes",
			       (unsigned long long)old);
	*ret = *text == '-' ? old - n : n;
	if (*text == '+' && !u64_add(old, n, ret))
		return err_set(e, ERANGE, "'%s' is too large", text);
	return 0;
}

/* What images of that kind cannot have. */
static int check_size(const struct image *im, uint64_t size, const struct image_create_opts *o,
		      struct err *e)
{
	uint64_t padded = image_padded_size(image_format_name(im), size, o);

	if (!size)
		return err_set(e, EINVAL, "a disk has one byte at least");
	if (padded != size)
		return err_set(e, EINVAL, "the next size that such an image can have is %llu",
			       (unsigned long long)padded);
	return 0;
}

/* ---- in place ------------------------------------------------------------------------------ */

static int resize_in_place(const char *path, const char *format, uint64_t size, struct err *e)
{
	struct image_open_opts o = {.format = format, .flags = IMAGE_RDWR};
	AUTO(image_close) struct image *im = NULL;
	int rc = image_open(path, &o, &im, e);

	if (rc == 0)
		rc = image_resize(im, size, e);
	return rc < 0 ? rc : image_flush(im, e);
}

/* ---- by a copy ----------------------------------------------------------------------------- */

static int copy_image(int fd, struct image *im, uint64_t size, struct err *e)
{
	AUTO_BUF wishes = BUF_INIT;
	struct image_create_opts o = {0};
	struct create_args options = {0};
	int rc = remake_options(im, &wishes, e);

	if (rc == 0 && wishes.len)
		rc = create_args_add(&options, &o, wishes.data, e);
	if (rc == 0)
		rc = check_size(im, size, &o, e);
	if (rc == 0)
		rc = image_clip(im, size, e);
	return rc < 0 ? rc : remake_write(fd, im, im, &o, size, "resizing", e);
}

/* In a sandbox. */
static int copy_confined(void *ctx, struct err *e)
{
	const struct resizing *r = ctx;
	struct image_open_opts o = {.format = r->format};
	AUTO(image_close) struct image *im = NULL;
	int rc = image_open(r->path, &o, &im, e);

	return rc < 0 ? rc : copy_image(r->copy.fd, im, r->sizes.wanted, e);
}

static int resize_by_copy(struct resizing *r, const struct confine *c, struct err *e)
{
	struct confine copy = *c;

	copy.run = copy_confined;
	return remake_run(r->path, &copy, &r->copy, e);
}

/* ---- the command --------------------------------------------------------------------------- */

/* In a sandbox: resizes in place; 1: that image has to be copied. */
static int resize_confined(void *ctx, struct err *e)
{
	struct resizing *r = ctx;
	struct image_open_opts o = {.format = r->format};
	AUTO(image_close) struct image *im = NULL;
	int rc = image_open(r->path, &o, &im, e);

	if (rc < 0)
		return rc;
	r->sizes.old = image_size(im);
	rc = wanted_size(r->text, r->sizes.old, &r->sizes.wanted, e);
	if (rc == 0)
		rc = check_size(im, r->sizes.wanted, NULL, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", r->path);
	if (r->sizes.wanted == r->sizes.old)
		return 0;
	if (!image_resizes(im))
		return 1;
	return resize_in_place(r->path, image_format_name(im), r->sizes.wanted, e);
}

static int resize(struct resizing *r, struct err *e)
{
	const struct confine_file file = {.path = r->path, .writable = true};
	const struct confine c = {
		.files = &file,
		.n_files = 1,
		.run = resize_confined,
		.ctx = r,
		.result = &r->sizes,
		.result_len = sizeof(r->sizes),
	};
	int rc = confine_run(&c, e);

	if (rc > 0)
		rc = resize_by_copy(r, &c, e);
	if (rc == 0 && r->sizes.wanted != r->sizes.old)
		log_info("'%s' has %llu bytes now, it had %llu", r->path,
			 (unsigned long long)r->sizes.wanted, (unsigned long long)r->sizes.old);
	return rc;
}

/* "-10G" is no option. */
static bool is_less(const char *arg)
{
	return arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9';
}

int cmd_resize(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{NULL, 0, NULL, 0},
	};
	struct resizing r = {.copy = ATOMIC_FILE_INIT};
	struct err e;

	if (argc > 1 && is_less(argv[argc - 1]))
		r.text = argv[--argc];
	while (cli_getopt(self, argc, argv, "f:", longopts) != -1)
		r.format = optarg;
	if (!r.text && argc > optind)
		r.text = argv[--argc];
	if (!r.text || argc - optind != 1)
		return cli_usage(self, "give an image and its new size");
	r.path = argv[optind];
	if (resize(&r, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
