/* SPDX-License-Identifier: Apache-2.0 */
/* catalog source: adds, lists and removes sources of images. */
#include <stdio.h>

#include "catalog/cache.h"
#include "catalog/commands.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

/* Keys whose value is a secret's place are shown, too: a path is none. */
static void print_setting(void *ctx, const char *key, const char *value)
{
	AUTO_BUF text = BUF_INIT;

	(void)ctx;
	str_escape(value, strlen(value), 1024, &text);
	printf(" %s=%s", key, buf_str(&text));
}

static void json_setting(void *ctx, const char *key, const char *value)
{
	if (strcmp(key, "owners") != 0)
		jsonw_string(ctx, key, value);
}

static int print_json(const struct config *c, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_array(&w, NULL);
	for (size_t i = 0; i < c->n_sources; i++) {
		const struct source *s = c->sources[i];

		jsonw_object(&w, NULL);
		jsonw_string(&w, "name", s->name);
		jsonw_string(&w, "type", s->type->name);
		source_settings(s, json_setting, &w);
		if (s->owners.n_items) {
			jsonw_array(&w, "owners");
			for (size_t k = 0; k < s->owners.n_items; k++)
				jsonw_string(&w, NULL, s->owners.items[k]);
			jsonw_close(&w);
		}
		jsonw_close(&w);
	}
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fwrite(out.data, 1, out.len, stdout);
	return rc;
}

static int list(const struct config *c, enum cli_output output, struct err *e)
{
	if (output == CLI_JSON)
		return print_json(c, e);
	for (size_t i = 0; i < c->n_sources; i++) {
		printf("%-16s %-14s", c->sources[i]->name, c->sources[i]->type->name);
		source_settings(c->sources[i], print_setting, NULL);
		putchar('\n');
	}
	return 0;
}

static void list_types(void)
{
	for (size_t i = 0; source_types[i]; i++)
		printf("%-14s %s\n%14s settings: %s\n", source_types[i]->name,
		       source_types[i]->summary, "",
		       *source_types[i]->keys ? source_types[i]->keys : "none");
}

/* What was kept of a source goes with it. */
static int remove_source(struct config *c, const char *name, struct err *e)
{
	const struct source *s = config_find(c, name);
	struct err ignored;
	int rc;

	if (s && cache_remove(s, &ignored) < 0)
		log_warn("%s", ignored.msg);
	rc = config_remove(c, name, e);
	return rc < 0 ? rc : config_save(c, e);
}

static int add_source(struct config *c, char **words, int n, struct err *e)
{
	int rc = config_add(c, words[0], words[1], words + 2, (size_t)(n - 2), e);

	return rc < 0 ? rc : config_save(c, e);
}

int cmd_source(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	AUTO(config_free) struct config *config = NULL;
	enum cli_output output = CLI_TEXT;
	const char *verb;
	struct err e;
	int opt, n, rc;

	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		if (cli_output_parse(optarg, &output, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	n = argc - optind;
	verb = n ? argv[optind] : "list";
	if (strcmp(verb, "types") == 0 && n == 1) {
		list_types();
		return cli_finish(EXIT_OK);
	}
	rc = config_load(&config, &e);
	if (rc < 0)
		return cli_fail(&e);
	if (strcmp(verb, "list") == 0 && n <= 1)
		rc = list(config, output, &e);
	else if (strcmp(verb, "add") == 0 && n >= 3)
		rc = add_source(config, argv + optind + 1, n - 1, &e);
	else if (strcmp(verb, "rm") == 0 && n == 2)
		rc = remove_source(config, argv[optind + 1], &e);
	else
		return cli_usage(
			self, "list, types, add NAME TYPE [KEY=VALUE...] or rm NAME is expected");
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
