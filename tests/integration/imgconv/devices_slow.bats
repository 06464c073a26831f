#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Block devices as source and target, and file systems that share blocks; on loop devices.

load common

setup_file() {
	make_work
	make_disk disk.raw 16M
}
teardown_file() { remove_work; }
setup() { cd "$WORK" || return; }
teardown() {
	[ -z "${mounted:-}" ] || umount "$mounted"
	[ -z "${device:-}" ] || losetup -d "$device"
	rm -rf backing out* mnt
}

# A device of SIZE bytes full of stale data.
make_device() {
	head -c "$1" /dev/zero | tr '\0' S >backing
	device=$(losetup -f --show backing 2>/dev/null) || skip "no loop devices here"
}

@test "a device is overwritten on request alone, and nothing stale stays" {
	make_device 24M
	fails "is a block device; convert --device overwrites it" convert -O raw disk.raw "$device"
	fails "is a block device; convert --device overwrites it" convert --force -O raw disk.raw "$device"
	fails "a device is written as raw alone" convert --device -O qcow2 disk.raw "$device"
	cmp -n 1000000 "$device" <(head -c 24M /dev/zero | tr '\0' S)
	"$IMGCONV" convert -q --device --verify -O raw disk.raw "$device"
	cmp "$device" <(cat disk.raw && head -c 8M /dev/zero)
	fails "is not a block device" convert --device -O raw disk.raw out.raw
}

@test "a device that is too small is refused before it is touched" {
	make_device 8M
	fails "the device has 8388608 bytes, the disk 16777216" convert --device -O raw disk.raw "$device"
	cmp "$device" <(head -c 8M /dev/zero | tr '\0' S)
}

@test "a mounted device is not overwritten" {
	make_device 64M
	mkfs.ext4 -q "$device"
	mkdir mnt
	mount "$device" mnt 2>/dev/null || skip "may not mount here"
	mounted=$PWD/mnt
	fails "Device or resource busy" convert --device -O raw disk.raw "$device"
}

@test "a device is read" {
	make_device 24M
	"$IMGCONV" convert -q -O qcow2 "$device" out.qcow2
	qemu-img compare -q -f raw -F qcow2 backing out.qcow2
}

@test "a file system that can lets both files share their blocks" {
	command -v mkfs.xfs >/dev/null || skip "no mkfs.xfs"
	truncate -s 600M backing
	mkfs.xfs -q backing
	device=$(losetup -f --show backing 2>/dev/null) || skip "no loop devices here"
	mkdir mnt
	mount "$device" mnt 2>/dev/null || skip "no XFS in this kernel"
	mounted=$PWD/mnt
	head -c 20000001 /dev/urandom >mnt/in
	"$IMGCONV" convert -q -f raw -O raw mnt/in mnt/out
	cmp mnt/in mnt/out
	filefrag -v mnt/out | grep -q shared
	# A digest wants the bytes: they are read, and copied.
	"$IMGCONV" convert -q -f raw -O raw --digest sha256 mnt/in mnt/out2 |
		grep "$(sha256sum <mnt/in | cut -d " " -f 1)"
	cmp mnt/in mnt/out2
}
