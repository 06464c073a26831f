/* SPDX-License-Identifier: Apache-2.0 */
/* OVA files: archive, descriptor, manifest, certificate, and each disk to its end. */
#include <signal.h>
#include <sys/mman.h>

#include "bundle/ova.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct open_args args = {.input = "x.ova", .max_output = UINT64_MAX};
	struct opening o = {.a = &args, .file_size = size};
	AUTO(ova_release) struct ova a = {0};
	AUTO_FD int fd = memfd_create("ova", MFD_CLOEXEC);
	struct err e = {0};

	signal(SIGPIPE, SIG_IGN); /* as lib/stop.h has it in programs */
	/* A package in a folder would ask for files. */
	if (size < 512 || memcmp(data + 257, "ustar", 5) != 0)
		return 0;
	if (fd < 0 || fs_pwrite(fd, data, size, 0, &e) < 0)
		abort();
	o.fd = fd;
	if (ova_read(&o, &a, &e) < 0) {
		if (!e.code || !*e.msg)
			abort();
		return 0;
	}
	for (size_t i = 0; i < a.ovf.n_disks && i < 4; i++) {
		uint64_t disk_size = 0;
		bool looked;

		e = (struct err){0};
		if (ova_read_disk(&a, &a.ovf.disks[i], false, &disk_size, &looked, &e) < 0 &&
		    (!e.code || !*e.msg))
			abort();
	}
	return 0;
}
