/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an image is sound: collecting what a format finds. */
#include <stdarg.h>
#include <stdio.h>

#include "imgconv/format.h"

int image_check_add(struct image_check *c, enum image_finding_kind kind, uint64_t offset,
		    uint64_t bytes, struct err *e, const char *fmt, ...)
{
	struct image_finding f = {.kind = kind, .offset = offset};
	struct image_finding *grown;
	va_list ap;
	int n;

	if (kind == IMAGE_FINDING_LEAK)
		c->n_leaks++;
	else
		c->n_errors++;
	c->leaked += bytes;
	if (c->n_findings == IMAGE_FINDINGS_MAX)
		return 0;
	grown = reallocarray(c->findings, c->n_findings + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	c->findings = grown;
	va_start(ap, fmt);
	n = vasprintf(&f.text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_nomem(e);
	c->findings[c->n_findings++] = f;
	return 0;
}

int image_check_read(struct image *im, struct image_check *ret, struct progress *p, struct err *e)
{
	AUTO(image_check_release) struct image_check c = {0};
	struct err own;
	int rc;

	if (!e)
		e = &own;
	rc = im->format->check ? im->format->check(im, &c, p, e) : 0;
	/* A format that cannot go on says why: that is one more finding. */
	if (rc == -EBADMSG || rc == -EFBIG)
		rc = image_check_add(&c, IMAGE_FINDING_ERROR, UINT64_MAX, 0, e, "%s", e->msg);
	if (rc < 0)
		return err_wrap(e, "checking '%s'", im->name);
	*ret = c;
	c = (struct image_check){0};
	return 0;
}

void image_check_release(struct image_check *c)
{
	for (size_t i = 0; i < c->n_findings; i++)
		free(c->findings[i].text);
	free(c->findings);
	*c = (struct image_check){0};
}
