/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor-data that carry what a cloud-config says: the input as they are, and as the JSON of the
 * cloud-config in them. What is taken is valid, and stays as it is when it is written and read again.
 */
#include "context/cloudconfig.h"
#include "context/cloudconfig_names.h"
#include "context/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static struct context *taken(const void *data, size_t size)
{
	struct strlist notes = {0};
	struct context *c = NULL;
	struct reading r = {.notes = &notes};

	require(!context_new(&c, NULL));
	r.c = c;
	require(!cloudconfig_read(&r, data, size));
	strlist_release(&notes);
	require(!context_validate(c, NULL));
	return c;
}

static int no_difference(void *arg, const char *path, enum field_difference how)
{
	(void)arg;
	(void)path;
	(void)how;
	abort();
}

static void around(const void *data, size_t size)
{
	struct cloudconfig_scope all = {true, true, true, true};
	AUTO(context_free) struct context *first = taken(data, size);
	AUTO(context_free) struct context *c = NULL, *again = NULL;
	AUTO_BUF once = BUF_INIT, twice = BUF_INIT;
	bool has;

	/* a lock that was not spoken of is spoken of the first time */
	require(!cloudconfig_write(first, all, &once, &has, NULL));
	c = taken(buf_str(&once), has ? once.len : 0);
	require(!cloudconfig_write(c, all, &twice, &has, NULL));
	again = taken(buf_str(&twice), has ? twice.len : 0);
	context_compare(c, again, no_difference, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF config = BUF_INIT, message = BUF_INIT;

	around(data, size);
	require(!buf_adds(&config, CC_HEAD) && !buf_add(&config, data, size));
	require(!mime_begin(&message) &&
		!mime_part(&message, CC_CONFIG_TYPE, CC_CONFIG_NAME, config.data, config.len) &&
		!mime_end(&message));
	around(message.data, message.len);
	return 0;
}
