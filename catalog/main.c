/* SPDX-License-Identifier: Apache-2.0 */
/* catalog: finds images of other clouds, brings them home, runs them. */
#include "catalog/commands.h"
#include "catalog/run.h"

static const struct cli_command commands[] = {
	{
		.name = "search",
		.args = "WORD|FIELD=PATTERN...",
		.summary = "find images in what the sources offer",
		.help = "      --all                   older ones, too, not the newest of a kind "
			"alone\n"
			"      --amis                  AMIs that a source knows to be its own, "
			"too\n"
			"  -o, --output text|json\n" CLOUD_HELP,
		.run = cmd_search,
	},
	{
		.name = "list",
		.args = "[--owner WHO]... [--filter NAME=VALUE]... [SOURCE]...",
		.summary = "list the images that the sources offer",
		.help = "      --owner WHO             of EC2: self (default), amazon, an "
			"account's "
			"number, all\n"
			"      --filter NAME=VALUE     of EC2: as DescribeImages has them; * and ? "
			"match\n"
			"      --all                   older ones, too, not the newest of a kind "
			"alone\n"
			"  -o, --output text|json\n" CLOUD_HELP,
		.run = cmd_list,
	},
	{
		.name = "source",
		.args = "list|types|add NAME TYPE [KEY=VALUE]...|rm NAME",
		.summary = "say where images come from",
		.help = "  -o, --output text|json\n",
		.run = cmd_source,
	},
	{
		.name = "show",
		.args = "IMAGE",
		.summary = "show what is known about an image of a source or of the store",
		.help = "  -o, --output text|json\n" CLOUD_HELP STORE_HELP,
		.run = cmd_show,
	},
	{
		.name = "import",
		.args = "IMAGE",
		.summary = "fetch an image, verify it, make it bootable here, keep it in the store",
		.help = cmd_import_help,
		.run = cmd_import,
	},
	{
		.name = "images",
		.args = "",
		.summary = "list the images of the store",
		.help = "  -o, --output text|json\n" STORE_HELP,
		.run = cmd_images,
	},
	{
		.name = "rm",
		.args = "IMAGE...",
		.summary = "remove images from the store",
		.help = STORE_HELP,
		.run = cmd_rm,
	},
	{
		.name = "tag",
		.args = "IMAGE NAME",
		.summary = "give an image of the store another name",
		.help = STORE_HELP,
		.run = cmd_tag,
	},
	{
		.name = "clone",
		.args = "IMAGE NAME",
		.summary = "make a copy-on-write clone of an image, in milliseconds",
		.help = "      --disk-size SIZE        grow the first disk to SIZE\n"
			"  -o, --output text|json\n" STORE_HELP,
		.run = cmd_clone,
	},
	{
		.name = "commit",
		.args = "CLONE NAME",
		.summary = "make an image of a clone as it is now",
		.help = "      --flatten               copy it: the image needs no base "
			"then\n" STORE_HELP,
		.run = cmd_commit,
	},
	{
		.name = "export",
		.args = "IMAGE --to ec2|s3|glance|file [NAME|URL|PATH]",
		.summary = "make an image of a cloud, or a file, of an image of the store",
		.help = cmd_export_help,
		.run = cmd_export,
	},
	{
		.name = "verify",
		.args = "[IMAGE...]",
		.summary = "check records, digests and disks of the store",
		.help = "      --quick                 do not read the disks' data\n"
			"  -o, --output text|json\n" STORE_HELP,
		.run = cmd_verify,
	},
	{
		.name = "gc",
		.args = "",
		.summary = "remove what nothing in the store refers to",
		.help = "      --dry-run               tell only\n"
			"      --partial               interrupted imports that could be gone on "
			"with, too\n"
			"  -o, --output text|json\n" STORE_HELP,
		.run = cmd_gc,
	},
	{
		.name = "template",
		.args = "IMAGE --for libvirt|qemu|opennebula|opennebula-image|proxmox",
		.summary = "print a definition of a virtual machine that boots an image",
		.help = cmd_template_help,
		.run = cmd_template,
	},
	{
		.name = "run",
		.args = "IMAGE",
		.summary = "boot a copy-on-write clone of an image in QEMU, without root",
		.help = RUN_HELP STORE_HELP,
		.run = cmd_run,
	},
	{0},
};

int main(int argc, char **argv)
{
	static const struct cli_program catalog = {
		.name = "catalog",
		.about = "Finds images of other clouds, brings them home, runs them.",
		.features =
			"sources: ec2, ebs, s3, ssm, simplestreams, opennebula, glance, directory; "
			"deliveries: s3-bundle, ebs, file",
		.commands = commands,
	};

	return cli_main(&catalog, argc, argv);
}
