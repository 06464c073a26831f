/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that what a guest is told must keep. */
#include "tests/unit/cmocka.h"

#include <sys/socket.h>

#include "context/context.h"

typedef int check_fn(const char *s, struct err *e);

static void takes(check_fn *check, const char *const *good, const char *const *bad)
{
	struct err e = {0};

	for (; *good; good++)
		if (check(*good, &e))
			fail_msg("'%s' is refused: %s", *good, e.msg);
	for (; *bad; bad++)
		if (check(*bad, &e) != -EBADMSG)
			fail_msg("'%s' is taken", *bad);
}

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void host_names_are_those_of_rfc_1123(void **state)
{
	(void)state;
	takes(context_check_hostname,
	      (const char *[]){"a", "web1.example.org", "4.A-b.c", L63 ".b", NULL},
	      (const char *[]){"", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a-.b", "a_b",
			       "a b", "a\n", "\xc3\xa9", L63 "a", L63 "." L63 "." L63 "." L63,
			       NULL});
}

static void instance_ids_are_one_word(void **state)
{
	(void)state;
	takes(context_check_instance_id, (const char *[]){"i-0a1b", "iid.a_b:c", NULL},
	      (const char *[]){"", "a b", "a/b", "a\n", L63 L63 "abc", NULL});
}

static void ssh_keys_are_one_line_with_a_key_in_it(void **state)
{
	(void)state;
	takes(context_check_ssh_key,
	      (const char *[]){"ssh-ed25519 AAAAC3Nz ops",
			       "ssh-rsa AAAA+/==", "ecdsa-sha2-nistp256 AAAA a b c",
			       "sk-ssh-ed25519@openssh.com AAAA x",
			       "no-pty,command=\"echo \\\"a b\\\"\" ssh-rsa AAAA c", NULL},
	      (const char *[]){"", "ssh-rsa", "ssh-rsa ", "AAAA", "# ssh-rsa AAAA", "ssh-rsa AA!A",
			       "ssh-rsa AAAA\nssh-rsa BBBB", "ssh-rsa AAAA \x01",
			       "ssh-rsa AAAA \xff", "-----BEGIN OPENSSH PRIVATE KEY-----", NULL});
}

static void tag_keys_can_be_paths(void **state)
{
	(void)state;
	takes(context_check_tag_key, (const char *[]){"Name", "a:b@c", "+-=.,_:@", NULL},
	      (const char *[]){"", ".", "..", "_index", "a/b", "a b", "\xc3\xa9", NULL});
}

static void macs_come_out_in_one_form(void **state)
{
	static const char *const bad[] = {"",
					  "02:00:c0:a8:00",
					  "02:00:c0:a8:00:05:06",
					  "02:00:c0:a8:00:0g",
					  "02:00-c0:a8:00:05",
					  "0200.c0a8.0005.....",
					  "01:00:5e:00:00:01", /* multicast */
					  "ff:ff:ff:ff:ff:ff",
					  "00:00:00:00:00:00"};
	char out[18];

	(void)state;
	assert_int_equal(context_parse_mac("02:00:C0:A8:00:05", out, NULL), 0);
	assert_string_equal(out, "02:00:c0:a8:00:05");
	assert_int_equal(context_parse_mac("02-00-c0-a8-00-05", out, NULL), 0);
	assert_string_equal(out, "02:00:c0:a8:00:05");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(context_parse_mac(bad[i], out, NULL), -EBADMSG);
}

static void addresses_and_their_networks(void **state)
{
	static const struct {
		const char *text, *ip, *net;
	} good[] = {
		{"192.168.0.5/24", "192.168.0.5", "192.168.0.0/24"},
		{"10.1.2.3/31", "10.1.2.3", "10.1.2.2/31"},
		{"10.1.2.3/0", "10.1.2.3", "0.0.0.0/0"},
		{"10.1.2.3", "10.1.2.3", "10.1.2.3/32"},
		{"2001:DB8::5/64", "2001:db8::5", "2001:db8::/64"},
		{"fe80::1/10", "fe80::1", "fe80::/10"},
	};
	static const char *const bad[] = {"",           "/24",        "1.2.3",    "1.2.3.4.5",
					  "1.2.3.256",  "01.2.3.4/8", "1.2.3.4/", "1.2.3.4/33",
					  "1.2.3.4/-1", "1.2.3.4/+1", "::1/129",  "::1%lo",
					  "1.2.3.4 ",   "example.org"};
	struct ip_prefix ip;
	char text[50];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(context_parse_ip(good[i].text, &ip, NULL), 0);
		context_format_ip(&ip, text);
		assert_string_equal(text, good[i].ip);
		context_format_network(&ip, text);
		assert_string_equal(text, good[i].net);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (context_parse_ip(bad[i], &ip, NULL) != -EBADMSG)
			fail_msg("'%s' is taken", bad[i]);
}

static int check_route(const char *s, struct err *e)
{
	struct ip_prefix dst, gw;

	return context_parse_route(s, &dst, &gw, e);
}

static void routes_have_a_destination_and_a_gateway(void **state)
{
	struct ip_prefix dst, gw;

	(void)state;
	takes(check_route,
	      (const char *[]){"10.0.0.0/8 via 192.168.0.254", "default via 10.0.0.1",
			       "2001:db8::/32  via  fe80::1", NULL},
	      (const char *[]){"", "10.0.0.0/8", "10.0.0.0/8 via", "10.0.0.0/8 dev eth0",
			       "10.0.0.0/8 via 10.0.0.1 mtu 5", "10.0.0.0/8 via 10.0.0.1/8",
			       "10.0.0.0/8 via ::1", "x via 10.0.0.1", NULL});
	assert_int_equal(context_parse_route("default via ::1", &dst, &gw, NULL), 0);
	assert_int_equal(dst.family, AF_INET6);
	assert_int_equal(dst.prefix, 0);
}

static void times_go_there_and_back(void **state)
{
	static const char *const bad[] = {"",
					  "2024-04-11",
					  "2024-04-11 06:00:00Z",
					  "2024-04-11T06:00:00",
					  "2024-02-30T00:00:00Z",
					  "2023-02-29T00:00:00Z",
					  "2024-13-01T00:00:00Z",
					  "2024-00-01T00:00:00Z",
					  "2024-01-00T00:00:00Z",
					  "2024-01-01T24:00:00Z",
					  "2024-01-01T00:00:60Z",
					  "1969-12-31T23:59:59Z",
					  "2024-0a-01T00:00:00Z"};
	char text[CONTEXT_TIME_SIZE];
	uint64_t t;

	(void)state;
	assert_int_equal(context_parse_time("1970-01-01T00:00:00Z", &t, NULL), 0);
	assert_int_equal(t, 0);
	assert_int_equal(context_parse_time("2024-02-29T23:59:59Z", &t, NULL), 0);
	assert_int_equal(t, 1709251199);
	for (uint64_t i = 0; i < 100000; i += 97) {
		uint64_t back;

		context_format_time(i * 86413, text);
		assert_int_equal(context_parse_time(text, &back, NULL), 0);
		assert_int_equal(back, i * 86413);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (context_parse_time(bad[i], &t, NULL) != -EBADMSG)
			fail_msg("'%s' is taken", bad[i]);
}

static void a_context_is_checked_as_a_whole(void **state)
{
	AUTO(context_free) struct context *c = NULL;
	struct err e = {0};
	struct nic *n;

	(void)state;
	assert_int_equal(context_new(&c, &e), 0);
	assert_int_equal(context_validate(c, &e), 0);
	n = context_add_nic(c);
	strcpy(n->mac, "02:00:c0:a8:00:05");
	assert_int_equal(strlist_add(&n->addresses, "192.168.0.5"), 0);
	assert_int_equal(context_validate(c, &e), -EBADMSG);
	assert_string_equal(e.msg,
			    "nics[0]: addresses[0]: needs a prefix length, as in 192.168.0.5/24");
	strlist_release(&n->addresses);
	n->gateway = strdup("fe80::1");
	assert_int_equal(context_validate(c, &e), -EBADMSG);
	assert_string_equal(e.msg, "nics[0]: gateway: is not an IPv4 address");
	n->gateway6 = n->gateway;
	n->gateway = NULL;
	assert_int_equal(context_validate(c, &e), 0);
	strcpy(context_add_nic(c)->mac, "02:00:c0:a8:00:05");
	assert_int_equal(context_validate(c, &e), -EBADMSG);
	assert_string_equal(e.msg, "nics[1]: mac: is that of nics[0] too");
	c->nics[1].mac[0] = '\0';
	c->hostname = strdup("a b");
	assert_int_equal(context_validate(c, &e), -EBADMSG);
	assert_memory_equal(e.msg, "hostname: ", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_names_are_those_of_rfc_1123),
		cmocka_unit_test(instance_ids_are_one_word),
		cmocka_unit_test(ssh_keys_are_one_line_with_a_key_in_it),
		cmocka_unit_test(tag_keys_can_be_paths),
		cmocka_unit_test(macs_come_out_in_one_form),
		cmocka_unit_test(addresses_and_their_networks),
		cmocka_unit_test(routes_have_a_destination_and_a_gateway),
		cmocka_unit_test(times_go_there_and_back),
		cmocka_unit_test(a_context_is_checked_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
