/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lib/httpd.c (listeners, the loop), lib/httpd_conn.c (connections) and lib/httpd_client.c
 * (limits of one client) share.
 */
#ifndef LIB_HTTPD_PRIVATE_H
#define LIB_HTTPD_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "lib/httpd.h"

enum {
	CLIENT_BUCKETS = 4096,
	MAX_SIGNALS = 8,
};

/* One who connects, as long as it is connected or has used up some of what it may. */
struct client {
	struct client *next, **in_bucket;
	unsigned char key[16]; /* address, or its /64 */
	unsigned ifindex;
	const void *tag;
	unsigned conns;
	uint64_t at;              /* milliseconds; when the buckets were as they are here */
	uint64_t requests, bytes; /* tokens that are left, in thousandths */
};

enum wait {
	WAIT_NONE,
	WAIT_IDLE,    /* for a request to begin */
	WAIT_REQUEST, /* for the rest of it */
	WAIT_WRITE,   /* for the client to take the answer */
	WAIT_LINGER,  /* for the client to close */
	WAIT_HANDLER, /* for what the handler waits for */
};

struct conn {
	struct httpd *h;
	struct conn *next, *prev;              /* all connections, the newest first */
	struct conn *next_parked, **parked_in; /* those whose handler waits */
	struct client *client;                 /* NULL: not of a network */
	int in_fd, out_fd;
	int in_flags, out_flags;  /* to restore, of descriptors that are not ours */
	bool ours;                /* the descriptor is closed with the connection */
	bool in_polls, out_polls; /* the kernel can tell when it is ready; files always are */
	bool is_socket;
	struct event rd, wr, timer;
	bool rd_on, wr_on;
	enum wait wait;
	struct http_parser parser;
	uint64_t need; /* bytes of head and body, when the head is known but the body not here */
	bool continued;
	struct buf in, out;
	size_t in_off, out_off; /* how much of them is done with */
	size_t lingered;
	unsigned served;
	bool closing; /* nothing more is read or answered; closed when out is taken */
	bool refused; /* bytes may be unread: linger, lest a reset destroys the answer */
	bool eof;
	bool parked; /* the handler is called again by httpd_wake or when park fires */
	bool woken;  /* ... and it was httpd_wake */
	bool again;  /* the handler has had this request before */
	bool timed_out;
	uint64_t wait_key;
	uint64_t wait_until; /* milliseconds; of this request, however often it is woken */
	struct event park;
	void *slot;
	struct httpd_peer peer;
};

struct listener {
	struct httpd *h;
	int fd;
	struct event ev;
	const void *tag;
	struct listener *next;
};

struct signal_slot {
	struct event ev;
	bool on;
	void (*fn)(void *arg, int signo);
	void *arg;
};

struct httpd {
	struct httpd_opts o;
	struct event_base *base;
	struct listener *listeners;
	const void *tag; /* of the next listener */
	struct conn *conns, *oldest;
	size_t n_conns;
	struct conn *parked;
	struct client *clients[CLIENT_BUCKETS];
	size_t n_clients, n_parked;
	uint32_t seed;
	struct httpd_stats stats;
	bool paused; /* listeners do not accept */
	bool stopping;
	struct event resume;
	struct signal_slot signals[MAX_SIGNALS];
	size_t n_signals;
	struct http_response res; /* reused, so that an answer seldom allocates */
	uint64_t date_of;
	char date[HTTP_DATE_SIZE];
};

/*
 * A connection of h, counted and timed, waiting for nothing yet. peer NULL: not of a network.
 * Errors: -ENOMEM.
 */
int conn_new(struct httpd *h, int in_fd, int out_fd, const struct httpd_peer *peer,
	     struct conn **ret);
/* Reads what is there, or waits for it. May free c. */
void conn_start(struct conn *c);
/* Forgets it; ends the loop if it was the last thing to serve. */
void conn_close(struct conn *c);

/* Ends a connection that waits for its client, to make room; false if there is none. */
bool conn_evict(struct httpd *h);

enum client_verdict {
	CLIENT_MAY,
	CLIENT_TOO_MANY, /* connections */
	CLIENT_TOO_FAST, /* requests or bytes */
};
/*
 * May one more connection of that peer be had? Then *ret is whom it belongs to (NULL: nobody),
 * counted there; client_leave when it ends.
 */
enum client_verdict client_enter(struct httpd *h, const struct httpd_peer *peer,
				 struct client **ret);
void client_leave(struct httpd *h, struct client *c);
/* May it ask once more? c may be NULL. */
bool client_may_ask(struct httpd *h, struct client *c);
/* It was sent so many bytes. */
void client_charge(struct httpd *h, struct client *c, size_t bytes);
void clients_free(struct httpd *h);
/* Lets the listeners accept, or not. */
void httpd_set_accepting(struct httpd *h, bool on);
void httpd_end_if_done(struct httpd *h);

#endif
