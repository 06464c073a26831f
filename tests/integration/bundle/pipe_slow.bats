#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Images that come through a pipe are packed in the one pass that they are read in: what comes out is
# what comes of the file, but for holes that would have to be told before the bytes.
# shellcheck disable=SC2154 # bats sets output and status

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
	qemu-img convert -O vmdk -o subformat=streamOptimized image image.vmdk
}

# Each in a folder of its own: what one leaves behind, the next one does not write to.
setup() {
	cd "$BATS_TEST_TMPDIR" || return
	cp -a --sparse=always "$BATS_FILE_TMPDIR"/* .
}

# misused PATTERN ARGUMENT...: a wrong command line, from a pipe
misused() {
	local pattern=$1
	shift
	run "$BUNDLE" create "$@" < <(cat image)
	[ "$status" = 2 ] && [[ $output =~ $pattern ]] && [ ! -e never ]
}

# piped PATTERN COMMAND ARGUMENT...: fails with one line, and nothing is there
piped() {
	local pattern=$1 status=0 said
	shift
	said=$(eval "$1" | "$BUNDLE" create "${@:2}" 2>&1) || status=$?
	echo "status $status: $said"
	[ "$status" = 1 ] && [ "$(wc -l <<<"$said")" = 1 ] && [[ $said =~ $pattern ]] && [ ! -e never ]
}

@test "what is made of a pipe is what is made of the file" {
	truncate -s 30000001 image
	for format in ova azure openstack opennebula; do
		mkdir named piped
		"$BUNDLE" create --for $format -p web image named/x
		# shellcheck disable=SC2002 # a pipe is the point
		cat image | "$BUNDLE" create --for $format -p web -f raw --size 30000001 - piped/x
		[ $format != opennebula ] || sed -i "s|$PWD/piped|$PWD/named|" piped/x.image
		diff -r named piped
		rm -r named piped
	done
}

@test "firmware and drivers are looked for in the copy" {
	truncate -s 64M disk
	echo 'label: gpt
		start=2048, size=60000, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B' | sfdisk -q disk
	mformat -i disk@@1M -T 60000 -h 64 -s 32 ::
	mmd -i disk@@1M ::/EFI ::/EFI/BOOT
	mcopy -i disk@@1M image ::/EFI/BOOT/BOOTX64.EFI
	"$BUNDLE" create --for openstack -p web disk named.qcow2
	"$BUNDLE" create --for openstack -p web -f raw --size 64M - piped.qcow2 < <(cat disk)
	grep -q '"hw_firmware_type": "uefi"' named.json
	cmp named.json piped.json
	"$BUNDLE" create --for ova -p web disk named.ova
	"$BUNDLE" create --for ova -p web -f raw --size 64M - piped.ova < <(cat disk)
	tar -xOf named.ova web.ovf | grep -q 'vmw:value="efi"'
	cmp named.ova piped.ova
}

@test "archives have no holes but the one behind the image" {
	"$BUNDLE" create --for gce -f raw --size 4M - x.tar.gz < <(cat image)
	[ "$(gzip -dc x.tar.gz | wc -c)" -lt 4300000 ]
	tar -xzf x.tar.gz
	[ "$(stat -c %s disk.raw)" = 1073741824 ]
	cmp -n 4194304 image disk.raw
	"$BUNDLE" verify x.tar.gz
	rm disk.raw
	create -p disk -f raw --size 4M - ami < <(cat image)
	unpack ami
	cmp image disk
	opens ami/disk.manifest.xml image
	create -f vmdk - ami < <(cat image.vmdk)
	rm out.raw
	opens ami/stdin.manifest.xml image
}

@test "a size that is no whole blocks" {
	head -c 100001 image >odd
	create -p disk -f raw --size 100001 - ami < <(cat odd)
	unpack ami
	cmp odd disk
	opens ami/disk.manifest.xml odd
	"$BUNDLE" create --for gce -f raw --size 100001 - x.tar.gz < <(cat odd)
	tar -xzOf x.tar.gz | cmp -n 100001 odd -
	"$BUNDLE" verify x.tar.gz
}

@test "one of several disks comes through the pipe" {
	"$BUNDLE" create --for ova -p two -f vmdk image.vmdk - two.ova < <(cat image.vmdk)
	"$BUNDLE" verify two.ova
	mkdir disks
	"$BUNDLE" open two.ova disks
	cmp image disks/two-disk1.raw
	cmp image disks/two-disk2.raw
}

@test "what cannot be is told before anything is read" {
	misused "name the format" --for ova - never
	misused "--size: it stands in front" --for ova -f raw - never
	misused "--size: it stands in front" --for ova -f raw --size 0 - never
	misused "back and forth" --for ova -f qcow2 - never
	misused "give no --size" --for ova -f vmdk --size 4M - never
	misused "read once" --for ova -f raw --size 4M - - never
	misused "no snapshots" --for ova -f vmdk --snapshot s - never
	misused "lies beside" --for ova -f vmdk --allow-extents - never
	run "$BUNDLE" create --for ova -f raw --size 4M image never
	[ "$status" = 2 ]
}

@test "a stream that is no such disk comes to nothing" {
	for format in ova gce openstack; do
		piped "ends after 1000 of 4194304" "head -c 1000 image" --for $format -f raw --size 4M - never
		piped "longer than the disk" "cat image image" --for $format -f raw --size 4M - never
		piped "standard input" "head -c 70000 image.vmdk" --for $format -f vmdk - never
	done
	piped "ends after 1000 of" "head -c 1000 image" --for ec2 -u 123456789012 --cert keys/user.cert.pem -f raw --size 4M - never
}

@test "a full disk is told, however much is still to come" {
	ulimit -f 100
	piped "File too large" "cat image" --for gce -f raw --size 4M - never
	piped "File too large" "cat image" --for ova -f raw --size 4M - never
}

@test "a signal ends it while it waits for the pipe" {
	for format in ova gce; do
		mkfifo fifo
		"$BUNDLE" create --for $format -f raw --size 4M - never <fifo &
		pid=$!
		exec 7>fifo
		head -c 2000000 image >&7
		kill -TERM $pid
		status=0
		wait $pid || status=$?
		exec 7>&-
		[ "$status" = 143 ]
		[ ! -e never ]
		rm fifo
	done
}
