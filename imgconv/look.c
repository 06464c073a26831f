/* SPDX-License-Identifier: Apache-2.0 */
/* Showing what is in a guest's file system: see look.h. */
#include "imgconv/look.h"

#include <stdio.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/stop.h"
#include "lib/str.h"

#define PIECE MIB
#define DEPTH_MAX 200

struct listing {
	struct guest_fs *fs;
	const char *dir;   /* in the guest */
	const char *shown; /* what comes before a name: "", or "sub/folder/" */
	bool recursive;
	unsigned depth;
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

static int list_folder(struct listing *l);

static int descend(struct listing *l, const char *path, const char *shown)
{
	AUTO_FREE char *below = str_format("%s/", shown);
	struct listing next = *l;

	if (!below)
		return err_nomem(l->e);
	if (++next.depth > DEPTH_MAX)
		return err_set(l->e, EBADMSG, "'%s': folders nested more than %d deep", path,
			       DEPTH_MAX);
	next.dir = path;
	next.shown = below;
	return list_folder(&next);
}

static int list_entry(void *ctx, const char *name, const struct guest_stat *st)
{
	struct listing *l = ctx;
	AUTO_BUF target = BUF_INIT;
	AUTO_FREE char *path = path_join(l->dir, name);
	AUTO_FREE char *shown = str_format("%s%s", l->shown, name);
	int rc = stop_check(l->e);

	if (!path || !shown)
		return err_nomem(l->e);
	if (rc >= 0 && S_ISLNK(st->mode))
		rc = guest_fs_readlink(l->fs, path, &target, l->e);
	if (rc < 0)
		return rc;
	rc = l->json ? list_json(l, shown, st, &target) : list_text(shown, st, &target);
	if (rc < 0)
		return rc == -ENOMEM ? err_nomem(l->e) : rc;
	return l->recursive && S_ISDIR(st->mode) ? descend(l, path, shown) : 0;
}

static int list_folder(struct listing *l)
{
	return guest_fs_list(l->fs, l->dir, list_entry, l, l->e);
}

int look_list(struct guest_fs *fs, const char *path, bool recursive, enum cli_output output,
	      struct err *e)
{
	struct listing l = {.fs = fs, .dir = path, .shown = "", .recursive = recursive, .e = e};
	AUTO_BUF out = BUF_INIT;
	struct guest_stat st;
	struct jsonw w;
	int rc = guest_fs_stat(fs, path, true, &st, e);

	if (rc < 0)
		return rc;
	if (output == CLI_JSON) {
		jsonw_begin(&w, &out, true);
		jsonw_array(&w, NULL);
		l.json = &w;
	}
	if (S_ISDIR(st.mode)) {
		rc = list_folder(&l);
	} else {
		l.dir = "/";
		rc = list_entry(&l, path, &st);
	}
	if (rc < 0 || !l.json)
		return rc;
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc >= 0)
		printf("%s", buf_str(&out));
	return rc;
}

int look_cat(struct guest_fs *fs, const char *path, struct err *e)
{
	AUTO(guest_file_close) struct guest_file *f = NULL;
	AUTO_FREE char *piece = malloc(PIECE);
	uint64_t off = 0;
	size_t n = PIECE;
	int rc = piece ? guest_file_open(fs, path, &f, e) : err_nomem(e);

	while (rc >= 0 && n == PIECE) {
		rc = stop_check(e);
		if (rc >= 0)
			rc = guest_file_read(f, piece, PIECE, off, &n, e);
		if (rc >= 0)
			rc = fs_write(STDOUT_FILENO, piece, n, e);
		off += n;
	}
	return rc;
}
