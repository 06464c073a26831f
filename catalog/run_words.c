/* SPDX-License-Identifier: Apache-2.0 */
/* Words of command lines that more than one command has: see catalog/run.h. */
#include "catalog/run.h"
#include "lib/str.h"

const char *const run_metadata_names[RUN_METADATA] = {
	[RUN_IMDS] = "imds",       [RUN_OPENNEBULA] = "opennebula",
	[RUN_NOCLOUD] = "nocloud", [RUN_CONFIG_DRIVE] = "config-drive",
	[RUN_NONE] = "none",
};

int run_take_firmware(const char *s, const char **ret, struct err *e)
{
	if (strcmp(s, "bios") != 0 && strcmp(s, "uefi") != 0 && strcmp(s, "auto") != 0)
		return err_set(e, EINVAL, "firmware '%s' is not one of auto, bios, uefi", s);
	*ret = strcmp(s, "auto") == 0 ? NULL : s;
	return 0;
}

int run_take_disk_size(const char *s, uint64_t *ret, struct err *e)
{
	int rc = str_to_size(s, ret, e);

	return rc == 0 && !*ret ? err_set(e, EINVAL, "a disk of no bytes") : rc;
}

int run_take_accel(const char *s, enum run_accel *ret, struct err *e)
{
	if (strcmp(s, "auto") == 0)
		*ret = RUN_AUTO;
	else if (strcmp(s, "kvm") == 0)
		*ret = RUN_KVM;
	else if (strcmp(s, "tcg") == 0)
		*ret = RUN_TCG;
	else
		return err_set(e, EINVAL, "accelerator '%s' is not one of auto, kvm, tcg", s);
	return 0;
}
