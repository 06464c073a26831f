/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk as an EBS snapshot, by the EBS direct APIs (2019-11-02): StartSnapshot, a PutSnapshotBlock
 * for each block that is not zero, CompleteSnapshot. A journal in the store tells what was sent, and
 * afterwards what the snapshot holds, for the next one upon it.
 */
#include <sys/random.h>
#include <time.h>

#include "catalog/export_ebs.h"
#include "lib/log.h"
#include "lib/str.h"

#define BLOCK_MIN 4096
#define BLOCK_MAX (4 * MIB)
#define TIMEOUT_MINUTES 1440 /* a snapshot that gets no block for so long is given up */

static void upload_release(struct ebs_upload *u)
{
	ebs_stop_workers(u);
	free(u->snapshot);
	export_blocks_release(&u->parent);
	export_blocks_release(&u->sent);
	export_journal_close(&u->journal);
}
DEFINE_AUTO_STRUCT(struct ebs_upload, upload_release);

uint64_t ebs_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int check_snapshot_id(const char *id, struct err *e)
{
	size_t n = strlen("snap-");

	if (!str_has_prefix(id, "snap-") || !id[n] || strlen(id) > 64 ||
	    strspn(id + n, "0123456789abcdef") != strlen(id + n))
		return err_set(e, EINVAL, "'%s' is not the id of a snapshot", id);
	return 0;
}

/* ---- beginning ----------------------------------------------------------------------------------- */

static int start_body(const struct ebs_upload *u, const char *parent, const char *description,
		      struct buf *out, struct err *e)
{
	uint8_t random[16];
	char token[33];
	struct jsonw w;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_errno(e, errno, "reading random bytes");
	hex_encode(random, sizeof(random), token);
	jsonw_begin(&w, out, false);
	jsonw_object(&w, NULL);
	jsonw_u64(&w, "VolumeSize", u->volume_gib);
	if (parent)
		jsonw_string(&w, "ParentSnapshotId", parent);
	jsonw_string(&w, "Description", description);
	/* A reply that was lost does not make a second snapshot. */
	jsonw_string(&w, "ClientToken", token);
	jsonw_u64(&w, "Timeout", TIMEOUT_MINUTES);
	jsonw_close(&w);
	return jsonw_end(&w, e);
}

static int take_start(struct ebs_upload *u, const struct httpc_response *r, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	const struct value *size;
	const char *id;
	int rc = json_parse("StartSnapshot", r->body.data, r->body.len, NULL, &root, e);

	if (rc < 0)
		return rc;
	id = store_text(root, "SnapshotId");
	size = value_get(root, "BlockSize");
	if (!id || !size)
		return err_set(e, EBADMSG, "StartSnapshot tells no SnapshotId or BlockSize");
	rc = value_u64(size, BLOCK_MIN, BLOCK_MAX, &u->block_size, e);
	if (rc == 0)
		rc = check_snapshot_id(id, e);
	if (rc == 0 && GIB % u->block_size)
		rc = value_err(size, e, EBADMSG, "GiBs do not consist of such blocks");
	if (rc < 0)
		return rc;
	u->snapshot = strdup(id);
	return u->snapshot ? 0 : err_nomem(e);
}

static int start_snapshot(struct ebs_upload *u, const char *parent, const char *description,
			  struct err *e)
{
	static const struct httpc_header json = {"content-type", "application/json"};
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF body = BUF_INIT;
	struct aws_request req = {
		.method = HTTPC_POST,
		.service = "ebs",
		.path = "/snapshots",
		.headers = &json,
		.n_headers = 1,
		.total_timeout_ms = 60000,
		.note = session_note,
		.note_opaque = u->session,
	};
	int rc = start_body(u, parent, description, &body, e);

	if (rc < 0)
		return rc;
	req.body = body.data;
	req.body_len = body.len;
	rc = aws_send(u->session->aws, u->session->http, &req, &r, NULL, e);
	if (rc == 0)
		rc = take_start(u, &r, e);
	if (rc < 0)
		return err_wrap(e, "starting a snapshot");
	u->started_ms = ebs_now_ms();
	return export_journal_begin(&u->journal, u->snapshot, u->block_size, e);
}

static bool journal_makes_sense(const struct export_journal *j)
{
	return check_snapshot_id(j->snapshot, NULL) == 0 && j->block_size >= BLOCK_MIN &&
	       j->block_size <= BLOCK_MAX && GIB % j->block_size == 0;
}

/* What the journal says of an interrupted export is taken up, if there is any. */
static int begin(struct ebs_upload *u, const char *parent, const char *description, struct err *e)
{
	if (!u->journal.snapshot || !journal_makes_sense(&u->journal))
		return start_snapshot(u, parent, description, e);
	u->snapshot = strdup(u->journal.snapshot);
	u->block_size = u->journal.block_size;
	if (!u->snapshot)
		return err_nomem(e);
	log_info("going on with snapshot '%s', of which %zu blocks were sent", u->snapshot,
		 u->journal.sent.n);
	return 0;
}

static int load_parent(struct ebs_upload *u, const struct store *s, const char *parent,
		       struct err *e)
{
	uint64_t block_size, gib;
	int rc = check_snapshot_id(parent, e);

	if (rc == 0)
		rc = export_blocks_load(s, parent, &block_size, &gib, &u->parent, e);
	if (rc < 0)
		return rc;
	if (gib > u->volume_gib)
		return err_set(e, EINVAL,
			       "the snapshot '%s' is of %llu GiB, more than the disk's %llu",
			       parent, (unsigned long long)gib, (unsigned long long)u->volume_gib);
	return 0;
}

/* ---- one upload ---------------------------------------------------------------------------------------------- */

/* All that the snapshot holds: what was sent, and what of the parent was not sent over. */
static int save_blocks(struct ebs_upload *u, const struct store *s, struct err *e)
{
	AUTO(export_blocks_release) struct export_blocks all = {0};
	size_t a = 0, b = 0;
	int rc = 0;

	while (rc == 0 && (a < u->sent.n || b < u->parent.n)) {
		bool own = a < u->sent.n &&
			   (b >= u->parent.n || u->sent.items[a].index <= u->parent.items[b].index);
		const struct export_block *next = own ? &u->sent.items[a] : &u->parent.items[b];

		if (own && b < u->parent.n && u->parent.items[b].index == next->index)
			b++;
		rc = export_blocks_add(&all, next->index, next->digest, e);
		a += own;
		b += !own;
	}
	return rc < 0 ? rc
		      : export_blocks_save(s, u->snapshot, u->block_size, u->volume_gib, &all, e);
}

static int open_journal(struct ebs_upload *u, const struct export_source *x, unsigned n_disk,
			const char *parent, struct err *e)
{
	const struct store_disk *d = &x->disks[n_disk].disk;
	const char *region = aws_region(u->session->aws);
	const char *hex = strchr(d->digest, ':');
	AUTO_FREE char *endpoint = NULL, *origin = NULL;
	int rc = aws_endpoint(u->session->aws, "ebs", NULL, &endpoint, e);

	if (rc < 0)
		return rc;
	/* Without its kind, as in the journals of older stores. */
	origin = str_format("%s %s %s %s", endpoint, region ? region : "-", hex ? hex + 1 : "",
			    parent ? parent : "-");
	if (!origin)
		return err_nomem(e);
	rc = export_journal_open(x->store, origin, &u->journal, e);
	/* What a clone's disk was when it was interrupted is not known. */
	if (rc == 0 && !hex)
		export_journal_drop(&u->journal);
	return rc;
}

int ebs_upload(struct session *s, const struct export_source *x, unsigned n_disk,
	       const char *parent, char **ret_id, struct export_report *report, struct err *e)
{
	AUTO(upload_release)
	struct ebs_upload u = {
		.session = s,
		.im = x->disks[n_disk].im,
		.volume_gib = MAX(div_up(image_size(x->disks[n_disk].im), GIB), UINT64_C(1)),
		.journal = EXPORT_JOURNAL_INIT,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.report = report,
	};
	const char *text = x->opts->description ? x->opts->description : x->opts->image;
	int rc = parent ? load_parent(&u, x->store, parent, e) : 0;

	if (rc == 0)
		rc = open_journal(&u, x, n_disk, parent, e);
	if (rc == 0)
		rc = begin(&u, parent, text, e);
	if (rc == 0)
		rc = ebs_start_workers(&u, e);
	if (rc < 0)
		return rc;
	u.progress = s->progress = progress_start("sending", image_size(u.im));
	rc = ebs_send_all(&u, e);
	/* They tell of their waits by the progress. */
	ebs_stop_workers(&u);
	progress_end(u.progress, rc == 0);
	s->progress = NULL;
	if (rc == 0)
		rc = ebs_complete(&u, e);
	if (rc == 0)
		rc = save_blocks(&u, x->store, e);
	/* A snapshot that is gone, or failed, cannot be gone on with. */
	if (rc == 0 || rc == -ENOENT || rc == -EREMOTEIO || rc == -EINVAL)
		export_journal_drop(&u.journal);
	else if (u.journal.snapshot)
		log_info("what was sent is known: the same command goes on from there");
	if (rc == 0)
		*ret_id = STEAL(u.snapshot);
	return rc;
}
