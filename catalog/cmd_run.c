/* SPDX-License-Identifier: Apache-2.0 */
/* catalog run: boots a clone of an image. */
#include "catalog/commands.h"
#include "catalog/run.h"
#include "lib/str.h"

enum {
	OPT_WITH = OPT_OTHER,
	OPT_INSTANCE,
	OPT_HOSTNAME,
	OPT_SSH_KEY,
	OPT_USER_DATA,
	OPT_MEMORY,
	OPT_CPUS,
	OPT_DISK_SIZE,
	OPT_SSH_PORT,
	OPT_ACCEL,
	OPT_FIRMWARE,
	OPT_RUN_DIR,
	OPT_TIMEOUT,
};

static int take_unsigned(const char *s, uint64_t min, uint64_t max, unsigned *ret, struct err *e)
{
	uint64_t n;
	int rc = str_to_u64(s, min, max, &n, e);

	if (rc == 0)
		*ret = (unsigned)n;
	return rc;
}

static int take_metadata(const char *s, enum run_metadata *ret, struct err *e)
{
	for (size_t i = 0; i < RUN_METADATA; i++) {
		if (strcmp(s, run_metadata_names[i]) == 0) {
			*ret = (enum run_metadata)i;
			return 0;
		}
	}
	return err_set(e, EINVAL,
		       "metadata '%s' is not one of imds, opennebula, nocloud, "
		       "config-drive, none",
		       s);
}

static int take_memory(const char *s, uint64_t *ret, struct err *e)
{
	int rc = str_to_size(s, ret, e);

	if (rc == 0 && (*ret < 64 * MIB || *ret > 1024 * GIB))
		return err_set(e, ERANGE, "a guest's memory is between 64M and 1024G, not '%s'", s);
	return rc;
}

static int take_option(struct run_opts *o, int opt, struct err *e)
{
	switch (opt) {
	case OPT_WITH:
		return take_metadata(optarg, &o->metadata, e);
	case OPT_INSTANCE:
		o->instance = optarg;
		return 0;
	case OPT_HOSTNAME:
		o->hostname = optarg;
		return 0;
	case OPT_SSH_KEY:
		if (o->n_ssh_keys == RUN_KEYS_MAX)
			return err_set(e, E2BIG, "more than %d files of keys", RUN_KEYS_MAX);
		o->ssh_keys[o->n_ssh_keys++] = optarg;
		return 0;
	case OPT_USER_DATA:
		o->user_data = optarg;
		return 0;
	case OPT_MEMORY:
		return take_memory(optarg, &o->memory, e);
	case OPT_CPUS:
		return take_unsigned(optarg, 1, 255, &o->cpus, e);
	case OPT_DISK_SIZE:
		return run_take_disk_size(optarg, &o->disk_size, e);
	case OPT_SSH_PORT:
		return take_unsigned(optarg, 1, 65535, &o->ssh_port, e);
	case OPT_ACCEL:
		return run_take_accel(optarg, &o->accel, e);
	case OPT_FIRMWARE:
		return run_take_firmware(optarg, &o->firmware, e);
	case OPT_RUN_DIR:
		o->run_dir = optarg;
		return 0;
	default:
		return take_unsigned(optarg, 1, 365 * 86400, &o->timeout_s, e);
	}
}

int cmd_run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		STORE_OPTION,
		{"with", required_argument, NULL, OPT_WITH},
		{"metadata", required_argument, NULL, OPT_WITH}, /* its name before */
		{"firmware", required_argument, NULL, OPT_FIRMWARE},
		{"instance", required_argument, NULL, OPT_INSTANCE},
		{"hostname", required_argument, NULL, OPT_HOSTNAME},
		{"ssh-key", required_argument, NULL, OPT_SSH_KEY},
		{"user-data", required_argument, NULL, OPT_USER_DATA},
		{"memory", required_argument, NULL, OPT_MEMORY},
		{"cpus", required_argument, NULL, OPT_CPUS},
		{"disk-size", required_argument, NULL, OPT_DISK_SIZE},
		{"ssh-port", required_argument, NULL, OPT_SSH_PORT},
		{"accel", required_argument, NULL, OPT_ACCEL},
		{"run-dir", required_argument, NULL, OPT_RUN_DIR},
		{"timeout", required_argument, NULL, OPT_TIMEOUT},
		{0},
	};
	AUTO(store_free) struct store *store = NULL;
	struct run_opts o = {.memory = GIB, .cpus = 2};
	const char *store_dir = NULL;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "", longopts)) >= 0) {
		if (opt == OPT_STORE)
			store_dir = optarg;
		else if (take_option(&o, opt, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (optind + 1 != argc)
		return cli_usage(self, "one image is expected");
	if (o.instance && (o.hostname || o.n_ssh_keys || o.user_data))
		return cli_usage(self, "--instance stands in place of --hostname, --ssh-key and "
				       "--user-data");
	o.image = argv[optind];
	if (store_open(store_dir, &store, &e) < 0 || run_image(store, &o, &e) < 0)
		return cli_fail(&e);
	/* A guest that was ended because somebody asked for it is no failure. */
	return EXIT_OK;
}
