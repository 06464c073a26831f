/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctxd watch: for machines without udev, or without systemd and with a context of whose changes nobody
 * tells: waits, and has `ctxd update` look.
 */
#include <fcntl.h>
#include <signal.h>

#include "ctxd/background.h"
#include "ctxd/commands.h"
#include "ctxd/events.h"
#include "ctxd/state.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/proc.h"

#define QUIET_MS 1000 /* one change seldom comes alone */
#define QUIET_ROUNDS 10
#define ASK_MS 300000 /* as ctxd-update.timer */
#define POLL_PATH "/sys/module/block/parameters/events_dfl_poll_msecs"
#define POLL_MS "2000\n"

enum {
	OPT_DOWN = 512,
};

/* Without udev nobody asks the kernel to look whether a CD-ROM's medium was changed. */
static void poll_media(void)
{
	AUTO_FD int fd = open(POLL_PATH, O_RDWR | O_CLOEXEC);
	char now[2] = "";

	if (fd < 0 || read(fd, now, 1) != 1 || now[0] != '0')
		return;
	if (pwrite(fd, POLL_MS, sizeof(POLL_MS) - 1, 0) < 0)
		log_debug("'" POLL_PATH "': %s", strerror(errno));
}

/* In a process of its own: this one stays small, and goes on whatever happens. */
static void update(void)
{
	static const char *const argv[] = {"/proc/self/exe", "update", NULL};
	struct proc_opts o = PROC_OPTS_INIT;
	struct err e;
	pid_t pid;
	int rc = proc_start(argv, &o, &pid, &e);

	if (rc == 0)
		rc = proc_wait(pid, &e);
	if (rc < 0)
		log_err("%s", e.msg);
}

static int watch(const struct guest *g, bool background, int fd, bool ask, struct err *e)
{
	/* There is nothing to clean up; an update that runs comes to its own end. */
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	for (;;) {
		int rc = events_wait(fd, ask ? ASK_MS : -1, e);

		for (unsigned i = 0; rc > 0 && i < QUIET_ROUNDS; i++)
			rc = events_wait(fd, QUIET_MS, e);
		if (rc >= 0 && background)
			rc = background_log(g, e); /* each time, so that it stays small */
		if (rc < 0)
			return rc;
		update();
	}
}

/* Returns 1 where the watching is done, or is nobody's to do. *fd stays -1 where udev listens. */
static int begin(const struct guest *g, bool background, bool ask, int *fd, int *status,
		 struct err *e)
{
	bool udev = access("/run/udev/control", F_OK) == 0;
	int pid, ready = -1, rc = 0;

	if (udev && !ask) {
		log_info("udev is here, and its rule starts what is to be done");
		return 1;
	}
	rc = background_running(g, WATCH_PID, &pid, e);
	if (rc > 0)
		log_info("process %d watches already", pid);
	if (rc == 0 && !udev)
		rc = events_open(fd, e); /* before anybody is told that it watches */
	if (rc == 0 && background)
		rc = background_fork(&ready, status, e);
	if (rc == 0 && !udev)
		poll_media();
	if (rc == 0 && background)
		rc = background_ready(g, WATCH_PID, ready, e);
	return rc;
}

int cmd_watch(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"background", no_argument, NULL, 'b'},
		{"down", no_argument, NULL, OPT_DOWN},
		{0},
	};
	AUTO(guest_release) struct guest g = GUEST_INIT;
	bool background = false, down = false, ask;
	int opt, rc, status = EXIT_OK;
	AUTO_FD int fd = -1;
	struct err e;

	while ((opt = cli_getopt(self, argc, argv, "b", options)) != -1) {
		if (opt == 'b')
			background = true;
		else if (opt == OPT_DOWN)
			down = true;
	}
	if (optind != argc)
		return cli_usage(self, "no argument is expected");
	ask = guest_exists(&g, STATE_POLL);
	rc = down ? background_stop(&g, WATCH_PID, &e)
		  : begin(&g, background, ask, &fd, &status, &e);
	if (rc == 0 && !down)
		rc = watch(&g, background, fd, ask, &e);
	return rc < 0 ? cli_fail(&e) : cli_finish(status);
}
