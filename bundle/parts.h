/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: reads the parts of a bundle, one whole and proven part at a time. */
#ifndef BUNDLE_PARTS_H
#define BUNDLE_PARTS_H

#include "bundle/bundle.h"
#include "bundle/flow.h"

struct part_reader {
	const struct manifest *m;
	struct part_source *src;
	struct progress *progress;
	struct digest *digest;
	uint64_t total; /* bytes of all parts so far */
};

/* What a buffer for parts should hold from the start, with room before the part. */
size_t part_buf_size(const struct manifest *m, size_t room);

int part_reader_init(struct part_reader *r, const struct manifest *m, struct part_source *src,
		     struct progress *p, struct err *e);
void part_reader_release(struct part_reader *r);
DEFINE_AUTO_STRUCT(struct part_reader, part_reader_release);

/*
 * Reads part `index` whole to b->data + room, growing b, and checks its digest; sets b->start and
 * b->len. Errors: EBADMSG digest, sum of sizes; EFBIG over BUNDLE_PART_LIMIT; the source's own.
 */
int part_read(struct part_reader *r, size_t index, size_t room, struct flow_buf *b, struct err *e);
/* All parts were read. Errors: EBADMSG they hold less than bundled_size. */
int part_reader_finish(const struct part_reader *r, struct err *e);

#endif
