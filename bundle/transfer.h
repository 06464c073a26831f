/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bundle/: what clouds deliver to and from S3, for commands. */
#ifndef BUNDLE_TRANSFER_H
#define BUNDLE_TRANSFER_H

#include "bundle/bundle.h"
#include "lib/cli.h"
#include "lib/s3.h"

struct transfer {
	struct aws_options aws;
	unsigned workers; /* 0: 4 */
	const char *acl;  /* of upload; NULL: the bucket's default */
	bool replace;     /* of download: files that differ are replaced */
};

/*
 * Sends the parts beside the manifest at path, in parallel, then the manifest. to: bucket, and a
 * key to be put in front of the names. What is there with the right size and MD5 is not sent again.
 * Errors: EBADMSG a part is not what the manifest says (nothing of it is sent); as s3_put.
 */
int transfer_upload(const struct transfer *t, const char *manifest, const char *parts_dir,
		    const struct s3_url *to, struct err *e);
/*
 * Fetches what `from` names into the folder, which is made. A manifest: its parts, too; each appears
 * when its SHA-1 was found right, the manifest at last, and parts that are there and right are not
 * fetched again. Anything else: the file.
 * Errors: EEXIST another file has the name; EBADMSG; as s3_get.
 */
int transfer_download(const struct transfer *t, const struct s3_url *from, const char *folder,
		      struct err *e);

#define TRANSFER_WORKERS 4

/* What the keys of a bundle or file begin with: the URL's key as a folder. NULL when memory is out. */
char *transfer_prefix(const char *key);

/* Whether this is the manifest of a bundle for EC2, by how it begins: nothing is parsed. */
bool transfer_is_manifest(const void *data, size_t len);
int transfer_names_manifest(const char *path, bool *ret, struct err *e);

/* A delivery that is one file. Errors: as s3_put_file; EINVAL it is empty. */
int transfer_upload_file(const struct transfer *t, const char *path, const struct s3_url *to,
			 struct err *e);
/* Fetches it, as s3_head says it is, in ranges. Errors: EEXIST; ESTALE it changed; as aws_send. */
int transfer_download_file(const struct transfer *t, struct aws *aws, const struct s3_url *from,
			   const struct s3_object *o, const char *path, struct err *e);

/* ---- options ----------------------------------------------------------------------------------- */

enum {
	OPT_PROFILE = 2048,
	OPT_REGION,
	OPT_ENDPOINT,
	OPT_NO_SIGN,
	OPT_PATH_STYLE,
};
/* clang-format off */
#define TRANSFER_LONGOPTS                                                                          \
	{"profile", required_argument, NULL, OPT_PROFILE},                                         \
	{"region", required_argument, NULL, OPT_REGION},                                           \
	{"endpoint-url", required_argument, NULL, OPT_ENDPOINT},                                   \
	{"no-sign-request", no_argument, NULL, OPT_NO_SIGN},                                       \
	{"path-style", no_argument, NULL, OPT_PATH_STYLE},                                         \
	{"workers", required_argument, NULL, 'j'}
/* clang-format on */
#define TRANSFER_HELP                                                                              \
	"  -j, --workers N             connections at once (default: 4)\n"                         \
	"      --profile NAME          profile of the AWS configuration files\n"                   \
	"      --region NAME           region of the bucket\n"                                     \
	"      --endpoint-url URL      a compatible cloud's endpoint\n"                            \
	"      --no-sign-request       ask as nobody\n"                                            \
	"      --path-style            never the bucket in the host's name\n"

/* Takes one of these options: 1; 0: it is none of them. Errors: EINVAL. */
int transfer_take_option(struct transfer *t, int opt, const char *arg, struct err *e);

#endif
