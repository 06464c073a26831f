/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of system calls: see lib/sandbox_calls.h. */
#include "lib/sandbox_calls.h"

#include <stddef.h>

/* clang-format off */
const char *const sandbox_calls_parser[] = {
	/* descriptors that are open */
	"read", "readv", "pread64", "preadv", "preadv2",
	"write", "writev", "pwrite64", "pwritev", "pwritev2",
	"lseek", "_llseek", "fstat", "fstat64", "fstatfs", "fstatfs64",
	"fsync", "fdatasync", "sync_file_range", "ftruncate", "ftruncate64", "fallocate",
	"fadvise64", "fadvise64_64", "readahead", "copy_file_range", "sendfile", "sendfile64",
	"splice", "pipe", "pipe2", "dup", "close", "close_range", "poll", "ppoll",
	"ppoll_time64",
	/* the parent, at the other end of a socket that is open */
	"sendmsg", "recvmsg",
	/* memory; mmap and mprotect are looked at more closely */
	"brk", "munmap", "mremap", "madvise", "msync", "mincore",
	/* threads; so is clone */
	"futex", "futex_time64", "set_robust_list", "rseq", "membarrier",
	"sched_yield", "sched_getaffinity", "getcpu", "gettid", "exit", "exit_group",
	/* signals */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack",
	"restart_syscall",
	/* time */
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64",
	"clock_nanosleep", "clock_nanosleep_time64", "nanosleep", "gettimeofday", "time",
	/* itself */
	"getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrlimit", "ugetrlimit",
	"getrusage", "sysinfo", "uname", "getrandom",
	NULL,
};

/* newfstatat and statx, which also look at descriptors, are looked at more closely. */
const char *const sandbox_calls_server[] = {
	"accept", "accept4", "getsockopt", "setsockopt", "getsockname", "getpeername", "shutdown",
	"sendto", "send", "recvfrom", "recv", "recvmmsg", "sendmmsg",
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "epoll_ctl_old",
	"timerfd_settime", "timerfd_settime64", "inotify_add_watch", "inotify_rm_watch",
	"open", "openat", "stat", "stat64", "lstat", "lstat64", "newfstatat", "fstatat64", "statx",
	"access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents", "getdents64",
	"getcwd", "umask", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link",
	"linkat", "fchmod", "wait4", "ioctl", "fcntl", "fcntl64", "tgkill",
	NULL,
};

const char *const sandbox_calls_reach[] = {
	"socket", "socketpair", "socketcall", "connect", "bind", "listen",
	NULL,
};

const char *const sandbox_calls_paths[] = {
	"open", "openat", "openat2", "creat", "stat", "stat64", "lstat", "lstat64",
	"access", "faccessat", "faccessat2", "readlink", "readlinkat", "statfs", "statfs64",
	"getcwd", "chdir", "fchdir", "unlink", "unlinkat", "rename", "renameat", "renameat2",
	"link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "rmdir", "mknod", "mknodat",
	"truncate", "truncate64",
	NULL,
};

const char *const sandbox_calls_changes[] = {
	"creat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
	"symlink", "symlinkat", "mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "truncate",
	"truncate64", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "chown32", "lchown",
	"lchown32", "fchown", "fchown32", "fchownat", "utime", "utimes", "futimesat", "utimensat",
	"utimensat_time64", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr",
	"fremovexattr", "open_by_handle_at", "name_to_handle_at", "openat2",
	NULL,
};

const char *const sandbox_calls_network[] = {
	"socket", "socketpair", "socketcall", "connect", "bind", "listen", "accept", "accept4",
	"setsockopt",
	NULL,
};

const char *const sandbox_calls_programs[] = {
	"execve", "execveat", "fork", "vfork",
	NULL,
};

const char *const sandbox_calls_processes[] = {
	"kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "ptrace", "process_vm_readv",
	"process_vm_writev", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
	NULL,
};

const char *const sandbox_calls_powers[] = {
	"process_madvise", "process_mrelease", "kcmp", "setpriority", "sched_setscheduler",
	"sched_setattr", "shmget", "shmat", "semget", "msgget", "mq_open",
	"unshare", "setns", "mount", "umount", "umount2", "move_mount", "open_tree", "fsopen",
	"fsmount", "fsconfig", "fspick", "mount_setattr", "pivot_root", "chroot", "bpf",
	"perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
	"add_key", "request_key", "keyctl", "init_module", "finit_module", "delete_module",
	"kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl",
	"quotactl_fd", "settimeofday", "clock_settime", "clock_settime64", "adjtimex",
	"clock_adjtime", "clock_adjtime64", "sethostname", "setdomainname", "iopl", "ioperm",
	"modify_ldt", "personality", "setuid", "setuid32", "setgid", "setgid32", "setreuid",
	"setreuid32", "setregid", "setregid32", "setresuid", "setresuid32", "setresgid",
	"setresgid32", "setfsuid", "setfsuid32", "setfsgid", "setfsgid32", "setgroups",
	"setgroups32", "capset", "syslog", "vhangup", "nfsservctl", "lookup_dcookie", "fanotify_init",
	NULL,
};
/* clang-format on */
