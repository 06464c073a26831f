/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of wire.h, done by libguestfs. Who asks is hostile: there is no request that names a file
 * of the host, and all that is done is done inside the machine, to the disk of who asks.
 */
#include "imgconv/inject/appliance_driver.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "imgconv/inject/libguestfs.h"
#include "imgconv/inject/wire.h"
#include "lib/fs.h"
#include "lib/str.h"

#define REQUEST_TIMEOUT_S (24 * 3600)
#define READ_MOST (2 * MIB)  /* of one answer of the machine */
#define LIST_MOST (64 * MIB) /* names of one folder */
#define FILESYSTEMS_MOST 512u

struct driver {
	struct libguestfs lib;
	guestfs_h *g;
	const struct driver_opts *o;
	int fd;
	struct buf answer;
};

struct args {
	char *text[3];
	uint64_t number[2];
	const char *bytes; /* the last field, if it is bytes */
	size_t len;
};

/* Each returns 0, or -1: the library said why. What is answered is added to d->answer. */
typedef int request_fn(struct driver *d, const struct args *a);

/* ---- the machine ----------------------------------------------------------------------------- */

static void say_nothing(guestfs_h *g, void *opaque, const char *text)
{
	(void)g;
	(void)opaque;
	(void)text;
}

static void tell_progress(guestfs_h *g, void *opaque, uint64_t event, int handle, int flags,
			  const char *buf, size_t buf_len, const uint64_t *array, size_t array_len)
{
	const struct driver *d = opaque;
	AUTO_BUF m = BUF_INIT;

	(void)g;
	(void)event;
	(void)handle;
	(void)flags;
	(void)buf;
	(void)buf_len;
	if (array_len < 4)
		return;
	wire_begin(&m, WIRE_PROGRESS);
	wire_number(&m, array[2]);
	wire_number(&m, array[3]);
	(void)wire_send(d->fd, &m, NULL);
}

static int set_up(struct driver *d)
{
	AUTO_FREE char *server = str_format("unix:%s", d->o->disk);
	char *const servers[] = {server, NULL};

	if (!server || d->lib.set_tmpdir(d->g, d->o->folder) < 0)
		return -1;
	if (!getenv("LIBGUESTFS_BACKEND") && d->lib.set_backend(d->g, "direct") < 0)
		return -1;
	if (!d->o->kvm && d->lib.set_backend_setting(d->g, "force_tcg", "1") < 0)
		return -1;
	d->lib.set_event_callback(d->g, tell_progress, GUESTFS_EVENT_PROGRESS, 0, d);
	/* The disk's writes go to memory: there is nothing to be flushed. */
	return d->lib.add_drive_opts(d->g, "", GUESTFS_DRIVE_FORMAT, "raw", GUESTFS_DRIVE_PROTOCOL,
				     "nbd", GUESTFS_DRIVE_SERVER, servers, GUESTFS_DRIVE_CACHE,
				     "unsafe", -1);
}

static int launch(struct driver *d, const struct args *a)
{
	(void)a;
	return set_up(d) < 0 ? -1 : d->lib.launch(d->g);
}

static int finish(struct driver *d, const struct args *a)
{
	(void)a;
	return d->lib.umount_all(d->g) < 0 ? -1 : d->lib.shutdown(d->g);
}

/* A text of the library, which is freed; an error is none. */
static void add_text(struct driver *d, char *text)
{
	wire_text(&d->answer, text ? text : "");
	free(text);
}

static int filesystems(struct driver *d, const struct args *a)
{
	char **list = d->lib.list_filesystems(d->g);

	(void)a;
	/* Pairs of name and type. */
	for (size_t i = 0; list && list[i] && list[i + 1]; i += 2) {
		if (i / 2 < FILESYSTEMS_MOST) {
			wire_text(&d->answer, list[i]);
			wire_text(&d->answer, list[i + 1]);
			add_text(d, d->lib.vfs_uuid(d->g, list[i]));
			add_text(d, d->lib.vfs_label(d->g, list[i]));
		}
		free(list[i]);
		free(list[i + 1]);
	}
	free(list);
	return list ? 0 : -1;
}

static int mount_one(struct driver *d, const struct args *a)
{
	return d->lib.mount_options(d->g, a->text[0], a->text[1], a->text[2]);
}

static int umount_them(struct driver *d, const struct args *a)
{
	(void)a;
	return d->lib.umount_all(d->g);
}

static int dmesg(struct driver *d, const struct args *a)
{
	char *text = d->lib.dmesg(d->g);

	(void)a;
	if (!text)
		return -1;
	add_text(d, text);
	return 0;
}

/* ---- looking --------------------------------------------------------------------------------- */

static void add_stat(struct driver *d, const struct guestfs_statns *st)
{
	const int64_t all[] = {st->st_ino, st->st_mode, st->st_uid,
			       st->st_gid, st->st_size, st->st_nlink};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		wire_number(&d->answer, (uint64_t)all[i]);
}

static int stat_one(struct driver *d, const struct args *a)
{
	struct guestfs_statns *st =
		a->number[0] ? d->lib.statns(d->g, a->text[0]) : d->lib.lstatns(d->g, a->text[0]);

	if (!st)
		return -1;
	add_stat(d, st);
	d->lib.free_statns(st);
	return 0;
}

/* Pointers to the names, each ended by a NUL, and NULL; the caller's. */
static char **split_names(const struct args *a)
{
	size_t n = 0, i = 0;
	char **names;

	for (size_t at = 0; at < a->len; at++)
		n += !a->bytes[at];
	names = calloc(n + 1, sizeof(*names));
	for (const char *s = a->bytes; names && i < n; s += strlen(s) + 1)
		names[i++] = (char *)s;
	return names;
}

static int stat_names(struct driver *d, const struct args *a)
{
	AUTO_FREE char **names = split_names(a);
	struct guestfs_statns_list *list;

	if (!names)
		return -1;
	list = d->lib.lstatnslist(d->g, a->text[0], names);
	if (!list)
		return -1;
	for (uint32_t i = 0; i < list->len; i++)
		add_stat(d, &list->val[i]);
	d->lib.free_statns_list(list);
	return 0;
}

static void limit_files(uint64_t most)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_FSIZE, &l) < 0)
		return;
	l.rlim_cur = most == UINT64_MAX ? l.rlim_max : MIN((rlim_t)most, l.rlim_max);
	(void)setrlimit(RLIMIT_FSIZE, &l);
}

/* By way of a file, which can be limited. */
static int list_names(struct driver *d, const struct args *a)
{
	AUTO_FREE char *path = path_join(d->o->folder, "names");
	AUTO_BUF names = BUF_INIT;
	int rc;

	if (!path)
		return -1;
	limit_files(LIST_MOST);
	rc = d->lib.ls0(d->g, a->text[0], path);
	limit_files(UINT64_MAX);
	if (rc == 0)
		rc = fs_read_file(path, LIST_MOST, &names, NULL) < 0 ? -1 : 0;
	unlink(path);
	if (rc == 0)
		wire_bytes(&d->answer, buf_str(&names), names.len);
	return rc;
}

static int read_piece(struct driver *d, const struct args *a)
{
	size_t len = 0;
	char *data = d->lib.pread(d->g, a->text[0], (int)MIN(a->number[1], READ_MOST),
				  (int64_t)MIN(a->number[0], (uint64_t)INT64_MAX), &len);

	if (!data)
		return -1;
	wire_bytes(&d->answer, data, len);
	free(data);
	return 0;
}

static int add_path(struct driver *d, char *path)
{
	if (!path)
		return -1;
	add_text(d, path);
	return 0;
}

static int read_link(struct driver *d, const struct args *a)
{
	return add_path(d, d->lib.readlink(d->g, a->text[0]));
}

static int real_path(struct driver *d, const struct args *a)
{
	return add_path(d, d->lib.realpath(d->g, a->text[0]));
}

static int true_case(struct driver *d, const struct args *a)
{
	return add_path(d, d->lib.case_sensitive_path(d->g, a->text[0]));
}

static int get_xattr(struct driver *d, const struct args *a)
{
	size_t len = 0;
	char *value = d->lib.lgetxattr(d->g, a->text[0], a->text[1], &len);
	int code = value ? 0 : d->lib.last_errno(d->g);

	if (!value)
		return code == ENODATA || code == ENOTSUP ? 0 : -1;
	wire_bytes(&d->answer, value, len);
	free(value);
	return 0;
}

/* ---- changing -------------------------------------------------------------------------------- */

static int write_whole(struct driver *d, const struct args *a)
{
	AUTO_FD int fd = memfd_create("file", MFD_CLOEXEC);
	AUTO_FREE char *path = str_format("/proc/self/fd/%d", fd);

	if (fd < 0 || !path || fs_write(fd, a->bytes, a->len, NULL) < 0)
		return -1;
	return d->lib.upload(d->g, path, a->text[0]);
}

static int change_owner(struct driver *d, const struct args *a)
{
	return d->lib.lchown(d->g, (int)a->number[0], (int)a->number[1], a->text[0]);
}

static int change_mode(struct driver *d, const struct args *a)
{
	return d->lib.chmod(d->g, (int)(a->number[0] & 07777), a->text[0]);
}

static int touch(struct driver *d, const struct args *a)
{
	int64_t s = (int64_t)a->number[0];

	return d->lib.utimens(d->g, a->text[0], s, 0, s, 0);
}

static int rename_one(struct driver *d, const struct args *a)
{
	return d->lib.rename(d->g, a->text[0], a->text[1]);
}

static int make_dir(struct driver *d, const struct args *a)
{
	return d->lib.mkdir(d->g, a->text[0]);
}

static int make_link(struct driver *d, const struct args *a)
{
	return d->lib.ln_s(d->g, a->text[0], a->text[1]);
}

static int remove_all(struct driver *d, const struct args *a)
{
	return d->lib.rm_rf(d->g, a->text[0]);
}

static int set_xattr(struct driver *d, const struct args *a)
{
	return d->lib.lsetxattr(d->g, a->text[1], a->bytes, (int)MIN(a->len, (size_t)MIB),
				a->text[0]);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The fields: t text, n number, b bytes. */
static const struct request {
	const char *fields;
	request_fn *fn;
} requests[] = {
	[WIRE_LAUNCH] = {"", launch},          [WIRE_FILESYSTEMS] = {"", filesystems},
	[WIRE_MOUNT] = {"ttt", mount_one},     [WIRE_UMOUNT] = {"", umount_them},
	[WIRE_STAT] = {"tn", stat_one},        [WIRE_LIST] = {"t", list_names},
	[WIRE_STATS] = {"tb", stat_names},     [WIRE_READ] = {"tnn", read_piece},
	[WIRE_READLINK] = {"t", read_link},    [WIRE_REALPATH] = {"t", real_path},
	[WIRE_TRUE_CASE] = {"t", true_case},   [WIRE_WRITE] = {"tb", write_whole},
	[WIRE_CHOWN] = {"tnn", change_owner},  [WIRE_CHMOD] = {"tn", change_mode},
	[WIRE_TOUCH] = {"tn", touch},          [WIRE_RENAME] = {"tt", rename_one},
	[WIRE_MKDIR] = {"t", make_dir},        [WIRE_SYMLINK] = {"tt", make_link},
	[WIRE_REMOVE] = {"t", remove_all},     [WIRE_GET_XATTR] = {"tt", get_xattr},
	[WIRE_SET_XATTR] = {"ttb", set_xattr}, [WIRE_DMESG] = {"", dmesg},
	[WIRE_FINISH] = {"", finish},
};

static void args_release(struct args *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(a->text); i++)
		free(a->text[i]);
}
DEFINE_AUTO_STRUCT(struct args, args_release);

static bool take_args(const struct buf *m, const char *fields, struct args *a)
{
	struct wire_reader r = wire_fields(m);
	size_t texts = 0, numbers = 0;
	bool ok = true;

	for (const char *f = fields; *f && ok; f++) {
		if (*f == 't')
			ok = wire_take_text(&r, &a->text[texts++]);
		else if (*f == 'n')
			ok = wire_take_number(&r, &a->number[numbers++]);
		else
			ok = wire_take(&r, &a->bytes, &a->len);
	}
	return ok && wire_end(&r);
}

static void answer_error(struct driver *d, int code, const char *text)
{
	wire_begin(&d->answer, (uint32_t)(code > 0 ? code : EIO));
	wire_text(&d->answer, text ? text : "unknown");
}

static void do_request(struct driver *d, uint32_t code, const struct buf *m)
{
	AUTO(args_release) struct args a = {0};

	if (code >= ARRAY_SIZE(requests) || !requests[code].fn ||
	    !take_args(m, requests[code].fields, &a)) {
		answer_error(d, EINVAL, "a malformed request");
		return;
	}
	wire_begin(&d->answer, 0);
	if (requests[code].fn(d, &a) < 0)
		answer_error(d, d->lib.last_errno(d->g), d->lib.last_error(d->g));
}

static int load(struct driver *d, struct err *e)
{
	int rc = libguestfs_load(&d->lib, e);

	if (rc < 0)
		return rc;
	/* Where an ordinary user's sockets go. */
	setenv("XDG_RUNTIME_DIR", d->o->folder, 1);
	signal(SIGXFSZ, SIG_IGN);
	d->g = d->lib.create();
	if (!d->g)
		return err_set(e, EIO, "guestfs_create: %s", strerror(errno));
	d->lib.set_error_handler(d->g, say_nothing, NULL);
	return 0;
}

void driver_run(int fd, const struct driver_opts *o)
{
	struct driver d = {.o = o, .fd = fd};
	AUTO_BUF m = BUF_INIT;
	struct err e = {0};
	uint32_t code;

	while (wire_receive(fd, REQUEST_TIMEOUT_S, &m, &code, &e) > 0) {
		if (!d.g && load(&d, &e) < 0)
			answer_error(&d, e.code, e.msg);
		else
			do_request(&d, code, &m);
		if (wire_send(fd, &d.answer, &e) < 0)
			break;
		if (code == WIRE_FINISH)
			break;
	}
	buf_release(&d.answer);
	if (d.g)
		d.lib.close(d.g);
}
