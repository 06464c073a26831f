/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded with the first client (docs/decisions/0009-libcurl-when-it-is-needed.md). Its
 * functions are called as curl.easy_init() and so on.
 */
#ifndef LIB_HTTP_CURL_H
#define LIB_HTTP_CURL_H

#include <curl/curl.h>

#include "lib/err.h"

/* Without "curl_", which they all begin with. */
#define CURL_FUNCTIONS(X)                                                                          \
	X(global_init)                                                                             \
	X(getdate)                                                                                 \
	X(slist_append)                                                                            \
	X(slist_free_all)                                                                          \
	X(easy_init)                                                                               \
	X(easy_cleanup)                                                                            \
	X(easy_reset)                                                                              \
	X(easy_setopt)                                                                             \
	X(easy_getinfo)                                                                            \
	X(easy_strerror)                                                                           \
	X(multi_init)                                                                              \
	X(multi_cleanup)                                                                           \
	X(multi_strerror)                                                                          \
	X(multi_perform)                                                                           \
	X(multi_poll)                                                                              \
	X(multi_add_handle)                                                                        \
	X(multi_remove_handle)                                                                     \
	X(multi_info_read)

#define CURL_MEMBER(name) __typeof__(&curl_##name) name;
struct curl_functions {
	CURL_FUNCTIONS(CURL_MEMBER)
};
#undef CURL_MEMBER

/* To be used after curl_load() alone. */
extern struct curl_functions curl;

/* May be called by several threads, and more than once. Errors: ENOENT it is not installed. */
int curl_load(struct err *e);

#endif
