/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux32 PROGRAM [ARGUMENT]...: runs it as if the kernel were Linux 3.2, for x86-64: system calls
 * that came later are not there (ENOSYS), nor are later kinds of prctl, and a file without a name
 * is what it was then, a folder opened for writing (EISDIR). Needs root: 3.2 knows no other way.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAST_CALL 311 /* process_vm_writev, of 3.2; kcmp came with 3.5 */
#define LAST_PRCTL 35 /* PR_SET_MM, of 3.3; with 3.4 came child subreapers */
#define NO_NAME (020000000 | O_DIRECTORY)

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define WHEN(test, k, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, (k), (yes), (no))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define FAIL(code) RETURN(SECCOMP_RET_ERRNO | (code))

int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		LOAD(arch),
		WHEN(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL),
		LOAD(nr),
		WHEN(BPF_JGT, LAST_CALL, 0, 1),
		FAIL(ENOSYS),
		WHEN(BPF_JEQ, SYS_prctl, 0, 3), /* else to the next call */
		LOAD(args[0]),
		WHEN(BPF_JGT, LAST_PRCTL, 0, 6), /* else allowed */
		FAIL(EINVAL),
		WHEN(BPF_JEQ, SYS_openat, 0, 4), /* what glibc calls; else allowed */
		LOAD(args[2]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, NO_NAME),
		WHEN(BPF_JEQ, NO_NAME, 0, 1),
		FAIL(EISDIR),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	if (argc < 2)
		return 2;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("seccomp");
		return 2;
	}
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 2;
}
