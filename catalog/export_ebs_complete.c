/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an upload to EBS: CompleteSnapshot with the LINEAR checksum, the SHA-256 of the binary
 * SHA-256s of all blocks that were put, ascending; then the wait until the snapshot is completed.
 */
#include <stdio.h>

#include "catalog/export_ebs.h"
#include "lib/digest.h"
#include "lib/str.h"

#define COMPLETION_S 3600 /* for AWS to make the snapshot of what was sent */

static int linear_checksum(const struct ebs_upload *u, struct buf *out, struct err *e)
{
	AUTO(digest_free) struct digest *d = NULL;
	uint8_t raw[DIGEST_MAX];
	int rc = digest_new(DIGEST_SHA256, &d, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < u->sent.n; i++)
		digest_add(d, u->sent.items[i].digest, 32);
	digest_final(d, raw);
	return base64_encode(raw, 32, out) < 0 ? err_nomem(e) : 0;
}

/* "pending", "completed", "error" */
static int ask_status(struct ebs_upload *u, char ret[16], struct err *e)
{
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct aws_param id = {"SnapshotId.1", u->snapshot};
	const char *status;
	int rc = aws_ec2(u->session->aws, u->session->http, "DescribeSnapshots", &id, 1, &root,
			 NULL, e);

	if (rc < 0)
		return rc;
	status = xml_child_text(xml_path(root, "snapshotSet/item"), "status", "");
	snprintf(ret, 16, "%s", status);
	return 0;
}

static int send_completion(struct ebs_upload *u, struct err *e)
{
	AUTO_FREE char *path = str_format("/snapshots/completion/%s", u->snapshot);
	AUTO_HTTPC_RESPONSE r = HTTPC_RESPONSE_INIT;
	AUTO_BUF checksum = BUF_INIT;
	char count[24], status[16] = "";
	struct httpc_header headers[] = {
		{"x-amz-changedblockscount", count},
		{"x-amz-checksum-algorithm", "SHA256"},
		{"x-amz-checksum-aggregation-method", "LINEAR"},
		{"x-amz-checksum", NULL},
	};
	struct aws_request req = {
		.method = HTTPC_POST,
		.service = "ebs",
		.path = path,
		.headers = headers,
		.n_headers = ARRAY_SIZE(headers),
		.total_timeout_ms = 60000,
	};
	int rc = path ? linear_checksum(u, &checksum, e) : err_nomem(e);

	if (rc < 0)
		return rc;
	snprintf(count, sizeof(count), "%zu", u->sent.n);
	headers[3].value = buf_str(&checksum);
	rc = aws_send(u->session->aws, u->session->http, &req, &r, NULL, e);
	/* An export that was interrupted after this need not do it again. */
	if (rc < 0 && !u->started_ms && ask_status(u, status, NULL) == 0 &&
	    strcmp(status, "completed") == 0)
		return 0;
	return rc < 0 ? err_wrap(e, "completing snapshot '%s'", u->snapshot) : 0;
}

static int wait_completed(struct ebs_upload *u, struct err *e)
{
	uint64_t until = ebs_now_ms() + COMPLETION_S * UINT64_C(1000);
	unsigned pause_ms = 250;

	for (;;) {
		char status[16] = "";
		int rc = ask_status(u, status, e);

		if (rc < 0)
			return err_wrap(e, "asking for snapshot '%s'", u->snapshot);
		if (strcmp(status, "completed") == 0)
			return 0;
		if (strcmp(status, "error") == 0)
			return err_set(e, EREMOTEIO,
				       "the snapshot '%s' failed: its status is 'error'",
				       u->snapshot);
		if (ebs_now_ms() >= until)
			return err_set(e, ETIMEDOUT,
				       "the snapshot '%s' is not completed after %d s", u->snapshot,
				       COMPLETION_S);
		rc = httpc_sleep_ms(pause_ms, e);
		if (rc < 0)
			return rc;
		pause_ms = MIN(pause_ms * 2, 5000u);
	}
}

int ebs_complete(struct ebs_upload *u, struct err *e)
{
	int rc = send_completion(u, e);

	return rc < 0 ? rc : wait_completed(u, e);
}
