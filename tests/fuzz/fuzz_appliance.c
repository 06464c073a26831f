/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process with libguestfs, taken over by a guest, could answer: the input is the answers to all
 * requests, one after the other, to whatever imgconv/guestfs.h asks. tests/fuzz/corpus/appliance/ is
 * made by tests/fuzz/appliance_seeds.
 */
#include <pthread.h>
#include <sys/socket.h>

#include "image.h"
#include "imgconv/inject/appliance.h"
#include "imgconv/inject/distro.h"

#define INPUT_MAX (64 * KIB) /* fits into a socket */

static const uint8_t *input;
static size_t input_len;
static int peer; /* of the requests */
static pthread_t drain;

/* Takes requests until there is nobody to send any. */
static void *take_requests(void *ctx)
{
	char room[4096];

	(void)ctx;
	while (read(peer, room, sizeof(room)) > 0)
		;
	return NULL;
}

static int start(bool kvm, int *ret_requests, int *ret_disks, bool *used_kvm, struct err *e)
{
	int requests[2], disks[2];

	(void)e;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, requests) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, disks) < 0)
		abort();
	if (fs_write(requests[1], input, input_len, NULL) < 0)
		abort();
	shutdown(requests[1], SHUT_WR);
	close(disks[1]);
	peer = requests[1];
	if (pthread_create(&drain, NULL, take_requests, NULL))
		abort();
	*used_kvm = kvm && input_len && input[0] == 0xff;
	*ret_requests = requests[0];
	*ret_disks = disks[0];
	return 0;
}

static void end(void)
{
	pthread_join(drain, NULL);
	close(peer);
}

static void tell(const char *text)
{
	if (!*text)
		abort();
}

static int count(void *ctx, const char *name, const struct guest_stat *st)
{
	if (!*name || strchr(name, '/') || !st->ino)
		abort();
	return ++*(unsigned *)ctx > 100000 ? -E2BIG : 0;
}

static void use(struct guest_fs *fs)
{
	static const struct overlay_attr attr = {.mode = 0644};
	AUTO(distro_release) struct distro d = {0};
	AUTO_BUF out = BUF_INIT;
	AUTO_FREE char *real = NULL;
	struct guest_file *f = NULL;
	static char piece[64 * KIB];
	unsigned n = 0;
	size_t got;

	(void)guest_fs_list(fs, "/etc", count, &n, NULL);
	(void)guest_fs_read_file(fs, "/etc/passwd", 64 * KIB, &out, NULL);
	(void)guest_fs_readlink(fs, "/link", &out, NULL);
	if (guest_fs_realpath(fs, "/sbin/init", &real, NULL) >= 0 && real[0] != '/')
		abort();
	(void)distro_detect(fs, &d, NULL);
	if (guest_file_open(fs, "/blob", &f, NULL) >= 0) {
		(void)guest_file_read(f, piece, sizeof(piece), 0, &got, NULL);
		guest_file_close(f);
	}
	(void)guest_fs_get_xattr(fs, "/etc", "security.selinux", &out, NULL);
	(void)guest_fs_mkdir(fs, "/new", &attr, NULL);
	(void)guest_fs_write_file(fs, "/new/file", "data", 4, &attr, NULL);
	(void)guest_fs_symlink(fs, "/new/link", "file", NULL);
	(void)guest_fs_remove(fs, "/etc", NULL);
	(void)guest_fs_commit(fs, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct appliance_starter starter = {.start = start, .end = end, .tell = tell};
	static const uint8_t disk[4096];
	const struct image_open_opts raw = {.format = "raw", .flags = IMAGE_RDWR};
	AUTO(image_close) struct image *im = fuzz_open(disk, sizeof(disk), &raw);
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	unsigned partition;

	if (!size || size > INPUT_MAX)
		return 0;
	input = data + 1;
	input_len = size - 1;
	appliance_starter = &starter;
	if (appliance_open(im, data[0] & 3, data[0] & 16 ? "@" : NULL, data[0] & 4,
			   data[0] & 8 ? GUEST_FS_WRITE : 0, &fs, &partition, NULL) >= 0)
		use(fs);
	return 0;
}
