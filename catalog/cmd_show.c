/* SPDX-License-Identifier: Apache-2.0 */
/* catalog show: one image, of the store if it has one of that name, else of a source. */
#include <stdio.h>

#include "catalog/commands.h"
#include "catalog/store.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"

#define RECORD_LIMIT (1u << 20)

/* "key: value" for each scalar, indented for what is nested. */
static void print_value(const struct value *v, int indent)
{
	value_foreach (item, v) {
		AUTO_BUF text = BUF_INIT;
		bool nested = item->kind == VALUE_MAP || item->kind == VALUE_LIST;

		if (nested && !item->n_items)
			continue;
		if (item->text)
			str_escape(item->text, item->text_len, 4096, &text);
		if (item->key)
			printf("%*s%s:%s%s\n", indent, "", item->key, nested ? "" : " ",
			       buf_str(&text));
		else
			printf("%*s- %s\n", indent, "", buf_str(&text));
		if (nested)
			print_value(item, indent + 2);
	}
}

static int print(const struct buf *json, enum cli_output output, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	int rc;

	if (output == CLI_JSON) {
		fwrite(json->data, 1, json->len, stdout);
		return 0;
	}
	rc = json_parse("the record", json->data, json->len, NULL, &root, e);
	if (rc == 0)
		print_value(root, 0);
	return rc;
}

static int show(const struct cloud_options *cloud, const char *store_dir, const char *id,
		enum cli_output output, struct err *e)
{
	AUTO(store_free) struct store *store = NULL;
	AUTO(catalog_close) struct catalog c = {0};
	AUTO(session_close) struct session s = {0};
	AUTO(catalog_image_release) struct catalog_image im = {0};
	AUTO_FREE char *path = NULL;
	AUTO_BUF json = BUF_INIT;
	struct jsonw w;
	int rc = store_open(store_dir, &store, e);

	if (rc < 0)
		return rc;
	if (store_check_name(id, NULL) == 0 &&
	    store_file(store, id, STORE_RECORD, &path, NULL) == 0) {
		rc = fs_read_file(path, RECORD_LIMIT, &json, e);
		return rc < 0 ? rc : print(&json, output, e);
	}
	rc = catalog_open(cloud, &c, e);
	if (rc == 0)
		rc = catalog_find(&c, id, &s, &im, e);
	if (rc < 0)
		return rc;
	jsonw_begin(&w, &json, true);
	jsonw_object(&w, NULL);
	if (s.source)
		jsonw_string(&w, "source", s.source->name);
	catalog_image_json(&w, &im);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : print(&json, output, e);
}

int cmd_show(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		CLOUD_OPTIONS,
		STORE_OPTION,
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	struct cloud_options cloud = {0};
	const char *store_dir = NULL;
	enum cli_output output = CLI_TEXT;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		if (cloud_option(&cloud, opt))
			continue;
		if (opt == OPT_STORE)
			store_dir = optarg;
		else if (cli_output_parse(optarg, &output, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (optind + 1 != argc)
		return cli_usage(self, "one image is expected");
	if (show(&cloud, store_dir, argv[optind], output, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
