/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of init scripts, facilities, and what startpar goes by, with a script more. */
#include "imgconv/inject/lsb.h"

static const char *const keywords[] = {"Provides", "Required-Start", "X-Start-Before"};

/* Words with a space behind each, none of them empty. */
static void check_list(const struct buf *b)
{
	for (const char *s = buf_str(b); *s;) {
		size_t len = strcspn(s, " \t\r\n");

		if (!len || s[len] != ' ' || !lsb_has_word(buf_str(b), s, len))
			abort();
		s += len + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF text = BUF_INIT, once = BUF_INIT, twice = BUF_INIT;

	if (size > 4096 || buf_add(&text, data, size) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
		AUTO_BUF words = BUF_INIT;

		lsb_words(buf_str(&text), keywords[i], &words);
		check_list(&words);
	}
	lsb_facility_words(buf_str(&text), "$local_fs", 9, &twice);
	check_list(&twice);
	buf_clear(&twice);
	/* Adding a script a second time changes nothing. */
	if (lsb_depend_add(buf_str(&text), "ctxd", "mountall.sh udev ", "networking ", &once) < 0 ||
	    lsb_depend_add(buf_str(&once), "ctxd", "mountall.sh udev ", "networking ", &twice) < 0)
		return 0;
	if (once.len != twice.len || (once.len && memcmp(once.data, twice.data, once.len) != 0))
		abort();
	/* Taken out it is gone. */
	buf_clear(&twice);
	if (lsb_depend_remove(buf_str(&once), "ctxd", &twice) >= 0) {
		buf_clear(&once);
		if (lsb_depend_remove(buf_str(&twice), "ctxd", &once) > 0 || once.len != twice.len)
			abort();
	}
	return 0;
}
