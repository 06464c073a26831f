/* SPDX-License-Identifier: Apache-2.0 */
/* A disk out of a file: see catalog/fetch_disk.h. */
#include "catalog/fetch_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "catalog/unpack.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"

#define UNPACKED "source.unpacked"

/* The message of the other program without its name. */
static int strip_program(const char *name, struct err *e)
{
	AUTO_FREE char *prefix = str_format("%s: ", name);
	char *at = e && prefix ? strstr(e->msg, prefix) : NULL;
	int code = e ? e->code : EIO;
	char msg[sizeof(e->msg)];

	if (!at)
		return -code;
	snprintf(msg, sizeof(msg), "%s", at + strlen(prefix));
	return err_set(e, EBADMSG, "%s", msg);
}

static const char *compression_name(const struct image_create_opts *o)
{
	return o->compression == IMAGE_COMPRESS_ZSTD ? "compression=zstd" : "compression=zlib";
}

/* Runs a program of ours that makes the disk; its one line is the error. */
static int run_tool(const char *name, const char *const *args, struct err *e)
{
	AUTO_FREE char *program = NULL;
	const char *argv[20];
	size_t n = 1;
	int rc = fs_sibling_program(name, &program, e);

	if (rc < 0)
		return rc;
	argv[0] = program;
	for (; args[n - 1] && n < ARRAY_SIZE(argv) - 1; n++)
		argv[n] = args[n - 1];
	argv[n] = NULL;
	rc = proc_run(argv, NULL, 0, NULL, 0, 0, e);
	return rc < 0 && rc != -ECANCELED ? strip_program(name, e) : rc;
}

static void add_limit(const struct image_create_opts *o, const char **args, size_t *n,
		      char text[24])
{
	if (!o->max_data)
		return;
	snprintf(text, 24, "%llu", (unsigned long long)o->max_data);
	args[(*n)++] = "--max-output";
	args[(*n)++] = text;
}

/* An image file: by imgconv, which reads it in a sandbox. */
static int convert(const char *from, const char *format, const char *disk,
		   const struct image_create_opts *o, struct err *e)
{
	bool vhdx = format && strcmp(format, "vhdx") == 0;
	const char *args[16];
	char limit[24];
	size_t n = 0;

	args[n++] = "convert";
	args[n++] = "-q";
	args[n++] = "--force";
	if (vhdx) {
		/* As long as it takes. */
		args[n++] = "--via-qemu";
		args[n++] = "--timeout";
		args[n++] = "0";
	} else if (format) {
		args[n++] = "-f";
		args[n++] = format;
	}
	if (o->compression != IMAGE_COMPRESS_NONE) {
		args[n++] = "-o";
		args[n++] = compression_name(o);
	}
	add_limit(o, args, &n, limit);
	args[n++] = "-O";
	args[n++] = "qcow2";
	args[n++] = from;
	args[n++] = disk;
	args[n] = NULL;
	return run_tool("imgconv", args, e);
}

/* An archive with a disk in it (OVA, ...): by bundle. */
static int open_archive(const char *from, const char *disk, const struct image_create_opts *o,
			struct err *e)
{
	const char *args[16];
	char limit[24];
	size_t n = 0;

	args[n++] = "open";
	args[n++] = "-q";
	args[n++] = "--force";
	args[n++] = "-O";
	args[n++] = "qcow2";
	if (o->compression != IMAGE_COMPRESS_NONE) {
		args[n++] = "--options";
		args[n++] = compression_name(o);
	}
	add_limit(o, args, &n, limit);
	args[n++] = from;
	args[n++] = disk;
	args[n] = NULL;
	return run_tool("bundle", args, e);
}

/* A tar archive, by the magic of its first member. */
static bool is_archive(const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char magic[5];

	return fd >= 0 && pread(fd, magic, sizeof(magic), 257) == (ssize_t)sizeof(magic) &&
	       memcmp(magic, "ustar", sizeof(magic)) == 0;
}

/* As imgconv has it: disks compress to a half or a third, seldom to a tenth. */
static uint64_t honest_limit(uint64_t packed)
{
	uint64_t limit;

	return u64_mul(packed, 200, &limit) ? MAX(limit, 64 * MIB) : 0;
}

/* What is packed and said to be a raw disk, in one pass. Returns 1 if it is an archive. */
static int unpack_disk(int from, uint64_t max_data, const char *path, const char *disk,
		       const struct image_create_opts *o, struct err *e)
{
	AUTO_FD int to = open(disk, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct image_create_opts opts = *o;

	if (to < 0)
		return err_errno(e, errno, "making '%s'", disk);
	opts.max_data = max_data;
	return unpack_raw(from, path, to, disk, &opts, FETCH_FILE_MAX, e);
}

/* What is packed is unpacked beside it: other formats are read back and forth. */
static int unpack_and_convert(int from, uint64_t max_data, const char *path, const char *dir,
			      const char *format, const char *disk,
			      const struct image_create_opts *o, struct err *e)
{
	AUTO_FREE char *unpacked = path_join(dir, UNPACKED);
	AUTO_FD int to = -1;
	int rc;

	if (!unpacked)
		return err_nomem(e);
	to = open(unpacked, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0)
		return err_errno(e, errno, "making '%s'", unpacked);
	rc = unpack(from, path, to, FETCH_FILE_MAX, max_data, e);
	/* Of a packed archive, bundle wants the whole: it knows how that has to be packed. */
	if (rc == 0)
		rc = is_archive(unpacked) ? open_archive(path, disk, o, e)
					  : convert(unpacked, format, disk, o, e);
	(void)unlink(unpacked);
	return rc;
}

int fetch_disk_make(const struct catalog_image *im, const char *path, const char *dir,
		    const char *disk, const struct image_create_opts *o, struct err *e)
{
	AUTO_FD int from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *kind;
	uint64_t max_data;
	struct stat st;
	int rc = 1;

	if (from < 0 || fstat(from, &st) < 0)
		return err_errno(e, errno, "opening '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s' is no regular file", path);
	log_info("making a disk of '%s'", im->id);
	if (is_archive(path))
		return open_archive(path, disk, o, e);
	kind = unpack_kind(from);
	if (!kind)
		return convert(path, im->format, disk, o, e);
	log_info("unpacking (%s)", kind);
	max_data = o->max_data ? o->max_data : honest_limit((uint64_t)st.st_size);
	if (im->format && strcmp(im->format, "raw") == 0)
		rc = unpack_disk(from, max_data, path, disk, o, e);
	return rc <= 0 ? rc : unpack_and_convert(from, max_data, path, dir, im->format, disk, o, e);
}
