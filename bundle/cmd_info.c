/* SPDX-License-Identifier: Apache-2.0 */
/* bundle info: what a manifest says. Nothing of it is checked against keys or parts. */
#include <inttypes.h>
#include <stdio.h>

#include "bundle/cmd.h"
#include "bundle/open.h"
#include "lib/json.h"
#include "lib/str.h"

static void json_strings(struct jsonw *w, const char *key, char *const *list, size_t n)
{
	jsonw_array(w, key);
	for (size_t i = 0; i < n; i++)
		jsonw_string(w, NULL, list[i]);
	jsonw_close(w);
}

static void json_lists(struct jsonw *w, const struct manifest *m)
{
	jsonw_array(w, "block-device-mapping");
	for (size_t i = 0; i < m->n_mappings; i++) {
		jsonw_object(w, NULL);
		jsonw_string(w, "virtual", m->mappings[i].virtual_name);
		jsonw_string(w, "device", m->mappings[i].device);
		jsonw_close(w);
	}
	jsonw_close(w);
	json_strings(w, "product-codes", m->product_codes, m->n_product_codes);
	json_strings(w, "ancestors", m->ancestors, m->n_ancestors);
	jsonw_array(w, "encrypted-for");
	if (m->user_key && m->user_iv)
		jsonw_string(w, NULL, "user");
	if (m->ec2_key && m->ec2_iv)
		jsonw_string(w, NULL, "ec2");
	jsonw_close(w);
	jsonw_array(w, "parts");
	for (size_t i = 0; i < m->n_parts; i++) {
		jsonw_object(w, NULL);
		jsonw_string(w, "filename", m->parts[i].filename);
		jsonw_string(w, "sha1", m->parts[i].digest);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static int print_json(const struct manifest *m, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "version", m->version);
	jsonw_object(&w, "bundler");
	jsonw_string(&w, "name", m->bundler_name);
	jsonw_string(&w, "version", m->bundler_version);
	jsonw_string(&w, "release", m->bundler_release);
	jsonw_close(&w);
	jsonw_string(&w, "name", m->name);
	jsonw_string(&w, "user", m->user);
	jsonw_string(&w, "type", m->type);
	jsonw_string(&w, "architecture", m->architecture);
	jsonw_string(&w, "kernel-id", m->kernel_id);
	jsonw_string(&w, "ramdisk-id", m->ramdisk_id);
	jsonw_string(&w, "kernel-name", m->kernel_name);
	jsonw_u64(&w, "size", m->size);
	jsonw_u64(&w, "bundled-size", m->bundled_size);
	jsonw_string(&w, "sha1", m->digest);
	jsonw_bool(&w, "signed", m->signature != NULL);
	json_lists(&w, m);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		fputs(buf_str(&out), stdout);
	return rc;
}

static void print_row(const char *what, const char *value)
{
	if (value)
		printf("%-15s%s\n", what, value);
}

static void print_text(const struct manifest *m)
{
	bool user = m->user_key && m->user_iv, ec2 = m->ec2_key && m->ec2_iv;
	char size[16], bundled[16];

	size_to_text(m->size, size);
	size_to_text(m->bundled_size, bundled);
	print_row("name:", m->name);
	print_row("version:", m->version);
	if (m->bundler_name)
		printf("%-15s%s %s %s\n", "bundler:", m->bundler_name,
		       m->bundler_version ? m->bundler_version : "",
		       m->bundler_release ? m->bundler_release : "");
	print_row("user:", m->user);
	print_row("type:", m->type);
	print_row("architecture:", m->architecture);
	print_row("kernel:", m->kernel_id);
	print_row("ramdisk:", m->ramdisk_id);
	print_row("kernel name:", m->kernel_name);
	for (size_t i = 0; i < m->n_mappings; i++)
		printf("%-15s%s = %s\n", i ? "" : "devices:", m->mappings[i].virtual_name,
		       m->mappings[i].device);
	for (size_t i = 0; i < m->n_product_codes; i++)
		print_row(i ? "" : "product code:", m->product_codes[i]);
	for (size_t i = 0; i < m->n_ancestors; i++)
		print_row(i ? "" : "ancestors:", m->ancestors[i]);
	printf("%-15s%" PRIu64 " (%s)\n", "size:", m->size, size);
	printf("%-15s%" PRIu64 " (%s) in %zu parts, '%s' to '%s'\n", "bundled:", m->bundled_size,
	       bundled, m->n_parts, m->parts[0].filename, m->parts[m->n_parts - 1].filename);
	print_row("tar SHA-1:", m->digest);
	print_row("encrypted for:", user && ec2 ? "user, ec2"
				    : user      ? "user"
				    : ec2       ? "ec2"
						: "nobody");
	print_row("signed:", m->signature ? "yes (not checked here)" : "no");
}

int cmd_info(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {{"output", required_argument, NULL, 'o'}, {0}};
	AUTO(manifest_free) struct manifest *m = NULL;
	struct open_args o = {.show = CLI_TEXT};
	struct err e = {0};
	bool taken = false;
	int rc;

	while (cli_getopt(self, argc, argv, "o:", options) != -1) {
		if (cli_output_parse(optarg, &o.show, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (argc - optind != 1)
		return cli_usage(self, "one BUNDLE is needed");
	o.input = argv[optind];
	rc = open_delivery(&o, OPEN_INFO, &taken, &e);
	if (rc == 0 && !taken)
		rc = manifest_read(argv[optind], &m, &e);
	if (!m)
		return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
	if (rc == 0 && o.show == CLI_JSON)
		rc = print_json(m, &e);
	else if (rc == 0)
		print_text(m);
	return rc < 0 ? cli_fail(&e) : cli_finish(EXIT_OK);
}
