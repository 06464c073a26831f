/* SPDX-License-Identifier: Apache-2.0 */
/* ctxd: finds a guest's context, applies it, and serves it on to what expects EC2. */
#include "ctxd/commands.h"
#include "ctxd/nonss.h"
#include "ctxd/run.h"

#define ROOT_HELP "      --root DIR              work on the tree DIR, not on this system\n"
#define FIND_HELP                                                                                  \
	ROOT_HELP "      --dev DIR               image files in DIR stand for the disks\n"         \
		  "      --wait SECONDS          at most, for disks that are still being found\n"  \
		  "      --force                 take also what is hardly the platform's\n"

static const struct cli_command commands[] = {
	{
		"local",
		"[OPTION]...",
		"find the context on this machine's own media and apply it",
		"  -n, --dry-run               print what would change, change nothing\n" FIND_HELP,
		cmd_local,
	},
	{
		"network",
		"[OPTION]...",
		"ask the cloud's metadata service, if nothing was found before, and apply",
		"  -n, --dry-run               print what would change, change nothing\n"
		"      --dev DIR               image files in DIR stand for the disks\n"
		"      --force                 also where cloud-init would ask it\n" ROOT_HELP,
		cmd_network,
	},
	{
		"final",
		"[OPTION]...",
		"run the context's scripts and say that the machine is ready",
		"  -n, --dry-run               print what would be run, run nothing\n" ROOT_HELP,
		cmd_final,
	},
	{
		"update",
		"[OPTION]...",
		"look again, when a medium, a NIC or a disk has changed, and apply at once",
		"  -n, --dry-run               print what would change, change nothing\n"
		"      --dev DIR               image files in DIR stand for the disks\n"
		"      --force                 take also what is hardly the platform's\n"
		"      --settle                first wait until no more devices change\n"
		"      --background            return at once\n" ROOT_HELP,
		cmd_update,
	},
	{
		"watch",
		"[OPTION]...",
		"wait for such changes, where there is no udev to tell of them",
		"  -b, --background            return when it listens, and go on\n"
		"      --down                  end one that runs in the background\n",
		cmd_watch,
	},
	{
		"imds",
		"[OPTION]...",
		"serve the context that was found at http://169.254.169.254/",
		"  -b, --background            return when it listens, and go on serving\n"
		"      --listen ADDRESS:PORT   there instead; touches no interface\n"
		"      --root-user-data        user data are for root's processes alone\n"
		"      --force                 also what is from another metadata service\n"
		"      --down                  end such a service, take the address "
		"away\n" ROOT_HELP,
		cmd_imds,
	},
	{
		"detect",
		"[OPTION]...",
		"say where the context is (exit status 3: there is none)",
		"  -e, --explain               show all that was looked at\n"
		"  -o, --output text|json      how to show it\n"
		"      --network               also which metadata service there should "
		"be\n" FIND_HELP,
		cmd_detect,
	},
	{
		"undo",
		"[OPTION]...",
		"remove everything that ctxd wrote",
		"  -n, --dry-run               print what would change, change nothing\n" ROOT_HELP,
		cmd_undo,
	},
	{0},
};

int main(int argc, char **argv)
{
	static const struct cli_program ctxd = {
		.name = "ctxd",
		.about = "Finds a guest's context, applies it, and serves it on to what expects "
			 "EC2.",
		.features = "sources: opennebula, nocloud, openstack, ovf (media); "
			    "opennebula (VMware); nocloud, openstack, ec2, gce, "
			    "cloudstack (HTTP)",
		.commands = commands,
	};

	nonss_init();
	if (setenv("PATH", RUN_PATH, 0) < 0)
		return EXIT_FAILURE;
	return cli_main(&ctxd, argc, argv);
}
