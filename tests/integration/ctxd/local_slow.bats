#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd local: more of what a context does to a guest's files, and of media that are not as they should be.

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

@test "where netplan drives NetworkManager, or nothing is known, the network is left alone" {
	tree netplan
	cloud_init
	printf 'network:\n  renderer: NetworkManager\n' >tree/etc/netplan/01.yaml
	web1 | context
	run -0 local_
	has "$output" "left to the guest"
	[ ! -e tree/run/systemd/network ]
	run ! grep -q 'config: disabled' tree/etc/cloud/cloud.cfg.d/91-ctxd.cfg
	tree none
	run -0 local_
	has "$output" "left to the guest"
}

@test "what cloud-init once wrote for ifupdown is set aside, and comes back" {
	tree ifupdown
	nic eth0 02:00:c0:a8:00:05
	printf 'auto eth0\niface eth0 inet dhcp\n' >tree/etc/network/interfaces.d/50-cloud-init
	cp tree/etc/network/interfaces.d/50-cloud-init was
	for _ in 1 2; do
		web1 | context
		local_
		grep -q 192.168.0.5 tree/etc/network/interfaces.d/ctxd
		run ! grep -q dhcp tree/etc/network/interfaces.d/50-cloud-init
		rm media/*
		local_
		cmp was tree/etc/network/interfaces.d/50-cloud-init
	done
	web1 | context
	local_
	"$CTXD" undo --root tree
	cmp was tree/etc/network/interfaces.d/50-cloud-init
}

@test "an account that puts something in a file's place keeps nothing else from being undone" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	tree none
	reachable
	sed -i 's/^ops:.*/ops:x:12345:23456::\/home\/ops:\/bin\/sh/' tree/etc/passwd
	chown 12345:23456 tree/home/ops
	(web1 && echo "USERNAME=ops") | context
	local_
	mkdir hidden
	mv tree/home/ops/.ssh/authorized_keys keys
	cp keys hidden/authorized_keys
	chmod 700 hidden
	rmdir tree/home/ops/.ssh
	ln -s "$PWD/hidden" tree/home/ops/.ssh
	run -1 "$CTXD" undo --root tree
	has "$output" "authorized_keys"
	cmp keys hidden/authorized_keys # what it may not write itself
	[ ! -e tree/etc/hostname ]
	rm tree/home/ops/.ssh
	"$CTXD" undo --root tree
	[ ! -e tree/var/lib/ctxd ]
}

@test "a damaged medium is one clear line, and leaves the guest as it is" {
	tree netplan
	snapshot >before
	web1 | context
	for at in 0 32768 33000; do
		truncate -s $at media/context.iso
		run -0 local_
		has "$output" "no context"
		web1 | context
	done
	truncate -s 40000 media/context.iso
	run -1 local_
	[ "${#lines[@]}" = 1 ]
	has "$output" "media/context.iso"
	web1 | context
	printf '\377\377\377\377' | dd of=media/context.iso bs=1 seek=$((32768 + 158)) conv=notrunc status=none
	run -1 local_
	has "$output" "is no sound ISO 9660 image"
	rm ctx/context.sh
	touch ctx/other
	xorriso -as mkisofs -quiet -V CONTEXT -J -R -o media/context.iso ctx
	run -1 local_
	has "$output" "there is no 'context.sh'"
	printf 'A=\000' >ctx/context.sh
	xorriso -as mkisofs -quiet -V CONTEXT -J -R -o media/context.iso ctx
	run -1 local_
	has "$output" "NUL"
	snapshot | diff before -
}

@test "every way of naming files on an image is read" {
	tree none
	web1 >c
	mkdir -p ctx media
	cp c ctx/context.sh
	for how in "-J -R" -R -J "" "-R -D -l" "-J -joliet-long"; do
		# shellcheck disable=SC2086
		genisoimage -quiet -V CONTEXT $how -o media/context.iso ctx
		rm -f tree/etc/hostname
		local_
		[ "$(cat tree/etc/hostname)" = web1 ]
	done
}
