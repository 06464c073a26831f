/* SPDX-License-Identifier: Apache-2.0 */
/* Services without a service manager: see ctxd/background.h. */
#include "ctxd/background.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/fs.h"
#include "lib/str.h"

#define PID_LIMIT 32
#define PATH_LIMIT 4096
#define PID_MAX (1 << 22)
#define LOG_LIMIT MIB
#define STOP_TRIES 250
#define STOP_WAIT_NS 20000000

int background_fork(int *ret_fd, int *ret_status, struct err *e)
{
	int fds[2], status;
	pid_t pid;
	char c;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return err_errno(e, errno, "fork");
	}
	if (!pid) {
		close(fds[0]);
		setsid();
		*ret_fd = fds[1];
		return 0;
	}
	close(fds[1]);
	*ret_status = 0;
	if (read(fds[0], &c, 1) != 1) {
		*ret_status = 1;
		if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status))
			*ret_status = WEXITSTATUS(status);
	}
	close(fds[0]);
	return 1;
}

int background_ready(const struct guest *g, const char *pid_path, int fd, struct err *e)
{
	AUTO_FD int parent = fd;
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_FREE char *path = guest_path(g, pid_path);
	char text[PID_LIMIT];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	int rc = path ? fs_write_file(path, text, (size_t)n, 0644, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	if (null < 0 || chdir("/") < 0)
		return err_errno(e, errno, "going to the background");
	if (write(parent, "", 1) != 1)
		return err_errno(e, errno, "telling the caller");
	for (int i = 0; i <= 2; i++) {
		if (dup2(null, i) < 0)
			return err_errno(e, errno, "going to the background");
	}
	return 0;
}

/* The program that a process runs, also if it was replaced since. */
static bool program_of(const char *proc, char out[PATH_LIMIT])
{
	static const char gone[] = " (deleted)";
	ssize_t n = readlink(proc, out, PATH_LIMIT - 1);

	if (n < 0)
		return false;
	out[n] = '\0';
	if (str_has_suffix(out, gone))
		out[(size_t)n - strlen(gone)] = '\0';
	return true;
}

/* A number that was left behind may be another process's by now. */
static bool is_this_program(int pid)
{
	char proc[64], theirs[PATH_LIMIT], ours[PATH_LIMIT];

	snprintf(proc, sizeof(proc), "/proc/%d/exe", pid);
	return program_of(proc, theirs) && program_of("/proc/self/exe", ours) &&
	       !strcmp(theirs, ours);
}

int background_running(const struct guest *g, const char *pid_path, int *ret_pid, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	uint64_t pid = 0;
	int rc = guest_read(g, pid_path, &text, e);

	if (rc <= 0)
		return rc;
	if (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	if (str_to_u64(buf_str(&text), 1, PID_MAX, &pid, NULL) < 0 || !is_this_program((int)pid))
		return 0;
	*ret_pid = (int)pid;
	return 1;
}

int background_stop(const struct guest *g, const char *pid_path, struct err *e)
{
	static const struct timespec nap = {.tv_nsec = STOP_WAIT_NS};
	AUTO_FREE char *path = guest_path(g, pid_path);
	int pid = 0, rc = path ? background_running(g, pid_path, &pid, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	if (rc && kill(pid, SIGTERM) < 0 && errno != ESRCH)
		return err_errno(e, errno, "process %d", pid);
	for (unsigned i = 0; rc && is_this_program(pid); i++) {
		if (i == STOP_TRIES)
			return err_set(e, ETIMEDOUT, "process %d does not end", pid);
		nanosleep(&nap, NULL);
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(e, errno, "'%s'", path);
	return 0;
}

int background_detach(struct err *e)
{
	pid_t pid = fork();

	if (pid < 0)
		return err_errno(e, errno, "fork");
	if (pid > 0)
		_exit(0);
	setsid();
	return 0;
}

int background_log(const struct guest *g, struct err *e)
{
	AUTO_FREE char *path = guest_path(g, BACKGROUND_LOG);
	AUTO_FD int fd = -1;
	struct stat st;

	if (!path)
		return err_nomem(e);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "'%s'", path);
	if (S_ISREG(st.st_mode) && st.st_size > (off_t)LOG_LIMIT && ftruncate(fd, 0) < 0)
		return err_errno(e, errno, "'%s'", path);
	if (dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		return err_errno(e, errno, "going to the background");
	return 0;
}
