/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running an image of the store in QEMU, without root: a copy-on-write clone, user-mode network,
 * metadata by metadata-server at 169.254.169.254 or by a context ISO. Everything of one run lies
 * in a run folder:
 *
 *   disk.qcow2      the clone, if it is made for this run
 *   instance.yaml   what the guest is told about itself
 *   token.key       key of the IMDSv2 tokens (imds)
 *   context.iso     the context (opennebula)
 *   console.log     the guest's serial console
 *   qemu.log        messages of QEMU and of metadata-server
 *   run.json        while it runs: pid, ssh-port, accelerator, console
 */
#ifndef CATALOG_RUN_H
#define CATALOG_RUN_H

#include <sys/types.h>

#include "catalog/store.h"

#define RUN_HELP                                                                                   \
	"      --metadata imds|opennebula\n"                                                       \
	"                              serve 169.254.169.254 (default), or only a context ISO\n"   \
	"      --instance FILE         the instance as metadata-server has it, in place of:\n"     \
	"      --hostname NAME\n"                                                                  \
	"      --ssh-key FILE          public key(s) to let in; repeatable\n"                      \
	"      --user-data FILE\n"                                                                 \
	"      --memory SIZE           default 1G\n"                                               \
	"      --cpus N                default 2\n"                                                \
	"      --disk-size SIZE        grow the clone's disk to SIZE\n"                            \
	"      --ssh-port PORT         of 127.0.0.1, to the guest's 22 (default: a free one)\n"    \
	"      --accel auto|kvm|tcg    auto: KVM where a probe shows that it runs a guest\n"       \
	"      --run-dir DIR           keep console log and clone there (default: a temporary\n"   \
	"                              folder, removed at the end)\n"                              \
	"      --timeout SECONDS       end the guest after that time\n"

enum run_metadata {
	RUN_IMDS,
	RUN_OPENNEBULA,
};
enum run_accel {
	RUN_AUTO,
	RUN_KVM,
	RUN_TCG,
};

#define RUN_KEYS_MAX 32

struct run_opts {
	const char *image;
	enum run_metadata metadata;
	const char *instance; /* NULL: made from the next three */
	const char *hostname;
	const char *ssh_keys[RUN_KEYS_MAX]; /* files */
	size_t n_ssh_keys;
	const char *user_data; /* file; NULL: none */
	uint64_t memory;       /* bytes */
	unsigned cpus;
	uint64_t disk_size; /* 0: as the image */
	unsigned ssh_port;  /* 0: a free one */
	enum run_accel accel;
	const char *run_dir; /* NULL: temporary */
	unsigned timeout_s;  /* 0: none */
};

/*
 * Boots the image and stays until the guest powers itself off, the timeout, or a stop request
 * (which asks the guest to power off, then ends QEMU). Milestones of the boot go to log_info.
 * Nothing is left running. Errors: ENOENT no such image or program; EIO QEMU failed (its own words
 * are in the message); ETIMEDOUT.
 */
int run_image(struct store *store, const struct run_opts *o, struct err *e);

/* ---- parts, each in its own file ------------------------------------------------------------ */

/* What QEMU is started with. */
struct vm {
	const char *dir; /* run folder */
	char *disk;
	bool keep;      /* what the guest changes is wanted: a clone of the store */
	char *iso;      /* NULL: none */
	char *metadata; /* command line for a connection to 169.254.169.254:80; NULL: none */
	char mac[18];
	uint64_t memory;
	unsigned cpus;
	unsigned ssh_port;
	bool kvm;
	char uuid[37]; /* SMBIOS, as EC2 has it: begins with "ec2" */
};

/* qemu.c: starts QEMU; QMP goes over *ret_qmp (a socket, the caller's). */
int qemu_start(const struct vm *vm, pid_t *ret_pid, int *ret_qmp, struct err *e);
/* Asks the guest to power off / ends QEMU at once, over QMP. Fails silently: QEMU may be gone. */
void qemu_powerdown(int qmp);
void qemu_quit(int qmp);
/* The last line of qemu.log, "" if none; the caller's to free. */
char *qemu_last_words(const char *dir);

/*
 * kvm.c: whether KVM runs a guest here, by running one: a boot sector that enters long mode and
 * waits for timer interrupts. *ret_why says what was found when it does not.
 */
bool kvm_works(const char **ret_why);

/* instance.c: writes DIR/instance.yaml; address and mac fit the user network of the metadata. */
int instance_write(const struct run_opts *o, const struct value *record, const char *dir,
		   struct err *e);
/* The MAC of the first NIC of an instance file. Errors: EBADMSG it has none. */
int instance_mac(const char *path, char ret[18], struct err *e);

/* console.c: follows console.log and tells milestones. */
struct console;
int console_open(const char *dir, struct console **ret, struct err *e);
/* Reads what is new. */
void console_poll(struct console *c);
void console_free(struct console *c);
DEFINE_AUTO(struct console *, console_free);

#endif
