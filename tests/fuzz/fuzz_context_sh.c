/* SPDX-License-Identifier: Apache-2.0 */
/* A context.sh of any bytes: read, found valid, written, and read back the same. */
#include "context/opennebula.h"
#include "context/shellvars.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(context_free) struct context *c = NULL, *back = NULL;
	AUTO_BUF text = BUF_INIT, again = BUF_INIT;
	struct strlist notes = {0};
	struct err e;

	if (opennebula_read((const char *)data, size, "opennebula fuzz", &notes, &c, &e) < 0) {
		strlist_release(&notes);
		return 0;
	}
	strlist_release(&notes);
	require(context_validate(c, &e) == 0);
	if (opennebula_write(c, &text, &e) < 0)
		return 0;
	require(opennebula_read(text.data, text.len, "opennebula fuzz", &notes, &back, &e) == 0);
	require(notes.n == 0);
	require(opennebula_write(back, &again, &e) == 0);
	require(text.len == again.len && memcmp(text.data, again.data, text.len) == 0);
	return 0;
}
