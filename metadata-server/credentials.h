/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of a role, from a program of the host: the definition's credential-process, a command
 * line as AWS's tools have it under credential_process. It is split into words, never given to a
 * shell, and writes JSON: Version 1, AccessKeyId, SecretAccessKey, SessionToken, Expiration.
 *
 * The server itself starts nothing: a process beside it does, which is told an instance's name and
 * reads the command from its definition, so that who took the server over could start nothing but
 * what the administrator wrote. It gives nothing for a definition that is not the one that is
 * served: the machine may be another one by now.
 */
#ifndef METADATA_SERVER_CREDENTIALS_H
#define METADATA_SERVER_CREDENTIALS_H

#include "context/imds.h"

struct event_base;
struct httpd;

enum {
	CREDENTIALS_SECONDS = 10, /* a program may take */
};

/*
 * Runs in's program and waits: the leaf that the guest gets is appended to out, *ret_expires is when
 * they end (Unix seconds). Errors: what lib/proc.h's proc_run says; EBADMSG the output or the
 * command is not what it should be.
 */
int credentials_run(const struct instance *in, uint64_t now, struct buf *out, uint64_t *ret_expires,
		    struct err *e);

/* Splits a command line: blanks separate, ' and " and \ quote. Errors: EBADMSG, ENOMEM. */
int credentials_words(const char *text, struct strlist *ret, struct err *e);

struct credentials;

/*
 * Starts the process beside this one; as and dir name instances as server_load has it. To be called
 * before this one gives up starting processes. Errors: errno of fork, socketpair.
 */
int credentials_start(const char *as, const char *dir, struct credentials **ret, struct err *e);
/* Takes its answers in the loop, and wakes the requests of h that wait for them. */
int credentials_attach(struct credentials *c, struct event_base *base, struct httpd *h,
		       struct err *e);
void credentials_free(struct credentials *c);
DEFINE_AUTO(struct credentials *, credentials_free);

/* struct imds_host's make, of IMDS_CREDENTIALS. */
int credentials_make(struct credentials *c, const struct instance *in, uint64_t now, bool timed_out,
		     struct buf *out, uint64_t *wait_key, struct err *e);

#endif
