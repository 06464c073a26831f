/* SPDX-License-Identifier: Apache-2.0 */
/* The model's shape: what is compared, checked and released by its rows. */
#include "context/fields.h"
#include "tests/unit/cmocka.h"

struct found {
	struct buf lines;
};

static int collect(void *arg, const char *path, enum field_difference how)
{
	static const char signs[] = {
		[DIFF_MISSING] = '-', [DIFF_ADDED] = '+', [DIFF_CHANGED] = '~'};
	struct found *f = arg;

	return buf_addf(&f->lines, "%c%s\n", signs[how], path);
}

static struct context *make(void)
{
	struct context *c;
	struct nic *n;

	assert_int_equal(context_new(&c, NULL), 0);
	c->instance_id = strdup("i-1");
	n = context_add_nic(c);
	strcpy(n->mac, "02:00:00:00:00:01");
	n->name = strdup("eth0");
	strlist_add(&n->addresses, "192.168.0.5/24");
	context_add_tag(c, "Name", "web");
	context_add_user(c)->name = strdup("joe");
	buf_adds(&context_add_file(c)->content, "text");
	c->has_user_data = true;
	return c;
}

static void what_differs_is_named_by_its_place(void **state)
{
	AUTO(context_free) struct context *a = make(), *b = make();
	struct found f = {0};

	(void)state;
	assert_int_equal(context_compare(a, b, collect, &f), 0);
	assert_int_equal(f.lines.len, 0);
	b->has_user_data = false;
	a->nics[0].mtu = 1400;
	b->nics[0].method = NIC_SKIP;
	free(b->tags[0].value);
	b->tags[0].value = strdup("db");
	context_add_tag(b, "x", "y");
	context_add_user(a)->name = strdup("eve");
	buf_addc(&b->files[0].content, '\n');
	b->cluster.name = strdup("c");
	assert_int_equal(context_compare(a, b, collect, &f), 0);
	assert_string_equal(buf_str(&f.lines), "-users[1]\n~nics[0].method\n-nics[0].mtu\n"
					       "-user-data\n~files[0].content\n+cluster.name\n"
					       "~tags.Name\n+tags.x\n");
	buf_release(&f.lines);
}

static void rules_name_the_place(void **state)
{
	AUTO(context_free) struct context *c = make();
	struct err e = {0};
	struct nic *n;

	(void)state;
	assert_int_equal(context_validate(c, &e), 0);
	context_add_user(c);
	assert_int_equal(context_validate(c, &e), -EBADMSG);
	assert_string_equal(e.msg, "users[1]: name: is missing");
	c->users[1].name = strdup("root:x");
	assert_int_equal(context_validate(c, &e), -EBADMSG);
	assert_string_equal(e.msg, "users[1]: name: is not a user's name: 1 to 32 letters, digits "
				   "and _ . -, a letter or _ first");
	context_set(&c->users[1].name, "eve");
	n = context_add_nic(c);
	n->vlan_id = 4095;
	assert_int_equal(context_validate(c, &e), -EBADMSG);
	assert_string_equal(e.msg, "nics[1]: vlan-id: is not in 1 to 4094");
	n->vlan_id = 5;
	n->vlan_parent = strdup("eth1");
	assert_int_equal(context_validate(c, &e), -EBADMSG);
	assert_string_equal(e.msg, "nics[1]: vlan-parent: is no other NIC's MAC address or name");
	context_set(&n->vlan_parent, "eth0");
	assert_int_equal(context_validate(c, &e), 0);
	c->time_zone = strdup("../../etc/shadow");
	assert_int_equal(context_validate(c, &e), -EBADMSG);
	assert_string_equal(e.msg, "time-zone: is not a time zone, as in Europe/Zurich");
}

static void routes_may_have_a_metric(void **state)
{
	struct ip_prefix to, via;
	uint32_t metric = 7;

	(void)state;
	assert_int_equal(context_parse_route_metric("10.0.0.0/8 via 192.168.0.1 metric 100", &to,
						    &via, &metric, NULL),
			 0);
	assert_int_equal(metric, 100);
	assert_int_equal(
		context_parse_route_metric("default via fe80::1", &to, &via, &metric, NULL), 0);
	assert_int_equal(metric, 0);
	assert_int_equal(context_parse_route("default via ::1 metric 0", &to, &via, NULL),
			 -EBADMSG);
	assert_int_equal(context_parse_route("default via ::1 metric", &to, &via, NULL), -EBADMSG);
	assert_int_equal(context_parse_route("default via ::1 mtu 5", &to, &via, NULL), -EBADMSG);
}

static void every_row_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (const struct context_field *f = context_fields; f->name; f++)
		assert_ptr_equal(context_field(context_fields, f->name), f);
	for (const struct context_field *f = nic_fields; f->name; f++)
		assert_ptr_equal(context_field(nic_fields, f->name), f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_differs_is_named_by_its_place),
		cmocka_unit_test(rules_name_the_place),
		cmocka_unit_test(routes_may_have_a_metric),
		cmocka_unit_test(every_row_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
