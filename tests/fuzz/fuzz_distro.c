/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest says of itself: os-release, the head of an ELF file, [Install] of a unit. */
#include "imgconv/inject/ctxd.h"
#include "imgconv/inject/distro.h"
#include "lib/buf.h"

/* A target is a word; whether it is a plain name is for who uses it. */
static int see_target(void *ctx, const char *target, const char *suffix)
{
	(void)ctx;
	(void)suffix;
	if (!*target || strpbrk(target, " \t\r\n"))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {"PRETTY_NAME", "ID", "VERSION_ID"};
	AUTO_BUF text = BUF_INIT;
	struct elf_machine m = {0};
	char name[32];

	if (buf_add(&text, data, size) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		AUTO_FREE char *value = os_release_value(buf_str(&text), keys[i]);

		if (value && (strlen(value) > size || strchr(value, '\n')))
			abort();
	}
	unit_install_targets(buf_str(&text), see_target, NULL);
	if (elf_machine_of(data, size, &m) < 0)
		return 0;
	if (m.bits != 32 && m.bits != 64)
		abort();
	elf_machine_name(&m, name);
	if (!memchr(name, '\0', sizeof(name)))
		abort();
	return 0;
}
