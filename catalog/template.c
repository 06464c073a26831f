/* SPDX-License-Identifier: Apache-2.0 */
/* What definitions of virtual machines are made of: see catalog/template.h. */
#include "catalog/template.h"

#include <stdio.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/str.h"

const struct template_type *const template_types[] = {
	&template_libvirt,          &template_qemu,    &template_opennebula,
	&template_opennebula_image, &template_proxmox, NULL,
};

int template_check(const struct template_type *t, const struct template_opts *o, struct err *e)
{
	const struct {
		const char *name;
		bool given;
	} options[] = {
		{"--memory", o->memory != 0},        {"--cpus", o->cpus != 0},
		{"--disk", o->disk != NULL},         {"--iso", o->iso != NULL},
		{"--instance", o->instance != NULL}, {"--network", o->network != NULL},
		{"--uuid", o->uuid != NULL},         {"--firmware", o->firmware != NULL},
		{"--accel", o->accel != RUN_AUTO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].given && !str_has_word(t->options, options[i].name))
			return err_set(e, EINVAL, "%s has no effect with --for %s, which takes %s",
				       options[i].name, t->name, t->options);
	}
	if (o->instance && o->iso)
		return err_set(e, EINVAL, "--instance and --iso: it is one or the other");
	/* libvirt takes any text, and fails when the machine starts. */
	if (t == &template_libvirt && o->iso && *o->iso != '/')
		return err_set(e, EINVAL, "'%s' is no absolute path, which libvirt needs", o->iso);
	if (t == &template_libvirt && o->disk && *o->disk != '/')
		return err_set(e, EINVAL, "'%s' is no absolute path, which libvirt needs", o->disk);
	return 0;
}

void template_release(struct template *t)
{
	value_free(t->record);
	facts_release(&t->facts);
	vm_release(&t->vm);
}

static int take_disks(struct template *t, struct err *e)
{
	unsigned n_disks = 0;
	int rc = store_count_disks(t->store, t->opts->image, &n_disks, e);

	for (unsigned n = 0; rc == 0 && n < n_disks; n++) {
		AUTO(store_disk_release) struct store_disk d = {0};
		AUTO_FREE char *base = NULL;
		bool given = n == 0 && t->opts->disk;

		rc = store_find_disk(t->store, t->opts->image, n, &d, e);
		if (rc == 0 && d.kind != STORE_DISK_OLD && !given)
			rc = store_disk_base(t->store, d.file, &base, e);
		if (rc < 0)
			return rc;
		t->layered |= base != NULL;
		/* What was given is the user's to be written to. */
		t->vm.snapshot |= d.kind != STORE_DISK_CLONE && !given;
		t->vm.keep = !t->vm.snapshot;
		t->vm.disks[n] = given ? strdup(t->opts->disk) : realpath(d.path, NULL);
		if (!t->vm.disks[n])
			return err_errno(e, errno, "'%s'", d.path);
		t->vm.n_disks = n + 1;
	}
	return rc;
}

static int check_uuid(const char *s, struct err *e)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	bool ok = strlen(s) == strlen(form);

	for (size_t i = 0; ok && form[i]; i++)
		ok = form[i] == '-' ? s[i] == '-' : strchr("0123456789abcdef", s[i]) != NULL;
	return ok ? 0 : err_set(e, EINVAL, "'%s' is no UUID in lower case", s);
}

int template_open(struct store *s, const struct template_opts *o, struct template *ret,
		  struct err *e)
{
	int rc = o->uuid ? check_uuid(o->uuid, e) : 0;

	*ret = (struct template){.store = s, .opts = o};
	if (rc == 0)
		rc = store_record(s, o->image, &ret->record, e);
	if (rc == 0)
		rc = take_disks(ret, e);
	if (rc == 0)
		rc = facts_read(s, o->image, &ret->facts, e);
	if (rc == 0)
		rc = firmware_choose(&ret->facts, ret->record, o->firmware, &ret->vm, e);
	if (rc == 0 && o->uuid)
		snprintf(ret->vm.uuid, sizeof(ret->vm.uuid), "%s", o->uuid);
	else if (rc == 0)
		rc = vm_make_uuid(ret->vm.uuid, e);
	if (rc < 0)
		return rc;
	ret->vm.memory = o->memory ? o->memory : GIB;
	ret->vm.cpus = o->cpus ? o->cpus : 2;
	/* An ISO says all that there is to say; else the guest is to look at 169.254.169.254. */
	ret->vm.ec2 = !o->iso;
	if (o->iso && !(ret->vm.iso = strdup(o->iso)))
		return err_nomem(e);
	if (!ret->facts.has_kernel)
		log_warn("no kernel was found in '%s': that it has virtio's drivers is assumed",
			 o->image);
	return 0;
}
