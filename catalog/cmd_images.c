/* SPDX-License-Identifier: Apache-2.0 */
/* catalog images: the images of the store. */
#include <stdio.h>
#include <sys/stat.h>

#include "catalog/commands.h"
#include "catalog/store.h"
#include "lib/json.h"
#include "lib/str.h"

struct lister {
	const struct store *store;
	enum cli_output output;
	struct jsonw w;
	struct err *e;
};

/* Bytes that the disks take on the host, without their bases. */
static uint64_t allocated(const struct store *s, const char *name)
{
	uint64_t bytes = 0;

	for (unsigned n = 0; n < STORE_DISKS_MAX; n++) {
		AUTO(store_disk_release) struct store_disk d = {0};
		struct stat st;

		if (store_find_disk(s, name, n, &d, NULL) == 0 && stat(d.path, &st) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	return bytes;
}

static void json_one(struct lister *l, const char *name, const struct value *record, uint64_t size,
		     uint64_t used)
{
	AUTO(store_disk_release) struct store_disk d = {0};

	(void)store_find_disk(l->store, name, 0, &d, NULL);
	jsonw_object(&l->w, NULL);
	jsonw_string(&l->w, "name", name);
	jsonw_u64(&l->w, "virtual-size", size);
	jsonw_u64(&l->w, "allocated-size", used);
	jsonw_string(&l->w, "disk", d.path);
	jsonw_string(&l->w, "digest", d.digest[0] ? d.digest : NULL);
	jsonw_string(&l->w, "clone-of", store_text(record, "clone-of"));
	jsonw_string(&l->w, "imported", or_dash(store_text(record, "imported")));
	jsonw_string(&l->w, "created", store_text(record, "created"));
	jsonw_string(&l->w, "source-id", or_dash(store_text(record, "source/id")));
	jsonw_string(&l->w, "source-name", or_dash(store_text(record, "source/name")));
	jsonw_close(&l->w);
}

static void text_one(const char *name, const struct value *record, uint64_t size, uint64_t used)
{
	char size_text[16], used_text[16];
	AUTO_BUF title = BUF_INIT;
	const char *of = store_text(record, "clone-of"), *when = store_text(record, "created");
	const char *source = or_dash(of ? of : store_text(record, "source/name"));

	size_to_text(size, size_text);
	size_to_text(used, used_text);
	str_escape(source, strlen(source), 256, &title);
	printf("%-24s %10s %10s  %-20s  %s%s\n", name, size_text, used_text,
	       or_dash(when ? when : store_text(record, "imported")), of ? "clone of " : "",
	       buf_str(&title));
}

static int list_one(void *ctx, const char *name)
{
	struct lister *l = ctx;
	AUTO(value_free) struct value *record = NULL;
	uint64_t size = 0;
	int rc = store_record(l->store, name, &record, l->e);

	/* Removed since the folder was read. */
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	if (value_get(record, "virtual-size"))
		(void)value_u64(value_get(record, "virtual-size"), 0, UINT64_MAX, &size, NULL);
	if (l->output == CLI_JSON)
		json_one(l, name, record, size, allocated(l->store, name));
	else
		text_one(name, record, size, allocated(l->store, name));
	return 0;
}

static int images(const char *store_dir, enum cli_output output, struct err *e)
{
	AUTO(store_free) struct store *store = NULL;
	AUTO_BUF out = BUF_INIT;
	struct lister l = {.output = output, .e = e};
	int rc = store_open(store_dir, &store, e);

	if (rc < 0)
		return rc;
	l.store = store;
	jsonw_begin(&l.w, &out, true);
	jsonw_array(&l.w, NULL);
	if (output == CLI_TEXT)
		printf("%-24s %10s %10s  %-20s  %s\n", "NAME", "SIZE", "ON DISK", "SINCE",
		       "SOURCE");
	rc = store_list(store, list_one, &l, e);
	if (rc < 0)
		return rc;
	jsonw_close(&l.w);
	rc = jsonw_end(&l.w, e);
	if (rc == 0 && output == CLI_JSON)
		fwrite(out.data, 1, out.len, stdout);
	return rc;
}

int cmd_images(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		STORE_OPTION,
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	const char *store_dir = NULL;
	enum cli_output output = CLI_TEXT;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		if (opt == OPT_STORE)
			store_dir = optarg;
		else if (cli_output_parse(optarg, &output, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (optind != argc)
		return cli_usage(self, "no argument is expected: '%s'", argv[optind]);
	if (images(store_dir, output, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
