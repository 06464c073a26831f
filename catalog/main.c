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
		.help = "      --name NAME             name in the store (default: by its id)\n"
			"      --private-key FILE      opens EC2 bundles (PEM; default "
			"$EC2_PRIVATE_KEY)\n"
			"      --cert FILE             checks a bundle's signature (default "
			"$EC2_CERT)\n"
			"      --require-signature     refuse a bundle whose signature is not "
			"checked\n"
			"      --inject-ctxd           put ctxd into the guest: a context ISO is "
			"enough then\n"
			"      --overlay DIR|TAR       lay files over the guest's root; "
			"repeatable\n"
			"      --no-bootable           leave a bare partition without a boot "
			"loader\n"
			"      --compress zlib|zstd    compress the disk (not resumable in parts)\n"
			"      --copy                  copy an AMI that cannot be read otherwise; "
			"the copy is\n"
			"                              removed at the end\n"
			"      --workers N             parallel downloads\n"
			"      --timeout SECONDS       of all of it; what was fetched is kept\n"
			"      --attempt-timeout SECONDS\n"
			"                              of one request\n"
			"  -o, --output text|json      print the image's record\n" CLOUD_HELP
				STORE_HELP,
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
		.help = "      --to ec2|s3|glance|file where to; NAME is the new image's there\n"
			"      --format FMT            of an image file (default: qcow2)\n"
			"      --compress zlib|zstd    compress the image file\n"
			"      --description TEXT\n"
			"      --architecture ARCH     x86_64 or arm64, in place of what is known\n"
			"      --boot-mode MODE        ec2: legacy-bios, uefi, uefi-preferred\n"
			"      --parent SNAPSHOT       ec2: send only what differs from a snapshot "
			"made before\n"
			"      --bundle URL            ec2: a bundle at s3://BUCKET[/PREFIX], not "
			"a "
			"snapshot\n"
			"      --private-key FILE      signs the bundle (PEM; default "
			"$EC2_PRIVATE_KEY)\n"
			"      --cert FILE             whose owner can open the bundle (default "
			"$EC2_CERT)\n"
			"      --ec2cert FILE          the cloud's certificate, so that it can\n"
			"      --user ACCOUNT          number of the bundle's account (default "
			"$EC2_USER_ID)\n"
			"      --acl ACL               canned ACL in S3, or none (default of "
			"bundles:\n"
			"                              aws-exec-read)\n"
			"      --no-register           the snapshot or bundle alone, no AMI\n"
			"      --force                 replace a file or object that is there\n"
			"      --workers N             parallel uploads\n"
			"      --profile NAME          profile of the AWS configuration files\n"
			"      --region NAME           region to send it to\n"
			"      --endpoint-url URL      a compatible cloud's endpoint, for every "
			"service\n"
			"      --source NAME           the cloud of that source (catalog source "
			"list)\n"
			"  -o, --output text|json\n" STORE_HELP,
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
		.help = "      --for KIND              libvirt (virsh define), qemu and proxmox "
			"(shell "
			"scripts),\n"
			"                              opennebula (onetemplate create), "
			"opennebula-image\n"
			"                              (oneimage create)\n"
			"      --memory SIZE           default 1G\n"
			"      --cpus N                default 2\n"
			"      --disk PATH             of the first disk, as the other host has "
			"it\n"
			"      --iso PATH              a context ISO there, in place of "
			"169.254.169.254\n"
			"      --instance FILE         qemu: answer 169.254.169.254 by "
			"metadata-server\n"
			"      --network NAME          libvirt, opennebula: its network\n"
			"      --uuid UUID             of the machine (default: random, as EC2 has "
			"it)\n"
			"      --firmware auto|bios|uefi\n"
			"                              auto: what the image boots by\n"
			"      --accel auto|kvm|tcg    auto: for qemu what works here, else "
			"KVM\n" STORE_HELP,
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
