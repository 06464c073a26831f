/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests. Besides not crashing: whatever is accepted reads the same when all but the signed
 * bytes is taken away, so that nothing unsigned has a say in it; and the form in which it leaves the
 * sandbox says the same. That form itself, behind the byte 1, is hostile too.
 */
#include "bundle/manifest.h"

static bool same(const char *a, const char *b)
{
	return (!a && !b) || (a && b && !strcmp(a, b));
}

static void compare(const struct manifest *a, const struct manifest *b)
{
	if (!same(a->name, b->name) || !same(a->user, b->user) || !same(a->type, b->type) ||
	    !same(a->architecture, b->architecture) || !same(a->kernel_id, b->kernel_id) ||
	    !same(a->user_key, b->user_key) || !same(a->user_iv, b->user_iv) ||
	    !same(a->ec2_key, b->ec2_key) || !same(a->ec2_iv, b->ec2_iv) ||
	    !same(a->digest, b->digest) || a->size != b->size ||
	    a->bundled_size != b->bundled_size || a->n_parts != b->n_parts)
		abort();
	for (size_t i = 0; i < a->n_parts; i++) {
		if (!same(a->parts[i].filename, b->parts[i].filename) ||
		    !same(a->parts[i].digest, b->parts[i].digest))
			abort();
	}
}

static void pack_and_unpack(const struct manifest *m)
{
	AUTO(manifest_free) struct manifest *back = NULL;
	AUTO_BUF form = BUF_INIT;
	AUTO_BUF again = BUF_INIT;
	struct err e;

	if (manifest_pack(m, &form, &e) < 0)
		return;
	if (manifest_unpack(form.data, form.len, &back, &e) < 0 ||
	    manifest_pack(back, &again, &e) < 0 || form.len != again.len ||
	    memcmp(form.data, again.data, form.len) != 0)
		abort();
	compare(m, back);
}

static void unpack(const uint8_t *data, size_t size)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	struct err e;

	if (manifest_unpack(data, size, &m, &e) == 0)
		pack_and_unpack(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(manifest_free) struct manifest *m = NULL;
	AUTO(manifest_free) struct manifest *again = NULL;
	AUTO_BUF text = BUF_INIT;
	struct err e;

	if (size && data[0] == 1) {
		unpack(data + 1, size - 1);
		return 0;
	}
	if (manifest_parse(data, size, "fuzz", &m, &e) < 0)
		return 0;
	pack_and_unpack(m);
	if (buf_addf(&text, "<manifest><version>%s</version>", m->version) < 0 ||
	    buf_add(&text, m->signed_text.data, m->signed_text.len) < 0 ||
	    buf_adds(&text, "</manifest>") < 0)
		return 0;
	/* A namespace prefix may be declared outside: then it does not parse alone. */
	if (manifest_parse(text.data, text.len, "again", &again, &e) == 0)
		compare(m, again);
	return 0;
}
