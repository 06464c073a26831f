/* SPDX-License-Identifier: Apache-2.0 */
/* What lib/httpd.c (listeners, the loop) and lib/httpd_conn.c (connections) share. */
#ifndef LIB_HTTPD_PRIVATE_H
#define LIB_HTTPD_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "lib/httpd.h"

enum {
	ADDRESS_BUCKETS = 1024,
	MAX_SIGNALS = 8,
};

enum wait {
	WAIT_NONE,
	WAIT_IDLE,    /* for a request to begin */
	WAIT_REQUEST, /* for the rest of it */
	WAIT_WRITE,   /* for the client to take the answer */
	WAIT_LINGER,  /* for the client to close */
};

struct conn {
	struct httpd *h;
	struct conn *next, *prev;            /* all connections */
	struct conn *next_same, **in_bucket; /* those whose address hashes alike */
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
	struct httpd_peer peer;
	unsigned char key[16]; /* peer's address, or its /64 */
};

struct listener {
	struct httpd *h;
	int fd;
	struct event ev;
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
	struct conn *conns;
	size_t n_conns;
	struct conn *buckets[ADDRESS_BUCKETS];
	uint32_t seed;
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

/* May one more connection of that peer be had? */
bool conn_fits(struct httpd *h, const struct httpd_peer *peer);
/* Lets the listeners accept, or not. */
void httpd_set_accepting(struct httpd *h, bool on);
void httpd_end_if_done(struct httpd *h);

#endif
