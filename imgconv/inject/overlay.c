/* SPDX-License-Identifier: Apache-2.0 */
/* An overlay: the list of what is to be put into a guest, from memory and from the host's files. */
#include "imgconv/inject/overlay.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "imgconv/inject/ctxd.h"
#include "imgconv/inject/first_boot.h"
#include "imgconv/inject/setup.h"
#include "lib/fs.h"
#include "lib/str.h"

#define TREE_DEPTH_MAX 100
#define NAME_LIMIT 255
#define PATH_LIMIT 4095

int overlay_new(struct overlay **ret, struct err *e)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : err_nomem(e);
}

static void entry_release(struct overlay_entry *x)
{
	for (size_t i = 0; i < x->n_xattrs; i++) {
		free(x->xattrs[i].key);
		free(x->xattrs[i].value);
	}
	free(x->xattrs);
	free(x->path);
	free(x->data);
	free(x->user);
	overlay_free(x->files);
}

void overlay_free(struct overlay *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n; i++)
		entry_release(&o->entries[i]);
	free(o->entries);
	free(o);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static int check_name(const char *path, const char *name, size_t len, struct err *e)
{
	if (len > NAME_LIMIT)
		return err_set(e, EINVAL, "'%s': a name of %zu bytes", path, len);
	if (len == 2 && !memcmp(name, "..", 2))
		return err_set(e, EINVAL, "'%s': '..' is not allowed in a path of an overlay",
			       path);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return err_set(e, EINVAL, "'%s': a control character in the path", path);
	}
	return 0;
}

static int canonical(const char *path, char **ret, struct err *e)
{
	AUTO_BUF out = BUF_INIT;

	if (path[0] != '/')
		return err_set(e, EINVAL, "'%s' is not an absolute path", path);
	for (const char *s = path; *s;) {
		size_t len;
		int rc;

		s += strspn(s, "/");
		len = strcspn(s, "/");
		if (!len)
			break;
		rc = check_name(path, s, len, e);
		if (rc < 0)
			return rc;
		if (!(len == 1 && *s == '.') &&
		    (buf_addc(&out, '/') < 0 || buf_add(&out, s, len) < 0))
			return err_nomem(e);
		s += len;
	}
	if (out.len > PATH_LIMIT)
		return err_set(e, EINVAL, "a path of %zu bytes", out.len);
	if (!out.len && buf_addc(&out, '/') < 0)
		return err_nomem(e);
	*ret = buf_detach(&out);
	return *ret ? 0 : err_nomem(e);
}

/* ---- entries --------------------------------------------------------------------------------- */

static int make_room(struct overlay *o, size_t len, struct err *e)
{
	struct overlay_entry *list;
	size_t cap;

	if (o->n == OVERLAY_ENTRIES_MAX)
		return err_set(e, EFBIG, "an overlay of more than %d entries", OVERLAY_ENTRIES_MAX);
	if (len > OVERLAY_BYTES_MAX - o->bytes)
		return err_set(e, EFBIG, "an overlay of more than %llu MiB",
			       (unsigned long long)(OVERLAY_BYTES_MAX / MIB));
	if (o->n < o->cap)
		return 0;
	cap = o->cap ? o->cap * 2 : 16;
	list = realloc(o->entries, cap * sizeof(*list));
	if (!list)
		return err_nomem(e);
	o->entries = list;
	o->cap = cap;
	return 0;
}

int overlay_add(struct overlay *o, enum overlay_kind kind, const char *path, const void *data,
		size_t len, const struct overlay_attr *a, struct err *e)
{
	struct overlay_entry x = {.kind = kind, .len = len};
	int rc = make_room(o, len, e);

	if (rc >= 0 && path)
		rc = canonical(path, &x.path, e);
	if (rc < 0)
		return rc;
	if (path && !strcmp(x.path, "/") && kind != OVERLAY_DIR) {
		free(x.path);
		return err_set(e, EINVAL, "'%s' is the root folder", path);
	}
	x.data = malloc(len + 1);
	if (!x.data) {
		free(x.path);
		return err_nomem(e);
	}
	if (len)
		memcpy(x.data, data, len);
	x.data[len] = '\0';
	if (a)
		x.attr = *a;
	x.attr.mode &= 07777;
	o->entries[o->n++] = x;
	o->bytes += len;
	return 0;
}

int overlay_add_xattr(struct overlay *o, const char *key, const void *value, size_t len,
		      struct err *e)
{
	struct overlay_entry *x = &o->entries[o->n - 1];
	struct overlay_xattr *list, *new;

	if (!str_has_prefix(key, "user.") && !str_has_prefix(key, "security.") &&
	    !str_has_prefix(key, "trusted."))
		return err_set(e, ENOTSUP, "'%s': extended attribute '%s' is not supported",
			       x->path, key);
	list = realloc(x->xattrs, (x->n_xattrs + 1) * sizeof(*list));
	if (!list)
		return err_nomem(e);
	x->xattrs = list;
	new = &list[x->n_xattrs];
	*new = (struct overlay_xattr){.key = strdup(key), .value = malloc(len + 1), .len = len};
	if (!new->key || !new->value) {
		free(new->key);
		free(new->value);
		return err_nomem(e);
	}
	if (len)
		memcpy(new->value, value, len);
	x->n_xattrs++;
	return 0;
}

const struct overlay_entry *overlay_find(const struct overlay *o, const char *path)
{
	AUTO_FREE char *canon = NULL;

	if (canonical(path, &canon, NULL) < 0)
		return NULL;
	for (size_t i = o->n; i-- > 0;) {
		if (o->entries[i].path && !strcmp(o->entries[i].path, canon))
			return &o->entries[i];
	}
	return NULL;
}

int overlay_replace(struct overlay *o, const char *path, const void *data, size_t len,
		    struct err *e)
{
	const struct overlay_entry *found = overlay_find(o, path);
	struct overlay_entry *x = found ? &o->entries[found - o->entries] : NULL;
	char *copy = malloc(len + 1);

	if (!copy || !x) {
		free(copy);
		return err_nomem(e);
	}
	memcpy(copy, data, len);
	copy[len] = '\0';
	free(x->data);
	x->data = copy;
	x->len = len;
	return 0;
}

int overlay_add_file(struct overlay *o, const char *path, const void *data, size_t len,
		     const struct overlay_attr *a, struct err *e)
{
	return overlay_add(o, OVERLAY_FILE, path, data, len, a, e);
}

int overlay_add_dir(struct overlay *o, const char *path, const struct overlay_attr *a,
		    struct err *e)
{
	return overlay_add(o, OVERLAY_DIR, path, NULL, 0, a, e);
}

int overlay_add_symlink(struct overlay *o, const char *path, const char *target, struct err *e)
{
	if (!*target || strlen(target) > PATH_LIMIT)
		return err_set(e, EINVAL, "'%s': a link's target of %zu bytes", path,
			       strlen(target));
	return overlay_add(o, OVERLAY_SYMLINK, path, target, strlen(target), NULL, e);
}

int overlay_add_delete(struct overlay *o, const char *path, struct err *e)
{
	return overlay_add(o, OVERLAY_DELETE, path, NULL, 0, NULL, e);
}

int overlay_add_shared(struct overlay *o, const char *path, const void *data, size_t len,
		       const struct overlay_attr *a, struct err *e)
{
	int rc = overlay_add_file(o, path, data, len, a, e);

	if (rc == 0)
		o->entries[o->n - 1].shared = true;
	return rc;
}

int overlay_add_move(struct overlay *o, const char *path, const char *to, struct err *e)
{
	return overlay_add(o, OVERLAY_MOVE, path, to, strlen(to), NULL, e);
}

/* ---- what depends on the guest --------------------------------------------------------------- */

/* What a service is made of, loaded by `load`. */
static int add_service(struct overlay *o, enum overlay_kind kind, const void *data, size_t len,
		       int (*load)(struct overlay *files, struct err *e), struct err *e)
{
	AUTO(overlay_free) struct overlay *files = NULL;
	int rc = overlay_new(&files, e);

	if (rc == 0)
		rc = load(files, e);
	if (rc == 0)
		rc = overlay_add(o, kind, NULL, data, len, NULL, e);
	if (rc == 0)
		o->entries[o->n - 1].files = STEAL(files);
	return rc;
}

int overlay_add_ctxd(struct overlay *o, struct err *e)
{
	return add_service(o, OVERLAY_CTXD, NULL, 0, ctxd_load, e);
}

int overlay_add_remove_ctxd(struct overlay *o, struct err *e)
{
	return overlay_add(o, OVERLAY_REMOVE_CTXD, NULL, NULL, 0, NULL, e);
}

int overlay_add_first_boot(struct overlay *o, const char *name, const void *data, size_t len,
			   struct err *e)
{
	AUTO_FREE char *numbered = NULL;
	unsigned number = 1;
	int rc;

	if (!name_is_plain(name) || strpbrk(name, " '\"\\"))
		return err_set(e, EINVAL, "'%s' is no name for a script", name);
	if (len < 2 || memcmp(data, "#!", 2) != 0)
		return err_set(e, EINVAL, "'%s' does not begin with '#!': it is no script", name);
	for (size_t i = 0; i < o->n; i++)
		number += o->entries[i].kind == OVERLAY_FIRST_BOOT;
	numbered = str_format("%04u-%s", number, name);
	if (!numbered)
		return err_nomem(e);
	rc = add_service(o, OVERLAY_FIRST_BOOT, data, len, first_boot_load, e);
	if (rc == 0)
		o->entries[o->n - 1].user = STEAL(numbered);
	return rc;
}

int overlay_add_hostname(struct overlay *o, const char *name, struct err *e)
{
	if (!hostname_is_valid(name))
		return err_set(e, EINVAL, "'%s' is no host name", name);
	return overlay_add(o, OVERLAY_HOSTNAME, NULL, name, strlen(name), NULL, e);
}

int overlay_add_ssh_key(struct overlay *o, const char *user, const void *keys, size_t len,
			struct err *e)
{
	AUTO_FREE char *own = strdup(user);
	int rc = own ? ssh_keys_check(keys, len, e) : err_nomem(e);

	if (rc == 0 && (!*user || strpbrk(user, ":/\n")))
		rc = err_set(e, EINVAL, "'%s' is no account's name", user);
	if (rc == 0)
		rc = overlay_add(o, OVERLAY_SSH_KEY, NULL, keys, len, NULL, e);
	if (rc == 0)
		o->entries[o->n - 1].user = STEAL(own);
	return rc;
}

/* ---- from the host --------------------------------------------------------------------------- */

int overlay_add_host_file(struct overlay *o, const char *path, const char *host_path,
			  const struct overlay_attr *a, struct err *e)
{
	AUTO_BUF data = BUF_INIT;
	int rc = fs_read_file(host_path, OVERLAY_BYTES_MAX, &data, e);

	return rc < 0 ? rc : overlay_add_file(o, path, data.data, data.len, a, e);
}

struct tree_walk {
	struct overlay *o;
	unsigned depth;
	struct err *e;
};

static int add_tree_dir(struct tree_walk *w, int dir_fd, const char *host, const char *guest);

static int add_tree_link(struct tree_walk *w, int dir_fd, const char *name, const char *guest)
{
	char target[PATH_LIMIT + 2];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target));

	if (n < 0)
		return err_errno(w->e, errno, "'%s'", guest);
	if ((size_t)n >= sizeof(target))
		return err_set(w->e, ENAMETOOLONG, "'%s': its target is too long", guest);
	target[n] = '\0';
	return overlay_add_symlink(w->o, guest, target, w->e);
}

static int add_tree_file(struct tree_walk *w, int fd, const char *host, const char *guest,
			 const struct overlay_attr *a)
{
	AUTO_BUF data = BUF_INIT;
	int rc = fs_read_fd(fd, host, OVERLAY_BYTES_MAX, &data, w->e);

	return rc < 0 ? rc : overlay_add_file(w->o, guest, data.data, data.len, a, w->e);
}

static int add_tree_entry(struct tree_walk *w, int dir_fd, const char *name, const char *host,
			  const char *guest)
{
	AUTO_FD int fd = -1;
	struct overlay_attr a = {0};
	struct stat st;
	int rc;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(w->e, errno, "'%s'", host);
	if (S_ISLNK(st.st_mode))
		return add_tree_link(w, dir_fd, name, guest);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_set(w->e, EINVAL, "'%s' is neither file, folder nor symbolic link",
			       host);
	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(w->e, errno, "'%s'", host);
	a.mode = st.st_mode & 07777;
	if (S_ISREG(st.st_mode))
		return add_tree_file(w, fd, host, guest, &a);
	if (!S_ISDIR(st.st_mode))
		return err_set(w->e, EINVAL, "'%s' changed while it was read", host);
	rc = overlay_add_dir(w->o, guest, &a, w->e);
	return rc < 0 ? rc : add_tree_dir(w, steal_fd(&fd), host, guest);
}

/* Takes dir_fd. In the order of names, so that the result does not depend on the host's disk. */
static int add_tree_dir(struct tree_walk *w, int dir_fd, const char *host, const char *guest)
{
	struct dirent **list = NULL;
	int rc = 0, n;

	if (++w->depth > TREE_DEPTH_MAX) {
		close(dir_fd);
		return err_set(w->e, EFBIG, "'%s': folders nested more than %d deep", host,
			       TREE_DEPTH_MAX);
	}
	n = scandirat(dir_fd, ".", &list, NULL, alphasort);
	if (n < 0)
		rc = err_errno(w->e, errno, "'%s'", host);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;

		if (rc >= 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			AUTO_FREE char *h = path_join(host, name);
			AUTO_FREE char *g = path_join(guest, name);

			rc = h && g ? add_tree_entry(w, dir_fd, name, h, g) : err_nomem(w->e);
		}
		free(list[i]);
	}
	free(list);
	close(dir_fd);
	w->depth--;
	return rc;
}

int overlay_add_tree(struct overlay *o, const char *host_dir, struct err *e)
{
	struct tree_walk w = {.o = o, .e = e};
	int fd = open(host_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, errno, "'%s'", host_dir);
	return add_tree_dir(&w, fd, host_dir, "/");
}
