/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of libguestfs, and its disk: see appliance.h. */
#include "imgconv/inject/appliance.h"

#include <stdio.h>
#include <sys/socket.h>

#include "imgconv/inject/appliance_priv.h"
#include "imgconv/layer.h"
#include "imgconv/nbd.h"
#include "lib/str.h"

/* A machine with KVM is up in some seconds; the first time libguestfs builds it, which takes more. */
#define KVM_TIMEOUT_S 90
#define LAUNCH_TIMEOUT_S 900
#define INSTALL                                                                                    \
	"install libguestfs with a Linux kernel for its machine (Debian: apt install "             \
	"libguestfs0 linux-image-cloud-amd64)"

const struct appliance_starter *appliance_starter;

/* ---- which file systems ------------------------------------------------------------------------ */

static const char *const roots[] = {"xfs", "btrfs",    "LVM2_member",       "f2fs",
				    "jfs", "reiserfs", "linux_raid_member", "nilfs2",
				    "ufs", NULL};
static const char *const others[] = {"vfat",    "exfat",    "ntfs", "hfsplus",
				     "iso9660", "squashfs", NULL};

static bool in_list(const char *const *list, const char *word)
{
	while (*list && strcmp(*list, word) != 0)
		list++;
	return *list;
}

bool appliance_may_be_root(const char *fs_type)
{
	return in_list(roots, fs_type);
}

bool appliance_mounts(const char *fs_type)
{
	return in_list(roots, fs_type) || in_list(others, fs_type);
}

/* ---- the disk ---------------------------------------------------------------------------------- */

/* The next connection to the disk; -1: there is none more. */
static int next_connection(int disks)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = {{0}};
	char byte;
	struct iovec part = {&byte, 1};
	struct msghdr h = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;
	int fd;

	do
		n = recvmsg(disks, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n > 0 ? CMSG_FIRSTHDR(&h) : NULL;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

static void *serve_disk(void *ctx)
{
	struct appliance *a = ctx;
	int fd;

	while ((fd = next_connection(a->disks)) >= 0) {
		struct err e = {0};

		if (nbd_serve(a->layer, fd, &e) < 0 && !a->disk_error.code)
			a->disk_error = e;
		close(fd);
	}
	return NULL;
}

/* Ends when the process at the other end of a->disks does. */
static void wait_for_server(struct appliance *a)
{
	if (a->serving)
		pthread_join(a->server, NULL);
	a->serving = false;
	if (a->disks >= 0)
		close(a->disks);
	a->disks = -1;
}

/* ---- requests ---------------------------------------------------------------------------------- */

int appliance_nonsense(struct err *e)
{
	return err_set(e, EBADMSG, "an answer of libguestfs makes no sense");
}

void appliance_ask(struct appliance *a, enum wire_request what, const char *path)
{
	wire_begin(&a->m, what);
	wire_text(&a->m, path);
}

/* The text of an answer that is an error. */
static int answered_error(struct appliance *a, uint32_t code, struct err *e)
{
	struct wire_reader r = wire_fields(&a->m);
	AUTO_FREE char *text = NULL;

	if (code > 4095 || !wire_take_text(&r, &text))
		return appliance_nonsense(e);
	return err_set(e, (int)code, "%s", text);
}

static int call(struct appliance *a, unsigned timeout_s, struct progress *p, struct wire_reader *r,
		struct err *e)
{
	uint32_t code = 0;
	int rc = wire_send(a->requests, &a->m, e);

	while (rc >= 0) {
		rc = wire_receive(a->requests, timeout_s, &a->m, &code, e);
		if (rc == 0)
			return err_set(e, EPIPE, "libguestfs ended");
		if (rc > 0 && code == WIRE_PROGRESS) {
			struct wire_reader now = wire_fields(&a->m);
			uint64_t done, of;

			/* The bar counts in percent. */
			if (wire_take_number(&now, &done) && wire_take_number(&now, &of) && of &&
			    done <= of && of < UINT32_MAX)
				progress_set(p, done * 100 / of);
			continue;
		}
		break;
	}
	if (rc < 0)
		return rc;
	if (code)
		return answered_error(a, code, e);
	if (r)
		*r = wire_fields(&a->m);
	return 0;
}

int appliance_call(struct appliance *a, struct wire_reader *r, struct err *e)
{
	return call(a, APPLIANCE_STEP_TIMEOUT_S, NULL, r, e);
}

/* ---- starting ---------------------------------------------------------------------------------- */

/* The process is ended, by whoever can; the machine and who serves its disk end with it. */
static void stop(struct appliance *a)
{
	bool answers = a->requests >= 0;

	if (answers)
		close(a->requests);
	a->requests = -1;
	if (answers)
		appliance_starter->end();
	wait_for_server(a);
}

static int launch_once(struct appliance *a, bool kvm, bool *used_kvm, struct err *e)
{
	struct progress *p;
	int rc = appliance_starter->start(kvm, &a->requests, &a->disks, used_kvm, e);

	if (rc < 0)
		return rc;
	rc = pthread_create(&a->server, NULL, serve_disk, a);
	if (rc)
		return err_errno(e, rc, "starting a thread");
	a->serving = true;
	p = progress_start_percent("starting libguestfs");
	wire_begin(&a->m, WIRE_LAUNCH);
	rc = call(a, *used_kvm ? KVM_TIMEOUT_S : LAUNCH_TIMEOUT_S, p, NULL, e);
	progress_end(p, rc == 0);
	return rc;
}

static int explain(struct appliance *a, int rc, struct err *e)
{
	if (rc == -ENOPKG)
		return err_wrap(e, INSTALL);
	if (rc == -ECANCELED || rc == -ENOMEM || rc == -EACCES)
		return rc;
	stop(a);
	if (a->disk_error.code)
		return err_set(e, a->disk_error.code, "%s", a->disk_error.msg);
	return err_wrap(e,
			"the machine of libguestfs does not start (it needs a Linux kernel that is "
			"installed and can be read: Debian: linux-image-cloud-amd64; "
			"libguestfs-test-tool tells more)");
}

void appliance_tell(const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	if (buf_vaddf(&text, fmt, ap) == 0)
		appliance_starter->tell(buf_str(&text));
	va_end(ap);
}

/* KVM that is there may be broken: then it is done without. */
static int launch(struct appliance *a, struct err *e)
{
	bool used_kvm = false;
	int rc;

	appliance_tell("'%s': what libext2fs does not read is done in a small virtual machine "
		       "(libguestfs), which takes from seconds to a minute",
		       image_name(a->layer));
	rc = launch_once(a, true, &used_kvm, e);
	if (rc < 0 && used_kvm && rc != -ENOPKG && rc != -ECANCELED && rc != -ENOMEM) {
		appliance_tell(
			"the machine does not start with KVM; it is emulated, which is slower");
		stop(a);
		a->disk_error.code = 0;
		rc = launch_once(a, false, &used_kvm, e);
	}
	return rc < 0 ? explain(a, rc, e) : 0;
}

/* ---- opening, closing, commit ------------------------------------------------------------------ */

void appliance_op_close(struct guest_fs *fs)
{
	struct appliance *a = appliance_of(fs);

	stop(a);
	image_close(a->layer);
	image_layout_release(&a->layout);
	buf_release(&a->m);
	free(a->common.volume);
	free(a);
}

/* Everything is written by the machine before it ends; then the layer is, by us. */
int appliance_op_commit(struct guest_fs *fs, struct err *e)
{
	struct appliance *a = appliance_of(fs);
	int rc;

	if (!a->writable)
		return err_set(e, EROFS, "the file system was opened for reading");
	if (a->broken)
		return err_set(e, EIO, "an earlier change failed: nothing is written");
	if (!a->changed)
		return 0;
	a->broken = true;
	rc = appliance_check_messages(a, true, e);
	if (rc >= 0) {
		wire_begin(&a->m, WIRE_FINISH);
		rc = appliance_call(a, NULL, e);
	}
	stop(a);
	if (a->disk_error.code)
		return err_set(e, a->disk_error.code, "%s", a->disk_error.msg);
	if (rc >= 0)
		rc = image_layer_commit(a->layer, e);
	if (rc < 0)
		return err_wrap(e, "writing back");
	a->broken = a->changed = false;
	return 0;
}

int appliance_open(struct image *im, unsigned wanted, const char *volume, bool bare, unsigned flags,
		   struct guest_fs **ret, unsigned *ret_partition, struct err *e)
{
	struct appliance_choice c = {.wanted = wanted,
				     .volume = volume,
				     .bare = bare,
				     .replay = flags & GUEST_FS_REPLAY};
	struct appliance *a;
	AUTO(guest_fs_close) struct guest_fs *fs = NULL;
	int rc;

	if (!appliance_starter)
		return err_set(e, ENOTSUP,
			       "'%s': what is not ext2, ext3 or ext4 is not changed here; imgconv "
			       "inject does it",
			       image_name(im));
	a = calloc(1, sizeof(*a));
	if (!a)
		return err_nomem(e);
	fs = &a->common;
	fs->ops = &appliance_ops;
	a->requests = a->disks = -1;
	a->writable = flags & GUEST_FS_WRITE;
	rc = image_layout_read(im, &a->layout, e);
	if (rc >= 0)
		rc = image_layer_new(im, &a->layer, e);
	if (rc >= 0)
		rc = launch(a, e);
	if (rc >= 0)
		rc = appliance_mount_root(a, &c, e);
	if (rc >= 0)
		rc = appliance_check_messages(a, !a->writable || c.replay, e);
	if (rc < 0)
		return err_wrap(e, "'%s'", image_name(im));
	*ret_partition = c.partition;
	*ret = STEAL(fs);
	return 0;
}
