/* SPDX-License-Identifier: Apache-2.0 */
/* For commands: the options that change the files of the guest inside an image. */
#ifndef IMGCONV_CHANGES_H
#define IMGCONV_CHANGES_H

#include "imgconv/imgconv.h"
#include "lib/json.h"

struct change_args {
	struct overlay *overlay;
	struct inject_opts opts;
	bool any;     /* something to put in or take out */
	bool misused; /* what take failed at is a wrong word on the command line */
};

enum {
	CHANGE_OPT_OVERLAY = 768,
	CHANGE_OPT_CTXD,
	CHANGE_OPT_REMOVE_CTXD,
	CHANGE_OPT_FILE,
	CHANGE_OPT_DELETE,
	CHANGE_OPT_HOSTNAME,
	CHANGE_OPT_SSH_KEY,
	CHANGE_OPT_SCRIPT,
	CHANGE_OPT_PARTITION,
	CHANGE_OPT_VOLUME,
	CHANGE_OPT_REPLAY,
};

/* clang-format off */
#define CHANGE_LONGOPTS                                                                            \
	{"overlay", required_argument, NULL, CHANGE_OPT_OVERLAY},                                  \
	{"ctxd", no_argument, NULL, CHANGE_OPT_CTXD},                                              \
	{"remove-ctxd", no_argument, NULL, CHANGE_OPT_REMOVE_CTXD},                                \
	{"file", required_argument, NULL, CHANGE_OPT_FILE},                                        \
	{"delete", required_argument, NULL, CHANGE_OPT_DELETE},                                    \
	{"hostname", required_argument, NULL, CHANGE_OPT_HOSTNAME},                                \
	{"ssh-key", required_argument, NULL, CHANGE_OPT_SSH_KEY},                                  \
	{"script-first-boot", required_argument, NULL, CHANGE_OPT_SCRIPT},                         \
	{"partition", required_argument, NULL, CHANGE_OPT_PARTITION},                              \
	{"volume", required_argument, NULL, CHANGE_OPT_VOLUME},                                    \
	{"replay-journal", no_argument, NULL, CHANGE_OPT_REPLAY}
/* clang-format on */

#define CHANGE_HELP                                                                                \
	"      --overlay DIR|TAR       lay a folder (owner root) or a tar archive over the root\n" \
	"      --ctxd                  put in ctxd and what starts it\n"                           \
	"      --remove-ctxd           take out what --ctxd has put in\n"                          \
	"      --file SRC:DST[:MODE[:UID:GID]]\n"                                                  \
	"                              put in one file\n"                                          \
	"      --delete PATH           remove a file, or a folder with all in it\n"                \
	"      --hostname NAME         give the guest a name\n"                                    \
	"      --ssh-key [USER:]FILE   let these public keys in, as root or USER\n"                \
	"      --script-first-boot FILE\n"                                                         \
	"                              have the guest run a script, once\n"                        \
	"      --partition N           the file system to change; else the root is found\n"        \
	"      --volume NAME           a logical volume, or a subvolume of Btrfs, to change\n"     \
	"      --replay-journal        of a file system that was not cleanly unmounted\n"

/* Errors: ENOMEM; EINVAL $SOURCE_DATE_EPOCH is no number. */
int change_args_begin(struct change_args *a, struct err *e);
void change_args_release(struct change_args *a);
DEFINE_AUTO_STRUCT(struct change_args, change_args_release);
/* Takes one of these options: 1; 0: it is none of them. Errors: see misused. */
int change_args_take(struct change_args *a, int opt, const char *arg, struct err *e);

/* The option that was given of those that say where and how to change; NULL: none was. */
const char *change_args_where(const struct change_args *a);

/* "changes": what was done, for JSON. */
void change_json(struct jsonw *w, const struct buf *changes);
/* Which guest it is, for the log. */
int change_tell(const struct inject_report *r, bool dry_run, struct err *e);

#endif
