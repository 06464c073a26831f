/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the functions of libguestfs: see libguestfs.h. */
#include "imgconv/inject/libguestfs.h"

#include <dlfcn.h>

#define LIBRARY "libguestfs.so.0"

/* dlsym gives a pointer to data, of which C does not make one to a function. */
static bool find(void *library, const char *name, void *ret)
{
	void *at = dlsym(library, name);

	memcpy(ret, &at, sizeof(at));
	return at;
}

int libguestfs_load(struct libguestfs *ret, struct err *e)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	const char *missing = NULL;

	if (!library)
		return err_set(e, ENOPKG, "%s", dlerror());
#define X(type, name, args)                                                                        \
	if (!find(library, "guestfs_" #name, &ret->name))                                          \
		missing = "guestfs_" #name;
	LIBGUESTFS_FUNCTIONS(X)
#undef X
	if (missing)
		return err_set(e, ENOPKG, "%s knows no %s", LIBRARY, missing);
	return 0;
}
