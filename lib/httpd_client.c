/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one client may have at once and in a time: connections, requests, bytes of answers.
 *
 * A client is kept while it is connected, and after that until its buckets are full again, for one
 * that was forgotten would begin with full ones. There are at most MAX_CLIENTS; if all of them are
 * to be kept, a new one is turned away.
 */
#include "lib/httpd_private.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
/* behind those above, on which it depends */
#include <linux/vm_sockets.h>

enum {
	MAX_CLIENTS = 65536,
	SWEEP = 64, /* buckets that are looked at for one that can be forgotten */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void make_key(const struct httpd_peer *peer, unsigned char key[16])
{
	const struct sockaddr_storage *ss = &peer->remote;

	memset(key, 0, 16);
	if (ss->ss_family == AF_INET) {
		memcpy(key, &((const struct sockaddr_in *)ss)->sin_addr, 4);
	} else if (ss->ss_family == AF_VSOCK) {
		struct sockaddr_vm vm;

		memcpy(&vm, ss, sizeof(vm));
		memcpy(key, &vm.svm_cid, 4);
	} else if (ss->ss_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)ss)->sin6_addr;

		/* link-local addresses share one prefix, and tell hosts apart behind it */
		memcpy(key, a, IN6_IS_ADDR_LINKLOCAL(a) ? 16 : 8);
	}
}

static size_t bucket_of(const struct httpd *h, const unsigned char key[16], unsigned ifindex)
{
	uint32_t v = h->seed ^ ifindex * 2654435761u;

	for (size_t i = 0; i < 16; i++)
		v = (v ^ key[i]) * 16777619u;
	return (v ^ v >> 16) % CLIENT_BUCKETS;
}

/* ---- buckets of tokens --------------------------------------------------------------------- */

/* Thousandths: so that a rate of tokens a second is one of thousandths a millisecond. */
static void fill(uint64_t *tokens, const struct httpd_rate *r, uint64_t ms)
{
	uint64_t full = r->burst * 1000;
	uint64_t more;

	if (!u64_mul(r->rate, ms, &more) || !u64_add(more, *tokens, &more) || more > full)
		more = full;
	*tokens = more;
}

static void refill(const struct httpd *h, struct client *c)
{
	uint64_t now = now_ms();
	uint64_t ms = now - c->at;

	if (!ms)
		return;
	c->at = now;
	fill(&c->requests, &h->o.requests, ms);
	fill(&c->bytes, &h->o.bytes, ms);
}

static bool has_limits(const struct httpd *h)
{
	return h->o.requests.rate || h->o.bytes.rate;
}

static bool is_full(const struct httpd *h, struct client *c)
{
	refill(h, c);
	return (!h->o.requests.rate || c->requests == h->o.requests.burst * 1000) &&
	       (!h->o.bytes.rate || c->bytes == h->o.bytes.burst * 1000);
}

static bool is_empty(const struct httpd *h, struct client *c)
{
	refill(h, c);
	return (h->o.requests.rate && c->requests < 1000) || (h->o.bytes.rate && c->bytes < 1000);
}

/* ---- clients ------------------------------------------------------------------------------- */

static void forget(struct httpd *h, struct client *c)
{
	if (c->next)
		c->next->in_bucket = c->in_bucket;
	*c->in_bucket = c->next;
	h->n_clients--;
	free(c);
}

/* Forgets those of a bucket that need not be known; true if there was one. */
static bool sweep(struct httpd *h, size_t bucket)
{
	struct client *next;
	bool any = false;

	for (struct client *c = h->clients[bucket]; c; c = next) {
		next = c->next;
		if (c->conns || !is_full(h, c))
			continue;
		forget(h, c);
		any = true;
	}
	return any;
}

static bool make_room(struct httpd *h, size_t bucket)
{
	sweep(h, bucket);
	for (size_t i = 1; h->n_clients >= MAX_CLIENTS && i < SWEEP; i++)
		sweep(h, (bucket + i) % CLIENT_BUCKETS);
	return h->n_clients < MAX_CLIENTS;
}

static struct client *find(struct httpd *h, const struct httpd_peer *peer)
{
	unsigned char key[16];
	struct client *c;
	size_t bucket;

	make_key(peer, key);
	bucket = bucket_of(h, key, peer->ifindex);
	for (c = h->clients[bucket]; c; c = c->next)
		if (c->ifindex == peer->ifindex && c->tag == peer->tag && !memcmp(c->key, key, 16))
			return c;
	if (!make_room(h, bucket))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	memcpy(c->key, key, 16);
	c->ifindex = peer->ifindex;
	c->tag = peer->tag;
	c->at = now_ms();
	c->requests = h->o.requests.burst * 1000;
	c->bytes = h->o.bytes.burst * 1000;
	c->next = h->clients[bucket];
	if (c->next)
		c->next->in_bucket = &c->next;
	c->in_bucket = &h->clients[bucket];
	h->clients[bucket] = c;
	h->n_clients++;
	return c;
}

enum client_verdict client_enter(struct httpd *h, const struct httpd_peer *peer,
				 struct client **ret)
{
	struct client *c;

	*ret = NULL;
	if (peer->remote.ss_family == AF_UNSPEC || peer->remote.ss_family == AF_UNIX ||
	    (!h->o.max_per_address && !has_limits(h)))
		return CLIENT_MAY;
	c = find(h, peer);
	if (!c || (h->o.max_per_address && c->conns >= h->o.max_per_address))
		return CLIENT_TOO_MANY;
	if (has_limits(h) && is_empty(h, c))
		return CLIENT_TOO_FAST;
	c->conns++;
	*ret = c;
	return CLIENT_MAY;
}

void client_leave(struct httpd *h, struct client *c)
{
	if (!c || --c->conns)
		return;
	if (!has_limits(h) || is_full(h, c))
		forget(h, c);
}

bool client_may_ask(struct httpd *h, struct client *c)
{
	if (!c || !has_limits(h))
		return true;
	if (is_empty(h, c))
		return false;
	if (h->o.requests.rate)
		c->requests -= 1000;
	return true;
}

/* The last answer may be longer than what is left: then nothing is. */
void client_charge(struct httpd *h, struct client *c, size_t bytes)
{
	uint64_t tokens = (uint64_t)bytes * 1000;

	if (c && h->o.bytes.rate)
		c->bytes -= MIN(c->bytes, tokens);
}

void clients_free(struct httpd *h)
{
	for (size_t i = 0; i < CLIENT_BUCKETS; i++)
		while (h->clients[i])
			forget(h, h->clients[i]);
}
