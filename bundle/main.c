/* SPDX-License-Identifier: Apache-2.0 */
/* bundle: images in the form in which clouds deliver them. */
#include "bundle/cmd.h"

static const struct cli_command commands[] = {
	{
		"open",
		"[OPTION]... MANIFEST OUTPUT",
		"make an image out of an EC2 bundle",
		BUNDLE_HELP "  -O, --output-format raw|qcow2\n"
			    "                              format of OUTPUT (default: raw)\n"
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
		"  -o, --output text|json      how to show it\n",
		cmd_info,
	},
	{0},
};

int main(int argc, char **argv)
{
	static const struct cli_value values[] = {
		{"MANIFEST", CLI_VALUE_FILE, NULL},
		{"OUTPUT", CLI_VALUE_FILE, NULL},
		{0},
	};
	static const struct cli_program bundle = {
		.name = "bundle",
		.about = "Opens and checks images in the form in which clouds deliver them.",
		.features = "formats: ec2 (instance store, manifest 2007-10-10)",
		.commands = commands,
		.values = values,
	};

	return cli_main(&bundle, argc, argv);
}
