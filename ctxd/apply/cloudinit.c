/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloud-init: told to take the metadata service that ctxd runs on this machine for EC2's, and to
 * leave the network alone where ctxd has configured it (EC2's metadata have no word for a static
 * address, so cloud-init would ask for DHCP).
 *
 * The file is there only while there is a context: on a cloud with a metadata service of its own
 * the same image finds cloud-init as the image's maker left it. ds-identify reads such files line
 * by line, so each key stands on its own line.
 */
#include "ctxd/apply.h"

#define DROP_IN "/etc/cloud/cloud.cfg.d/91-ctxd.cfg"

/*
 * strict_id: any machine is taken for EC2, without a warning at each login. metadata_urls: one
 * address, so that no name is looked up. The waits end if ctxd's service should have failed.
 */
static const char datasource[] = "datasource:\n"
				 "  Ec2:\n"
				 "    strict_id: false\n"
				 "    metadata_urls: [\"http://169.254.169.254\"]\n"
				 "    max_wait: 20\n"
				 "    timeout: 5\n";
static const char no_network[] = "network:\n"
				 "  config: disabled\n";

static int leave_cloudinit(struct apply *a, struct err *e)
{
	int rc = guest_remove_own(a->g, DROP_IN, e);

	return rc < 0 ? rc : 0;
}

static int apply_cloudinit(struct apply *a, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!apply_may_cloud_init(a->g))
		return leave_cloudinit(a, e);
	if (buf_adds(&text, datasource) < 0 ||
	    (a->network_configured && buf_adds(&text, no_network) < 0))
		return err_nomem(e);
	rc = guest_write_own(a->g, DROP_IN, buf_str(&text), 0644, e);
	return rc < 0 ? rc : 0;
}

const struct part part_cloudinit = {"cloud-init", apply_cloudinit, leave_cloudinit};
