/* SPDX-License-Identifier: Apache-2.0 */
/* Running an image: see catalog/run.h. */
#include "catalog/run.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "imgconv/imgconv.h"
#include "lib/clock.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/stop.h"
#include "lib/str.h"

#define TICK_MS 100
#define VARIABLES_LIMIT (64u << 20)
/* For the guest to power off when it is asked to; one that is emulated on a busy host crawls. */
#define POWERDOWN_MS 45000
#define POWERDOWN_EMULATED_MS 180000
#define QUIT_MS 5000 /* for QEMU to end when it is told to */

struct run {
	const struct run_opts *opts;
	struct store *store;
	struct value *record;
	int held[STORE_DISKS_MAX]; /* the image's disks: nothing removes them while it runs */
	char *dir;
	bool temporary;
	struct vm vm;
	pid_t pid;
	int qmp;
	struct console *console;
	int ssh; /* a connection that waits for sshd's first words; -1: none */
	bool ssh_seen;
	uint64_t ssh_next_ms;
	uint64_t started_ms;
};

static void run_release(struct run *r)
{
	if (r->ssh >= 0)
		close(r->ssh);
	if (r->qmp >= 0)
		close(r->qmp);
	for (unsigned n = 0; n < STORE_DISKS_MAX; n++) {
		if (r->held[n] >= 0)
			close(r->held[n]);
	}
	console_free(r->console);
	value_free(r->record);
	if (r->dir && r->temporary)
		(void)fs_remove_tree(r->dir, NULL);
	vm_release(&r->vm);
	free(r->dir);
}
DEFINE_AUTO_STRUCT(struct run, run_release);

/* ---- before the start ----------------------------------------------------------------------- */

static int make_dir(struct run *r, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	AUTO_FREE char *prefix = NULL;

	if (r->opts->run_dir) {
		int rc = fs_mkdir_p(r->opts->run_dir, 0700, e);

		/* QEMU and what it starts get absolute paths. */
		r->dir = rc < 0 ? NULL : realpath(r->opts->run_dir, NULL);
		return rc < 0 ? rc : r->dir ? 0 : err_errno(e, errno, "'%s'", r->opts->run_dir);
	}
	prefix = path_join(tmp && *tmp == '/' ? tmp : "/tmp", "acclimate-run");
	if (!prefix)
		return err_nomem(e);
	r->temporary = true;
	return fs_make_temp_dir(prefix, &r->dir, e);
}

/* A clone is run as it is and keeps what changes; of an image a clone is made for this run. */
static int make_disk(struct run *r, unsigned n, struct err *e)
{
	AUTO(store_disk_release) struct store_disk d = {0};
	AUTO_FREE char *base = NULL;
	char name[16];
	int rc = store_find_disk(r->store, r->opts->image, n, &d, e);

	if (rc == 0)
		rc = store_hold(&d, &r->held[n], e);
	if (rc < 0)
		return rc;
	base = realpath(d.path, NULL);
	if (!base)
		return err_errno(e, errno, "'%s'", d.path);
	r->vm.n_disks = n + 1;
	r->vm.keep = d.kind == STORE_DISK_CLONE;
	if (r->vm.keep) {
		r->vm.disks[n] = STEAL(base);
		return !r->opts->disk_size ? 0
					   : err_set(e, EINVAL,
						     "'%s' is a clone: its size is chosen when it "
						     "is made",
						     r->opts->image);
	}
	store_disk_name(n, name);
	r->vm.disks[n] = path_join(r->dir, name);
	if (!r->vm.disks[n])
		return err_nomem(e);
	return image_create_clone(r->vm.disks[n], base, "qcow2", n ? 0 : r->opts->disk_size, e);
}

static int make_disks(struct run *r, struct err *e)
{
	unsigned n_disks = 0;
	int rc = store_count_disks(r->store, r->opts->image, &n_disks, e);

	for (unsigned n = 0; rc == 0 && n < n_disks; n++)
		rc = make_disk(r, n, e);
	return rc;
}

/* The machine that the image needs; its UEFI gets variables of its own. */
static int make_machine(struct run *r, struct err *e)
{
	AUTO(facts_release) struct facts facts = {0};
	AUTO_FREE char *own = path_join(r->dir, "efivars.fd"), *start = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc = own ? facts_read(r->store, r->opts->image, &facts, e) : err_nomem(e);

	if (rc == 0)
		rc = firmware_choose(&facts, r->record, r->opts->firmware, &r->vm, e);
	if (rc < 0 || !r->vm.uefi)
		return rc;
	start = STEAL(r->vm.variables);
	r->vm.variables = STEAL(own);
	/* Those of a run before in the same folder are the guest's. */
	if (access(r->vm.variables, F_OK) == 0)
		return 0;
	rc = fs_read_file(start, VARIABLES_LIMIT, &text, e);
	return rc < 0 ? rc : fs_write_file(r->vm.variables, text.data, text.len, 0600, e);
}

/* metadata-server serve --stdio, or an ISO made by metadata-server iso. */
static int make_metadata(struct run *r, struct err *e)
{
	AUTO_FREE char *server = NULL, *instance = path_join(r->dir, "instance.yaml");
	AUTO_FREE char *key = path_join(r->dir, "token.key");
	int rc;

	if (r->opts->metadata == RUN_NONE)
		return 0;
	rc = instance && key ? fs_sibling_program("metadata-server", &server, e) : err_nomem(e);
	if (rc < 0)
		return rc;
	if (run_with_iso(r->opts->metadata)) {
		r->vm.iso = path_join(r->dir, "context.iso");
		if (!r->vm.iso)
			return err_nomem(e);
		(void)unlink(r->vm.iso); /* of a run before in the same folder */
		return proc_run((const char *const[]){server, "iso", "--kind",
						      run_metadata_names[r->opts->metadata],
						      instance, r->vm.iso, NULL},
				NULL, 0, NULL, 0, 60, e);
	}
	/* Wrong definitions are to be seen here, not by the guest. */
	rc = proc_run((const char *const[]){server, "check", instance, NULL}, NULL, 0, NULL, 0, 60,
		      e);
	if (rc == 0)
		rc = shell_metadata(instance, key, &r->vm.metadata, e);
	r->vm.ec2 = rc == 0;
	return rc;
}

/* A port that is free now; QEMU binds it a moment later. */
static int free_port(unsigned *ret, struct err *e)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return err_errno(e, errno, "finding a free port");
	*ret = ntohs(a.sin_port);
	return 0;
}

static int choose_accel(struct run *r, struct err *e)
{
	const char *why = NULL;

	r->vm.kvm = false;
	if (r->opts->accel == RUN_TCG)
		return 0;
	r->vm.kvm = kvm_works(r->vm.arm64, &why);
	if (r->vm.kvm)
		return 0;
	if (r->opts->accel == RUN_KVM)
		return err_set(e, ENOTSUP, "no KVM: %s", why);
	log_info("no KVM: %s; QEMU emulates the processor, which is slow", why);
	return 0;
}

static int prepare(struct run *r, struct err *e)
{
	AUTO_FREE char *instance = NULL;
	int rc = store_record(r->store, r->opts->image, &r->record, e);

	if (rc == 0)
		rc = make_dir(r, e);
	if (rc == 0)
		rc = make_disks(r, e);
	if (rc == 0)
		rc = make_machine(r, e);
	if (rc == 0)
		rc = instance_write(r->opts, r->record, r->dir, e);
	if (rc == 0)
		rc = make_metadata(r, e);
	if (rc < 0)
		return rc;
	instance = path_join(r->dir, "instance.yaml");
	if (!instance)
		return err_nomem(e);
	rc = instance_mac(instance, r->vm.mac, e);
	if (rc == 0)
		rc = vm_make_uuid(r->vm.uuid, e);
	if (rc == 0)
		rc = choose_accel(r, e);
	r->vm.dir = r->dir;
	r->vm.memory = r->opts->memory;
	r->vm.cpus = r->opts->cpus;
	return rc;
}

/* ---- while it runs -------------------------------------------------------------------------- */

static int write_state(const struct run *r, struct err *e)
{
	AUTO_FREE char *path = path_join(r->dir, "run.json");
	AUTO_FREE char *console = path_join(r->dir, "console.log");
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	if (!path || !console)
		return err_nomem(e);
	jsonw_begin(&w, &text, true);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "image", r->opts->image);
	jsonw_u64(&w, "pid", (uint64_t)r->pid);
	jsonw_u64(&w, "ssh-port", r->vm.ssh_port);
	jsonw_string(&w, "architecture", r->vm.arm64 ? "arm64" : "x86_64");
	jsonw_string(&w, "firmware", r->vm.uefi ? "uefi" : "bios");
	jsonw_string(&w, "accelerator", r->vm.kvm ? "kvm" : "tcg");
	jsonw_string(&w, "metadata", run_metadata_names[r->opts->metadata]);
	jsonw_string(&w, "console", console);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	return rc < 0 ? rc : fs_write_file(path, text.data, text.len, 0644, e);
}

/* 0: it runs; 1: it ended, *ret_status is as waitpid gave it. */
static int ended(const struct run *r, int *ret_status)
{
	return waitpid(r->pid, ret_status, WNOHANG) == r->pid;
}

/* The user network accepts at once whether or not the guest listens: only words from sshd count. */
static void watch_ssh(struct run *r)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)r->vm.ssh_port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char word[4];
	ssize_t n;

	if (r->ssh_seen || clock_ms() < r->ssh_next_ms)
		return;
	if (r->ssh < 0) {
		r->ssh = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (r->ssh >= 0 && connect(r->ssh, (struct sockaddr *)&a, sizeof(a)) < 0 &&
		    errno != EINPROGRESS)
			close(steal_fd(&r->ssh));
		r->ssh_next_ms = clock_ms() + 500;
		return;
	}
	n = recv(r->ssh, word, sizeof(word), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
		return;
	close(steal_fd(&r->ssh));
	r->ssh_next_ms = clock_ms() + 1000;
	if (n == (ssize_t)sizeof(word) && memcmp(word, "SSH-", sizeof(word)) == 0) {
		r->ssh_seen = true;
		log_info("%6.1f s  guest: SSH answers on 127.0.0.1 port %u",
			 (double)(clock_ms() - r->started_ms) / 1000, r->vm.ssh_port);
	}
}

/* QMP's events are not needed, but must be read so that QEMU never waits for us. */
static void drain_qmp(const struct run *r)
{
	char chunk[4096];

	while (recv(r->qmp, chunk, sizeof(chunk), MSG_DONTWAIT) > 0)
		;
}

static void tick(struct run *r)
{
	drain_qmp(r);
	console_poll(r->console);
	watch_ssh(r);
	poll(NULL, 0, TICK_MS);
}

/* Waits for the end; true if it came. */
static bool wait_end(struct run *r, uint64_t ms)
{
	uint64_t until = clock_ms() + ms;
	int status;

	while (clock_ms() < until) {
		if (ended(r, &status))
			return true;
		drain_qmp(r);
		console_poll(r->console);
		poll(NULL, 0, 50);
	}
	return false;
}

/* Politely, then firmly, then by force. */
static void bring_down(struct run *r)
{
	log_info("asking the guest to power off");
	qemu_powerdown(r->qmp);
	if (wait_end(r, r->vm.kvm ? POWERDOWN_MS : POWERDOWN_EMULATED_MS))
		return;
	log_warn("the guest does not power off: ending QEMU");
	qemu_quit(r->qmp);
	if (!wait_end(r, QUIT_MS))
		proc_end(r->pid, 1000);
}

static int watch(struct run *r, struct err *e)
{
	uint64_t until =
		r->opts->timeout_s ? clock_ms() + r->opts->timeout_s * UINT64_C(1000) : UINT64_MAX;
	int status = 0;

	for (;;) {
		if (ended(r, &status))
			break;
		if (stop_requested()) {
			bring_down(r);
			return 0;
		}
		if (clock_ms() >= until) {
			bring_down(r);
			return err_set(e, ETIMEDOUT, "the guest ran for %u s, the --timeout",
				       r->opts->timeout_s);
		}
		tick(r);
	}
	console_poll(r->console);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		AUTO_FREE char *words = qemu_last_words(r->dir);

		return err_set(e, EIO, "QEMU failed: %s", words ? words : "");
	}
	log_info("the guest powered off");
	return 0;
}

static int start(struct run *r, struct err *e)
{
	int rc = 0;

	r->vm.ssh_port = r->opts->ssh_port;
	if (!r->vm.ssh_port)
		rc = free_port(&r->vm.ssh_port, e);
	if (rc == 0)
		rc = console_open(r->dir, &r->console, e);
	if (rc == 0)
		rc = qemu_start(&r->vm, &r->pid, &r->qmp, e);
	if (rc < 0)
		return rc;
	r->started_ms = clock_ms();
	rc = write_state(r, e);
	if (rc < 0)
		proc_end(r->pid, 1000);
	return rc;
}

int run_image(struct store *store, const struct run_opts *o, struct err *e)
{
	AUTO(run_release)
	struct run r = {.opts = o,
			.store = store,
			.held = {[0 ... STORE_DISKS_MAX - 1] = -1},
			.qmp = -1,
			.ssh = -1};
	AUTO_FREE char *state = NULL;
	int rc = prepare(&r, e);

	if (rc == 0)
		rc = start(&r, e);
	if (rc < 0)
		return rc;
	log_info("'%s' boots (%s, %s); console: %s/console.log; log in when SSH answers: "
		 "ssh -p %u USER@127.0.0.1",
		 o->image, r.vm.uefi ? "UEFI" : "BIOS", r.vm.kvm ? "KVM" : "emulated", r.dir,
		 r.vm.ssh_port);
	rc = watch(&r, e);
	state = path_join(r.dir, "run.json");
	if (state)
		(void)unlink(state);
	return rc;
}
