/* SPDX-License-Identifier: Apache-2.0 */
/* The model's memory: contexts, lists, NICs, pairs. Its rules are in context/check.c. */
#include "context/context.h"

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

static void nic_release(struct nic *n)
{
	strlist_release(&n->addresses);
	strlist_release(&n->dns);
	strlist_release(&n->search);
	strlist_release(&n->routes);
	free(n->gateway);
	free(n->gateway6);
	free(n->public_ipv4);
}

static void pairs_free(struct context_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
}

void context_free(struct context *c)
{
	free(c->source);
	free(c->instance_id);
	free(c->hostname);
	free(c->ami_id);
	free(c->instance_type);
	free(c->availability_zone);
	free(c->region);
	free(c->reservation_id);
	free(c->account_id);
	free(c->architecture);
	free(c->availability_zone_id);
	free(c->kernel_id);
	free(c->ramdisk_id);
	free(c->public_hostname);
	strlist_release(&c->security_groups);
	strlist_release(&c->ssh_keys);
	for (size_t i = 0; i < c->n_nics; i++)
		nic_release(&c->nics[i]);
	free(c->nics);
	buf_release(&c->user_data);
	pairs_free(c->tags, c->n_tags);
	pairs_free(c->block_devices, c->n_block_devices);
	pairs_free(c->extra, c->n_extra);
	free(c);
}

struct nic *context_add_nic(struct context *c)
{
	struct nic *nics = reallocarray(c->nics, c->n_nics + 1, sizeof(*nics));

	if (!nics)
		return NULL;
	c->nics = nics;
	nics[c->n_nics] = (struct nic){0};
	return &nics[c->n_nics++];
}

static int pair_add(struct context_pair **pairs, size_t *n, const char *key, const char *value)
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

int context_add_tag(struct context *c, const char *key, const char *value)
{
	return pair_add(&c->tags, &c->n_tags, key, value);
}

int context_add_block_device(struct context *c, const char *role, const char *name)
{
	return pair_add(&c->block_devices, &c->n_block_devices, role, name);
}

int context_add_extra(struct context *c, const char *key, const char *value)
{
	return pair_add(&c->extra, &c->n_extra, key, value);
}

const char *context_extra(const struct context *c, const char *key)
{
	for (size_t i = c->n_extra; i-- > 0;)
		if (!strcmp(c->extra[i].key, key))
			return c->extra[i].value;
	return NULL;
}
