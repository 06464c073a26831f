#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# More of bootable: formats, the same bytes each time, kernels without an initrd, a real guest.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest
load ../faults

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_tree tree
	make_fs tree fs 16M -t ext4
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	rm -rf disk disk.raw part
}

@test "the same input gives the same disk" {
	for firmware in bios both; do
		"$IMGCONV" bootable --force --firmware $firmware fs disk
		"$IMGCONV" bootable --force --firmware $firmware fs disk.raw
		cmp disk disk.raw
	done
}

@test "qcow2 in and out, compressed, and through a pipe" {
	qemu-img convert -c -O qcow2 fs part
	"$IMGCONV" bootable -O raw part disk.raw
	"$IMGCONV" bootable part disk
	qemu-img check disk
	qemu-img compare -f qcow2 -F raw disk disk.raw
	"$IMGCONV" bootable --force -c -O qcow2 fs disk
	qemu-img compare -f qcow2 -F raw disk disk.raw
	"$IMGCONV" bootable -O raw fs - | cmp - disk.raw
}

@test "every format that can be written is, with the GPT's copy at the disk's end" {
	"$IMGCONV" bootable -q --firmware both -O raw fs disk.raw
	writes() { "$IMGCONV" --version | grep -qw "$1"; }
	for how in "vhd vpc subformat=dynamic" "vhd vpc subformat=fixed" "vdi vdi subformat=dynamic" \
		"vmdk vmdk subformat=monolithicSparse" "vmdk vmdk subformat=twoGbMaxExtentSparse" \
		"vmdk vmdk subformat=streamOptimized"; do
		# shellcheck disable=SC2086
		set -- $how
		writes "$1" || continue
		rm -rf out && mkdir out
		"$IMGCONV" bootable -q --firmware both -O $1 --options $3 fs out/disk.$1
		qemu-img convert -f $2 -O raw out/disk.$1 part
		sgdisk -v part | grep "No problems found"
		cmp part disk.raw
	done
	! writes vmdk || "$IMGCONV" bootable -q --firmware both -O vmdk \
		--options subformat=streamOptimized fs - | cmp - out/disk.vmdk
}

@test "without an initrd the root is found by its partition" {
	run --separate-stderr "$IMGCONV" bootable -o json --kernel /boot/vmlinuz-9.9 --initrd /boot/initrd.img-9.9 fs disk
	[ "$status" -eq 0 ]
	has "$(jq -r .cmdline <<<"$output")" "root=UUID="
	mkdir -p bare/boot bare/etc
	bz bare/boot/vmlinuz-4
	make_fs bare part 8M -t ext4
	run --separate-stderr "$IMGCONV" bootable --force -o json part disk
	[ "$status" -eq 0 ]
	[ "$(jq .initrd <<<"$output")" = null ]
	has "$stderr" "is not known: neither /boot/config-"
	id=$(sfdisk -J disk | jq -r .partitiontable.id)
	has "$(jq -r .cmdline <<<"$output")" "root=PARTUUID=${id#0x}-01 "
	run --separate-stderr "$IMGCONV" bootable --force --firmware uefi -o json part disk
	id=$(sfdisk -J disk | jq -r '.partitiontable.partitions[0].uuid' | tr A-F a-f)
	has "$(jq -r .cmdline <<<"$output")" "root=PARTUUID=$id "
	has "$stderr" "has no EFI stub"
	# a kernel from before there was PARTUUID
	mv bare/boot/vmlinuz-4 bare/boot/vmlinuz-2.6.32
	make_fs bare part 8M -t ext3
	run --separate-stderr "$IMGCONV" bootable --force -o json part disk
	has "$(jq -r .cmdline <<<"$output")" "root=/dev/vda1 "
}

@test "what is said of a real guest is what is in it" {
	ami=$TOP/build/ami/instance-store.img
	[ -e "$ami" ] || skip "no machine image: make check builds it"
	version=$(debugfs -R 'ls -p /lib/modules' "$ami" 2>/dev/null | cut -d/ -f6 | grep "^[0-9]")
	[ -n "$version" ] || version=$(debugfs -R 'ls -p /usr/lib/modules' "$ami" 2>/dev/null | cut -d/ -f6 | grep "^[0-9]")
	debugfs -R "cat /boot/initrd.img-$version" "$ami" 2>/dev/null >initrd
	"$IMGCONV" bootable --dry-run -o json "$ami" >plan
	"$IMGCONV" info -o json "$ami" >info
	for driver in virtio_pci virtio_blk virtio_scsi sd_mod ata_piix; do
		where=$(jq -r .drivers.$driver plan)
		# the header of a member is 110 letters, its name follows
		if zcat initrd | LC_ALL=C grep -aoE '070701[0-9A-Fa-f]{104}[[:print:]]+' | grep -q "/$driver\.ko"; then
			[ "$where" = initrd ]
		else
			[ "$where" != initrd ]
		fi
	done
	[ "$(jq -r .boot.bus info)" = virtio ]
	[ "$(jq -r .boot.os info)" = "$(debugfs -R 'cat /usr/lib/os-release' "$ami" 2>/dev/null | sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p')" ]
	[ "$(jq -r '.boot."kernel-version"' info)" = "$version" ]
}

@test "a folder that is nothing but holes is not run over again and again" {
	make_fs tree holed 16M -t ext4 -b 1024 -O ^has_journal
	debugfs -w -R 'sif /boot size 8388608' holed
	run "$IMGCONV" ls holed /boot
	[ "$status" -eq 1 ]
	[[ $output == *"has more than 64 holes"* ]]
	"$IMGCONV" bootable --dry-run holed # its entries are in its first block
}

@test "a disk that is full or broken leaves nothing, and so does one that is killed" {
	[ "${MODE:-}" != asan ] || skip "the sanitizer wants to be loaded first"
	FAULT=$BUILD/tests/fault.so
	rm -rf faults
	cp -a tree faults
	printf 'CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=y\n' >faults/boot/config-9.9
	make_fs faults sound 16M -t ext4
	rm -rf faults/* whole direct
	cd faults
	"$IMGCONV" bootable -q ../sound ../whole
	"$IMGCONV" bootable -q --direct-kernel ../direct ../sound
	right() {
		[ ! -f out ] || cmp ../whole out
		[ ! -d out ] || diff -r ../direct out
		[ -e out ]
	}
	all_faults pwrite ENOSPC "$IMGCONV" bootable -q ../sound out
	all_faults fsync EIO "$IMGCONV" bootable -q ../sound out
	all_faults pread EIO "$IMGCONV" bootable -q ../sound out
	all_faults write ENOSPC "$IMGCONV" bootable -q ../sound out
	mkdir out
	for call in write fsync; do
		for n in 1 2 3; do
			run ! fault $call $n ENOSPC "$IMGCONV" bootable -q --direct-kernel out ../sound
			[ "$(wc -l <err)" = 1 ]
			# boot.json says that the others are there
			[ ! -e out/boot.json ]
			[ -z "$(find out -name '.*.tmp')" ]
			rm -f out/*
		done
	done
	rmdir out
	for delay in 0.005 0.01 0.02 0.04 0.08 0.16; do
		timeout -s KILL $delay "$IMGCONV" bootable -q ../sound out || true
		[ ! -e out ] || right
		[ -z "$(find . -name '.*out*')" ]
		rm -f out
	done
}
