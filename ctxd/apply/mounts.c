/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: a block in /etc/fstab, from which the guest mounts at each later boot by its own means,
 * and now by its own mount(8). None of them can keep a boot from succeeding (nofail). A file system
 * is made, where that is asked for, only on a device on which none can be seen.
 */
#include <sys/stat.h>

#include "ctxd/apply.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"

#define FSTAB "/etc/fstab"
#define BLKID_NOTHING 2 /* its exit status where there is nothing to be seen */
#define MKFS_SECONDS 600

/* The place that a line of fstab mounts at, in place; NULL: none. */
static char *target_of(char *line)
{
	char *save = NULL, *word = strtok_r(line, " \t", &save);

	return word && *word != '#' ? strtok_r(NULL, " \t", &save) : NULL;
}

/* A line of fstab is for that place. */
static bool has_target(const char *fstab, const char *target)
{
	AUTO_FREE char *copy = strdup(fstab);
	char *save = NULL;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *word = target_of(line);

		if (word && strcmp(word, target) == 0)
			return true;
	}
	return false;
}

static bool is_mounted(const struct guest *g, const char *target)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_FREE char *word = str_format(" %s ", target);

	return word && guest_read(g, "/proc/self/mounts", &text, NULL) > 0 &&
	       strstr(buf_str(&text), word) != NULL;
}

static int add_line(struct buf *out, const struct context_mount *m)
{
	bool is_share = m->type && (strcmp(m->type, "virtiofs") == 0 || strcmp(m->type, "9p") == 0);

	return buf_addf(out, "%s\t%s\t%s\t%s%s\t0\t%d\n", m->source, m->target,
			m->type ? m->type : "auto", m->options ? m->options : "defaults",
			m->options && strstr(m->options, "nofail") ? "" : ",nofail",
			is_share ? 0 : 2);
}

/* True if blkid says that there is nothing on the device. */
static bool is_empty_device(const char *device)
{
	const char *const argv[] = {"blkid", "-p", device, NULL};
	struct proc_opts o = PROC_OPTS_INIT;
	pid_t pid;

	return proc_start(argv, &o, &pid, NULL) == 0 && proc_wait(pid, NULL) == BLKID_NOTHING;
}

static int make_fs(struct apply *a, const struct context_mount *m, struct err *e)
{
	const char *type = m->type && strcmp(m->type, "auto") != 0 ? m->type : "ext4";
	AUTO_FREE char *mkfs = str_format("mkfs.%s", type);
	const char *argv[5] = {mkfs};
	unsigned n = 1;

	if (!mkfs)
		return err_nomem(e);
	if (!str_has_prefix(m->source, "/dev/") || strchr(type, '/') || !is_empty_device(m->source))
		return 0;
	if (m->format_label) {
		argv[n++] = strcmp(type, "vfat") == 0 ? "-n" : "-L";
		argv[n++] = m->format_label;
	}
	argv[n] = m->source;
	if (guest_tell(a->g, e, "make a file system (%s) on %s", type, m->source) < 0)
		return -ENOMEM;
	return a->g->dry_run ? 0 : proc_run(argv, NULL, 0, NULL, 0, MKFS_SECONDS, e);
}

static int mount_now(struct apply *a, const struct context_mount *m, struct err *e)
{
	const char *const argv[] = {"mount", m->target, NULL};
	int rc;

	if (is_mounted(a->g, m->target))
		return 0;
	rc = m->format == CHOICE_YES ? make_fs(a, m, e) : 0;
	if (rc == 0)
		rc = guest_tell(a->g, e, "mount %s", m->target);
	if (rc < 0 || a->g->dry_run)
		return rc;
	rc = fs_mkdir_p(m->target, 0755, e);
	return rc < 0 ? rc : proc_run(argv, NULL, 0, NULL, 0, 60, e);
}

/* What fstab named for the context, and no longer does. */
static void unmount_others(struct apply *a, const char *theirs, const char *ours, char *was)
{
	char *save = NULL;

	for (char *line = strtok_r(was, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *target = target_of(line);
		const char *const argv[] = {"umount", target, NULL};
		struct err e;
		int rc;

		if (!target || has_target(theirs, target) || has_target(ours, target) ||
		    !is_mounted(a->g, target))
			continue;
		rc = guest_tell(a->g, &e, "unmount %s", target);
		if (rc == 0 && !a->g->dry_run)
			rc = proc_run(argv, NULL, 0, NULL, 0, 60, &e);
		if (rc < 0)
			log_warn("%s: %s", target, e.msg);
	}
}

static int apply_mounts(struct apply *a, struct err *e)
{
	AUTO_BUF was = BUF_INIT, fstab = BUF_INIT, lines = BUF_INIT;
	int rc = guest_read(a->g, FSTAB, &was, e);

	if (rc >= 0)
		rc = guest_original(a->g, FSTAB, &fstab, e);

	for (size_t i = 0; rc >= 0 && i < a->c->n_mounts; i++) {
		const struct context_mount *m = &a->c->mounts[i];

		if (!m->target || *m->target != '/') {
			log_warn("%s: the context does not say where to mount it", m->source);
			continue;
		}
		if (has_target(buf_str(&fstab), m->target)) {
			log_warn("%s is in " FSTAB ": left alone", m->target);
			continue;
		}
		if (add_line(&lines, m) < 0)
			return err_nomem(e);
	}
	if (rc >= 0 && (lines.len || guest_exists(a->g, FSTAB)))
		rc = guest_write_block(a->g, FSTAB, buf_str(&lines), 0644, false, e);
	if (rc > 0 && a->running && was.len && a->g->live)
		unmount_others(a, buf_str(&fstab), buf_str(&lines), was.data);
	for (size_t i = 0; rc >= 0 && a->g->live && i < a->c->n_mounts; i++) {
		const struct context_mount *m = &a->c->mounts[i];
		struct err mine;

		if (m->target && *m->target == '/' && !has_target(buf_str(&fstab), m->target) &&
		    mount_now(a, m, &mine) < 0)
			log_warn("%s: %s", m->target, mine.msg);
	}
	return rc < 0 ? rc : 0;
}

const struct part part_mounts = {"mounts", apply_mounts, NULL};
