/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of ctxd's in files of a guest. */
#include "lib/marked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF old = BUF_INIT, cut = BUF_INIT, put = BUF_INIT, again = BUF_INIT;

	if (size > 8192 || buf_add(&old, data, size) < 0 || memchr(buf_str(&old), 0, size))
		return 0;
	if (marked_with_block(&old, "", false, &cut) < 0 ||
	    marked_with_block(&old, "x\n", size % 2, &put) < 0 ||
	    marked_with_block(&put, "", false, &again) < 0)
		return 0;
	if (cut.len > old.len)
		abort();
	/* What was put in comes out again; but for the line feed that a last line lacked. */
	if (cut.len == old.len && size && data[size - 1] != '\n')
		return 0;
	if (again.len != cut.len || (cut.len && memcmp(again.data, cut.data, cut.len) != 0))
		abort();
	return 0;
}
