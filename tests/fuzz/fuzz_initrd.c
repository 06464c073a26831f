/* SPDX-License-Identifier: Apache-2.0 */
/* Initial RAM disks of any bytes: the first byte says how much may be unpacked. */
#include "imgconv/disk/initrd.h"

struct input {
	const uint8_t *data;
	size_t len;
};

static int read_input(void *ctx, void *buf, size_t len, uint64_t off, size_t *ret, struct err *e)
{
	const struct input *in = ctx;

	(void)e;
	if (off % (64 * KIB))
		abort();
	*ret = off < in->len ? MIN(len, in->len - off) : 0;
	if (*ret)
		memcpy(buf, in->data + off, *ret);
	return 0;
}

static bool see(void *ctx, const char *name)
{
	/* A name ends, and there are only as many as there are bytes for. */
	*(size_t *)ctx += strlen(name) + 1;
	return strstr(name, "stop") != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data + 1, size - 1};
	struct initrd_source source = {.read = read_input, .ctx = &in, .size = size - 1};
	struct initrd_report r;
	size_t names = 0;
	struct initrd_walk w = {.seen = see, .ctx = &names};
	struct err e;

	if (!size)
		return 0;
	w.limit = (uint64_t)data[0] * 64 * KIB;
	/* A piece more than the limit can have been read from the file, and from what is in it. */
	if (initrd_walk(&source, &w, &r, &e) >= 0 &&
	    (r.read > w.limit + 2 * 64 * KIB || names > r.read))
		abort();
	return 0;
}
