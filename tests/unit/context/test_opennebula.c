/* SPDX-License-Identifier: Apache-2.0 */
/* What the variables of a context.sh become, and that they come back the same. */
#include "tests/unit/cmocka.h"

#include <stdio.h>

#include "context/dialects.h"
#include "context/opennebula.h"

static struct context *read_notes(const char *text, struct strlist *notes)
{
	struct context *c = NULL;
	struct err e;

	if (opennebula_read(text, strlen(text), "opennebula test", notes, &c, &e) < 0)
		fail_msg("%s", e.msg);
	if (context_validate(c, &e) < 0)
		fail_msg("not valid: %s", e.msg);
	return c;
}

/* Everything in text can be used. */
static struct context *read_ok(const char *text)
{
	struct strlist notes = {0};
	struct context *c = read_notes(text, &notes);

	if (notes.n)
		fail_msg("%s", notes.v[0]);
	return c;
}

static void a_whole_context_is_read(void **state)
{
	AUTO(context_free)
	struct context *c =
		read_ok("DNS='9.9.9.9 192.168.0.1'\n"
			"ETH0_DNS='192.168.0.1'\n"
			"ETH0_GATEWAY='192.168.0.254'\n"
			"ETH0_IP='192.168.0.5'\n"
			"ETH0_IP6='2001:db8::5'\n"
			"ETH0_IP6_GATEWAY='2001:db8::1'\n"
			"ETH0_IP6_PREFIX_LENGTH='48'\n"
			"ETH0_MAC='02:00:C0:A8:00:05'\n"
			"ETH0_MASK='255.255.254.0'\n"
			"ETH0_METRIC='7'\n"
			"ETH0_MTU='1450'\n"
			"ETH0_ROUTES='10.0.0.0/8 via 192.168.0.1, 10.1.0.0/16 via "
			"192.168.0.2'\n"
			"ETH0_SEARCH_DOMAIN='example.org'\n"
			"ETH0_ALIAS0_IP='192.168.0.6'\n"
			"ETH0_ALIAS0_MASK='24'\n"
			"ETH0_ALIAS1_IP='203.0.113.9'\n"
			"ETH0_ALIAS1_EXTERNAL='YES'\n"
			"ETH1_MAC='02:00:c0:a8:01:05'\n"
			"ETH1_METHOD='dhcp'\n"
			"SET_HOSTNAME='web1.example.org'\n"
			"SSH_PUBLIC_KEY='ssh-ed25519 AAAA one\n\n# no\nssh-rsa BBBB two\n'\n"
			"EC2_PUBLIC_KEY='ssh-rsa BBBB two'\n"
			"START_SCRIPT='echo hi'\n"
			"USER_DATA='aGkK'\n"
			"USER_DATA_ENCODING='base64'\n");
	const struct nic *n = &c->nics[0];

	(void)state;
	assert_string_equal(c->source, "opennebula test");
	assert_string_equal(c->hostname, "web1.example.org");
	assert_int_equal(c->ssh_keys.n, 2);
	assert_string_equal(c->ssh_keys.v[0], "ssh-ed25519 AAAA one");
	assert_string_equal(c->ssh_keys.v[1], "ssh-rsa BBBB two");
	assert_true(c->has_user_data);
	assert_string_equal(buf_str(&c->user_data), "hi\n");
	assert_int_equal(c->n_scripts, 1);
	assert_string_equal(c->scripts[0].name, "start-script");
	assert_string_equal(buf_str(&c->scripts[0].content), "echo hi");
	assert_int_equal(c->n_extra, 0);
	assert_int_equal(c->n_nics, 2);
	assert_string_equal(n->mac, "02:00:c0:a8:00:05");
	assert_int_equal(n->method, NIC_STATIC);
	assert_int_equal(n->method6, NIC_STATIC);
	assert_int_equal(n->addresses.n, 3);
	assert_string_equal(n->addresses.v[0], "192.168.0.5/23");
	assert_string_equal(n->addresses.v[1], "2001:db8::5/48");
	assert_string_equal(n->addresses.v[2], "192.168.0.6/24");
	assert_string_equal(n->public_ipv4, "203.0.113.9");
	assert_string_equal(n->gateway, "192.168.0.254");
	assert_string_equal(n->gateway6, "2001:db8::1");
	assert_int_equal(n->dns.n, 2);
	assert_string_equal(n->dns.v[0], "192.168.0.1");
	assert_string_equal(n->dns.v[1], "9.9.9.9");
	assert_string_equal(n->search.v[0], "example.org");
	assert_int_equal(n->routes.n, 2);
	assert_string_equal(n->routes.v[1], "10.1.0.0/16 via 192.168.0.2");
	assert_int_equal(n->mtu, 1450);
	assert_int_equal(n->metric, 7);
	assert_int_equal(c->nics[1].method, NIC_DHCP);
	assert_int_equal(c->nics[1].method6, NIC_DHCP);
	assert_int_equal(c->nics[1].addresses.n, 0);
}

static void host_names_are_made_legal(void **state)
{
	static const struct {
		const char *given, *becomes;
	} cases[] = {
		{"web1", "web1"},
		{"web_1.example.org", "web-1.example.org"},
		{"-web1-.example..org.", "web1.example.org"},
		{"my machine!", "my-machine"},
		{"...", NULL},
		{"a.-.b", "a.b"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strlist notes = {0};
		AUTO_BUF text = BUF_INIT;
		struct context *c;

		assert_return_code(buf_addf(&text, "SET_HOSTNAME='%s'\n", cases[i].given), 0);
		c = read_notes(buf_str(&text), &notes);
		if (cases[i].becomes)
			assert_string_equal(c->hostname, cases[i].becomes);
		else
			assert_null(c->hostname);
		assert_int_equal(notes.n, !cases[i].becomes ||
						  strcmp(cases[i].given, cases[i].becomes) != 0);
		context_free(c);
		strlist_release(&notes);
	}
}

static void a_host_name_of_any_length_is_cut_to_a_legal_one(void **state)
{
	AUTO_BUF text = BUF_INIT;
	struct strlist notes = {0};
	struct context *c;

	(void)state;
	assert_return_code(buf_adds(&text, "SET_HOSTNAME='"), 0);
	for (int i = 0; i < 40; i++)
		assert_return_code(
			buf_adds(&text,
				 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
				 "aaaaaaaaaaaaaaaa."),
			0);
	assert_return_code(buf_adds(&text, "'\n"), 0);
	c = read_notes(buf_str(&text), &notes);
	assert_in_range(strlen(c->hostname), 1, 253);
	context_free(c);
	strlist_release(&notes);
}

static void what_cannot_be_used_is_told_and_left_out(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{"ETH0_MAC='zz'\nETH0_IP='1.2.3.4'\n", "ETH0_MAC"},
		{"ETH0_MAC='02:00:00:00:00:01'\nETH0_IP='1.2.3'\n", "ETH0_IP"},
		{"ETH0_MAC='02:00:00:00:00:01'\nETH0_IP='1.2.3.4'\nETH0_MASK='255.0.255.0'\n",
		 "ETH0_MASK"},
		{"ETH0_MAC='02:00:00:00:00:01'\nETH0_IP='1.2.3.4'\nETH0_MTU='12'\n", "ETH0_MTU"},
		{"ETH0_MAC='02:00:00:00:00:01'\nETH0_IP='1.2.3.4'\nETH0_METHOD='magic'\n",
		 "ETH0_METHOD"},
		{"ETH0_MAC='02:00:00:00:00:01'\nETH0_IP='1.2.3.4'\nETH0_GATEWAY='::1'\n",
		 "ETH0_GATEWAY"},
		{"ETH0_MAC='02:00:00:00:00:01'\nETH0_IP='1.2.3.4'\nETH0_ROUTES='x via y'\n",
		 "ETH0_ROUTES"},
		{"ETH0_MAC='02:00:00:00:00:01'\nETH1_MAC='02:00:00:00:00:01'\n", "ETH1_MAC"},
		{"ETH0_MAC='02:00:00:00:00:01'\nETH0_IP='1.2.3.4'\nDNS='resolver'\n", "DNS"},
		{"ETH0_MAC='02:00:00:00:00:01'\nETH0_IP6='2001::5'\nETH0_IP6_PREFIX_LENGTH='0'\n",
		 "PREFIX_LENGTH"},
		{"ETH900_MAC='02:00:00:00:00:01'\n", "numbers above"},
		{"SSH_PUBLIC_KEY='ssh-rsa'\n", "SSH_PUBLIC_KEY: line 1"},
		{"USER_DATA='%%%'\nUSER_DATA_ENCODING='base64'\n", "user data"},
		{"EC2_INSTANCE_ID='a b'\n", "EC2_INSTANCE_ID"},
		{"EC2_TAGS='novalue'\n", "EC2_TAGS: line 1"},
		{"EC2_BLOCK_DEVICES='a/b=sda'\n", "EC2_BLOCK_DEVICES: line 1"},
		{"SET_HOSTNAME=\"$(id)\"\n", "1:15: "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strlist notes = {0};
		struct context *c = read_notes(cases[i].text, &notes);

		if (notes.n != 1 || !strstr(notes.v[0], cases[i].part))
			fail_msg("%s: %zu notes: %s", cases[i].text, notes.n,
				 notes.n ? notes.v[0] : "");
		context_free(c);
		strlist_release(&notes);
	}
}

static void methods_say_what_is_left_alone(void **state)
{
	static const struct {
		const char *text;
		enum nic_method v4, v6;
	} cases[] = {
		{"ETH0_IP='1.2.3.4'\n", NIC_STATIC, NIC_SKIP},
		{"", NIC_SKIP, NIC_SKIP},
		{"ETH0_METHOD='static'\nETH0_IP='1.2.3.4'\n", NIC_STATIC, NIC_SKIP},
		{"ETH0_METHOD='skip'\nETH0_IP='1.2.3.4'\n", NIC_SKIP, NIC_SKIP},
		{"ETH0_METHOD='dhcp'\nETH0_IP='1.2.3.4'\n", NIC_DHCP, NIC_DHCP},
		{"ETH0_METHOD='dhcp'\nETH0_IP6_METHOD='auto'\n", NIC_DHCP, NIC_AUTO},
		{"ETH0_METHOD='dhcp'\nETH0_IP6_METHOD='disable'\n", NIC_DHCP, NIC_SKIP},
		{"ETH0_IP='1.2.3.4'\nETH0_IP6_METHOD='auto'\n", NIC_STATIC, NIC_AUTO},
		{"ETH0_IP6='2001::5'\n", NIC_SKIP, NIC_STATIC},
		{"ETH0_IP6_ULA='fd00::5'\n", NIC_SKIP, NIC_STATIC},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_BUF text = BUF_INIT;
		struct context *c;

		assert_return_code(
			buf_addf(&text, "ETH0_MAC='02:00:00:00:00:01'\n%s", cases[i].text), 0);
		c = read_ok(buf_str(&text));
		if (c->nics[0].method != cases[i].v4 || c->nics[0].method6 != cases[i].v6)
			fail_msg("%s: %d %d", cases[i].text, c->nics[0].method, c->nics[0].method6);
		context_free(c);
	}
}

static char *id_of(const char *text)
{
	AUTO(context_free) struct context *c = read_ok(text);

	return strdup(c->instance_id);
}

static void assert_same_id(const char *a, const char *b, bool same)
{
	AUTO_FREE char *x = id_of(a), *y = id_of(b);

	if ((strcmp(x, y) == 0) != same)
		fail_msg("%s for %s, %s for %s", x, a, y, b);
}

static void the_instance_id_changes_with_the_machine_alone(void **state)
{
#define NIC0 "ETH0_MAC='02:00:00:00:00:01'\n"
	AUTO_FREE char *id = id_of("VMID='42'\n");

	(void)state;
	assert_int_equal(strlen(id), 19);
	assert_int_equal(strspn(id + 2, "0123456789abcdef"), 17);
	assert_int_equal(strncmp(id, "i-", 2), 0);
	assert_same_id("VMID='42'\n", "VMID='42'\nSET_HOSTNAME='x'\n" NIC0, true);
	assert_same_id("VMID='42'\n", "VMID='43'\n", false);
	assert_same_id("VMID='42'\n", "VMID='42'\nONEGATE_ENDPOINT='http://1.2.3.4'\n", false);
	assert_same_id(NIC0, NIC0 "USER_DATA='new'\nETH1_MAC='02:00:00:00:00:02'\n", true);
	assert_same_id(NIC0, "ETH0_MAC='02:00:00:00:00:02'\n", false);
	assert_same_id("A='1'\n", "A='2'\n", false);
	assert_same_id("EC2_INSTANCE_ID='i-1'\nVMID='1'\n", "EC2_INSTANCE_ID='i-1'\n", true);
#undef NIC0
}

static void write_ok(const struct context *c, struct buf *out)
{
	struct err e;

	if (opennebula_write(c, out, &e) < 0)
		fail_msg("%s", e.msg);
}

static void what_is_written_is_read_back(void **state)
{
	static const char text[] =
		"# Context variables, as OpenNebula writes them\n"
		"EC2_ACCOUNT_ID='123456789012'\n"
		"EC2_AMI_ID='ami-1'\n"
		"EC2_AMI_LAUNCH_INDEX='3'\n"
		"EC2_BLOCK_DEVICES='ami=sda1\nroot=/dev/sda1'\n"
		"EC2_INSTANCE_ID='i-0a1b2c3d4e5f60718'\n"
		"EC2_LAUNCH_TIME='1700000000'\n"
		"EC2_PUBLIC_HOSTNAME='web1.example.net'\n"
		"EC2_SECURITY_GROUPS='default\nweb'\n"
		"EC2_TAGS='Name=web one\nrole=db=x'\n"
		"ETH0_ALIAS0_IP='192.168.0.6'\n"
		"ETH0_ALIAS0_MASK='255.255.255.255'\n"
		"ETH0_ALIAS1_EXTERNAL='YES'\n"
		"ETH0_ALIAS1_IP='203.0.113.9'\n"
		"ETH0_DNS='192.168.0.1 2001:db8::1'\n"
		"ETH0_GATEWAY='192.168.0.254'\n"
		"ETH0_IP='192.168.0.5'\n"
		"ETH0_IP6='2001:db8::5'\n"
		"ETH0_IP6_PREFIX_LENGTH='64'\n"
		"ETH0_MAC='02:00:c0:a8:00:05'\n"
		"ETH0_MASK='255.255.255.0'\n"
		"ETH0_MTU='9000'\n"
		"ETH0_ROUTES='10.0.0.0/8 via 192.168.0.1, default via 192.168.0.9'\n"
		"ETH1_IP6_METHOD='auto'\n"
		"ETH1_MAC='02:00:c0:a8:01:05'\n"
		"ETH1_METHOD='dhcp'\n"
		"ETH2_MAC='02:00:c0:a8:02:05'\n"
		"HOSTNAME='web1.example.org'\n"
		"REPORT_READY='YES'\n"
		"SET_HOSTNAME='web1.example.org'\n"
		"SSH_PUBLIC_KEY='ssh-ed25519 AAAA it'\\''s\nssh-rsa BBBB'\n"
		"USER_DATA='AAEC/w=='\n"
		"USER_DATA_ENCODING='base64'\n";
	AUTO(context_free) struct context *c = read_ok(text);
	AUTO_BUF out = BUF_INIT;

	(void)state;
	assert_int_equal(c->user_data.len, 4);
	assert_memory_equal(c->user_data.data, "\0\1\2\xff", 4);
	write_ok(c, &out);
	assert_string_equal(buf_str(&out), text);
}

static void what_cannot_be_said_is_refused(void **state)
{
	AUTO(context_free) struct context *c = NULL;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	(void)state;
	assert_return_code(context_new(&c, &e), 0);
	assert_return_code(context_add_tag(c, "k", "a\nb"), 0);
	assert_int_equal(opennebula_write(c, &out, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "'k'"));
	context_free(c);
	c = NULL;
	assert_return_code(context_new(&c, &e), 0);
	assert_non_null(context_add_nic(c));
	assert_int_equal(opennebula_write(c, &out, &e), -EINVAL);
	assert_int_equal(out.len, 0);
}

static void an_init_script_is_taken_once(void **state)
{
	AUTO(context_free) struct context *c = NULL;
	AUTO(tree_free) struct tree *t = NULL;
	AUTO(strlist_release) struct strlist notes = {0};
	struct err e;

	(void)state;
	assert_int_equal(tree_new(&t, &e), 0);
	assert_int_equal(tree_adds(t, 0, "context.sh", "INIT_SCRIPTS='b a b none b'\n", &e), 0);
	assert_int_equal(tree_adds(t, 0, "a", "#!/bin/sh\n", &e), 0);
	assert_int_equal(tree_adds(t, 0, "b", "#!/bin/sh\ntrue\n", &e), 0);
	assert_int_equal(tree_seal(t, &e), 0);
	assert_int_equal(dialect_read(&dialect_opennebula, t, "test", &notes, &c, &e), 0);
	assert_int_equal(c->n_scripts, 2);
	assert_string_equal(c->scripts[0].name, "b");
	assert_string_equal(c->scripts[1].name, "a");
	assert_int_equal(c->n_files, 0);
	assert_int_equal(notes.n, 1);
	assert_string_equal(notes.v[0], "INIT_SCRIPTS: there is no file 'none'");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_context_is_read),
		cmocka_unit_test(host_names_are_made_legal),
		cmocka_unit_test(a_host_name_of_any_length_is_cut_to_a_legal_one),
		cmocka_unit_test(what_cannot_be_used_is_told_and_left_out),
		cmocka_unit_test(methods_say_what_is_left_alone),
		cmocka_unit_test(the_instance_id_changes_with_the_machine_alone),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(what_cannot_be_said_is_refused),
		cmocka_unit_test(an_init_script_is_taken_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
