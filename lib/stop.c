/* SPDX-License-Identifier: Apache-2.0 */
/* Ending on request: see lib/stop.h. Everything here is async-signal-safe where it must be. */
#include "lib/stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define GUARD_SLOTS 16
#define GUARD_PATH 4096

static volatile sig_atomic_t stop_signal, held;
static unsigned limit_s;

/* The handler reads paths only of slots whose flag is set; a flag is set after its path. */
static struct {
	char path[GUARD_PATH];
	atomic_bool used;
} guards[GUARD_SLOTS];
static pthread_mutex_t guards_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_signal(int sig)
{
	if (!stop_signal) {
		stop_signal = sig;
		return;
	}
	for (size_t i = 0; i < GUARD_SLOTS; i++) {
		if (atomic_load(&guards[i].used))
			unlink(guards[i].path);
	}
	_exit(128 + sig);
}

void stop_install(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction old;

		/* What nohup or a shell's background job ignores stays ignored. */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	}
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	sigaction(SIGXFSZ, &sa, NULL);
}

/* The time is over: a request, but never an end at once. */
static void on_alarm(int sig)
{
	if (!stop_signal)
		stop_signal = sig;
}

void stop_after(unsigned seconds)
{
	struct sigaction sa = {.sa_handler = on_alarm};

	sigemptyset(&sa.sa_mask);
	sigaction(SIGALRM, &sa, NULL);
	limit_s = seconds;
	alarm(seconds);
}

void stop_hold(bool hold)
{
	held = hold;
}

bool stop_requested(void)
{
	return stop_signal != 0 && !held;
}

int stop_check(struct err *e)
{
	if (!stop_requested())
		return 0;
	if (stop_signal == SIGALRM)
		return err_set(e, ECANCELED, "it took longer than %u s", limit_s);
	return err_set(e, ECANCELED, "stopped by signal %d", (int)stop_signal);
}

int stop_exit_status(int status)
{
	return stop_signal && stop_signal != SIGALRM ? 128 + (int)stop_signal : status;
}

int stop_guard_file(const char *path)
{
	int slot = -ENOSPC;

	if (strlen(path) >= GUARD_PATH)
		return -ENOSPC;
	pthread_mutex_lock(&guards_lock);
	for (int i = 0; i < GUARD_SLOTS && slot < 0; i++) {
		if (!atomic_load(&guards[i].used)) {
			memcpy(guards[i].path, path, strlen(path) + 1);
			atomic_store(&guards[i].used, true);
			slot = i;
		}
	}
	pthread_mutex_unlock(&guards_lock);
	return slot;
}

void stop_unguard_file(int slot)
{
	if (slot >= 0)
		atomic_store(&guards[slot].used, false);
}
