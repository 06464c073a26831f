/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's serial console, followed while it grows: lines that tell how far the boot is become
 * milestones. They are for people; nothing is decided by them. What a guest prints is hostile: only
 * words of ours and escaped excerpts are shown, and each milestone once.
 */
#include <fcntl.h>
#include <time.h>

#include "catalog/run.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

#define LINE_MAX_BYTES 4096
#define EXCERPT 160

static const struct {
	const char *pattern; /* of str_glob, over a line */
	const char *say;
	bool excerpt; /* show what stood at the pattern's last fixed word */
} milestones[] = {
	{"*SeaBIOS*", "firmware", false},
	{"*Booting *from Hard Disk*", "boot loader", false},
	{"*Linux version *", "kernel", false},
	{"*systemd[1]: Inserted module*", "systemd in the initrd", false},
	{"*Welcome to *", "init system", false},
	{"*ctxd*local*", "ctxd: context applied", false},
	{"*ctxd*imds*", "ctxd: serving 169.254.169.254", false},
	{"*Cloud-init v. * running 'init-local'*", "cloud-init: local stage", false},
	{"*Cloud-init v. * running 'init'*", "cloud-init: network stage", false},
	{"*Cloud-init v. * running 'modules:config'*", "cloud-init: config modules", false},
	{"*Cloud-init v. * running 'modules:final'*", "cloud-init: final modules", false},
	{"*Cloud-init v. * finished at *", "cloud-init finished", true},
	{"* login: *", "login prompt", false},
	{"*Kernel panic*", "KERNEL PANIC", true},
	{"*reboot: Power down*", "powered off", false},
};

struct console {
	int fd;
	struct buf line;
	bool seen[ARRAY_SIZE(milestones)];
	struct timespec started;
};

int console_open(const char *dir, struct console **ret, struct err *e)
{
	AUTO(console_free) struct console *c = calloc(1, sizeof(*c));
	AUTO_FREE char *path = path_join(dir, "console.log");

	if (!c || !path)
		return err_nomem(e);
	/* QEMU makes the file anew and writes into it: the same one that we hold open. */
	c->fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
	if (c->fd < 0)
		return err_errno(e, errno, "opening '%s'", path);
	clock_gettime(CLOCK_MONOTONIC, &c->started);
	*ret = STEAL(c);
	return 0;
}

void console_free(struct console *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	buf_release(&c->line);
	free(c);
}

static void tell(const struct console *c, const char *what, const char *excerpt)
{
	struct timespec now;
	double s;

	clock_gettime(CLOCK_MONOTONIC, &now);
	s = (double)(now.tv_sec - c->started.tv_sec) +
	    (double)(now.tv_nsec - c->started.tv_nsec) / 1e9;
	if (excerpt)
		log_info("%6.1f s  guest: %s: %.*s", s, what, EXCERPT, excerpt);
	else
		log_info("%6.1f s  guest: %s", s, what);
}

static void look_at_line(struct console *c)
{
	const char *line = buf_str(&c->line);

	for (size_t i = 0; i < ARRAY_SIZE(milestones); i++) {
		const char *from;

		if (c->seen[i] || !str_glob(milestones[i].pattern, line))
			continue;
		c->seen[i] = true;
		from = strstr(line, "finished at");
		tell(c, milestones[i].say,
		     milestones[i].excerpt ? (from ? from + 12 : line) : NULL);
	}
	buf_clear(&c->line);
}

void console_poll(struct console *c)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(c->fd, chunk, sizeof(chunk))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			char ch = chunk[i];

			if (ch == '\n' || c->line.len >= LINE_MAX_BYTES)
				look_at_line(c);
			else if (ch && ch != '\r' && buf_addc(&c->line, ch) < 0)
				return;
		}
	}
	/* A login prompt ends without a newline. */
	if (c->line.len && str_glob("* login: ", buf_str(&c->line)))
		look_at_line(c);
}
