/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session tokens of IMDSv2. Nothing is kept of a token that was given out: it carries when it ends,
 * and a MAC that only a holder of the key can make, for one instance only.
 *
 *	offset  bytes
 *	0       1      layout: 1
 *	1       5      end, Unix seconds, big endian
 *	6       10     random
 *	16      24     the first 24 bytes of HMAC-SHA256(key, LABEL NUL, instance id NUL, offsets 0-15)
 *
 * in base64url with padding (RFC 4648 section 5): 56 characters, as EC2's tokens have.
 */
#include <fcntl.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "context/imds.h"
#include "lib/fs.h"
#include "lib/str.h"

enum {
	LAYOUT = 1,
	OFF_LAYOUT = 0,
	OFF_END = 1,
	OFF_RANDOM = 6,
	RANDOM_SIZE = 10,
	OFF_MAC = 16,
	MAC_SIZE = 24,
	TOKEN_SIZE = OFF_MAC + MAC_SIZE,
};

static const char label[] = "acclimate imds token"; /* with its NUL */

static int random_bytes(void *out, size_t len, struct err *e)
{
	ssize_t n = getrandom(out, len, 0);

	/* up to 256 bytes come whole (getrandom(2)) */
	if (n != (ssize_t)len)
		return err_errno(e, n < 0 ? errno : EIO, "random bytes");
	return 0;
}

int token_key_random(struct token_key *ret, struct err *e)
{
	return random_bytes(ret->bytes, sizeof(ret->bytes), e);
}

/* 0, or -ENOENT without a message. */
static int read_key(const char *path, struct token_key *ret, struct err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return err_errno(e, errno, "token key '%s'", path);
	if (fstat(fd, &st))
		return err_errno(e, errno, "token key '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_size != TOKEN_KEY_SIZE)
		return err_set(e, EBADMSG, "token key '%s': is not a file of %d bytes", path,
			       TOKEN_KEY_SIZE);
	if (st.st_uid != geteuid())
		return err_set(e, EACCES, "token key '%s': belongs to another user", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(e, EACCES, "token key '%s': others may use it (mode %04o, not 0600)",
			       path, (unsigned)st.st_mode & 07777);
	if (fs_pread(fd, ret->bytes, sizeof(ret->bytes), 0, e))
		return err_wrap(e, "token key '%s'", path);
	return 0;
}

/*
 * Made under another name and linked into place: of several that do this at once one wins, the
 * others get EEXIST, sooner or later, and nobody ever reads a key in part.
 */
static int make_key(const char *path, struct token_key *ret, struct err *e)
{
	AUTO(atomic_file_abort) struct atomic_file f = ATOMIC_FILE_INIT;
	int rc = token_key_random(ret, e);

	if (rc == 0)
		rc = atomic_file_begin(&f, path, FS_NO_REPLACE, e);
	if (rc == 0)
		rc = fs_pwrite(f.fd, ret->bytes, sizeof(ret->bytes), 0, e);
	return rc ? rc : atomic_file_commit(&f, 0600, e);
}

int token_key_load(const char *path, struct token_key *ret, struct err *e)
{
	struct err made = {0};
	int rc = read_key(path, ret, e);

	if (rc != -ENOENT)
		return rc;
	rc = make_key(path, ret, &made);
	if (rc == 0)
		return 0;
	if (rc != -EEXIST)
		return err_set(e, -rc, "token key: %s", made.msg);
	rc = read_key(path, ret, e);
	return rc == -ENOENT ? err_set(e, ENOENT, "token key '%s': vanished", path) : rc;
}

static void make_mac(const struct token_key *key, const char *instance_id, const uint8_t *token,
		     uint8_t mac[MAC_SIZE])
{
	struct hmac_sha256_ctx ctx;

	hmac_sha256_set_key(&ctx, sizeof(key->bytes), key->bytes);
	hmac_sha256_update(&ctx, sizeof(label), (const uint8_t *)label);
	hmac_sha256_update(&ctx, strlen(instance_id) + 1, (const uint8_t *)instance_id);
	hmac_sha256_update(&ctx, OFF_MAC, token);
	hmac_sha256_digest(&ctx, MAC_SIZE, mac);
}

int token_issue(const struct token_key *key, const char *instance_id, uint64_t now, unsigned ttl,
		char out[TOKEN_TEXT_SIZE], struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	uint8_t token[TOKEN_SIZE] = {[OFF_LAYOUT] = LAYOUT};
	uint8_t end[8];
	int rc;

	be64_put(end, now + ttl);
	memcpy(token + OFF_END, end + 3, 5);
	rc = random_bytes(token + OFF_RANDOM, RANDOM_SIZE, e);
	if (rc)
		return rc;
	make_mac(key, instance_id, token, token + OFF_MAC);
	if (base64url_encode(token, sizeof(token), &text))
		return err_nomem(e);
	memcpy(out, buf_str(&text), TOKEN_TEXT_SIZE); /* 56 and a NUL, whatever the bytes */
	return 0;
}

bool token_check(const struct token_key *key, const char *instance_id, uint64_t now,
		 const char *text, size_t len, unsigned *ret_left)
{
	AUTO_BUF token = BUF_INIT;
	uint8_t end[8] = {0};
	uint8_t mac[MAC_SIZE];
	uint64_t left;

	/* the decoder skips blanks, a token has none */
	if (len != TOKEN_TEXT_SIZE - 1 || memchr(text, ' ', len) || memchr(text, '\t', len))
		return false;
	if (base64url_decode(text, len, &token, NULL) || token.len != TOKEN_SIZE ||
	    token.data[OFF_LAYOUT] != LAYOUT)
		return false;
	make_mac(key, instance_id, (const uint8_t *)token.data, mac);
	if (!memeql_sec(mac, token.data + OFF_MAC, MAC_SIZE))
		return false;
	memcpy(end + 3, token.data + OFF_END, 5);
	left = be64_get(end);
	/* one that ends later than any can was given out before the clock was set back */
	if (left <= now || left - now > TOKEN_MAX_TTL)
		return false;
	if (ret_left)
		*ret_left = (unsigned)(left - now);
	return true;
}

void secret_digest(const char *instance_id, const char *secret, char out[SECRET_DIGEST_SIZE])
{
	uint8_t digest[(SECRET_DIGEST_SIZE - 1) / 2];
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, strlen(instance_id) + 1, (const uint8_t *)instance_id);
	sha256_update(&ctx, strlen(secret), (const uint8_t *)secret);
	sha256_digest(&ctx, sizeof(digest), digest);
	hex_encode(digest, sizeof(digest), out);
}
