/* SPDX-License-Identifier: Apache-2.0 */
/* The owner of a connection, by the kernel's own table of this machine. */
#include "tests/unit/cmocka.h"

#include <sys/socket.h>

#include "ctxd/peer_uid.h"

static void a_connection_is_its_makers(void **state)
{
	struct sockaddr_in server = {.sin_family = AF_INET}, client;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(server);
	unsigned uid = 12345;
	struct err e;

	(void)state;
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_return_code(bind(listener, (struct sockaddr *)&server, sizeof(server)), errno);
	assert_return_code(listen(listener, 1), errno);
	assert_return_code(getsockname(listener, (struct sockaddr *)&server, &len), errno);
	assert_return_code(connect(fd, (struct sockaddr *)&server, sizeof(server)), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)&client, &len), errno);
	if (peer_uid("/proc/net/tcp", &client, &server, &uid, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(uid, geteuid());
	client.sin_port = 0;
	assert_int_equal(peer_uid("/proc/net/tcp", &client, &server, &uid, &e), -ENOENT);
	close(fd);
	close(listener);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_is_its_makers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
