#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A bare partition becomes a disk: partition table, boot loader, and the file system as it was.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

CMDLINE="root=UUID=6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b ro quiet console=tty0 console=ttyS0,115200"

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_tree tree
	make_fs tree fs 16M -t ext4
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	rm -f disk disk.raw part
}

@test "the disk has one active partition at 1 MiB with the file system unchanged" {
	run --separate-stderr "$IMGCONV" bootable fs disk
	[ "$status" -eq 0 ]
	[ "$output" = "kernel        /boot/vmlinuz-9.9
initrd        /boot/initrd.img-9.9
command line  $CMDLINE
found by      /boot/grub/menu.lst" ]
	[ "$(stat -c %s disk)" -eq $((17 * 1048576)) ]
	dd if=disk of=part bs=1M skip=1 status=none
	cmp part fs
	table=$(sfdisk -J disk)
	[ "$(jq -r '.partitiontable.label' <<<"$table")" = dos ]
	[ "$(jq -c '.partitiontable.partitions | map([.start, .size, .type, .bootable])' <<<"$table")" = \
		'[[2048,32768,"83",true]]' ]
	[ "$(jq -r '.partitiontable.id' <<<"$table")" != 0x00000000 ]
	grub-fstest disk ls '(loop0,msdos1)/boot/' | grep -q vmlinuz-9.9
}

@test "the same input gives the same disk" {
	"$IMGCONV" bootable fs disk
	"$IMGCONV" bootable fs disk.raw
	cmp disk disk.raw
}

@test "qcow2 in and out" {
	qemu-img convert -c -O qcow2 fs part
	"$IMGCONV" bootable -O raw part disk.raw
	"$IMGCONV" bootable part disk
	qemu-img check disk
	qemu-img compare -f qcow2 -F raw disk disk.raw
	"$IMGCONV" bootable --force -O qcow2 fs disk
	qemu-img compare -f qcow2 -F raw disk disk.raw
}

@test "a dry run needs no target, and JSON says the same" {
	run --separate-stderr "$IMGCONV" bootable --dry-run -o json --append "a=1 b" fs
	[ "$status" -eq 0 ]
	[ "$(jq -r .cmdline <<<"$output")" = "$CMDLINE a=1 b" ]
	[ "$(jq -r .kernel <<<"$output")" = /boot/vmlinuz-9.9 ]
	[ ! -e disk ]
}

@test "without an initrd the root is found by its partition" {
	run --separate-stderr "$IMGCONV" bootable -o json --kernel /boot/vmlinuz-9.9 --initrd /boot/initrd.img-9.9 fs disk
	[ "$status" -eq 0 ]
	has "$(jq -r .cmdline <<<"$output")" "root=UUID="
	mkdir -p bare/boot bare/etc
	bz bare/boot/vmlinuz-1
	make_fs bare part 8M -t ext4
	run --separate-stderr "$IMGCONV" bootable --force -o json part disk
	[ "$status" -eq 0 ]
	[ "$(jq .initrd <<<"$output")" = null ]
	id=$(sfdisk -J disk | jq -r .partitiontable.id)
	has "$(jq -r .cmdline <<<"$output")" "root=PARTUUID=${id#0x}-01 "
}

refused() { # WORD ARGUMENT...
	local word=$1
	shift
	run --separate-stderr "$IMGCONV" bootable "$@"
	[ "$status" -eq 1 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	has "$stderr" "$word"
	[ -z "$(find . -name '.disk*' -o -name disk)" ]
}

@test "what cannot be made bootable is refused before anything is written" {
	make_disk fs disk.raw
	refused "partition table" disk.raw disk
	truncate -s 4M part
	refused "no ext2" part disk
	mkdir -p none/etc
	make_fs none part 8M -t ext4
	refused "no kernel" part disk
	mkdir -p xen/boot
	truncate -s 5000 xen/boot/vmlinuz-2.6.18-xen
	make_fs xen part 8M -t ext4
	refused "Xen only" part disk
	make_fs tree part 16M -t ext4 -O inline_data
	refused "inline_data" part disk
	refused "/no/kernel" --kernel /no/kernel fs disk
	refused "No such file" no-such-image disk
	dd if=fs of=part bs=1M count=4 status=none
	refused "do not fit" part disk
}

@test "a target that exists stays, GRUB that is missing is named" {
	echo precious >disk
	run --separate-stderr "$IMGCONV" bootable fs disk
	[ "$status" -eq 1 ]
	has "$stderr" "exists already"
	[ "$(cat disk)" = precious ]
	rm disk
	ACCLIMATE_GRUB_DIR=/nonexistent refused "grub-pc-bin" fs disk
}

@test "wrong use is told apart from failure" {
	for args in "" "fs" "fs disk more" "--frob fs disk" "-o xml fs disk"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$IMGCONV" bootable $args
		[ "$status" -eq 2 ]
		has "$stderr" "--help"
	done
}
