/* SPDX-License-Identifier: Apache-2.0 */
/* The context in /run: see ctxd/state.h. */
#include "ctxd/state.h"

#include <sys/stat.h>

#include "ctxd/wire.h"
#include "lib/fs.h"

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

	if (!path || !dir)
		return err_nomem(e);
	if (!g->dry_run && unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return err_errno(e, errno, "removing '%s'", path);
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
