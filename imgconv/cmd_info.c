/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv info: what an image is and what is inside, for people and as JSON. */
#include <stdio.h>

#include "imgconv/commands.h"
#include "imgconv/confine.h"
#include "imgconv/disk/report.h"
#include "lib/json.h"
#include "lib/str.h"

/* All that is told of an image. */
struct report {
	struct image *im;
	struct image_info info;
	struct image_layout layout;
	bool has_layout;
	struct err layout_error; /* why there is none */
	struct image_boot boot;  /* if there is a layout */
};

static void report_release(struct report *r)
{
	image_info_release(&r->info);
	image_layout_release(&r->layout);
	image_boot_release(&r->boot);
	if (r->im)
		image_close(r->im);
}
DEFINE_AUTO_STRUCT(struct report, report_release);

static int make_report(const char *path, const char *format, unsigned boot_flags, struct report *r,
		       struct err *e)
{
	struct image_open_opts o = {.format = format, .flags = IMAGE_INSPECT};
	int rc = image_open(path, &o, &r->im, e);

	if (rc == 0)
		rc = image_info_read(r->im, &r->info, e);
	if (rc)
		return rc;
	r->has_layout = image_layout_read(r->im, &r->layout, &r->layout_error) == 0;
	rc = image_layout_check(r->im, &r->info, e);
	if (rc == 0 && r->has_layout)
		rc = image_boot_read(r->im, &r->layout, boot_flags, &r->boot, e);
	return rc;
}

/* ---- text ---------------------------------------------------------------------------------- */

static void add_size(struct buf *b, const char *what, uint64_t bytes)
{
	char text[16];

	size_to_text(bytes, text);
	buf_addf(b, "%-20s%llu bytes (%s)\n", what, (unsigned long long)bytes, text);
}

static void add_escaped(struct buf *b, const char *s)
{
	str_escape(s, strlen(s), SIZE_MAX, b);
}

static void add_value(struct buf *b, const struct image_fact *f)
{
	if (f->kind == IMAGE_FACT_U64)
		buf_addf(b, "%llu", (unsigned long long)f->number);
	else if (f->kind == IMAGE_FACT_BOOL)
		buf_adds(b, f->number ? "yes" : "no");
	else
		add_escaped(b, f->text);
}

/* "cluster-size" is shown as "cluster size:"; a group in one line. */
static void add_fact(struct buf *b, const struct image_info *info, size_t *i)
{
	const struct image_fact *f = &info->facts[(*i)++];
	bool group = f->kind == IMAGE_FACT_GROUP;
	const char *between = "";
	char key[32];

	snprintf(key, sizeof(key), "%s:", f->key);
	for (char *p = key; *p; p++) {
		if (*p == '-')
			*p = ' ';
	}
	buf_addf(b, "%-20s", key);
	if (!group)
		add_value(b, f);
	for (; group && *i < info->n_facts && info->facts[*i].inside; between = ", ") {
		f = &info->facts[(*i)++];
		buf_addf(b, "%s%s ", between, f->key);
		add_value(b, f);
	}
	buf_addc(b, '\n');
}

static void add_partition(struct buf *b, const struct image_partition *p)
{
	char size[16];

	size_to_text(p->length, size);
	if (p->number)
		buf_addf(b, "  %u: at %llu, %llu bytes (%s), type %s%s", p->number,
			 (unsigned long long)p->start, (unsigned long long)p->length, size, p->type,
			 p->bootable ? ", bootable" : "");
	else
		buf_adds(b, "  whole disk");
	if (p->fs_type[0])
		buf_addf(b, ", %s", p->fs_type);
	if (p->fs_label[0]) {
		buf_adds(b, ", label '");
		add_escaped(b, p->fs_label);
		buf_addc(b, '\'');
	}
	if (p->fs_uuid[0]) {
		buf_adds(b, ", UUID ");
		add_escaped(b, p->fs_uuid);
	}
	buf_addc(b, '\n');
}

static void add_text(struct buf *b, const struct report *r)
{
	buf_addf(b, "%-20s", "image:");
	add_escaped(b, image_name(r->im));
	buf_addf(b, "\n%-20s%s\n", "format:", image_format_name(r->im));
	add_size(b, "virtual size:", r->info.virtual_size);
	add_size(b, "file size:", r->info.file_size);
	add_size(b, "allocated:", r->info.allocated);
	for (size_t i = 0; i < r->info.n_facts;)
		add_fact(b, &r->info, &i);
	if (r->has_layout) {
		buf_addf(b, "%-20s%s\n", "partition table:", r->layout.table);
		for (size_t i = 0; i < r->layout.n_partitions; i++)
			add_partition(b, &r->layout.partitions[i]);
		image_boot_text(b, &r->boot);
	} else {
		buf_addf(b, "%-20s%s\n", "warning:", r->layout_error.msg);
	}
	for (size_t i = 0; i < r->info.n_warnings; i++) {
		buf_addf(b, "%-20s", "warning:");
		add_escaped(b, r->info.warnings[i]);
		buf_addc(b, '\n');
	}
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void json_value(struct jsonw *w, const char *key, const struct image_fact *f)
{
	if (f->kind == IMAGE_FACT_U64)
		jsonw_u64(w, key, f->number);
	else if (f->kind == IMAGE_FACT_BOOL)
		jsonw_bool(w, key, f->number != 0);
	else
		jsonw_string(w, key, f->text);
}

/* A fact; or all items, or groups, of a list. */
static void json_fact(struct jsonw *w, const struct image_info *info, size_t *i)
{
	const struct image_fact *f = &info->facts[*i];
	const char *key = f->key;
	bool group = f->kind == IMAGE_FACT_GROUP;

	if (!group && f->kind != IMAGE_FACT_ITEM) {
		json_value(w, key, f);
		(*i)++;
		return;
	}
	jsonw_array(w, key);
	while (*i < info->n_facts && strcmp(info->facts[*i].key, key) == 0) {
		f = &info->facts[(*i)++];
		if (!group) {
			json_value(w, NULL, f);
			continue;
		}
		jsonw_object(w, NULL);
		for (; *i < info->n_facts && info->facts[*i].inside; (*i)++)
			json_value(w, info->facts[*i].key, &info->facts[*i]);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static void json_partition(struct jsonw *w, const struct image_partition *p)
{
	jsonw_object(w, NULL);
	jsonw_u64(w, "number", p->number);
	jsonw_u64(w, "start", p->start);
	jsonw_u64(w, "length", p->length);
	jsonw_string(w, "type", p->type);
	jsonw_bool(w, "bootable", p->bootable);
	jsonw_string(w, "fs-type", p->fs_type);
	jsonw_string(w, "fs-label", p->fs_label);
	jsonw_string(w, "fs-uuid", p->fs_uuid);
	jsonw_close(w);
}

static void json_report(struct jsonw *w, const struct report *r)
{
	jsonw_object(w, NULL);
	jsonw_string(w, "image", image_name(r->im));
	jsonw_string(w, "format", image_format_name(r->im));
	jsonw_u64(w, "virtual-size", r->info.virtual_size);
	jsonw_u64(w, "file-size", r->info.file_size);
	jsonw_u64(w, "allocated", r->info.allocated);
	jsonw_object(w, "format-specific");
	for (size_t i = 0; i < r->info.n_facts;)
		json_fact(w, &r->info, &i);
	jsonw_close(w);
	if (r->has_layout) {
		jsonw_string(w, "partition-table", r->layout.table);
		jsonw_array(w, "partitions");
		for (size_t i = 0; i < r->layout.n_partitions; i++)
			json_partition(w, &r->layout.partitions[i]);
		jsonw_close(w);
		jsonw_object(w, "boot");
		image_boot_json(w, &r->boot);
		jsonw_close(w);
	} else {
		jsonw_null(w, "partition-table");
	}
	jsonw_array(w, "warnings");
	if (!r->has_layout)
		jsonw_string(w, NULL, r->layout_error.msg);
	for (size_t i = 0; i < r->info.n_warnings; i++)
		jsonw_string(w, NULL, r->info.warnings[i]);
	jsonw_close(w);
	jsonw_close(w);
}

/* ---- the command --------------------------------------------------------------------------- */

struct shown {
	char **paths;
	int n;
	const char *format;
	unsigned boot_flags;
	enum cli_output output;
};

/* As JSON an object, or a list of them for several images. A failure leaves the others shown.
 * Returns an exit status. */
static int show_all(const struct shown *s, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	struct err why;
	int status = EXIT_OK;

	if (s->output == CLI_JSON) {
		jsonw_begin(&w, &out, true);
		if (s->n > 1)
			jsonw_array(&w, NULL);
	}
	for (int i = 0; i < s->n; i++) {
		AUTO(report_release) struct report r = {0};

		if (make_report(s->paths[i], s->format, s->boot_flags, &r, &why) < 0) {
			status = cli_fail(&why);
			continue;
		}
		if (s->output == CLI_JSON) {
			json_report(&w, &r);
		} else {
			if (out.len)
				buf_addc(&out, '\n');
			add_text(&out, &r);
		}
	}
	if (s->output == CLI_JSON && (s->n > 1 || status == EXIT_OK)) {
		if (s->n > 1)
			jsonw_close(&w);
		if (jsonw_end(&w, e) < 0)
			return -e->code;
	}
	fwrite(buf_str(&out), 1, out.len, stdout);
	return status;
}

/* In a sandbox. */
static int show_confined(void *ctx, struct err *e)
{
	return show_all(ctx, e);
}

enum {
	OPT_DEEP = 256,
};

int cmd_info(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output", required_argument, NULL, 'o'},
		{"deep", no_argument, NULL, OPT_DEEP},
		{NULL, 0, NULL, 0},
	};
	struct shown s = {.output = CLI_TEXT};
	struct err e;
	int opt, status;

	while ((opt = cli_getopt(self, argc, argv, "f:o:", longopts)) != -1) {
		if (opt == 'f')
			s.format = optarg;
		else if (opt == OPT_DEEP)
			s.boot_flags |= BOOT_DEEP;
		else if (cli_output_parse(optarg, &s.output, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (optind == argc)
		return cli_usage(self, "give an image");
	s.paths = argv + optind;
	s.n = argc - optind;
	status = confine_images(s.paths, (size_t)s.n, &(struct image_open_opts){0}, show_confined,
				&s, &e);
	return status < 0 ? cli_fail(&e) : cli_finish(status);
}
