/* SPDX-License-Identifier: Apache-2.0 */
/* fstab(5) of a guest. */
#include "imgconv/inject/fstab.h"
#include "lib/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char mountable[] = "/dev/vg/my-home", none[] = "", type[] = "xfs", label[] = "home",
		    uuid[] = "6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b", disk[] = "/dev/sda2";
	const struct volume volumes[] = {
		{mountable, mountable, none, type, uuid, label, 0, NULL, NULL},
		{disk, disk, none, type, none, none, 2, "ac11a7e0-02", "home"},
	};
	AUTO(fstab_release) struct fstab t = {0};
	AUTO_BUF text = BUF_INIT;
	struct err e;

	if (buf_add(&text, data, size) < 0 || fstab_parse(buf_str(&text), &t, &e) < 0)
		return 0;
	if (t.n > FSTAB_ENTRIES_MAX)
		abort();
	for (size_t i = 0; i < t.n; i++) {
		const char *dir = t.entries[i].dir;

		if (dir[0] != '/' || !dir[1] || strstr(dir, "/../") ||
		    (i && strlen(t.entries[i - 1].dir) > strlen(dir)))
			abort();
		if (t.entries[i].subvolume && strchr(t.entries[i].subvolume, ','))
			abort();
		(void)fstab_find(&t.entries[i], volumes, ARRAY_SIZE(volumes));
	}
	return 0;
}
