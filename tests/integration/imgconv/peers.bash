# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of VDI and VHD share. Whoever loads this has same_FORMAT RAW IMAGE: what other
# programs see in the image is RAW.

setup_file() {
	make_work
	make_disk disk.raw 9M
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -rf out* in* crafted
}

# fact JQ FILE
fact() { "$IMGCONV" info -o json "$2" | jq -r "$1"; }
bytes() { stat -c %s "$1"; }
# virtual_size FORMAT IMAGE: as qemu-img has it
virtual_size() { qemu-img info -f "$(qemu_name "$1")" --output=json "$2" | jq '."virtual-size"'; }

# others_read FORMAT SUBFORMAT...: what imgconv writes.
others_read() {
	local f=$1
	shift
	for s in "$@"; do
		"$IMGCONV" convert -q --verify -O "$f" -o subformat="$s" disk.raw "out.$f"
		"same_$f" disk.raw "out.$f"
		"$IMGCONV" compare -q -s disk.raw "out.$f"
		[ "$(fact '."format-specific".subformat' "out.$f")" = "$s" ]
		rm "out.$f"
	done
}

# any_size FORMAT SIZE SAME SUBFORMAT...: that size, and a sector, are kept exactly; SAME is as same_FORMAT.
any_size() {
	local f=$1 large=$2 same=$3
	shift 3
	for size in 512 "$large"; do
		make_disk in.raw "$size"
		for s in "$@"; do
			"$IMGCONV" convert -q -O "$f" -o subformat="$s" in.raw "out.$f"
			"$same" in.raw "out.$f"
			"$IMGCONV" convert -q -O raw "out.$f" out.raw
			cmp in.raw out.raw
			rm out.*
		done
	done
	: >in.raw
	fails "would be a disk of 0 bytes" convert -O "$f" in.raw "out.$f"
}

# same_bytes FORMAT SUBFORMAT...: they, and the UUID, follow from the disk.
same_bytes() {
	local f=$1 uuid='."format-specific".uuid'
	shift
	for s in "$@"; do
		for j in 1 2 5; do
			"$IMGCONV" convert -q -j $j -O "$f" -o subformat="$s" disk.raw "out$j.$f"
		done
		cmp "out1.$f" "out2.$f"
		cmp "out1.$f" "out5.$f"
		"$IMGCONV" convert -q -O qcow2 -o cluster_size=512 disk.raw out.qcow2
		"$IMGCONV" convert -q -O "$f" -o subformat="$s" out.qcow2 "out3.$f"
		cmp "out1.$f" "out3.$f"
		cp disk.raw in.raw
		for at in 1000000 9437183; do
			printf '\1' | dd of=in.raw bs=1 seek=$at conv=notrunc status=none
		done
		"$IMGCONV" convert -q -O "$f" -o subformat="$s" in.raw "out4.$f"
		[ "$(fact "$uuid" "out4.$f")" != "$(fact "$uuid" "out1.$f")" ]
		rm out*
	done
}

# nothing_is_quick FORMAT SIZE: an empty disk, written and read in little memory.
nothing_is_quick() {
	local limit="prlimit --as=$((256 << 20)) --cpu=20"
	[ "${MODE:-}" != asan ] || limit=
	truncate -s "$2" in.raw
	"$IMGCONV" convert -q -O "$1" in.raw "out.$1"
	[ "$(virtual_size "$1" "out.$1")" = "$(bytes in.raw)" ]
	# shellcheck disable=SC2086 # words are wanted
	$limit "$IMGCONV" convert -q -j 2 -O raw "out.$1" out.raw
	[ "$(stat -c %s:%b out.raw)" = "$(bytes in.raw):0" ]
}

# crafted_are_refused FORMAT LEAST: what craft_FORMAT makes, each by its own line; info, which tells of
# more than LEAST of them, leaves that in `out`.
crafted_are_refused() {
	local status=0
	mkdir crafted
	"$HERE/craft_$1" all crafted
	refuses_all "$1" crafted < <("$HERE/craft_$1" list)
	"$IMGCONV" info -f "$1" -o json crafted/*."$1" >out 2>/dev/null || status=$?
	[ "$status" = 1 ]
	jq -e --arg f "$1" --argjson n "$2" 'length > $n and all(.format == $f)' out
}
