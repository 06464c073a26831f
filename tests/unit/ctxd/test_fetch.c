/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile media are read in a process apart: what it says is taken, that it fails is told. */
#include "tests/unit/cmocka.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "context/iso.h"
#include "ctxd/fetch.h"

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

static void an_image_becomes_a_context(void **state)
{
	AUTO_FD int fd = image("context.sh", "SET_HOSTNAME='web1'\nX=$(id)\n");
	AUTO(context_free) struct context *c = NULL;
	struct strlist notes = {0};
	struct err e;

	(void)state;
	if (fetch_context(MEDIA_ISO, fd, "/dev/test", &c, &notes, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(c->source, "opennebula /dev/test");
	assert_string_equal(c->hostname, "web1");
	assert_int_equal(notes.n, 1);
	strlist_release(&notes);
}

static void a_folders_file_becomes_a_context(void **state)
{
	AUTO_FD int fd = memory("SET_HOSTNAME='web1'\n", 20);
	AUTO(context_free) struct context *c = NULL;
	struct err e;

	(void)state;
	if (fetch_context(MEDIA_FOLDER, fd, "/context/context.sh", &c, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(c->hostname, "web1");
}

static void fails(enum media media, int fd, int code, const char *part)
{
	AUTO(context_free) struct context *c = NULL;
	struct err e;

	assert_int_equal(fetch_context(media, fd, "/dev/test", &c, NULL, &e), -code);
	assert_null(c);
	if (!strstr(e.msg, part) || !strstr(e.msg, "/dev/test"))
		fail_msg("'%s' lacks '%s'", e.msg, part);
	close(fd);
}

static void what_cannot_be_read_is_told_with_its_reason(void **state)
{
	AUTO_FREE char *large = malloc(2 * MIB);

	(void)state;
	assert_non_null(large);
	memset(large, '#', 2 * MIB);
	fails(MEDIA_ISO, image("other.sh", ""), ENOENT, "context.sh");
	fails(MEDIA_ISO, memory("x", 1), EBADMSG, "ISO 9660");
	fails(MEDIA_FOLDER, memory("A=1\0", 4), EBADMSG, "NUL");
	fails(MEDIA_FOLDER, memory(large, 2 * MIB), EFBIG, "larger");
}

static void the_reader_cannot_read_what_it_was_not_given(void **state)
{
	int fd = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_return_code(fd, errno);
	fails(MEDIA_FOLDER, fd, EBADF, "reading");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_becomes_a_context),
		cmocka_unit_test(a_folders_file_becomes_a_context),
		cmocka_unit_test(what_cannot_be_read_is_told_with_its_reason),
		cmocka_unit_test(the_reader_cannot_read_what_it_was_not_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
