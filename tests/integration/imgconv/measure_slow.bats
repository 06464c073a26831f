#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv measure: what it says beforehand is what a conversion then takes.

bats_require_minimum_version 1.5.0
load common
load kinds

setup_file() {
	make_work
	make_disk disk.raw 9M
	cp --sparse=never disk.raw full.raw
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -rf out* in*
}

# says KEY ARG...
says() {
	local key=$1
	shift
	"$IMGCONV" measure --output json "$@" | jq ".\"$key\""
}

@test "with --scan it is exact, or for what is compressed a bound" {
	for f in $(formats); do measure_kind "$f"; done
	measure_kind "qcow2 -o compression=zstd,cluster_size=4096"
	measure_kind "raw -o compression=gzip"
}

@test "without --scan data count as they are, holes do not" {
	for f in $(formats); do
		[ "$(says exact -O "$f" disk.raw)" = false ]
		"$IMGCONV" convert -q -O "$f" disk.raw out.img
		[ "$(says required -O "$f" disk.raw)" -ge "$(stat -c %s out.img)" ]
		[ "$(says required -O "$f" full.raw)" -ge "$(says required -O "$f" disk.raw)" ]
		[ "$(says required --scan -O "$f" full.raw)" = "$(says required --scan -O "$f" disk.raw)" ]
		# From any format.
		[ "$(says required --scan -O qcow2 out.img)" = "$(says required --scan -O qcow2 disk.raw)" ]
		rm out.img
	done
}

@test "nothing but zeros is exact without reading" {
	truncate -s 1G in.raw
	[ "$(says exact -O qcow2 in.raw)" = true ]
	[ "$(says required -O qcow2 in.raw)" = "$(says required -O qcow2 --size 1G)" ]
}

@test "what is allocated is what the file system says" {
	for f in $(formats); do
		"$IMGCONV" convert -q -O "$f" disk.raw out.img
		is=$(($(stat -c '%b' out.img) * 512))
		said=$(says allocated --scan -O "$f" disk.raw)
		[ $((said - is)) -le 16384 ]
		[ $((is - said)) -le 16384 ]
		rm out.img
	done
}

@test "qemu-img measures nearly the same" {
	for o in cluster_size=4096 cluster_size=65536 cluster_size=2097152; do
		cluster=${o#*=}
		qemu-img measure --output=json -f raw -O qcow2 -o $o disk.raw >theirs
		"$IMGCONV" measure --output json -O qcow2 -o $o disk.raw >ours
		jq -es --argjson c "$cluster" '
			def near(a; b): (a - b) <= 8 * $c and (b - a) <= 8 * $c;
			near(.[0].required; .[1].required) and
			near(.[0]["fully-allocated"]; .[1]["fully-allocated"] // .[0]["fully-allocated"])
		' theirs ours
	done
	[ "$(says required -O raw disk.raw)" = "$(qemu-img measure --output=json -O raw disk.raw | jq .required)" ]
	rm theirs ours
}

@test "a writer of large tables is measured without keeping them" {
	# A byte in every 32 MiB makes 20 MiB of L2 tables.
	/usr/bin/python3 - in.raw <<-'PY'
		import os, sys
		f = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
		for i in range(5000):
		    os.pwrite(f, b"x", i << 25)
		os.ftruncate(f, 5000 << 25)
	PY
	"$IMGCONV" measure --output json -O qcow2 -o cluster_size=4096 in.raw >out.says
	"$IMGCONV" convert -q -O qcow2 -o cluster_size=4096 in.raw out.qcow2
	jq -e --argjson size "$(stat -c %s out.qcow2)" --argjson blocks "$(stat -c %b out.qcow2)" \
		'.required == $size and (.allocated - $blocks * 512 | fabs) <= 65536' out.says
}

@test "measuring makes no file, and stops where converting would" {
	fails "unknown image format 'vhs'" measure -f vhs -O raw disk.raw
	fails "cannot write images of the format 'vhs'" measure -O vhs disk.raw
	fails "would be a disk of 0 bytes" measure -O qcow2 --size 0
	fails "are too many for clusters of 512 bytes" measure -O qcow2 -o cluster_size=512 --size 64T
	fails "opening 'nothing': No such file" measure -O raw nothing
}

@test "text says the same, and that it may be less" {
	run "$IMGCONV" measure -O raw disk.raw
	[ "$status" = 0 ]
	[ "${lines[0]}" = "format:             raw" ]
	[[ ${lines[2]} == "required:           at most 9437184 bytes (9.00 MiB)" ]]
	run "$IMGCONV" measure --scan -O raw disk.raw
	[[ ${lines[2]} == "required:           9437184 bytes (9.00 MiB)" ]]
	[[ ${lines[4]} == "fully allocated:    9437184 bytes (9.00 MiB)" ]]
}

@test "wrong usage ends with 2" {
	for args in "disk.raw" "-O raw" "-O raw a b" "-O raw --size 1G disk.raw" "-O raw --size x" \
		"-O raw -o cluster_size=64K disk.raw" "-O qcow2 -o frob=1 disk.raw" \
		"-O raw --output xml disk.raw" \
		"-O raw --size 1G --snapshot x" "-O raw --size 1G -f qcow2" "-O raw --size 1G --scan"; do
		# shellcheck disable=SC2086 # words are wanted
		run -2 "$IMGCONV" measure $args
	done
}
