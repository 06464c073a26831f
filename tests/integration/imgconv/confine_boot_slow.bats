#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Making a partition bootable: the image is read in a sandbox, GRUB's programs are run outside of it.

bats_require_minimum_version 1.5.0
load guest
load watched

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_tree tree
	make_fs tree fs 16M -t ext4
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	rm -rf disk* out
	may_watch
}

@test "nothing is opened or run in the sandbox while a disk is made" {
	for firmware in bios both; do
		watched bootable --force -q --firmware $firmware fs disk
		[ ! -s after ]
		[ "$(cat confined)" = 1 ]
		grep -q 'execve(".*/grub-mkimage"' outside
		grub-fstest disk ls "(loop0,$([ $firmware = bios ] && echo msdos1 || echo gpt1))/boot/" |
			grep -q vmlinuz-9.9
	done
}

@test "nor while kernel and initrd are taken out, or a disk of several files is made" {
	watched bootable -q --direct-kernel out fs
	[ ! -s after ]
	[ "$(cat confined)" = 1 ]
	cmp out/vmlinuz tree/boot/vmlinuz-9.9
	watched bootable -q -O vmdk --options subformat=twoGbMaxExtentSparse fs disk.vmdk
	[ ! -s after ]
	[ "$(cat confined)" = 1 ]
	qemu-img convert -f vmdk -O raw disk.vmdk disk.raw
	"$IMGCONV" bootable -q -O raw fs disk
	cmp disk disk.raw
}

@test "a dry run has no use for GRUB" {
	watched bootable --dry-run fs
	[ ! -s after ]
	run ! grep -q grub-mkimage outside
}

@test "where the kernel cannot confine, the user may say so, and the disk is the same" {
	"$IMGCONV" bootable -q fs disk
	ACCLIMATE_SANDBOX=off watched bootable -q fs disk2
	[ "$(cat confined)" = 0 ]
	cmp disk disk2
	ACCLIMATE_SANDBOX=off "$IMGCONV" bootable -q --direct-kernel out fs
	[ "$(cd out && echo *)" = "boot.json initrd.img vmlinuz" ]
}

@test "without GRUB the sandbox hears why, and nothing is left" {
	mkdir empty
	ACCLIMATE_GRUB_DIR=empty run "$IMGCONV" bootable -q fs disk
	[ "$status" -eq 1 ]
	[[ $output == *"Debian package grub-pc-bin"* ]]
	[ ! -e disk ]
	[ -z "$(find . -name '.disk*')" ]
}
