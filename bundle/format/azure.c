/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Azure takes: a fixed VHD whose disk is whole MiB, 20 MiB to 32 TiB. After "Prepare a Windows
 * VHD or VHDX to upload to Azure" and the documentation of Add-AzVhd. The image format does it all.
 */
#include "bundle/format.h"

static int run(struct make *m, struct err *e)
{
	static const char *const options[] = {"azure=on", NULL};
	struct image_create_opts o = {.options = options};

	return make_copy(m, "vhd", &o, NULL, e);
}

const struct bundle_format bundle_format_azure = {
	.name = "azure",
	.summary = "fixed VHD of whole MiB",
	.most_images = 1,
	.run = run,
};
