/* SPDX-License-Identifier: Apache-2.0 */
/* An instance as JSON with the keys of metadata-server.yaml(5), which reads JSON too. */
#include "context/bind.h"
#include "context/imds.h"

static void text(struct jsonw *w, const char *key, const char *s)
{
	if (s)
		jsonw_string(w, key, s);
}

static void identify(struct jsonw *w, const struct instance_identify *id)
{
	if (!id->given)
		return;
	jsonw_object(w, "identify");
	text(w, "netns", id->netns);
	if (id->interface && !strcmp(id->interface, IDENTIFY_VSOCK)) {
		text(w, "vsock", id->address);
	} else {
		text(w, "interface", id->interface);
		text(w, "address", id->address);
	}
	if (id->mac[0])
		jsonw_string(w, "mac", id->mac);
	if (id->trust_address)
		jsonw_string(w, "trust", "address");
	jsonw_close(w);
}

static void dialects(struct jsonw *w, unsigned bits)
{
	const char *name;
	unsigned bit;

	if (!bits)
		return;
	jsonw_array(w, "dialects");
	for (size_t i = 0; (name = instance_dialect_name(i, &bit)); i++)
		if (bits & bit)
			jsonw_string(w, NULL, name);
	jsonw_close(w);
}

int instance_write_json(const struct instance *in, bool pretty, struct buf *out, struct err *e)
{
	struct jsonw w;

	jsonw_begin(&w, out, pretty);
	jsonw_object(&w, NULL);
	bind_write(&w, context_fields, in->context);
	identify(&w, &in->identify);
	dialects(&w, in->dialects);
	jsonw_object(&w, "imds");
	jsonw_bool(&w, "enabled", in->imds.enabled);
	jsonw_string(&w, "tokens",
		     in->imds.tokens == IMDS_TOKENS_REQUIRED ? "required" : "optional");
	jsonw_u64(&w, "hop-limit", in->imds.hop_limit);
	jsonw_bool(&w, "instance-tags", in->imds.instance_tags);
	jsonw_close(&w);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

void context_put_json(struct jsonw *w, const char *key, const struct context *c)
{
	jsonw_object(w, key);
	bind_write(w, context_fields, c);
	jsonw_close(w);
}

int context_write_json(const struct context *c, bool pretty, struct buf *out, struct err *e)
{
	struct jsonw w;

	jsonw_begin(&w, out, pretty);
	context_put_json(&w, NULL, c);
	return jsonw_end(&w, e);
}
