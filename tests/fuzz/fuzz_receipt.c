/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest says was put into it. */
#include "imgconv/inject/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(receipt_release) struct receipt once = {0}, twice = {0};
	AUTO_BUF text = BUF_INIT, written = BUF_INIT, again = BUF_INIT;
	struct err e;

	if (size > 8192 || buf_add(&text, data, size) < 0 || receipt_parse(&text, &once, &e) < 0)
		return 0;
	for (size_t i = 0; i < once.n; i++) {
		const struct receipt_line *l = &once.lines[i];

		if (*l->path != '/' || (l->kind == RECEIPT_MOVED) != (l->to != NULL))
			abort();
	}
	/* What is written is read as the same. */
	if (receipt_text(&once, &written) < 0)
		return 0;
	buf_clear(&text);
	if (buf_add(&text, written.data, written.len) < 0)
		return 0;
	if (receipt_parse(&text, &twice, &e) < 0 || twice.n != once.n ||
	    receipt_text(&twice, &again) < 0 || again.len != written.len ||
	    memcmp(again.data, written.data, again.len) != 0)
		abort();
	return 0;
}
