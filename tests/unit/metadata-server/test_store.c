/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: one instance, nobody, or nobody because it could be several. */
#include "tests/unit/cmocka.h"

#include <stdio.h>
#include <sys/socket.h>
/* behind the one above, on which it depends */
#include <linux/vm_sockets.h>

#include "metadata-server/listen.h"

static void add(struct instance_list *l, const char *name, const char *id, const char *identify)
{
	struct instance *in = NULL;
	struct err e = {0};
	char yaml[512], file[64];

	snprintf(file, sizeof(file), "%s.yaml", name);
	snprintf(yaml, sizeof(yaml), "instance-id: %s\n%s%s%s", id, identify ? "identify: {" : "",
		 identify ? identify : "", identify ? "}\n" : "");
	if (instance_parse_yaml(name, file, yaml, strlen(yaml), -1, NULL, NULL, &in, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(instance_list_add(l, &in, &e), 0);
}

static const char *mac;
static unsigned mac_asked;

static bool mac_of(void *arg, char out[18])
{
	(void)arg;
	mac_asked++;
	if (mac)
		strcpy(out, mac);
	return mac;
}

static const char *who(const struct store *s, const char *interface, const char *address)
{
	const struct instance *in = NULL;
	size_t n = store_identify(s, NULL, interface, address, mac_of, NULL, &in);

	return n == 0 ? "nobody" : n == 1 ? in->name : "several";
}

static void guests_are_known_by_interface_and_address(void **state)
{
	AUTO(instance_list_release) struct instance_list l = {0};
	AUTO(store_free) struct store *s = NULL;

	(void)state;
	add(&l, "a", "i-1", "interface: br0, address: 10.0.0.1");
	add(&l, "b", "i-2", "interface: br1, address: 10.0.0.1"); /* the networks overlap */
	add(&l, "c", "i-3", "interface: tap0");
	add(&l, "d", "i-4", "address: '2001:DB8::1', trust: address");
	add(&l, "e", "i-5", NULL);
	assert_int_equal(store_new(&l, NULL, NULL, &s, NULL), 0);
	assert_int_equal(store_count(s), 5);
	assert_string_equal(who(s, "br0", "10.0.0.1"), "a");
	assert_string_equal(who(s, "br1", "10.0.0.1"), "b");
	assert_string_equal(who(s, "br2", "10.0.0.1"), "nobody");
	assert_string_equal(who(s, "br0", "10.0.0.2"), "nobody");
	assert_string_equal(who(s, NULL, "10.0.0.1"), "nobody");
	assert_string_equal(who(s, "br0", NULL), "nobody");
	assert_string_equal(who(s, NULL, NULL), "nobody");
	assert_string_equal(who(s, "tap0", "10.9.9.9"), "c");
	assert_string_equal(who(s, "br7", "2001:db8::1"), "d");
	assert_string_equal(who(s, "tap0", "2001:db8::1"), "several");
	assert_int_equal(mac_asked, 0);
	assert_string_equal(store_find(s, "e")->name, "e");
	assert_null(store_find(s, "f"));
	assert_null(store_find(s, ""));
}

static void guests_can_be_told_apart_by_mac(void **state)
{
	AUTO(instance_list_release) struct instance_list l = {0};
	AUTO(store_free) struct store *s = NULL;

	(void)state;
	add(&l, "a", "i-1", "interface: br0, address: 10.0.0.1, mac: '02:00:00:00:00:01'");
	add(&l, "b", "i-2", "interface: br0, address: 10.0.0.1, mac: '02:00:00:00:00:02'");
	assert_int_equal(store_new(&l, NULL, NULL, &s, NULL), 0);
	mac = "02:00:00:00:00:01";
	mac_asked = 0;
	assert_string_equal(who(s, "br0", "10.0.0.1"), "a");
	assert_int_equal(mac_asked, 1);
	mac = "02:00:00:00:00:02";
	assert_string_equal(who(s, "br0", "10.0.0.1"), "b");
	mac = "02:00:00:00:00:03";
	assert_string_equal(who(s, "br0", "10.0.0.1"), "nobody");
	mac = NULL;
	assert_string_equal(who(s, "br0", "10.0.0.1"), "nobody");
}

static void add_line(void *arg, const struct err *e)
{
	buf_addf(arg, "%s\n", e->msg);
}

static void definitions_that_clash_are_refused(void **state)
{
	AUTO(instance_list_release) struct instance_list l = {0};
	AUTO_BUF lines = BUF_INIT;
	struct store *s = NULL;
	struct err e = {0};

	(void)state;
	add(&l, "a", "i-1", "interface: br0, address: 10.0.0.1");
	add(&l, "b", "i-2", "interface: br0, address: 10.0.0.1, mac: '02:00:00:00:00:02'");
	add(&l, "c", "i-1", "interface: br2");
	add(&l, "d", "i-4", "interface: br2, address: 10.0.0.1");
	assert_int_equal(store_new(&l, add_line, &lines, &s, &e), -EEXIST);
	assert_string_equal(lines.data,
			    "c.yaml:1:1: 'instance-id': is that of 'a' too (a.yaml)\n"
			    "b.yaml:2:1: 'identify': a guest could be this or 'a' (a.yaml)\n"
			    "d.yaml:2:1: 'identify': a guest could be this or 'c' (c.yaml)\n");
	assert_int_equal(l.n, 0);
}

static void many_instances_are_found(void **state)
{
	AUTO(instance_list_release) struct instance_list l = {0};
	AUTO(store_free) struct store *s = NULL;
	char name[16], id[16], text[64];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(id, sizeof(id), "i-%d", i);
		snprintf(text, sizeof(text), "interface: br%d, address: 10.0.%d.%d", i % 7, i / 250,
			 i % 250);
		add(&l, name, id, text);
	}
	assert_int_equal(store_new(&l, NULL, NULL, &s, NULL), 0);
	for (int i = 0; i < 2000; i++) {
		char interface[16], address[32];

		snprintf(name, sizeof(name), "n%d", i);
		snprintf(interface, sizeof(interface), "br%d", i % 7);
		snprintf(address, sizeof(address), "10.0.%d.%d", i / 250, i % 250);
		assert_string_equal(who(s, interface, address), name);
		assert_string_equal(store_find(s, name)->name, name);
	}
}

static void namespaces_and_vsock_are_worlds_of_their_own(void **state)
{
	AUTO(instance_list_release) struct instance_list l = {0};
	AUTO(store_free) struct store *s = NULL;
	struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = 7};
	struct httpd_peer peer = {0};
	const struct instance *in = NULL;
	struct err e = {0};

	(void)state;
	add(&l, "a", "i-1", "interface: br0, address: 10.0.0.1");
	add(&l, "b", "i-2", "netns: net1, interface: br0, address: 10.0.0.1");
	add(&l, "c", "i-3", "netns: net2, interface: br0");
	add(&l, "d", "i-4", "vsock: 7");
	assert_int_equal(store_new(&l, NULL, NULL, &s, &e), 0);
	assert_string_equal(who(s, "br0", "10.0.0.1"), "a");
	assert_int_equal(store_identify(s, "net1", "br0", "10.0.0.1", mac_of, NULL, &in), 1);
	assert_string_equal(in->name, "b");
	assert_int_equal(store_identify(s, "net2", "br0", "10.0.0.1", mac_of, NULL, &in), 1);
	assert_string_equal(in->name, "c");
	assert_int_equal(store_identify(s, "net3", "br0", "10.0.0.1", mac_of, NULL, &in), 0);
	memcpy(&peer.remote, &vm, sizeof(vm));
	assert_int_equal(identify(s, &peer, &in, &e), 0);
	assert_string_equal(in->name, "d");
	vm.svm_cid = 8;
	memcpy(&peer.remote, &vm, sizeof(vm));
	assert_int_equal(identify(s, &peer, &in, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "interface 'vsock:', address 8"));
}

static void what_a_guest_is_known_by_is_written_and_read_again(void **state)
{
	static const char *const good[] = {"vsock: 7", "netns: n, interface: br0, mac: "
						       "'02:00:00:00:00:01'"};
	static const char *const bad[] = {"vsock: 2",
					  "vsock: x",
					  "vsock: 4294967295",
					  "vsock: 7, interface: br0",
					  "vsock: 7, mac: "
					  "'02:00:00:00:00:01'",
					  "netns: a/b, interface: br0",
					  "netns: n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		AUTO(instance_list_release) struct instance_list l = {0};
		AUTO(instance_free) struct instance *again = NULL;
		AUTO_BUF json = BUF_INIT;
		AUTO_BUF twice = BUF_INIT;
		struct err e = {0};

		add(&l, "a", "i-1", good[i]);
		assert_int_equal(instance_write_json(l.v[0], false, &json, &e), 0);
		if (instance_parse_yaml("a", "a", json.data, json.len, -1, NULL, NULL, &again, &e))
			fail_msg("%s: %s", json.data, e.msg);
		assert_int_equal(instance_write_json(again, false, &twice, &e), 0);
		assert_string_equal(json.data, twice.data);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(instance_free) struct instance *in = NULL;
		struct err e = {0};
		char yaml[256];

		snprintf(yaml, sizeof(yaml), "instance-id: i\nidentify: {%s}\n", bad[i]);
		if (!instance_parse_yaml("a", "a", yaml, strlen(yaml), -1, NULL, NULL, &in, &e))
			fail_msg("'%s' is taken", bad[i]);
	}
}

static void listen_addresses_are_numeric(void **state)
{
	static const char *const bad[] = {
		"",       "127.0.0.1",  "127.0.0.1:", "127.0.0.1:65536", "localhost:80",
		"::1:80", "[::1]",      "[::1:80",    "127.0.0.1/8:80",  ":80",
		"[]:80",  "1.2.3.4:+80"};
	struct sockaddr_storage ss;
	socklen_t len;

	(void)state;
	assert_int_equal(parse_listen("127.0.0.1:80", NULL, &ss, &len, NULL), 0);
	assert_int_equal(ss.ss_family, AF_INET);
	assert_int_equal(parse_listen("[fd00:ec2::254]:80", NULL, &ss, &len, NULL), 0);
	assert_int_equal(ss.ss_family, AF_INET6);
	assert_int_equal(parse_listen("vsock:80", NULL, &ss, &len, NULL), 0);
	assert_int_equal(ss.ss_family, AF_VSOCK);
	assert_int_equal(parse_listen("vsock:x", NULL, &ss, &len, NULL), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse_listen(bad[i], NULL, &ss, &len, NULL) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guests_are_known_by_interface_and_address),
		cmocka_unit_test(guests_can_be_told_apart_by_mac),
		cmocka_unit_test(definitions_that_clash_are_refused),
		cmocka_unit_test(many_instances_are_found),
		cmocka_unit_test(namespaces_and_vsock_are_worlds_of_their_own),
		cmocka_unit_test(what_a_guest_is_known_by_is_written_and_read_again),
		cmocka_unit_test(listen_addresses_are_numeric),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
