/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that are delivered as a file, of any format that imgconv reads, packed or not.
 *
 * A raw disk on a server that gives ranges goes straight into the target, and is resumed there. All
 * else lies in the partial folder first ("source", with "source.json", by which an interrupted
 * download goes on), is held against its digest (catalog/file_check.h), and made a disk
 * (catalog/fetch_disk.h). Files of this machine are read where they lie.
 */
#ifndef CATALOG_FETCH_FILE_H
#define CATALOG_FETCH_FILE_H

#include "catalog/source.h"
#include "imgconv/imgconv.h"

/* What there is of im on its server; nothing for a file of this machine. Errors: as remote_probe. */
struct remote_file;
int fetch_file_probe(struct session *s, const struct catalog_image *im, struct remote_file *ret,
		     struct err *e);
/* True if im is better streamed: then a sink gets it by fetch_file_stream. */
bool fetch_file_streams(const struct catalog_image *im, const struct remote_file *remote);
/* Whether a download can go on later: without a mark of what it is two halves could be of two files,
 * but a digest would tell. */
bool fetch_file_resumable(const struct catalog_image *im, const struct remote_file *remote);

/*
 * before->hash is called if a target goes on at a position: it adds the bytes before it, which the
 * target has, to the digest. Errors: EBADMSG another size or digest than the catalog, or the server,
 * says.
 */
struct fetch_before {
	int (*hash)(void *ctx, uint64_t position, struct digest *d, struct err *e);
	void *ctx;
};
int fetch_file_stream(struct session *s, const struct catalog_image *im,
		      const struct remote_file *remote, const struct fetch_sink *sink,
		      const struct fetch_before *before, struct fetch_report *report,
		      struct err *e);

/*
 * Downloads into the folder dir, verifies, unpacks and converts: the new QCOW2 is disk. o: how it
 * is written. What is not needed any more is removed. *ret_kept: what there is in dir is worth
 * keeping after a failure. Errors: EBADMSG, EFBIG, ENOTSUP; those of remote_read.
 */
int fetch_file_convert(struct session *s, const struct catalog_image *im,
		       const struct remote_file *remote, const char *dir, const char *disk,
		       const struct image_create_opts *o, struct fetch_report *report,
		       bool *ret_kept, struct err *e);

#endif
