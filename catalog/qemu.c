/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QEMU command line of a guest, and what is said to QEMU while it runs (QMP).
 *
 * The user network: libslirp forwards 169.254.169.254 only if its own network contains it, so with
 * a metadata service the guest lives in 169.254.0.0/16, else in QEMU's usual 10.0.2.0/24. For each
 * connection of the guest to 169.254.169.254:80 QEMU starts the metadata command, with the
 * connection as its stdin and stdout.
 *
 * SMBIOS: with a metadata service the guest is to think that it is on EC2, which cloud-init
 * believes when UUID and serial are equal and begin with "ec2". With a context ISO alone QEMU's own
 * values stay.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "catalog/run.h"
#include "lib/fs.h"
#include "lib/proc.h"
#include "lib/str.h"

#define ARGS_MAX 64

/* Arguments that belong to the list. */
struct args {
	char *v[ARGS_MAX + 1];
	size_t n;
	bool failed;
};

static void args_release(struct args *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
}
DEFINE_AUTO_STRUCT(struct args, args_release);

static void take(struct args *a, char *s)
{
	if (!s || a->n == ARGS_MAX) {
		free(s);
		a->failed = true;
		return;
	}
	a->v[a->n++] = s;
}

static void PRINTF_LIKE(3, 4) add(struct args *a, const char *option, const char *fmt, ...)
{
	AUTO_BUF b = BUF_INIT;
	va_list ap;
	int rc;

	take(a, strdup(option));
	va_start(ap, fmt);
	rc = buf_vaddf(&b, fmt, ap);
	va_end(ap);
	take(a, rc < 0 ? NULL : buf_detach(&b));
}

/* In QEMU's options a comma is written twice. */
static char *escape(const char *s)
{
	AUTO_BUF b = BUF_INIT;

	for (; *s; s++) {
		if (buf_add(&b, s, 1) < 0 || (*s == ',' && buf_addc(&b, ',') < 0))
			return NULL;
	}
	return buf_detach(&b);
}

static void add_network(struct args *a, const struct vm *vm)
{
	AUTO_FREE char *cmd = NULL;

	if (!vm->metadata) {
		add(a, "-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:%u-:22", vm->ssh_port);
	} else if ((cmd = escape(vm->metadata))) {
		add(a, "-netdev",
		    "user,id=net,net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,"
		    "dhcpstart=169.254.10.10,hostfwd=tcp:127.0.0.1:%u-:22,"
		    "guestfwd=tcp:169.254.169.254:80-cmd:%s",
		    vm->ssh_port, cmd);
	} else {
		a->failed = true;
	}
	add(a, "-device", "virtio-net-pci,netdev=net,romfile=,mac=%s", vm->mac);
}

static void add_drive(struct args *a, const char *id, const char *path, const char *format,
		      const char *options, const char *device)
{
	AUTO_FREE char *file = escape(path);

	if (!file) {
		a->failed = true;
		return;
	}
	add(a, "-drive", "if=none,id=%s,file=%s,format=%s,%s", id, file, format, options);
	add(a, "-device", "%s,drive=%s", device, id);
}

static void build(struct args *a, const struct vm *vm)
{
	AUTO_FREE char *console = path_join(vm->dir, "console.log");
	AUTO_FREE char *log = console ? escape(console) : NULL;

	take(a, strdup("qemu-system-x86_64"));
	add(a, "-machine", "pc,usb=off");
	add(a, "-accel", "%s", vm->kvm ? "kvm" : "tcg,thread=multi");
	add(a, "-cpu", "%s", vm->kvm ? "host" : "max");
	add(a, "-smp", "%u", vm->cpus);
	add(a, "-m", "%lluM", (unsigned long long)(vm->memory / MIB));
	take(a, strdup("-nodefaults"));
	take(a, strdup("-no-user-config"));
	add(a, "-display", "none");
	/* What a clone is thrown away with need not reach the platter when the guest syncs. */
	add_drive(a, "disk", vm->disk, "qcow2",
		  vm->keep ? "cache=writeback,discard=unmap" : "cache=unsafe,discard=unmap",
		  "virtio-blk-pci");
	if (vm->iso)
		add_drive(a, "context", vm->iso, "raw", "readonly=on", "virtio-blk-pci");
	add_network(a, vm);
	add(a, "-device", "virtio-rng-pci");
	if (!log)
		a->failed = true;
	else
		add(a, "-chardev", "file,id=console,path=%s", log);
	add(a, "-serial", "chardev:console");
	add(a, "-chardev", "stdio,id=monitor,signal=off");
	add(a, "-mon", "chardev=monitor,mode=control");
	if (vm->metadata)
		add(a, "-smbios",
		    "type=1,manufacturer=Amazon EC2,product=acclimate,uuid=%s,serial=%s", vm->uuid,
		    vm->uuid);
}

static void say(int qmp, const char *text)
{
	/* The socket's buffer takes these few bytes; if QEMU is gone there is nobody to tell. */
	if (send(qmp, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

int qemu_start(const struct vm *vm, pid_t *ret_pid, int *ret_qmp, struct err *e)
{
	AUTO(args_release) struct args a = {0};
	AUTO_FREE char *log_path = path_join(vm->dir, "qemu.log");
	AUTO_FD int log = -1;
	AUTO_FD int ours = -1;
	AUTO_FD int theirs = -1;
	struct proc_opts o = PROC_OPTS_INIT;
	int pair[2], rc;

	build(&a, vm);
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
		return err_set(e, ENOENT,
			       "there is no qemu-system-x86_64 (Debian: qemu-system-x86)");
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
