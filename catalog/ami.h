/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMIs whose snapshot is not ours to read: the same image as its vendor publishes it for download,
 * or a copy of our own.
 *
 * The EBS direct APIs read snapshots that are ours or shared with our account, never public ones.
 */
#ifndef CATALOG_AMI_H
#define CATALOG_AMI_H

#include "catalog/catalog.h"

/*
 * The download of which the AMI is a copy: a source of kind simplestreams tells the AMI's id
 * (image-ids) with product and serial, and has a file of the same product and serial. ret_session
 * is open with that source.
 * Errors: ENOENT no source knows the AMI, or has a file that fits.
 */
int ami_find_download(struct catalog *c, const char *ami, struct session *ret_session,
		      struct catalog_image *ret, struct err *e);

/*
 * A copy of the AMI in our account (CopyImage), which costs what its snapshot costs until it is
 * removed. It and its snapshots have the tag "acclimate-copy" with a random word, which is in
 * journal before anything is made, as is the copy's id when it is known: with that file, an
 * interrupted import finds its copy again, also while EC2's lists do not show it yet.
 * Waits until it is there. ret is the copy as the source finds it.
 * Errors: EACCES the owner does not let it be copied; EIO the copy failed; ECANCELED.
 */
int ami_copy(struct session *s, const struct catalog_image *ami, const char *journal,
	     struct catalog_image *ret, struct err *e);
/* Removes what ami_copy made (DeregisterImage, DeleteSnapshot), by the journal, and the journal; what
 * is not known yet is waited for, a minute at most. No journal is no error. */
int ami_remove_copy(struct session *s, const char *journal, struct err *e);

#endif
