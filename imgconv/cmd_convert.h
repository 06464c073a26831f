/* SPDX-License-Identifier: Apache-2.0 */
/* What imgconv convert is told, and its doing it. */
#ifndef IMGCONV_CMD_CONVERT_H
#define IMGCONV_CMD_CONVERT_H

#include <unistd.h>

#include "imgconv/args.h"
#include "imgconv/changes.h"
#include "imgconv/target.h"

struct convert {
	const char *format; /* of the target */
	struct image_open_opts open;
	struct image_create_opts create;
	struct create_args options; /* of create */
	struct change_args changes; /* to the guest's files, on the way */
	unsigned target_flags;
	bool verify;
	enum digest_kind digest_kind;
	struct digest *digest; /* NULL: not asked for */
	uint64_t size;         /* of a stream; UINT64_MAX: not given */
	uint64_t max_output;   /* UINT64_MAX: not given */
	const char *source, *target;
	bool via_qemu;
	uint64_t timeout_s; /* of QEMU; UINT64_MAX: not given */
	int raw_fd;         /* the disk as QEMU read it; -1: it is not needed */
	struct target t;
	char hex[2 * DIGEST_MAX + 1]; /* the digest, once it is known */
};

/* Standard input, if it cannot be read back and forth. */
static inline bool convert_source_is_pipe(const struct convert *c)
{
	return strcmp(c->source, "-") == 0 && lseek(STDIN_FILENO, 0, SEEK_CUR) < 0;
}

/* All of it. Fills hex if there is a digest. Errors: those of the hub and of the files. */
int convert_run(struct convert *c, struct err *e);

#endif
