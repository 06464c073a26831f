/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the guest's own cloud-init will run. What ctxd leaves to a cloud-init that then does not run
 * nobody does, and nobody gets in; what both do, the keys of root's that cloud-init keeps from use, would
 * open more doors than the image's maker meant. So it is looked at what its init system will start: the
 * network stage, in which it makes accounts and gives them keys.
 *
 *	kernel's command line   cloud-init=disabled|enabled, ci.di.policy=disabled
 *	/etc/cloud              cloud-init.disabled; "policy: disabled" in ds-identify.cfg
 *	systemd                 a unit that another one wants, and that is not masked
 *	SysV init, OpenRC       an enabled script
 *	Upstart                 a job, not overridden as "manual"
 */
#include "ctxd/apply.h"
#include "lib/str.h"

/* Of its network stage; the last two since 24.3. */
static const char *const units[] = {"cloud-init.service", "cloud-init-network.service",
				    "cloud-init-main.service"};
static const char *const scripts[] = {"cloud-init", "cloud-init-network"};

static bool is_among(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* A line (of words: a word) of the file is the text, but for blanks. */
static bool has_item(const struct guest *g, const char *path, const char *separators,
		     const char *item)
{
	AUTO_BUF text = BUF_INIT;
	char *save = NULL;

	if (guest_read(g, path, &text, NULL) <= 0)
		return false;
	for (char *p = strtok_r(text.data, separators, &save); p;
	     p = strtok_r(NULL, separators, &save)) {
		p += strspn(p, " \t");
		if (strncmp(p, item, strlen(item)) == 0 &&
		    !p[strlen(item) + strspn(p + strlen(item), " \t\r")])
			return true;
	}
	return false;
}

static bool on_command_line(const struct guest *g, const char *word)
{
	return has_item(g, "/proc/cmdline", " \t\n", word);
}

static bool is_switched_off(const struct guest *g)
{
	if (on_command_line(g, "ci.di.policy=disabled") ||
	    has_item(g, "/etc/cloud/ds-identify.cfg", "\n", "policy: disabled") ||
	    on_command_line(g, "cloud-init=disabled"))
		return true;
	return guest_exists(g, "/etc/cloud/cloud-init.disabled") &&
	       !on_command_line(g, "cloud-init=enabled");
}

/* ---- init systems ------------------------------------------------------------------------ */

static bool links_to(const struct guest *g, const char *path, const char *end)
{
	AUTO_FREE char *full = guest_path(g, path);
	char target[256];
	ssize_t n = full ? readlink(full, target, sizeof(target) - 1) : -1;

	if (n < 0)
		return false;
	target[n] = '\0';
	return str_has_suffix(target, end);
}

/* Of a tree it is said by what it would start. */
static bool has_systemd(const struct guest *g)
{
	if (guest_exists(g, "/run/systemd/system"))
		return true;
	return !g->live &&
	       (links_to(g, "/sbin/init", "/systemd") || links_to(g, "/usr/sbin/init", "/systemd"));
}

static bool is_masked(const struct guest *g, const char *unit)
{
	AUTO_FREE char *path = str_format("/etc/systemd/system/%s", unit);

	return path && links_to(g, path, "/dev/null");
}

/* One of its units is among what those in the folder want. */
static bool wanted_in(const struct guest *g, const char *folder)
{
	AUTO(strlist_release) struct strlist targets = {0};

	if (guest_names(g, folder, &targets) < 0)
		return false;
	for (size_t i = 0; i < targets.n; i++) {
		AUTO_FREE char *dir = str_format("%s/%s", folder, targets.v[i]);

		for (size_t k = 0; dir && k < ARRAY_SIZE(units); k++) {
			AUTO_FREE char *path = str_format("%s/%s", dir, units[k]);

			if (str_has_suffix(dir, ".wants") && path && guest_exists(g, path) &&
			    !is_masked(g, units[k]))
				return true;
		}
	}
	return false;
}

static bool by_systemd(const struct guest *g)
{
	return wanted_in(g, "/etc/systemd/system") || wanted_in(g, "/usr/lib/systemd/system") ||
	       wanted_in(g, "/lib/systemd/system");
}

/* "S50cloud-init" in a run level's folder, "cloud-init" in OpenRC's. */
static bool by_script(const struct guest *g)
{
	static const char *const folders[] = {
		"/etc/rcS.d",          "/etc/rc2.d",
		"/etc/rc3.d",          "/etc/rc.d/rc3.d",
		"/etc/init.d/rc3.d",   "/etc/runlevels/sysinit",
		"/etc/runlevels/boot", "/etc/runlevels/default",
	};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		AUTO(strlist_release) struct strlist names = {0};

		if (guest_names(g, folders[i], &names) < 0)
			return false;
		for (size_t k = 0; k < names.n; k++) {
			const char *name = names.v[k];

			if (!strstr(folders[i], "/runlevels/"))
				name += *name == 'S' && strlen(name) > 3 ? 3 : strlen(name);
			if (is_among(name, scripts, ARRAY_SIZE(scripts)))
				return true;
		}
	}
	return false;
}

static bool by_job(const struct guest *g)
{
	return guest_exists(g, "/etc/init/cloud-init.conf") &&
	       !has_item(g, "/etc/init/cloud-init.override", "\n", "manual");
}

bool apply_may_cloud_init(const struct guest *g)
{
	return (guest_exists(g, "/usr/bin/cloud-init") || guest_exists(g, "/bin/cloud-init")) &&
	       guest_exists(g, "/etc/cloud") && !is_switched_off(g);
}

bool apply_has_cloud_init(const struct guest *g)
{
	if (!apply_may_cloud_init(g))
		return false;
	return has_systemd(g) ? by_systemd(g) : by_script(g) || by_job(g);
}
