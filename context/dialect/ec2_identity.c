/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EC2 dialect's identity: dynamic/instance-identity/ and iam/.
 *
 *	document                      JSON, the same facts as in meta-data
 *	signature, pkcs7, rsa2048     of its bytes, by the host's own key, where it has one
 *	certificate                   of that key, as PEM; not listed: EC2 has none there
 *	iam/info                      JSON: the instance profile
 *	iam/security-credentials/ROLE JSON: by value, or from the host's credential process
 */
#include "context/dialect/ec2.h"

enum {
	VALID_FOR = 6 * 3600, /* seconds, of credentials that do not say when they end */
};

struct member {
	const char *key, *value; /* value NULL: null */
};

static int add_members(struct buf *out, const struct member *m, size_t n)
{
	int rc = buf_adds(out, "{");

	for (size_t i = 0; i < n && !rc; i++) {
		rc = buf_addf(out, "%s\n  \"%s\" : ", i ? "," : "", m[i].key);
		if (!rc)
			rc = m[i].value ? ec2_add_json_string(out, m[i].value)
					: buf_adds(out, "null");
	}
	return rc ? rc : buf_adds(out, "\n}");
}

void ec2_render_document(struct ec2_render *r)
{
	static const char *const made[] = {"certificate", "pkcs7", "rsa2048", "signature"};
	const struct context *c = r->c;
	AUTO_BUF out = BUF_INIT;
	char launched[CONTEXT_TIME_SIZE] = "";
	char ipv4[46];

	ec2_primary_ipv4(r, ipv4);
	if (c->launch_time)
		context_format_time(c->launch_time, launched);
	const struct member members[] = {
		{"accountId", c->account_id},
		{"architecture", c->architecture},
		{"availabilityZone", c->availability_zone},
		{"billingProducts", NULL},
		{"devpayProductCodes", NULL},
		{"marketplaceProductCodes", NULL},
		{"imageId", c->ami_id},
		{"instanceId", c->instance_id},
		{"instanceType", c->instance_type},
		{"kernelId", c->kernel_id},
		{"pendingTime", ec2_given(launched)},
		{"privateIp", ec2_given(ipv4)},
		{"ramdiskId", c->ramdisk_id},
		{"region", r->region},
		{"version", "2017-09-30"},
	};

	if (add_members(&out, members, ARRAY_SIZE(members)) && !r->rc)
		r->rc = err_nomem(r->e);
	ec2_leaf(r, 20090404, "dynamic/instance-identity/document", out.data);
	/* what the host cannot sign is not listed; what is listed, it can */
	ec2_leaf(r, 20090404 | TREE_NEEDS_SIGNER, "dynamic/instance-identity/",
		 "document\npkcs7\nrsa2048\nsignature");
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		AUTO_BUF path = BUF_INIT;

		if (buf_addf(&path, "dynamic/instance-identity/%s", made[i]) && !r->rc)
			r->rc = err_nomem(r->e);
		ec2_made(r, 20090404, TREE_NEEDS_SIGNER, buf_str(&path));
	}
}

/* ---- the role ------------------------------------------------------------------------------- */

static bool has_credentials(const struct context_role *role)
{
	return role->credential_process || (role->access_key_id && role->secret_access_key);
}

void ec2_render_role(struct ec2_render *r)
{
	const struct context_role *role = &r->c->iam_role;
	AUTO_BUF path = BUF_INIT;

	if (!role->name || r->rc)
		return;
	ec2_made(r, 20120112, 0, "meta-data/iam/info");
	if (!has_credentials(role))
		return;
	if (buf_addf(&path, "meta-data/iam/security-credentials/%s", role->name))
		r->rc = err_nomem(r->e);
	ec2_made(r, 20120112, role->credential_process ? TREE_NEEDS_PROCESS : 0, buf_str(&path));
}

int ec2_iam_info(const struct context *c, uint64_t now, struct buf *out, struct err *e)
{
	const struct context_role *role = &c->iam_role;
	const char *partition = c->services_partition ? c->services_partition : "aws";
	char updated[CONTEXT_TIME_SIZE];
	AUTO_BUF arn = BUF_INIT;

	context_format_time(role->last_updated ? role->last_updated
			    : c->launch_time   ? c->launch_time
					       : now,
			    updated);
	if (buf_addf(&arn, "arn:%s:iam::%s:instance-profile/%s", partition,
		     c->account_id ? c->account_id : "000000000000", role->name))
		return err_nomem(e);
	const struct member members[] = {
		{"Code", "Success"},
		{"LastUpdated", updated},
		{"InstanceProfileArn", role->profile_arn ? role->profile_arn : buf_str(&arn)},
		{"InstanceProfileId", role->profile_id ? role->profile_id : role->name},
	};

	return add_members(out, members, ARRAY_SIZE(members)) ? err_nomem(e) : 0;
}

int ec2_credentials(const struct context *c, uint64_t now, struct buf *out, struct err *e)
{
	const struct context_role *role = &c->iam_role;
	char updated[CONTEXT_TIME_SIZE], ends[CONTEXT_TIME_SIZE];

	context_format_time(role->last_updated ? role->last_updated : now, updated);
	context_format_time(role->expiration ? role->expiration : now + VALID_FOR, ends);
	const struct member members[] = {
		{"Code", "Success"},
		{"LastUpdated", updated},
		{"Type", "AWS-HMAC"},
		{"AccessKeyId", role->access_key_id},
		{"SecretAccessKey", role->secret_access_key},
		/* some clients take credentials without a token for none */
		{"Token", role->session_token ? role->session_token : ""},
		{"Expiration", ends},
	};

	return add_members(out, members, ARRAY_SIZE(members)) ? err_nomem(e) : 0;
}
