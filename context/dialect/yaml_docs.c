/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML dialect as a document: instance.yaml, metadata-server.yaml(5). */
#include "context/bind.h"
#include "context/dialects.h"
#include "context/reading.h"

#define FILE_NAME "instance.yaml"

/* Everything, by its nature. */
static const char *const fields[] = {"", NULL};

static int read_docs(const struct tree *docs, const char *source, struct strlist *notes,
		     struct context **ret, struct err *e)
{
	AUTO(instance_free) struct instance *in = NULL;
	struct http_slice s;
	int rc;

	(void)notes;
	if (!tree_leaf(docs, FILE_NAME, &s))
		return err_set(e, ENOENT, "there is no '" FILE_NAME "'");
	rc = instance_parse_yaml("instance", FILE_NAME, s.p, s.len, -1, NULL, NULL, &in, e);
	if (!rc && context_set(&in->context->source, source))
		rc = err_nomem(e);
	if (!rc)
		*ret = STEAL(in->context);
	return rc;
}

static int write_docs(const struct context *c, struct tree *docs, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!c->instance_id)
		return err_set(e, EINVAL, "an instance needs an instance-id");
	for (size_t i = 0; i < c->n_nics && c->n_nics > 1; i++)
		if (!c->nics[i].mac[0] && !c->nics[i].name)
			return err_set(e, EINVAL, "nics[%zu] has neither a MAC address nor a name",
				       i);
	rc = context_write_json(c, true, &text, e);
	return rc ? rc : tree_add(docs, 0, FILE_NAME, text.data, text.len, e);
}

const struct context_dialect dialect_yaml = {
	.name = "yaml",
	.mark = FILE_NAME,
	.read = read_docs,
	.write = write_docs,
	.fields = fields,
};
