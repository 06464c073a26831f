/* SPDX-License-Identifier: Apache-2.0 */
/* catalog template: a definition of a virtual machine that boots an image. */
#include <stdio.h>

#include "catalog/commands.h"
#include "catalog/template.h"
#include "lib/str.h"

#define MEMORY_MIN (64 * MIB)

enum {
	OPT_FOR = OPT_OTHER,
	OPT_MEMORY,
	OPT_CPUS,
	OPT_DISK,
	OPT_ISO,
	OPT_INSTANCE,
	OPT_NETWORK,
	OPT_UUID,
	OPT_FIRMWARE,
	OPT_ACCEL,
};

struct args {
	struct template_opts opts;
	const struct template_type *type;
	const char *store_dir;
};

static int take_type(struct args *a, struct err *e)
{
	for (size_t i = 0; template_types[i]; i++) {
		if (strcmp(template_types[i]->name, optarg) == 0) {
			a->type = template_types[i];
			return 0;
		}
	}
	return err_set(e, EINVAL,
		       "'%s' is not one of libvirt, qemu, opennebula, "
		       "opennebula-image, proxmox",
		       optarg);
}

static int take_number(struct args *a, int opt, struct err *e)
{
	uint64_t n;
	int rc;

	if (opt == OPT_MEMORY) {
		rc = str_to_size(optarg, &a->opts.memory, e);
		if (rc == 0 && a->opts.memory < MEMORY_MIN)
			rc = err_set(e, ERANGE, "a guest's memory is at least 64M");
		return rc;
	}
	rc = str_to_u64(optarg, 1, 255, &n, e);
	if (rc == 0)
		a->opts.cpus = (unsigned)n;
	return rc;
}

static int take_option(struct args *a, int opt, struct err *e)
{
	const struct {
		int opt;
		const char **where;
	} texts[] = {
		{OPT_STORE, &a->store_dir},      {OPT_DISK, &a->opts.disk},
		{OPT_ISO, &a->opts.iso},         {OPT_INSTANCE, &a->opts.instance},
		{OPT_NETWORK, &a->opts.network}, {OPT_UUID, &a->opts.uuid},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (texts[i].opt == opt) {
			*texts[i].where = optarg;
			return 0;
		}
	}
	if (opt == OPT_FOR)
		return take_type(a, e);
	if (opt == OPT_ACCEL)
		return run_take_accel(optarg, &a->opts.accel, e);
	return opt == OPT_FIRMWARE ? run_take_firmware(optarg, &a->opts.firmware, e)
				   : take_number(a, opt, e);
}

static int print(struct args *a, struct err *e)
{
	AUTO(store_free) struct store *store = NULL;
	AUTO(template_release) struct template t = {0};
	AUTO_BUF text = BUF_INIT;
	int rc = store_open(a->store_dir, &store, e);

	if (rc == 0)
		rc = template_open(store, &a->opts, &t, e);
	if (rc == 0 && !a->type->nvme && strcmp(t.vm.bus, "nvme") == 0)
		rc = err_set(e, ENOTSUP,
			     "'%s' finds its disk by NVMe alone: machines of %s cannot have such "
			     "disks, those of qemu can (--for qemu)",
			     a->opts.image, a->type->name);
	/* So the many small pieces of a definition cannot fail one by one. */
	if (rc == 0 && buf_reserve(&text, MIB) < 0)
		rc = err_nomem(e);
	if (rc == 0)
		rc = a->type->write(&t, &text, e);
	if (rc == 0)
		fwrite(text.data, 1, text.len, stdout);
	return rc;
}

const char cmd_template_help[] =
	"      --for KIND              libvirt (virsh define), qemu and proxmox (shell scripts),\n"
	"                              opennebula (onetemplate create), opennebula-image\n"
	"                              (oneimage create)\n"
	"      --memory SIZE           default 1G\n"
	"      --cpus N                default 2\n"
	"      --disk PATH             of the first disk, as the other host has it\n"
	"      --iso PATH              a context ISO there, in place of 169.254.169.254\n"
	"      --instance FILE         qemu: answer 169.254.169.254 by metadata-server\n"
	"      --network NAME          libvirt, opennebula: its network\n"
	"      --uuid UUID             of the machine (default: random, as EC2 has it)\n"
	"      --firmware auto|bios|uefi\n"
	"                              auto: what the image boots by\n"
	"      --accel auto|kvm|tcg    auto: for qemu what works here, else KVM\n" STORE_HELP;

int cmd_template(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		STORE_OPTION,
		{"for", required_argument, NULL, OPT_FOR},
		{"memory", required_argument, NULL, OPT_MEMORY},
		{"cpus", required_argument, NULL, OPT_CPUS},
		{"disk", required_argument, NULL, OPT_DISK},
		{"iso", required_argument, NULL, OPT_ISO},
		{"instance", required_argument, NULL, OPT_INSTANCE},
		{"network", required_argument, NULL, OPT_NETWORK},
		{"uuid", required_argument, NULL, OPT_UUID},
		{"firmware", required_argument, NULL, OPT_FIRMWARE},
		{"accel", required_argument, NULL, OPT_ACCEL},
		{0},
	};
	struct args a = {0};
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "", longopts)) >= 0) {
		if (take_option(&a, opt, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (!a.type)
		return cli_usage(self, "--for is expected");
	if (optind + 1 != argc)
		return cli_usage(self, "one image is expected");
	if (template_check(a.type, &a.opts, &e) < 0)
		return cli_usage(self, "%s", e.msg);
	a.opts.image = argv[optind];
	if (print(&a, &e) < 0)
		return cli_fail(&e);
	return cli_finish(EXIT_OK);
}
