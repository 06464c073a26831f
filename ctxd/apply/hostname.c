/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host name: the first label becomes the machine's name (in the kernel and in /etc/hostname), the
 * whole of it a line in /etc/hosts, so that it resolves before any name server is there.
 */
#include "ctxd/apply.h"

#include "lib/str.h"

/* The address that Debian and others give to a name without one of its own. */
#define HOSTS_ADDRESS "127.0.1.1"

static int set_kernel_name(struct apply *a, const char *name, struct err *e)
{
	char now[256] = "";

	if (!a->g->live || (gethostname(now, sizeof(now) - 1) == 0 && strcmp(now, name) == 0))
		return 0;
	if (guest_tell(a->g, e, "host name %s", name) < 0)
		return -ENOMEM;
	if (!a->g->dry_run && sethostname(name, strlen(name)) < 0)
		return err_errno(e, errno, "setting the host name");
	return 0;
}

static int apply_hostname(struct apply *a, struct err *e)
{
	const char *full = a->c->hostname, *dot = full ? strchr(full, '.') : NULL;
	AUTO_FREE char *name = NULL, *file = NULL, *hosts = NULL;
	int rc;

	if (!full)
		return 0;
	name = dot ? strndup(full, (size_t)(dot - full)) : strdup(full);
	file = name ? str_format("%s\n", name) : NULL;
	hosts = file ? str_format(HOSTS_ADDRESS "\t%s%s%s\n", full, dot ? " " : "", dot ? name : "")
		     : NULL;
	if (!hosts)
		return err_nomem(e);
	rc = guest_write(a->g, "/etc/hostname", file, strlen(file), 0644, e);
	if (rc >= 0)
		rc = set_kernel_name(a, name, e);
	/* First, so that it is found before an older line with the same address. */
	if (rc >= 0)
		rc = guest_write_block(a->g, "/etc/hosts", hosts, 0644, true, e);
	return rc < 0 ? rc : 0;
}

const struct part part_hostname = {"host name", apply_hostname, NULL};
