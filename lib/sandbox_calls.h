/* SPDX-License-Identifier: Apache-2.0 */
/* Which system calls lib/sandbox.c allows and refuses, by name; each list is ended by NULL. Names
 * that this machine's architecture, or its libseccomp, does not know are passed over. */
#ifndef LIB_SANDBOX_CALLS_H
#define LIB_SANDBOX_CALLS_H

extern const char *const sandbox_calls_parser[];
/* A server's, besides: connections of sockets that are there, events, files that it may open. */
extern const char *const sandbox_calls_server[];
/* What makes a socket, or reaches out. */
extern const char *const sandbox_calls_reach[];    /* all that a parser needs */
extern const char *const sandbox_calls_paths[];    /* look up a name */
extern const char *const sandbox_calls_changes[];  /* names, owners, modes, attributes of files */
extern const char *const sandbox_calls_network[];  /* sockets */
extern const char *const sandbox_calls_programs[]; /* other programs and processes of ours */
extern const char
	*const sandbox_calls_processes[];        /* signals to other processes, and their memory */
extern const char *const sandbox_calls_powers[]; /* the system as a whole, privileges */

#endif
