#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What `imgconv bootable` makes is booted: BIOS or UEFI, GRUB, and a kernel that says what it was
# given.
# shellcheck disable=SC2154 # bats's run sets output

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	as --32 -o kernel.o "$BATS_TEST_DIRNAME/kernel.S"
	objcopy -O binary -j .text kernel.o kernel
	mkdir -p tree/boot/grub tree/etc
	cp kernel tree/boot/vmlinuz-1
	echo 'what the initrd holds' >tree/boot/initrd.img-1
	ln -s boot/vmlinuz-1 tree/vmlinuz
	ln -s /boot/initrd.img-1 tree/initrd.img
	printf '%s\n' 'title Test' 'root (hd0)' \
		'kernel /boot/vmlinuz-1 root=/dev/xvda1 ro console=hvc0 a="b c" d=$e;f' \
		'initrd /boot/initrd.img-1' >tree/boot/grub/menu.lst
}

setup() {
	command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64"
	cd "$BATS_FILE_TMPDIR" || return
	IMGCONV=${BINDIR:-$BATS_TEST_DIRNAME/../../bin}/imgconv
	UUID=6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b
	WORDS="root=UUID=$UUID ro \"a=b c\" d=\$e;f console=tty0 console=ttyS0,115200"
	rm -f disk fs serial
}

make_fs() { # MKE2FS-OPTION...
	truncate -s 16M fs
	mke2fs -q -F -U "$UUID" "$@" -d tree fs
}

# Debian's package ovmf: UEFI for QEMU, with variables that are forgotten.
uefi() {
	code=/usr/share/OVMF/OVMF_CODE_4M.fd
	vars=/usr/share/OVMF/OVMF_VARS_4M.fd
	[ -e $code ] || skip "no UEFI for QEMU ($code)"
	UEFI="-M q35 -drive if=pflash,unit=0,format=raw,readonly=on,file=$code
		-drive if=pflash,unit=1,format=raw,snapshot=on,file=$vars"
}

boots() { # QEMU-OPTION...
	timeout 600 qemu-system-x86_64 -accel tcg -m 64 -display none -no-reboot -nic none \
		-monitor none -serial file:serial "$@" </dev/null
	grep -aqF "KERNEL cmdline<BOOT_IMAGE=/vmlinuz $WORDS>" serial
	grep -aqF 'KERNEL initrd<what the initrd holds>' serial
	grep -aqF 'KERNEL bye' serial
}

@test "a qcow2 disk boots from virtio, with its command line and initrd" {
	make_fs -t ext4
	"$IMGCONV" bootable -O qcow2 fs disk
	boots -drive file=disk,if=virtio,format=qcow2
}

@test "a raw disk boots from IDE and from AHCI" {
	make_fs -t ext3
	"$IMGCONV" bootable -O raw fs disk
	boots -drive file=disk,if=ide,format=raw
	boots -M q35 -drive file=disk,if=ide,format=raw
}

@test "every kind of file system that bootable takes is read by GRUB" {
	for options in "-t ext2" "-t ext4 -b 1024" "-t ext4 -O metadata_csum,metadata_csum_seed" \
		"-t ext4 -O orphan_file,64bit" "-t ext4 -O meta_bg,^resize_inode" "-t ext4 -O mmp"; do
		rm -f fs disk
		# shellcheck disable=SC2086
		make_fs $options
		"$IMGCONV" bootable -O raw fs disk
		boots -drive file=disk,if=virtio,format=raw
	done
}

@test "the menu in the guest, which GRUB could read, is not looked at" {
	make_fs -t ext4
	printf 'set timeout=99\nreboot\n' >grub.cfg
	debugfs -w -R 'write grub.cfg /boot/grub/grub.cfg' fs 2>/dev/null
	"$IMGCONV" bootable -O raw fs disk
	boots -drive file=disk,if=virtio,format=raw
}

@test "a disk for both boots from UEFI and from BIOS" {
	uefi
	make_fs -t ext4
	"$IMGCONV" bootable --firmware both -O qcow2 fs disk
	# shellcheck disable=SC2086
	boots -m 128 $UEFI -drive file=disk,if=virtio,format=qcow2
	boots -drive file=disk,if=virtio,format=qcow2
}

@test "kernel and initrd that were taken out boot as they are" {
	make_fs -t ext4
	"$IMGCONV" bootable --direct-kernel out fs
	cmdline=$(jq -r .cmdline out/boot.json)
	timeout 600 qemu-system-x86_64 -accel tcg -m 64 -display none -no-reboot -nic none -monitor none \
		-serial file:serial -kernel out/vmlinuz -initrd out/initrd.img -append "$cmdline" \
		-drive file=fs,if=virtio,format=raw </dev/null
	grep -aqF 'KERNEL cmdline<root=/dev/vda ro "a=b c" d=$e;f console=tty0 console=ttyS0,115200' serial
	grep -aqF 'KERNEL initrd<what the initrd holds>' serial
}
