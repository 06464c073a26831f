/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What OpenNebula takes: a QCOW2, NAME.image for `oneimage create` and NAME.vm for `onetemplate
 * create`. After OpenNebula's references of image and virtual machine templates: NAME = "VALUE",
 * vectors in brackets, a quote within a value behind a backslash.
 */
#include <inttypes.h>

#include "bundle/format.h"
#include "lib/str.h"

#define DEFAULT_MEMORY (2 * GIB)

/* Appends; an error is kept, and found at the end. */
struct text {
	struct buf out;
	int rc;
};

static void put(struct text *t, const char *s)
{
	if (t->rc == 0)
		t->rc = buf_adds(&t->out, s);
}

/* KEY = "value" */
static void put_pair(struct text *t, const char *key, size_t key_len, const char *value)
{
	if (t->rc == 0)
		t->rc = buf_add(&t->out, key, key_len);
	put(t, " = \"");
	for (; *value && t->rc == 0; value++) {
		if (*value == '"' || *value == '\\')
			t->rc = buf_addc(&t->out, '\\');
		if (t->rc == 0)
			t->rc = buf_addc(&t->out, *value);
	}
	put(t, "\"");
}

static void put_line(struct text *t, const char *key, const char *value)
{
	put_pair(t, key, strlen(key), value);
	put(t, "\n");
}

static void put_number(struct text *t, const char *key, uint64_t v)
{
	if (t->rc == 0)
		t->rc = buf_addf(&t->out, "%s = \"%" PRIu64 "\"\n", key, v);
}

static const char *prefix(enum boot_bus bus)
{
	switch (bus) {
	case BOOT_BUS_VIRTIO_SCSI:
	case BOOT_BUS_SATA:
		return "sd";
	case BOOT_BUS_IDE:
		return "hd";
	default:
		return "vd";
	}
}

static int image_template(struct make *m, const struct machine *machine, struct text *t)
{
	put_line(t, "NAME", m->a->name);
	put_line(t, "TYPE", "OS");
	put_line(t, "PATH", (const char *)m->own);
	put_line(t, "FORMAT", "qcow2");
	put_line(t, "DEV_PREFIX", prefix(machine->bus));
	put_line(t, "PERSISTENT", "NO");
	if (machine->os)
		put_line(t, "DESCRIPTION", machine->os);
	return t->rc;
}

static int vm_template(struct make *m, const struct machine *machine, struct text *t)
{
	const struct make_args *a = m->a;
	const char *architecture = a->architecture ? a->architecture : machine->architecture;

	put_line(t, "NAME", a->name);
	put_number(t, "CPU", a->cpus ? a->cpus : 1);
	put_number(t, "VCPU", a->cpus ? a->cpus : 1);
	put_number(t, "MEMORY", (a->memory ? a->memory : DEFAULT_MEMORY) / MIB);
	put(t, "DISK = [ ");
	put_pair(t, "IMAGE", 5, a->name);
	put(t, " ]\nNIC_DEFAULT = [ ");
	put_pair(t, "MODEL", 5, machine->has_virtio_net ? "virtio" : "e1000");
	put(t, " ]\nOS = [ ");
	put_pair(t, "ARCH", 4, architecture ? architecture : "x86_64");
	if (machine->needs_uefi)
		put(t, ", FIRMWARE = \"/usr/share/OVMF/OVMF_CODE.fd\", FIRMWARE_SECURE = \"NO\", "
		       "MACHINE = \"q35\"");
	put(t, " ]\nGRAPHICS = [ TYPE = \"VNC\", LISTEN = \"0.0.0.0\" ]\n"
	       "CONTEXT = [\n  NETWORK = \"YES\",\n"
	       "  SSH_PUBLIC_KEY = \"$USER[SSH_PUBLIC_KEY]\"");
	for (size_t i = 0; i < a->n_properties; i++) {
		const char *equals = strchr(a->properties[i], '=');

		put(t, ",\n  ");
		put_pair(t, a->properties[i], (size_t)(equals - a->properties[i]), equals + 1);
	}
	put(t, " ]\n");
	return t->rc;
}

/* A variable of the context, as the guest's scripts know it. */
static bool is_variable(const char *s, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";

	return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == len && strchr(letters, s[0]);
}

/* own: where the image will lie, which `oneimage create` has to find. */
static int prepare(struct make *m, struct err *e)
{
	AUTO_FREE char *folder = NULL;
	const char *slash = strrchr(m->a->output, '/');
	AUTO_FREE char *given =
		slash ? strndup(m->a->output, (size_t)(slash + 1 - m->a->output)) : strdup(".");
	int rc = make_check_properties(m, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < m->a->n_properties; i++) {
		const char *p = m->a->properties[i];

		if (!is_variable(p, strcspn(p, "=")))
			return err_set(e, EINVAL,
				       "'%s': a variable of the context has upper-case letters, "
				       "digits and _",
				       p);
	}
	folder = given ? realpath(given, NULL) : NULL;
	if (!folder)
		return err_errno(e, errno, "'%s'", given ? given : "");
	m->own = path_join(folder, make_output_name(m));
	return m->own ? 0 : err_nomem(e);
}

static int run(struct make *m, struct err *e)
{
	AUTO(machine_release) struct machine machine = {0};
	struct image_create_opts o = {.compression = m->a->compress ? IMAGE_COMPRESS_ZLIB
								    : IMAGE_COMPRESS_NONE};
	struct text image = {0}, vm = {0};
	int rc = make_copy(m, "qcow2", &o, &machine, e);

	if (rc == 0 &&
	    (image_template(m, &machine, &image) < 0 || vm_template(m, &machine, &vm) < 0))
		rc = err_nomem(e);
	if (rc == 0)
		rc = make_text(m, ".image", image.out.data, image.out.len, e);
	if (rc == 0)
		rc = make_text(m, ".vm", vm.out.data, vm.out.len, e);
	buf_release(&image.out);
	buf_release(&vm.out);
	return rc;
}

static void release(struct make *m)
{
	free(m->own);
}

const struct bundle_format bundle_format_opennebula = {
	.name = "opennebula",
	.summary = "QCOW2 and the templates of image and machine",
	.most_images = 1,
	.prepare = prepare,
	.run = run,
	.release = release,
};
