/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials while they are good, and the process that gets new ones.
 *
 * The two talk over a pair of SOCK_SEQPACKET sockets, in the machine's own byte order. A request:
 *
 *	offset  bytes
 *	0       8      its key, which the answer has too
 *	8       33     a digest of what the machine is and which command it has
 *	41             the instance's name
 *
 * and its answer:
 *
 *	0       8      the key
 *	8       8      when they end, Unix seconds; 0: there are none
 *	16      1      how long the name is
 *	17      n      the name
 *	17 + n         the leaf, or why there is none
 *
 * The process makes one of its own for each request. What it reads may be another definition than
 * the one that is served: then the digests differ, and there are no credentials.
 */
#include "metadata-server/credentials.h"

#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/httpd.h"
#include "lib/log.h"
#include "metadata-server/kept.h"
#include "metadata-server/one.h"

enum {
	MAX_NAME = 255,
	MAX_MESSAGE = 131072,
	ASK_HEAD = 8 + SECRET_DIGEST_SIZE,
	HEAD = 17,
	MAX_WORKERS = 16,
	OURS = 3,      /* the descriptor of the process beside */
	REFRESH = 300, /* seconds before they end, new ones are got */
	RETRY = 5,     /* seconds after which a failure is tried again */
	GIVE_UP = CREDENTIALS_SECONDS + 5,
	MAX_ENTRIES = 65536,
};

enum state {
	NEW,
	ASKED,
	HAS,
	FAILED,
};

struct entry {
	struct kept is;
	char *command;
	uint64_t key;     /* that requests wait with */
	enum state state; /* ASKED may have credentials too, which end soon */
	uint64_t asked_at, expires, retry_at;
	struct buf leaf;
};

struct credentials {
	int fd;
	pid_t pid;
	struct event *ev;
	struct httpd *h;
	struct kept_table entries;
	uint64_t next_key;
};

/* ---- the process beside ---------------------------------------------------------------------- */

struct question {
	uint64_t key;
	char digest[SECRET_DIGEST_SIZE];
	char name[MAX_NAME + 1];
};

static void answer(int fd, const struct question *q, uint64_t expires, const char *text)
{
	AUTO_BUF out = BUF_INIT;
	unsigned char len = (unsigned char)strlen(q->name);

	if (buf_add(&out, &q->key, sizeof(q->key)) || buf_add(&out, &expires, sizeof(expires)) ||
	    buf_add(&out, &len, 1) || buf_add(&out, q->name, len) || buf_adds(&out, text))
		return;
	if (send(fd, out.data, MIN(out.len, (size_t)MAX_MESSAGE), MSG_NOSIGNAL) < 0)
		log_debug("credentials of '%s' were not delivered: %s", q->name, strerror(errno));
	explicit_bzero(out.data, out.cap);
}

static void ignore_fault(void *arg, const struct err *e)
{
	(void)arg;
	(void)e;
}

static void digest_of(const struct instance *in, char out[SECRET_DIGEST_SIZE])
{
	const char *command = in->context->iam_role.credential_process;

	secret_digest(in->context->instance_id, command ? command : "", out);
}

static int check_same(const struct instance *in, const struct question *q, struct err *e)
{
	char digest[SECRET_DIGEST_SIZE];

	digest_of(in, digest);
	return strcmp(digest, q->digest) ? err_set(e, ESTALE,
						   "the definition is another one than is "
						   "served")
					 : 0;
}

static void work(int fd, const struct question *q, const char *as, const char *dir)
{
	AUTO(instance_free) struct instance *in = NULL;
	AUTO_BUF leaf = BUF_INIT;
	uint64_t expires = 0;
	struct err e = {0};
	int rc = one_load(as ? as : q->name, dir, ignore_fault, NULL, &in, &e);

	rc = rc ? rc : check_same(in, q, &e);
	if (!rc && (setenv("ACCLIMATE_INSTANCE", in->name, 1) ||
		    setenv("ACCLIMATE_INSTANCE_ID", in->context->instance_id, 1)))
		rc = err_nomem(&e);
	rc = rc ? rc : credentials_run(in, (uint64_t)time(NULL), &leaf, &expires, &e);
	answer(fd, q, rc ? 0 : expires, rc ? e.msg : buf_str(&leaf));
}

static void reap(unsigned *workers)
{
	while (*workers && waitpid(-1, NULL, WNOHANG) > 0)
		(*workers)--;
}

/* As recv; *asked: it was a question. */
static ssize_t hear(int fd, struct question *q, bool *asked)
{
	char data[ASK_HEAD + MAX_NAME];
	ssize_t n = recv(fd, data, sizeof(data), 0);

	if (n <= ASK_HEAD)
		return n;
	*q = (struct question){0};
	memcpy(&q->key, data, sizeof(q->key));
	memcpy(q->digest, data + sizeof(q->key), SECRET_DIGEST_SIZE - 1);
	memcpy(q->name, data + ASK_HEAD, (size_t)n - ASK_HEAD);
	*asked = true;
	return n;
}

_Noreturn static void serve_beside(int fd, const char *as, const char *dir)
{
	unsigned workers = 0;
	struct question q;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/*
	 * Nothing of the server's, whose listeners would else be open as long as a program runs:
	 * its end is noticed by its socket's.
	 */
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (fd != OURS && dup3(fd, OURS, O_CLOEXEC) < 0)
		_exit(1);
	fd = OURS;
	close_range(OURS + 1, UINT_MAX, 0);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "credentials");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		bool asked = false;
		ssize_t n = hear(fd, &q, &asked);
		pid_t pid;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0); /* the server is gone */
		if (!asked)
			continue;
		reap(&workers);
		if (workers >= MAX_WORKERS && wait(NULL) > 0)
			workers--;
		pid = fork();
		if (!pid) {
			work(fd, &q, as, dir);
			_exit(0);
		}
		if (pid < 0)
			answer(fd, &q, 0, "no process can be started");
		else
			workers++;
	}
}

/* ---- the cache ------------------------------------------------------------------------------- */

static void entry_free(struct entry *en)
{
	kept_release(&en->is);
	free(en->command);
	if (en->leaf.data)
		explicit_bzero(en->leaf.data, en->leaf.cap);
	buf_release(&en->leaf);
	free(en);
}
DEFINE_AUTO(struct entry *, entry_free);

/* Those of machines that have not asked since theirs ended, who may be gone. */
static void forget_ended(struct credentials *c, uint64_t now)
{
	for (size_t i = c->entries.n; i-- > 0;) {
		struct entry *en = (struct entry *)c->entries.v[i];

		if (en->expires <= now && en->asked_at + GIVE_UP < now)
			entry_free((struct entry *)kept_take(&c->entries, en->is.name));
	}
}

/* Credentials are of one machine and one command: others begin anew. */
static int entry_of(struct credentials *c, const struct instance *in, uint64_t now,
		    struct entry **ret, struct err *e)
{
	const char *command = in->context->iam_role.credential_process;
	struct entry *old = (struct entry *)kept_find(&c->entries, in);
	AUTO(entry_free) struct entry *en = NULL;
	struct kept *before;

	if (old && !strcmp(old->command, command)) {
		*ret = old;
		return 0;
	}
	if (c->entries.n >= MAX_ENTRIES)
		forget_ended(c, now);
	if (c->entries.n >= MAX_ENTRIES)
		return err_set(e, EFBIG, "more than %d instances have a credential-process",
			       MAX_ENTRIES);
	en = calloc(1, sizeof(*en));
	if (!en || kept_init(&en->is, in->name, in->context->instance_id, e))
		return err_nomem(e);
	en->key = ++c->next_key;
	en->command = strdup(command);
	if (!en->command || kept_put(&c->entries, &en->is, &before, e))
		return err_nomem(e);
	if (before) {
		/* who waits for it waits for the new one */
		httpd_wake(c->h, ((struct entry *)before)->key);
		entry_free((struct entry *)before);
	}
	*ret = STEAL(en);
	return 0;
}

static void ask(struct credentials *c, struct entry *en, uint64_t now)
{
	char data[ASK_HEAD + MAX_NAME], digest[SECRET_DIGEST_SIZE];
	size_t len = strlen(en->is.name);

	secret_digest(en->is.instance_id, en->command, digest);
	memcpy(data, &en->key, sizeof(en->key));
	memcpy(data + sizeof(en->key), digest, sizeof(digest));
	memcpy(data + ASK_HEAD, en->is.name, MIN(len, (size_t)MAX_NAME));
	if (len > MAX_NAME || send(c->fd, data, ASK_HEAD + len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		log_err("credentials of '%s' cannot be asked for: %s", en->is.name,
			strerror(errno));
		en->retry_at = now + RETRY;
		if (en->state != HAS)
			en->state = FAILED;
		return;
	}
	en->state = ASKED;
	en->asked_at = now;
}

int credentials_make(struct credentials *c, const struct instance *in, uint64_t now, bool timed_out,
		     struct buf *out, uint64_t *wait_key, struct err *e)
{
	struct entry *en = NULL;
	int rc = entry_of(c, in, now, &en, e);
	bool has;

	if (rc)
		return rc;
	has = en->leaf.len && en->expires > now;
	if (en->state == ASKED && en->asked_at + GIVE_UP < now) {
		en->state = has ? HAS : FAILED;
		en->retry_at = now + RETRY;
	}
	if (en->state == NEW || (en->state == FAILED && en->retry_at <= now) ||
	    (en->state == HAS && en->expires <= now + REFRESH && en->retry_at <= now))
		ask(c, en, now);
	if (has)
		return buf_add(out, en->leaf.data, en->leaf.len) ? err_nomem(e) : 0;
	if (en->state != ASKED || timed_out)
		return err_set(e, ENOENT, "no credentials");
	*wait_key = en->key;
	return err_set(e, EAGAIN, "credentials are being got");
}

static void take(struct credentials *c, const char *data, size_t len)
{
	uint64_t now = (uint64_t)time(NULL);
	char name[MAX_NAME + 1];
	struct entry *en;
	uint64_t key, expires;
	size_t name_len;

	if (len < HEAD || len < HEAD + (size_t)(unsigned char)data[HEAD - 1])
		return;
	memcpy(&key, data, sizeof(key));
	memcpy(&expires, data + sizeof(key), sizeof(expires));
	name_len = (unsigned char)data[HEAD - 1];
	memcpy(name, data + HEAD, name_len);
	name[name_len] = '\0';
	en = (struct entry *)kept_named(&c->entries, name);
	if (!en || en->key != key || en->state != ASKED)
		return; /* its machine is another one by now */
	if (expires > now) {
		buf_clear(&en->leaf);
		en->expires = expires;
		en->state = buf_add(&en->leaf, data + HEAD + name_len, len - HEAD - name_len)
				    ? FAILED
				    : HAS;
	} else {
		log_err("credentials of '%s': %.*s", name, (int)(len - HEAD - name_len),
			data + HEAD + name_len);
		en->state = en->leaf.len && en->expires > now ? HAS : FAILED;
	}
	/* those that end within the time of refreshing are not got again and again */
	en->retry_at = now + (en->state == HAS && expires > now ? 30 : RETRY);
	httpd_wake(c->h, en->key);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	AUTO_FREE char *data = malloc(MAX_MESSAGE);
	struct credentials *c = arg;
	ssize_t n;

	(void)what;
	if (!data)
		return;
	n = recv(fd, data, MAX_MESSAGE, MSG_DONTWAIT);
	if (n > 0) {
		take(c, data, (size_t)n);
		explicit_bzero(data, (size_t)n);
	} else if (!n || errno != EAGAIN) {
		log_err("the process that gets credentials has ended");
		event_del(c->ev);
	}
}

/* ---- face ------------------------------------------------------------------------------------ */

int credentials_start(const char *as, const char *dir, struct credentials **ret, struct err *e)
{
	AUTO(credentials_free) struct credentials *c = calloc(1, sizeof(*c));
	int fds[2];

	if (!c)
		return err_nomem(e);
	c->fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return err_errno(e, errno, "credentials");
	c->fd = fds[0];
	c->pid = fork();
	if (c->pid < 0) {
		close(fds[1]);
		return err_errno(e, errno, "credentials");
	}
	if (!c->pid) {
		close(fds[0]);
		serve_beside(fds[1], as, dir);
	}
	close(fds[1]);
	*ret = STEAL(c);
	return 0;
}

int credentials_attach(struct credentials *c, struct event_base *base, struct httpd *h,
		       struct err *e)
{
	c->h = h;
	c->ev = event_new(base, c->fd, EV_READ | EV_PERSIST, on_answer, c);
	if (!c->ev || event_add(c->ev, NULL))
		return err_nomem(e);
	return 0;
}

void credentials_free(struct credentials *c)
{
	if (c->ev)
		event_free(c->ev);
	if (c->fd >= 0)
		close(c->fd); /* by which the other one ends */
	if (c->pid > 0)
		waitpid(c->pid, NULL, WNOHANG);
	for (size_t i = 0; i < c->entries.n; i++)
		entry_free((struct entry *)c->entries.v[i]);
	free(c->entries.v);
	free(c);
}
