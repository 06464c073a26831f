/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv inject: files into (and out of) the file system inside an image, without starting it. */
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "imgconv/commands.h"
#include "imgconv/confine.h"
#include "imgconv/inject/distro.h"
#include "imgconv/inject/root.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/str.h"

#define CAT_MAX (256 * MIB)

struct inject {
	const char *image, *format;
	struct overlay *overlay;
	bool any;    /* something to put in or take out */
	bool writes; /* ... for good */
	const char *list, *cat;
	struct inject_opts opts;
	enum cli_output output;
};

enum {
	OPT_OVERLAY = 256,
	OPT_CTXD,
	OPT_FILE,
	OPT_DELETE,
	OPT_PARTITION,
	OPT_DRY_RUN,
	OPT_LIST,
	OPT_CAT,
};

/* ---- arguments ------------------------------------------------------------------------------- */

static int octal(const char *s, unsigned *ret, struct err *e)
{
	unsigned v = 0;

	if (!*s || strspn(s, "01234567") != strlen(s) || strlen(s) > 5)
		return err_set(e, EINVAL, "'%s' is not an octal mode", s);
	for (; *s; s++)
		v = v * 8 + (unsigned)(*s - '0');
	if (v > 07777)
		return err_set(e, ERANGE, "mode %o is over 7777", v);
	*ret = v;
	return 0;
}

static int owner(const char *s, uint32_t *ret, struct err *e)
{
	uint64_t v = 0;
	int rc = str_to_u64(s, 0, UINT32_MAX - 1, &v, e);

	*ret = (uint32_t)v;
	return rc;
}

/* SRC:DST[:MODE[:UID:GID]]; without a mode that of SRC. */
static int add_file(struct overlay *o, const char *text, struct err *e)
{
	AUTO_FREE char *copy = strdup(text);
	struct overlay_attr a = {.mode = 0644};
	char *rest = copy, *part[5] = {NULL};
	size_t n = 0;
	struct stat st;
	int rc = 0;

	if (!copy)
		return err_nomem(e);
	while (rest && n < ARRAY_SIZE(part))
		part[n++] = strsep(&rest, ":");
	if (rest || n < 2 || n == 4 || !*part[0] || !*part[1])
		return err_set(e, EINVAL, "'%s' is not of the form SRC:DST[:MODE[:UID:GID]]", text);
	if (n > 2)
		rc = octal(part[2], &a.mode, e);
	else if (stat(part[0], &st) == 0)
		a.mode = st.st_mode & 07777;
	if (rc >= 0 && n == 5)
		rc = owner(part[3], &a.uid, e);
	if (rc >= 0 && n == 5)
		rc = owner(part[4], &a.gid, e);
	return rc < 0 ? rc : overlay_add_host_file(o, part[1], part[0], &a, e);
}

static int add_overlay(struct overlay *o, const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, errno, "'%s'", path);
	return S_ISDIR(st.st_mode) ? overlay_add_tree(o, path, e) : overlay_add_tar(o, path, e);
}

static int parse_option(struct inject *x, int opt, struct err *e)
{
	uint64_t n = 0;
	int rc = 0;

	switch (opt) {
	case OPT_OVERLAY:
		rc = add_overlay(x->overlay, optarg, e);
		break;
	case OPT_CTXD:
		rc = overlay_add_ctxd(x->overlay, e);
		break;
	case OPT_FILE:
		rc = add_file(x->overlay, optarg, e);
		break;
	case OPT_DELETE:
		rc = overlay_add_delete(x->overlay, optarg, e);
		break;
	case OPT_PARTITION:
		rc = str_to_u64(optarg, 1, 128, &n, e);
		x->opts.partition = (unsigned)n;
		return rc;
	case OPT_DRY_RUN:
		x->opts.dry_run = true;
		return 0;
	case OPT_LIST:
		x->list = optarg;
		return 0;
	case OPT_CAT:
		x->cat = optarg;
		return 0;
	case 'f':
		x->format = optarg;
		return 0;
	case 'o':
		return cli_output_parse(optarg, &x->output, e);
	}
	x->any = true;
	return rc;
}

/* 0, an exit status, or a negative errno. */
static int parse_args(const struct cli_command *self, struct inject *x, int argc, char **argv,
		      struct err *e)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"output", required_argument, NULL, 'o'},
		{"overlay", required_argument, NULL, OPT_OVERLAY},
		{"ctxd", no_argument, NULL, OPT_CTXD},
		{"file", required_argument, NULL, OPT_FILE},
		{"delete", required_argument, NULL, OPT_DELETE},
		{"partition", required_argument, NULL, OPT_PARTITION},
		{"dry-run", no_argument, NULL, OPT_DRY_RUN},
		{"list", required_argument, NULL, OPT_LIST},
		{"cat", required_argument, NULL, OPT_CAT},
		{NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "f:o:", longopts)) != -1) {
		int rc = parse_option(x, opt, e);

		/* A wrong word is a usage error; what a file or an archive holds is not. */
		if ((rc == -EINVAL || rc == -ERANGE) && opt != OPT_OVERLAY)
			return cli_usage(self, "%s", e->msg);
		if (rc < 0)
			return rc;
	}
	if (argc - optind != 1)
		return cli_usage(self, "give one image");
	if ((x->list != NULL) + (x->cat != NULL) + x->any != 1)
		return cli_usage(self,
				 "give something to put in or to delete, or --list, or --cat");
	x->image = argv[optind];
	return 0;
}

/* ---- looking inside -------------------------------------------------------------------------- */

struct listing {
	struct guest_fs *fs;
	const char *dir;
	struct jsonw *json; /* NULL: text */
	struct err *e;
};

static void mode_text(unsigned mode, char out[11])
{
	static const char bits[] = "rwxrwxrwx";
	const char *type = S_ISDIR(mode)    ? "d"
			   : S_ISLNK(mode)  ? "l"
			   : S_ISCHR(mode)  ? "c"
			   : S_ISBLK(mode)  ? "b"
			   : S_ISFIFO(mode) ? "p"
			   : S_ISSOCK(mode) ? "s"
					    : "-";

	out[0] = *type;
	for (unsigned i = 0; i < 9; i++)
		out[1 + i] = mode & (0400u >> i) ? bits[i] : '-';
	if (mode & S_ISUID)
		out[3] = mode & 0100 ? 's' : 'S';
	if (mode & S_ISGID)
		out[6] = mode & 0010 ? 's' : 'S';
	if (mode & S_ISVTX)
		out[9] = mode & 0001 ? 't' : 'T';
	out[10] = '\0';
}

static int list_json(struct listing *l, const char *name, const struct guest_stat *st,
		     const struct buf *target)
{
	char mode[11], octal_mode[8];

	mode_text(st->mode, mode);
	snprintf(octal_mode, sizeof(octal_mode), "%04o", st->mode & 07777);
	jsonw_object(l->json, NULL);
	jsonw_string(l->json, "name", name);
	jsonw_string_n(l->json, "type", mode, 1);
	jsonw_string(l->json, "mode", octal_mode);
	jsonw_u64(l->json, "uid", st->uid);
	jsonw_u64(l->json, "gid", st->gid);
	jsonw_u64(l->json, "size", st->size);
	jsonw_u64(l->json, "links", st->links);
	if (target->len)
		jsonw_string_n(l->json, "target", target->data, target->len);
	jsonw_close(l->json);
	return 0;
}

static int list_text(const char *name, const struct guest_stat *st, const struct buf *target)
{
	AUTO_BUF shown = BUF_INIT;
	char mode[11];

	mode_text(st->mode, mode);
	if (str_escape(name, strlen(name), SIZE_MAX, &shown) < 0)
		return -ENOMEM;
	if (target->len && (buf_adds(&shown, " -> ") < 0 ||
			    str_escape(target->data, target->len, SIZE_MAX, &shown) < 0))
		return -ENOMEM;
	printf("%s %3u %5u %5u %10llu %s\n", mode, st->links, st->uid, st->gid,
	       (unsigned long long)st->size, buf_str(&shown));
	return 0;
}

static int list_entry(void *ctx, const char *name, const struct guest_stat *st)
{
	struct listing *l = ctx;
	AUTO_BUF target = BUF_INIT;
	AUTO_FREE char *path = path_join(l->dir, name);
	int rc = 0;

	if (!path)
		return err_nomem(l->e);
	if (S_ISLNK(st->mode))
		rc = guest_fs_readlink(l->fs, path, &target, l->e);
	if (rc < 0)
		return rc;
	rc = l->json ? list_json(l, name, st, &target) : list_text(name, st, &target);
	return rc == -ENOMEM ? err_nomem(l->e) : rc;
}

static int list(const struct inject *x, struct guest_fs *fs, struct err *e)
{
	struct listing l = {.fs = fs, .dir = x->list, .e = e};
	AUTO_BUF out = BUF_INIT;
	struct guest_stat st;
	struct jsonw w;
	int rc = guest_fs_stat(fs, x->list, true, &st, e);

	if (rc < 0)
		return rc;
	if (x->output == CLI_JSON) {
		jsonw_begin(&w, &out, true);
		jsonw_array(&w, NULL);
		l.json = &w;
	}
	if (S_ISDIR(st.mode)) {
		rc = guest_fs_list(fs, x->list, list_entry, &l, e);
	} else {
		l.dir = "/";
		rc = list_entry(&l, x->list, &st);
	}
	if (rc < 0 || !l.json)
		return rc;
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc >= 0)
		printf("%s", buf_str(&out));
	return rc;
}

static int look_inside(const struct inject *x, struct image *im, struct err *e)
{
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	AUTO_BUF data = BUF_INIT;
	unsigned partition;
	int rc = root_open(im, x->opts.partition, 0, &fs, &partition, e);

	if (rc >= 0 && x->list)
		return list(x, fs, e);
	if (rc >= 0)
		rc = guest_fs_read_file(fs, x->cat, CAT_MAX, &data, e);
	return rc < 0 ? rc : fs_write(STDOUT_FILENO, buf_str(&data), data.len, e);
}

/* ---- changing -------------------------------------------------------------------------------- */

/* What changes.data says, a line each: sign, space, path. */
static void json_changes(struct jsonw *w, const struct buf *changes)
{
	static const char *const words[][2] = {{"+", "add"}, {"~", "replace"}, {"-", "remove"}};

	jsonw_array(w, "changes");
	for (const char *s = buf_str(changes); *s;) {
		size_t len = strcspn(s, "\n");

		jsonw_object(w, NULL);
		for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
			if (*s == *words[i][0])
				jsonw_string(w, "action", words[i][1]);
		}
		jsonw_string_n(w, "path", s + 2, len - 2);
		jsonw_close(w);
		s += len + 1;
	}
	jsonw_close(w);
}

static int show(const struct inject *x, const struct inject_report *r, struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct jsonw w;
	int rc;

	if (x->output == CLI_TEXT) {
		AUTO_BUF name = BUF_INIT;

		if (str_escape(r->distro, strlen(r->distro), SIZE_MAX, &name) < 0)
			return err_nomem(e);
		log_info("%s, init: %s%s", buf_str(&name), r->init,
			 x->opts.dry_run ? "; nothing is written" : "");
		printf("%s", buf_str(&r->changes));
		return 0;
	}
	jsonw_begin(&w, &out, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "image", x->image);
	jsonw_u64(&w, "partition", r->partition);
	jsonw_string(&w, "distribution", r->distro);
	jsonw_string(&w, "init", r->init);
	jsonw_bool(&w, "dry-run", x->opts.dry_run);
	json_changes(&w, &r->changes);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc >= 0)
		printf("%s", buf_str(&out));
	return rc;
}

/* Time stamps: now, or $SOURCE_DATE_EPOCH for the same bytes each time. */
static int time_stamp(int64_t *ret, struct err *e)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t n = 0;

	if (!epoch) {
		*ret = (int64_t)time(NULL);
		return 0;
	}
	if (str_to_u64(epoch, 0, INT64_MAX, &n, e) < 0)
		return err_wrap(e, "SOURCE_DATE_EPOCH");
	*ret = (int64_t)n;
	return 0;
}

/* In a sandbox. */
static int run(void *ctx, struct err *e)
{
	struct inject *x = ctx;
	AUTO(inject_report_release) struct inject_report r = {0};
	struct image_open_opts o = {.format = x->format, .flags = x->writes ? IMAGE_RDWR : 0};
	AUTO(image_close) struct image *im = NULL;
	int rc = image_open(x->image, &o, &im, e);

	if (rc >= 0 && !x->any)
		return look_inside(x, im, e);
	if (rc >= 0)
		rc = inject_apply(im, x->overlay, &x->opts, &r, e);
	return rc < 0 ? rc : show(x, &r, e);
}

/* The image and the file system inside are hostile: another process reads and changes them. */
static int run_confined(struct inject *x, struct err *e)
{
	struct confine_file file = {.path = x->image};
	const struct confine c = {.files = &file, .n_files = 1, .run = run, .ctx = x};
	int rc = time_stamp(&x->opts.now, e);

	x->writes = x->any && !x->opts.dry_run;
	file.writable = x->writes;
	return rc < 0 ? rc : confine_run(&c, e);
}

int cmd_inject(const struct cli_command *self, int argc, char **argv)
{
	AUTO(overlay_free) struct overlay *overlay = NULL;
	struct inject x = {.output = CLI_TEXT};
	struct err e;
	int status;

	if (overlay_new(&overlay, &e) < 0)
		return cli_fail(&e);
	x.overlay = overlay;
	status = parse_args(self, &x, argc, argv, &e);
	if (status > 0)
		return status;
	if (status < 0 || run_confined(&x, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
