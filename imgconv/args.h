/* SPDX-License-Identifier: Apache-2.0 */
/* Options that several commands have: how an image is opened, how a new one is made. */
#ifndef IMGCONV_ARGS_H
#define IMGCONV_ARGS_H

#include <getopt.h>

#include "imgconv/imgconv.h"

/* ---- opening ------------------------------------------------------------------------------- */

enum {
	OPT_SNAPSHOT = 512,
	OPT_ALLOW_BACKING,
	OPT_ALLOW_EXTENTS,
	OPT_PARENT,
};
/* clang-format off */
#define OPEN_LONGOPTS                                                                              \
	{"snapshot", required_argument, NULL, OPT_SNAPSHOT},                                       \
	{"allow-backing", no_argument, NULL, OPT_ALLOW_BACKING},                                   \
	{"allow-extents", no_argument, NULL, OPT_ALLOW_EXTENTS},                                   \
	{"parent", required_argument, NULL, OPT_PARENT}
/* clang-format on */
#define OPEN_HELP                                                                                  \
	"      --snapshot NAME         read this internal snapshot of a QCOW2 image\n"             \
	"      --allow-backing         read backing files below the image's own folder\n"          \
	"      --allow-extents         read VMDK extents below the image's own folder\n"           \
	"      --parent IMAGE          the parent of a differencing VHD\n"

/* Takes one of these options; false: it is none of them. */
bool open_args_take(struct image_open_opts *o, int opt, const char *value);

/* ---- making -------------------------------------------------------------------------------- */

/* What was wished by -o of the format alone; stays where it is as long as the wishes are used. */
struct create_args {
	const char *pairs[32 + 1];
	size_t n;
};
/*
 * Adds "key=value,key=value" to o: what is not for all formats by way of a. text is taken apart in
 * place, and used from then on. Errors: EINVAL not of that form, or the value of what is for all.
 */
int create_args_add(struct create_args *a, struct image_create_opts *o, char *text, struct err *e);

#endif
