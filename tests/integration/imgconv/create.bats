#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv create: empty disks.

bats_require_minimum_version 1.5.0
load common

setup() { make_work; }
teardown() { remove_work; }

@test "every format's empty disk is what qemu-img takes for one" {
	truncate -s 20M zeros.raw
	for f in $(few_formats); do
		"$IMGCONV" create -O "$f" a.img 20M
		"$IMGCONV" check -f "$f" a.img
		"$IMGCONV" info -f "$f" -o json a.img | jq -e '."virtual-size" == 20971520'
		qemu-img info --output=json -f "$(qemu_name "$f")" a.img |
			jq -e '."virtual-size" == 20971520'
		qemu-img compare -q -f raw -F "$(qemu_name "$f")" zeros.raw a.img
		rm a.img
	done
}

@test "it takes no space, whatever the size" {
	for f in $(few_formats); do
		# 2040 GiB is the most that a VHD can have.
		"$IMGCONV" create -O "$f" a.img 2040G
		[ "$(stat -c %b a.img)" -lt 40960 ]
		[ "$("$IMGCONV" map -o json -f "$f" a.img | jq -c 'map(.kind) | unique')" = '["hole"]' ]
		rm a.img
	done
}

@test "options are the format's" {
	"$IMGCONV" create -O qcow2 -o cluster_size=4096 a.qcow2 1G
	qemu-img info --output=json a.qcow2 | jq -e '."cluster-size" == 4096'
	run -2 "$IMGCONV" create -O raw -o cluster_size=4096 a.raw 1G
	run -2 "$IMGCONV" create -O qcow2 -o frob=1 a.raw 1G
	[ "$(ls)" = a.qcow2 ]
}

@test "an existing file stays unless --force says so" {
	echo precious >a.qcow2
	fails "exists already" create -O qcow2 a.qcow2 1G
	[ "$(cat a.qcow2)" = precious ]
	"$IMGCONV" create --force -O qcow2 a.qcow2 1G
	qemu-img check -q a.qcow2
	mkdir dir
	fails "not a regular file" create --force -O qcow2 dir 1G
}

@test "sizes that cannot be are refused, and nothing is left" {
	fails "the next size that such an image can have is 1024" create -O qcow2 a.qcow2 1000
	fails "would be a disk of 0 bytes" create -O raw a.raw 0
	fails "cannot write images of the format 'vhs'" create -O vhs a.vhs 1G
	fails "No such file" create -O raw none/a.raw 1G
	for size in 20000000T 18446744073709551615; do
		run "$IMGCONV" create -O qcow2 a.qcow2 $size
		[ "$status" != 0 ]
		[ "$status" -le 2 ]
		[ -z "$(ls)" ]
	done
}

@test "wrong usage ends with 2" {
	for args in "" "-O raw a" "a 1G" "-O raw a 1X" "-O raw a 1G b" "-O raw - 1G" "-O raw -o x a 1G"; do
		# shellcheck disable=SC2086 # words are wanted
		run -2 "$IMGCONV" create $args
	done
}
