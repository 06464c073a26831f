/* SPDX-License-Identifier: Apache-2.0 */
/* Networks as other software writes them, and documents that nobody should. */
#include "context/dialects.h"
#include "lib/str.h"
#include "tests/unit/cmocka.h"

/* Reads documents "NAME\0TEXT\0NAME\0TEXT\0\0"; notes may be NULL: then there must be none. */
static struct context *read_docs(const struct context_dialect *d, const char *docs,
				 struct strlist *notes)
{
	AUTO(tree_free) struct tree *t = NULL;
	AUTO(strlist_release) struct strlist own = {0};
	struct context *c = NULL;
	struct err e = {0};

	assert_int_equal(tree_new(&t, &e), 0);
	for (const char *p = docs; *p;) {
		const char *text = p + strlen(p) + 1;

		assert_int_equal(tree_adds(t, 0, p, text, &e), 0);
		p = text + strlen(text) + 1;
	}
	assert_int_equal(tree_seal(t, &e), 0);
	if (dialect_read(d, t, "test", notes ? notes : &own, &c, &e))
		fail_msg("%s", e.msg);
	if (own.n)
		fail_msg("%s", own.v[0]);
	return c;
}

static void version_1_is_read(void **state)
{
	AUTO(context_free)
	struct context *c = read_docs(
		&dialect_nocloud,
		"meta-data\0instance-id: i-1\n\0network-config\0"
		"version: 1\n"
		"config:\n"
		"- {type: physical, name: eth0, mac_address: '02:00:00:00:00:AA', mtu: 1400, "
		"subnets: [\n"
		"   {type: dhcp4, metric: 50}, {type: static6, address: '2001:db8::1', netmask: "
		"'ffff:ffff::',\n"
		"    gateway: 'fe80::1', dns_nameservers: ['::1'],\n"
		"    routes: [{network: '2001:db8:1::', netmask: 48, gateway: 'fe80::2', metric: "
		"3}]}]}\n"
		"- {type: vlan, name: eth0.5, vlan_link: eth0, vlan_id: 5, subnets: [\n"
		"   {type: static, address: 10.0.0.1, netmask: 255.255.0.0, gateway: 10.0.0.9}]}\n"
		"- {type: loopback, name: lo}\n"
		"- {type: nameserver, address: 9.9.9.9, search: [example.org], interface: eth0}\n"
		"- {type: route, destination: 10.1.0.0, netmask: 255.255.0.0, gateway: "
		"10.0.0.3}\n\0",
		NULL);
	const struct nic *n = &c->nics[0], *v = &c->nics[1];

	(void)state;
	assert_int_equal(c->n_nics, 2);
	assert_string_equal(n->mac, "02:00:00:00:00:aa");
	assert_int_equal(n->method, NIC_DHCP);
	assert_int_equal(n->metric, 50);
	assert_int_equal(n->mtu, 1400);
	assert_string_equal(n->addresses.v[0], "2001:db8::1/32");
	assert_string_equal(n->gateway6, "fe80::1");
	assert_string_equal(n->routes.v[0], "2001:db8:1::/48 via fe80::2 metric 3");
	assert_string_equal(n->routes.v[1], "10.1.0.0/16 via 10.0.0.3");
	assert_int_equal(n->dns.n, 2);
	assert_string_equal(n->search.v[0], "example.org");
	assert_string_equal(v->name, "eth0.5");
	assert_int_equal(v->vlan_id, 5);
	assert_string_equal(v->vlan_parent, "eth0");
	assert_string_equal(v->addresses.v[0], "10.0.0.1/16");
	assert_string_equal(v->gateway, "10.0.0.9");
	assert_int_equal(v->dns.n, 0);
}

static void version_2_is_read_as_netplan_has_it(void **state)
{
	AUTO(context_free)
	struct context *c = read_docs(
		&dialect_nocloud,
		"meta-data\0instance-id: i-1\n\0network-config\0"
		"network:\n"
		"  version: 2\n"
		"  renderer: networkd\n"
		"  ethernets:\n"
		"    id0:\n"
		"      match: {macaddress: '02:00:00:00:00:01'}\n"
		"      set-name: lan\n"
		"      addresses: [192.168.0.5/24, '192.168.0.6/24': {label: x}, "
		"'2001:db8::5/64']\n"
		"      routes: [{to: default, via: 192.168.0.1}, {to: '::/0', via: 'fe80::1', "
		"metric: 9}]\n"
		"      nameservers: {addresses: [1.1.1.1], search: [a.b]}\n"
		"    ens4: {dhcp4: true, dhcp4-overrides: {route-metric: 200}, accept-ra: true}\n"
		"  vlans: {lan.7: {id: 7, link: id0, dhcp6: true}}\n\0",
		NULL);
	const struct nic *n = c->nics;

	(void)state;
	assert_int_equal(c->n_nics, 3);
	assert_string_equal(n[0].name, "lan");
	assert_int_equal(n[0].addresses.n, 3);
	assert_string_equal(n[0].gateway, "192.168.0.1");
	assert_string_equal(n[0].gateway6, "fe80::1");
	assert_int_equal(n[0].metric6, 9);
	assert_int_equal(n[0].routes.n, 0);
	assert_string_equal(n[1].name, "ens4");
	assert_int_equal(n[1].method, NIC_DHCP);
	assert_int_equal(n[1].method6, NIC_AUTO);
	assert_int_equal(n[1].metric, 200);
	assert_string_equal(n[2].vlan_parent, "02:00:00:00:00:01");
	assert_int_equal(n[2].method6, NIC_DHCP);
}

static void nova_is_read(void **state)
{
	AUTO(context_free)
	struct context *c = read_docs(
		&dialect_openstack,
		"openstack/latest/meta_data.json\0"
		"{\"uuid\": \"d8e02d56-2648-49a3-bf97-6be8f1204f38\", \"name\": \"test\", "
		"\"meta\": {\"a\": \"b\"},"
		" \"hostname\": \"test.novalocal\", \"launch_index\": 0, \"devices\": [], "
		"\"dedicated_cpus\": [],"
		" \"public_keys\": {\"k\": \"ssh-rsa AAAA Generated-by-Nova\\n\"}, "
		"\"availability_zone\": \"nova\","
		" \"keys\": [{\"name\": \"k\", \"type\": \"ssh\", \"data\": \"ssh-rsa AAAA "
		"Generated-by-Nova\\n\"},"
		"            {\"name\": \"x\", \"type\": \"x509\", \"data\": \"-----BEGIN\"}]}\0"
		"openstack/latest/network_data.json\0"
		"{\"links\": [{\"ethernet_mac_address\": \"fa:16:3e:9c:bf:3d\", \"id\": "
		"\"tapcd9f6d46-4a\","
		"  \"mtu\": null, \"type\": \"bridge\", \"vif_id\": \"cd9f6d46\"}],"
		" \"networks\": [{\"id\": \"network0\", \"link\": \"tapcd9f6d46-4a\", "
		"\"network_id\": \"99e88329\","
		"  \"type\": \"ipv4\", \"ip_address\": \"10.184.0.244\", \"netmask\": "
		"\"255.255.240.0\","
		"  \"routes\": [{\"netmask\": \"0.0.0.0\", \"network\": \"0.0.0.0\", \"gateway\": "
		"\"10.184.0.1\"}]},"
		"  {\"id\": \"network1\", \"link\": \"tapcd9f6d46-4a\", \"type\": \"ipv6\", "
		"\"ip_address\": \"2001::f\","
		"  \"netmask\": \"ffff:ffff:ffff:ffff::\", \"routes\": [{\"gateway\": \"2001::1\", "
		"\"network\": \"::\","
		"  \"netmask\": \"::\"}]}], \"services\": [{\"type\": \"dns\", \"address\": "
		"\"8.8.8.8\"}]}\0",
		NULL);
	const struct nic *n = c->nics;

	(void)state;
	assert_string_equal(c->instance_id, "d8e02d56-2648-49a3-bf97-6be8f1204f38");
	assert_string_equal(c->hostname, "test.novalocal");
	assert_int_equal(c->ssh_keys.n, 1);
	assert_string_equal(c->tags[0].value, "b");
	assert_int_equal(c->n_nics, 1);
	assert_string_equal(n->addresses.v[0], "10.184.0.244/20");
	assert_string_equal(n->addresses.v[1], "2001::f/64");
	assert_string_equal(n->gateway, "10.184.0.1");
	assert_string_equal(n->gateway6, "2001::1");
	assert_string_equal(n->dns.v[0], "8.8.8.8");
	assert_int_equal(n->mtu, 0);
}

static void what_cannot_be_used_is_told_and_the_rest_is_taken(void **state)
{
	static const char *const told[] = {
		"two interfaces named 'a'",          "'zz' is not a MAC address",
		"gateway '1.2.3' is not an IP",      "route to '10.0.0.0/8' has no gateway",
		"VLAN 'v' is on no known interface", "bonds: 'bond0' is left out",
	};
	AUTO(strlist_release) struct strlist notes = {0};
	AUTO(context_free)
	struct context *c = read_docs(&dialect_nocloud,
				      "meta-data\0instance-id: i-1\n\0network-config\0"
				      "version: 2\n"
				      "ethernets:\n"
				      "  a: {match: {macaddress: zz}, set-name: b, gateway4: "
				      "1.2.3, routes: [{to: 10.0.0.0/8}]}\n"
				      "  c: {set-name: a, mtu: 1400}\n"
				      "  d: {set-name: a}\n"
				      "vlans: {v: {id: 5, link: nowhere}}\n"
				      "bonds: {bond0: {interfaces: [a]}}\n\0",
				      &notes);

	(void)state;
	assert_int_equal(c->n_nics, 3);
	assert_int_equal(c->nics[1].mtu, 1400);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		bool found = false;

		for (size_t k = 0; k < notes.n; k++)
			found |= strstr(notes.v[k], told[i]) != NULL;
		if (!found)
			fail_msg("nobody tells '%s'", told[i]);
	}
	assert_int_equal(notes.n, ARRAY_SIZE(told));
}

/* A definition takes so many of each, so that any can be written as one. */
static void lists_have_an_end(void **state)
{
	AUTO(context_free) struct context *c = NULL;
	AUTO(strlist_release) struct strlist notes = {0};
	AUTO_BUF docs = BUF_INIT;

	(void)state;
	assert_return_code(buf_add(&docs, "meta-data\0instance-id: i-1\n\0network-config\0", 43),
			   0);
	assert_return_code(buf_adds(&docs, "version: 2\nethernets: {eth0: {addresses: ["), 0);
	for (unsigned i = 0; i < 5000; i++)
		assert_return_code(
			buf_addf(&docs, "%s10.0.%u.%u/8", i ? ", " : "", i / 250, i % 250 + 1), 0);
	assert_return_code(buf_adds(&docs, "], routes: ["), 0);
	for (unsigned i = 0; i < 5000; i++)
		assert_return_code(buf_addf(&docs, "%s{to: 10.%u.%u.0/24, via: 10.0.0.1}",
					    i ? ", " : "", i / 250, i % 250),
				   0);
	assert_return_code(buf_add(&docs, "]}}\n\0", 6), 0);
	c = read_docs(&dialect_nocloud, docs.data, &notes);
	assert_int_equal(c->nics[0].addresses.n, 4096);
	assert_int_equal(c->nics[0].routes.n, 4096);
	assert_int_equal(notes.n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_is_read),
		cmocka_unit_test(version_2_is_read_as_netplan_has_it),
		cmocka_unit_test(nova_is_read),
		cmocka_unit_test(what_cannot_be_used_is_told_and_the_rest_is_taken),
		cmocka_unit_test(lists_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
