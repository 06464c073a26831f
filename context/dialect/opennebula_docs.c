/* SPDX-License-Identifier: Apache-2.0 */
/* OpenNebula's context as documents: context.sh, and the files beside it, on a volume CONTEXT. */
#include "context/dialect/opennebula.h"
#include "context/dialects.h"

static const char *const fields[] = {
	"instance-id",
	"hostname",
	"public-hostname",
	"ami-id",
	"instance-type",
	"architecture",
	"region",
	"availability-zone",
	"availability-zone-id",
	"reservation-id",
	"account-id",
	"kernel-id",
	"ramdisk-id",
	"launch-index",
	"launch-time",
	"security-groups",
	"ssh-keys",
	"user-data",
	"tags",
	"block-devices",
	"extra",
	"nics.mac",
	"nics.method",
	"nics.method6",
	"nics.addresses",
	"nics.gateway",
	"nics.gateway6",
	"nics.dns",
	"nics.search",
	"nics.routes",
	"nics.mtu",
	"nics.metric",
	"nics.metric6",
	"nics.vlan-id",
	"nics.pci-address",
	"nics.public-ipv4",
	"nics.external-addresses",
	"placement-group",
	"host-id",
	"ancestor-ami-ids",
	"product-codes",
	"services-domain",
	"services-partition",
	"system",
	"life-cycle",
	"target-lifecycle-state",
	"default-user.name",
	"default-user.shell",
	"default-user.password-hash",
	"time-zone",
	"grow-root",
	"grow-fs",
	"swap-devices",
	"scripts",
	"files.name",
	"files.content",
	"ready.report",
	"ready.endpoint",
	"ready.token",
	"ready.vm-id",
	"ready.script",
	"ready.retries",
	"ready.retry-wait",
	NULL,
};

static int read_docs(const struct tree *docs, const char *source, struct strlist *notes,
		     struct context **ret, struct err *e)
{
	struct http_slice s;

	if (!tree_leaf(docs, OPENNEBULA_FILE, &s))
		return err_set(e, ENOENT, "there is no '" OPENNEBULA_FILE "'");
	return one_read(s.p, s.len, docs, source, notes, ret, e);
}

static int write_docs(const struct context *c, struct tree *docs, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc = one_write(c, docs, &text, e);

	return rc ? rc : tree_add(docs, 0, OPENNEBULA_FILE, text.data, text.len, e);
}

const struct context_dialect dialect_opennebula = {
	.name = "opennebula",
	.image = "opennebula",
	.volume_id = OPENNEBULA_VOLUME_ID,
	.mark = OPENNEBULA_FILE,
	.read = read_docs,
	.write = write_docs,
	.fields = fields,
};
