/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing: the partition of a mounted file system up to what is behind it, then the file system.
 * Both are done by us, with the kernel's help (BLKPG, and each file system's own call for growing
 * while it is mounted); where the kernel has no such call, by the guest's program. Below LVM, the
 * physical volume and the logical one are grown by LVM's own programs.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "ctxd/apply.h"
#include "ctxd/partition.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"

#define TOOL_SECONDS 600
#define SCSI_DISKS "/sys/class/scsi_disk"

/* fs/ext4/ext4.h */
#define EXT4_RESIZE _IOW('f', 16, uint64_t)

/* fs/xfs/libxfs/xfs_fs.h */
struct xfs_geometry {
	uint32_t block_size, rt_extent, ag_blocks, ag_count, log_blocks, sector, inode, max_percent;
	uint64_t blocks, rt_blocks, rt_extents, log_start;
	unsigned char uuid[16];
	uint32_t unit, width;
	int32_t version;
	uint32_t flags, log_sector, rt_sector, dir_block;
};
struct xfs_grow {
	uint64_t blocks;
	uint32_t max_percent;
};
#define XFS_GEOMETRY _IOR('X', 100, struct xfs_geometry)
#define XFS_GROW _IOW('X', 110, struct xfs_grow)

struct target {
	char *mount, *type; /* of a mounted file system */
	char *device;       /* "/dev/vda1" */
	char *sys;          /* its folder in /sys, without links */
};

static void target_release(struct target *t)
{
	free(t->mount);
	free(t->type);
	free(t->device);
	free(t->sys);
}
DEFINE_AUTO_STRUCT(struct target, target_release);

/* ---- what is mounted where --------------------------------------------------------------- */

/*
 * A line of /proc/self/mountinfo, proc(5): 3rd word major:minor, 5th the mount point; behind a word
 * "-" type and source. btrfs has a device number of its own, so there the source is looked at.
 */
static int take_line(char *line, struct target *t, dev_t *dev)
{
	char *save = NULL, *w[64];
	unsigned n = 0, dash = 0;
	uint64_t major, minor;
	struct stat st;
	char *colon;

	for (char *p = strtok_r(line, " ", &save); p && n < ARRAY_SIZE(w);
	     p = strtok_r(NULL, " ", &save)) {
		if (strcmp(p, "-") == 0)
			dash = n;
		w[n++] = p;
	}
	if (!dash || dash + 2 >= n || strcmp(w[4], t->mount) != 0)
		return 0;
	colon = strchr(w[2], ':');
	if (!colon)
		return 0;
	*colon = '\0';
	if (str_to_u64(w[2], 0, UINT32_MAX, &major, NULL) < 0 ||
	    str_to_u64(colon + 1, 0, UINT32_MAX, &minor, NULL) < 0)
		return 0;
	*dev = makedev((unsigned)major, (unsigned)minor);
	if (major == 0 && stat(w[dash + 2], &st) == 0 && S_ISBLK(st.st_mode))
		*dev = st.st_rdev;
	free(t->type);
	t->type = strdup(w[dash + 1]);
	return t->type ? 1 : -ENOMEM;
}

/* Returns 1 if something of a block device is mounted at t->mount; the last mount counts. */
static int find_mount(const struct apply *a, struct target *t, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	AUTO_FREE char *link = NULL;
	char *save = NULL;
	dev_t dev = 0;
	int rc = guest_read(a->g, "/proc/self/mountinfo", &text, e), found = 0;

	if (rc <= 0)
		return rc;
	for (char *line = strtok_r(text.data, "\n", &save); line && rc >= 0;
	     line = strtok_r(NULL, "\n", &save)) {
		rc = take_line(line, t, &dev);
		found |= rc > 0;
	}
	if (rc < 0)
		return err_nomem(e);
	if (!found || major(dev) == 0)
		return 0;
	link = str_format("/sys/dev/block/%u:%u", major(dev), minor(dev));
	t->sys = link ? realpath(link, NULL) : NULL;
	if (!t->sys)
		return 0;
	t->device = str_format("/dev/%s", strrchr(t->sys, '/') + 1);
	return t->device ? 1 : err_nomem(e);
}

static bool sys_number(const char *sys, const char *name, uint64_t *ret)
{
	AUTO_FREE char *path = path_join(sys, name);
	AUTO_BUF text = BUF_INIT;

	if (!path || fs_read_file(path, 4 * KIB, &text, NULL) < 0 || !text.len)
		return false;
	text.data[strcspn(text.data, "\n")] = '\0';
	return str_to_u64(text.data, 0, UINT64_MAX, ret, NULL) == 0;
}

/* ---- partitions -------------------------------------------------------------------------- */

/* The kernel takes the new size of a partition that is in use (Linux 3.6). */
static void tell_kernel(int disk, const char *device, unsigned number,
			const struct partition_grown *p)
{
	struct blkpg_partition part = {
		.start = (long long)p->start, .length = (long long)p->size, .pno = (int)number};
	struct blkpg_ioctl_arg arg = {
		.op = BLKPG_RESIZE_PARTITION, .datalen = sizeof(part), .data = &part};

	if (ioctl(disk, BLKPG, &arg) < 0)
		log_warn("%s: the kernel takes its new size with the next boot: %s", device,
			 strerror(errno));
}

/* sys: the folder of what may be a partition. Returns 0 if it is none, too. */
static int grow_partition(struct apply *a, const char *sys, struct err *e)
{
	AUTO_FREE char *parent = strdup(sys), *disk = NULL;
	const char *device = strrchr(sys, '/') + 1;
	struct partition_grown p;
	AUTO_FD int fd = -1;
	uint64_t number, size;
	char from[16], to[16];
	int sector, rc;

	if (!parent)
		return err_nomem(e);
	if (!sys_number(sys, "partition", &number))
		return 0;
	*strrchr(parent, '/') = '\0';
	disk = str_format("/dev/%s", strrchr(parent, '/') + 1);
	if (!disk)
		return err_nomem(e);
	fd = open(disk, (a->g->dry_run ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKSSZGET, &sector) < 0 || ioctl(fd, BLKGETSIZE64, &size) < 0)
		return err_errno(e, errno, "'%s'", disk);
	rc = partition_grow(fd, size, (uint32_t)sector, (unsigned)number, a->g->dry_run, &p, e);
	if (rc <= 0)
		return rc < 0 ? err_wrap(e, "'%s'", disk) : 0;
	size_to_text(p.old_size, from);
	size_to_text(p.size, to);
	if (!a->g->dry_run)
		tell_kernel(fd, device, (unsigned)number, &p);
	return guest_tell(a->g, e, "partition /dev/%s grows from %s to %s", device, from, to);
}

/* ---- LVM --------------------------------------------------------------------------------- */

static int run(struct apply *a, const char *const *argv, struct err *e)
{
	return a->g->dry_run ? 0 : proc_run(argv, NULL, 0, NULL, 0, TOOL_SECONDS, e);
}

static int list_names(const char *path, struct strlist *names, struct err *e)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	int rc = 0;

	while (dir && rc == 0 && (d = readdir(dir))) {
		if (d->d_name[0] != '.' && strlist_add(names, d->d_name) < 0)
			rc = err_nomem(e);
	}
	if (dir)
		closedir(dir);
	return rc;
}

/* A logical volume that lies on one device alone, as images have it. */
static int grow_volume(struct apply *a, const struct target *t, struct err *e)
{
	AUTO_FREE char *slaves = path_join(t->sys, "slaves"), *real = NULL, *under = NULL;
	AUTO(strlist_release) struct strlist names = {0};
	AUTO_FREE char *uuid = path_join(t->sys, "dm/uuid"), *link = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!uuid || !slaves)
		return err_nomem(e);
	if (fs_read_file(uuid, 4 * KIB, &text, NULL) < 0 || !str_has_prefix(buf_str(&text), "LVM-"))
		return 0;
	rc = list_names(slaves, &names, e);
	if (rc < 0 || names.n != 1)
		return rc < 0 ? rc : 0;
	link = path_join(slaves, names.v[0]);
	real = link ? realpath(link, NULL) : NULL;
	under = str_format("/dev/%s", names.v[0]);
	if (!real || !under)
		return err_nomem(e);
	rc = grow_partition(a, real, e);
	if (rc == 0) {
		const char *const pv[] = {"pvresize", under, NULL};
		const char *const lv[] = {"lvextend", "-l", "+100%FREE", t->device, NULL};
		struct err ignored;

		rc = run(a, pv, e);
		/* It fails where there is nothing to be had. */
		if (rc == 0 && run(a, lv, &ignored) < 0)
			log_debug("lvextend: %s", ignored.msg);
	}
	return rc;
}

/* ---- file systems ------------------------------------------------------------------------ */

/*
 * How many blocks it has, metadata included, as its superblock says: s_blocks_count, its upper half where
 * s_feature_incompat has 64BIT. 0: unknown.
 */
static uint64_t ext4_blocks(const char *device)
{
	AUTO_FD int fd = open(device, O_RDONLY | O_CLOEXEC);
	unsigned char sb[1024];

	if (fd < 0 || pread(fd, sb, sizeof(sb), 1024) != (ssize_t)sizeof(sb))
		return 0;
	return le32_get(sb + 4) |
	       (le32_get(sb + 0x60) & 0x80 ? (uint64_t)le32_get(sb + 0x150) << 32 : 0);
}

/* Asked for the size that it has, the kernel says each time that it resizes. */
static int grow_ext4(int fd, const struct target *t, uint64_t device_size)
{
	struct statfs st;
	uint64_t blocks;

	if (fstatfs(fd, &st) < 0)
		return -errno;
	blocks = device_size / (uint64_t)st.f_bsize;
	if (blocks == ext4_blocks(t->device))
		return 0;
	return ioctl(fd, EXT4_RESIZE, &blocks) < 0 ? -errno : 0;
}

static int grow_xfs(int fd, const struct target *t, uint64_t device_size)
{
	struct xfs_geometry geometry;
	struct xfs_grow grow;

	(void)t;
	if (ioctl(fd, XFS_GEOMETRY, &geometry) < 0)
		return -errno;
	grow = (struct xfs_grow){device_size / geometry.block_size, geometry.max_percent};
	if (grow.blocks <= geometry.blocks)
		return 0;
	return ioctl(fd, XFS_GROW, &grow) < 0 ? -errno : 0;
}

static int grow_btrfs(int fd, const struct target *t, uint64_t device_size)
{
	struct btrfs_ioctl_vol_args args = {.name = "max"};

	(void)t;
	(void)device_size;
	return ioctl(fd, BTRFS_IOC_RESIZE, &args) < 0 ? -errno : 0;
}

static const struct fs_type {
	const char *type;
	int (*grow)(int fd, const struct target *t,
		    uint64_t device_size); /* 0 or a negative errno */
	const char *program;               /* where the kernel cannot */
	bool by_mount;                     /* it wants the mount point */
} types[] = {
	{"ext4", grow_ext4, "resize2fs", false},
	{"ext3", grow_ext4, "resize2fs", false},
	{"xfs", grow_xfs, "xfs_growfs", true},
	{"btrfs", grow_btrfs, NULL, true},
};

static uint64_t blocks_of(const char *mount)
{
	struct statfs st;

	return statfs(mount, &st) == 0 ? (uint64_t)st.f_blocks * (uint64_t)st.f_bsize : 0;
}

static int grow_fs(struct apply *a, const struct target *t, const struct fs_type *type,
		   struct err *e)
{
	const char *const argv[] = {type->program, type->by_mount ? t->mount : t->device, NULL};
	AUTO_FD int fd = open(t->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t sectors, before = blocks_of(t->mount);
	char text[16];
	int rc;

	if (fd < 0 || !sys_number(t->sys, "size", &sectors))
		return err_errno(e, errno, "'%s'", t->mount);
	rc = type->grow(fd, t, sectors * 512);
	if (rc < 0 && type->program)
		rc = proc_run(argv, NULL, 0, NULL, 0, TOOL_SECONDS, e);
	else if (rc < 0)
		rc = err_errno(e, -rc, "growing the file system at '%s'", t->mount);
	if (rc < 0 || blocks_of(t->mount) == before)
		return rc;
	size_to_text(blocks_of(t->mount), text);
	return guest_tell(a->g, e, "file system at %s grows to %s", t->mount, text);
}

/* ---- the part ---------------------------------------------------------------------------- */

static int grow(struct apply *a, const char *mount, struct err *e)
{
	AUTO(target_release) struct target t = {.mount = strdup(mount)};
	const struct fs_type *type = NULL;
	uint64_t number;
	int rc;

	if (!t.mount)
		return err_nomem(e);
	rc = find_mount(a, &t, e);
	for (size_t i = 0; rc > 0 && i < ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].type, t.type) == 0)
			type = &types[i];
	}
	if (rc <= 0 || !type) {
		log_debug("%s: nothing that can grow is mounted there", mount);
		return rc < 0 ? rc : 0;
	}
	rc = sys_number(t.sys, "partition", &number) ? grow_partition(a, t.sys, e)
						     : grow_volume(a, &t, e);
	if (rc < 0)
		log_warn("%s: %s", mount, e->msg);
	/* It may have been made larger before. */
	return a->g->dry_run ? 0 : grow_fs(a, &t, type, e);
}

/* cloud-init grows it by default, as it is set there, but only while the machine boots. */
static bool wants_root(const struct apply *a)
{
	if (a->c->grow_root != CHOICE_OPEN)
		return a->c->grow_root == CHOICE_YES;
	return (!a->has_cloud_init || a->running) && !guest_exists(a->g, "/etc/growroot-disabled");
}

/* The kernel knows of a SCSI disk's new size when it asks the disk. */
static void ask_scsi_disks(const struct apply *a)
{
	AUTO(strlist_release) struct strlist names = {0};

	if (!a->running || a->g->dry_run || guest_names(a->g, SCSI_DISKS, &names) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		AUTO_FREE char *path = str_format(SCSI_DISKS "/%s/device/rescan", names.v[i]);
		AUTO_FD int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;

		if (fd < 0 || write(fd, "1", 1) != 1)
			log_debug("'%s': %s", path ? path : SCSI_DISKS, strerror(errno));
	}
}

/* One that cannot grow does not keep the others from it. */
static int apply_grow(struct apply *a, struct err *e)
{
	int rc = 0;

	if (!a->g->live)
		return 0;
	ask_scsi_disks(a);
	if (wants_root(a))
		rc = grow(a, "/", e);
	for (size_t i = 0; i < a->c->grow_fs.n; i++) {
		const char *mount = a->c->grow_fs.v[i];
		struct err mine;

		if (str_has_prefix(mount, "/dev/")) {
			log_warn("%s is no mount point: not grown", mount);
		} else if (grow(a, mount, &mine) < 0) {
			if (rc < 0)
				log_err("%s", mine.msg);
			else
				rc = err_set(e, mine.code, "%s", mine.msg);
		}
	}
	return rc;
}

const struct part part_grow = {"growing", apply_grow, NULL};
