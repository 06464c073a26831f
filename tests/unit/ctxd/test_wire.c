/* SPDX-License-Identifier: Apache-2.0 */
/* The message from the reader of hostile media to root: whole, or refused. */
#include "tests/unit/cmocka.h"

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

static struct context *sample(void)
{
	struct context *c = NULL;
	struct err e;

	if (opennebula_read(text, sizeof(text) - 1, "opennebula test", NULL, &c, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

/* The writer says all that a context holds, so two that it writes alike are alike. */
static void assert_same(const struct context *a, const struct context *b)
{
	AUTO_BUF x = BUF_INIT, y = BUF_INIT;
	struct err e;

	assert_return_code(opennebula_write(a, &x, &e), 0);
	assert_return_code(opennebula_write(b, &y, &e), 0);
	assert_string_equal(buf_str(&x), buf_str(&y));
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
	assert_in_range(whole, 1, 80);
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

static void refused(const char *records, size_t len)
{
	AUTO(context_free) struct context *back = NULL;
	AUTO_BUF wire = BUF_INIT;
	struct err e;

	assert_return_code(buf_add(&wire, "ctxd-1\n\0", 8), 0);
	assert_return_code(buf_add(&wire, records, len), 0);
	assert_int_equal(wire_decode(wire.data, wire.len, &back, NULL, &e), -EBADMSG);
	assert_null(back);
}

static void what_breaks_a_rule_is_refused(void **state)
{
	(void)state;
	refused("\x03\x03\0\0\0a\0b", 8);              /* a NUL in a text */
	refused("\x03\x01\0\0\0a\x03\x01\0\0\0b", 12); /* two host names */
	refused("\x03\x02\0\0\0-a", 7);                /* an illegal one */
	refused("\x03\xff\xff\xff\xff", 5);            /* a length past the end */
	refused("\xee\x01\0\0\0a", 6);                 /* an unknown record */
	refused("\x1a\x01\0\0\0a", 6);                 /* of a NIC, without a NIC */
	refused("\x0f\x01\0\0\0a", 6);                 /* a number of a wrong length */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_context_comes_through_whole),
		cmocka_unit_test(an_empty_context_comes_through),
		cmocka_unit_test(a_message_cut_inside_a_record_is_refused),
		cmocka_unit_test(a_message_with_any_byte_changed_is_refused_or_valid),
		cmocka_unit_test(what_breaks_a_rule_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
