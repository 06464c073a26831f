/* SPDX-License-Identifier: Apache-2.0 */
/* What treats all members of the model alike, by their rows: see context/fields.h. */
#include "context/fields.h"

#define AT(type, object, at) ((type *)((char *)(object) + (at)))
#define CONST_AT(type, object, at) ((const type *)((const char *)(object) + (at)))

/* ---- memory ---------------------------------------------------------------------------------- */

static void pairs_free(struct context_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
}

/* Of an array: its members' memory, and its own. */
static void release_array(const struct context_field *f, void *object)
{
	void **v = AT(void *, object, f->offset);
	size_t *n = AT(size_t, object, f->offset_n);

	if (f->kind == CTX_PAIRS)
		pairs_free(*v, *n);
	for (size_t i = 0; f->kind == CTX_STRUCTS && i < *n; i++)
		context_fields_release(f->fields, (char *)*v + i * f->size);
	if (f->kind == CTX_STRUCTS)
		free(*v);
	*v = NULL;
	*n = 0;
}

static void release_field(const struct context_field *f, void *object)
{
	switch (f->kind) {
	case CTX_TEXT:
		free(*AT(char *, object, f->offset));
		*AT(char *, object, f->offset) = NULL;
		break;
	case CTX_MAC:
		*AT(char, object, f->offset) = '\0';
		break;
	case CTX_U32:
	case CTX_MODE:
		*AT(uint32_t, object, f->offset) = 0;
		break;
	case CTX_SIZE:
	case CTX_TIME:
		*AT(uint64_t, object, f->offset) = 0;
		break;
	case CTX_CHOICE:
		*AT(enum context_choice, object, f->offset) = CHOICE_OPEN;
		break;
	case CTX_METHOD:
		*AT(enum nic_method, object, f->offset) = NIC_STATIC;
		break;
	case CTX_LIST:
		strlist_release(AT(struct strlist, object, f->offset));
		break;
	case CTX_BYTES:
		buf_release(AT(struct buf, object, f->offset));
		if (f->offset_n)
			*AT(bool, object, f->offset_n) = false;
		break;
	case CTX_STRUCT:
		context_fields_release(f->fields, AT(char, object, f->offset));
		break;
	case CTX_PAIRS:
	case CTX_STRUCTS:
		release_array(f, object);
		break;
	case CTX_END:
		break;
	}
}

void context_fields_release(const struct context_field *table, void *object)
{
	for (const struct context_field *f = table; f->name; f++)
		release_field(f, object);
}

void *context_field_append(const struct context_field *f, void *object)
{
	char **v = AT(char *, object, f->offset);
	size_t *n = AT(size_t, object, f->offset_n);
	char *grown = reallocarray(*v, *n + 1, f->size);

	if (!grown)
		return NULL;
	*v = grown;
	memset(grown + *n * f->size, 0, f->size);
	return grown + (*n)++ * f->size;
}

static bool struct_given(const struct context_field *table, const void *object)
{
	for (const struct context_field *f = table; f->name; f++)
		if (context_field_given(f, object))
			return true;
	return false;
}

bool context_field_given(const struct context_field *f, const void *object)
{
	const char *at = CONST_AT(char, object, f->offset);

	switch (f->kind) {
	case CTX_TEXT:
		return *(char *const *)at;
	case CTX_MAC:
		return *at;
	case CTX_U32:
	case CTX_MODE:
		return *(const uint32_t *)at;
	case CTX_SIZE:
	case CTX_TIME:
		return *(const uint64_t *)at;
	case CTX_CHOICE:
		return *(const enum context_choice *)at != CHOICE_OPEN;
	case CTX_METHOD:
		return true;
	case CTX_LIST:
		return ((const struct strlist *)at)->n;
	case CTX_BYTES:
		return f->offset_n ? *CONST_AT(bool, object, f->offset_n)
				   : ((const struct buf *)at)->len;
	case CTX_PAIRS:
	case CTX_STRUCTS:
		return *CONST_AT(size_t, object, f->offset_n);
	case CTX_STRUCT:
		return struct_given(f->fields, at);
	case CTX_END:
		break;
	}
	return false;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static int check_list(const struct context_field *f, const struct strlist *l, struct err *e)
{
	for (size_t i = 0; i < l->n && f->check; i++)
		if (f->check(l->v[i], e))
			return err_wrap(e, "%s[%zu]", f->name, i);
	return 0;
}

static int check_pairs(const struct context_field *f, const struct context_pair *p, size_t n,
		       struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if ((f->check_key && f->check_key(p[i].key, e)) ||
		    (f->check && f->check(p[i].value, e)))
			return err_wrap(e, "%s[%zu]", f->name, i);
	return 0;
}

static int check_mac(const char *s, struct err *e)
{
	char mac[18];

	if (*s && (context_parse_mac(s, mac, e) || strcmp(mac, s)))
		return err_set(e, EBADMSG, "is not a MAC address in lower case");
	return 0;
}

static int check_number(const struct context_field *f, uint64_t n, struct err *e)
{
	if (n && f->max && (n < f->min || n > f->max))
		return err_set(e, EBADMSG, "%s: is not in %llu to %llu", f->name,
			       (unsigned long long)f->min, (unsigned long long)f->max);
	return 0;
}

static int check_field(const struct context_field *f, const void *object, struct err *e)
{
	const char *at = CONST_AT(char, object, f->offset);
	const char *text;

	switch (f->kind) {
	case CTX_TEXT:
		text = *(char *const *)at;
		if (!text && f->required)
			return err_set(e, EBADMSG, "%s: is missing", f->name);
		return text && f->check && f->check(text, e) ? err_wrap(e, "%s", f->name) : 0;
	case CTX_MAC:
		return check_mac(at, e) ? err_wrap(e, "%s", f->name) : 0;
	case CTX_U32:
	case CTX_MODE:
		return check_number(f, *(const uint32_t *)at, e);
	case CTX_SIZE:
		return check_number(f, *(const uint64_t *)at, e);
	case CTX_LIST:
		return check_list(f, (const struct strlist *)at, e);
	case CTX_PAIRS:
		return check_pairs(f, *(struct context_pair *const *)at,
				   *CONST_AT(size_t, object, f->offset_n), e);
	case CTX_STRUCT:
		return context_fields_check(f->fields, at, e) ? err_wrap(e, "%s", f->name) : 0;
	case CTX_STRUCTS:
		for (size_t i = 0; i < *CONST_AT(size_t, object, f->offset_n); i++)
			if (context_fields_check(f->fields, *(char *const *)at + i * f->size, e))
				return err_wrap(e, "%s[%zu]", f->name, i);
		return 0;
	default:
		return 0;
	}
}

int context_fields_check(const struct context_field *table, const void *object, struct err *e)
{
	for (const struct context_field *f = table; f->name; f++)
		if (check_field(f, object, e))
			return -EBADMSG;
	return 0;
}
