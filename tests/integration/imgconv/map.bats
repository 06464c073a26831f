#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv map: where data are, said by qemu-img and by the bytes themselves.

bats_require_minimum_version 1.5.0
load common
load kinds

setup_file() {
	make_work
	make_disk disk.raw 9M
	expected_map disk.raw >expected
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -f out* in*
}

# theirs FORMAT IMAGE: as map_of, by qemu-img.
theirs() {
	qemu-img map --output=json -f "$1" "$2" |
		jq -r '.[] | "\(.start) \(.length) \(if .zero then "zero" else "data" end)"' | joined
}

@test "--scan finds exactly the blocks that are not zero" {
	for f in $(few_formats); do map_kind "$f"; done
}

@test "raw and qcow2 are mapped as qemu-img maps them" {
	theirs raw disk.raw | diff - <(map_of disk.raw)
	for o in cluster_size=512 cluster_size=65536 extended_l2=on compat=0.10; do
		qemu-img convert -q -f raw -O qcow2 -o $o disk.raw in.qcow2
		[ $o = compat=0.10 ] || qemu-io -f qcow2 -c "write -z 1M 100k" -c "write -z 8M 64k" \
			-c "write 3M 4k" in.qcow2 >/dev/null
		theirs qcow2 in.qcow2 | diff - <(map_of in.qcow2)
		rm in.qcow2
	done
}

@test "zeros and holes are told apart" {
	qemu-img create -q -f qcow2 in.qcow2 1M
	qemu-io -f qcow2 -c "write -P 1 0 64k" -c "write -z 64k 128k" in.qcow2 >/dev/null
	"$IMGCONV" map -o json in.qcow2 | jq -e '. == [
		{"start": 0, "length": 65536, "kind": "data"},
		{"start": 65536, "length": 131072, "kind": "zero"},
		{"start": 196608, "length": 851968, "kind": "hole"}]'
	run "$IMGCONV" map in.qcow2
	[ "$status" = 0 ]
	[[ ${lines[1]} =~ ^\ +0\ +65536\ +data$ ]]
	[[ $output =~ disk\ +1048576\ +bytes ]]
	[[ $output =~ data\ +65536\ +bytes\ \(64.0\ KiB\)\ in\ 1\ extent$'\n' ]]
	[[ $output =~ zero\ +131072\ +bytes ]]
	[[ $output =~ hole\ +851968\ +bytes ]]
}

@test "extents stream: any number of them in little memory" {
	/usr/bin/python3 - in.raw <<-'PY'
		import os, sys
		f = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
		for i in range(20000):
		    os.pwrite(f, b"x", i * 16384)
		os.ftruncate(f, 20000 * 16384)
	PY
	if [ "${MODE:-}" != asan ]; then
		prlimit --as=$((64 << 20)) "$IMGCONV" map -o json in.raw >out
	else
		"$IMGCONV" map -o json in.raw >out
	fi
	[ "$(jq length out)" = 40000 ]
	# The reader's end is ours.
	run bash -c "'$IMGCONV' map in.raw 2>out | head -n 2; exit \${PIPESTATUS[0]}"
	[ "$status" = 1 ]
	grep "writing standard output: Broken pipe" out
}

@test "a backing file's data are there only if it is allowed" {
	cp disk.raw in.raw
	qemu-img create -q -f qcow2 -b in.raw -F raw in.qcow2
	fails "which is not allowed" map in.qcow2
	map_of --allow-backing --scan in.qcow2 | diff expected -
}

@test "an internal snapshot has a map of its own" {
	qemu-img create -q -f qcow2 in.qcow2 1M
	qemu-img snapshot -c empty in.qcow2
	qemu-io -f qcow2 -c "write -P 1 0 1M" in.qcow2 >/dev/null
	[ "$("$IMGCONV" map -o json in.qcow2 | jq -r '.[0].kind')" = data ]
	[ "$("$IMGCONV" map -o json --snapshot empty in.qcow2 | jq -r '.[0].kind')" = hole ]
}

@test "the largest disk is mapped at once" {
	qemu-img create -q -f qcow2 in.qcow2 64T
	"$IMGCONV" map --scan -o json in.qcow2 | jq -e '. == [{"start": 0, "length": 70368744177664,
		"kind": "hole"}]'
}

@test "wrong usage ends with 2" {
	for args in "" "a b" "-o xml disk.raw" "-x disk.raw"; do
		# shellcheck disable=SC2086 # words are wanted
		run -2 "$IMGCONV" map $args
	done
	fails "opening 'nothing': No such file" map nothing
	qemu-img create -q -f qcow2 in.qcow2 1M
	printf '\377' | dd of=in.qcow2 bs=1 seek=40 conv=notrunc status=none
	fails "'in.qcow2'" map in.qcow2
}
