#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv info: formats, facts, partitions, file systems.

bats_require_minimum_version 1.5.0
load common

setup() { make_work; }
teardown() { remove_work; }

# value JQ FILE
value() { "$IMGCONV" info -o json "$2" | jq -r "$1"; }

@test "the facts are those of qemu-img" {
	for o in compat=1.1 compat=0.10 cluster_size=4096 refcount_bits=64 extended_l2=on \
		lazy_refcounts=on compression_type=zstd; do
		qemu-img create -q -f qcow2 -o $o a.qcow2 10M
		qemu-img info --output=json a.qcow2 >q.json
		[ "$(value .format a.qcow2)" = qcow2 ]
		[ "$(value '."virtual-size"' a.qcow2)" = "$(jq '."virtual-size"' q.json)" ]
		[ "$(value '."format-specific"."cluster-size"' a.qcow2)" = "$(jq '."cluster-size"' q.json)" ]
		for f in refcount-bits compression-type extended-l2 lazy-refcounts corrupt; do
			want=$(jq -r ".\"format-specific\".data.\"$f\" // empty" q.json)
			[ -z "$want" ] || [ "$(value ".\"format-specific\".\"$f\"" a.qcow2)" = "$want" ]
		done
	done
}

@test "partitions and file systems, the same through raw and qcow2" {
	truncate -s 40M disk.raw
	sfdisk -q disk.raw <<-'EOT'
		label: gpt
		start=2048, size=16384, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
		start=20480, size=40960, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
	EOT
	truncate -s 20M root
	mke2fs -q -t ext4 -L cloudimg-rootfs -U 01234567-89ab-cdef-0123-456789abcdef root
	dd if=root of=disk.raw bs=1M seek=10 conv=notrunc status=none
	"$IMGCONV" convert -q -c -O qcow2 disk.raw disk.qcow2
	"$IMGCONV" info -o json disk.raw | jq '[."partition-table", .partitions]' >a
	"$IMGCONV" info -o json disk.qcow2 | jq '[."partition-table", .partitions]' >b
	cmp a b
	jq -e '.[0] == "gpt" and .[1][1]."fs-type" == "ext4" and
		.[1][1]."fs-label" == "cloudimg-rootfs" and
		.[1][1]."fs-uuid" == "01234567-89ab-cdef-0123-456789abcdef" and
		.[1][1].start == 10485760 and .[1][1].length == 20971520' a
	"$IMGCONV" info disk.qcow2 | grep "2: at 10485760, .*ext4, label 'cloudimg-rootfs'"
}

@test "a damaged partition table is a warning, not a failure" {
	truncate -s 40M disk.raw
	echo 'start=2048, size=2048' | sfdisk -q --label gpt disk.raw
	printf x | dd of=disk.raw bs=1 seek=600 conv=notrunc status=none
	printf x | dd of=disk.raw bs=1 seek=$((40 * 1048576 - 500)) conv=notrunc status=none
	run "$IMGCONV" info disk.raw
	[ "$status" = 0 ]
	[[ $output == *"warning:"*"wrong checksum"* ]]
	"$IMGCONV" info -o json disk.raw | jq -e '."partition-table" == null and (.warnings | length) >= 1'
}

@test "names inside are shown and not opened" {
	echo secret >base.raw
	truncate -s 1M base.raw
	qemu-img create -q -f qcow2 -b base.raw -F raw top.qcow2
	# a leak checker traces, too, and cannot where strace does
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace -f -e trace=open,openat,openat2 -o trace "$IMGCONV" info top.qcow2 >out
	run ! grep base.raw trace
	grep 'backing file: *base.raw' out
	grep 'backing format: *raw' out
}

@test "the largest image takes no time and memory" {
	qemu-img create -q -f qcow2 a.qcow2 2P
	if [ "${MODE:-}" != asan ]; then
		prlimit --as=$((128 << 20)) --cpu=2 "$IMGCONV" info a.qcow2
	else
		"$IMGCONV" info a.qcow2
	fi
}

@test "several images are a list, and a bad one does not hide the others" {
	qemu-img create -q -f qcow2 a.qcow2 1M
	truncate -s 1M b.raw
	"$IMGCONV" info -o json a.qcow2 b.raw | jq -e 'length == 2 and .[1].format == "raw"'
	status=0
	"$IMGCONV" info a.qcow2 nothing b.raw >out 2>err || status=$?
	[ "$status" = 1 ]
	[ "$(grep -c ^format: out)" = 2 ]
	grep "opening 'nothing'" err
}
