#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every format into every format, whatever the disk; qemu-img sees the same disk each time.

load common

setup_file() { make_work; }
teardown_file() { remove_work; }
setup() { cd "$WORK" || return; }
teardown() { rm -f -- *; }

# all_pairs: disk.raw through every pair of formats.
all_pairs() {
	local from to
	for from in $(formats); do
		"$IMGCONV" convert -q -O "$from" disk.raw "from.$from"
		for to in $(formats); do
			"$IMGCONV" convert -q -f "$from" -O "$to" "from.$from" "to.$to"
			qemu-img compare -q -f raw -F "$(qemu_name "$to")" disk.raw "to.$to" || {
				echo "$from to $to differs"
				return 1
			}
			case $to in
			qcow2 | vdi | vmdk) qemu-img check -q -f "$to" "to.$to" ;;
			esac
			"$IMGCONV" compare -q -s -f raw -F "$to" disk.raw "to.$to"
			# The way there leaves no trace.
			cmp "to.$to" <("$IMGCONV" convert -q -O "$to" disk.raw "again.$to" && cat "again.$to")
			rm -f "to.$to" "again.$to"
		done
		rm -f "from.$from"
	done
}

@test "an empty disk" {
	truncate -s 100M disk.raw
	all_pairs
}

@test "a full disk" {
	make_disk disk.raw 5M
	tr '\0' '\1' <disk.raw >full.raw
	mv full.raw disk.raw
	all_pairs
}

@test "a sparse disk" {
	make_disk disk.raw 16M
	all_pairs
}

@test "a disk of an odd number of sectors" {
	make_disk disk.raw $((5 * 1024 * 1024 + 512 * 3))
	all_pairs
}

@test "a disk of one sector, and one whose last block is one sector" {
	printf 'x%.0s' $(seq 512) >disk.raw
	all_pairs
	make_disk disk.raw 4M
	printf 'y%.0s' $(seq 512) >>disk.raw
	all_pairs
}

@test "a sparse disk of over 4 GiB" {
	truncate -s 5G disk.raw
	for at in 0 4294966784 4294967296 5368708608; do
		printf 'here I am at %d' $at | dd of=disk.raw bs=1 seek=$at conv=notrunc status=none
	done
	all_pairs
}

@test "a disk of 0 bytes is refused" {
	truncate -s 0 disk.raw
	for to in $(formats); do
		fails "would be a disk of 0 bytes" convert -f raw -O "$to" disk.raw out
	done
}
