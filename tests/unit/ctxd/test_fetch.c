/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile media are read in a process apart: what it says is taken, that it fails is told. */
#include "tests/unit/cmocka.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "context/iso.h"
#include "context/opennebula.h"
#include "ctxd/confine.h"
#include "ctxd/fetch.h"
#include "lib/sandbox.h"

static int memory(const void *data, size_t len)
{
	int fd = memfd_create("medium", MFD_CLOEXEC);

	assert_return_code(fd, errno);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int image(const char *name, const char *text)
{
	struct iso_file f = {name, text, strlen(text)};
	AUTO_BUF b = BUF_INIT;

	assert_return_code(iso_build("CONTEXT", &f, 1, &b, NULL), 0);
	return memory(b.data, b.len);
}

/* Reads fd as if it had been found at /dev/test. */
static int fetch(enum media media, int fd, struct context **ret, struct strlist *notes,
		 struct err *e)
{
	static char where[] = "/dev/test";
	struct detection d = {
		.dialect = &dialect_opennebula, .media = media, .fd = fd, .where = where};
	struct fetch_opts o = {0};

	return fetch_context(&d, &o, ret, notes, e);
}

static void an_image_becomes_a_context(void **state)
{
	AUTO_FD int fd = image("context.sh", "SET_HOSTNAME='web1'\nX=$(id)\n");
	AUTO(context_free) struct context *c = NULL;
	struct strlist notes = {0};
	struct err e;

	(void)state;
	if (fetch(MEDIA_ISO, fd, &c, &notes, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(c->source, "opennebula /dev/test");
	assert_string_equal(c->hostname, "web1");
	assert_int_equal(notes.n, 1);
	strlist_release(&notes);
}

static void documents_in_memory_become_a_context(void **state)
{
	AUTO(detection_release) struct detection d = {.fd = -1};
	AUTO(context_free) struct context *c = NULL;
	struct fetch_opts o = {.with_user_data = true};
	AUTO(strlist_release) struct strlist notes = {0};
	static const char user_data[] =
		"#cloud-config\n"
		"write_files:\n"
		"- {path: /etc/x, content: aGk=, encoding: b64, "
		"permissions: '0600', owner: root:adm}\n"
		"- {path: relative, content: x}\n"
		"runcmd: [echo hi, [touch, it's]]\n"
		"users: [default, {name: ops, groups: 'adm, wheel', sudo: true}]\n"
		"packages: [x]\n";
	struct err e;

	(void)state;
	d.hostname = strdup("hinted");
	assert_return_code(detect_add_doc(&d, "meta-data", "instance-id: i-1\n", 17, &e), 0);
	assert_return_code(detect_add_doc(&d, "user-data", user_data, sizeof(user_data) - 1, &e),
			   0);
	assert_return_code(tree_seal(d.docs, &e), 0);
	assert_int_equal(detect_found(&d, "nocloud", MEDIA_DOCS, "hints", &e), 1);
	if (fetch_context(&d, &o, &c, &notes, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(c->source, "nocloud hints");
	assert_string_equal(c->instance_id, "i-1");
	assert_string_equal(c->hostname, "hinted");
	assert_int_equal(c->n_files, 1);
	assert_string_equal(c->files[0].path, "/etc/x");
	assert_string_equal(buf_str(&c->files[0].content), "hi");
	assert_int_equal(c->files[0].mode, 0600);
	assert_string_equal(c->files[0].owner, "root:adm");
	assert_int_equal(c->n_scripts, 1);
	assert_string_equal(buf_str(&c->scripts[0].content),
			    "#!/bin/sh\necho hi\n'touch' 'it'\\''s' \n");
	assert_int_equal(c->n_users, 1);
	assert_int_equal(c->users[0].groups.n, 2);
	assert_string_equal(c->users[0].sudo, "ALL=(ALL) NOPASSWD:ALL");
	assert_int_equal(notes.n, 2);
}

static void fails(enum media media, int fd, int code, const char *part)
{
	AUTO(context_free) struct context *c = NULL;
	struct err e;

	assert_int_equal(fetch(media, fd, &c, NULL, &e), -code);
	assert_null(c);
	if (!strstr(e.msg, part) || !strstr(e.msg, "/dev/test"))
		fail_msg("'%s' lacks '%s'", e.msg, part);
	close(fd);
}

static void what_cannot_be_read_is_told_with_its_reason(void **state)
{
	(void)state;
	fails(MEDIA_ISO, image("other.sh", ""), ENOENT, "context.sh");
	fails(MEDIA_ISO, memory("x", 1), EBADMSG, "ISO 9660");
}

static void the_reader_cannot_read_what_it_was_not_given(void **state)
{
	AUTO_FD int sound = image("context.sh", "A=1\n");
	char path[64];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", sound);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_return_code(fd, errno);
	fails(MEDIA_ISO, fd, EBADF, "reading");
}

/* What a reader that an attacker has taken over could do. Returns 0 if all of it is refused. */
static int try_all(bool network)
{
	static char name[] = "true", *const argv[] = {name, NULL};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if ((fd >= 0) != network)
		return 1;
	if (open("/", O_RDONLY) >= 0 || unlink("/nowhere") == 0 || errno == ENOENT)
		return 2;
	if (execv("/bin/true", argv) == 0 || errno == ENOENT || fork() >= 0)
		return 3;
	if (kill(getppid(), 0) == 0 || errno == EPERM)
		return 4; /* refused before it is looked at whose it is */
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	    MAP_FAILED)
		return 5;
	if (setuid(0) == 0)
		return 6;
	return malloc(1 << 20) ? 0 : 7;
}

static void the_reader_has_no_system_calls_but_a_few(void **state)
{
	(void)state;
	if (SANDBOX_SANITIZED)
		skip();
	for (int network = 0; network < 2; network++) {
		int status, ends[2];
		pid_t pid;

		assert_return_code(pipe(ends), errno);
		pid = fork();
		if (pid == 0)
			_exit(confine(ends[0], ends[1], network) ? try_all(network) : 99);
		close(ends[0]);
		close(ends[1]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_becomes_a_context),
		cmocka_unit_test(documents_in_memory_become_a_context),
		cmocka_unit_test(what_cannot_be_read_is_told_with_its_reason),
		cmocka_unit_test(the_reader_cannot_read_what_it_was_not_given),
		cmocka_unit_test(the_reader_has_no_system_calls_but_a_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
