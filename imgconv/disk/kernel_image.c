/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels by their headers; integers little-endian.
 *
 * x86 (Linux Documentation/arch/x86/boot.rst): a bzImage has 0xaa55 at 0x1fe and "HdrS" at 0x202 |
 * 0x206 u16 protocol | 0x20e u16 where the version's text is, less 0x200 | 0x211 u8 flags, bit 0:
 * loaded high | 0x236 u16 flags of protocol 2.12, bit 0: 64 bits. A kernel for Xen's
 * paravirtualization alone is an ELF file, as it is or compressed by gzip, without that header.
 *
 * arm64 (Documentation/arm64/booting.rst): "ARM\x64" at 0x38. With "MZ" at 0 both are programs of
 * UEFI as well: u32 at 0x3c is where "PE\0\0" is. "zimg" at 4 is one that unpacks itself.
 */
#include "imgconv/disk/kernel_image.h"

#include <zlib.h>

#define X86_MAGIC 0x1fe
#define X86_HEADER 0x202
#define X86_PROTOCOL 0x206
#define X86_VERSION 0x20e
#define X86_LOADFLAGS 0x211
#define X86_XLOADFLAGS 0x236
#define X86_LEN 0x238
#define PROTOCOL_XLOADFLAGS 0x020c

#define ARM64_MAGIC 0x38
#define PE_OFFSET 0x3c
#define ARM64_LEN 0x40

static bool has_pe(const uint8_t *p, size_t len)
{
	uint32_t at;

	if (len < ARM64_LEN || memcmp(p, "MZ", 2) != 0)
		return false;
	at = le32_get(p + PE_OFFSET);
	return range_within(at, 4, len) && memcmp(p + at, "PE\0\0", 4) == 0;
}

bool kernel_version_is_plain(const char *v)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+~";

	return v && *v && *v != '.' && strlen(v) < 120 && v[strspn(v, allowed)] == '\0';
}

/* The first word of a text like "6.1.0-56-cloud-amd64 (someone@somewhere) #1 SMP ...". */
static void take_version(const uint8_t *p, size_t len, size_t at, struct kernel_image *ret)
{
	size_t n = 0;

	while (at + n < len && n < sizeof(ret->version) - 1 && p[at + n] > ' ' && p[at + n] < 0x7f)
		n++;
	memcpy(ret->version, p + at, n);
	ret->version[n] = '\0';
	if (!kernel_version_is_plain(ret->version))
		ret->version[0] = '\0';
}

static void parse_x86(const uint8_t *p, size_t len, struct kernel_image *ret)
{
	unsigned version_at = le16_get(p + X86_VERSION);

	ret->kind = BOOT_KERNEL_BZIMAGE;
	ret->protocol = le16_get(p + X86_PROTOCOL);
	ret->loaded_high = p[X86_LOADFLAGS] & 1;
	ret->efi_stub = has_pe(p, len);
	if (ret->protocol >= PROTOCOL_XLOADFLAGS)
		ret->is_64bit = le16_get(p + X86_XLOADFLAGS) & 1;
	if (version_at && version_at + 0x200 < len)
		take_version(p, len, version_at + 0x200, ret);
}

static bool parse_arm64(const uint8_t *p, size_t len, struct kernel_image *ret)
{
	if (len < ARM64_LEN || memcmp(p + ARM64_MAGIC, "ARM\x64", 4) != 0)
		return false;
	ret->kind = BOOT_KERNEL_ARM64;
	ret->is_64bit = true;
	ret->efi_stub = has_pe(p, len);
	return true;
}

static bool is_elf(const uint8_t *p, size_t len)
{
	return len >= 4 && memcmp(p, "\177ELF", 4) == 0;
}

/* What begins a kernel that is compressed as a whole; returns how many bytes there are. */
static size_t gunzip_head(const uint8_t *p, size_t len, uint8_t *out, size_t room)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)p, .avail_in = (uInt)len};

	if (len < 3 || memcmp(p, "\x1f\x8b\x08", 3) != 0 || inflateInit2(&z, 15 + 16) != Z_OK)
		return 0;
	z.next_out = out;
	z.avail_out = (uInt)room;
	(void)inflate(&z, Z_SYNC_FLUSH);
	inflateEnd(&z);
	return room - z.avail_out;
}

void kernel_image_parse(const void *head, size_t len, struct kernel_image *ret)
{
	const uint8_t *p = head;
	uint8_t inside[512];
	size_t n;

	*ret = (struct kernel_image){.kind = BOOT_KERNEL_UNKNOWN};
	if (len >= X86_LEN && le16_get(p + X86_MAGIC) == 0xaa55 &&
	    memcmp(p + X86_HEADER, "HdrS", 4) == 0) {
		parse_x86(p, len, ret);
		return;
	}
	if (parse_arm64(p, len, ret))
		return;
	if (len >= ARM64_LEN && memcmp(p, "MZ", 2) == 0 && memcmp(p + 4, "zimg", 4) == 0) {
		ret->kind = BOOT_KERNEL_ZBOOT;
		ret->efi_stub = has_pe(p, len);
		return;
	}
	n = gunzip_head(p, len, inside, sizeof(inside));
	if (is_elf(p, len) || is_elf(inside, n))
		ret->kind = BOOT_KERNEL_PV;
	else
		parse_arm64(inside, n, ret);
}
