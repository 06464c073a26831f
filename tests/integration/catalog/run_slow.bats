#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# catalog run: machines of each kind, with guests that are a boot sector or a script of the UEFI shell.

bats_require_minimum_version 1.5.0
load store

setup_file() { store_up; }
setup() { store_fresh; }

# image NAME RECORD RAW...: an image of these disks.
image() {
	local dir=$ACCLIMATE_STORE/images/$1 n=
	mkdir -p "$dir"
	echo "$2" >"$dir/image.json"
	shift 2
	for raw in "$@"; do
		qemu-img convert -O qcow2 "$raw" "$dir/disk$n.qcow2"
		n=$((${n:-0} + 1))
	done
}

# A boot sector: reads the second disk's first sector, writes it to the second sector of the first
# disk, prints its text on the serial line, and powers off.
speaking_disks() {
	local a=$BATS_TEST_TMPDIR/a b=$BATS_TEST_TMPDIR/b
	truncate -s 1M "$a" "$b"
	printf '\x31\xc0\x8e\xd8\x8e\xc0\xb8\x01\x02\xb9\x01\x00\xba\x81\x00\xbb\x00\x7e\xcd\x13' >"$BATS_TEST_TMPDIR/code"
	printf '\xb8\x01\x03\xb9\x02\x00\xba\x80\x00\xcd\x13\xbe\x00\x7e\xba\xf8\x03' >>"$BATS_TEST_TMPDIR/code"
	printf '\x8a\x04\x84\xc0\x74\x04\xee\x46\xeb\xf6\xba\x04\x06\xb8\x00\x20\xef\xf4\xeb\xfd' >>"$BATS_TEST_TMPDIR/code"
	dd if="$BATS_TEST_TMPDIR/code" of="$a" conv=notrunc status=none
	printf '\125\252' | dd of="$a" bs=1 seek=510 conv=notrunc status=none
	printf 'the second disk speaks\n' | dd of="$b" conv=notrunc status=none
	image two '{"name": "two"}' "$a" "$b"
}

runs() { catalog run -q --accel tcg --with none --timeout 900 --run-dir "$BATS_TEST_TMPDIR/run" "$@"; }
second_sector() { qemu-io -r -c "read -v 512 512" "$1" | grep -c 'the.second.disk'; }

@test "BIOS, two disks: the image stays as it is, a clone keeps what its guest writes" {
	speaking_disks
	runs two
	grep -q 'the second disk speaks' "$BATS_TEST_TMPDIR/run/console.log"
	[ "$(second_sector "$BATS_TEST_TMPDIR/run/disk.qcow2")" -eq 1 ]
	catalog clone two work
	[ "$(second_sector "$(path_of work)")" -eq 0 ]
	runs work
	[ "$(second_sector "$(path_of work)")" -eq 1 ]
	[ "$(second_sector "$(path_of two)")" -eq 0 ]
	catalog commit work two-2
	[ "$(second_sector "$(path_of two-2)")" -eq 1 ]
	whole
	run runs work --disk-size 1G
	[ "$status" -eq 1 ]
}

@test "the ISO of each kind, as the guest's software looks for it" {
	speaking_disks
	# What the firmware's second disk is, the guest can read: here it is the ISO's first sector.
	for with in opennebula:CONTEXT nocloud:cidata config-drive:config-2; do
		rm -rf "$BATS_TEST_TMPDIR/run"
		runs two --with "${with%:*}" --hostname guest
		[ "$(blkid -p -o value -s LABEL "$BATS_TEST_TMPDIR/run/context.iso")" = "${with#*:}" ]
	done
}

@test "what a guest runs from is not removed" {
	speaking_disks
	# It never ends by itself: the boot sector only halts.
	printf '\xf4\xeb\xfd' | dd of="$BATS_TEST_TMPDIR/a" conv=notrunc status=none
	image still '{"name": "still"}' "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
	catalog tag still fixed
	catalog rm still
	runs fixed 3>&- &
	pid=$!
	for _ in $(seq 600); do
		[ ! -e "$BATS_TEST_TMPDIR/run/run.json" ] || break
		sleep 0.1
	done
	before=$(disks)
	catalog rm fixed
	catalog gc >/dev/null
	[ "$(disks)" -eq "$before" ]
	kill -9 "$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$BATS_TEST_TMPDIR/run/run.json")"
	wait "$pid" || true
	catalog gc >/dev/null
	[ "$(disks)" -lt "$before" ]
}

# efi_image NAME ARCH FILE: an EFI system partition with a program that says its name.
efi_image() {
	local disk=$BATS_TEST_TMPDIR/$1.raw
	truncate -s 40M "$disk"
	printf 'label: gpt\nstart=2048, size=71680, type=U\n' | sfdisk -q "$disk"
	mformat -i "$disk@@1M" -T 71680 -h 64 -s 32 ::
	mmd -i "$disk@@1M" ::/EFI ::/EFI/BOOT
	tests/integration/catalog/efi.py "$2" "this is $3" | mcopy -i "$disk@@1M" - "::/EFI/BOOT/$3"
	image "$1" "{\"name\": \"$1\"}" "$disk"
}

@test "UEFI: a PC" {
	[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || skip "no OVMF"
	efi_image u x86_64 BOOTX64.EFI
	runs u
	grep -aq 'this is BOOTX64.EFI' "$BATS_TEST_TMPDIR/run/console.log"
	[ -s "$BATS_TEST_TMPDIR/run/efivars.fd" ]
}

@test "UEFI: an arm64 machine" {
	[ -e /usr/share/AAVMF/AAVMF_CODE.fd ] || skip "no AAVMF"
	efi_image a arm64 BOOTAA64.EFI
	runs a
	grep -aq 'this is BOOTAA64.EFI' "$BATS_TEST_TMPDIR/run/console.log"
}
