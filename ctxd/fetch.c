/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what is hostile apart: see ctxd/fetch.h.
 *
 * The child keeps two descriptors, the medium and a pipe, and cannot get another one
 * (RLIMIT_NOFILE 0), so it can open no file and no socket, nor load anything; where it asks a
 * metadata service, it can have a third one, for a connection. Through the pipe it sends one byte
 * and the rest: 'C' and a context (ctxd/wire.h), or 'E' and a message.
 */
#include "ctxd/fetch.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "context/iso.h"
#include "ctxd/crawl.h"
#include "ctxd/fat.h"
#include "ctxd/userdata.h"
#include "ctxd/wire.h"
#include "lib/fs.h"

#define TIMEOUT_MS 15000
#define NETWORK_TIMEOUT_MS 60000
#define DOCS_MAX (16 * MIB) /* bytes of all documents */
#define CPU_SECONDS 5
#define MEMORY (128 * MIB)
#define NOBODY 65534

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- the child ------------------------------------------------------------------------- */

static bool limit(int resource, rlim_t value)
{
	struct rlimit l = {value, value};

	return setrlimit(resource, &l) == 0;
}

/* Keeps the two descriptors, as 0 and 1, and closes the others. */
static bool keep_two(int in, int out)
{
	int high_in = fcntl(in, F_DUPFD, 3), high_out = fcntl(out, F_DUPFD, 3);

	if (high_in < 0 || high_out < 0 || dup2(high_in, 0) < 0 || dup2(high_out, 1) < 0)
		return false;
#ifdef SYS_close_range
	if (syscall(SYS_close_range, 2, ~0u, 0) == 0)
		return true;
#endif
	for (int fd = 2; fd < 1024; fd++)
		close(fd);
	return true;
}

/*
 * The sanitizers' run-time library needs memory and descriptors of its own, so with them some
 * bounds are left out.
 */
static bool confine(rlim_t descriptors)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return false;
	if (!limit(RLIMIT_CPU, CPU_SECONDS) || !limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, 0))
		return false;
	if (!SANITIZED && (!limit(RLIMIT_AS, MEMORY) || !limit(RLIMIT_NOFILE, descriptors)))
		return false;
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return false;
	return true;
}

static int add_doc(void *arg, const char *path, const void *data, size_t len, struct err *e)
{
	return tree_add(arg, 0, path, data, len, e);
}

/* The documents, sealed. */
static int gather(const struct detection *d, struct tree **ret, struct err *e)
{
	AUTO(tree_free) struct tree *docs = NULL;
	int rc = tree_new(&docs, e);

	if (rc < 0)
		return rc;
	if (d->media == MEDIA_ISO)
		rc = iso_walk(0, d->where, DOCS_MAX, add_doc, docs, e);
	else if (d->media == MEDIA_FAT)
		rc = fat_walk(0, d->where, DOCS_MAX, add_doc, docs, e);
	else
		rc = crawl(d->dialect->name, d->url, docs, e);
	if (rc == 0)
		rc = tree_seal(docs, e);
	if (rc == 0)
		*ret = STEAL(docs);
	return rc;
}

/* What was said beside the documents counts where they say nothing. */
static int add_hints(const struct detection *d, struct context *c, struct err *e)
{
	int rc = 0;

	if (d->instance_id && context_check_instance_id(d->instance_id, NULL) == 0)
		rc = context_set(&c->instance_id, d->instance_id);
	if (rc == 0 && d->hostname && !c->hostname &&
	    context_check_hostname(d->hostname, NULL) == 0)
		rc = context_set(&c->hostname, d->hostname);
	return rc < 0 ? err_nomem(e) : 0;
}

static int parse(const struct detection *d, const struct fetch_opts *o, struct buf *out,
		 struct err *e)
{
	AUTO(tree_free) struct tree *docs = NULL;
	AUTO(context_free) struct context *c = NULL;
	AUTO(strlist_release) struct strlist notes = {0};
	char source[256];
	int rc = d->media == MEDIA_DOCS ? 0 : gather(d, &docs, e);

	if (rc < 0)
		return rc;
	snprintf(source, sizeof(source), "%s %s", d->dialect->name, d->where);
	rc = dialect_read(d->dialect, docs ? docs : d->docs, source, &notes, &c, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", d->where);
	rc = add_hints(d, c, e);
	if (rc == 0 && o->with_user_data)
		rc = userdata_expand(c, &notes, e);
	return rc < 0 ? rc : wire_encode(c, &notes, out, e);
}

static void child(const struct detection *d, const struct fetch_opts *o, int in, int out)
{
	AUTO_BUF message = BUF_INIT;
	struct err e;

	if (!keep_two(in, out) || !confine(d->media == MEDIA_HTTP ? 3 : 0))
		_exit(2);
	if (buf_addc(&message, 'C') < 0)
		_exit(2);
	if (parse(d, o, &message, &e) < 0) {
		buf_clear(&message);
		if (buf_addf(&message, "E%c%s", (char)e.code, e.msg) < 0)
			_exit(2);
	}
	_exit(fs_write(1, message.data, message.len, &e) < 0 ? 2 : 0);
}

/* ---- the parent ------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* All that comes through the pipe, until its end or the time is over. */
static int receive(int fd, unsigned timeout_ms, struct buf *message, struct err *e)
{
	int64_t end = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = end - now_ms();
		ssize_t n;
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready < 0)
			return err_errno(e, errno, "waiting for the reader");
		if (ready == 0)
			return err_set(e, ETIMEDOUT, "not read within %u s", timeout_ms / 1000);
		if (buf_reserve(message, 64 * KIB) < 0)
			return err_nomem(e);
		n = read(fd, message->data + message->len, 64 * KIB);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "reading what the reader sent");
		if (n == 0)
			return 0;
		message->len += (size_t)n;
		message->data[message->len] = '\0';
		if (message->len > WIRE_MAX + 1)
			return err_set(e, EFBIG, "the reader sent more than %llu bytes",
				       (unsigned long long)WIRE_MAX);
	}
}

/* How the child ended, if not well. */
static int judge(int status, struct err *e)
{
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "the reader died of signal %d%s", WTERMSIG(status),
			       WTERMSIG(status) == SIGXCPU ? " (too much time)" : "");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, EIO, "the reader could not be confined");
	return 0;
}

static int take(const struct buf *message, const char *where, struct context **ret,
		struct strlist *notes, struct err *e)
{
	if (message->len >= 2 && message->data[0] == 'E') {
		int code = (unsigned char)message->data[1];

		return err_set(e, code ? code : EBADMSG, "%s", message->data + 2);
	}
	if (message->len < 1 || message->data[0] != 'C')
		return err_set(e, EBADMSG, "%s: the reader sent nothing of use", where);
	if (wire_decode(message->data + 1, message->len - 1, ret, notes, e) < 0)
		return err_wrap(e, "%s", where);
	return 0;
}

int fetch_context(const struct detection *d, const struct fetch_opts *o, struct context **ret,
		  struct strlist *notes, struct err *e)
{
	bool network = d->media == MEDIA_HTTP;
	AUTO_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	AUTO_BUF message = BUF_INIT;
	AUTO_FD int from = -1;
	int ends[2], status = 0, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, errno, "making a pipe");
	from = ends[0];
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		/* Where there is neither, the pipe's other end is as good as /dev/null. */
		child(d, o, d->fd >= 0 ? d->fd : null >= 0 ? null : ends[0], ends[1]);
	close(ends[1]);
	if (pid < 0)
		return err_errno(e, errno, "starting the reader");
	rc = receive(from, network ? NETWORK_TIMEOUT_MS : TIMEOUT_MS, &message, e);
	if (rc < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == 0)
		rc = judge(status, e);
	if (rc < 0)
		return err_wrap(e, "%s", d->where);
	return take(&message, d->where, ret, notes, e);
}
