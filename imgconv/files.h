/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who opens the files of images. A process that parses in a sandbox cannot: then another one does
 * it for it (imgconv/confine.h). The rule is the same: the path that the user gave, or what lies
 * below a folder.
 */
#ifndef IMGCONV_FILES_H
#define IMGCONV_FILES_H

#include "lib/err.h"

struct image_opener {
	/* The image at path. */
	int (*open)(const char *path, bool writable, int *ret_fd, struct err *e);
	/*
	 * For reading, the path `name` (hostile) in the folder and below it, without symbolic
	 * links; an absolute name is taken if it lies there. *ret_path is how it is called from
	 * here, the caller's to free. Errors: EACCES outside of the folder; errno.
	 */
	int (*open_beneath)(const char *folder, const char *name, char **ret_path, int *ret_fd,
			    struct err *e);
};

/* Opens by itself: what is used until another opener is set. */
extern const struct image_opener image_opener_self;
extern const struct image_opener *image_opener;

/* The part of a path that is its folder: "." if there is none. NULL when memory is out. */
char *image_folder_of(const char *path);

/* As open_beneath, of the folder that is open as dir and called `folder`. */
int image_open_in(int dir, const char *folder, const char *name, char **ret_path, int *ret_fd,
		  struct err *e);
/* The folder `folder`, which is `root` or lies below it, without symbolic links on the way from
 * there. Errors: EACCES it does not; errno. */
int image_open_folder(const char *root, const char *folder, int *ret_fd, struct err *e);

#endif
