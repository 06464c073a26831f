/* SPDX-License-Identifier: Apache-2.0 */
/* The model's memory: contexts, lists, members, pairs. Its shape is in context/fields.c. */
#include "context/fields.h"

int strlist_add(struct strlist *l, const char *s)
{
	char **v = reallocarray(l->v, l->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	l->v = v;
	v[l->n] = strdup(s);
	if (!v[l->n])
		return -ENOMEM;
	l->n++;
	return 0;
}

void strlist_release(struct strlist *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strlist){0};
}

int context_new(struct context **ret, struct err *e)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : err_nomem(e);
}

void context_free(struct context *c)
{
	free(c->source);
	context_fields_release(context_fields, c);
	free(c);
}

static void *append(struct context *c, const char *member)
{
	return context_field_append(context_field(context_fields, member), c);
}

struct nic *context_add_nic(struct context *c)
{
	return append(c, "nics");
}

struct user *context_add_user(struct context *c)
{
	return append(c, "users");
}

struct context_mount *context_add_mount(struct context *c)
{
	return append(c, "mounts");
}

struct context_file *context_add_file(struct context *c)
{
	return append(c, "files");
}

struct context_script *context_add_script(struct context *c)
{
	return append(c, "scripts");
}

struct context_maintenance *context_add_maintenance(struct context *c)
{
	return append(c, "maintenance");
}

int pairs_add(struct context_pair **pairs, size_t *n, const char *key, const char *value)
{
	struct context_pair *grown = reallocarray(*pairs, *n + 1, sizeof(**pairs));
	AUTO_FREE char *k = NULL;
	AUTO_FREE char *v = NULL;

	if (!grown)
		return -ENOMEM;
	*pairs = grown;
	k = strdup(key);
	v = strdup(value);
	if (!k || !v)
		return -ENOMEM;
	grown[(*n)++] = (struct context_pair){STEAL(k), STEAL(v)};
	return 0;
}

const char *pairs_get(const struct context_pair *pairs, size_t n, const char *key)
{
	for (size_t i = n; i-- > 0;)
		if (!strcmp(pairs[i].key, key))
			return pairs[i].value;
	return NULL;
}

int context_set(char **at, const char *s)
{
	char *copy = s ? strdup(s) : NULL;

	if (s && !copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

int context_add_tag(struct context *c, const char *key, const char *value)
{
	return pairs_add(&c->tags, &c->n_tags, key, value);
}

int context_add_block_device(struct context *c, const char *role, const char *name)
{
	return pairs_add(&c->block_devices, &c->n_block_devices, role, name);
}

int context_add_extra(struct context *c, const char *key, const char *value)
{
	return pairs_add(&c->extra, &c->n_extra, key, value);
}

const char *context_extra(const struct context *c, const char *key)
{
	return pairs_get(c->extra, c->n_extra, key);
}

enum nic_method nic_effective_method(const struct nic *n, bool ipv6)
{
	enum nic_method m = ipv6 ? n->method6 : n->method;

	if (m != NIC_STATIC)
		return m;
	for (size_t i = 0; i < n->addresses.n; i++)
		if ((strchr(n->addresses.v[i], ':') != NULL) == ipv6)
			return NIC_STATIC;
	return NIC_SKIP;
}

const struct nic *nic_parent(const struct context *c, const struct nic *n)
{
	for (size_t i = 0; i < c->n_nics && n->vlan_parent; i++) {
		const struct nic *other = &c->nics[i];

		if (other != n && (!strcmp(other->mac, n->vlan_parent) ||
				   (other->name && !strcmp(other->name, n->vlan_parent))))
			return other;
	}
	return NULL;
}
