/* SPDX-License-Identifier: Apache-2.0 */
/* bundle: images in the form in which clouds deliver them. */
#include "bundle/cmd.h"

static const struct cli_command commands[] = {
	{
		"open",
		"[OPTION]... MANIFEST OUTPUT",
		"make an image out of an EC2 bundle",
		BUNDLE_HELP "  -O, --output-format FORMAT  raw (default) or qcow2\n"
			    "  -c, --compress              compressed clusters (qcow2)\n"
			    "  -f, --force                 replace OUTPUT if it exists\n",
		cmd_open,
	},
	{
		"verify",
		"[OPTION]... MANIFEST",
		"check a bundle: signature and parts; with a key, all of it",
		BUNDLE_HELP,
		cmd_verify,
	},
	{
		"info",
		"[-o text|json] MANIFEST",
		"show what a manifest says",
		"  -o, --output FORMAT         text (default) or json\n",
		cmd_info,
	},
	{0},
};

int main(int argc, char **argv)
{
	return cli_main("bundle",
			"Opens and checks images in the form in which clouds deliver them.",
			"formats: ec2 (instance store, manifest 2007-10-10)", commands, argc, argv);
}
