/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of an AMI in our own account: see catalog/ami.h.
 *
 * What EC2 made a moment ago its lists may not show yet. So that no copy is made twice and none is
 * forgotten, the journal says before CopyImage that it is asked for, and by which word: asked once
 * more with that word as the client token, EC2 gives the id of the same copy. What is to be removed
 * and is not listed is looked for again for a while.
 */
#include <stdio.h>
#include <sys/random.h>

#include "catalog/ami.h"
#include "catalog/store.h"
#include "lib/clock.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/stop.h"
#include "lib/str.h"

#define TAG "acclimate-copy"
#define JOURNAL_LIMIT 65536
#define WORD_BYTES 16
/* The first pause while a copy is made, and the longest; it takes minutes. */
#define WAIT_MS 500
#define WAIT_MAX_MS 15000
#define WAIT_TOTAL_H 6u
/* So long it may take until what was made is known everywhere. */
#define UNKNOWN_MS 60000
#define UNKNOWN_PAUSE_MS 500
#define UNKNOWN_PAUSE_MAX_MS 4000
#define IDS_MAX 256 /* an instance has 128 volumes at most, and an AMI is made of one */

struct ids {
	char *items[IDS_MAX];
	size_t n;
};

static void ids_release(struct ids *ids)
{
	for (size_t i = 0; i < ids->n; i++)
		free(ids->items[i]);
	ids->n = 0;
}
DEFINE_AUTO_STRUCT(struct ids, ids_release);

/* An id that is there already, or one too many, or none, is no error. */
static int ids_add(struct ids *ids, const char *id, struct err *e)
{
	for (size_t i = 0; id && i < ids->n; i++) {
		if (strcmp(ids->items[i], id) == 0)
			return 0;
	}
	if (!id || ids->n == IDS_MAX)
		return 0;
	ids->items[ids->n] = strdup(id);
	if (!ids->items[ids->n])
		return err_nomem(e);
	ids->n++;
	return 0;
}

/* ---- the journal -------------------------------------------------------------------------------- */

struct copy {
	const char *journal;  /* path */
	char *ami;            /* what is copied */
	char *word;           /* by which the copy is known: tag, and client token */
	char *image;          /* the copy; NULL: its id is not known */
	struct ids snapshots; /* of the copy, as far as they are known */
	bool asked;           /* there may be one */
	bool deregistered;    /* its snapshots may still be there */
};

static void copy_release(struct copy *c)
{
	free(c->ami);
	free(c->word);
	free(c->image);
	ids_release(&c->snapshots);
	*c = (struct copy){0};
}
DEFINE_AUTO_STRUCT(struct copy, copy_release);

static int save(const struct copy *c, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "ami", c->ami);
	jsonw_string(&w, "word", c->word);
	if (c->image)
		jsonw_string(&w, "image", c->image);
	jsonw_array(&w, "snapshots");
	for (size_t i = 0; i < c->snapshots.n; i++)
		jsonw_string(&w, NULL, c->snapshots.items[i]);
	jsonw_close(&w);
	jsonw_bool(&w, "asked", c->asked);
	jsonw_bool(&w, "deregistered", c->deregistered);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write_file(c->journal, text.data, text.len, 0644, e);
}

static bool flag_of(const struct value *root, const char *key, bool otherwise)
{
	const struct value *v = value_get(root, key);
	bool flag;

	return v && value_bool(v, &flag, NULL) == 0 ? flag : otherwise;
}

/* ENOENT: there is none, or none that makes sense. */
static int load(const char *journal, struct copy *c, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF text = BUF_INIT;
	const char *ami, *word;
	int rc;

	if (fs_read_file(journal, JOURNAL_LIMIT, &text, NULL) < 0 ||
	    json_parse(journal, text.data, text.len, NULL, &root, NULL) < 0)
		return err_set(e, ENOENT, "no journal '%s'", journal);
	ami = store_text(root, "ami");
	word = store_text(root, "word");
	if (!ami || !word || strlen(word) != 2 * WORD_BYTES)
		return err_set(e, ENOENT, "'%s' names no copy", journal);
	rc = image_set(&c->ami, ami, e);
	if (rc == 0)
		rc = image_set(&c->word, word, e);
	if (rc == 0)
		rc = image_set(&c->image, store_text(root, "image"), e);
	value_foreach (v, value_get(root, "snapshots")) {
		if (rc == 0 && value_string(v, &word, NULL) == 0)
			rc = ids_add(&c->snapshots, word, e);
	}
	c->journal = journal;
	c->asked = flag_of(root, "asked", true);
	c->deregistered = flag_of(root, "deregistered", false);
	return rc;
}

static int new_copy(const char *journal, const char *ami, struct copy *c, struct err *e)
{
	uint8_t raw[WORD_BYTES];
	char hex[2 * WORD_BYTES + 1];
	int rc;

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return err_errno(e, errno, "asking for random bytes");
	hex_encode(raw, sizeof(raw), hex);
	c->journal = journal;
	rc = image_set(&c->ami, ami, e);
	return rc < 0 ? rc : image_set(&c->word, hex, e);
}

/* ---- what EC2 lists ------------------------------------------------------------------------------ */

/* The images, or the snapshots, that have the tag. */
static int list_tagged(struct session *s, bool snapshots, const char *word, struct ids *ret,
		       struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct aws_param params[] = {
		{"Owner.1", "self"},
		{"Filter.1.Name", "tag:" TAG},
		{"Filter.1.Value.1", word},
	};
	const struct xml_node *set;
	int rc = aws_ec2(s->aws, s->http, snapshots ? "DescribeSnapshots" : "DescribeImages",
			 params, ARRAY_SIZE(params), &root, NULL, e);

	if (rc < 0)
		return rc;
	set = xml_child(root, snapshots ? "snapshotSet" : "imagesSet");
	for (const struct xml_node *i = xml_child(set, "item"); i && rc == 0;
	     i = xml_next(i, "item"))
		rc = ids_add(ret, xml_child_text(i, snapshots ? "snapshotId" : "imageId", NULL), e);
	return rc;
}

/* The pauses between looks for what may not be known everywhere yet. */
struct patience {
	uint64_t until; /* by clock_ms; 0: not begun */
	uint64_t pause;
};

/* True: look again. An interruption ends it, too. */
static bool wait_a_while(struct session *s, struct patience *p)
{
	bool again;

	if (!p->until)
		*p = (struct patience){clock_ms() + UNKNOWN_MS, UNKNOWN_PAUSE_MS};
	if (clock_ms() >= p->until)
		return false;
	session_note(s, "what was copied is not known everywhere yet");
	again = httpc_sleep_ms(p->pause, NULL) == 0;
	session_note(s, NULL);
	p->pause = MIN(p->pause * 2, (uint64_t)UNKNOWN_PAUSE_MAX_MS);
	return again;
}

/* The same, where there should be one: none after a while is no error. */
static int find_tagged(struct session *s, bool snapshots, const char *word, struct ids *ret,
		       struct err *e)
{
	struct patience p = {0};
	int rc;

	do
		rc = list_tagged(s, snapshots, word, ret, e);
	while (rc == 0 && !ret->n && wait_a_while(s, &p));
	return rc;
}

/* ---- making -------------------------------------------------------------------------------------- */

/* It was refused: nothing was made. */
static bool is_refusal(const struct aws_error *refused)
{
	return refused->status >= 400 && refused->status < 500 && *refused->code &&
	       strcmp(refused->code, "RequestLimitExceeded") != 0;
}

/* Another request than those of the same token made it: a token is forgotten some day. */
static int find_by_name(struct session *s, struct copy *c, struct err *e)
{
	AUTO(ids_release) struct ids ids = {0};
	int rc = find_tagged(s, false, c->word, &ids, e);

	if (rc == 0 && !ids.n)
		rc = err_set(e, EBUSY, "the copy 'acclimate-%s' is there and not listed yet",
			     c->word);
	return rc < 0 ? rc : image_set(&c->image, ids.items[0], e);
}

static int ask_for_copy(struct session *s, const struct catalog_image *ami, struct copy *c,
			struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	AUTO_FREE char *name = str_format("acclimate-%s", c->word);
	AUTO_FREE char *about =
		str_format("Made by catalog import to read %s; may be removed", ami->id);
	const struct aws_param params[] = {
		{"SourceImageId", ami->id},
		{"SourceRegion", ami->region ? ami->region : aws_region(s->aws)},
		{"Name", name},
		{"Description", about},
		{"ClientToken", c->word},
		{"TagSpecification.1.ResourceType", "image"},
		{"TagSpecification.1.Tag.1.Key", TAG},
		{"TagSpecification.1.Tag.1.Value", c->word},
		{"TagSpecification.2.ResourceType", "snapshot"},
		{"TagSpecification.2.Tag.1.Key", TAG},
		{"TagSpecification.2.Tag.1.Value", c->word},
	};
	struct aws_error refused = {0};
	int rc;

	if (!name || !about)
		return err_nomem(e);
	c->asked = true;
	rc = save(c, e);
	if (rc < 0)
		return rc;
	rc = aws_ec2(s->aws, s->http, "CopyImage", params, ARRAY_SIZE(params), &root, &refused, e);
	if (rc < 0 && strcmp(refused.code, "InvalidAMIName.Duplicate") == 0) {
		rc = find_by_name(s, c, e);
	} else if (rc < 0 && is_refusal(&refused)) {
		c->asked = false;
		(void)save(c, NULL);
	} else if (rc == 0) {
		rc = image_set(&c->image, xml_child_text(root, "imageId", NULL), e);
		if (rc == 0 && !c->image)
			rc = err_set(e, EBADMSG, "CopyImage gave no id");
	}
	return rc < 0 ? err_wrap(e, "copying '%s'", ami->id) : save(c, e);
}

/* Until the copy is there: minutes, at times hours. */
static int wait_for_copy(struct session *s, const char *id, struct catalog_image *ret,
			 struct err *e)
{
	uint64_t until = clock_ms() + WAIT_TOTAL_H * UINT64_C(3600000);
	struct patience unknown = {0};
	uint64_t pause = WAIT_MS;

	session_note(s, "the copy is being made");
	for (;;) {
		AUTO(catalog_image_release) struct catalog_image im = {0};
		int rc = s->source->type->find(s, id, &im, e);
		const char *state = im.state ? im.state : "";

		if (rc == -ENOENT && wait_a_while(s, &unknown))
			continue;
		if (rc < 0)
			return rc;
		if (rc == 0 && strcmp(state, "available") == 0) {
			session_note(s, NULL);
			*ret = im;
			im = (struct catalog_image){0};
			return 0;
		}
		if (rc == 0 && strcmp(state, "pending") != 0)
			return err_set(e, EIO, "the copy '%s' is '%s'", id, state);
		if (clock_ms() > until)
			return err_set(e, ETIMEDOUT, "the copy '%s' was not there after %u hours",
				       id, WAIT_TOTAL_H);
		rc = httpc_sleep_ms(pause, e);
		if (rc < 0)
			return rc;
		pause = MIN(pause * 2, (uint64_t)WAIT_MAX_MS);
	}
}

int ami_copy(struct session *s, const struct catalog_image *ami, const char *journal,
	     struct catalog_image *ret, struct err *e)
{
	AUTO(copy_release) struct copy c = {0};
	int rc = load(journal, &c, NULL);

	if (rc == 0 && (c.deregistered || strcmp(c.ami, ami->id) != 0)) {
		copy_release(&c);
		rc = ami_remove_copy(s, journal, e);
		if (rc < 0)
			return rc;
		rc = -ENOENT;
	}
	if (rc < 0)
		rc = new_copy(journal, ami->id, &c, e);
	if (rc == 0 && c.image) {
		log_info("the copy '%s' of '%s' is there from an import before", c.image, ami->id);
	} else if (rc == 0) {
		rc = ask_for_copy(s, ami, &c, e);
		if (rc == 0)
			log_info("'%s' is copied to '%s', which is removed at the end (tag %s=%s)",
				 ami->id, c.image, TAG, c.word);
	}
	return rc < 0 ? rc : wait_for_copy(s, c.image, ret, e);
}

/* ---- removing ------------------------------------------------------------------------------------ */

static int remove_one(struct session *s, bool snapshot, const char *id, struct err *e)
{
	const struct aws_param params[] = {{snapshot ? "SnapshotId" : "ImageId", id}};
	struct patience p = {0};
	bool early;
	int rc;

	do {
		AUTO(xml_free) struct xml_node *root = NULL;
		struct aws_error refused = {0};

		rc = aws_ec2(s->aws, s->http, snapshot ? "DeleteSnapshot" : "DeregisterImage",
			     params, ARRAY_SIZE(params), &root, &refused, e);
		/* It is gone: the answer to the first request was lost. */
		if (rc < 0 && strcmp(refused.code, "InvalidAMIID.Unavailable") == 0)
			return 0;
		/* So is a snapshot that was listed. But an image may be too young, or its end not
		 * known where its snapshot is removed. */
		early = snapshot ? strcmp(refused.code, "InvalidSnapshot.InUse") == 0
				 : rc == -ENOENT;
	} while (rc < 0 && early && wait_a_while(s, &p));
	return rc == -ENOENT ? 0 : rc;
}

/* What the copy says itself: its tag may be missing on a snapshot. */
static int note_snapshots(struct session *s, struct copy *c, struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct aws_param params[] = {{"ImageId.1", c->image}};
	const struct xml_node *mapping;
	int rc = aws_ec2(s->aws, s->http, "DescribeImages", params, ARRAY_SIZE(params), &root, NULL,
			 e);

	/* Not known yet, or gone. */
	if (rc == -ENOENT)
		return 0;
	mapping = rc == 0 ? xml_path(root, "imagesSet/item/blockDeviceMapping") : NULL;
	for (const struct xml_node *i = xml_child(mapping, "item"); i && rc == 0;
	     i = xml_next(i, "item"))
		rc = ids_add(&c->snapshots, xml_child_text(xml_child(i, "ebs"), "snapshotId", NULL),
			     e);
	return rc < 0 ? rc : save(c, e);
}

static int remove_image(struct session *s, struct copy *c, struct err *e)
{
	AUTO(ids_release) struct ids ids = {0};
	int rc = c->image ? 0 : find_tagged(s, false, c->word, &ids, e);

	if (rc == 0 && ids.n)
		rc = image_set(&c->image, ids.items[0], e);
	if (rc == 0 && c->image)
		rc = note_snapshots(s, c, e);
	if (rc == 0 && c->image)
		rc = remove_one(s, false, c->image, e);
	if (rc < 0)
		return rc;
	if (c->image)
		log_info("the copy '%s' is removed", c->image);
	c->deregistered = true;
	return save(c, e);
}

static int remove_snapshots(struct session *s, struct copy *c, struct err *e)
{
	struct ids *ids = &c->snapshots;
	bool expected = c->image && !ids->n;
	int rc = expected ? find_tagged(s, true, c->word, ids, e)
			  : list_tagged(s, true, c->word, ids, e);

	if (rc == 0 && expected && !ids->n)
		log_warn("no snapshot of the copy '%s' is listed; one would have the tag %s=%s",
			 c->image, TAG, c->word);
	for (size_t i = 0; rc == 0 && i < ids->n; i++)
		rc = remove_one(s, true, ids->items[i], e);
	return rc;
}

int ami_remove_copy(struct session *s, const char *journal, struct err *e)
{
	AUTO(copy_release) struct copy c = {0};
	int rc = 0;

	if (load(journal, &c, NULL) < 0)
		return 0;
	if (c.asked && !c.deregistered)
		rc = remove_image(s, &c, e);
	if (rc == 0 && c.asked)
		rc = remove_snapshots(s, &c, e);
	if (rc < 0)
		return err_wrap(e, "removing the copy with the tag %s=%s, image '%s'", TAG, c.word,
				c.image ? c.image : "-");
	(void)unlink(journal);
	return 0;
}
