/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's file_contexts: up to a NUL the contexts, behind it substitutions; some paths looked up. */
#include <sys/stat.h>

#include "imgconv/inject/selinux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = {"/etc/passwd", "/usr/lib/systemd/system/x.service",
					    "/root/.ssh/authorized_keys", "/opt/aaaaaaaaaaaaaaaa"};
	AUTO(selinux_free) struct selinux *s = NULL;
	AUTO_BUF text = BUF_INIT;
	size_t half;

	if (size > 4096 || buf_add(&text, data, size) < 0 || !text.len)
		return 0;
	half = strlen(text.data);
	if (selinux_parse(text.data, half < text.len ? text.data + half + 1 : "", &s, NULL) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		AUTO_BUF label = BUF_INIT;

		/* A label is a word, and ends with a NUL. */
		if (selinux_lookup(s, paths[i], i % 2 ? S_IFREG : S_IFDIR, &label, NULL) > 0 &&
		    label.len && (label.data[label.len - 1] || strpbrk(label.data, " \t\r\n")))
			abort();
	}
	return 0;
}
