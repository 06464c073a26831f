/* SPDX-License-Identifier: Apache-2.0 */
/* The running service: instances, and how a request finds its own. */
#ifndef METADATA_SERVER_SERVER_H
#define METADATA_SERVER_SERVER_H

#include "lib/httpd.h"
#include "metadata-server/events.h"
#include "metadata-server/said.h"
#include "metadata-server/store/store.h"

/* More lines than this in a second about guests that are not known are counted, not written. */
#define SERVER_WARNINGS_PER_SECOND 10

/* What was answered since the start. */
struct server_counts {
	uint64_t by_status[6];              /* hundreds; [0] is not used */
	uint64_t unknown;                   /* guests that nobody is */
	uint64_t tokens;                    /* given out */
	uint64_t with_token, without_token; /* answered, by what they had */
	uint64_t loads, failed_loads;
};

struct access_log;

struct server {
	const char *dir;             /* folder of instances; NULL: there is none */
	const char *as;              /* the one instance that everybody is; NULL: told apart */
	struct directory *directory; /* NULL with `as` */
	struct store *store;         /* NULL with `as` */
	struct instance *one;        /* NULL without `as` */
	struct events events;
	struct said said;    /* by the guests */
	uint64_t generation; /* of the instances: changes with each of them */
	uint64_t loaded_at;  /* Unix seconds */
	struct buf faults;   /* of the last load, a line each; empty: there were none */
	struct token_key key;
	struct imds_host host;       /* .make NULL: nothing can be made */
	const struct strlist *names; /* as struct imds_env has it */
	struct httpd *httpd;
	struct access_log *access; /* NULL: none is written */
	struct server_counts counts;
	/* of the request in hand, for the log */
	const struct instance *asked;
	const char *why;
	struct err unknown;
	uint64_t warned_at; /* the second that `warned` counts */
	unsigned warned;
};

/*
 * Reads what dir and as name; all and only are directory_load's. On failure what was loaded before
 * stays. Faults are logged, and are in s->faults; *faults (may be NULL) counts them.
 */
int server_load(struct server *s, bool all, const struct strlist *only, size_t *faults,
		struct err *e);
/* Makes s->httpd, which answers from s; s must stay where it is. o has limits and patience. */
int server_start(struct server *s, const struct httpd_opts *o, struct err *e);
void server_release(struct server *s);
DEFINE_AUTO_STRUCT(struct server, server_release);

size_t server_count(const struct server *s);
/* NULL if there is none. */
const struct instance *server_find(const struct server *s, const char *name);
/* struct imds_said of this server, whose arg is s. */
struct imds_said server_said(struct server *s);
/*
 * As events_set and events_clear, for the instance of that name; its guest sees it. Where there is no
 * room, those of machines that are gone are dropped. Errors: ENOENT no such instance; as there.
 */
int server_set_events(struct server *s, const char *name, const char *body, size_t len,
		      struct err *e);
int server_clear_events(struct server *s, const char *name, const char *kind, struct err *e);

#endif
