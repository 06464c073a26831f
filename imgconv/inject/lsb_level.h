/* SPDX-License-Identifier: Apache-2.0 */
/* A runlevel of a guest whose init scripts have LSB headers, and one script more in it. */
#ifndef IMGCONV_INJECT_LSB_LEVEL_H
#define IMGCONV_INJECT_LSB_LEVEL_H

#include "imgconv/inject/enable.h"

struct lsb_script {
	char *name;
	char *target;         /* of the link that is to be made; NULL: it is there */
	unsigned number, was; /* was: NN of the link that is there; 0: none, it is ours */
	struct buf provides, needs, before; /* words, each with a space behind it */
};

struct lsb_level {
	struct enable *x;
	const char *dir, *depend; /* depend: the name of what startpar goes by */
	const char *conf;         /* insserv.conf(5) */
	bool boot;                /* what is required is in this very level */
	struct lsb_script *list;
	size_t n;
};

/* Their own; what was given by the caller stays the caller's. */
void lsb_script_release(struct lsb_script *s);
void lsb_level_release(struct lsb_level *l);
DEFINE_AUTO_STRUCT(struct lsb_level, lsb_level_release);

/* What the header in text says, to what s has. Errors: ENOMEM. */
int lsb_script_parse(struct lsb_script *s, const char *text, struct err *e);

/* a is to be started before b. */
bool lsb_precedes(const struct lsb_level *l, const struct lsb_script *a,
		  const struct lsb_script *b);

/* The scripts that are enabled. Errors: EFBIG too many; those of reading. */
int lsb_level_read(struct lsb_level *l);
/*
 * Finds a place for a script with this text, unless it has one, and tells startpar of it; others may move up.
 * target: of its link. Errors: ENOTSUP there is no such place, or nothing is what it needs; ENOMEM.
 */
int lsb_level_put(struct lsb_level *l, const char *name, const char *target, const char *text);
/* Makes the links, and moves those that moved, in the overlay. */
int lsb_level_link(const struct lsb_level *l);

#endif
