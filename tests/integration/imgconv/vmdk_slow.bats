#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# VMDK: every option of qemu-img, every size, disks of more than 4 GiB, as pairs with qcow2.

bats_require_minimum_version 1.5.0
load common

SUBFORMATS="monolithicSparse streamOptimized monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat"

setup_file() {
	make_work
	make_disk disk.raw 9M
	truncate -s 9438720 disk.raw
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -rf out* in*
}

# reads_as RAW IMAGE: the guest's bytes of IMAGE, as read by imgconv, are those of RAW.
reads_as() {
	"$IMGCONV" convert -q --allow-extents -O raw "$2" "$2.raw"
	cmp "$1" "$2.raw"
	rm "$2.raw"
}

# same_as RAW IMAGE: the same for disks with large holes.
same_as() {
	"$IMGCONV" convert -q --allow-extents -O raw "$2" "$2.raw"
	"$IMGCONV" compare -q -s "$1" "$2.raw"
	rm "$2.raw"
}

@test "images of every option of qemu-img are read" {
	for s in $SUBFORMATS; do
		for o in adapter_type=ide adapter_type=buslogic adapter_type=lsilogic adapter_type=legacyESX \
			compat6=on hwversion=13 zeroed_grain=on toolsversion=99 preallocation=full extent_size_hint=1M; do
			[ "$o" != preallocation=full ] || [[ $s == *Flat ]] || continue
			[ "$o" != zeroed_grain=on ] || [[ $s != *Flat ]] || continue
			echo "case: $s $o"
			qemu-img convert -f raw -O vmdk -o subformat=$s,$o disk.raw in.vmdk
			reads_as disk.raw in.vmdk
			rm in*
		done
	done
}

@test "zeroed grains, and grains written at random, are read" {
	qemu-img create -q -f vmdk -o zeroed_grain=on in.vmdk 200M
	qemu-io -f vmdk -c "write -P 7 100M 3M" -c "write -P 8 0 128k" -c "write -z 101M 1M" -c "write -P 9 60M 1k" \
		-c "write -P 1 150M 64k" -c "write -P 2 149M 64k" -c "write -z 0 64k" in.vmdk >/dev/null
	qemu-img convert -f vmdk -O raw in.vmdk expected.raw
	reads_as expected.raw in.vmdk
	"$IMGCONV" convert -q -c -O vmdk in.vmdk out.vmdk
	reads_as expected.raw out.vmdk
	rm expected.raw
}

@test "every subformat of every size, there and back" {
	for size in 512 1024 65024 65536 66048 1048576 33553920 33554432 33554944 41943040; do
		make_disk in.raw $size
		for s in $SUBFORMATS; do
			"$IMGCONV" convert -q -O vmdk -o subformat=$s in.raw out.vmdk
			qemu-img compare -q -f raw -F vmdk in.raw out.vmdk
			reads_as in.raw out.vmdk
			qemu-img convert -f raw -O vmdk -o subformat=$s in.raw inq.vmdk
			reads_as in.raw inq.vmdk
			rm out* inq*
		done
		"$IMGCONV" convert -q -O vmdk -c in.raw - | "$IMGCONV" convert -q -f vmdk -O qcow2 -c - out.qcow2
		same in.raw out.qcow2
		"$IMGCONV" convert -q -O vmdk -c out.qcow2 - | "$IMGCONV" convert -q -f vmdk -O raw - - | cmp - in.raw
		rm out*
	done
}

@test "empty disks of every subformat" {
	truncate -s 5G in.raw
	for s in $SUBFORMATS; do
		"$IMGCONV" convert -q -O vmdk -o subformat=$s in.raw out.vmdk
		qemu-img compare -q -f raw -F vmdk in.raw out.vmdk
		qemu-img check -q out.vmdk
		[ "$(qemu-img info --output=json out.vmdk | jq -r '."format-specific".data."create-type"')" = $s ]
		same_as in.raw out.vmdk
		[ "$(du -cB1M out* | tail -n 1 | cut -f 1)" -lt 2 ]
		rm out*
	done
}

@test "sparse disks over 4 GiB, in several extents, with data across their borders" {
	truncate -s 6G in.raw
	for at in 0 2146435072 2147483000 4292870144 4294967000 6442450900; do
		printf 'the data at %d' $at | head -c $((6442450944 - at)) |
			dd of=in.raw bs=1 seek=$at conv=notrunc status=none
	done
	for s in $SUBFORMATS; do
		"$IMGCONV" convert -q -O vmdk -o subformat=$s in.raw out.vmdk
		qemu-img compare -q -f raw -F vmdk in.raw out.vmdk
		same_as in.raw out.vmdk
		[ "$s" != twoGbMaxExtentSparse ] || 7zz x -so out.vmdk 2>/dev/null | cmp - in.raw
		rm out*
		qemu-img convert -f raw -O vmdk -o subformat=$s in.raw inq.vmdk
		same_as in.raw inq.vmdk
		rm inq*
	done
}

@test "noise does not grow by more than its headers" {
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 70M >in.raw
	for level in 1 3 5 9 12; do
		"$IMGCONV" convert -q -c -O vmdk -o compression_level=$level in.raw out.vmdk
		[ "$(stat -c %s out.vmdk)" -lt $((70 * 1048576 + 1120 * 512 + 200000)) ]
		qemu-img compare -q -f raw -F vmdk in.raw out.vmdk
		reads_as in.raw out.vmdk
		rm out.vmdk
	done
}

@test "streams of text, of programs and of noise are at most 1.02 times as large as QEMU's" {
	mapfile -t text < <(find /usr/share/perl /usr/include /usr/lib/python3* -type f \( -name '*.p[lmy]' -o -name '*.h' \) | sort | head -2500)
	cat "${text[@]}" | head -c 16M >in.text
	find /usr/bin -type f -size +100k | sort | xargs cat | head -c 16M >in.programs
	head -c 4M /dev/urandom >in.noise
	for kind in text programs noise; do
		echo "case: $kind"
		truncate -s %64K in.$kind
		"$IMGCONV" convert -q -f raw -O vmdk -o subformat=streamOptimized in.$kind out.vmdk
		qemu-img compare -q -f raw -F vmdk in.$kind out.vmdk
		qemu-img convert -f raw -O vmdk -o subformat=streamOptimized in.$kind out.qemu
		[ $(($(stat -c %s out.vmdk) * 100)) -le $(($(stat -c %s out.qemu) * 102)) ]
		rm out*
	done
}

@test "streams written by several threads of qemu-img are read back and forth" {
	make_disk in.raw 40M
	qemu-img convert -W -m 16 -f raw -O vmdk -o subformat=streamOptimized in.raw inq.vmdk
	reads_as in.raw inq.vmdk
}

@test "a full disk leaves nothing, whatever the subformat" {
	for s in $SUBFORMATS; do
		(
			ulimit -f 512
			fails "File too large" convert -O vmdk -o subformat=$s disk.raw out.vmdk
		)
	done
}
