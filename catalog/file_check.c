/* SPDX-License-Identifier: Apache-2.0 */
/* See catalog/file_check.h. */
#include "catalog/file_check.h"

#include "catalog/parse.h"
#include "catalog/web.h"
#include "lib/fs.h"
#include "lib/stop.h"

#define CHUNK (1u << 20)

void file_check_release(struct file_check *c)
{
	digest_free(c->digest);
}

int file_check_start(const struct catalog_image *im, const struct remote_file *remote,
		     struct file_check *c, struct err *e)
{
	const char *told = im->digest ? im->digest : remote->digest;
	int rc;

	if (!told)
		return 0;
	c->by = im->digest ? im->digest_by : remote->digest_by;
	rc = digest_text_parse(told, &c->kind, c->hex, e);
	return rc < 0 ? rc : digest_new(c->kind, &c->digest, e);
}

void file_check_add(struct file_check *c, const void *data, size_t len)
{
	if (c->digest)
		digest_add(c->digest, data, len);
}

static const char *shown_name(enum digest_kind kind)
{
	static const char *const names[] = {
		[DIGEST_MD5] = "MD5",
		[DIGEST_SHA1] = "SHA-1",
		[DIGEST_SHA256] = "SHA-256",
		[DIGEST_SHA512] = "SHA-512",
	};

	return names[kind];
}

int file_check_end(struct file_check *c, const struct catalog_image *im,
		   struct fetch_report *report, struct err *e)
{
	char hex[2 * DIGEST_MAX + 1];
	int rc;

	if (!c->digest) {
		rc = buf_adds(&report->warnings, "the file was not checked: neither a catalog nor "
						 "its server tells a digest\n");
		return rc < 0 ? err_nomem(e) : 0;
	}
	digest_final_hex(c->digest, hex);
	if (strcmp(hex, c->hex) != 0)
		return err_set(e, EBADMSG, "'%.*s': its %s is %s, the %s says %s%s",
			       web_shown(im->url), im->url, digest_name(c->kind), hex,
			       c->by ? c->by : "catalog", c->hex,
			       /* Not each server that speaks S3 makes it so. */
			       c->by && strcmp(c->by, "ETag") == 0
				       ? " (where that is known to be none: --digest)"
				       : "");
	rc = buf_addf(&report->verified, "file digest (%s%s%s)\n", shown_name(c->kind),
		      c->by ? ", " : "", c->by ? c->by : "");
	return rc < 0 ? err_nomem(e) : 0;
}

int file_check_add_file(struct file_check *c, int fd, uint64_t len, struct err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);
	uint64_t at = 0;
	int rc = chunk ? 0 : err_nomem(e);

	while (rc == 0 && at < len && c->digest) {
		size_t n = MIN(len - at, (uint64_t)CHUNK);

		rc = fs_pread(fd, chunk, n, at, e);
		if (rc == 0)
			rc = stop_check(e);
		if (rc == 0)
			file_check_add(c, chunk, n);
		at += n;
	}
	return rc;
}
