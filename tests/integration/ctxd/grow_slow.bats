#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd local on a running system: file systems that are mounted grow. In namespaces, on loop devices.

bats_require_minimum_version 1.5.0
load common

setup() {
	[ "$(id -u)" = 0 ] && unshare -m -n -u true 2>/dev/null || skip "needs root and namespaces"
	[ -e /dev/loop-control ] || skip "no loop devices here"
	cd "$BATS_TEST_TMPDIR" || return
}

# live < SCRIPT: in namespaces where /run, /etc and /var/lib are of their own
live() {
	cat >script
	cat >run.sh <<-'END'
	set -e
	mount -t tmpfs none /run
	mkdir -p /run/etc /run/lib /run/m
	cp /etc/passwd /etc/group /run/etc
	echo x >/run/etc/hostname
	cp -rL media "$CTXD" /run
	mv /run/ctxd /run/program
	. ./script
	END
	export CTXD
	timeout 180 unshare -m -n -u bash run.sh
}

@test "a mounted XFS grows to its device's size, and one that cannot grow is no hindrance" {
	command -v mkfs.xfs >/dev/null || skip "no mkfs.xfs here"
	printf '%s\n' "GROW_ROOTFS='NO'" "GROW_FS='/run/none /run/m'" | context
	run -0 live <<-'END'
	truncate -s 400M /run/image
	mkfs.xfs -q -d size=310m /run/image
	mount -o loop /run/image /run/m || exit 77
	mount --bind /run/lib /var/lib
	mount --bind /run/etc /etc
	before=$(stat -f -c %b /run/m)
	/run/program local --dev /run/media
	after=$(stat -f -c %b /run/m)
	umount /run/m
	echo "grown: $((after - before > 20000))"
	END
	has "$output" "file system at /run/m grows"
	has "$output" "grown: 1"
}

@test "the kernel is asked to resize a mounted ext4 if there is room, and not for the size that it has" {
	command -v strace >/dev/null || skip "no strace here"
	printf '%s\n' "GROW_ROOTFS='NO'" "GROW_FS='/run/m'" | context
	run -0 live <<-'END'
	truncate -s 300M /run/image
	mkfs.ext4 -q /run/image
	dev=$(losetup --show -f /run/image)
	trap 'umount /run/m; losetup -d $dev' EXIT
	mount "$dev" /run/m
	mount --bind /run/lib /var/lib
	mount --bind /run/etc /etc
	# Where the kernel grants it to nobody here, the asking fails.
	look() { strace -o /run/calls -e trace=ioctl /run/program local -q --dev /run/media || true; }
	asked() { echo "$1: $(grep -cE 'EXT4_IOC_RESIZE_FS|0x66, 0x10' /run/calls)"; }
	look
	asked full
	truncate -s 400M /run/image
	losetup -c "$dev"
	look
	asked room
	END
	echo "$output"
	has "$output" "full: 0"
	has "$output" "room: 1"
}

@test "a disk that becomes larger is a reason to look, and what is on it grows, once" {
	command -v mkfs.xfs >/dev/null || skip "no mkfs.xfs here"
	printf '%s\n' "GROW_ROOTFS='NO'" "GROW_FS='/run/m'" | context
	run -0 live <<-'END'
	truncate -s 320M /run/image
	mkfs.xfs -q /run/image
	dev=$(losetup --show -f /run/image)
	trap 'umount /run/m; losetup -d $dev' EXIT
	mount "$dev" /run/m
	mount --bind /run/lib /var/lib
	mount --bind /run/etc /etc
	/run/program local -q --dev /run/media
	/run/program final -q
	rm -r /run/media # what was said on it stays
	/run/program watch -q --background
	size() { stat -f -c %b /run/m; }
	before=$(size)
	truncate -s 400M /run/image
	losetup -c "$dev"
	for i in $(seq 2500); do [ "$(size)" = "$before" ] || break; sleep 0.02; done
	/run/program watch -q --down
	flock /run/ctxd true # what it started has let go of the file system
	echo "grown: $(($(size) - before > 10000))"
	END
	has "$output" "grown: 1"
}
