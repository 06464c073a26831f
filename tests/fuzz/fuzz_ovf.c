/* SPDX-License-Identifier: Apache-2.0 */
/* OVF descriptors. What was read can be written, if it is one that we would write, and is well-formed. */
#include "bundle/ovf.h"
#include "lib/fs.h"
#include "lib/xml.h"

static bool writable(const struct ovf *o)
{
	bool whole = o->name && o->system_type;

	for (size_t i = 0; i < o->n_disks; i++)
		whole = whole && o->disks[i].format;
	return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(ovf_release) struct ovf o = {0};
	AUTO(xml_free) struct xml_node *root = NULL;
	AUTO_BUF out = BUF_INIT;
	struct err e = {0};

	if (ovf_parse(data, size, "x.ovf", &o, &e) < 0) {
		if (!e.code || !*e.msg)
			abort();
		return 0;
	}
	for (size_t i = 0; i < o.n_files; i++) {
		if (!name_is_plain(o.files[i].href))
			abort();
	}
	if (!writable(&o))
		return 0;
	if (ovf_write(&o, &out, &e) < 0 ||
	    (out.len < OVF_LIMIT && xml_parse("written", out.data, out.len, NULL, &root, &e) < 0))
		abort();
	return 0;
}
