/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside bundle/: a bundle for EC2 that is opened where it lies in S3. This process fetches; what
 * looks into it gets manifest and parts as files in memory, one part at a time.
 */
#ifndef BUNDLE_S3_INPUT_H
#define BUNDLE_S3_INPUT_H

#include "bundle/transfer.h"

struct s3_input;
/*
 * Fetches the manifest that url names. *ret_fd: its text, the caller's. To be called while there is
 * one thread. Errors: EINVAL it names none; as s3_get and manifest_parse_confined.
 */
int s3_input_open(const struct transfer *t, const char *url, struct s3_input **ret, int *ret_fd,
		  struct err *e);
void s3_input_free(struct s3_input *in);
DEFINE_AUTO(struct s3_input *, s3_input_free);
/*
 * The next part, which must be called `name`: its bytes, in a file that is the caller's. Those behind
 * it are fetched meanwhile, by threads. Errors: EACCES it is another one; as part_source_s3.
 */
int s3_input_part(struct s3_input *in, const char *name, int *ret_fd, struct err *e);

#endif
