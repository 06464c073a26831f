#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is particular to QCOW2: internal snapshots, options of what is written, other readers.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	make_work
	make_disk disk.raw 5M
	# Three states of a disk: "one", "two", which is larger, and now.
	qemu-img convert -q -f raw -O qcow2 -o cluster_size=16K disk.raw snapshots.qcow2
	qemu-img snapshot -c one snapshots.qcow2
	qemu-io -f qcow2 -c "write -P 2 1M 700k" -c "write -z 0 512k" snapshots.qcow2 >/dev/null
	qemu-img resize -q -f qcow2 snapshots.qcow2 6M
	qemu-io -f qcow2 -c "write -P 3 5M 300k" snapshots.qcow2 >/dev/null
	qemu-img snapshot -c two snapshots.qcow2
	qemu-img convert -q -f qcow2 -O raw snapshots.qcow2 two.raw
	qemu-io -f qcow2 -c "write -P 4 0 5M" snapshots.qcow2 >/dev/null
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -f out* in*
}

@test "internal snapshots are read by name and by id" {
	for s in one 1; do
		"$IMGCONV" convert -q --snapshot $s -O raw snapshots.qcow2 out.raw
		cmp disk.raw out.raw
		rm out.raw
	done
	for s in two 2; do
		"$IMGCONV" convert -q -c --snapshot $s -O qcow2 snapshots.qcow2 out.qcow2
		same two.raw out.qcow2
		rm out.qcow2
	done
	"$IMGCONV" map --snapshot one -o json snapshots.qcow2 >out.json
	jq -e 'last | .start + .length == 5242880' out.json
}

@test "a snapshot that there is not, or twice, is an error" {
	fails "there is no snapshot 'three'" convert --snapshot three -O raw snapshots.qcow2 out.raw
	fails "there is no snapshot ''" convert --snapshot '' -O raw snapshots.qcow2 out.raw
	fails "raw images have no internal snapshots" convert --snapshot one -f raw -O raw disk.raw out.raw
	qemu-img create -q -f qcow2 in.qcow2 1M
	fails "nor any other" convert --snapshot one -O raw in.qcow2 out.raw
	qemu-img snapshot -c twin in.qcow2
	qemu-img snapshot -c twin in.qcow2
	fails "2 snapshots have the name 'twin': give the id" convert --snapshot twin -O raw in.qcow2 out.raw
	"$IMGCONV" convert -q --snapshot 2 -O raw in.qcow2 out.raw
}

@test "info lists the snapshots as qemu-img does" {
	"$IMGCONV" info -o json snapshots.qcow2 | jq -S '[."format-specific".snapshots[] |
		{id, name, vm: ."vm-state-size", date: (.date | fromdate)}]' >out.ours
	qemu-img info --output json snapshots.qcow2 | jq -S '[.snapshots[] |
		{id, name, vm: ."vm-state-size", date: ."date-sec"}]' >out.qemu
	diff out.ours out.qemu
	"$IMGCONV" info -o json snapshots.qcow2 |
		jq -e '[."format-specific".snapshots[]."disk-size"] == [5242880, 6291456]'
	"$IMGCONV" info snapshots.qcow2 | grep "^snapshots:  *id 1, name one, date 20"
}

@test "hostile snapshot tables are refused" {
	table=$(xxd -s 64 -l 8 -p snapshots.qcow2)
	poke() { # OFFSET-IN-THE-TABLE HEX
		cp snapshots.qcow2 in.qcow2
		echo "$2" | xxd -r -p | dd of=in.qcow2 bs=1 seek=$((0x$table + $1)) conv=notrunc status=none
	}
	poke 0 0000000000000200
	fails "is not aligned" convert --snapshot one -O raw in.qcow2 out.raw
	poke 0 0000010000000000
	fails "past the end of the file" convert --snapshot one -O raw in.qcow2 out.raw
	poke 0 0000000000000000
	fails "overlaps the header" convert --snapshot one -O raw in.qcow2 out.raw
	poke 0 "$(xxd -s 40 -l 8 -p in.qcow2)"
	fails "overlaps the L1 table" convert --snapshot one -O raw in.qcow2 out.raw
	poke 8 00000000
	fails "L1 table has 0 entries, the disk needs 1" convert --snapshot one -O raw in.qcow2 out.raw
	poke 8 ffffffff
	fails "over the limit" convert --snapshot one -O raw in.qcow2 out.raw
	poke 36 ffffffff
	fails "extra data are over the limit" convert --snapshot one -O raw in.qcow2 out.raw
	poke 14 ffff
	run ! "$IMGCONV" convert -q --snapshot two -O raw in.qcow2 out.raw
	# The disk as it is now is not affected.
	"$IMGCONV" convert -q -O raw in.qcow2 out.raw
	"$IMGCONV" info in.qcow2 | grep "^warning: *snapshot 2 of 2:"
}

@test "options of what is written, and other programs that read it" {
	for o in $(few version=2 extended_l2=on compat=0.10,compression=zlib preallocation=metadata \
		preallocation=falloc,cluster_size=4K preallocation=full); do
		"$IMGCONV" convert -q -O qcow2 -o $o disk.raw out.qcow2
		same disk.raw out.qcow2
		[[ $o != compat* && $o != version* ]] || qemu-img info out.qcow2 | grep -q "compat: 0.10"
		if [[ $o != extended* ]]; then
			7zz x -tqcow -so out.qcow2 2>/dev/null | cmp - disk.raw
			qcowinfo out.qcow2 | grep -q "5.0 MiB (5242880 bytes)"
		fi
		rm out.qcow2
	done
}

@test "no level asked for: every kind of data" {
	# Text, machine code, what is compressed already, tables of numbers.
	for f in /usr/bin/bash /usr/share/perl/*/unicore/Name.pl /usr/share/man/man1/bash.1.gz; do
		[ ! -e "$f" ] || head -c 1M "$f"
	done >in.raw
	/usr/bin/python3 -c 'import sys, struct
for i in range(40000): sys.stdout.buffer.write(struct.pack("<QQ", 0x7f0000400000 + i * 48, i % 977))' >>in.raw
	truncate -s %64K in.raw
	"$IMGCONV" convert -q -c -O qcow2 in.raw out.qcow2
	same in.raw out.qcow2
	7zz x -tqcow -so out.qcow2 2>/dev/null | cmp - in.raw
	qemu-img convert -q -c -f raw -O qcow2 in.raw in.qcow2
	[ "$(stat -c %s out.qcow2)" -le "$(($(stat -c %s in.qcow2) * 110 / 100))" ]
}

@test "an image with holes in its own file is not read through" {
	qemu-img create -q -f qcow2 -o preallocation=metadata in.qcow2 200G
	qemu-io -f qcow2 -c "write -P 7 100G 64k" in.qcow2 >/dev/null
	"$IMGCONV" map -o json in.qcow2 |
		jq -e '[.[] | select(.kind == "data")] | map(.length) | add < 1048576'
	"$IMGCONV" convert -q -O qcow2 in.qcow2 out.qcow2
	qemu-io -r -f qcow2 -c "read -P 7 100G 64k" -c "read -P 0 1G 64k" out.qcow2 >out.log
	run ! grep -q 'verification failed' out.log
	qemu-img check -q out.qcow2
}
