/* SPDX-License-Identifier: Apache-2.0 */
/* Running what the context brings: see ctxd/run.h. */
#include "ctxd/run.h"

#include <sys/stat.h>

#include "ctxd/state.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"

/* ---- environment ------------------------------------------------------------------------- */

/*
 * Variables by which a context could make other programs behave otherwise: none of these is given
 * on, whatever the context says.
 */
static bool is_dangerous(const char *name)
{
	static const char *const names[] = {
		"PATH",           "IFS",    "ENV",      "BASH_ENV",   "SHELLOPTS",
		"BASHOPTS",       "PS4",    "HOME",     "USER",       "LOGNAME",
		"PROMPT_COMMAND", "CDPATH", "SHELL",    "GLOBIGNORE", "TMPDIR",
		"EDITOR",         "PAGER",  "LANGUAGE", "HISTFILE"};
	static const char *const prefixes[] = {"LD_",  "DYLD_", "BASH_FUNC", "PYTHON",  "PERL",
					       "RUBY", "NODE_", "GCONV_",    "MALLOC_", "GIT_",
					       "SSL_", "SUDO_", "SYSTEMD_",  "LC_",     "NLSPATH"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (str_has_prefix(name, prefixes[i]))
			return true;
	}
	return false;
}

static bool is_variable(const char *name)
{
	if (!(*name >= 'A' && *name <= 'Z') && *name != '_')
		return false;
	for (const char *p = name; *p; p++) {
		if (!(*p >= 'A' && *p <= 'Z') && !(*p >= '0' && *p <= '9') && *p != '_')
			return false;
	}
	return true;
}

static int make_environment(const struct context *c, struct strlist *env)
{
	AUTO_FREE char *id = str_format("INSTANCE_ID=%s", c->instance_id ? c->instance_id : "");
	AUTO_FREE char *host = str_format("HOSTNAME=%s", c->hostname ? c->hostname : "");
	int rc = id && host ? strlist_add(env, "PATH=" RUN_PATH) : -ENOMEM;

	if (rc == 0)
		rc = strlist_add(env, "HOME=/root");
	if (rc == 0)
		rc = strlist_add(env, id);
	if (rc == 0)
		rc = strlist_add(env, host);
	for (size_t i = 0; rc == 0 && i < c->n_extra; i++) {
		AUTO_FREE char *line = NULL;

		if (!is_variable(c->extra[i].key) || is_dangerous(c->extra[i].key))
			continue;
		line = str_format("%s=%s", c->extra[i].key, c->extra[i].value);
		rc = line ? strlist_add(env, line) : -ENOMEM;
	}
	return rc;
}

/* ---- files ------------------------------------------------------------------------------- */

/* A folder of ctxd's own, for root alone. */
static int make_folder(struct apply *a, const char *path, struct err *e)
{
	AUTO_FREE char *full = guest_path(a->g, path);
	int rc = full ? fs_mkdir_p(full, 0755, e) : err_nomem(e);

	if (rc == 0 && chmod(full, 0700) < 0)
		rc = err_errno(e, errno, "'%s'", full);
	return rc;
}

int run_write_files(struct apply *a, struct err *e)
{
	int rc = a->g->dry_run ? 0 : make_folder(a, RUN_FILES, e);

	for (size_t i = 0; rc >= 0 && i < a->c->n_files; i++) {
		const struct context_file *f = &a->c->files[i];
		AUTO_FREE char *path = NULL;

		if (f->path || !f->name || !name_is_plain(f->name))
			continue;
		path = str_format(RUN_FILES "/%s", f->name);
		rc = path ? guest_edit(a->g, path, buf_str(&f->content), f->content.len, 0600, e)
			  : err_nomem(e);
	}
	return rc < 0 ? rc : 0;
}

/* ---- scripts ----------------------------------------------------------------------------- */

int run_script(struct apply *a, const char *name, const struct buf *text, struct err *e)
{
	bool has_interpreter = str_has_prefix(buf_str(text), "#!");
	AUTO(strlist_release) struct strlist env = {0};
	AUTO_FREE char *path = str_format(RUN_SCRIPTS "/%s", name);
	AUTO_FREE char *full = path ? guest_path(a->g, path) : NULL;
	const char *argv[] = {"/usr/bin/env", "-i", NULL};
	struct proc_opts o = PROC_OPTS_INIT;
	const char **all = NULL;
	struct err mine;
	size_t n = 0;
	pid_t pid;
	int rc;

	if (!full || make_environment(a->c, &env) < 0)
		return err_nomem(e);
	if (guest_tell(a->g, e, "run %s", name) < 0)
		return -ENOMEM;
	if (a->g->dry_run || !a->g->live)
		return 0;
	rc = make_folder(a, RUN_SCRIPTS, e);
	if (rc == 0)
		rc = fs_write_file(full, buf_str(text), text->len, 0700, e);
	if (rc < 0)
		return rc;
	all = calloc(env.n + ARRAY_SIZE(argv) + 3, sizeof(*all));
	if (!all)
		return err_nomem(e);
	all[n++] = argv[0];
	all[n++] = argv[1];
	for (size_t i = 0; i < env.n; i++)
		all[n++] = env.v[i];
	if (!has_interpreter)
		all[n++] = "/bin/sh";
	all[n] = path;
	o.cwd = RUN_FILES;
	o.stdout_fd = STDERR_FILENO;
	state_unlock(a->g); /* it may take its time, and run ctxd itself */
	rc = proc_start(all, &o, &pid, e);
	free(all);
	if (rc == 0)
		rc = proc_wait(pid, e);
	if (state_lock(a->g, &mine) < 0)
		log_warn("%s", mine.msg);
	if (rc > 0)
		return err_set(e, EIO, "%s ended with status %d", name, rc);
	return rc;
}
