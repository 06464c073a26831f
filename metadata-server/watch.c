/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder is watched, not its files: an editor or a tool of configuration writes a new file and
 * renames it. What changes in a row is taken together: `changed` is called when nothing has changed
 * for QUIET_MS, at the latest LONGEST_MS after the first.
 */
#include "metadata-server/watch.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "lib/clock.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

enum {
	QUIET_MS = 20,
	LONGEST_MS = 500,
	AGAIN_MS = 1000, /* a folder that is gone is looked for so often */
	MAX_NAMES = 64,  /* more are any */
	MASK = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |
	       IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
};

struct watch {
	char *folder, *only; /* only: the one file in it that counts; NULL: all */
	int fd, wd;
	struct event ev, timer;
	bool all, pending;
	bool any; /* `names` are not all that changed */
	struct strlist names;
	uint64_t since; /* milliseconds; of the first change that is pending */
	void (*changed)(void *arg, bool all, const struct strlist *only);
	void *arg;
};

static void wait_ms(struct watch *w, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	evtimer_add(&w->timer, &tv);
}

static void note(struct watch *w, bool all)
{
	uint64_t now = clock_ms();

	if (!w->pending)
		w->since = now;
	w->pending = true;
	w->all = w->all || all;
	wait_ms(w, now - w->since + QUIET_MS > LONGEST_MS ? 0 : QUIET_MS);
}

static void note_name(struct watch *w, const char *name)
{
	for (size_t i = 0; i < w->names.n; i++)
		if (!strcmp(w->names.v[i], name))
			return;
	if (w->names.n == MAX_NAMES || strlist_add(&w->names, name))
		w->any = true;
}

/*
 * A definition's own time and size tell whether it changed. Any other file may be user-data of
 * some, which do not show it; what editors leave is not. Hidden names are how some tools swap a
 * whole folder of links: what these lead to is looked at.
 */
static void on_name(struct watch *w, const char *name)
{
	bool definition = str_has_suffix(name, ".yaml");
	size_t len = strlen(name);

	if (!w->only && definition && name[0] != '.') {
		note_name(w, name);
		note(w, false);
		return;
	}
	w->any = true;
	if (w->only) {
		if (!strcmp(name, w->only) || !definition)
			note(w, true);
	} else if (name[0] == '.') {
		note(w, false);
	} else if (name[len - 1] != '~' && !str_has_suffix(name, ".tmp") &&
		   strspn(name, "0123456789") != len) {
		note(w, true);
	}
}

/* Links are there at once; a file that is made is waited for until it is written. */
static bool is_whole(const struct watch *w, const char *name)
{
	AUTO_FREE char *path = path_join(w->folder, name);
	struct stat st;

	return path && !lstat(path, &st) && (S_ISLNK(st.st_mode) || st.st_nlink > 1);
}

static void on_event(struct watch *w, const struct inotify_event *ev, const char *name)
{
	if (ev->mask & IN_Q_OVERFLOW) {
		w->any = true;
		note(w, true);
	} else if (ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) {
		if (ev->wd != w->wd)
			return;
		inotify_rm_watch(w->fd, w->wd);
		w->wd = -1;
		w->any = true;
		note(w, true);
	} else if (ev->len && *name && (!(ev->mask & IN_CREATE) || is_whole(w, name))) {
		on_name(w, name);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char data[8192];
	struct watch *w = arg;
	ssize_t len;

	(void)what;
	while ((len = read(fd, data, sizeof(data))) > 0) {
		size_t at = 0;

		while (at + sizeof(struct inotify_event) <= (size_t)len) {
			struct inotify_event ev;

			memcpy(&ev, data + at, sizeof(ev));
			at += sizeof(ev);
			if (ev.len > (size_t)len - at)
				break;
			on_event(w, &ev, data + at);
			at += ev.len;
		}
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	struct strlist names;
	bool all, any;

	(void)fd;
	(void)what;
	if (w->wd < 0) {
		w->wd = inotify_add_watch(w->fd, w->folder, MASK);
		w->any = true; /* nobody saw what happened in between */
		if (w->wd < 0) {
			log_debug("'%s' cannot be watched: %s", w->folder, strerror(errno));
			wait_ms(w, AGAIN_MS);
		}
	}
	if (!w->pending && w->wd < 0)
		return;
	names = w->names;
	all = w->all;
	any = w->any;
	w->pending = w->all = w->any = false;
	w->names = (struct strlist){0};
	w->changed(w->arg, all, any || all ? NULL : &names);
	strlist_release(&names);
}

int watch_new(struct event_base *base, const char *path,
	      void (*changed)(void *arg, bool all, const struct strlist *only), void *arg,
	      struct watch **ret, struct err *e)
{
	AUTO(watch_free) struct watch *w = calloc(1, sizeof(*w));
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (!w)
		return err_nomem(e);
	w->wd = w->fd = -1;
	w->changed = changed;
	w->arg = arg;
	if (stat(path, &st))
		return err_errno(e, errno, "'%s'", path);
	if (S_ISDIR(st.st_mode)) {
		w->folder = strdup(path);
	} else {
		w->folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
		w->only = strdup(slash ? slash + 1 : path);
	}
	if (!w->folder || (!S_ISDIR(st.st_mode) && !w->only))
		return err_nomem(e);
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		return err_errno(e, errno, "inotify");
	w->wd = inotify_add_watch(w->fd, w->folder, MASK);
	if (w->wd < 0)
		return err_errno(e, errno, "watching '%s'", w->folder);
	event_assign(&w->ev, base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	evtimer_assign(&w->timer, base, on_timer, w);
	if (event_add(&w->ev, NULL))
		return err_set(e, EIO, "'%s' cannot be watched", path);
	*ret = STEAL(w);
	return 0;
}

void watch_free(struct watch *w)
{
	if (w->fd >= 0) {
		if (event_initialized(&w->ev)) {
			event_del(&w->ev);
			event_del(&w->timer);
		}
		close(w->fd);
	}
	strlist_release(&w->names);
	free(w->folder);
	free(w->only);
	free(w);
}
