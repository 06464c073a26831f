/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock, by system call: see lib/landlock.h. The headers of the system may know less than its
 * kernel, so numbers and structures are here. */
#include "lib/landlock.h"

#include <sys/syscall.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1

#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_READ_FILE (1u << 2)
#define FS_READ_DIR (1u << 3)
#define FS_REMOVE_FILE (1u << 5)
#define FS_MAKE_REG (1u << 8)
#define FS_TREE                                                                                    \
	(1u << 4 | 1u << 7 | 1u << 9 | 1u << 10 | 1u << 12) /* folders, sockets, fifos, links */
#define FS_TRUNCATE (1u << 14)

#define FS_ABI_1 0x1fffu     /* all of the first version */
#define FS_ABI_2 (1u << 13)  /* linking and renaming between folders */
#define FS_ABI_3 FS_TRUNCATE /* truncating */
#define FS_ABI_5 (1u << 15)  /* ioctl on devices that are opened from then on */
#define NET_ABI_4 3u         /* TCP: bind and connect */
#define SCOPED_ABI_6 3u      /* abstract sockets, signals */

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* from ABI 4 on */
	uint64_t scoped;             /* from ABI 6 on */
};

struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

unsigned landlock_abi(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return v > 0 ? (unsigned)v : 0;
}

static uint64_t fs_rights(unsigned access)
{
	return (access & LANDLOCK_READ ? FS_READ_FILE : 0) |
	       (access & LANDLOCK_WRITE ? FS_WRITE_FILE | FS_TRUNCATE : 0) |
	       (access & LANDLOCK_EXEC ? FS_EXECUTE : 0) |
	       (access & LANDLOCK_LIST ? FS_READ_DIR : 0) |
	       (access & LANDLOCK_MAKE ? FS_MAKE_REG | FS_REMOVE_FILE | FS_ABI_2 : 0) |
	       (access & LANDLOCK_TREE ? FS_TREE : 0) | (access & LANDLOCK_IOCTL ? FS_ABI_5 : 0);
}

int landlock_restrict(const struct landlock_rule *rules, size_t n_rules, struct err *e)
{
	unsigned abi = landlock_abi();
	struct ruleset_attr attr = {.handled_access_fs = FS_ABI_1};
	size_t size = abi < 4 ? 8 : abi < 6 ? 16 : sizeof(attr);
	AUTO_FD int ruleset = -1;

	if (!abi)
		return err_set(e, ENOTSUP, "this kernel has no Landlock");
	if (abi >= 2)
		attr.handled_access_fs |= FS_ABI_2;
	if (abi >= 3)
		attr.handled_access_fs |= FS_ABI_3;
	if (abi >= 5)
		attr.handled_access_fs |= FS_ABI_5;
	attr.handled_access_net = abi >= 4 ? NET_ABI_4 : 0;
	attr.scoped = abi >= 6 ? SCOPED_ABI_6 : 0;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return err_errno(e, errno, "Landlock");
	for (size_t i = 0; i < n_rules; i++) {
		struct path_beneath_attr rule = {
			.allowed_access = fs_rights(rules[i].access) & attr.handled_access_fs,
			.parent_fd = rules[i].fd,
		};

		if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
			return err_errno(e, errno, "Landlock: a rule");
	}
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_errno(e, errno, "Landlock");
	return 0;
}
