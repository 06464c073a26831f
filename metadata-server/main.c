/* SPDX-License-Identifier: Apache-2.0 */
/* metadata-server: what the guests of this host find at 169.254.169.254. */
#include "metadata-server/commands.h"

int main(int argc, char **argv)
{
	const struct cli_command commands[] = {
		serve_command,  check_command,   list_command,  show_command,  get_command,
		iso_command,    convert_command, event_command, guest_command, rules_command,
		reload_command, status_command,  {0},
	};

	static const struct cli_value values[] = {
		{"INSTANCE", CLI_VALUE_FILE, NULL},
		{"INSTANCE.yaml", CLI_VALUE_FILE, NULL},
		{"SOCKET", CLI_VALUE_FILE, NULL},
		{"ACTION", CLI_VALUE_ONE_OF, "hibernate stop terminate"},
		{"OUT.iso", CLI_VALUE_FILE, NULL},
		{"KIND", CLI_VALUE_ONE_OF, "opennebula nocloud config-drive ovf"},
		{"DIALECT", CLI_VALUE_ONE_OF,
		 "yaml opennebula nocloud openstack ovf ec2 gce cloudstack"},
		{"INPUT", CLI_VALUE_FILE, NULL},
		{"OUTPUT", CLI_VALUE_FILE, NULL},
		{0},
	};
	const struct cli_program server = {
		.name = "metadata-server",
		.about = "Serves instances described in YAML to guests that expect EC2's metadata "
			 "service.",
		.commands = commands,
		.values = values,
	};

	return cli_main(&server, argc, argv);
}
