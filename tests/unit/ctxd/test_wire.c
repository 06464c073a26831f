/* SPDX-License-Identifier: Apache-2.0 */
/* The message from the reader of hostile media to root: whole, or refused. */
#include "tests/unit/cmocka.h"

#include "context/fields.h"
#include "context/opennebula.h"
#include "ctxd/wire.h"

static const char text[] = "EC2_ACCOUNT_ID='1'\n"
			   "EC2_AMI_ID='2'\n"
			   "EC2_ARCHITECTURE='3'\n"
			   "EC2_AVAILABILITY_ZONE='4'\n"
			   "EC2_AVAILABILITY_ZONE_ID='5'\n"
			   "EC2_INSTANCE_TYPE='6'\n"
			   "EC2_KERNEL_ID='7'\n"
			   "EC2_PUBLIC_HOSTNAME='h.example'\n"
			   "EC2_RAMDISK_ID='8'\n"
			   "EC2_REGION='9'\n"
			   "EC2_RESERVATION_ID='10'\n"
			   "EC2_BLOCK_DEVICES='ami=sda1'\n"
			   "EC2_LAUNCH_TIME='1700000000'\n"
			   "EC2_AMI_LAUNCH_INDEX='2'\n"
			   "EC2_SECURITY_GROUPS='a\nb'\n"
			   "EC2_TAGS='Name=x'\n"
			   "ETH0_DNS='192.168.0.1'\n"
			   "ETH0_GATEWAY='192.168.0.254'\n"
			   "ETH0_IP='192.168.0.5'\n"
			   "ETH0_IP6='2001:db8::5'\n"
			   "ETH0_IP6_GATEWAY='2001:db8::1'\n"
			   "ETH0_MAC='02:00:c0:a8:00:05'\n"
			   "ETH0_METRIC='5'\n"
			   "ETH0_MTU='1450'\n"
			   "ETH0_ROUTES='10.0.0.0/8 via 192.168.0.1'\n"
			   "ETH0_SEARCH_DOMAIN='example.org'\n"
			   "ETH0_ALIAS0_EXTERNAL='YES'\n"
			   "ETH0_ALIAS0_IP='203.0.113.9'\n"
			   "ETH1_MAC='02:00:c0:a8:00:06'\n"
			   "ETH1_METHOD='dhcp'\n"
			   "SET_HOSTNAME='web1'\n"
			   "SSH_PUBLIC_KEY='ssh-rsa AAAA'\n"
			   "USER_DATA='AAECAw=='\n"
			   "USER_DATA_ENCODING='base64'\n"
			   "X='$'\n";

/* What context.sh has no variables for. */
static void add_more(struct context *c)
{
	struct context_file *file;
	struct context_mount *mount;
	struct context_script *script;
	struct user *user = context_add_user(c);

	assert_non_null(user);
	assert_return_code(context_set(&user->name, "ops"), 0);
	assert_return_code(strlist_add(&user->groups, "adm"), 0);
	assert_return_code(strlist_add(&user->groups, "wheel"), 0);
	user->uid = 1234;
	user->lock_password = CHOICE_NO;
	user = context_add_user(c);
	assert_non_null(user);
	assert_return_code(context_set(&user->name, "second"), 0);
	assert_return_code(context_set(&user->password, "se cret"), 0);
	file = context_add_file(c);
	assert_non_null(file);
	assert_return_code(context_set(&file->path, "/etc/x"), 0);
	assert_return_code(buf_add(&file->content, "a\0b", 3), 0);
	file->mode = 0600;
	mount = context_add_mount(c);
	assert_non_null(mount);
	assert_return_code(context_set(&mount->source, "LABEL=data"), 0);
	script = context_add_script(c);
	assert_non_null(script);
	assert_return_code(context_set(&script->name, "init.sh"), 0);
	assert_return_code(buf_adds(&script->content, "#!/bin/sh\n"), 0);
	c->ready.report = CHOICE_YES;
	c->ready.retries = 3;
	c->grow_root = CHOICE_NO;
	c->swap_size = UINT64_C(5) << 32;
	c->nics[0].vlan_id = 7;
	assert_return_code(context_set(&c->nics[0].vlan_parent, c->nics[1].mac), 0);
	assert_return_code(context_set(&c->iam_role.name, "role"), 0);
	assert_return_code(context_set(&c->default_user.name, "admin"), 0);
}

static struct context *sample(void)
{
	struct context *c = NULL;
	struct err e;

	if (opennebula_read(text, sizeof(text) - 1, "opennebula test", NULL, &c, &e) < 0)
		fail_msg("%s", e.msg);
	add_more(c);
	if (context_validate(c, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

static int differs(void *arg, const char *path, enum field_difference how)
{
	(void)arg;
	fail_msg("%s differs (%d)", path, how);
	return 1;
}

static void assert_same(const struct context *a, const struct context *b)
{
	assert_int_equal(context_compare(a, b, differs, NULL), 0);
	assert_string_equal(a->source, b->source);
}

static void a_context_comes_through_whole(void **state)
{
	AUTO(context_free) struct context *c = sample(), *back = NULL;
	struct strlist notes = {0}, got = {0};
	AUTO_BUF wire = BUF_INIT;
	struct err e;

	(void)state;
	assert_return_code(strlist_add(&notes, "1:2: x"), 0);
	assert_return_code(wire_encode(c, &notes, &wire, &e), 0);
	if (wire_decode(wire.data, wire.len, &back, &got, &e) < 0)
		fail_msg("%s", e.msg);
	assert_same(c, back);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.v[0], "1:2: x");
	strlist_release(&notes);
	strlist_release(&got);
}

static void an_empty_context_comes_through(void **state)
{
	AUTO(context_free) struct context *c = NULL, *back = NULL;
	AUTO_BUF wire = BUF_INIT;
	struct err e;

	(void)state;
	assert_return_code(context_new(&c, &e), 0);
	c->has_user_data = true;
	assert_return_code(wire_encode(c, NULL, &wire, &e), 0);
	assert_return_code(wire_decode(wire.data, wire.len, &back, NULL, &e), 0);
	assert_null(back->hostname);
	assert_true(back->has_user_data);
	assert_int_equal(back->user_data.len, 0);
}

static void a_message_cut_inside_a_record_is_refused(void **state)
{
	AUTO(context_free) struct context *c = sample();
	AUTO_BUF wire = BUF_INIT;
	struct err e;
	size_t whole = 0;

	(void)state;
	assert_return_code(wire_encode(c, NULL, &wire, &e), 0);
	for (size_t len = 0; len < wire.len; len++) {
		AUTO(context_free) struct context *back = NULL;
		AUTO_FREE char *exact = malloc(len ? len : 1);

		assert_non_null(exact);
		memcpy(exact, wire.data, len);
		if (wire_decode(exact, len, &back, NULL, &e) == 0)
			whole++; /* cut between two records */
		else
			assert_int_equal(e.code, EBADMSG);
	}
	assert_in_range(whole, 1, 120);
}

static void a_message_with_any_byte_changed_is_refused_or_valid(void **state)
{
	AUTO(context_free) struct context *c = sample();
	AUTO_BUF wire = BUF_INIT;
	struct err e;

	(void)state;
	assert_return_code(wire_encode(c, NULL, &wire, &e), 0);
	for (size_t at = 0; at < wire.len; at++) {
		for (unsigned k = 0; k < 8; k++) {
			AUTO(context_free) struct context *back = NULL;

			wire.data[at] ^= (char)(1u << k);
			if (wire_decode(wire.data, wire.len, &back, NULL, &e) == 0)
				assert_return_code(context_validate(back, &e), 0);
			else
				assert_int_equal(e.code, EBADMSG);
			wire.data[at] ^= (char)(1u << k);
		}
	}
}

/* A record: its tag, and a value of len bytes. */
static void put(struct buf *out, unsigned tag, const void *value, size_t len)
{
	unsigned char head[5] = {(unsigned char)tag};

	le32_put(head + 1, (uint32_t)len);
	assert_return_code(buf_add(out, head, sizeof(head)), 0);
	assert_return_code(len ? buf_add(out, value, len) : 0, 0);
}

static unsigned tag_of(const char *name)
{
	const struct context_field *f = context_field(context_fields, name);

	assert_non_null(f);
	return (unsigned)(f - context_fields) + 1;
}

static void refused(const struct buf *records)
{
	AUTO(context_free) struct context *back = NULL;
	AUTO_BUF wire = BUF_INIT;
	struct err e;

	assert_return_code(buf_add(&wire, "ctxd-2\n\0", 8), 0);
	assert_return_code(buf_add(&wire, records->data, records->len), 0);
	assert_int_equal(wire_decode(wire.data, wire.len, &back, NULL, &e), -EBADMSG);
	assert_true(*e.msg);
	assert_null(back);
}

static void refused_one(const char *name, const void *value, size_t len)
{
	AUTO_BUF b = BUF_INIT;

	put(&b, tag_of(name), value, len);
	refused(&b);
}

static void what_breaks_a_rule_is_refused(void **state)
{
	AUTO_BUF twice = BUF_INIT, inner = BUF_INIT, unknown = BUF_INIT, past = BUF_INIT;

	(void)state;
	refused_one("hostname", "a\0b", 3);
	refused_one("hostname", "-a", 2);
	refused_one("launch-index", "a", 1);
	refused_one("launch-index", "\0\0\0\0\1\0\0\0", 8); /* past 32 bits */
	refused_one("grow-root", "\3\0\0\0\0\0\0\0", 8);    /* no such choice */
	refused_one("tags", "a", 1);                        /* a pair without a NUL */
	refused_one("nics", "a", 1);                        /* no record inside */
	put(&twice, tag_of("hostname"), "a", 1);
	put(&twice, tag_of("hostname"), "b", 1);
	refused(&twice);
	put(&unknown, 238, "a", 1);
	refused(&unknown);
	put(&past, tag_of("hostname"), "a", 1);
	past.data[1] = 2; /* its length */
	refused(&past);
	put(&inner, 1, "02:00:c0:a8:00:0", 16); /* a MAC that is cut */
	refused_one("nics", inner.data, inner.len);
}

static void structs_are_bounded(void **state)
{
	AUTO_BUF b = BUF_INIT;

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		put(&b, tag_of("maintenance"), NULL, 0);
	refused(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_context_comes_through_whole),
		cmocka_unit_test(an_empty_context_comes_through),
		cmocka_unit_test(a_message_cut_inside_a_record_is_refused),
		cmocka_unit_test(a_message_with_any_byte_changed_is_refused_or_valid),
		cmocka_unit_test(what_breaks_a_rule_is_refused),
		cmocka_unit_test(structs_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
