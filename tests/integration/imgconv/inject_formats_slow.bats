#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Changes in images of every format, in place or by a copy of the same kind, and on the way from one
# format to another.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_tree tree
	make_fs tree fs 24M -t ext4
	make_disk fs disk gpt
	mkdir -p overlay/etc/app
	echo setting >overlay/etc/app/conf
	# What they all are to become.
	cp disk expected
	"$IMGCONV" inject -q --overlay overlay --hostname new expected
	dd if=expected of=part bs=4096 skip=1024 count=6144 status=none
	e2fsck -fn part
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	rm -f image image.* link
}

same() { # FORMAT FILE: the guest's disk is what it is to be
	"$IMGCONV" compare -q -f raw -F "$1" expected "$2"
}

@test "every format, kept as it is" {
	local args facts
	for args in "-O raw" "-O qcow2" "-O qcow2 -c" "-O vmdk" "-O vmdk -o subformat=streamOptimized" \
		"-O vmdk -o adapter_type=lsilogic,hwversion=7" "-O vhd" "-O vhd -o subformat=fixed" "-O vdi"; do
		# shellcheck disable=SC2086
		"$IMGCONV" convert -q --force $args disk image
		facts=$("$IMGCONV" info -o json image | jq -c '[.. | objects | .format?, .subformat?, ."adapter-type"?, ."hardware-version"?]')
		chmod 640 image
		run --separate-stderr "$IMGCONV" inject --overlay overlay --hostname new image
		[ "$status" -eq 0 ] || { echo "$args: $stderr"; return 1; }
		[ "$output" = $'+ /etc/app\n+ /etc/app/conf\n~ /etc/hostname' ]
		same "$(jq -r .[0] <<<"$facts" | sed 's/null/raw/')" image || same "${args:3:4}" image ||
			"$IMGCONV" compare -q expected image
		"$IMGCONV" check image
		[ "$("$IMGCONV" info -o json image | jq -c '[.. | objects | .format?, .subformat?, ."adapter-type"?, ."hardware-version"?]')" = "$facts" ]
		[ "$(stat -c %a image)" = 640 ]
	done
	[ "$(echo image*)" = image ]
}

@test "what QEMU makes is changed, and read by QEMU" {
	local format
	for format in vmdk vpc vdi; do
		qemu-img convert -O $format disk image
		"$IMGCONV" inject -q --overlay overlay --hostname new image
		qemu-img convert -f $format -O raw image image.raw
		cmp -n "$(stat -c %s expected)" image.raw expected
		rm image image.raw
	done
}

@test "a symbolic link stays one; a failure leaves the image and nothing else" {
	"$IMGCONV" convert -q -O vdi disk image.vdi
	ln -s image.vdi link
	"$IMGCONV" inject -q --overlay overlay --hostname new link
	[ "$(readlink link)" = image.vdi ]
	same vdi image.vdi
	cp image.vdi image.before
	head -c 30000000 /dev/urandom >big
	run --separate-stderr "$IMGCONV" inject --file big:/big image.vdi
	rm big
	[ "$status" -eq 1 ]
	has "$stderr" "is full"
	cmp image.vdi image.before
	[ "$(echo image* .image*)" = "image.before image.vdi .image*" ]
	run "$IMGCONV" inject --dry-run --file overlay/etc/app/conf:/x image.vdi
	[ "$status" -eq 0 ]
	cmp image.vdi image.before
}

@test "while converting, and the source stays as it was" {
	local args
	sha256sum disk >before
	for args in "-O raw" "-O qcow2 -c" "-O vmdk -o subformat=streamOptimized" "-O vhd" "-O vdi" \
		"-O vmdk -o subformat=twoGbMaxExtentSparse"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$IMGCONV" convert --verify --force $args --overlay overlay --hostname new disk image.vmdk
		[ "$status" -eq 0 ] || { echo "$args: $stderr"; return 1; }
		has "$stderr" "+ /etc/app/conf"
		"$IMGCONV" compare -q -f raw --allow-extents expected image.vmdk
	done
	"$IMGCONV" convert -q -O vmdk -o subformat=streamOptimized --overlay overlay --hostname new disk - >image
	"$IMGCONV" compare -q -f raw expected image
	sha256sum -c before
	run --separate-stderr "$IMGCONV" convert -O qcow2 --delete /etc/../x disk image.new
	[ "$status" -eq 2 ]
	run --separate-stderr "$IMGCONV" convert -O qcow2 --partition 9 --hostname x disk image.new
	[ "$status" -eq 1 ]
	has "$stderr" "no partition 9"
	[ ! -e image.new ]
	run --separate-stderr bash -c "cat disk | '$IMGCONV' convert -f raw --size 64M -O qcow2 --hostname x - image.new"
	[ "$status" -eq 2 ]
	has "$stderr" "through a pipe"
}

@test "the root is found on MBR and GPT disks, in raw and qcow2, compressed too" {
	for label in dos gpt; do
		rm -f labelled
		make_disk fs labelled $label
		for args in "-O raw" "-O qcow2" "-c -O qcow2 -o compression_type=zlib"; do
			rm -f image part
			# shellcheck disable=SC2086
			qemu-img convert $args labelled image
			run --separate-stderr "$IMGCONV" inject -o json --overlay overlay --hostname new-host --ctxd image
			[ "$status" -eq 0 ]
			[ "$(jq .partition <<<"$output")" = 2 ]
			[[ $args == *raw* ]] || qemu-img check image
			qemu-img convert -O raw image image.raw
			dd if=image.raw of=part bs=4096 skip=1024 count=6144 status=none
			clean part
			has "$(inside part 'cat /etc/hostname')" new-host
			cmp -n 4194304 image.raw labelled
		done
	done
}
