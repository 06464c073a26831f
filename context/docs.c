/* SPDX-License-Identifier: Apache-2.0 */
/* Documents from and to files, folders and images: see context/docs.h. */
#include "context/docs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "context/iso.h"
#include "context/reading.h"
#include "lib/fs.h"
#include "lib/str.h"

#define DEPTH_MAX 8
#define FILES_MAX 4096

/* ---- loading --------------------------------------------------------------------------------- */

struct loader {
	struct tree *t;
	size_t left; /* bytes */
	unsigned files;
};

static int load_file(struct loader *l, int fd, const char *path, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (++l->files > FILES_MAX)
		return err_set(e, EFBIG, "more than %d files", FILES_MAX);
	rc = fs_read_fd(fd, path, l->left, &text, e);
	if (rc)
		return rc;
	l->left -= text.len;
	return tree_add(l->t, 0, path, buf_str(&text), text.len, e);
}

static int load_folder(struct loader *l, int fd, const char *prefix, unsigned depth, struct err *e);

static int load_entry(struct loader *l, int folder, const char *name, const char *prefix,
		      unsigned depth, struct err *e)
{
	AUTO_FREE char *path = *prefix ? path_join(prefix, name) : strdup(name);
	AUTO_FD int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (!path)
		return err_nomem(e);
	if (fd < 0 && errno == ELOOP)
		return 0; /* a link */
	if (fd < 0 || fstat(fd, &st))
		return err_errno(e, errno, "'%s'", path);
	if (S_ISREG(st.st_mode))
		return load_file(l, fd, path, e);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (depth >= DEPTH_MAX)
		return err_set(e, EFBIG, "'%s': more than %d folders in each other", path,
			       DEPTH_MAX);
	return load_folder(l, fd, path, depth + 1, e);
}

static void close_folder(DIR *d)
{
	closedir(d);
}
DEFINE_AUTO(DIR *, close_folder);

static int load_folder(struct loader *l, int fd, const char *prefix, unsigned depth, struct err *e)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	AUTO(close_folder) DIR *d = own < 0 ? NULL : fdopendir(own);
	struct dirent *entry;
	int rc = 0;

	if (!d) {
		rc = err_errno(e, errno, "'%s'", prefix);
		if (own >= 0)
			close(own);
		return rc;
	}
	while (!rc) {
		errno = 0;
		entry = readdir(d);
		if (!entry)
			return errno ? err_errno(e, errno, "'%s'", prefix) : 0;
		/* what has a control character in its name is nobody's document */
		if (name_is_plain(entry->d_name))
			rc = load_entry(l, fd, entry->d_name, prefix, depth, e);
	}
	return rc;
}

static int take_iso_file(void *arg, const char *path, const void *data, size_t len, struct err *e)
{
	return tree_add(arg, 0, path, data, len, e);
}

static int load(struct loader *l, int fd, const char *path, const char *mark, bool *iso,
		struct err *e)
{
	char id[ISO_VOLUME_ID_MAX + 1];
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (fstat(fd, &st))
		return err_errno(e, errno, "'%s'", path);
	if (S_ISDIR(st.st_mode))
		return load_folder(l, fd, "", 1, e);
	if ((S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) && iso_volume_id(fd, id, NULL) == 1) {
		*iso = true;
		return iso_walk(fd, path, DOCS_MAX, take_iso_file, l->t, e);
	}
	return load_file(l, fd, mark ? mark : slash ? slash + 1 : path, e);
}

int docs_load(int fd, const char *path, const char *mark, struct tree **ret, bool *ret_iso,
	      struct err *e)
{
	AUTO(tree_free) struct tree *t = NULL;
	struct loader l = {.left = DOCS_MAX};
	int rc = tree_new(&t, e);

	*ret_iso = false;
	if (rc)
		return rc;
	l.t = t;
	rc = load(&l, fd, path, mark, ret_iso, e);
	rc = rc ? rc : tree_seal(t, e);
	if (rc)
		return err_wrap(e, "reading '%s'", path);
	*ret = STEAL(t);
	return 0;
}

const struct context_dialect *docs_dialect(const struct tree *docs)
{
	struct http_slice s;

	for (size_t i = 0; context_dialects[i]; i++)
		if (context_dialects[i]->mark && context_dialects[i]->read &&
		    tree_leaf(docs, context_dialects[i]->mark, &s))
			return context_dialects[i];
	return NULL;
}

/* ---- saving ---------------------------------------------------------------------------------- */

struct saver {
	const char *folder;
	struct err *e;
};

static int save_file(void *arg, const char *path, struct http_slice value)
{
	struct saver *s = arg;
	AUTO_FREE char *full = path_join(s->folder, path);
	AUTO_FREE char *parent = full ? strndup(full, (size_t)(strrchr(full, '/') - full)) : NULL;
	int rc;

	if (!full || !parent)
		return err_nomem(s->e);
	rc = fs_mkdir_p(parent, 0700, s->e);
	return rc ? rc : fs_write_file(full, value.p, value.len, 0600, s->e);
}

int docs_save_folder(const struct tree *docs, const char *path, struct err *e)
{
	AUTO_FREE char *plain = strdup(path);
	AUTO_FREE char *tmp = NULL;
	struct saver s = {.e = e};
	int rc;

	if (!plain)
		return err_nomem(e);
	for (size_t len = strlen(plain); len > 1 && plain[len - 1] == '/'; len--)
		plain[len - 1] = '\0'; /* "seed/" is made beside itself, not inside */
	rc = fs_make_temp_dir(plain, &tmp, e);
	if (rc)
		return rc;
	s.folder = tmp;
	rc = tree_walk(docs, UINT32_MAX, save_file, &s);
	if (!rc && rename(tmp, plain))
		rc = err_errno(e, errno == ENOTEMPTY ? EEXIST : errno, "'%s'", path);
	if (rc)
		fs_remove_tree(tmp, NULL);
	return rc;
}

struct iso_files {
	struct iso_file *v;
	size_t n;
};

static int take_doc(void *arg, const char *path, struct http_slice value)
{
	struct iso_files *f = arg;
	struct iso_file *grown = reallocarray(f->v, f->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	f->v = grown;
	grown[f->n++] = (struct iso_file){path, value.p, value.len};
	return 0;
}

int docs_save_iso(const struct tree *docs, const char *path, const char *volume_id, struct err *e)
{
	struct iso_files f = {0};
	int rc = tree_walk(docs, UINT32_MAX, take_doc, &f);

	rc = rc ? err_nomem(e) : iso_write(path, volume_id, f.v, f.n, e);
	free(f.v);
	return rc;
}
