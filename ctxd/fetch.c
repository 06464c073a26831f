/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what is hostile apart: see ctxd/fetch.h.
 *
 * The child keeps two descriptors, the medium and a pipe, and is confined (ctxd/confine.h); where
 * it asks a metadata service, it can have a third one, for a connection. Through the pipe it sends
 * one byte and the rest: 'C' and a context (ctxd/wire.h), or 'E' and a message.
 */
#include "ctxd/fetch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "context/iso.h"
#include "ctxd/confine.h"
#include "ctxd/crawl.h"
#include "ctxd/fat.h"
#include "ctxd/userdata.h"
#include "ctxd/wire.h"
#include "lib/clock.h"
#include "lib/fs.h"

#define TIMEOUT_MS 15000
#define NETWORK_TIMEOUT_MS 60000
#define DOCS_MAX (16 * MIB) /* bytes of all documents */

/* ---- the child ------------------------------------------------------------------------- */

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
	else if ((rc = crawl(d->dialect->name, d->url, docs, e)) < 0)
		return err_wrap(e, "'%s'", d->where);
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

	if (!confine(in, out, d->media == MEDIA_HTTP) || buf_addc(&message, 'C') < 0)
		_exit(2);
	if (parse(d, o, &message, &e) < 0) {
		buf_clear(&message);
		if (buf_addf(&message, "E%c%s", (char)e.code, e.msg) < 0)
			_exit(2);
	}
	_exit(fs_write(1, message.data, message.len, &e) < 0 ? 2 : 0);
}

/* ---- the parent ------------------------------------------------------------------------ */

/* All that comes through the pipe, until its end or the time is over. */
static int receive(int fd, unsigned timeout_ms, struct buf *message, struct err *e)
{
	uint64_t end = clock_ms() + timeout_ms;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int left = clock_left_ms(end);
		ssize_t n;
		int ready = left ? poll(&p, 1, left) : 0;

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
