/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UUIDs of new images. They are to differ between images that a hypervisor may have at the same
 * time, and to be the same whenever the same image is made: so they are a digest of what the image
 * is (format, options, size) and of something of the disk: which parts have data, or, where that
 * is not known, the first bytes, which have what a partition table and a file system are told
 * apart by.
 */
#include "imgconv/format.h"
#include "lib/fs.h"
#include "lib/str.h"

struct image_identity {
	struct digest *digest;
	uint64_t start, end; /* the run that is not in the digest yet */
};

int image_identity_new(const char *what, uint64_t size, struct image_identity **ret, struct err *e)
{
	AUTO(image_identity_free) struct image_identity *id = calloc(1, sizeof(*id));
	uint8_t bytes[8];
	int rc;

	if (!id)
		return err_nomem(e);
	rc = digest_new(DIGEST_SHA256, &id->digest, e);
	if (rc)
		return rc;
	be64_put(bytes, size);
	digest_add(id->digest, bytes, sizeof(bytes));
	digest_add(id->digest, what, strlen(what) + 1);
	*ret = STEAL(id);
	return 0;
}

static void add_run(struct image_identity *id)
{
	uint8_t bytes[16];

	if (id->start == id->end)
		return;
	be64_put(bytes, id->start);
	be64_put(bytes + 8, id->end);
	digest_add(id->digest, bytes, sizeof(bytes));
}

void image_identity_run(struct image_identity *id, uint64_t off, uint64_t len)
{
	if (off != id->end) {
		add_run(id);
		id->start = off;
	}
	id->end = off + len;
}

void image_identity_bytes(struct image_identity *id, const void *data, size_t len)
{
	digest_add(id->digest, data, len);
}

int image_identity_read(struct image_identity *id, int fd, uint64_t off, uint64_t len,
			struct err *e)
{
	uint8_t buf[16 * KIB];
	int rc = 0;

	while (rc == 0 && len) {
		size_t n = (size_t)MIN(len, (uint64_t)sizeof(buf));

		rc = fs_pread(fd, buf, n, off, e);
		if (rc == 0)
			digest_add(id->digest, buf, n);
		off += n;
		len -= n;
	}
	return rc;
}

void image_identity_uuid(struct image_identity *id, uint8_t out[IMAGE_UUID_SIZE])
{
	uint8_t sum[DIGEST_MAX];

	add_run(id);
	id->start = id->end = 0;
	digest_final(id->digest, sum);
	memcpy(out, sum, IMAGE_UUID_SIZE);
	out[6] = (uint8_t)((out[6] & 0x0f) | 0x80);
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

void image_identity_free(struct image_identity *id)
{
	if (id->digest)
		digest_free(id->digest);
	free(id);
}

void image_uuid_text(const uint8_t uuid[IMAGE_UUID_SIZE], char out[IMAGE_UUID_TEXT])
{
	char hex[2 * IMAGE_UUID_SIZE + 1];
	size_t at = 0;

	hex_encode(uuid, IMAGE_UUID_SIZE, hex);
	for (size_t i = 0; i < 2 * (size_t)IMAGE_UUID_SIZE; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			out[at++] = '-';
		out[at++] = hex[i];
	}
	out[at] = '\0';
}

int image_uuid_option(const struct image_create_opts *o, uint8_t out[IMAGE_UUID_SIZE],
		      bool *ret_given, struct err *e)
{
	const char *text = image_create_option(o, "uuid");
	char hex[2 * IMAGE_UUID_SIZE + 1];
	size_t n = 0;

	*ret_given = text != NULL;
	if (!text)
		return 0;
	for (size_t i = 0; text[i] && n < sizeof(hex); i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if ((text[i] == '-') != dash)
			break;
		if (!dash)
			hex[n++] = text[i];
	}
	if (strlen(text) != IMAGE_UUID_TEXT - 1 || n != 2 * (size_t)IMAGE_UUID_SIZE ||
	    hex_decode(hex, n, out, IMAGE_UUID_SIZE, NULL) < 0)
		return err_set(e, EINVAL, "uuid: '%s' is no UUID", text);
	if (mem_is_zero(out, IMAGE_UUID_SIZE))
		return err_set(e, EINVAL, "uuid: all zeros are no UUID");
	return 0;
}
