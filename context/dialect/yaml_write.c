/* SPDX-License-Identifier: Apache-2.0 */
/* An instance as JSON with the keys of metadata-server.yaml(5), which reads JSON too. */
#include <stdio.h>

#include "context/fields.h"
#include "context/imds.h"
#include "lib/json.h"
#include "lib/str.h"

static void text(struct jsonw *w, const char *key, const char *s)
{
	if (s)
		jsonw_string(w, key, s);
}

static void list(struct jsonw *w, const char *key, const struct strlist *l)
{
	jsonw_array(w, key);
	for (size_t i = 0; i < l->n; i++)
		jsonw_string(w, NULL, l->v[i]);
	jsonw_close(w);
}

/* Of a key given twice the last one counts. */
static void pairs(struct jsonw *w, const char *key, const struct context_pair *p, size_t n)
{
	jsonw_object(w, key);
	for (size_t i = 0; i < n; i++)
		if (pairs_get(p, n, p[i].key) == p[i].value)
			jsonw_string(w, p[i].key, p[i].value);
	jsonw_close(w);
}

static const char *method_name(enum nic_method m)
{
	switch (m) {
	case NIC_STATIC:
		return "static";
	case NIC_DHCP:
		return "dhcp";
	case NIC_AUTO:
		return "auto";
	case NIC_SKIP:
		break;
	}
	return "skip";
}

/* As text where it is text all the way through, so that reading it back gives the same bytes. */
static void bytes(struct jsonw *w, const struct context_field *f, const struct buf *b)
{
	AUTO_BUF coded = BUF_INIT;

	if (utf8_valid(buf_str(b), b->len))
		jsonw_string_n(w, f->name, buf_str(b), b->len);
	else if (base64_encode(b->data, b->len, &coded))
		w->rc = -ENOMEM;
	else
		jsonw_string(w, f->name_base64, buf_str(&coded));
}

static void write_struct(struct jsonw *w, const struct context_field *table, const void *object);

static void write_field(struct jsonw *w, const struct context_field *f, const void *object)
{
	const char *at = (const char *)object + f->offset;
	const size_t *n = (const size_t *)((const char *)object + f->offset_n);
	char small[CONTEXT_TIME_SIZE];

	switch (f->kind) {
	case CTX_TEXT:
		jsonw_string(w, f->name, *(char *const *)at);
		break;
	case CTX_MAC:
		jsonw_string(w, f->name, at);
		break;
	case CTX_U32:
		jsonw_u64(w, f->name, *(const uint32_t *)at);
		break;
	case CTX_MODE:
		snprintf(small, sizeof(small), "%04o", *(const uint32_t *)at);
		jsonw_string(w, f->name, small);
		break;
	case CTX_SIZE:
		jsonw_u64(w, f->name, *(const uint64_t *)at);
		break;
	case CTX_TIME:
		context_format_time(*(const uint64_t *)at, small);
		jsonw_string(w, f->name, small);
		break;
	case CTX_CHOICE:
		jsonw_bool(w, f->name, *(const enum context_choice *)at == CHOICE_YES);
		break;
	case CTX_METHOD:
		jsonw_string(w, f->name, method_name(*(const enum nic_method *)at));
		break;
	case CTX_LIST:
		list(w, f->name, (const struct strlist *)at);
		break;
	case CTX_BYTES:
		bytes(w, f, (const struct buf *)at);
		break;
	case CTX_PAIRS:
		pairs(w, f->name, *(struct context_pair *const *)at, *n);
		break;
	case CTX_STRUCT:
		jsonw_object(w, f->name);
		write_struct(w, f->fields, at);
		jsonw_close(w);
		break;
	case CTX_STRUCTS:
		jsonw_array(w, f->name);
		for (size_t i = 0; i < *n; i++) {
			jsonw_object(w, NULL);
			write_struct(w, f->fields, *(char *const *)at + i * f->size);
			jsonw_close(w);
		}
		jsonw_close(w);
		break;
	case CTX_END:
		break;
	}
}

static void write_struct(struct jsonw *w, const struct context_field *table, const void *object)
{
	for (const struct context_field *f = table; f->name; f++)
		if (context_field_given(f, object))
			write_field(w, f, object);
}

static void identify(struct jsonw *w, const struct instance_identify *id)
{
	if (!id->given)
		return;
	jsonw_object(w, "identify");
	text(w, "interface", id->interface);
	text(w, "address", id->address);
	if (id->mac[0])
		jsonw_string(w, "mac", id->mac);
	if (id->trust_address)
		jsonw_string(w, "trust", "address");
	jsonw_close(w);
}

int instance_write_json(const struct instance *in, bool pretty, struct buf *out, struct err *e)
{
	struct jsonw w;

	jsonw_begin(&w, out, pretty);
	jsonw_object(&w, NULL);
	write_struct(&w, context_fields, in->context);
	identify(&w, &in->identify);
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

int context_write_json(const struct context *c, bool pretty, struct buf *out, struct err *e)
{
	struct jsonw w;

	jsonw_begin(&w, out, pretty);
	jsonw_object(&w, NULL);
	write_struct(&w, context_fields, c);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}
