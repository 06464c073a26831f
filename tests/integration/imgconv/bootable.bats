#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A bare partition becomes a disk: partition table, boot loader, and the file system as it was.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

ROOT="root=UUID=6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b"
CMDLINE="$ROOT ro quiet console=tty0 console=ttyS0,115200"

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_tree tree
	echo 'CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_EFI=y' >tree/boot/config-9.9
	make_fs tree fs 16M -t ext4
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	rm -rf disk disk.raw part esp out
}

@test "the disk has one active partition at 1 MiB with the file system unchanged" {
	run --separate-stderr "$IMGCONV" bootable fs disk
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[ "$output" = "kernel        /boot/vmlinuz-9.9
version       9.9, bzImage
initrd        /boot/initrd.img-9.9
command line  $CMDLINE
found by      /boot/grub/menu.lst
disk bus      virtio (virtio_pci in the kernel, virtio_blk in the kernel)" ]
	[ "$(stat -c %s disk)" -eq $((17 * 1048576)) ]
	dd if=disk of=part bs=1M skip=1 status=none
	cmp part fs
	table=$(sfdisk -J disk)
	[ "$(jq -r '.partitiontable.label' <<<"$table")" = dos ]
	[ "$(jq -c '.partitiontable.partitions | map([.start, .size, .type, .bootable])' <<<"$table")" = \
		'[[2048,32768,"83",true]]' ]
	[ "$(jq -r '.partitiontable.id' <<<"$table")" != 0x00000000 ]
	grub-fstest disk ls '(loop0,msdos1)/boot/' | grep -q vmlinuz-9.9
	"$IMGCONV" info -o json disk | jq -e '.boot.bios == "GRUB 2 in the MBR" and .warnings == []'
}

@test "with UEFI the disk has a GPT, a sound EFI system partition, and the file system last" {
	for firmware in uefi both; do
		run --separate-stderr "$IMGCONV" bootable --force -o json --firmware $firmware fs disk
		[ "$status" -eq 0 ]
		jq -e ".firmware == \"$firmware\" and .cmdline == \"$CMDLINE\"" <<<"$output"
		[ "$(($(stat -c %s disk) % 1048576))" -eq 0 ]
		sgdisk -v disk | grep "No problems found"
		sfdisk -J disk | jq -c '.partitiontable.partitions | map([.start, .size, .type[0:8]])' >table
		bios=""
		[ $firmware = uefi ] || bios=',[2048,2048,"21686148"]'
		[ "$(cat table)" = "[[131072,32768,\"0FC63DAF\"]$bios,[4096,126976,\"C12A7328\"]]" ]
		dd if=disk of=part bs=1M skip=64 count=16 status=none
		cmp part fs
		dd if=disk of=esp bs=1M skip=2 count=62 status=none conv=sparse
		fsck.vfat -n esp
		mtype -i esp ::/EFI/BOOT/BOOTX64.EFI | file - | grep 'EFI application.*x86-64'
		"$IMGCONV" info -o json disk |
			jq -e '.boot.uefi[0] == {"partition": 15, "path": "EFI/BOOT/BOOTX64.EFI"} and
				(.boot.bios == if "'$firmware'" == "both" then "GRUB 2 in the MBR" else null end) and
				.warnings == []'
	done
	grub-fstest disk ls '(loop0,gpt1)/boot/' | grep -q vmlinuz-9.9
}

@test "a dry run needs no target, and JSON says the same" {
	run --separate-stderr "$IMGCONV" bootable --dry-run -o json --append "a=1 b" fs
	[ "$status" -eq 0 ]
	[ "$(jq -r .cmdline <<<"$output")" = "$CMDLINE a=1 b" ]
	jq -e '.kernel == "/boot/vmlinuz-9.9" and .["kernel-kind"] == "bzImage" and .bus == "virtio" and
		.drivers.virtio_blk == "builtin"' <<<"$output"
	[ ! -e disk ]
}

@test "kernel and initrd can be taken out for a machine that is given them" {
	run --separate-stderr "$IMGCONV" bootable --direct-kernel out/dir -o json fs
	[ "$status" -eq 0 ]
	cmp out/dir/vmlinuz tree/boot/vmlinuz-9.9
	cmp out/dir/initrd.img tree/boot/initrd.img-9.9
	[ "$(find out/dir -type f | wc -l)" -eq 3 ]
	jq -e '.["kernel-file"] == "vmlinuz" and .["initrd-file"] == "initrd.img" and .bus == "virtio" and
		.cmdline == "root=/dev/vda ro quiet console=tty0 console=ttyS0,115200" and
		.["kernel-version"] == "9.9" and .drivers.virtio_pci == "builtin"' out/dir/boot.json
	[ "$(jq -S 'del(.source, .folder)' <<<"$output")" = "$(jq -S 'del(.["kernel-file"], .["initrd-file"])' out/dir/boot.json)" ]
	# what is there stays, unless it is to be replaced
	echo precious >out/dir/initrd.img
	run --separate-stderr "$IMGCONV" bootable --direct-kernel out/dir fs
	[ "$status" -eq 1 ]
	has "$stderr" "exists already"
	[ "$(cat out/dir/initrd.img)" = precious ]
	mkdir -p noinitrd/boot
	bz noinitrd/boot/vmlinuz-9
	make_fs noinitrd part 8M -t ext4
	"$IMGCONV" bootable -q --force --direct-kernel out/dir part
	[ "$(cd out/dir && echo *)" = "boot.json vmlinuz" ]
	jq -e '.["initrd-file"] == null' out/dir/boot.json
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
	{ printf '\177ELF' && head -c 5000 /dev/zero; } | gzip >xen/boot/vmlinuz-2.6.18-xen
	make_fs xen part 8M -t ext4
	refused "Xen only" part disk
	make_fs tree part 16M -t ext4 -O inline_data
	refused "inline_data" part disk
	refused "/no/kernel" --kernel /no/kernel fs disk
	refused "No such file" no-such-image disk
	dd if=fs of=part bs=1M count=4 status=none
	refused "do not fit" part disk
}

@test "a kernel that does not find its disk, or its firmware, is refused with the reason" {
	mkdir -p late/boot
	bz late/boot/vmlinuz-9
	printf 'CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\n' >late/boot/config-9
	make_fs late part 8M -t ext4
	refused "does not find its disk on KVM: there is no driver for a disk of KVM in the kernel (modules on the disk itself: virtio_blk)" part disk
	printf 'CONFIG_ATA_PIIX=y\nCONFIG_BLK_DEV_SD=y\n' >late/boot/config-9
	make_fs late part 8M -t ext4
	refused "does not know UEFI" --firmware uefi part disk
	run --separate-stderr "$IMGCONV" bootable part disk
	[ "$status" -eq 0 ]
	has "$stderr" "has to be attached by ide (virtio_blk: absent)"
	rm disk
	# 2.02 of the boot protocol is from 2000
	printf '\2\2' | dd of=late/boot/vmlinuz-9 bs=1 seek=518 conv=notrunc status=none
	make_fs late part 8M -t ext4
	refused "boot protocol is 2.02" part disk
}

@test "a target that exists stays, GRUB that is missing is named" {
	echo precious >disk
	run --separate-stderr "$IMGCONV" bootable fs disk
	[ "$status" -eq 1 ]
	has "$stderr" "exists already"
	[ "$(cat disk)" = precious ]
	rm disk
	ACCLIMATE_GRUB_DIR=/nonexistent refused "grub-pc-bin" fs disk
	ACCLIMATE_GRUB_DIR=/nonexistent refused "grub-efi-amd64-bin" --firmware uefi fs disk
}

@test "a kernel for arm64 boots by UEFI alone, by GRUB for arm64" {
	mkdir -p arm/boot
	{ printf 'MZ' && head -c 54 /dev/zero && printf 'ARM\144\100\0\0\0PE\0\0' && head -c 4000 /dev/zero; } >arm/boot/vmlinuz-9
	make_fs arm part 8M -t ext4
	refused "it boots with --firmware uefi" part disk
	ACCLIMATE_GRUB_DIR=/nonexistent refused "grub-efi-arm64-bin" --firmware uefi part disk
}

@test "wrong use is told apart from failure" {
	for args in "" "fs" "fs disk more" "--frob fs disk" "-o xml fs disk" "--firmware efi fs disk" \
		"--direct-kernel out fs disk" "-o json fs -" \
		"--direct-kernel out -O qcow2 fs" "--direct-kernel out --firmware uefi fs" \
		"--direct-kernel out -c fs" "--direct-kernel= fs" "-O raw -c fs disk" \
		"-O qcow2 --options frob=1 fs disk"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$IMGCONV" bootable $args
		[ "$status" -eq 2 ]
		has "$stderr" "--help"
	done
}
