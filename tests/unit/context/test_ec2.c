/* SPDX-License-Identifier: Apache-2.0 */
/* The EC2 tree of an instance that has all there is, and what its host makes for it. */
#include "tests/unit/cmocka.h"

#include <stdio.h>

#include "context/imds.h"

#define NOW UINT64_C(1700000000) /* 2023-11-14T22:13:20Z */

static const struct token_key key = {{9}};

static void put(char **at, const char *value)
{
	assert_int_equal(context_set(at, value), 0);
}

static void add(struct strlist *l, const char *value)
{
	assert_int_equal(strlist_add(l, value), 0);
}

static void fill_nic(struct nic *n)
{
	memcpy(n->mac, "02:00:00:00:00:02", 18);
	add(&n->addresses, "10.0.1.2/24");
	add(&n->addresses, "fd00::2/64");
	put(&n->public_ipv4, "192.0.2.1");
	add(&n->external, "192.0.2.1");
	add(&n->external, "192.0.2.2");
	put(&n->interface_id, "eni-1");
	put(&n->subnet_id, "subnet-1");
	put(&n->vpc_id, "vpc-1");
	n->device_number = 3;
	n->network_card = 1;
	put(&n->owner_id, "210987654321");
	put(&n->local_hostname, "eth0.example.org");
	put(&n->public_hostname, "pub0.example.org");
	add(&n->security_groups, "nic-group");
	add(&n->security_group_ids, "sg-1");
	add(&n->security_group_ids, "sg-2");
	add(&n->subnet_blocks, "10.0.0.0/20");
	add(&n->vpc_blocks, "10.0.0.0/16");
	add(&n->vpc_blocks, "10.1.0.0/16");
	add(&n->vpc_blocks, "fd00::/56");
}

static void fill(struct context *c)
{
	struct context_maintenance *m;

	put(&c->instance_id, "i-1");
	put(&c->hostname, "a.example.org");
	put(&c->account_id, "123456789012");
	put(&c->ami_id, "ami-1");
	add(&c->ancestor_ami_ids, "ami-0");
	add(&c->product_codes, "pc1");
	add(&c->product_codes, "pc2");
	put(&c->placement_group, "group1");
	put(&c->host_id, "h-1");
	c->partition_number = 7;
	put(&c->services_domain, "cloud.example.org");
	put(&c->services_partition, "example");
	put(&c->system, "nitro");
	put(&c->life_cycle, "spot");
	put(&c->target_lifecycle_state, "InService");
	c->monitoring = CHOICE_YES;
	put(&c->iam_role.name, "web");
	put(&c->iam_role.access_key_id, "AKIA1");
	put(&c->iam_role.secret_access_key, "s\"1");
	put(&c->iam_role.session_token, "t1");
	put(&c->spot.action, "terminate");
	c->spot.time = NOW + 120;
	c->rebalance_time = NOW;
	m = context_add_maintenance(c);
	put(&m->id, "event-1");
	put(&m->code, "system-reboot");
	put(&m->description, "scheduled reboot");
	m->not_before = UINT64_C(1704448800); /* 2024-01-05T10:00:00Z */
	m->not_after = UINT64_C(1704452400);
	m = context_add_maintenance(c);
	put(&m->id, "event-0");
	put(&m->code, "instance-stop");
	put(&m->state, "completed");
	m->not_before = NOW;
	fill_nic(context_add_nic(c));
}

static struct instance *make(void (*more)(struct context *c))
{
	struct instance *in = NULL;
	struct context *c = NULL;
	struct err e = {0};

	assert_int_equal(context_new(&c, &e), 0);
	fill(c);
	if (more)
		more(c);
	assert_int_equal(instance_new("a", &c, &in, &e), 0);
	assert_int_equal(instance_render(in, &e), 0);
	return in;
}

/* The status; the body and its wait_ms are in *res. */
static int ask(const struct instance *in, const struct imds_host *host, bool timed_out,
	       const char *path, struct http_response *res)
{
	struct imds_env env = {.key = &key, .now = NOW, .host = host, .timed_out = timed_out};
	struct http_request rq = {.method = {"GET", 3}, .target = {path, strlen(path)}, .minor = 1};
	struct err e = {0};

	http_response_clear(res);
	if (imds_answer(&rq, in, &env, res, NULL, &e))
		return -1;
	return res->status;
}

static void assert_gets(const struct instance *in, const struct imds_host *host, const char *path,
			const char *body)
{
	AUTO(http_response_release) struct http_response res = HTTP_RESPONSE_INIT;

	if (ask(in, host, false, path, &res) != 200)
		fail_msg("%s: %d", path, res.status);
	assert_string_equal(buf_str(&res.body), body);
}

static void assert_none(const struct instance *in, const struct imds_host *host, const char *path)
{
	AUTO(http_response_release) struct http_response res = HTTP_RESPONSE_INIT;

	if (ask(in, host, false, path, &res) != 404)
		fail_msg("%s: %d", path, res.status);
}

#define MD "/latest/meta-data/"
#define NIC MD "network/interfaces/macs/02:00:00:00:00:02/"

static void says_what_a_machine_is(void **state)
{
	struct instance *in = make(NULL);

	(void)state;
	assert_gets(in, NULL, MD "ancestor-ami-ids", "ami-0");
	assert_gets(in, NULL, MD "product-codes", "pc1\npc2");
	assert_gets(in, NULL, MD "placement/", "group-name\nhost-id\npartition-number");
	assert_gets(in, NULL, MD "placement/partition-number", "7");
	assert_gets(in, NULL, MD "services/", "domain\npartition");
	assert_gets(in, NULL, MD "services/domain", "cloud.example.org");
	assert_gets(in, NULL, MD "system", "nitro");
	assert_gets(in, NULL, MD "instance-life-cycle", "spot");
	assert_gets(in, NULL, MD "autoscaling/target-lifecycle-state", "InService");
	assert_gets(in, NULL, "/latest/dynamic/fws/instance-monitoring", "enabled");
	assert_gets(in, NULL, MD "metrics/vhostmd", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
	assert_none(in, NULL, "/2021-03-23/meta-data/autoscaling");
	instance_free(in);
}

static void says_what_a_nic_is(void **state)
{
	struct instance *in = make(NULL);

	(void)state;
	assert_gets(in, NULL, NIC,
		    "device-number\ninterface-id\nipv4-associations/\nipv6s\nlocal-hostname\n"
		    "local-ipv4s\nmac\nnetwork-card\nowner-id\npublic-hostname\npublic-ipv4s\n"
		    "security-group-ids\nsecurity-groups\nsubnet-id\nsubnet-ipv4-cidr-block\n"
		    "subnet-ipv6-cidr-blocks\nvpc-id\nvpc-ipv4-cidr-block\nvpc-ipv4-cidr-blocks\n"
		    "vpc-ipv6-cidr-blocks");
	assert_gets(in, NULL, NIC "device-number", "3");
	assert_gets(in, NULL, NIC "network-card", "1");
	assert_gets(in, NULL, NIC "owner-id", "210987654321");
	assert_gets(in, NULL, NIC "local-hostname", "eth0.example.org");
	assert_gets(in, NULL, NIC "public-hostname", "pub0.example.org");
	assert_gets(in, NULL, NIC "public-ipv4s", "192.0.2.1\n192.0.2.2");
	assert_gets(in, NULL, NIC "ipv4-associations/", "192.0.2.1\n192.0.2.2");
	assert_gets(in, NULL, NIC "ipv4-associations/192.0.2.2", "10.0.1.2");
	assert_gets(in, NULL, NIC "security-groups", "nic-group");
	assert_gets(in, NULL, NIC "security-group-ids", "sg-1\nsg-2");
	assert_gets(in, NULL, NIC "subnet-ipv4-cidr-block", "10.0.0.0/20");
	assert_gets(in, NULL, NIC "subnet-ipv6-cidr-blocks", "fd00::/64");
	assert_gets(in, NULL, NIC "vpc-ipv4-cidr-block", "10.0.0.0/16");
	assert_gets(in, NULL, NIC "vpc-ipv4-cidr-blocks", "10.0.0.0/16\n10.1.0.0/16");
	assert_gets(in, NULL, NIC "vpc-ipv6-cidr-blocks", "fd00::/56");
	instance_free(in);
}

static void no_events(struct context *c)
{
	put(&c->spot.action, NULL);
	c->rebalance_time = 0;
	while (c->n_maintenance) {
		struct context_maintenance *m = &c->maintenance[--c->n_maintenance];

		put(&m->id, NULL);
		put(&m->code, NULL);
		put(&m->description, NULL);
		put(&m->state, NULL);
	}
}

static void stops(struct context *c)
{
	put(&c->spot.action, "stop");
}

static void notices_are_there_when_there_are_some(void **state)
{
	struct instance *in = make(NULL);

	(void)state;
	assert_gets(in, NULL, MD "spot/instance-action",
		    "{\"action\": \"terminate\", \"time\": \"2023-11-14T22:15:20Z\"}");
	assert_gets(in, NULL, MD "spot/termination-time", "2023-11-14T22:15:20Z");
	assert_gets(in, NULL, MD "events/recommendations/rebalance",
		    "{\"noticeTime\": \"2023-11-14T22:13:20Z\"}");
	assert_gets(in, NULL, MD "events/maintenance/scheduled",
		    "[ {\n  \"NotBefore\" : \"5 Jan 2024 10:00:00 GMT\",\n"
		    "  \"Code\" : \"system-reboot\",\n  \"Description\" : \"scheduled reboot\",\n"
		    "  \"EventId\" : \"event-1\",\n  \"NotAfter\" : \"5 Jan 2024 11:00:00 GMT\",\n"
		    "  \"State\" : \"active\"\n} ]");
	assert_gets(in, NULL, MD "events/maintenance/history",
		    "[ {\n  \"NotBefore\" : \"14 Nov 2023 22:13:20 GMT\",\n"
		    "  \"Code\" : \"instance-stop\",\n  \"Description\" : \"instance-stop\",\n"
		    "  \"EventId\" : \"event-0\",\n  \"State\" : \"completed\"\n} ]");
	instance_free(in);
	in = make(stops);
	assert_none(in, NULL, MD "spot/termination-time");
	instance_free(in);
	in = make(no_events);
	assert_none(in, NULL, MD "spot");
	assert_none(in, NULL, MD "spot/instance-action");
	assert_gets(in, NULL, MD "events/", "maintenance/");
	assert_gets(in, NULL, MD "events/maintenance/history", "[]");
	assert_gets(in, NULL, MD "events/maintenance/scheduled", "[]");
	instance_free(in);
}

static void a_role_has_its_credentials(void **state)
{
	struct instance *in = make(NULL);

	(void)state;
	assert_gets(in, NULL, MD "iam/", "info\nsecurity-credentials/");
	assert_gets(in, NULL, MD "iam/security-credentials/", "web");
	assert_gets(in, NULL, MD "iam/security-credentials/web",
		    "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2023-11-14T22:13:20Z\",\n"
		    "  \"Type\" : \"AWS-HMAC\",\n  \"AccessKeyId\" : \"AKIA1\",\n"
		    "  \"SecretAccessKey\" : \"s\\\"1\",\n  \"Token\" : \"t1\",\n"
		    "  \"Expiration\" : \"2023-11-15T04:13:20Z\"\n}");
	assert_gets(in, NULL, MD "iam/info",
		    "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2023-11-14T22:13:20Z\",\n"
		    "  \"InstanceProfileArn\" : "
		    "\"arn:example:iam::123456789012:instance-profile/web\",\n"
		    "  \"InstanceProfileId\" : \"web\"\n}");
	assert_none(in, NULL, MD "iam/security-credentials/other");
	assert_none(in, NULL, "/2011-05-01/meta-data/iam/");
	instance_free(in);
}

/* ---- a host that makes things ---------------------------------------------------------------- */

struct maker {
	struct imds_host host;
	unsigned asked;
	int rc;
	char document[2048];
};

static int made(void *arg, enum imds_made what, const struct instance *in,
		struct http_slice document, bool timed_out, struct buf *out, uint64_t *wait_key,
		struct err *e)
{
	struct maker *m = arg;

	m->asked++;
	snprintf(m->document, sizeof(m->document), "%.*s", (int)document.len, document.p);
	assert_string_equal(in->name, "a");
	if (timed_out)
		return err_set(e, ETIMEDOUT, "late");
	if (m->rc) {
		*wait_key = 42;
		return err_set(e, -m->rc, "on purpose");
	}
	return buf_addf(out, "made %d", what);
}

static void by_process(struct context *c)
{
	put(&c->iam_role.access_key_id, NULL);
	put(&c->iam_role.credential_process, "/bin/x y");
}

static void a_document_is_signed_where_there_is_a_key(void **state)
{
	struct maker m = {.host = {.can = TREE_NEEDS_SIGNER, .make = made}};
	AUTO(http_response_release) struct http_response doc = HTTP_RESPONSE_INIT;
	AUTO(http_response_release) struct http_response res = HTTP_RESPONSE_INIT;
	struct instance *in = make(NULL);

	(void)state;
	m.host.arg = &m;
	assert_gets(in, NULL, "/latest/dynamic/instance-identity", "document");
	assert_none(in, NULL, "/latest/dynamic/instance-identity/pkcs7");
	assert_gets(in, &m.host, "/latest/dynamic/instance-identity/",
		    "document\npkcs7\nrsa2048\nsignature");
	assert_gets(in, &m.host, "/latest/dynamic/instance-identity/pkcs7", "made 1");
	assert_gets(in, &m.host, "/latest/dynamic/instance-identity/certificate", "made 3");
	assert_int_equal(
		ask(in, &m.host, false, "/latest/dynamic/instance-identity/document", &doc), 200);
	assert_string_equal(m.document, buf_str(&doc.body));
	assert_none(in, &m.host, "/2008-09-01/dynamic/instance-identity/");
	m.rc = -EIO;
	assert_int_equal(ask(in, &m.host, false, "/latest/dynamic/instance-identity/rsa2048", &res),
			 -1);
	instance_free(in);
}

static void credentials_of_a_process_are_waited_for(void **state)
{
	struct maker m = {.host = {.can = TREE_NEEDS_PROCESS, .make = made}, .rc = -EAGAIN};
	AUTO(http_response_release) struct http_response res = HTTP_RESPONSE_INIT;
	static const char path[] = MD "iam/security-credentials/web";
	struct instance *in = make(by_process);

	(void)state;
	m.host.arg = &m;
	assert_gets(in, NULL, MD "iam/", "info");
	assert_gets(in, &m.host, MD "iam/security-credentials", "web");
	assert_int_equal(ask(in, &m.host, false, path, &res), 0);
	assert_int_equal(res.wait_ms, IMDS_WAIT_MS);
	assert_int_equal(res.wait_key, 42);
	assert_int_equal(ask(in, &m.host, true, path, &res), 404);
	m.rc = 0;
	assert_gets(in, &m.host, path, "made 4");
	m.rc = -EIO;
	assert_none(in, &m.host, path);
	instance_free(in);
}

static void what_a_host_keeps_is_freed_with_the_tree(void **state)
{
	struct instance *in = make(NULL);
	struct err e = {0};

	(void)state;
	in->kept = malloc(10);
	in->free_kept = free;
	assert_int_equal(instance_render(in, &e), 0);
	assert_null(in->kept);
	in->kept = malloc(10);
	instance_free(instance_ref(in));
	instance_free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_a_machine_is),
		cmocka_unit_test(says_what_a_nic_is),
		cmocka_unit_test(notices_are_there_when_there_are_some),
		cmocka_unit_test(a_role_has_its_credentials),
		cmocka_unit_test(a_document_is_signed_where_there_is_a_key),
		cmocka_unit_test(credentials_of_a_process_are_waited_for),
		cmocka_unit_test(what_a_host_keeps_is_freed_with_the_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
