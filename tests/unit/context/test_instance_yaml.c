/* SPDX-License-Identifier: Apache-2.0 */
/* Instances as an administrator writes them: what is taken, and how faults are told. */
#include "tests/unit/cmocka.h"
#include "tests/unit/context/full.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "context/imds.h"
#include "lib/fs.h"

static void add_line(void *arg, const struct err *e)
{
	buf_addf(arg, "%s\n", e->msg);
}

static void assert_faults(const char *yaml, const char *expected)
{
	AUTO_BUF lines = BUF_INIT;
	struct instance *in = NULL;
	struct err e = {0};
	int rc = instance_parse_yaml("a", "a.yaml", yaml, strlen(yaml), -1, add_line, &lines, &in,
				     &e);

	if (!rc) {
		instance_free(in);
		fail_msg("taken: %s", yaml);
	}
	assert_true(rc < 0);
	assert_int_equal(e.code, -rc);
	assert_string_equal(buf_str(&lines), expected);
	assert_memory_equal(lines.data, e.msg, strlen(e.msg));
}

static struct instance *parse(const char *yaml)
{
	struct instance *in = NULL;
	struct err e = {0};

	if (instance_parse_yaml("a", "a.yaml", yaml, strlen(yaml), -1, NULL, NULL, &in, &e))
		fail_msg("%s", e.msg);
	return in;
}

static void a_bare_instance_has_sane_defaults(void **state)
{
	AUTO(instance_free)
	struct instance *in =
		parse("instance-id: i-1\nnics: [{mac: '02:00:00:00:00:01'}, {mac: "
		      "'02:00:00:00:00:02', addresses: [10.0.0.1/8]}, {mac: '02:00:00:00:00:03', "
		      "method: skip}]\n");

	(void)state;
	assert_string_equal(in->name, "a");
	assert_true(in->imds.enabled);
	assert_int_equal(in->imds.tokens, IMDS_TOKENS_OPTIONAL);
	assert_int_equal(in->imds.hop_limit, 1);
	assert_false(in->identify.given);
	assert_false(in->context->has_user_data);
	assert_int_equal(in->context->nics[0].method, NIC_DHCP);
	assert_int_equal(in->context->nics[1].method, NIC_STATIC);
	assert_int_equal(in->context->nics[2].method, NIC_SKIP);
	assert_int_equal(in->context->nics[2].method6, NIC_SKIP);
	assert_string_equal(in->context->source, "yaml a.yaml");
}

static void everything_can_be_said(void **state)
{
	AUTO(instance_free)
	struct instance *in = parse(
		"instance-id: i-0a1b2c3d4e5f60718\n"
		"hostname: web1.example.org\n"
		"public-hostname: www.example.org\n"
		"ssh-keys: [\"ssh-ed25519 AAAA ops\"]\n"
		"nics:\n"
		"  - mac: 02:00:C0:A8:00:05\n"
		"    addresses: [192.168.0.5/24, '2001:db8::5/64']\n"
		"    gateway: 192.168.0.1\n"
		"    gateway6: fe80::1\n"
		"    dns: [192.168.0.1, 'fd00::1']\n"
		"    search: [example.org]\n"
		"    routes: [10.0.0.0/8 via 192.168.0.254]\n"
		"    mtu: 1400\n"
		"    metric: 7\n"
		"    method: dhcp\n"
		"    method6: auto\n"
		"    public-ipv4: 192.0.2.1\n"
		"user-data: |\n"
		"  #!/bin/sh\n"
		"  touch /run/user-data-ran\n"
		"identify: {interface: br0, address: 192.168.0.5, mac: 02:00:c0:a8:00:05}\n"
		"imds: {tokens: required, hop-limit: 64, enabled: false, instance-tags: false}\n"
		"ami-id: ami-1\n"
		"instance-type: t3.micro\n"
		"availability-zone: a\n"
		"availability-zone-id: b\n"
		"region: c\n"
		"reservation-id: r-1\n"
		"account-id: 0123456789\n" /* a number in YAML, and kept as written */
		"architecture: x86_64\n"
		"kernel-id: aki-1\n"
		"ramdisk-id: ari-1\n"
		"launch-index: 4294967295\n"
		"launch-time: 2024-04-11T06:00:00Z\n"
		"security-groups: [a, b]\n"
		"tags: {Name: web1, n: 5}\n"
		"block-devices: {ami: sda1}\n"
		"extra: {ANY_KEY: any value}\n");
	const struct context *c = in->context;
	const struct nic *n = &c->nics[0];

	(void)state;
	assert_string_equal(n->mac, "02:00:c0:a8:00:05");
	assert_int_equal(n->addresses.n, 2);
	assert_string_equal(n->gateway, "192.168.0.1");
	assert_string_equal(n->gateway6, "fe80::1");
	assert_int_equal(n->mtu, 1400);
	assert_int_equal(n->metric, 7);
	assert_int_equal(n->method, NIC_DHCP);
	assert_int_equal(n->method6, NIC_AUTO);
	assert_string_equal(n->public_ipv4, "192.0.2.1");
	assert_string_equal(c->user_data.data, "#!/bin/sh\ntouch /run/user-data-ran\n");
	assert_string_equal(in->identify.interface, "br0");
	assert_string_equal(in->identify.mac, "02:00:c0:a8:00:05");
	assert_int_equal(in->imds.tokens, IMDS_TOKENS_REQUIRED);
	assert_int_equal(in->imds.hop_limit, 64);
	assert_false(in->imds.enabled);
	assert_string_equal(c->account_id, "0123456789");
	assert_int_equal(c->launch_index, UINT32_MAX);
	assert_int_equal(c->launch_time, 1712815200);
	assert_string_equal(c->tags[1].value, "5");
	assert_string_equal(context_extra(c, "ANY_KEY"), "any value");
	assert_null(context_extra(c, "any_key"));
}

/* Each row is given in one of the n structs at least. */
static void all_rows_are_given(const struct context_field *table, const char *v, size_t n,
			       size_t size, const char *where)
{
	for (const struct context_field *f = table; f->name; f++) {
		bool given = false;

		for (size_t i = 0; i < n; i++)
			given |= context_field_given(f, v + i * size);
		if (!given)
			fail_msg("%s is not in full.h (%s)", f->name, where);
		if (f->kind == CTX_STRUCT)
			all_rows_are_given(f->fields, v + f->offset, 1, f->size, f->name);
		if (f->kind == CTX_STRUCTS)
			all_rows_are_given(f->fields, *(char *const *)(v + f->offset),
					   *(const size_t *)(v + f->offset_n), f->size, f->name);
	}
}

static int no_difference(void *arg, const char *path, enum field_difference how)
{
	(void)arg;
	fail_msg("%s: %d", path, how);
	return 0;
}

static void all_that_the_model_holds_can_be_said_and_comes_back(void **state)
{
	AUTO(instance_free) struct instance *in = full_instance();
	AUTO(instance_free) struct instance *back = NULL;
	AUTO_BUF json = BUF_INIT;

	(void)state;
	all_rows_are_given(context_fields, (const char *)in->context, 1, 0, "context");
	assert_int_equal(in->context->files[0].mode, 0644);
	assert_int_equal(in->context->swap_size, GIB);
	assert_int_equal(instance_write_json(in, true, &json, NULL), 0);
	back = parse(json.data);
	assert_int_equal(context_compare(in->context, back->context, no_difference, NULL), 0);
}

static void what_is_written_is_read_back_the_same(void **state)
{
	static const char *const yamls[] = {
		"instance-id: i-1\n",
		"instance-id: i-1\nuser-data: ''\n",
		"instance-id: i-1\nuser-data: \"\\ttab \\\\ \\\" \\x01 \\0 \\xe9\\u2028\\n\\n\"\n",
		"instance-id: i-1\nuser-data: "
		"\"\\u0080\\u0085\\u2028\\u2029\\ufeff\\ufffe\\U0001F600\\x7f\"\n",
		"instance-id: i-1\nuser-data-base64: /////w==\n",
		"instance-id: i-1\nhostname: a.b\nssh-keys: [ssh-rsa AAAA x y]\nnics: [{mac: "
		"'02:00:00:00:00:01', addresses: [10.0.0.1/8], gateway: 10.0.0.2, gateway6: "
		"fe80::1, dns: [10.0.0.3], search: [a.b], routes: [default via 10.0.0.9], mtu: 68, "
		"metric: 1, method: skip, method6: auto, public-ipv4: 192.0.2.1}]\n"
		"identify: {address: 10.0.0.1, trust: address}\nimds: {enabled: false, tokens: "
		"required, hop-limit: 3, instance-tags: false}\ntags: {a: \"x\\ny\"}\n"
		"block-devices: {root: sda}\nextra: {b: c}\nlaunch-index: 9\nlaunch-time: "
		"2024-04-11T06:00:00Z\nsecurity-groups: [a, b]\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yamls); i++) {
		AUTO(instance_free) struct instance *in = parse(yamls[i]);
		AUTO(instance_free) struct instance *back = NULL;
		AUTO_BUF first = BUF_INIT;
		AUTO_BUF second = BUF_INIT;
		struct err e = {0};

		assert_int_equal(instance_write_json(in, i % 2, &first, &e), 0);
		back = parse(first.data);
		assert_int_equal(instance_write_json(back, i % 2, &second, &e), 0);
		assert_string_equal(first.data, second.data);
		assert_int_equal(in->context->user_data.len, back->context->user_data.len);
		if (in->context->user_data.len)
			assert_memory_equal(in->context->user_data.data,
					    back->context->user_data.data,
					    in->context->user_data.len);
	}
}

static void every_fault_is_told_with_its_place(void **state)
{
	(void)state;
	assert_faults("hostname: a_b\nnics:\n  - {mac: x, gateway: 1.2.3.4/5}\n  - {mtu: 1}\n"
		      "hostnam: b\nssh-keys: [ssh-rsa AAAA, x]\n",
		      "a.yaml:1:1: 'hostname': is not a host name: letters, digits, '-' and '.' "
		      "alone\n"
		      "a.yaml:3:6: 'nics[0].mac': is not a MAC address\n"
		      "a.yaml:3:14: 'nics[0].gateway': must not have a prefix length\n"
		      "a.yaml:4:6: 'nics[1].mtu': must be from 68 to 65535\n"
		      "a.yaml:4:5: 'nics[1]': the key 'mac' is missing\n"
		      "a.yaml:5:1: 'hostnam': unknown key (did you mean 'hostname'?)\n"
		      "a.yaml:6:26: 'ssh-keys[1]': is not an SSH public key: no key type in it\n"
		      "a.yaml:1:1: the key 'instance-id' is missing\n");
}

static void each_rule_is_told(void **state)
{
	static const struct {
		const char *yaml, *fault;
	} cases[] = {
		{"instance-id: a b", "'instance-id': is not an instance id"},
		{"instance-id: [i]", "'instance-id': must be a string, not a list"},
		{"instance-id: ~", "'instance-id': "},
		{"nics: {}", "'nics': "},
		{"nics: [{mac: '02:00:00:00:00:01'}, {mac: '02:00:00:00:00:01'}]",
		 "'nics[1].mac': is the MAC address of nics[0] too"},
		{"nics: [{mac: '02:00:00:00:00:01', addresses: [10.0.0.1]}]",
		 "'nics[0].addresses[0]': needs a prefix length"},
		{"nics: [{mac: '02:00:00:00:00:01', method: auto}]",
		 "'nics[0].method': is not one of: static, dhcp, skip"},
		{"nics: [{mac: '02:00:00:00:00:01', gateway: 'fe80::1'}]",
		 "'nics[0].gateway': is not an IPv4 address"},
		{"nics: [{mac: '02:00:00:00:00:01', gateway6: 10.0.0.1}]",
		 "'nics[0].gateway6': is not an IPv6 address"},
		{"nics: [{mac: '02:00:00:00:00:01', routes: [10.0.0.0/8]}]",
		 "'nics[0].routes[0]': is not a route"},
		{"user-data: a\nuser-data-base64: YQ==",
		 "'user-data-base64': user-data is given by 'user-data' already"},
		{"user-data-base64: '*'", "'user-data-base64': no base64"},
		{"user-data: [a]", "'user-data': "},
		{"user-data-file: a", "'user-data-file': there is no folder"},
		{"tags: {\"a\\nb\": c}", "the key holds a control character"},
		{"identify: {}", "'identify': needs an interface"},
		{"identify: {address: 10.0.0.1}", "can be forged by other guests"},
		{"identify: {mac: '02:00:00:00:00:01', trust: address}",
		 "'identify': needs an interface"},
		{"identify: {interface: 'a/b'}", "'identify.interface': is not the name"},
		{"identify: {interface: abcdefghijklmnop}",
		 "'identify.interface': is not the name"},
		{"identify: {interface: a, trust: me}", "'identify.trust': is not 'address'"},
		{"imds: {tokens: maybe}", "'imds.tokens': "},
		{"imds: {hop-limit: 65}", "'imds.hop-limit': "},
		{"imds: {hop-limit: 0}", "'imds.hop-limit': "},
		{"imds: {enabled: yes}", "'imds.enabled': "},
		{"files: [{mode: 0855}]", "'files[0].mode': is not the mode of a file"},
		{"files: [{path: /a/../b}]", "'files[0].path': has '.' or '..' in it"},
		{"users: [{gecos: x}]", "'users[0]': the key 'name' is missing"},
		{"swap-size: 0", "'swap-size': must be at least 1"},
		{"nics: [{name: eth0.1, vlan-id: 1, vlan-parent: eth0}]",
		 "vlan-parent: is no other"},
		{"vendor-data: a\nvendor-data-file: b", "vendor-data is given by 'vendor-data'"},
		{"launch-time: yesterday", "'launch-time': is not a time"},
		{"[]", "must be a map, not a list"},
		{"a: &b c\nd: *b", "1:4"},
		{"", "1:1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char yaml[512];
		struct instance *in = NULL;
		struct err e = {0};
		bool whole = cases[i].yaml[0] != '[' && cases[i].yaml[0] != '\0' &&
			     strncmp(cases[i].yaml, "instance-id", 11) != 0;
		int rc;

		snprintf(yaml, sizeof(yaml), "%s\n%s", cases[i].yaml,
			 whole ? "instance-id: i-1\n" : "");
		rc = instance_parse_yaml("a", "a.yaml", yaml, strlen(yaml), -1, NULL, NULL, &in,
					 &e);
		if (!rc || !strstr(e.msg, cases[i].fault) || strncmp(e.msg, "a.yaml:", 7) != 0)
			fail_msg("%s: %d '%s'", cases[i].yaml, rc, e.msg);
	}
}

static char dir[] = "/tmp/test_instance.XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chdir(dir) || mkdir("in", 0700) || mkdir("in/sub", 0700))
		return -1;
	if (fs_write_file("secret", "s", 1, 0600, NULL) ||
	    fs_write_file("in/sub/data", "x\0y", 3, 0600, NULL) ||
	    symlink("../secret", "in/link") || symlink("..", "in/up") || mkfifo("in/fifo", 0600))
		return -1;
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return chdir("/") || fs_remove_tree(dir, NULL) ? -1 : 0;
}

static int read_with_file(const char *path, struct instance **in, struct err *e)
{
	char yaml[256];

	snprintf(yaml, sizeof(yaml), "instance-id: i-1\nuser-data-file: '%s'\n", path);
	assert_int_equal(fs_write_file("in/a.yaml", yaml, strlen(yaml), 0600, NULL), 0);
	return instance_read_yaml("in/a.yaml", NULL, NULL, in, e);
}

static void user_data_can_be_a_file_below_the_folder(void **state)
{
	struct instance *in = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(read_with_file("sub/data", &in, &e), 0);
	assert_string_equal(in->name, "a");
	assert_true(in->modified > 0);
	assert_int_equal(in->context->user_data.len, 3);
	assert_memory_equal(in->context->user_data.data, "x\0y", 3);
	instance_free(in);
}

static void user_data_cannot_be_a_file_elsewhere(void **state)
{
	static const char *const bad[] = {"../secret",
					  "/etc/hostname",
					  "sub/../../secret",
					  "link",
					  "up/secret",
					  "sub//data",
					  "./sub/data",
					  "",
					  "sub",
					  "fifo",
					  "none",
					  "sub/data/"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct instance *in = NULL;
		struct err e = {0};

		if (!read_with_file(bad[i], &in, &e))
			fail_msg("'%s' is taken", bad[i]);
		assert_memory_equal(e.msg, "in/a.yaml:2:", 12);
	}
}

static void a_file_must_be_one_that_can_be_an_instance(void **state)
{
	static const char *const bad[] = {"in/.yaml", "in/.a.yaml", "in/a.yml", "in/none.yaml",
					  "in"};
	struct instance *in = NULL;
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(instance_read_yaml(bad[i], NULL, NULL, &in, &e) < 0);
	assert_int_equal(mkfifo("in/f.yaml", 0600), 0);
	assert_int_equal(instance_read_yaml("in/f.yaml", NULL, NULL, &in, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bare_instance_has_sane_defaults),
		cmocka_unit_test(everything_can_be_said),
		cmocka_unit_test(what_is_written_is_read_back_the_same),
		cmocka_unit_test(all_that_the_model_holds_can_be_said_and_comes_back),
		cmocka_unit_test(every_fault_is_told_with_its_place),
		cmocka_unit_test(each_rule_is_told),
		cmocka_unit_test(user_data_can_be_a_file_below_the_folder),
		cmocka_unit_test(user_data_cannot_be_a_file_elsewhere),
		cmocka_unit_test(a_file_must_be_one_that_can_be_an_instance),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
