/* SPDX-License-Identifier: Apache-2.0 */
/* The vendor's download of an AMI whose snapshot is not ours to read: see catalog/ami.h. */
#include "catalog/ami.h"

#include "lib/log.h"
#include "lib/str.h"

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
