/* SPDX-License-Identifier: Apache-2.0 */
/* What a dialect has no room for: see metadata-server/lost.h. */
#include "metadata-server/lost.h"

#include "lib/log.h"

#define SHOWN 12

void lost_warn(const struct context_dialect *d, const struct strlist *lost)
{
	AUTO_BUF text = BUF_INIT;

	if (!lost->n)
		return;
	for (size_t i = 0; i < lost->n && i < SHOWN; i++)
		if (buf_addf(&text, "%s%s", i ? ", " : "", lost->v[i]))
			return;
	if (lost->n > SHOWN && buf_addf(&text, " and %zu more", lost->n - SHOWN))
		return;
	log_warn("there is no room in '%s' for: %s", d->name, buf_str(&text));
}
