/* SPDX-License-Identifier: Apache-2.0 */
/* bundle: images in the form in which clouds deliver them. */
#include "bundle/cmd.h"
#include "bundle/transfer.h"
#include "imgconv/args.h"

static const struct cli_command commands[] = {
	{
		"create",
		"--for FORMAT [OPTION]... IMAGE... OUTPUT",
		"make the form in which a cloud wants an image",
		"      --for FORMAT            ec2, ova, gce, azure, openstack or opennebula\n"
		"  -f, --format FMT            format of IMAGE (default: recognised by "
		"content)\n" OPEN_HELP
		"      --size SIZE             bytes of a raw disk that comes through a pipe\n"
		"  -j, --threads N             how many threads compress\n"
		"      --force                 replace files that exist\n"
		"  -p, --prefix NAME           name of the image and its files\n"
		"      --property KEY=VALUE    a property of the image (not ec2, gce, azure)\n"
		"  -c, --compress              compressed clusters (openstack, opennebula)\n"
		"      --cpus N                processors of the machine (default: 1)\n"
		"      --memory SIZE           memory of the machine (default: 2G)\n"
		"  -u, --user NUMBER           account, 12 digits (default: $EC2_USER_ID)\n"
		"  -r, --arch ARCH             machine type (default: x86_64)\n"
		"  -k, --key FILE              private key that signs (ec2, ova; ec2's default: "
		"$EC2_PRIVATE_KEY)\n"
		"      --cert FILE             the signer's certificate (ec2's default: "
		"$EC2_CERT)\n"
		"      --ec2cert FILE          the cloud's certificate (default: "
		"$EUCALYPTUS_CERT)\n"
		"      --kernel ID             kernel image\n"
		"      --ramdisk ID            ramdisk image\n"
		"      --kernel-name NAME      of an image of type kernel\n"
		"  -B, --block-device-mapping VIRTUAL=DEVICE,...\n"
		"                              devices of the instance\n"
		"      --productcodes CODE,... product codes\n"
		"      --type machine|kernel|ramdisk\n"
		"                              what it is (default: machine)\n"
		"      --style amazon|euca2ools\n"
		"                              whose manifest it looks like (default: euca2ools)\n"
		"      --dense                 no sparse archive (ec2, gce)\n"
		"      --one-member            one gzip member, for readers that stop after it\n"
		"      --part-size SIZE        bytes of a part (default: 10M)\n"
		"      --enc-key HEX           AES key (default: random)\n"
		"      --enc-iv HEX            AES initial vector (default: random)\n",
		cmd_create,
	},
	{
		"open",
		"[OPTION]... BUNDLE OUTPUT",
		"make an image out of what a cloud delivers",
		BUNDLE_HELP "  -O, --output-format FMT     format of OUTPUT (default: raw)\n"
			    "      --options KEY=VALUE,... of the format, as imgconv convert -o\n"
			    "  -c, --compress              compressed clusters (qcow2)\n"
			    "      --disk N                of several disks this one, from 1\n"
			    "      --max-output SIZE       most bytes of data that may come out\n"
			    "  -f, --force                 replace OUTPUT if it exists\n"
			    "of s3://BUCKET/MANIFEST also:\n" TRANSFER_HELP,
		cmd_open,
	},
	{
		"verify",
		"[OPTION]... BUNDLE",
		"check what a cloud delivers: signature, digests, structure",
		BUNDLE_HELP "of s3://BUCKET/MANIFEST also:\n" TRANSFER_HELP,
		cmd_verify,
	},
	{
		"info",
		"[OPTION]... BUNDLE",
		"show what a manifest or descriptor says",
		"  -o, --output text|json      how to show it\n"
		"of s3://BUCKET/MANIFEST also:\n" TRANSFER_HELP,
		cmd_info,
	},
	{
		"upload",
		"[OPTION]... FILE... s3://BUCKET[/PREFIX]",
		"send bundles for EC2 and other files to S3",
		TRANSFER_HELP
		"      --acl ACL               who may read it (default: of a bundle "
		"aws-exec-read;\n"
		"                              '', and of others: the bucket's default)\n"
		"  -d, --parts DIR             where the parts are (default: beside the "
		"manifest)\n",
		cmd_upload,
	},
	{
		"download",
		"[OPTION]... s3://BUCKET/KEY DIR",
		"fetch a bundle for EC2 or another file from S3",
		TRANSFER_HELP
		"  -f, --force                 replace files that are not what they should be\n",
		cmd_download,
	},
	{
		"migrate",
		"[OPTION]... MANIFEST OUTPUT",
		"make a manifest for other kernels and keys; the parts stay",
		"  -k, --key FILE              private key that opens it (default: "
		"$EC2_PRIVATE_KEY)\n"
		"      --signed-by FILE        certificate of who signed it (default: the key's)\n"
		"      --require-signature     fail if the signature cannot be checked\n"
		"      --ignore-signature      do not check the signature\n"
		"      --cert FILE             the new user's certificate\n"
		"      --ec2cert FILE          the new cloud's certificate\n"
		"      --kernel ID             kernel image; '': none\n"
		"      --ramdisk ID            ramdisk image; '': none\n"
		"      --signer FILE           private key that signs (default: that of -k)\n"
		"      --style amazon|euca2ools\n"
		"                              whose manifest it looks like (default: euca2ools)\n"
		"  -f, --force                 replace OUTPUT if it exists\n",
		cmd_migrate,
	},
	{0},
};

int main(int argc, char **argv)
{
	static const struct cli_value values[] = {
		{"BUNDLE", CLI_VALUE_FILE, NULL},
		{"MANIFEST", CLI_VALUE_FILE, NULL},
		{"FILE...", CLI_VALUE_FILE, NULL},
		{"IMAGE", CLI_VALUE_FILE, NULL},
		{"IMAGE...", CLI_VALUE_FILE, NULL},
		{"FORMAT", CLI_VALUE_ONE_OF, "ec2 ova gce azure openstack opennebula"},
		{"FMT", CLI_VALUE_ONE_OF, "raw qcow2 vmdk vhd vdi"},
		{"OUTPUT", CLI_VALUE_FILE, NULL},
		{0},
	};
	static const struct cli_program bundle = {
		.name = "bundle",
		.about = "Makes, opens and checks images in the form in which clouds deliver them.",
		.features = "formats: ec2 (instance store, manifest 2007-10-10) ova gce azure "
			    "openstack opennebula",
		.commands = commands,
		.values = values,
	};

	return cli_main(&bundle, argc, argv);
}
