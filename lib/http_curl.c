/* SPDX-License-Identifier: Apache-2.0 */
/* Loads libcurl: see lib/http_curl.h. */
#include "lib/http_curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

#include "lib/base.h"

#define LIBRARY "libcurl.so.4"

struct curl_functions curl;
static struct err failure; /* code 0: it is loaded */

#define CURL_SYMBOL(name) {"curl_" #name, (void *)&curl.name},
static const struct {
	const char *symbol;
	void *member; /* a pointer to a function, of whatever type */
} members[] = {CURL_FUNCTIONS(CURL_SYMBOL)};

static void load(void)
{
	void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);

	if (!library) {
		err_set(&failure, ENOENT, "loading libcurl: %s", dlerror());
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		void *found = dlsym(library, members[i].symbol);

		if (!found) {
			err_set(&failure, ENOENT, "loading libcurl: %s", dlerror());
			return;
		}
		memcpy(members[i].member, &found, sizeof(found));
	}
	curl.global_init(CURL_GLOBAL_DEFAULT);
}

int curl_load(struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load);
	return failure.code ? err_set(e, failure.code, "%s", failure.msg) : 0;
}
