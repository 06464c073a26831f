/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors on the caller's stack.
 *
 * A function that can fail returns 0 (or a value >= 0) on success and a negative errno on
 * failure; its last parameter is `struct err *e`, which it fills on failure only and which may be
 * NULL. Nothing is allocated, so there is nothing to free and it works when memory is out.
 *
 * A message is one line, without a capital at its start or a newline at its end, outer context
 * first: "reading 'a.qcow2': L2 table at 0x30000 lies past the end of the file". Names are in
 * single quotes, offsets in hex, sizes in bytes.
 *
 * Codes with a fixed meaning here:
 *   EBADMSG  malformed input         ENOTSUP  valid, but not supported (the message says what)
 *   EFBIG    over a limit            EILSEQ   bad text encoding
 *   EACCES   refused by a rule       ECANCELED stopped by a signal
 *   EOWNERDEAD a process that worked for us died (lib/worker.h)
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include <errno.h>

#include "lib/base.h"

struct err {
	int code;       /* positive errno; 0 while there is no error */
	char msg[1024]; /* NUL-terminated; a longer text is cut at a character's end */
};

/* Sets code and message; returns -code. Control characters in the text are shown escaped. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Sets the code and the message followed by ": " and the errno's text; returns -code. */
int err_errno(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "text: " before the message that is there; returns -e->code (-EIO if e is NULL). */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Out of memory; returns -ENOMEM. */
int err_nomem(struct err *e);

#if defined(__clang_analyzer__) && !defined(LIB_ERR_C)
/* The analyzer sees one file at a time: it is told that these never return 0. */
#define err_set(...) (err_set(__VA_ARGS__), -EIO)
#define err_errno(...) (err_errno(__VA_ARGS__), -EIO)
#define err_wrap(...) (err_wrap(__VA_ARGS__), -EIO)
#define err_nomem(e) (err_nomem(e), -ENOMEM)
#endif

#endif
