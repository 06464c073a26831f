/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the kernel's events are a reason to look at the context again. */
#include "tests/unit/cmocka.h"

#include "ctxd/events.h"

/* The arguments are the lines of an event, with a NUL behind each but the last. */
#define MATTERS(text) events_matter(text, sizeof(text))

static void media_nics_disks_and_sizes_matter(void **state)
{
	(void)state;
	assert_true(MATTERS("change@/devices/x/block/sr0\0ACTION=change\0SUBSYSTEM=block\0"
			    "DEVNAME=sr0\0DISK_MEDIA_CHANGE=1"));
	assert_true(MATTERS("add@/devices/x/block/sr1\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=sr1\0"
			    "DEVTYPE=disk"));
	assert_true(MATTERS("add@/devices/x/block/vdb\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=vdb\0"
			    "DEVPATH=/devices/x/block/vdb\0DEVTYPE=disk"));
	assert_true(MATTERS("change@/devices/x/0:0:0:0\0ACTION=change\0SUBSYSTEM=scsi\0"
			    "DEVTYPE=scsi_device\0SDEV_UA=CAPACITY_DATA_HAS_CHANGED"));
	assert_true(MATTERS("change@/devices/x/block/vda\0ACTION=change\0SUBSYSTEM=block\0"
			    "DEVNAME=vda\0RESIZE=1"));
	assert_true(MATTERS("add@/devices/pci0000:00/net/eth1\0ACTION=add\0"
			    "DEVPATH=/devices/pci0000:00/net/ens5\0SUBSYSTEM=net\0INTERFACE=ens5"));
	assert_true(MATTERS("remove@/devices/pci0000:00/net/eth1\0ACTION=remove\0"
			    "DEVPATH=/devices/pci0000:00/net/ens5\0SUBSYSTEM=net\0INTERFACE=ens5"));
	assert_true(MATTERS("add@/devices/virtual/net/eth1\0ACTION=add\0"
			    "DEVPATH=/devices/virtual/net/eth1\0SUBSYSTEM=net\0INTERFACE=eth1"));
}

static void what_comes_all_the_time_does_not(void **state)
{
	(void)state;
	assert_false(MATTERS("change@/devices/x/block/vda\0ACTION=change\0SUBSYSTEM=block\0"
			     "DEVNAME=vda"));
	assert_false(MATTERS("add@/devices/virtual/block/loop0\0ACTION=add\0SUBSYSTEM=block\0"
			     "DEVPATH=/devices/virtual/block/loop0\0DEVNAME=loop0\0DEVTYPE=disk"));
	assert_false(MATTERS("add@/devices/x/block/vdb/vdb1\0ACTION=add\0SUBSYSTEM=block\0"
			     "DEVPATH=/devices/x/block/vdb/vdb1\0DEVNAME=vdb1\0DEVTYPE=partition"));
	assert_false(MATTERS("remove@/devices/x/block/vdb\0ACTION=remove\0SUBSYSTEM=block\0"
			     "DEVPATH=/devices/x/block/vdb\0DEVNAME=vdb\0DEVTYPE=disk"));
	assert_false(MATTERS("change@/devices/x/0:0:0:0\0ACTION=change\0SUBSYSTEM=scsi\0"
			     "DEVTYPE=scsi_device\0SDEV_MEDIA_CHANGE=1"));
	assert_false(
		MATTERS("add@/devices/virtual/net/veth12\0ACTION=add\0"
			"DEVPATH=/devices/virtual/net/veth12\0SUBSYSTEM=net\0INTERFACE=veth12"));
	assert_false(
		MATTERS("add@/devices/virtual/net/eth0.7\0ACTION=add\0"
			"DEVPATH=/devices/virtual/net/eth0.7\0SUBSYSTEM=net\0INTERFACE=eth0.7"));
	assert_false(MATTERS("change@/devices/x/net/eth1\0ACTION=change\0SUBSYSTEM=net"));
	assert_false(MATTERS("add@/devices/x/queues/rx-0\0ACTION=add\0SUBSYSTEM=queues"));
}

static void what_is_no_event_does_not(void **state)
{
	static const char cut[] = {'S', 'U', 'B', 'S', 'Y', 'S', 'T', 'E', 'M', '=', 'n', 'e', 't'};

	(void)state;
	assert_false(events_matter("", 0));
	assert_false(events_matter("", 1));
	assert_false(events_matter(cut, sizeof(cut)));
	assert_false(MATTERS("libudev\0\376\355\312\376"));
	assert_false(MATTERS("SUBSYSTEM\0ACTION"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(media_nics_disks_and_sizes_matter),
		cmocka_unit_test(what_comes_all_the_time_does_not),
		cmocka_unit_test(what_is_no_event_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
