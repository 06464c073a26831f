/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A context as bytes: see ctxd/wire.h. Both ends are the same program, so there is no version
 * beyond the magic.
 *
 *	+0   8   "ctxd-1\n\0"
 *	+8       records, up to the end:
 *	           1   tag, see enum tag
 *	           4   length of the value, little-endian
 *	           n   value: text without NUL, or as said at the tag
 *
 * A record about a NIC is about the last one that TAG_NIC began. A pair is its key, a NUL, and its
 * value.
 */
#include "ctxd/wire.h"

#define MAGIC "ctxd-1\n" /* and the NUL that ends it */
#define MAGIC_LEN 8
#define RECORD_HEAD 5
#define RECORDS_MAX 65536
#define NICS_MAX 64
#define LAUNCH_LEN 12
#define NIC_LEN 10 /* two methods, MTU and metric as 32 bits */

enum tag {
	TAG_SOURCE = 1,
	TAG_INSTANCE_ID,
	TAG_HOSTNAME,
	TAG_AMI_ID,
	TAG_INSTANCE_TYPE,
	TAG_AVAILABILITY_ZONE,
	TAG_REGION,
	TAG_RESERVATION_ID,
	TAG_ACCOUNT_ID,
	TAG_ARCHITECTURE,
	TAG_AVAILABILITY_ZONE_ID,
	TAG_KERNEL_ID,
	TAG_RAMDISK_ID,
	TAG_PUBLIC_HOSTNAME,
	TAG_LAUNCH, /* 12 bytes: index (32 bits), time (64 bits) */
	TAG_SECURITY_GROUP,
	TAG_SSH_KEY,
	TAG_USER_DATA,    /* any bytes */
	TAG_TAG,          /* pair */
	TAG_BLOCK_DEVICE, /* pair */
	TAG_EXTRA,        /* pair */
	TAG_NIC,          /* NIC_LEN bytes */
	TAG_NIC_MAC,
	TAG_NIC_ADDRESS,
	TAG_NIC_GATEWAY,
	TAG_NIC_GATEWAY6,
	TAG_NIC_DNS,
	TAG_NIC_SEARCH,
	TAG_NIC_ROUTE,
	TAG_NIC_PUBLIC_IPV4,
	TAG_NOTE,
};

/* Texts of the context and of a NIC, and lists of them, by where they are kept. */
struct place {
	enum tag tag;
	size_t offset;
};

static const struct place texts[] = {
	{TAG_SOURCE, offsetof(struct context, source)},
	{TAG_INSTANCE_ID, offsetof(struct context, instance_id)},
	{TAG_HOSTNAME, offsetof(struct context, hostname)},
	{TAG_AMI_ID, offsetof(struct context, ami_id)},
	{TAG_INSTANCE_TYPE, offsetof(struct context, instance_type)},
	{TAG_AVAILABILITY_ZONE, offsetof(struct context, availability_zone)},
	{TAG_REGION, offsetof(struct context, region)},
	{TAG_RESERVATION_ID, offsetof(struct context, reservation_id)},
	{TAG_ACCOUNT_ID, offsetof(struct context, account_id)},
	{TAG_ARCHITECTURE, offsetof(struct context, architecture)},
	{TAG_AVAILABILITY_ZONE_ID, offsetof(struct context, availability_zone_id)},
	{TAG_KERNEL_ID, offsetof(struct context, kernel_id)},
	{TAG_RAMDISK_ID, offsetof(struct context, ramdisk_id)},
	{TAG_PUBLIC_HOSTNAME, offsetof(struct context, public_hostname)},
};

static const struct place lists[] = {
	{TAG_SECURITY_GROUP, offsetof(struct context, security_groups)},
	{TAG_SSH_KEY, offsetof(struct context, ssh_keys)},
};

static const struct place nic_texts[] = {
	{TAG_NIC_GATEWAY, offsetof(struct nic, gateway)},
	{TAG_NIC_GATEWAY6, offsetof(struct nic, gateway6)},
	{TAG_NIC_PUBLIC_IPV4, offsetof(struct nic, public_ipv4)},
};

static const struct place nic_lists[] = {
	{TAG_NIC_ADDRESS, offsetof(struct nic, addresses)},
	{TAG_NIC_DNS, offsetof(struct nic, dns)},
	{TAG_NIC_SEARCH, offsetof(struct nic, search)},
	{TAG_NIC_ROUTE, offsetof(struct nic, routes)},
};

#define FIELD(type, base, at) ((type *)((char *)(base) + (at)))
#define CONST_FIELD(type, base, at) ((const type *)((const char *)(base) + (at)))

/* ---- writing --------------------------------------------------------------------------- */

static int add(struct buf *out, enum tag tag, const void *value, size_t len)
{
	unsigned char head[RECORD_HEAD];

	if (len > WIRE_MAX)
		return -EFBIG;
	head[0] = (unsigned char)tag;
	le32_put(head + 1, (uint32_t)len);
	if (buf_add(out, head, sizeof(head)) < 0 || (len && buf_add(out, value, len) < 0))
		return -ENOMEM;
	return out->len > WIRE_MAX ? -EFBIG : 0;
}

static int add_text(struct buf *out, enum tag tag, const char *text)
{
	return text ? add(out, tag, text, strlen(text)) : 0;
}

static int add_list(struct buf *out, enum tag tag, const struct strlist *l)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->n; i++)
		rc = add_text(out, tag, l->v[i]);
	return rc;
}

static int add_pairs(struct buf *out, enum tag tag, const struct context_pair *pairs, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		AUTO_BUF pair = BUF_INIT;

		if (buf_add(&pair, pairs[i].key, strlen(pairs[i].key) + 1) < 0 ||
		    buf_adds(&pair, pairs[i].value) < 0)
			return -ENOMEM;
		rc = add(out, tag, pair.data, pair.len);
	}
	return rc;
}

static int add_nic(struct buf *out, const struct nic *n)
{
	unsigned char fixed[NIC_LEN];
	int rc;

	fixed[0] = (unsigned char)n->method;
	fixed[1] = (unsigned char)n->method6;
	le32_put(fixed + 2, n->mtu);
	le32_put(fixed + 6, n->metric);
	rc = add(out, TAG_NIC, fixed, sizeof(fixed));
	if (rc == 0)
		rc = add_text(out, TAG_NIC_MAC, n->mac);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(nic_texts); i++)
		rc = add_text(out, nic_texts[i].tag, *CONST_FIELD(char *, n, nic_texts[i].offset));
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(nic_lists); i++)
		rc = add_list(out, nic_lists[i].tag,
			      CONST_FIELD(struct strlist, n, nic_lists[i].offset));
	return rc;
}

static int add_context(const struct context *c, struct buf *out)
{
	unsigned char launch[LAUNCH_LEN];
	int rc = buf_add(out, MAGIC, MAGIC_LEN);

	le32_put(launch, c->launch_index);
	le64_put(launch + 4, c->launch_time);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(texts); i++)
		rc = add_text(out, texts[i].tag, *CONST_FIELD(char *, c, texts[i].offset));
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(lists); i++)
		rc = add_list(out, lists[i].tag, CONST_FIELD(struct strlist, c, lists[i].offset));
	if (rc == 0)
		rc = add(out, TAG_LAUNCH, launch, sizeof(launch));
	if (rc == 0 && c->has_user_data)
		rc = add(out, TAG_USER_DATA, c->user_data.data, c->user_data.len);
	if (rc == 0)
		rc = add_pairs(out, TAG_TAG, c->tags, c->n_tags);
	if (rc == 0)
		rc = add_pairs(out, TAG_BLOCK_DEVICE, c->block_devices, c->n_block_devices);
	if (rc == 0)
		rc = add_pairs(out, TAG_EXTRA, c->extra, c->n_extra);
	for (size_t i = 0; rc == 0 && i < c->n_nics; i++)
		rc = add_nic(out, &c->nics[i]);
	return rc;
}

int wire_encode(const struct context *c, const struct strlist *notes, struct buf *out,
		struct err *e)
{
	int rc = add_context(c, out);

	if (rc == 0 && notes)
		rc = add_list(out, TAG_NOTE, notes);
	if (rc == -EFBIG)
		return err_set(e, EFBIG, "the context is larger than %llu bytes",
			       (unsigned long long)WIRE_MAX);
	return rc < 0 ? err_nomem(e) : 0;
}

/* ---- reading --------------------------------------------------------------------------- */

struct record {
	unsigned tag;
	const char *value;
	size_t len;
};

static bool is_text(const struct record *r)
{
	return !r->len || !memchr(r->value, '\0', r->len);
}

static int take_text(const struct record *r, char **to)
{
	if (!is_text(r) || *to)
		return -EBADMSG;
	*to = strndup(r->value, r->len);
	return *to ? 0 : -ENOMEM;
}

static int take_list(const struct record *r, struct strlist *to)
{
	AUTO_FREE char *text = NULL;
	int rc = take_text(r, &text);

	return rc < 0 ? rc : strlist_add(to, text);
}

static int take_pair(const struct record *r, struct context *c)
{
	const char *nul = r->len ? memchr(r->value, '\0', r->len) : NULL;
	AUTO_FREE char *value = NULL;
	struct record rest;

	if (!nul)
		return -EBADMSG;
	rest = (struct record){r->tag, nul + 1, r->len - (size_t)(nul + 1 - r->value)};
	if (!is_text(&rest))
		return -EBADMSG;
	value = strndup(rest.value, rest.len);
	if (!value)
		return -ENOMEM;
	if (r->tag == TAG_TAG)
		return context_add_tag(c, r->value, value);
	if (r->tag == TAG_BLOCK_DEVICE)
		return context_add_block_device(c, r->value, value);
	return context_add_extra(c, r->value, value);
}

static int take_nic(const struct record *r, struct context *c)
{
	const unsigned char *p = (const unsigned char *)r->value;
	struct nic *n;

	if (r->len != NIC_LEN || p[0] > NIC_SKIP || p[1] > NIC_SKIP || c->n_nics >= NICS_MAX)
		return -EBADMSG;
	n = context_add_nic(c);
	if (!n)
		return -ENOMEM;
	n->method = p[0];
	n->method6 = p[1];
	n->mtu = le32_get(p + 2);
	n->metric = le32_get(p + 6);
	return 0;
}

static int take_of_nic(const struct record *r, struct context *c)
{
	struct nic *n = c->n_nics ? &c->nics[c->n_nics - 1] : NULL;

	if (!n)
		return -EBADMSG;
	if (r->tag == TAG_NIC_MAC) {
		if (!is_text(r) || r->len >= sizeof(n->mac))
			return -EBADMSG;
		memcpy(n->mac, r->value, r->len);
		n->mac[r->len] = '\0';
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(nic_texts); i++) {
		if (r->tag == nic_texts[i].tag)
			return take_text(r, FIELD(char *, n, nic_texts[i].offset));
	}
	for (size_t i = 0; i < ARRAY_SIZE(nic_lists); i++) {
		if (r->tag == nic_lists[i].tag)
			return take_list(r, FIELD(struct strlist, n, nic_lists[i].offset));
	}
	return -EBADMSG;
}

static int take(const struct record *r, struct context *c, struct strlist *notes)
{
	switch (r->tag) {
	case TAG_LAUNCH:
		if (r->len != LAUNCH_LEN)
			return -EBADMSG;
		c->launch_index = le32_get(r->value);
		c->launch_time = le64_get(r->value + 4);
		return 0;
	case TAG_USER_DATA:
		if (c->has_user_data)
			return -EBADMSG;
		c->has_user_data = true;
		return r->len ? buf_add(&c->user_data, r->value, r->len) : 0;
	case TAG_TAG:
	case TAG_BLOCK_DEVICE:
	case TAG_EXTRA:
		return take_pair(r, c);
	case TAG_NIC:
		return take_nic(r, c);
	case TAG_NOTE:
		return notes ? take_list(r, notes) : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (r->tag == texts[i].tag)
			return take_text(r, FIELD(char *, c, texts[i].offset));
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (r->tag == lists[i].tag)
			return take_list(r, FIELD(struct strlist, c, lists[i].offset));
	}
	return take_of_nic(r, c);
}

static int take_all(const char *p, size_t len, struct context *c, struct strlist *notes,
		    struct err *e)
{
	size_t at = MAGIC_LEN, records = 0;

	while (at < len) {
		struct record r;
		int rc;

		if (len - at < RECORD_HEAD || ++records > RECORDS_MAX)
			return err_set(e, EBADMSG, "context message: cut, or too much, at 0x%zx",
				       at);
		r.tag = (unsigned char)p[at];
		r.len = le32_get(p + at + 1);
		r.value = p + at + RECORD_HEAD;
		if (r.len > len - at - RECORD_HEAD)
			return err_set(e, EBADMSG, "context message: record at 0x%zx is cut", at);
		rc = take(&r, c, notes);
		if (rc == -EBADMSG)
			return err_set(e, EBADMSG, "context message: bad record %u at 0x%zx", r.tag,
				       at);
		if (rc < 0)
			return err_nomem(e);
		at += RECORD_HEAD + r.len;
	}
	return 0;
}

int wire_decode(const void *data, size_t len, struct context **ret, struct strlist *notes,
		struct err *e)
{
	AUTO(context_free) struct context *c = NULL;
	int rc;

	if (len > WIRE_MAX || len < MAGIC_LEN || memcmp(data, MAGIC, MAGIC_LEN) != 0)
		return err_set(e, EBADMSG, "context message: no such message, of %zu bytes", len);
	rc = context_new(&c, e);
	if (rc == 0)
		rc = take_all(data, len, c, notes, e);
	if (rc == 0)
		rc = context_validate(c, e);
	if (rc == 0)
		*ret = STEAL(c);
	return rc;
}
