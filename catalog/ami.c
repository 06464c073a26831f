/* SPDX-License-Identifier: Apache-2.0 */
/* AMIs whose snapshot is not ours to read: see catalog/ami.h. */
#include "catalog/ami.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

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
#define WAIT_TOTAL_S (6 * 3600)

/* ---- the vendor's download -------------------------------------------------------------------- */

struct choice {
	const char *prefix; /* PRODUCT/SERIAL/ */
	struct catalog_image best;
	int rank;
};

/* How well an item fits what an AMI holds: a disk that boots by itself. */
static int rank_of(const char *item)
{
	static const char *const order[] = {"disk1.img", "disk-kvm.img", "disk.img", "uefi1.img"};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		if (strcmp(item, order[i]) == 0)
			return (int)(ARRAY_SIZE(order) - i) + 1;
	}
	return 1;
}

static int choose(void *ctx, const struct catalog_image *im)
{
	struct choice *c = ctx;
	int rank;

	if (im->delivery != DELIVERY_FILE || !str_has_prefix(im->id, c->prefix))
		return 0;
	rank = rank_of(im->id + strlen(c->prefix));
	if (rank <= c->rank)
		return 0;
	catalog_image_release(&c->best);
	c->rank = rank;
	return catalog_image_copy(im, &c->best);
}

/* The file of the AMI's product and serial in one source. */
static int find_in_source(struct session *s, const char *ami, struct catalog_image *ret,
			  struct err *e)
{
	AUTO(index_close) struct index *x = NULL;
	AUTO(query_release) struct query q = {0};
	AUTO(catalog_image_release) struct catalog_image told = {0};
	AUTO_FREE char *prefix = NULL;
	struct choice c = {0};
	int rc = catalog_index(s, &x, e);

	if (rc == 0)
		rc = index_find(x, ami, &told, e);
	if (rc < 0)
		return rc;
	if (!told.elsewhere || !told.location)
		return err_set(e, ENOENT, "'%s' has no product", ami);
	prefix = str_format("%s/", told.location);
	if (!prefix)
		return err_nomem(e);
	c.prefix = prefix;
	rc = query_parse((const char *const *)&prefix, 1, &q, e);
	q.older = true;
	if (rc == 0)
		rc = index_search(x, &q, choose, &c, e);
	if (rc == 0 && !c.best.id)
		rc = err_set(e, ENOENT, "there is no download of '%s'", told.location);
	if (rc == 0)
		*ret = c.best;
	else
		catalog_image_release(&c.best);
	return rc;
}

int ami_find_download(struct catalog *c, const char *ami, struct session *ret_session,
		      struct catalog_image *ret, struct err *e)
{
	AUTO_BUF asked = BUF_INIT;

	for (size_t i = 0; i < c->config->n_sources; i++) {
		const struct source *src = c->config->sources[i];
		AUTO(session_close) struct session s = {0};
		struct err why;
		int rc;

		if (src->type != &source_simplestreams)
			continue;
		rc = session_open(c->options, src, &s, &why);
		if (rc == 0)
			rc = find_in_source(&s, ami, ret, &why);
		if (rc == 0) {
			*ret_session = s;
			s = (struct session){0};
			return 0;
		}
		if (rc == -ECANCELED || rc == -ENOMEM) {
			if (e)
				*e = why;
			return rc;
		}
		log_debug("source '%s': %s", src->name, why.msg);
		if (buf_addf(&asked, "%s%s", asked.len ? ", " : "", src->name) < 0)
			return err_nomem(e);
	}
	return err_set(e, ENOENT, "no source of simplestreams knows it%s%s%s",
		       asked.len ? " (asked: " : "", buf_str(&asked), asked.len ? ")" : "");
}

/* ---- a copy of our own ------------------------------------------------------------------------ */

/* The word by which the copy is known: out of the journal, or a new one that is then in it. */
static int copy_word(const char *journal, const char *ami, char **ret, struct err *e)
{
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF text = BUF_INIT;
	uint8_t raw[WORD_BYTES];
	char hex[2 * WORD_BYTES + 1];
	const struct value *word, *of;
	const char *s;
	struct jsonw w;
	int rc;

	if (fs_read_file(journal, JOURNAL_LIMIT, &text, NULL) == 0 &&
	    json_parse(journal, text.data, text.len, NULL, &root, NULL) == 0) {
		word = value_get(root, "word");
		of = value_get(root, "ami");
		if (word && of && value_string(of, &s, NULL) == 0 &&
		    (!ami || strcmp(s, ami) == 0) && value_string(word, &s, NULL) == 0 &&
		    strlen(s) == 2 * WORD_BYTES)
			return image_set(ret, s, e);
	}
	if (!ami)
		return err_set(e, ENOENT, "no journal '%s'", journal);
	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return err_errno(e, errno, "asking for random bytes");
	hex_encode(raw, sizeof(raw), hex);
	buf_clear(&text);
	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "ami", ami);
	jsonw_string(&w, "word", hex);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		rc = fs_write_file(journal, text.data, text.len, 0644, e);
	return rc < 0 ? rc : image_set(ret, hex, e);
}

/* The id of the image, or of the snapshot, that has the tag; *ret NULL: there is none. */
static int find_tagged(struct session *s, bool snapshot, const char *word, char **ret,
		       struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct aws_param params[] = {
		{"Owner.1", "self"},
		{"Filter.1.Name", "tag:" TAG},
		{"Filter.1.Value.1", word},
	};
	const struct xml_node *item;
	int rc = aws_ec2(s->aws, s->http, snapshot ? "DescribeSnapshots" : "DescribeImages", params,
			 ARRAY_SIZE(params), &root, NULL, e);

	if (rc < 0)
		return rc;
	item = xml_path(root, snapshot ? "snapshotSet/item" : "imagesSet/item");
	return image_set(ret, xml_child_text(item, snapshot ? "snapshotId" : "imageId", NULL), e);
}

static int ask_for_copy(struct session *s, const struct catalog_image *ami, const char *word,
			char **ret, struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	AUTO_FREE char *name = str_format("acclimate-%s", word);
	AUTO_FREE char *about =
		str_format("Made by catalog import to read %s; may be removed", ami->id);
	const struct aws_param params[] = {
		{"SourceImageId", ami->id},
		{"SourceRegion", ami->region ? ami->region : aws_region(s->aws)},
		{"Name", name},
		{"Description", about},
		{"ClientToken", word},
		{"TagSpecification.1.ResourceType", "image"},
		{"TagSpecification.1.Tag.1.Key", TAG},
		{"TagSpecification.1.Tag.1.Value", word},
		{"TagSpecification.2.ResourceType", "snapshot"},
		{"TagSpecification.2.Tag.1.Key", TAG},
		{"TagSpecification.2.Tag.1.Value", word},
	};
	int rc;

	if (!name || !about)
		return err_nomem(e);
	rc = aws_ec2(s->aws, s->http, "CopyImage", params, ARRAY_SIZE(params), &root, NULL, e);
	if (rc < 0)
		return err_wrap(e, "copying '%s'", ami->id);
	rc = image_set(ret, xml_child_text(root, "imageId", NULL), e);
	if (rc == 0 && !*ret)
		rc = err_set(e, EBADMSG, "copying '%s': CopyImage gave no id", ami->id);
	return rc;
}

/* Until the copy is there: minutes, at times hours. */
static int wait_for_copy(struct session *s, const char *id, struct catalog_image *ret,
			 struct err *e)
{
	time_t until = time(NULL) + WAIT_TOTAL_S;
	uint64_t pause = WAIT_MS;

	session_note(s, "the copy is being made");
	for (;;) {
		AUTO(catalog_image_release) struct catalog_image im = {0};
		int rc = s->source->type->find(s, id, &im, e);
		const char *state = im.state ? im.state : "";

		/* For a while it may not be known everywhere. */
		if (rc < 0 && rc != -ENOENT)
			return rc;
		if (rc == 0 && strcmp(state, "available") == 0) {
			session_note(s, NULL);
			*ret = im;
			im = (struct catalog_image){0};
			return 0;
		}
		if (rc == 0 && strcmp(state, "pending") != 0)
			return err_set(e, EIO, "the copy '%s' is '%s'", id, state);
		if (time(NULL) > until)
			return err_set(e, ETIMEDOUT, "the copy '%s' was not there after %d hours",
				       id, WAIT_TOTAL_S / 3600);
		rc = httpc_sleep_ms(pause, e);
		if (rc < 0)
			return rc;
		pause = MIN(pause * 2, (uint64_t)WAIT_MAX_MS);
	}
}

int ami_copy(struct session *s, const struct catalog_image *ami, const char *journal,
	     struct catalog_image *ret, struct err *e)
{
	AUTO_FREE char *word = NULL, *id = NULL;
	int rc = copy_word(journal, ami->id, &word, e);

	if (rc == 0)
		rc = find_tagged(s, false, word, &id, e);
	if (rc == 0 && id)
		log_info("the copy '%s' of '%s' is there from an import before", id, ami->id);
	if (rc == 0 && !id) {
		rc = ask_for_copy(s, ami, word, &id, e);
		if (rc == 0)
			log_info("'%s' is copied to '%s', which is removed at the end (tag %s=%s)",
				 ami->id, id, TAG, word);
	}
	return rc < 0 ? rc : wait_for_copy(s, id, ret, e);
}

static int remove_one(struct session *s, bool snapshot, const char *id, struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct aws_param params[] = {{snapshot ? "SnapshotId" : "ImageId", id}};
	struct aws_error refused = {0};
	int rc = aws_ec2(s->aws, s->http, snapshot ? "DeleteSnapshot" : "DeregisterImage", params,
			 ARRAY_SIZE(params), &root, &refused, e);

	/* It is gone: the answer to the first request was lost. */
	if (rc < 0 && strcmp(refused.code, "InvalidAMIID.Unavailable") == 0)
		return 0;
	return rc == -ENOENT ? 0 : rc;
}

int ami_remove_copy(struct session *s, const char *journal, struct err *e)
{
	AUTO_FREE char *word = NULL, *image = NULL, *snapshot = NULL;
	int rc;

	if (copy_word(journal, NULL, &word, NULL) < 0)
		return 0;
	rc = find_tagged(s, false, word, &image, e);
	if (rc == 0 && image)
		rc = remove_one(s, false, image, e);
	if (rc == 0)
		rc = find_tagged(s, true, word, &snapshot, e);
	if (rc == 0 && snapshot)
		rc = remove_one(s, true, snapshot, e);
	if (rc < 0)
		return err_wrap(e,
				"removing the copy with the tag %s=%s, image '%s', snapshot '%s'",
				TAG, word, image ? image : "-", snapshot ? snapshot : "-");
	if (image)
		log_info("the copy '%s' is removed", image);
	(void)unlink(journal);
	return 0;
}
