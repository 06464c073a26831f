/* SPDX-License-Identifier: Apache-2.0 */
/* The context in /run: see ctxd/state.h. */
#include "ctxd/state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "ctxd/detect.h"
#include "ctxd/wire.h"
#include "lib/fs.h"

#define STATE_BOOT STATE_DIR "/boot" /* the boot's own number, as the kernel says it */
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX 128

/* The folder, which is root's alone, so that nobody else holds the lock. */
static int open_dir(const struct guest *g, int *ret, struct err *e)
{
	AUTO_FREE char *dir = guest_path(g, STATE_DIR);
	int rc = dir ? fs_mkdir_p(dir, 0755, e) : err_nomem(e);

	if (rc == 0 && chmod(dir, 0700) < 0)
		rc = err_errno(e, errno, "'%s'", dir);
	if (rc < 0)
		return rc;
	*ret = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? err_errno(e, errno, "'%s'", dir) : 0;
}

int state_lock(struct guest *g, struct err *e)
{
	while (!g->dry_run && g->lock < 0) {
		AUTO_FD int fd = -1;
		struct stat st;
		int rc = open_dir(g, &fd, e);

		if (rc == -ENOENT)
			continue; /* state_remove came between */
		if (rc < 0)
			return rc;
		while (flock(fd, LOCK_EX) < 0) {
			if (errno != EINTR)
				return err_errno(e, errno, "waiting for another ctxd");
		}
		/* Who held it may have taken the folder away. */
		if (fstat(fd, &st) < 0)
			return err_errno(e, errno, "'" STATE_DIR "'");
		if (st.st_nlink > 0)
			g->lock = steal_fd(&fd);
	}
	return 0;
}

void state_unlock(struct guest *g)
{
	if (g->lock >= 0)
		close(g->lock);
	g->lock = -1;
}

int state_begin(struct guest *g, struct err *e)
{
	static const char *const old[] = {STATE_CONTEXT, STATE_BOOTED, STATE_POLL, STATE_READY};
	AUTO_FREE char *boot = guest_path(g, BOOT_ID), *path = guest_path(g, STATE_BOOT);
	AUTO_BUF now = BUF_INIT, then = BUF_INIT;

	if (!boot || !path)
		return err_nomem(e);
	if (g->dry_run || fs_read_file(boot, BOOT_ID_MAX, &now, NULL) < 0 || !now.len)
		return 0;
	if (fs_read_file(path, BOOT_ID_MAX, &then, NULL) == 0 && then.len == now.len &&
	    memcmp(then.data, now.data, now.len) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(old); i++) {
		AUTO_FREE char *full = guest_path(g, old[i]);

		if (!full)
			return err_nomem(e);
		if (unlink(full) < 0 && errno != ENOENT)
			return err_errno(e, errno, "removing '%s'", full);
	}
	return fs_write_file(path, now.data, now.len, 0600, e);
}

bool state_is_remote(const struct context *c)
{
	return c->source && strstr(c->source, " http://");
}

/* What is on a medium is told of by the kernel; what a service or VMware's host say is not. */
static bool is_silent(const struct context *c)
{
	return state_is_remote(c) || (c->source && strstr(c->source, " " VMWARE_VARIABLE));
}

static int mark_silent(const struct guest *g, bool silent, struct err *e)
{
	AUTO_FREE char *path = guest_path(g, STATE_POLL);

	if (!path)
		return err_nomem(e);
	if (silent)
		return fs_write_file(path, "", 0, 0600, e);
	return unlink(path) < 0 && errno != ENOENT ? err_errno(e, errno, "'%s'", path) : 0;
}

int state_save(struct guest *g, const struct context *c, struct err *e)
{
	AUTO_BUF bytes = BUF_INIT, old = BUF_INIT;
	AUTO_FREE char *path = guest_path(g, STATE_CONTEXT);
	AUTO_FD int dir = -1;
	int rc = path ? wire_encode(c, NULL, &bytes, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	if (fs_read_file(path, WIRE_MAX, &old, NULL) == 0 && old.len == bytes.len &&
	    memcmp(old.data, bytes.data, old.len) == 0)
		return 0;
	if (g->dry_run)
		return 1;
	rc = open_dir(g, &dir, e);
	if (rc == 0)
		rc = mark_silent(g, is_silent(c), e);
	if (rc == 0)
		rc = fs_write_file(path, bytes.data, bytes.len, 0600, e);
	return rc < 0 ? rc : 1;
}

int state_load(const struct guest *g, struct context **ret, struct err *e)
{
	AUTO_FREE char *path = guest_path(g, STATE_CONTEXT);
	AUTO_BUF bytes = BUF_INIT;
	int rc = path ? fs_read_file(path, WIRE_MAX, &bytes, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	rc = wire_decode(buf_str(&bytes), bytes.len, ret, NULL, e);
	return rc < 0 ? err_wrap(e, "'%s'", path) : 0;
}

int state_remove(struct guest *g, struct err *e)
{
	AUTO_FREE char *path = guest_path(g, STATE_CONTEXT), *dir = guest_path(g, STATE_DIR);
	AUTO_FREE char *boot = guest_path(g, STATE_BOOT), *poll = guest_path(g, STATE_POLL);

	if (!path || !dir || !boot || !poll)
		return err_nomem(e);
	if (g->dry_run)
		return 0;
	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_errno(e, errno, "removing '%s'", path);
	unlink(poll);
	if (!guest_exists(g, STATE_BOOTED))
		unlink(boot);
	rmdir(dir); /* but what else of the boot is there stays */
	return 0;
}

int state_mark_booted(struct guest *g, struct err *e)
{
	AUTO_FREE char *path = guest_path(g, STATE_BOOTED);

	if (!path)
		return err_nomem(e);
	return g->dry_run ? 0 : fs_write_file(path, "", 0, 0600, e);
}
