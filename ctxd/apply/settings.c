/* SPDX-License-Identifier: Apache-2.0 */
/* Time zone, locale, time servers: each in the file that the guest's own programs read. */
#include "ctxd/apply.h"
#include "lib/log.h"
#include "lib/str.h"

#define ZONES "/usr/share/zoneinfo"
#define CLOCK "/etc/sysconfig/clock"

static int set_zone(struct apply *a, struct err *e)
{
	const char *zone = a->c->time_zone;
	AUTO_FREE char *path = NULL, *target = NULL, *name = NULL, *clock = NULL;
	int rc;

	if (!zone)
		return 0;
	path = str_format(ZONES "/%s", zone);
	target = str_format("..%s", path ? path : "");
	name = str_format("%s\n", zone);
	clock = str_format("ZONE=\"%s\"\n", zone);
	if (!path || !target || !name || !clock)
		return err_nomem(e);
	if (!guest_exists(a->g, path)) {
		log_warn("this machine does not know the time zone %s", zone);
		return 0;
	}
	rc = guest_link(a->g, "/etc/localtime", target, e);
	if (rc >= 0 && guest_exists(a->g, "/etc/timezone"))
		rc = guest_write(a->g, "/etc/timezone", name, strlen(name), 0644, e);
	if (rc >= 0 && guest_exists(a->g, CLOCK))
		rc = guest_displace(a->g, CLOCK, clock, 0644, e);
	return rc < 0 ? rc : 0;
}

static int set_locale(struct apply *a, struct err *e)
{
	const char *path = "/etc/locale.conf";
	AUTO_FREE char *text = NULL;
	int rc;

	if (!a->c->locale)
		return 0;
	if (guest_exists(a->g, "/etc/default/locale"))
		path = "/etc/default/locale";
	else if (guest_exists(a->g, "/etc/sysconfig/i18n"))
		path = "/etc/sysconfig/i18n";
	text = str_format("LANG=%s\n", a->c->locale);
	rc = text ? guest_displace(a->g, path, text, 0644, e) : err_nomem(e);
	return rc < 0 ? rc : 0;
}

/* Where a program takes servers from a folder of files. */
static int set_servers(struct apply *a, struct err *e)
{
	AUTO_BUF chrony = BUF_INIT, timesyncd = BUF_INIT;
	const struct strlist *l = &a->c->ntp_servers;
	bool taken = false;
	int rc = l->n ? buf_adds(&timesyncd, "[Time]\nNTP=") : 0;

	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		rc = buf_addf(&chrony, "server %s iburst\n", l->v[i]);
		if (rc == 0)
			rc = buf_addf(&timesyncd, "%s%s", i ? " " : "", l->v[i]);
	}
	if (rc < 0 || (l->n && buf_addc(&timesyncd, '\n') < 0))
		return err_nomem(e);
	if (guest_exists(a->g, "/etc/chrony/sources.d")) {
		static const char path[] = "/etc/chrony/sources.d/ctxd.sources";

		taken = true;
		rc = l->n ? guest_write_own(a->g, path, buf_str(&chrony), 0644, e)
			  : guest_remove_own(a->g, path, e);
	}
	if (rc >= 0 && (guest_exists(a->g, "/lib/systemd/systemd-timesyncd") ||
			guest_exists(a->g, "/usr/lib/systemd/systemd-timesyncd"))) {
		static const char path[] = "/etc/systemd/timesyncd.conf.d/ctxd.conf";

		taken = true;
		rc = l->n ? guest_write_own(a->g, path, buf_str(&timesyncd), 0644, e)
			  : guest_remove_own(a->g, path, e);
	}
	if (l->n && !taken)
		log_warn("this machine has nothing that takes time servers");
	return rc < 0 ? rc : 0;
}

static int apply_settings(struct apply *a, struct err *e)
{
	int rc = set_zone(a, e);

	if (rc == 0)
		rc = set_locale(a, e);
	return rc < 0 ? rc : set_servers(a, e);
}

const struct part part_settings = {"settings", apply_settings, NULL};
