/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the NBD server that sends whatever it likes: the input is all that it says. */
#include <pthread.h>
#include <sys/socket.h>

#include "image.h"
#include "imgconv/nbd.h"

#define INPUT_MAX (64 * KIB) /* fits into a socket */
#define DISK_SIZE (64 * KIB)

static void *take_answers(void *ctx)
{
	static char room[MIB];
	const int *fd = ctx;

	while (read(*fd, room, sizeof(room)) > 0)
		;
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t disk[DISK_SIZE];
	const struct image_open_opts raw = {.format = "raw", .flags = IMAGE_RDWR};
	AUTO(image_close) struct image *im = fuzz_open(disk, sizeof(disk), &raw);
	pthread_t reader;
	int ends[2];

	if (size > INPUT_MAX)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ||
	    fs_write(ends[1], data, size, NULL) < 0)
		abort();
	shutdown(ends[1], SHUT_WR);
	if (pthread_create(&reader, NULL, take_answers, &ends[1]))
		abort();
	(void)nbd_serve(im, ends[0], NULL);
	close(ends[0]);
	pthread_join(reader, NULL);
	close(ends[1]);
	if (image_size(im) != DISK_SIZE)
		abort();
	return 0;
}
