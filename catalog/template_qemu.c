/* SPDX-License-Identifier: Apache-2.0 */
/* A shell script that starts QEMU, without root; its arguments go to QEMU as well. */
#include "catalog/template.h"

#define NIC_MAC "02:00:a9:fe:0a:0a" /* its address follows from QEMU's own DHCP server */

/* What QEMU runs for a connection to 169.254.169.254. */
static int add_metadata(const struct template *t, struct vm *vm, struct err *e)
{
	AUTO_FREE char *instance = NULL;

	if (!t->opts->instance)
		return 0;
	instance = realpath(t->opts->instance, NULL);
	if (!instance)
		return err_errno(e, errno, "'%s'", t->opts->instance);
	return shell_metadata(instance, NULL, &vm->metadata, e);
}

static int put_args(const struct vm_args *a, struct buf *out, struct err *e)
{
	int rc = buf_adds(out, "exec ") < 0 ? err_nomem(e) : 0;

	for (size_t i = 0; rc == 0 && i < a->n; i++) {
		/* An option on a line of its own, with its value. */
		if (i && buf_adds(out, *a->v[i] == '-' ? " \\\n    " : " ") < 0)
			return err_nomem(e);
		rc = shell_word(out, a->v[i], e);
	}
	return rc < 0 || buf_adds(out, " \\\n    \"$@\"\n") < 0 ? err_nomem(e) : 0;
}

static int put_head(const struct template *t, struct buf *out, struct err *e)
{
	int rc = buf_addf(out, "#!/bin/sh\n# Boots the image '%s' of %s.\n", t->opts->image,
			  "catalog(1) in QEMU; more options can be given");

	if (rc == 0 && t->vm.snapshot)
		rc = buf_adds(out,
			      "# What the guest changes is dropped at its end; to keep it, make "
			      "a clone (catalog clone).\n");
	return rc < 0 ? err_nomem(e) : 0;
}

static int write_qemu(const struct template *t, struct buf *out, struct err *e)
{
	AUTO(vm_args_release) struct vm_args a = {0};
	struct vm vm = t->vm;
	const char *why;
	int rc = add_metadata(t, &vm, e);

	if (rc < 0)
		return rc;
	vm.kvm = t->opts->accel == RUN_KVM ||
		 (t->opts->accel == RUN_AUTO && kvm_works(vm.arm64, &why));
	memcpy(vm.mac, NIC_MAC, sizeof(NIC_MAC));
	qemu_args(&a, &vm);
	vm_arg(&a, "-serial", "mon:stdio");
	free(vm.metadata);
	if (a.failed)
		return err_nomem(e);
	rc = put_head(t, out, e);
	return rc < 0 ? rc : put_args(&a, out, e);
}

const struct template_type template_qemu = {
	.name = "qemu",
	.write = write_qemu,
	.options = "--memory --cpus --disk --iso --instance --uuid --firmware --accel",
	.nvme = true,
};
