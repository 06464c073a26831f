/* SPDX-License-Identifier: Apache-2.0 */
/* The context in /run: see ctxd/state.h. */
#include "ctxd/state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

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
	static const char *const old[] = {STATE_CONTEXT, STATE_BOOTED};
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

int state_save(struct guest *g, const struct context *c, struct err *e)
{
	AUTO_BUF bytes = BUF_INIT;
	AUTO_FREE char *dir = guest_path(g, STATE_DIR), *path = guest_path(g, STATE_CONTEXT);
	int rc = dir && path ? wire_encode(c, NULL, &bytes, e) : err_nomem(e);

	if (rc < 0 || g->dry_run)
		return rc;
	rc = fs_mkdir_p(dir, 0755, e);
	if (rc == 0 && chmod(dir, 0700) < 0)
		rc = err_errno(e, errno, "'%s'", dir);
	return rc < 0 ? rc : fs_write_file(path, bytes.data, bytes.len, 0600, e);
}

int state_read(const struct guest *g, struct buf *out, struct err *e)
{
	AUTO_FREE char *path = guest_path(g, STATE_CONTEXT);

	return path ? fs_read_file(path, WIRE_MAX, out, e) : err_nomem(e);
}

int state_load(const struct guest *g, struct context **ret, struct err *e)
{
	AUTO_FREE char *path = guest_path(g, STATE_CONTEXT);
	AUTO_BUF bytes = BUF_INIT;
	int rc = path ? state_read(g, &bytes, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	rc = wire_decode(buf_str(&bytes), bytes.len, ret, NULL, e);
	return rc < 0 ? err_wrap(e, "'%s'", path) : 0;
}

int state_remove(struct guest *g, struct err *e)
{
	AUTO_FREE char *path = guest_path(g, STATE_CONTEXT), *dir = guest_path(g, STATE_DIR);
	AUTO_FREE char *boot = guest_path(g, STATE_BOOT);

	if (!path || !dir || !boot)
		return err_nomem(e);
	if (!g->dry_run && unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_errno(e, errno, "removing '%s'", path);
	if (!g->dry_run && !guest_exists(g, STATE_BOOTED))
		unlink(boot);
	if (!g->dry_run)
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
