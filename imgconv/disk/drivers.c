/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a guest finds its disk on a virtual machine of KVM: which drivers are in its kernel, or
 * in the initrd. Three places say so: /lib/modules/VERSION/modules.builtin (names the modules that
 * are in the kernel), /boot/config-VERSION (what was set to y, or to m), and the names in the initrd.
 * A driver that is a module, and not in the initrd, comes too late: it lies on the disk.
 */
#include "imgconv/disk/drivers.h"

#include <stdio.h>
#include <sys/stat.h>

#include "imgconv/disk/initrd.h"
#include "lib/str.h"

#define CONFIG_MAX MIB
#define BUILTIN_MAX MIB
/* Of an initrd (see initrd.h): what is done in some 30 ms, and all that can be asked for. */
#define INITRD_QUICK (32 * MIB)
#define INITRD_DEEP (4 * GIB)
#define INITRD_MAX GIB /* the file itself */

static const struct driver {
	const char *name;    /* of the module, with '_' for '-' */
	const char *options; /* of the configuration, with a space behind each */
} drivers[BOOT_DRIVERS] = {
	[BOOT_VIRTIO_PCI] = {"virtio_pci", "CONFIG_VIRTIO_PCI "},
	[BOOT_VIRTIO_BLK] = {"virtio_blk", "CONFIG_VIRTIO_BLK "},
	[BOOT_VIRTIO_SCSI] = {"virtio_scsi", "CONFIG_SCSI_VIRTIO "},
	[BOOT_VIRTIO_NET] = {"virtio_net", "CONFIG_VIRTIO_NET "},
	[BOOT_SD_MOD] = {"sd_mod", "CONFIG_BLK_DEV_SD "},
	[BOOT_AHCI] = {"ahci", "CONFIG_SATA_AHCI "},
	[BOOT_NVME] = {"nvme", "CONFIG_BLK_DEV_NVME "},
	[BOOT_ATA_PIIX] = {"ata_piix", "CONFIG_ATA_PIIX "},
	[BOOT_IDE_PIIX] = {"piix", "CONFIG_BLK_DEV_PIIX "},
	[BOOT_IDE_DISK] = {"ide_disk", "CONFIG_BLK_DEV_IDEDISK CONFIG_IDE_GD "},
	[BOOT_XEN_BLKFRONT] = {"xen_blkfront", "CONFIG_XEN_BLKDEV_FRONTEND "},
};

/* Other names of a module. */
static const struct alias {
	const char *name;
	enum boot_driver driver;
} aliases[] = {
	{"ide_gd_mod", BOOT_IDE_DISK},
	{"xenblk", BOOT_XEN_BLKFRONT},
};

/* All drivers in a row are needed. In the order of preference. */
static const struct bus {
	enum boot_bus bus;
	unsigned needs; /* bits of enum boot_driver */
} buses[] = {
	{BOOT_BUS_VIRTIO, 1u << BOOT_VIRTIO_PCI | 1u << BOOT_VIRTIO_BLK},
	{BOOT_BUS_VIRTIO_SCSI, 1u << BOOT_VIRTIO_PCI | 1u << BOOT_VIRTIO_SCSI | 1u << BOOT_SD_MOD},
	{BOOT_BUS_SATA, 1u << BOOT_AHCI | 1u << BOOT_SD_MOD},
	{BOOT_BUS_NVME, 1u << BOOT_NVME},
	{BOOT_BUS_IDE, 1u << BOOT_ATA_PIIX | 1u << BOOT_SD_MOD},
	{BOOT_BUS_IDE, 1u << BOOT_IDE_PIIX | 1u << BOOT_IDE_DISK},
};

const char *boot_kernel_kind_name(enum boot_kernel_kind kind)
{
	static const char *const names[] = {"unknown", "bzImage", "arm64", "zboot", "xen-pv"};

	return names[kind];
}

const char *boot_driver_name(enum boot_driver driver)
{
	return drivers[driver].name;
}

const char *boot_driver_state_name(enum boot_driver_state state)
{
	static const char *const names[] = {"unknown", "absent", "module", "initrd", "builtin"};

	return names[state];
}

const char *boot_bus_name(enum boot_bus bus)
{
	static const char *const names[] = {"unknown", "none", "virtio", "virtio-scsi",
					    "sata",    "nvme", "ide"};

	return names[bus];
}

void boot_verdict_release(struct boot_verdict *v)
{
	free(v->version);
	free(v->why);
	*v = (struct boot_verdict){0};
}

const char *kernel_version_of(const char *path)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	return str_has_prefix(base, "vmlinuz-") && base[8] ? base + 8 : NULL;
}

char kernel_config_value(const char *config, const char *option)
{
	size_t len = strlen(option);

	for (const char *s = config; (s = strstr(s, option)); s += len) {
		if ((s == config || s[-1] == '\n') && s[len] == '=' &&
		    (s[len + 1] == 'y' || s[len + 1] == 'm'))
			return s[len + 1];
	}
	return 0;
}

/* ---- what is where --------------------------------------------------------------------------- */

struct judge {
	const struct kernel_place *place;
	struct drivers_found found;
	bool has_builtin, has_list;
	unsigned builtin, in_initrd, modules; /* bits of enum boot_driver */
	unsigned wanted;   /* once all of these are found, no more is read of the initrd */
	bool initrd_known; /* all of its names were seen, or there is none */
};

/* The driver of "kernel/drivers/block/virtio_blk.ko.xz" or "xen-blkfront.ko"; BOOT_DRIVERS: none. */
static unsigned driver_of(const char *path, size_t len)
{
	const char *base = memrchr(path, '/', len);
	size_t skip = base ? (size_t)(base + 1 - path) : 0;
	char name[24];
	size_t n = 0, end;

	for (; skip + n < len && path[skip + n] != '.'; n++) {
		if (n == sizeof(name) - 1)
			return BOOT_DRIVERS;
		name[n] = path[skip + n];
		if (name[n] == '-')
			name[n] = '_';
	}
	name[n] = '\0';
	/* ".ko", and how it is compressed */
	end = len - skip - n;
	if (end < 3 || memcmp(path + skip + n, ".ko", 3) != 0 ||
	    (end > 3 && path[skip + n + 3] != '.'))
		return BOOT_DRIVERS;
	for (unsigned i = 0; i < BOOT_DRIVERS; i++) {
		if (strcmp(name, drivers[i].name) == 0)
			return i;
	}
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (strcmp(name, aliases[i].name) == 0)
			return aliases[i].driver;
	}
	return BOOT_DRIVERS;
}

/* Bits of the drivers that a list of modules names, one a line, up to a colon. */
static unsigned drivers_in(const char *text)
{
	unsigned found = 0;

	for (const char *s = text; *s;) {
		size_t line = strcspn(s, "\n");
		unsigned d = driver_of(s, strcspn(s, ":\n"));

		if (d < BOOT_DRIVERS)
			found |= 1u << d;
		s += line + (s[line] == '\n');
	}
	return found;
}

static bool read_text(struct guest_fs *fs, const char *folder, const char *version,
		      const char *name, size_t limit, struct buf *out)
{
	AUTO_FREE char *path = str_format("%s%s%s", folder, version, name);

	buf_clear(out);
	return path && guest_fs_read_file(fs, path, limit, out, NULL) >= 0 && out->len;
}

static void read_lists(struct judge *j, const char *version)
{
	const struct kernel_place *p = j->place;
	AUTO_FREE char *config = str_format("%s/config-", p->boot);
	AUTO_BUF text = BUF_INIT;

	if (config)
		read_text(p->fs, config, version, "", CONFIG_MAX, &j->found.config);
	if (!p->root)
		return;
	j->has_builtin = read_text(p->root, "/lib/modules/", version, "/modules.builtin",
				   BUILTIN_MAX, &text);
	if (j->has_builtin)
		j->builtin = drivers_in(buf_str(&text));
	/* What are modules is known from the configuration; else from their list. */
	if (!j->found.config.len) {
		j->has_list = read_text(p->root, "/lib/modules/", version, "/modules.dep",
					4 * BUILTIN_MAX, &text);
		if (j->has_list)
			j->modules = drivers_in(buf_str(&text));
	}
}

/* What the configuration says of a driver that can have several options. */
static char config_state(const struct judge *j, const struct driver *d)
{
	char found = 0;

	for (const char *s = d->options; *s;) {
		size_t len = strcspn(s, " ");
		char option[40];
		char value;

		snprintf(option, sizeof(option), "%.*s", (int)len, s);
		value = kernel_config_value(buf_str(&j->found.config), option);
		if (value && found != 'y')
			found = value;
		s += len + 1;
	}
	return found;
}

/* ---- the initrd ------------------------------------------------------------------------------ */

static int read_piece(void *ctx, void *buf, size_t len, uint64_t off, size_t *ret, struct err *e)
{
	return guest_file_read(ctx, buf, len, off, ret, e);
}

static bool see_name(void *ctx, const char *name)
{
	struct judge *j = ctx;
	unsigned d = driver_of(name, strlen(name));

	if (d < BOOT_DRIVERS)
		j->in_initrd |= 1u << d;
	return !(j->wanted & ~j->in_initrd);
}

/* Why the initrd is not known; a message of its own, or that of an error. */
static int set_why(struct judge *j, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int set_why(struct judge *j, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (j->found.why)
		return 0;
	va_start(ap, fmt);
	n = vasprintf(&j->found.why, fmt, ap);
	va_end(ap);
	if (n < 0) {
		j->found.why = NULL;
		return err_nomem(e);
	}
	return 0;
}

static int read_initrd(struct judge *j, unsigned flags, struct err *e)
{
	AUTO(guest_file_close) struct guest_file *f = NULL;
	struct initrd_source source = {.read = read_piece};
	struct initrd_walk walk = {
		.limit = flags & BOOT_DEEP ? INITRD_DEEP : INITRD_QUICK,
		.seen = see_name,
		.ctx = j,
	};
	struct initrd_report report = {.compression = "unknown"};
	struct err why = {0};
	int rc;

	rc = guest_file_open(j->place->fs, j->place->initrd, &f, &why);
	if (rc >= 0) {
		source.ctx = f;
		source.size = guest_file_size(f);
		rc = source.size <= INITRD_MAX
			     ? initrd_walk(&source, &walk, &report, &why)
			     : err_set(&why, EFBIG, "initrd: %llu bytes are more than it can have",
				       (unsigned long long)source.size);
	}
	snprintf(j->found.verdict.compression, sizeof(report.compression), "%s",
		 report.compression);
	if (rc == -ENOMEM || rc == -ECANCELED) {
		if (e)
			*e = why;
		return rc;
	}
	j->initrd_known = rc >= 0 && report.whole;
	if (rc < 0)
		return set_why(j, e, "%s", why.msg);
	if (!report.whole)
		return set_why(j, e, "only the first %llu MiB of the initrd were looked at%s",
			       (unsigned long long)(report.read / MIB),
			       flags & BOOT_DEEP ? "" : " (--deep looks at all of it)");
	return 0;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static enum boot_driver_state state_of(const struct judge *j, unsigned d)
{
	char config = config_state(j, &drivers[d]);
	unsigned bit = 1u << d;
	bool module = config == 'm' || j->modules & bit;

	if (config == 'y' || j->builtin & bit)
		return BOOT_DRIVER_BUILTIN;
	if (j->in_initrd & bit)
		return BOOT_DRIVER_INITRD;
	if (j->found.config.len && !config)
		return BOOT_DRIVER_ABSENT;
	if (!j->initrd_known)
		return BOOT_DRIVER_UNKNOWN;
	if (module)
		return BOOT_DRIVER_MODULE;
	return j->has_builtin && j->has_list ? BOOT_DRIVER_ABSENT : BOOT_DRIVER_UNKNOWN;
}

static bool is_usable(enum boot_driver_state s)
{
	return s == BOOT_DRIVER_BUILTIN || s == BOOT_DRIVER_INITRD;
}

/* The first bus whose drivers are all there, else whether there could be one. */
static enum boot_bus choose_bus(const struct boot_verdict *v, const struct bus **ret)
{
	enum boot_bus result = BOOT_BUS_NONE;

	*ret = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
		bool usable = true, possible = true;

		for (unsigned d = 0; d < BOOT_DRIVERS; d++) {
			if (!(buses[i].needs >> d & 1))
				continue;
			usable &= is_usable(v->drivers[d]);
			possible &=
				is_usable(v->drivers[d]) || v->drivers[d] == BOOT_DRIVER_UNKNOWN;
		}
		if (usable) {
			*ret = &buses[i];
			return buses[i].bus;
		}
		if (possible)
			result = BOOT_BUS_UNKNOWN;
	}
	return result;
}

/* "virtio_pci in the kernel, virtio_blk in the initrd" */
static int explain_bus(const struct boot_verdict *v, const struct bus *bus, struct buf *out)
{
	int rc = 0;

	for (unsigned d = 0; d < BOOT_DRIVERS && rc >= 0; d++) {
		if (bus->needs >> d & 1)
			rc = buf_addf(out, "%s%s in the %s", out->len ? ", " : "", drivers[d].name,
				      v->drivers[d] == BOOT_DRIVER_BUILTIN ? "kernel" : "initrd");
	}
	return rc;
}

/* "virtio_blk and ata_piix are modules, but not in the initrd", or that there is nothing. */
static int explain_none(const struct judge *j, const struct boot_verdict *v, struct buf *out)
{
	unsigned n = 0;
	int rc = buf_adds(out, "there is no driver for a disk of KVM in the kernel");

	if (rc >= 0 && j->place->initrd)
		rc = buf_adds(out, " or the initrd");
	for (unsigned d = 0; d < BOOT_DRIVERS && rc >= 0; d++) {
		if (v->drivers[d] == BOOT_DRIVER_MODULE && d != BOOT_VIRTIO_NET)
			rc = buf_addf(out, "%s%s", n++ ? ", " : " (modules on the disk itself: ",
				      drivers[d].name);
	}
	if (rc >= 0 && n)
		rc = buf_addc(out, ')');
	return rc;
}

static int decide(struct judge *j, struct err *e)
{
	struct boot_verdict *v = &j->found.verdict;
	AUTO_BUF why = BUF_INIT;
	const struct bus *bus;
	int rc = 0;

	for (unsigned d = 0; d < BOOT_DRIVERS; d++)
		v->drivers[d] = state_of(j, d);
	v->bus = choose_bus(v, &bus);
	if (bus)
		rc = explain_bus(v, bus, &why);
	else if (v->bus == BOOT_BUS_NONE)
		rc = explain_none(j, v, &why);
	else
		rc = buf_adds(&why,
			      j->found.why ? j->found.why
					   : "neither /boot/config-* nor modules.builtin says what "
					     "is in the kernel");
	v->why = rc < 0 ? NULL : buf_detach(&why);
	return v->why ? 0 : err_nomem(e);
}

static int set_version(struct judge *j, struct err *e)
{
	AUTO_FREE char *real = NULL;
	struct boot_verdict *v = &j->found.verdict;
	const char *version = *j->found.image.version ? j->found.image.version : NULL;

	if (!version && guest_fs_realpath(j->place->fs, j->place->kernel, &real, NULL) >= 0)
		version = kernel_version_of(real);
	if (!version || !kernel_version_is_plain(version))
		return 0;
	v->version = strdup(version);
	return v->version ? 0 : err_nomem(e);
}

/* What is in the kernel, or was left out of it, is not looked for in the initrd. */
static unsigned wanted_of_initrd(const struct judge *j, unsigned flags)
{
	/* To be told quickly, virtio is enough. */
	unsigned wanted = flags & BOOT_DEEP ? (1u << BOOT_DRIVERS) - 1
					    : 1u << BOOT_VIRTIO_PCI | 1u << BOOT_VIRTIO_BLK |
						      1u << BOOT_VIRTIO_SCSI;

	for (unsigned d = 0; d < BOOT_DRIVERS; d++) {
		if (j->found.config.len && config_state(j, &drivers[d]) != 'm')
			wanted &= ~(1u << d);
	}
	return wanted & ~j->builtin;
}

static int judge(struct judge *j, unsigned flags, struct err *e)
{
	struct boot_verdict *v = &j->found.verdict;
	AUTO_BUF head = BUF_INIT;
	int rc = guest_fs_read_head(j->place->fs, j->place->kernel, KERNEL_HEAD, &head, e);

	if (rc < 0)
		return err_wrap(e, "kernel");
	kernel_image_parse(head.data, head.len, &j->found.image);
	v->kind = j->found.image.kind;
	v->efi_stub = j->found.image.efi_stub;
	rc = set_version(j, e);
	if (rc < 0)
		return rc;
	if (v->version)
		read_lists(j, v->version);
	else
		rc = set_why(j, e, "the kernel does not say its version");
	j->wanted = wanted_of_initrd(j, flags);
	if (rc >= 0 && j->place->initrd && j->wanted)
		rc = read_initrd(j, flags, e);
	return rc < 0 ? rc : decide(j, e);
}

void drivers_found_release(struct drivers_found *f)
{
	boot_verdict_release(&f->verdict);
	buf_release(&f->config);
	free(f->why);
	*f = (struct drivers_found){0};
}

int drivers_judge(const struct kernel_place *place, unsigned flags, struct drivers_found *ret,
		  struct err *e)
{
	struct judge j = {.place = place, .initrd_known = !place->initrd};
	int rc = judge(&j, flags, e);

	if (rc < 0)
		drivers_found_release(&j.found);
	else
		*ret = j.found;
	return rc;
}
