/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QEMU command line of a guest, and what is said to QEMU while it runs (QMP).
 *
 * The user network: libslirp forwards 169.254.169.254 only if its own network contains it, so with
 * a metadata service the guest lives in 169.254.0.0/16, else in QEMU's usual 10.0.2.0/24. For each
 * connection of the guest to 169.254.169.254:80 QEMU starts the metadata command, with the
 * connection as its stdin and stdout.
 *
 * The machine: a PC with BIOS, a q35 with UEFI (OVMF), or for arm64 QEMU's "virt" with UEFI (AAVMF).
 *
 * SMBIOS: with a metadata service the guest is to think that it is on EC2, which cloud-init
 * believes when UUID and serial are equal and begin with "ec2". With a context ISO alone QEMU's own
 * values stay.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "catalog/run.h"
#include "lib/fs.h"
#include "lib/proc.h"
#include "lib/str.h"

static void take(struct vm_args *a, char *s)
{
	if (!s || a->n == VM_ARGS_MAX) {
		free(s);
		a->failed = true;
		return;
	}
	a->v[a->n++] = s;
}

void vm_args_release(struct vm_args *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	*a = (struct vm_args){0};
}

void vm_arg(struct vm_args *a, const char *option, const char *fmt, ...)
{
	AUTO_BUF b = BUF_INIT;
	va_list ap;
	int rc;

	take(a, strdup(option));
	if (!fmt)
		return;
	va_start(ap, fmt);
	rc = buf_vaddf(&b, fmt, ap);
	va_end(ap);
	take(a, rc < 0 ? NULL : buf_detach(&b));
}

/* In QEMU's options a comma is written twice. */
char *vm_escape(const char *s)
{
	AUTO_BUF b = BUF_INIT;

	for (; *s; s++) {
		if (buf_add(&b, s, 1) < 0 || (*s == ',' && buf_addc(&b, ',') < 0))
			return NULL;
	}
	return buf_detach(&b);
}

/* ---- network ------------------------------------------------------------------------------------ */

static void add_network(struct vm_args *a, const struct vm *vm)
{
	AUTO_FREE char *cmd = NULL;
	char forward[64] = "";

	if (vm->ssh_port)
		snprintf(forward, sizeof(forward), ",hostfwd=tcp:127.0.0.1:%u-:22", vm->ssh_port);
	if (!vm->metadata) {
		vm_arg(a, "-netdev", "user,id=net%s", forward);
	} else if ((cmd = vm_escape(vm->metadata))) {
		vm_arg(a, "-netdev",
		       "user,id=net,net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,"
		       "dhcpstart=169.254.10.10%s,"
		       "guestfwd=tcp:169.254.169.254:80-cmd:%s",
		       forward, cmd);
	} else {
		a->failed = true;
	}
	vm_arg(a, "-device", "%s,netdev=net,romfile=,mac=%s",
	       vm->emulated_nic ? "e1000" : "virtio-net-pci", vm->mac);
}

/* ---- disks ---------------------------------------------------------------------------------------- */

enum bus {
	BUS_VIRTIO,
	BUS_SCSI,
	BUS_SATA,
	BUS_NVME,
	BUS_IDE,
};

static enum bus find_bus(const struct vm *vm)
{
	if (strcmp(vm->bus, "virtio-scsi") == 0)
		return BUS_SCSI;
	if (strcmp(vm->bus, "sata") == 0)
		return BUS_SATA;
	if (strcmp(vm->bus, "nvme") == 0)
		return BUS_NVME;
	/* Only the old PC has such a controller. */
	if (strcmp(vm->bus, "ide") == 0 && !vm->uefi && !vm->arm64)
		return BUS_IDE;
	return BUS_VIRTIO;
}

static void add_controller(struct vm_args *a, enum bus bus)
{
	if (bus == BUS_SCSI)
		vm_arg(a, "-device", "virtio-scsi-pci,id=scsi");
	else if (bus == BUS_SATA)
		vm_arg(a, "-device", "ich9-ahci,id=sata");
}

/* The device for drive `id`, the n-th on its bus. */
static void add_device(struct vm_args *a, enum bus bus, const char *id, unsigned n)
{
	/* The first disk is booted from, not the network. */
	const char *first = strcmp(id, "disk0") == 0 ? ",bootindex=0" : "";

	switch (bus) {
	case BUS_SCSI:
		vm_arg(a, "-device", "scsi-hd,bus=scsi.0,lun=%u,drive=%s%s", n, id, first);
		break;
	case BUS_SATA:
		vm_arg(a, "-device", "ide-hd,bus=sata.%u,drive=%s%s", n, id, first);
		break;
	case BUS_NVME:
		vm_arg(a, "-device", "nvme,serial=%s,drive=%s%s", id, id, first);
		break;
	case BUS_IDE:
		vm_arg(a, "-device", "ide-hd,bus=ide.%u,unit=%u,drive=%s%s", n / 2, n % 2, id,
		       first);
		break;
	case BUS_VIRTIO:
		vm_arg(a, "-device", "virtio-blk-pci,drive=%s%s", id, first);
	}
}

static void add_drive(struct vm_args *a, const char *id, const char *path, const char *format,
		      const char *options)
{
	AUTO_FREE char *file = vm_escape(path);

	if (file)
		vm_arg(a, "-drive", "if=none,id=%s,file=%s,format=%s,%s", id, file, format,
		       options);
	else
		a->failed = true;
}

static const char *cache_of(const struct vm *vm)
{
	/* What a clone is thrown away with need not reach the platter when the guest syncs. */
	if (vm->snapshot)
		return "cache=unsafe,discard=unmap,snapshot=on";
	return vm->keep ? "cache=writeback,discard=unmap" : "cache=unsafe,discard=unmap";
}

static void add_disks(struct vm_args *a, const struct vm *vm)
{
	enum bus bus = find_bus(vm);

	add_controller(a, bus);
	for (unsigned n = 0; n < vm->n_disks; n++) {
		char id[16];

		snprintf(id, sizeof(id), "disk%u", n);
		add_drive(a, id, vm->disks[n], "qcow2", cache_of(vm));
		add_device(a, bus, id, n);
	}
	if (!vm->iso)
		return;
	add_drive(a, "context", vm->iso, "raw", "readonly=on");
	add_device(a, bus == BUS_SCSI || bus == BUS_SATA || bus == BUS_IDE ? bus : BUS_VIRTIO,
		   "context", vm->n_disks);
}

/* ---- the machine ------------------------------------------------------------------------------------ */

static void add_flash(struct vm_args *a, const char *path, unsigned unit, const char *options)
{
	AUTO_FREE char *file = vm_escape(path);

	if (file)
		vm_arg(a, "-drive", "if=pflash,unit=%u,format=raw,file=%s,%s", unit, file, options);
	else
		a->failed = true;
}

static const char *cpu_of(const struct vm *vm)
{
	if (vm->kvm)
		return "host";
	/* Emulating the exact pointer authentication of Arm takes most of a boot's time. */
	if (vm->arm64)
		return "max,pauth-impdef=on";
	return vm->no_cx16 ? "max,cx16=off" : "max";
}

static void add_machine(struct vm_args *a, const struct vm *vm)
{
	vm_arg(a, "-machine", "%s", vm->arm64 ? "virt" : vm->uefi ? "q35,usb=off" : "pc,usb=off");
	vm_arg(a, "-accel", "%s", vm->kvm ? "kvm" : "tcg,thread=multi");
	vm_arg(a, "-cpu", "%s", cpu_of(vm));
	vm_arg(a, "-smp", "%u", vm->cpus);
	vm_arg(a, "-m", "%lluM", (unsigned long long)(vm->memory / MIB));
	vm_arg(a, "-nodefaults", NULL);
	vm_arg(a, "-no-user-config", NULL);
	vm_arg(a, "-display", "none");
	if (vm->uefi) {
		add_flash(a, vm->firmware, 0, "readonly=on");
		add_flash(a, vm->variables, 1, vm->snapshot ? "snapshot=on" : "readonly=off");
	}
}

const char *qemu_program(const struct vm *vm)
{
	return vm->arm64 ? "qemu-system-aarch64" : "qemu-system-x86_64";
}

void qemu_args(struct vm_args *a, const struct vm *vm)
{
	take(a, strdup(qemu_program(vm)));
	add_machine(a, vm);
	add_disks(a, vm);
	add_network(a, vm);
	vm_arg(a, "-device", "virtio-rng-pci");
	if (vm->ec2)
		vm_arg(a, "-smbios",
		       "type=1,manufacturer=Amazon EC2,product=acclimate,uuid=%s,serial=%s",
		       vm->uuid, vm->uuid);
}

/* What only a run of ours has: the console in a file, QMP over stdin. */
static void add_run(struct vm_args *a, const struct vm *vm)
{
	AUTO_FREE char *console = path_join(vm->dir, "console.log");
	AUTO_FREE char *log = console ? vm_escape(console) : NULL;

	if (!log)
		a->failed = true;
	else
		vm_arg(a, "-chardev", "file,id=console,path=%s", log);
	vm_arg(a, "-serial", "chardev:console");
	vm_arg(a, "-chardev", "stdio,id=monitor,signal=off");
	vm_arg(a, "-mon", "chardev=monitor,mode=control");
}

void vm_release(struct vm *vm)
{
	for (unsigned n = 0; n < vm->n_disks; n++)
		free(vm->disks[n]);
	free(vm->firmware);
	free(vm->variables);
	free(vm->iso);
	free(vm->metadata);
	*vm = (struct vm){0};
}

/* SMBIOS UUID as EC2 sets it. */
int vm_make_uuid(char ret[37], struct err *e)
{
	uint8_t b[16];
	char hex[33];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return err_errno(e, errno, "reading random bytes");
	hex_encode(b, sizeof(b), hex);
	snprintf(ret, 37, "ec2%.5s-%.4s-4%.3s-8%.3s-%.12s", hex, hex + 5, hex + 9, hex + 12,
		 hex + 15);
	return 0;
}

/* ---- while it runs ------------------------------------------------------------------------------------ */

static void say(int qmp, const char *text)
{
	/* The socket's buffer takes these few bytes; if QEMU is gone there is nobody to tell. */
	if (send(qmp, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

int qemu_start(const struct vm *vm, pid_t *ret_pid, int *ret_qmp, struct err *e)
{
	AUTO(vm_args_release) struct vm_args a = {0};
	AUTO_FREE char *log_path = path_join(vm->dir, "qemu.log");
	AUTO_FD int log = -1;
	AUTO_FD int ours = -1;
	AUTO_FD int theirs = -1;
	struct proc_opts o = PROC_OPTS_INIT;
	int pair[2], rc;

	qemu_args(&a, vm);
	add_run(&a, vm);
	if (a.failed || !log_path)
		return err_nomem(e);
	log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (log < 0)
		return err_errno(e, errno, "making '%s'", log_path);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, errno, "making a socket pair");
	ours = pair[0];
	theirs = pair[1];
	o.stdin_fd = o.stdout_fd = theirs;
	o.stderr_fd = log;
	o.new_session = true; /* a terminal's ^C is for us: we end QEMU in order */
	o.die_with_parent = true;
	rc = proc_start((const char *const *)a.v, &o, ret_pid, e);
	if (rc == -ENOENT)
		return err_set(e, ENOENT, "there is no %s (Debian: qemu-system-%s)",
			       qemu_program(vm), vm->arm64 ? "arm" : "x86");
	if (rc < 0)
		return rc;
	say(ours, "{\"execute\":\"qmp_capabilities\"}\n");
	*ret_qmp = steal_fd(&ours);
	return 0;
}

void qemu_powerdown(int qmp)
{
	say(qmp, "{\"execute\":\"system_powerdown\"}\n");
}

void qemu_quit(int qmp)
{
	say(qmp, "{\"execute\":\"quit\"}\n");
}

char *qemu_last_words(const char *dir)
{
	AUTO_FREE char *path = path_join(dir, "qemu.log");
	AUTO_BUF text = BUF_INIT;
	char *line;

	if (!path || fs_read_file(path, MIB, &text, NULL) < 0)
		return strdup("");
	while (text.len && strchr("\n ", text.data[text.len - 1]))
		text.data[--text.len] = '\0';
	line = text.data ? strrchr(text.data, '\n') : NULL;
	return strdup(line ? line + 1 : buf_str(&text));
}
