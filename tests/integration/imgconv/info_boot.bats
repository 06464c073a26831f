#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv info: whether the guest inside boots, and what is suspicious about its disk.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_tree tree
	echo 'CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=m' >tree/boot/config-9.9
	make_fs tree fs 16M -t ext4
	make_disk fs plain gpt
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	rm -rf disk part
}

# boot JQ IMAGE: true if it holds for what is said about booting.
boot() { "$IMGCONV" info -o json "$2" | jq -e ".boot | $1"; }

@test "root, kernel and initrd are found in a partition as on a whole disk" {
	boot '.["root-partition"] == 0 and .os == "Test Linux 1" and .kernel == "/boot/vmlinuz-9.9" and
		.initrd == "/boot/initrd.img-9.9" and .["kernel-version"] == "9.9" and .bios == null' fs
	boot '.["root-partition"] == 2 and .os == "Test Linux 1" and .["kernel-kind"] == "bzImage" and
		.drivers.virtio_pci == "builtin" and .uefi == []' plain
	"$IMGCONV" convert -q -O qcow2 plain disk
	[ "$("$IMGCONV" info -o json plain | jq .boot)" = "$("$IMGCONV" info -o json disk | jq .boot)" ]
	"$IMGCONV" info disk | grep -x 'operating system:   Test Linux 1, in partition 2'
}

@test "what cannot be found out is unknown, with a reason, and the rest is told" {
	boot '.drivers.virtio_blk == "unknown" and .bus == "unknown" and
		(.unknown | length) == 1 and .unknown[0].what == "drivers" and
		(.unknown[0].why | contains("neither a cpio archive"))' plain
	"$IMGCONV" info plain | grep -F 'unknown:            drivers, because initrd: neither a cpio archive'
	# the root's superblock is damaged, the table is not
	cp plain disk
	printf '\377\377\377\377' | dd of=disk bs=1 seek=$((4194304 + 1024 + 32)) conv=notrunc status=none
	boot '.kernel == null and .unknown[0].what == "root"' disk
	# a file system that is not looked into
	rm disk
	truncate -s 64M disk
	printf 'XFSB' | dd of=disk bs=1 conv=notrunc status=none
	boot '.unknown == [{"what": "root", "why": "the disk is xfs, which is not looked into"}]' disk
}

@test "a kernel in a partition of its own is found, and the root's modules with it" {
	mkdir -p apart/boot apart/lost root/etc root/sbin root/lib/modules/9.9
	bz apart/vmlinuz-9.9
	printf 'kernel/drivers/block/virtio_blk.ko\nkernel/drivers/virtio/virtio_pci.ko\n' \
		>root/lib/modules/9.9/modules.builtin
	make_fs apart part 8M -t ext2
	truncate -s 64M disk
	sfdisk -q --no-tell-kernel disk <<<$'label: gpt\nstart=2048, size=16384\nstart=32768, size=32768'
	dd if=part of=disk bs=1M seek=1 conv=notrunc status=none
	make_fs root part 16M -t ext4
	dd if=part of=disk bs=1M seek=16 conv=notrunc status=none
	boot '.["root-partition"] == 2 and .kernel == "/vmlinuz-9.9" and .bus == "virtio"' disk
}

@test "a kernel for Xen alone is told to be one" {
	mkdir -p xen/boot xen/etc xen/sbin
	{ printf '\177ELF' && head -c 5000 /dev/zero; } | gzip >xen/boot/vmlinuz-2.6.18-xen
	make_fs xen part 8M -t ext3
	boot '.kernel == "/boot/vmlinuz-2.6.18-xen" and .["kernel-kind"] == "xen-pv" and
		.["kernel-version"] == "2.6.18-xen"' part
}

@test "text of the guest cannot write on the terminal" {
	mkdir -p evil/boot evil/etc evil/sbin
	printf 'PRETTY_NAME="\033[2Jevil"\n' >evil/etc/os-release
	bz "evil/boot/vmlinuz-$(printf 'x\033[31m')"
	make_fs evil part 8M -t ext4
	"$IMGCONV" info part >out
	run ! grep -q $'\033' out
	grep -F 'operating system:   \x1b[2Jevil' out
}

@test "tables that programs disagree about are warnings" {
	cp plain disk
	warned() { "$IMGCONV" info -o json disk | jq -e ".warnings | map(select(contains(\"$1\"))) | length > 0"; }
	"$IMGCONV" info -o json disk | jq -e '.warnings == []'
	printf '\2' | dd of=disk bs=1 seek=454 conv=notrunc status=none
	warned "begins in sector 2, not 1"
	cp plain disk
	printf 'x' | dd of=disk bs=1 seek=$((64 * 1048576 - 480)) conv=notrunc status=none
	warned "its copy is damaged or missing"
	truncate -s 65M disk
	warned "the disk was made larger or cut"
	"$IMGCONV" info disk | grep '^warning:  '
}

@test "a large file system takes neither time nor memory, and no other file is opened" {
	truncate -s 4T disk
	mke2fs -q -F -t ext4 -O ^has_journal,sparse_super2 -E lazy_itable_init=1,num_backup_sb=0,packed_meta_blocks=1 -N 200000 disk
	if [ "${MODE:-}" != asan ]; then
		prlimit --as=$((192 << 20)) --cpu=20 "$IMGCONV" info disk
	fi
	# a leak checker traces, too, and cannot where strace does
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace -f -e trace=open,openat,openat2,execve -o trace "$IMGCONV" info plain >out
	sed -n '/"plain", O_/,$p' trace >behind
	[ "$(grep -cE '(open|exec)\w*\(' behind)" -eq 1 ]
}
