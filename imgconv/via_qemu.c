/* SPDX-License-Identifier: Apache-2.0 */
/* Images that QEMU reads for us: see imgconv/via_qemu.h. */
#include "imgconv/via_qemu.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/confine.h"
#include "imgconv/files.h"
#include "imgconv/foreign.h"
#include "lib/fs.h"
#include "lib/jail.h"
#include "lib/str.h"

/* qemu-img takes 200 MiB; tables of formats may be large. */
#define MEMORY (2 * GIB)
#define SOURCE "/proc/self/fd/3"
#define TARGET "/proc/self/fd/4"
_Static_assert(JAIL_FIRST_FD == 3, "the paths of the two files");

struct inspection {
	int fd;
	struct foreign_image image;
};

/* In a sandbox. */
static int inspect(void *ctx, struct err *e)
{
	struct inspection *i = ctx;

	return foreign_inspect(i->fd, &i->image, e);
}

/* What another process made of it is looked at again. */
static int inspect_confined(struct inspection *i, struct err *e)
{
	const struct confine c = {
		.run = inspect,
		.ctx = i,
		.result = &i->image,
		.result_len = sizeof(i->image),
	};
	int rc = confine_run(&c, e);

	if (rc < 0)
		return rc;
	i->image.driver[sizeof(i->image.driver) - 1] = '\0';
	if (!foreign_image_valid(&i->image))
		return err_set(e, EBADMSG, "its inspection came to no end");
	return 0;
}

/* A file that has no name, or none for long. */
static int open_scratch(const char *folder, int *ret_fd, struct err *e)
{
	AUTO_FREE char *path = str_format("%s/.imgconv.XXXXXX", folder);

	if (!path)
		return err_nomem(e);
	*ret_fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*ret_fd >= 0)
		return 0;
	*ret_fd = mkostemp(path, O_CLOEXEC);
	if (*ret_fd < 0)
		return err_errno(e, errno, "making a file in '%s'", folder);
	unlink(path);
	return 0;
}

/* Puts what qemu-img said, in one line, behind the error. name is what it knows as SOURCE. */
static int add_words(int rc, struct buf *said, const char *name, struct err *e)
{
	AUTO_BUF words = BUF_INIT;

	for (char *s = said->data; s && *s;) {
		if (str_has_prefix(s, SOURCE)) {
			buf_adds(&words, name);
			s += strlen(SOURCE);
		} else if (*s == '\n') {
			if (s[strspn(s, "\n")])
				buf_adds(&words, "; ");
			s += strspn(s, "\n");
		} else {
			buf_addc(&words, *s++);
		}
	}
	if (rc == -ENOENT)
		return err_wrap(e, "--via-qemu needs QEMU's tools (Debian: qemu-utils)");
	if (words.len)
		return err_set(e, -rc, "%s: %s", e->msg, words.data);
	return rc;
}

static int run_qemu(const struct via_qemu *q, const struct inspection *i, int target, struct err *e)
{
	const char *const argv[] = {"qemu-img", "convert", "-q",   "-f",   i->image.driver,
				    "-O",       "raw",     SOURCE, TARGET, NULL};
	const struct jail_file files[] = {{i->fd, false}, {target, true}};
	const struct jail j = {
		.argv = argv,
		.files = files,
		.n_files = ARRAY_SIZE(files),
		.memory = MEMORY,
		.file_size = round_up(i->image.size, 4096),
		.watched_fd = target,
		.watched_max = q->max_output,
		.timeout_s = q->timeout_s,
	};
	AUTO_BUF said = BUF_INIT;
	struct stat st;
	int rc = jail_run(&j, &said, e);

	if (rc < 0)
		return add_words(rc, &said, q->name, e);
	if (fstat(target, &st) < 0)
		return err_errno(e, errno, "fstat");
	if ((uint64_t)st.st_size != i->image.size)
		return err_set(e, EBADMSG,
			       "qemu-img sees a disk of %llu bytes, its header says %llu",
			       (unsigned long long)st.st_size, (unsigned long long)i->image.size);
	return 0;
}

int via_qemu_read(const struct via_qemu *q, int *ret_fd, struct err *e)
{
	struct inspection i = {.fd = q->fd};
	AUTO_FD int scratch = -1;
	int rc = inspect_confined(&i, e);

	if (rc == 0)
		rc = open_scratch(q->folder, &scratch, e);
	if (rc == 0)
		rc = run_qemu(q, &i, scratch, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", q->name);
	*ret_fd = steal_fd(&scratch);
	return 0;
}
