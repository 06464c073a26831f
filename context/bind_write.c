/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the model as maps by its rows: see context/bind.h. */
#include <stdio.h>

#include "context/bind.h"
#include "lib/str.h"

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

void bind_write_field(struct jsonw *w, const struct context_field *f, const void *object)
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
		bind_write(w, f->fields, at);
		jsonw_close(w);
		break;
	case CTX_STRUCTS:
		jsonw_array(w, f->name);
		for (size_t i = 0; i < *n; i++) {
			jsonw_object(w, NULL);
			bind_write(w, f->fields, *(char *const *)at + i * f->size);
			jsonw_close(w);
		}
		jsonw_close(w);
		break;
	case CTX_END:
		break;
	}
}

void bind_write(struct jsonw *w, const struct context_field *table, const void *object)
{
	for (const struct context_field *f = table; f->name; f++)
		if (context_field_given(f, object))
			bind_write_field(w, f, object);
}
