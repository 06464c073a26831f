/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of any bytes, read as the dialect whose mark is among them; what is taken is valid, and
 * can be written and read back in each dialect, after which it stays as it is. The input:
 * documents, each a line with its name, which begins with "@", and its text up to the next such
 * line.
 */
#include <stdio.h>

#include "context/docs.h"
#include "context/fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static struct tree *documents(const char *p, const char *end)
{
	struct tree *t;

	require(!tree_new(&t, NULL));
	while (p < end && *p == '@') {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *next;
		AUTO_FREE char *name = NULL;

		if (!lf)
			break;
		name = strndup(p + 1, (size_t)(lf - p) - 1);
		p = lf + 1;
		next = memmem(p, (size_t)(end - p), "\n@", 2);
		require(name && !tree_add(t, 0, name, p, (size_t)((next ? next : end) - p), NULL));
		p = next ? next + 1 : end;
	}
	return t;
}

static int no_difference(void *arg, const char *path, enum field_difference how)
{
	fprintf(stderr, "%s: %s differs (%d)\n", (const char *)arg, path, how);
	abort();
}

static void around(const struct context_dialect *d, const struct context *c)
{
	AUTO(tree_free) struct tree *first = NULL, *second = NULL;
	AUTO(context_free) struct context *back = NULL, *again = NULL;
	struct err e = {0};

	if (!d->write || dialect_write(d, c, &first, NULL))
		return;
	if (dialect_read(d, first, "fuzz", NULL, &back, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	require(!dialect_write(d, back, &second, NULL));
	require(!dialect_read(d, second, "fuzz", NULL, &again, NULL));
	/* EC2's tree fills in what a NIC lacks from the machine, by the NIC's place. */
	if (d != &dialect_ec2)
		require(!context_compare(back, again, no_difference, (void *)d->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(tree_free) struct tree *docs = NULL;
	AUTO(context_free) struct context *c = NULL;
	AUTO(strlist_release) struct strlist notes = {0};
	struct err e = {0};
	const struct context_dialect *d;
	int rc;

	docs = documents((const char *)data, (const char *)data + size);
	d = tree_seal(docs, NULL) ? NULL : docs_dialect(docs);
	if (!d)
		return 0;
	rc = d->read(docs, "fuzz", &notes, &c, &e);
	require(rc ? e.code > 0 && e.msg[0] : true);
	if (rc)
		return 0;
	require(!context_validate(c, &e));
	for (size_t i = 0; context_dialects[i]; i++)
		around(context_dialects[i], c);
	return 0;
}
