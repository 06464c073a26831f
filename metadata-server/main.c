/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server: what the guests of this host find at 169.254.169.254. */
#include "metadata-server/commands.h"

int main(int argc, char **argv)
{
	const struct cli_command commands[] = {
		serve_command, check_command, list_command, show_command,
		get_command,   iso_command,   {0},
	};

	return cli_main("metadata-server",
			"Serves instances described in YAML to guests that expect EC2's metadata "
			"service.",
			NULL, commands, argc, argv);
}
