/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: a tar archive that holds one regular file, read front to back as it comes.
 */
#ifndef BUNDLE_TAR_H
#define BUNDLE_TAR_H

#include "bundle/bundle.h"

struct tar_reader;

#define TAR_SIZE_ANY UINT64_MAX

/*
 * The archive must hold one file of exactly `size` bytes (holes included; TAR_SIZE_ANY: what the
 * archive says). sink is copied; NULL: the bytes go nowhere.
 */
int tar_reader_new(uint64_t size, const struct bundle_sink *sink, struct tar_reader **ret,
		   struct err *e);
/*
 * The next len bytes of the archive. Errors: EBADMSG malformed, another size, a second member,
 * anything but zeros behind the file; EFBIG a header or trailer over its limit; the sink's own.
 */
int tar_reader_feed(struct tar_reader *t, const void *data, size_t len, struct err *e);
/* The archive has ended. Errors: EBADMSG too early. */
int tar_reader_finish(struct tar_reader *t, struct err *e);
void tar_reader_free(struct tar_reader *t);
DEFINE_AUTO(struct tar_reader *, tar_reader_free);

#endif
