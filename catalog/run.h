/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running an image of the store in QEMU, without root: a copy-on-write clone, user-mode network,
 * metadata by metadata-server at 169.254.169.254 or by a context ISO. Everything of one run lies
 * in a run folder:
 *
 *   disk.qcow2      the clone, if it is made for this run; disk1.qcow2 ... of further disks
 *   efivars.fd      the variables of the guest's UEFI
 *   instance.yaml   what the guest is told about itself
 *   token.key       key of the IMDSv2 tokens (imds)
 *   context.iso     the context (opennebula, nocloud, config-drive)
 *   console.log     the guest's serial console
 *   qemu.log        messages of QEMU and of metadata-server
 *   run.json        while it runs: pid, ssh-port, accelerator, console
 */
#ifndef CATALOG_RUN_H
#define CATALOG_RUN_H

#include <sys/types.h>

#include "catalog/facts.h"
#include "catalog/store.h"

#define RUN_HELP                                                                                   \
	"      --with imds|opennebula|nocloud|config-drive|none\n"                                 \
	"                              serve 169.254.169.254 (default), or only a context ISO\n"   \
	"      --instance FILE         the instance as metadata-server has it, in place of:\n"     \
	"      --hostname NAME\n"                                                                  \
	"      --ssh-key FILE          public key(s) to let in; repeatable\n"                      \
	"      --user-data FILE\n"                                                                 \
	"      --memory SIZE           default 1G\n"                                               \
	"      --cpus N                default 2\n"                                                \
	"      --disk-size SIZE        grow the clone's disk to SIZE\n"                            \
	"      --ssh-port PORT         of 127.0.0.1, to the guest's 22 (default: a free one)\n"    \
	"      --firmware auto|bios|uefi\n"                                                        \
	"                              auto: what the image boots by\n"                            \
	"      --accel auto|kvm|tcg    auto: KVM where a probe shows that it runs a guest\n"       \
	"      --run-dir DIR           keep console log and clone there (default: a temporary\n"   \
	"                              folder, removed at the end)\n"                              \
	"      --timeout SECONDS       end the guest after that time\n"

enum run_metadata {
	RUN_IMDS,
	RUN_OPENNEBULA, /* an ISO; likewise the next ones */
	RUN_NOCLOUD,
	RUN_CONFIG_DRIVE,
	RUN_NONE,
	RUN_METADATA, /* their number */
};
/* Names of --with, in the order of the enum; those of ISOs are metadata-server's kinds, too. */
extern const char *const run_metadata_names[RUN_METADATA];
static inline bool run_with_iso(enum run_metadata m)
{
	return m == RUN_OPENNEBULA || m == RUN_NOCLOUD || m == RUN_CONFIG_DRIVE;
}
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
	const char *firmware; /* "bios", "uefi"; NULL: as the image needs */
	const char *run_dir;  /* NULL: temporary */
	unsigned timeout_s;   /* 0: none */
};

/*
 * Boots the image and stays until the guest powers itself off, the timeout, or a stop request
 * (which asks the guest to power off, then ends QEMU). Milestones of the boot go to log_info.
 * Nothing is left running. Errors: ENOENT no such image or program; EIO QEMU failed (its own words
 * are in the message); ETIMEDOUT.
 */
int run_image(struct store *store, const struct run_opts *o, struct err *e);

/* Words of a command line. Errors: EINVAL. "auto" is NULL, or RUN_AUTO. */
int run_take_firmware(const char *s, const char **ret, struct err *e);
int run_take_disk_size(const char *s, uint64_t *ret, struct err *e);
int run_take_accel(const char *s, enum run_accel *ret, struct err *e);

/* ---- parts, each in its own file ------------------------------------------------------------ */

/* What QEMU is started with. */
struct vm {
	const char *dir; /* run folder */
	char *disks[STORE_DISKS_MAX];
	unsigned n_disks;
	bool keep;     /* what the guest changes is wanted: a clone of the store */
	bool snapshot; /* what the guest changes is dropped by QEMU itself */
	char bus[16];  /* as in struct facts */
	bool arm64;
	bool uefi;
	char *firmware, *variables; /* of UEFI: code, and the guest's own variables */
	bool emulated_nic;          /* the guest has no driver of virtio's */
	bool no_cx16;               /* an emulated processor has no cmpxchg16b */
	char *iso;                  /* NULL: none */
	char *metadata; /* command line for a connection to 169.254.169.254:80; NULL: none */
	bool ec2;       /* SMBIOS as EC2 has it */
	char mac[18];
	uint64_t memory;
	unsigned cpus;
	unsigned ssh_port; /* 0: none */
	bool kvm;
	char uuid[37]; /* SMBIOS, as EC2 has it: begins with "ec2" */
};
void vm_release(struct vm *vm);
DEFINE_AUTO_STRUCT(struct vm, vm_release);

/* firmware.c: where this machine has UEFI's code, and the template of its variables; the caller's.
 * Errors: ENOENT, with the package that has it. */
int firmware_find(bool arm64, char **ret_code, char **ret_variables, struct err *e);
/* What the image needs goes into vm: machine, firmware, bus. forced: "bios", "uefi", NULL. */
int firmware_choose(const struct facts *f, const struct value *record, const char *forced,
		    struct vm *vm, struct err *e);

/* qemu.c: the arguments that make the guest, without console and monitor. */
#define VM_ARGS_MAX 256
struct vm_args {
	char *v[VM_ARGS_MAX + 1];
	size_t n;
	bool failed; /* memory is out */
};
void vm_args_release(struct vm_args *a);
DEFINE_AUTO_STRUCT(struct vm_args, vm_args_release);
/* fmt NULL: the option has no value. */
void vm_arg(struct vm_args *a, const char *option, const char *fmt, ...) PRINTF_LIKE(3, 4);
char *vm_escape(const char *s);
const char *qemu_program(const struct vm *vm);
void qemu_args(struct vm_args *a, const struct vm *vm);
/* shell_words.c: appends s as one word of a shell. */
int shell_word(struct buf *out, const char *s, struct err *e);
/* What vm.metadata is for an instance file; key: of its tokens, NULL: none. The caller's. */
int shell_metadata(const char *instance, const char *key, char **ret, struct err *e);

/* SMBIOS UUID as EC2 sets it, random. */
int vm_make_uuid(char ret[37], struct err *e);

/* Starts QEMU; QMP goes over *ret_qmp (a socket, the caller's). */
int qemu_start(const struct vm *vm, pid_t *ret_pid, int *ret_qmp, struct err *e);
/* Asks the guest to power off / ends QEMU at once, over QMP. Fails silently: QEMU may be gone. */
void qemu_powerdown(int qmp);
void qemu_quit(int qmp);
/* The last line of qemu.log, "" if none; the caller's to free. */
char *qemu_last_words(const char *dir);

/*
 * kvm.c: whether KVM runs a guest of that architecture here. For x86-64 by running one: a boot sector
 * that enters long mode and waits for timer interrupts. *ret_why says what was found when it does not.
 */
bool kvm_works(bool arm64, const char **ret_why);

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
