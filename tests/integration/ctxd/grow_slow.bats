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
	cp -r media "$CTXD" /run
	mv /run/ctxd /run/program
	. ./script
	END
	export CTXD
	timeout 60 unshare -m -n -u bash run.sh
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
