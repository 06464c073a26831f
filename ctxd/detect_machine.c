/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine itself says: the firmware (SMBIOS, by /sys/class/dmi/id), the kernel's command
 * line. See ctxd/detect.h.
 *
 *	ds=nocloud[-net][;s=URL][;h=NAME][;i=ID]     a word of the command line, or all of the serial
 *	                                             number: NoCloud's documents below URL
 */
#include <stdio.h>

#include "ctxd/detect.h"
#include "ctxd/http_client.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/str.h"

#define TEXT_MAX (64 * KIB)
#define LINK_LOCAL "http://169.254.169.254/"

/* ---- firmware -------------------------------------------------------------------------------- */

static bool read_sys(const struct guest *g, const char *path, struct buf *out)
{
	AUTO_FREE char *full = guest_path(g, path);

	if (!full || fs_read_file(full, TEXT_MAX, out, NULL) < 0)
		return false;
	while (out->len && strchr(" \n\t", out->data[out->len - 1]))
		out->data[--out->len] = '\0';
	return true;
}

static bool read_dmi(const struct guest *g, const char *file, struct buf *out)
{
	AUTO_FREE char *path = path_join("/sys/class/dmi/id", file);

	return path && read_sys(g, path, out);
}

bool detect_dmi_is(const struct guest *g, const char *file, const char *text)
{
	AUTO_BUF b = BUF_INIT;

	return read_dmi(g, file, &b) && str_has_prefix(buf_str(&b), text);
}

/*
 * Clouds by what their machines say, and what their metadata service speaks; NULL: not ctxd. Those
 * that never hand out media are not to be waited for; OpenStack has config drives, and a machine
 * that only calls itself ec2 may be on any host.
 */
static const struct cloud {
	const char *name, *file, *text, *dialect;
	bool no_media;
} clouds[] = {
	{"Amazon EC2", "sys_vendor", "Amazon EC2", "ec2", true},
	{"Amazon EC2", "product_uuid", "ec2", "ec2", false},
	{"Amazon EC2", "product_uuid", "EC2", "ec2", false},
	{"Google Compute Engine", "product_name", "Google Compute Engine", "gce", true},
	{"Google Compute Engine", "sys_vendor", "Google", "gce", true},
	{"Microsoft Azure", "chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", NULL, true},
	{"OpenStack", "product_name", "OpenStack Nova", "openstack", false},
	{"OpenStack", "product_name", "OpenStack Compute", "openstack", false},
	{"OpenStack", "chassis_asset_tag", "OpenTelekomCloud", "openstack", false},
	{"OpenStack", "chassis_asset_tag", "SAP CCloud VM", "openstack", false},
	{"OpenStack", "chassis_asset_tag", "HUAWEICLOUD", "openstack", false},
	{"CloudStack", "product_name", "CloudStack", "cloudstack", false},
};

static const struct cloud *find_cloud(const struct guest *g)
{
	for (size_t i = 0; i < ARRAY_SIZE(clouds); i++) {
		if (detect_dmi_is(g, clouds[i].file, clouds[i].text))
			return &clouds[i];
	}
	return NULL;
}

const char *detect_cloud(const struct guest *g)
{
	const struct cloud *c = find_cloud(g);

	return c && c->no_media ? c->name : NULL;
}

/* ---- CloudStack: the virtual router, which is the DHCP server --------------------------------- */

/* The value behind key in a file of a DHCP client, up to a blank, ';' or the line's end. */
static bool lease_value(const struct guest *g, const char *path, const char *key, char out[46])
{
	AUTO_BUF text = BUF_INIT;
	const char *last = NULL;
	size_t n;

	if (!read_sys(g, path, &text))
		return false;
	for (const char *p = buf_str(&text); (p = strstr(p, key)); p++)
		last = p + strlen(key);
	if (!last)
		return false;
	n = strcspn(last, "; \n");
	if (!n || n >= 46)
		return false;
	memcpy(out, last, n);
	out[n] = '\0';
	return true;
}

/* Destination, gateway: hexadecimal words 2 and 3 of a line, in the machine's byte order. */
static bool default_gateway(const struct guest *g, char out[46])
{
	AUTO_BUF text = BUF_INIT;
	char *save = NULL;

	if (!read_sys(g, "/proc/net/route", &text))
		return false;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *in = NULL, *dst, *word;
		uint32_t gw;
		unsigned char b[4];

		strtok_r(line, "\t ", &in);
		dst = strtok_r(NULL, "\t ", &in);
		word = strtok_r(NULL, "\t ", &in);
		if (!word || strcmp(dst, "00000000") != 0)
			continue;
		gw = (uint32_t)strtoul(word, NULL, 16);
		if (!gw)
			continue;
		memcpy(b, &gw, sizeof(b));
		snprintf(out, 46, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
		return true;
	}
	return false;
}

static bool find_router(const struct guest *g, char out[46])
{
	static const char *const leases[][2] = {
		{"/run/systemd/netif/leases", "SERVER_ADDRESS="},
		{"/var/lib/dhcp", "dhcp-server-identifier "},
		{"/var/lib/dhclient", "dhcp-server-identifier "},
		{"/var/lib/NetworkManager", "SERVER_ADDRESS="},
	};

	for (size_t i = 0; i < ARRAY_SIZE(leases); i++) {
		AUTO(strlist_release) struct strlist names = {0};

		if (guest_names(g, leases[i][0], &names) < 0)
			return false;
		for (size_t k = 0; k < names.n; k++) {
			AUTO_FREE char *path = path_join(leases[i][0], names.v[k]);

			if (path && lease_value(g, path, leases[i][1], out))
				return true;
		}
	}
	return default_gateway(g, out);
}

int detect_service(const struct detect_opts *o, struct detection *d, struct err *e)
{
	const struct cloud *c = find_cloud(o->g);
	char router[46];
	int rc;

	if (!c)
		return detect_step(d, e, "machine", "it names no cloud with a metadata service");
	if (!c->dialect)
		return detect_step(d, e, "machine", "%s: its service is not one that ctxd reads",
				   c->name);
	if (strcmp(c->dialect, "cloudstack") == 0) {
		if (!find_router(o->g, router))
			return detect_step(d, e, "machine",
					   "no DHCP server and no gateway is known");
		d->url = str_format("http://%s/", router);
	} else {
		d->url = strdup(LINK_LOCAL);
	}
	rc = d->url ? detect_step(d, e, d->url, "%s, as the firmware says", c->name) : err_nomem(e);
	return rc < 0 ? rc : detect_found(d, c->dialect, MEDIA_HTTP, d->url, e);
}

/* ---- hints ----------------------------------------------------------------------------------- */

static int set(char **at, const char *value, struct err *e)
{
	free(*at);
	*at = strdup(value);
	return *at ? 0 : err_nomem(e);
}

/* Takes "s=...;h=...", in place. */
static int take_pairs(struct detection *d, char *text, char **seed, struct err *e)
{
	char *save = NULL;
	int rc = 0;

	for (char *p = strtok_r(text, ";", &save); rc == 0 && p; p = strtok_r(NULL, ";", &save)) {
		char *value = strchr(p, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (strcmp(p, "s") == 0 || strcmp(p, "seedfrom") == 0)
			rc = set(seed, value, e);
		else if (strcmp(p, "h") == 0 || strcmp(p, "local-hostname") == 0)
			rc = set(&d->hostname, value, e);
		else if (strcmp(p, "i") == 0 || strcmp(p, "instance-id") == 0)
			rc = set(&d->instance_id, value, e);
	}
	return rc;
}

/* Without a seed what is said is all there is. */
static int make_meta_data(struct detection *d, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct jsonw w;
	int rc;

	jsonw_begin(&w, &text, false);
	jsonw_object(&w, NULL);
	if (d->instance_id)
		jsonw_string(&w, "instance-id", d->instance_id);
	if (d->hostname)
		jsonw_string(&w, "local-hostname", d->hostname);
	jsonw_close(&w);
	rc = jsonw_end(&w, e);
	if (rc == 0)
		rc = detect_add_doc(d, "meta-data", text.data, text.len, e);
	return rc < 0 ? rc : detect_add_doc(d, "user-data", "", 0, e);
}

/* text: "nocloud;s=..." */
static int take_hint(const struct detect_opts *o, struct detection *d, const char *where,
		     char *text, struct err *e)
{
	AUTO(http_url_release) struct http_url u = {0};
	AUTO_FREE char *seed = NULL;
	size_t n = strcspn(text, ";");
	struct err mine;
	int rc;

	if (!(n == 7 && strncmp(text, "nocloud", 7) == 0) &&
	    !(n == 11 && strncmp(text, "nocloud-net", 11) == 0))
		return detect_step(d, e, where, "'ds=%.*s' is not for ctxd", (int)MIN(n, 32), text);
	rc = take_pairs(d, text + n, &seed, e);
	if (rc < 0)
		return rc;
	if (!seed && !d->hostname && !d->instance_id)
		return detect_step(d, e, where, "a NoCloud medium is to be there, and is not");
	if (!seed) {
		rc = make_meta_data(d, e);
		if (rc == 0)
			rc = detect_step(d, e, where, "nocloud, all in these words");
		return rc < 0 ? rc : detect_found(d, "nocloud", MEDIA_DOCS, where, e);
	}
	if (http_url_parse(seed, &u, &mine) < 0)
		return detect_step(d, e, where, "nocloud: %s", mine.msg);
	d->url = str_format("%s%s", seed, str_has_suffix(seed, "/") ? "" : "/");
	if (!d->url)
		return err_nomem(e);
	rc = detect_step(d, e, where, "nocloud at %s%s", d->url,
			 o->network ? "" : ", when the network is there");
	return rc < 0 || !o->network ? rc : detect_found(d, "nocloud", MEDIA_HTTP, d->url, e);
}

/* The last word "ds=..." or "ci.ds=..." of the command line. */
static char *find_word(char *line)
{
	char *save = NULL, *found = NULL;

	for (char *w = strtok_r(line, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
		if (str_has_prefix(w, "ds="))
			found = w + 3;
		else if (str_has_prefix(w, "ci.ds="))
			found = w + 6;
	}
	return found;
}

int detect_hints(const struct detect_opts *o, struct detection *d, struct err *e)
{
	AUTO_BUF line = BUF_INIT, serial = BUF_INIT;
	char *word = NULL;
	int rc;

	if (read_sys(o->g, "/proc/cmdline", &line) && line.len)
		word = find_word(line.data);
	if (word) {
		rc = take_hint(o, d, "/proc/cmdline", word, e);
		if (rc != 0)
			return rc;
	}
	if (!read_dmi(o->g, "product_serial", &serial) || !str_has_prefix(buf_str(&serial), "ds="))
		return 0;
	return take_hint(o, d, "serial number", serial.data + 3, e);
}
