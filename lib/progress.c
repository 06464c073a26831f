/* SPDX-License-Identifier: Apache-2.0 */
/* One line of progress on a terminal: see lib/progress.h. */
#include "lib/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define REDRAW_MS 100
#define NOTE_PAUSE_MS 2000 /* between lines, where there is no terminal */
#define BAR_CELLS 24

struct progress {
	pthread_mutex_t lock;
	char what[64];
	char note[96];
	uint64_t total, done;
	bool percent; /* alone */
	uint64_t started_ms, drawn_ms;
	unsigned plain_step; /* PROGRESS_PLAIN: tenths that were printed */
};

static enum progress_mode progress_mode = PROGRESS_AUTO;
/* A line without a newline stands on the terminal. */
static bool line_open;
static pthread_mutex_t screen = PTHREAD_MUTEX_INITIALIZER;

void progress_set_mode(enum progress_mode mode)
{
	progress_mode = mode;
}

static bool on_terminal(void)
{
	return progress_mode == PROGRESS_AUTO && isatty(STDERR_FILENO);
}

static unsigned columns(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20)
		return w.ws_col;
	return 80;
}

static void put(const struct buf *b)
{
	if (b->data && write(STDERR_FILENO, b->data, b->len) < 0)
		return; /* progress is no reason to fail */
}

void progress_clear_line(void)
{
	pthread_mutex_lock(&screen);
	if (line_open) {
		static const char clear[] = "\r\033[K";

		line_open = write(STDERR_FILENO, clear, sizeof(clear) - 1) < 0;
	}
	pthread_mutex_unlock(&screen);
}

struct progress *progress_start(const char *what, uint64_t total)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	snprintf(p->what, sizeof(p->what), "%s", what);
	p->total = total;
	p->started_ms = clock_ms();
	return p;
}

static void add_bar(struct buf *b, unsigned percent)
{
	unsigned cells = percent * BAR_CELLS / 100;

	buf_addc(b, '[');
	for (unsigned i = 0; i < BAR_CELLS; i++)
		buf_addc(b, i < cells ? '=' : i == cells ? '>' : ' ');
	buf_addc(b, ']');
}

struct progress *progress_start_percent(const char *what)
{
	struct progress *p = progress_start(what, 100);

	if (p)
		p->percent = true;
	return p;
}

/* "412 MiB  210 MiB/s  0:03 left" */
static void add_amount(struct buf *b, const struct progress *p, uint64_t elapsed)
{
	double per_s = elapsed ? (double)p->done * 1000 / (double)elapsed : 0;
	char done[16], rate[16];

	size_to_text(p->done, done);
	size_to_text((uint64_t)per_s, rate);
	buf_addf(b, "  %s  %s/s", done, rate);
	if (p->total && per_s > 0 && p->done < p->total) {
		uint64_t left = (uint64_t)((double)(p->total - p->done) / per_s);

		buf_addf(b, "  %llu:%02llu left", (unsigned long long)(left / 60),
			 (unsigned long long)(left % 60));
	}
}

/* "what [====>   ] 43%  412 MiB  210 MiB/s  0:03 left", cut to the width of the terminal. */
static void draw(struct progress *p, uint64_t ms)
{
	AUTO_BUF line = BUF_INIT;
	size_t width = columns() - 1;

	buf_addf(&line, "%s ", p->what);
	if (p->total) {
		unsigned percent =
			(unsigned)((double)MIN(p->done, p->total) * 100 / (double)p->total);

		add_bar(&line, percent);
		buf_addf(&line, " %3u%%", percent);
	}
	if (!p->percent)
		add_amount(&line, p, ms - p->started_ms);
	if (p->note[0])
		buf_addf(&line, "  (%s)", p->note);
	if (line.len > width)
		line.len = width;
	pthread_mutex_lock(&screen);
	AUTO_BUF out = BUF_INIT;
	if (buf_addf(&out, "\r%.*s\033[K", (int)line.len, buf_str(&line)) == 0) {
		put(&out);
		line_open = true;
	}
	pthread_mutex_unlock(&screen);
}

static void print_tenth(struct progress *p)
{
	unsigned tenth = p->total ? (unsigned)((double)p->done * 10 / (double)p->total) : 0;
	AUTO_BUF line = BUF_INIT;

	if (tenth <= p->plain_step || tenth > 10)
		return;
	p->plain_step = tenth;
	if (buf_addf(&line, "%s %u%%\n", p->what, tenth * 10) == 0)
		put(&line);
}

/* The lock of p is held. */
static void update(struct progress *p)
{
	uint64_t ms;

	if (progress_mode == PROGRESS_PLAIN) {
		print_tenth(p);
		return;
	}
	if (!on_terminal())
		return;
	ms = clock_ms();
	if (p->drawn_ms && ms - p->drawn_ms < REDRAW_MS)
		return;
	p->drawn_ms = ms;
	draw(p, ms);
}

void progress_set(struct progress *p, uint64_t done)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->done = done;
	update(p);
	pthread_mutex_unlock(&p->lock);
}

void progress_add(struct progress *p, uint64_t bytes)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->done += bytes;
	update(p);
	pthread_mutex_unlock(&p->lock);
}

/* Where there is no bar the notes of all threads are lines, not too many of them. */
static void say_note(const char *note)
{
	static uint64_t last_ms;
	uint64_t ms = clock_ms();
	bool say;

	pthread_mutex_lock(&screen);
	say = !last_ms || ms - last_ms >= NOTE_PAUSE_MS;
	if (say)
		last_ms = ms;
	pthread_mutex_unlock(&screen);
	if (say)
		log_info("waiting: %s", note);
}

void progress_note(struct progress *p, const char *note)
{
	AUTO_BUF text = BUF_INIT;

	if (note && (!p || !on_terminal()))
		say_note(note);
	if (!p)
		return;
	if (note)
		str_escape(note, strlen(note), sizeof(p->note) - 1, &text);
	pthread_mutex_lock(&p->lock);
	snprintf(p->note, sizeof(p->note), "%s", buf_str(&text));
	if (on_terminal())
		draw(p, clock_ms());
	pthread_mutex_unlock(&p->lock);
}

void progress_end(struct progress *p, bool ok)
{
	if (!p)
		return;
	if (on_terminal()) {
		uint64_t ms = clock_ms();
		double seconds = (double)(ms - p->started_ms) / 1000;
		AUTO_BUF line = BUF_INIT;
		char done[16], rate[16];
		int rc;

		if (ok && p->total)
			p->done = p->total;
		size_to_text(p->done, done);
		size_to_text((uint64_t)((double)p->done * 1000 /
					(double)(ms > p->started_ms ? ms - p->started_ms : 1)),
			     rate);
		progress_clear_line();
		if (p->percent)
			rc = buf_addf(&line, "%s %s: %.1f s\n", p->what, ok ? "done" : "stopped",
				      seconds);
		else
			rc = buf_addf(&line, "%s %s: %s in %.1f s, %s/s\n", p->what,
				      ok ? "done" : "stopped", done, seconds, rate);
		if (rc == 0)
			put(&line);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}
