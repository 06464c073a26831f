/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large an image will become: its writer does all that it does for a real one, into files in
 * memory, but no data are written, only given their places. What the writer itself writes, its
 * tables, is dropped again when it becomes much. A compressed stream goes into a pipe, at whose
 * other end the bytes are counted.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "imgconv/writer.h"
#include "lib/fs.h"
#include "lib/stop.h"

#define PAGE 4096u
/* The finest unit in which the source is searched for zeros; the writer's grain if that is less. */
#define SCAN_UNIT 4096u
/* Data are placed in pieces of this size, as when they are copied. */
#define PIECE MIB
/* Memory for what a writer writes. */
#define KEEP_MAX (16 * MIB)
#define PIPE_PIECE (64 * KIB)

struct file {
	int fd;
	uint64_t end;       /* of the data that have their place in it */
	uint64_t placed;    /* bytes of them, in whole pages */
	uint64_t last_page; /* behind those that were placed last */
	uint64_t dropped;   /* bytes that were written, and are not kept */
};

struct measure {
	struct image_writer *w;
	struct file *files; /* n_files; the first is the image's own */
	size_t n_files;
	struct image_companions companions;
	size_t current; /* the one that was placed in last */
	uint64_t end;   /* of the source's disk */
	uint64_t next;  /* up to which all has its place */
	uint8_t *zeros; /* a grain as large as it can become, if that is what is written */
	bool any_data;
	struct progress *progress;

	struct pool *pool; /* counts what comes through the pipe; NULL: there is none */
	int pipe_in, pipe_out;
	uint64_t piped;
};

static void measure_release(struct measure *m)
{
	if (m->w)
		image_writer_free(m->w);
	for (size_t i = 0; i < m->n_files; i++)
		close(m->files[i].fd);
	free(m->files);
	free(m->zeros);
	if (m->pipe_in >= 0)
		close(m->pipe_in);
	if (m->pool)
		pool_free(m->pool, NULL); /* ends when the pipe does */
	if (m->pipe_out >= 0)
		close(m->pipe_out);
}
DEFINE_AUTO_STRUCT(struct measure, measure_release);

/* ---- files --------------------------------------------------------------------------------- */

static int add_file(struct measure *m, int *ret_fd, struct err *e)
{
	struct file *grown = reallocarray(m->files, m->n_files + 1, sizeof(*grown));
	int fd;

	if (!grown)
		return err_nomem(e);
	m->files = grown;
	fd = memfd_create("image", MFD_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "making a file in memory");
	m->files[m->n_files++] = (struct file){.fd = fd};
	*ret_fd = fd;
	return 0;
}

static int add_companion(void *ctx, const char *name, int *ret_fd, struct err *e)
{
	struct measure *m = ctx;

	(void)name;
	if (m->n_files == 1)
		fs_raise_file_limit();
	return add_file(m, ret_fd, e);
}

static struct file *file_of(struct measure *m, int fd)
{
	for (size_t i = 0; i < m->n_files; i++) {
		size_t at = (m->current + i) % m->n_files;

		if (m->files[at].fd == fd) {
			m->current = at;
			return &m->files[at];
		}
	}
	return NULL;
}

static int file_stat(const struct file *f, struct stat *ret, struct err *e)
{
	return fstat(f->fd, ret) < 0 ? err_errno(e, errno, "fstat") : 0;
}

/* Memory is given back; the length stays. No writer reads what it wrote. */
static int drop_written(struct file *f, struct err *e)
{
	struct stat st = {0};
	int rc = file_stat(f, &st, e);

	if (rc < 0 || (uint64_t)st.st_blocks * 512 < KEEP_MAX)
		return rc;
	f->dropped += (uint64_t)st.st_blocks * 512;
	if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, st.st_size) < 0)
		return err_errno(e, errno, "giving memory back");
	return 0;
}

static int add_up(const struct measure *m, struct image_measure *ret, struct err *e)
{
	for (size_t i = 0; i < m->n_files; i++) {
		const struct file *f = &m->files[i];
		struct stat st = {0};
		uint64_t size;
		int rc = file_stat(f, &st, e);

		if (rc < 0)
			return rc;
		size = MAX(f->end, (uint64_t)st.st_size);
		ret->required += size;
		ret->allocated += MIN(f->placed + f->dropped + (uint64_t)st.st_blocks * 512, size);
	}
	return 0;
}

/* ---- a pipe -------------------------------------------------------------------------------- */

/* On the only worker. */
static int count_pipe(void *job, unsigned worker, struct err *e)
{
	struct measure *m = job;
	AUTO_FREE uint8_t *buf = malloc(PIPE_PIECE);
	ssize_t n;

	(void)worker;
	while (buf) {
		n = read(m->pipe_out, buf, PIPE_PIECE);
		if (n == 0)
			return 0;
		if (n > 0)
			m->piped += (uint64_t)n;
		else if (errno != EINTR)
			break;
	}
	close(steal_fd(&m->pipe_out)); /* or the writer would wait for ever */
	return buf ? err_errno(e, errno, "counting") : err_nomem(e);
}

static int open_pipe(struct measure *m, struct err *e)
{
	int fds[2] = {-1, -1};
	int rc = pool_new(1, &m->pool, e);

	if (rc == 0 && pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	if (rc < 0)
		return rc;
	m->pipe_out = fds[0];
	m->pipe_in = fds[1];
	return pool_submit(m->pool, count_pipe, m, e);
}

/* All that was written has come out. */
static int close_pipe(struct measure *m, struct err *e)
{
	void *job = NULL;
	int rc;

	close(steal_fd(&m->pipe_in));
	rc = pool_next(m->pool, &job, e);
	return rc < 0 ? rc : 0;
}

/* ---- data ---------------------------------------------------------------------------------- */

static int count_placed(struct measure *m, const struct image_place *p, struct err *e)
{
	struct file *f = file_of(m, p->fd);
	uint64_t first = p->off / PAGE;
	uint64_t end = div_up(p->off + p->len, PAGE);

	if (!f)
		return err_set(e, EINVAL, "data have their place in no file of the image");
	if (first + 1 == f->last_page)
		first++; /* shared with the piece before */
	f->placed += (end - first) * PAGE;
	f->last_page = end;
	f->end = MAX(f->end, p->off + p->len);
	return 0;
}

static int place_data(struct measure *m, uint64_t off, uint64_t len, struct err *e)
{
	struct image_place p = {0};

	for (uint64_t at = 0; at < len; at += p.len) {
		int rc = m->w->format->place(m->w, off + at, (size_t)(len - at), &p, e);

		if (rc == 0)
			rc = count_placed(m, &p, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* What has no place before it is written is written, as many zeros. */
static int write_data(struct measure *m, uint64_t off, uint64_t len, struct err *e)
{
	struct image_writer *w = m->w;
	size_t room = MAX(w->encoded_max, w->grain);
	int rc = 0;

	if (!m->zeros && !(m->zeros = calloc(1, room)))
		return err_nomem(e);
	for (uint64_t at = 0; rc == 0 && at < len; at += w->grain) {
		size_t n = (size_t)MIN(len - at, (uint64_t)w->grain);

		if (w->encodes)
			rc = w->format->write_encoded(w, m->zeros, w->encoded_max, off + at, e);
		else
			rc = w->format->write(w, m->zeros, n, off + at, e);
	}
	return rc;
}

/*
 * The most that a range of whole grains can take. An encoded grain is not larger than a plain one,
 * but in formats that have encoded ones alone.
 */
static int add_data(struct measure *m, uint64_t off, uint64_t len, struct err *e)
{
	struct image_writer *w = m->w;
	int rc = stop_check(e);

	if (rc == 0 && writer_places(w) && (!w->encodes || w->encoded_max <= w->grain))
		rc = place_data(m, off, len, e);
	else if (rc == 0)
		rc = write_data(m, off, len, e);
	for (size_t i = 0; rc == 0 && i < 2 && i < m->n_files; i++)
		rc = drop_written(&m->files[i ? m->current : 0], e);
	return rc < 0 ? err_wrap(e, "measuring") : 0;
}

/* Grains that have anything of the extent, but for one that had something of the one before. */
static int take_extent(void *ctx, const struct extent *x, struct err *e)
{
	struct measure *m = ctx;
	uint64_t grain = m->w->grain;
	uint64_t off = MAX(x->start - x->start % grain, m->next);
	uint64_t end = MIN(round_up(x->start + x->length, grain), m->end);
	int rc = 0;

	if (x->kind != EXTENT_DATA)
		return 0;
	m->any_data = true;
	while (rc == 0 && off < end) {
		uint64_t piece = MAX(PIECE, grain);
		uint64_t len = MIN(piece - off % piece, end - off);

		rc = add_data(m, off, len, e);
		off += len;
		m->next = off;
		progress_set(m->progress, off);
	}
	return rc;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* Makes the writer. One that compresses all and needs no way back gets the pipe. */
static int begin(struct measure *m, const char *format, const struct image_create_opts *o,
		 struct err *e)
{
	struct image_create_opts opts = o ? *o : (struct image_create_opts){0};
	uint64_t size = image_padded_size(format, m->end, o);
	int fd;
	int rc = add_file(m, &fd, e);

	m->companions =
		(struct image_companions){.create = add_companion, .ctx = m, .stem = "image"};
	opts.companions = &m->companions;
	if (rc == 0)
		rc = image_create(fd, "the image", format, size, &opts, &m->w, e);
	if (rc < 0 || !m->w->encodes || image_why_no_pipe(format, &opts))
		return rc;
	image_writer_free(STEAL(m->w));
	if (ftruncate(fd, 0) < 0)
		return err_errno(e, errno, "ftruncate");
	opts.pipe = true;
	rc = open_pipe(m, e);
	return rc < 0 ? rc : image_create(m->pipe_in, "the image", format, size, &opts, &m->w, e);
}

static int dry_run(struct measure *m, struct image *src, bool scan, struct err *e)
{
	uint32_t unit = scan ? MIN(SCAN_UNIT, m->w->grain) : 0;
	int rc = src ? image_map(src, unit, take_extent, m, NULL, e) : 0;

	if (rc == 0)
		rc = image_writer_finish(m->w, e);
	return rc == 0 && m->pool ? close_pipe(m, e) : rc;
}

int image_measure(struct image *src, uint64_t size, const char *format,
		  const struct image_create_opts *o, bool scan, struct image_measure *ret,
		  struct progress *p, struct err *e)
{
	AUTO(measure_release) struct measure m = {.progress = p, .pipe_in = -1, .pipe_out = -1};
	int rc;

	*ret = (struct image_measure){.fully_allocated = UINT64_MAX};
	m.end = src ? image_size(src) : size;
	rc = begin(&m, format, o, e);
	if (rc < 0)
		return rc;
	ret->size = m.w->size;
	if (m.w->format->full_size)
		ret->fully_allocated = m.w->format->full_size(m.w);
	rc = dry_run(&m, src, scan, e);
	if (rc < 0)
		return rc;
	ret->exact = !m.any_data || (scan && !m.w->encodes);
	ret->required = ret->allocated = m.piped;
	return add_up(&m, ret, e);
}
