#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# VMDK images made byte by byte: dialects that are read, and hostile ones, each refused with its line.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	make_work
	mkdir crafted
	"$HERE/craft_vmdk" all crafted
}

teardown_file() { remove_work; }

setup() {
	rm -rf "$WORK/test"
	mkdir -p "$WORK/test/work"
	cd "$WORK/test/work" || return
}

@test "dialects of other writers are read as qemu-img reads them" {
	for name in $("$HERE/craft_vmdk" good); do
		echo "case: $name"
		"$IMGCONV" compare -s -q "$WORK/crafted/$name.vmdk" "$WORK/crafted/$name.raw"
		qemu-img compare -q -f vmdk -F raw "$WORK/crafted/$name.vmdk" "$WORK/crafted/$name.raw"
	done
}

@test "dialects of streams are read from a pipe" {
	for name in vmware_stream tables_last empty_tables open_vmdk empty_stream stored_blocks one_sector \
		last_grain_short zeroed_grains_in_a_stream stream_with_directory_known empty_tables_unnamed \
		front_tables_missing; do
		echo "case: $name"
		"$IMGCONV" convert -q -f vmdk -O raw - out.raw < <(cat "$WORK/crafted/$name.vmdk")
		cmp "$WORK/crafted/$name.raw" out.raw
		rm out.raw
	done
}

@test "crafted images are refused, each with its line" {
	"$HERE/craft_vmdk" list | refuses_all vmdk "$WORK/crafted"
}

@test "crafted streams are refused, each with its line" {
	while IFS=$'\t' read -r name text; do
		if message=$("$IMGCONV" convert -f vmdk -O raw - out.raw 2>&1 < <(cat "$WORK/crafted/$name.vmdk")) ||
			[[ $message != *"$text"* || $message == *$'\n'* || -e out.raw ]]; then
			echo "$name: wanted '$text', got: $message"
			return 1
		fi
	done < <("$HERE/craft_vmdk" list-streams)
}

@test "info of crafted images ends, and never shows a control character" {
	status=0
	"$IMGCONV" info "$WORK"/crafted/*.vmdk >out 2>&1 || status=$?
	[ "$status" = 1 ]
	[ "$(grep -c ^format: out)" -gt 40 ]
	run ! grep -q $'\x1b' out
	"$IMGCONV" info -o json "$WORK/crafted/text_path.vmdk" | jq -e \
		'."format-specific".extents == ["/etc/hostname"] and (.warnings | length) == 2'
	"$IMGCONV" info "$WORK/crafted/unclean.vmdk" | grep "warning: *the image was not closed"
}

@test "a stream that is cut anywhere is refused, from a file and from a pipe" {
	in=$WORK/crafted/vmware_stream.vmdk
	size=$(stat -c %s "$in")
	for n in 0 3 300 511 512 600 10752 65535 65536 65540 65548 66048 $((size - 1536)) $((size - 512)) $((size - 1)); do
		head -c $n "$in" >cut.vmdk
		fails "'cut.vmdk'" convert -f vmdk -O raw cut.vmdk out.raw
		fails "standard input: " convert -f vmdk -O raw - out.raw < <(cat cut.vmdk)
	done
}

@test "descriptors have limits, and are no streams" {
	{
		printf '# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\n'
		yes 'RW 2048 ZERO' | head -n 150
		echo 'RW 4 FLAT "in-flat" 0'
	} >in.vmdk
	printf data >in-flat
	truncate -s 2048 in-flat
	"$IMGCONV" info -o json in.vmdk >info
	jq -e '(."format-specific".extents | length) == 100 and
		any(.warnings[]; contains("only 100 of 151 extents"))' info
	"$IMGCONV" convert -q --allow-extents -O raw in.vmdk out.raw
	[ "$(tail -c 2048 out.raw | head -c 4)" = data ]
	[ "$(stat -c %s out.raw)" = $((150 * 1048576 + 2048)) ]
	rm out.raw
	fails "a VMDK descriptor, which names other files, cannot be read from a pipe" \
		convert -f vmdk -O raw - out.raw < <(cat in.vmdk)
	sed -i 's/in-flat/in.vmdk/; s/RW 4 /RW 1 /' in.vmdk
	fails "the descriptor names itself as an extent" convert --allow-extents -O raw in.vmdk out.raw
	head -c 1M /dev/zero | tr '\0' '#' >>in.vmdk
	fails "a descriptor of more than 1048575 bytes" convert -O raw in.vmdk out.raw
}

@test "the inspector of OpenStack refuses nothing of ours, and what it refuses is refused here" {
	interop=$BATS_TEST_DIRNAME/../../interop
	inspector=$("$interop/fetch-inspector") || skip "the inspector's package cannot be had"
	make_disk in.raw 3M
	for s in monolithicSparse streamOptimized; do
		"$IMGCONV" convert -q -O vmdk -o subformat=$s in.raw good_$s.vmdk
	done
	PYTHONPATH=$interop /usr/bin/python3 - "$WORK/crafted" "$PWD" "$inspector" >refused <<-'PY'
		import glob, os, sys
		from inspector import load_inspector
		f = load_inspector(sys.argv[3])
		def verdict(path):
		    try:
		        i = f.detect_file_format(path)
		        i.safety_check()
		        return str(i) == "vmdk"
		    except Exception:
		        return False
		for path in glob.glob(sys.argv[2] + "/good_*.vmdk"):
		    assert verdict(path), path
		for path in sorted(glob.glob(sys.argv[1] + "/*.vmdk")):
		    if not verdict(path):
		        print(os.path.basename(path)[:-5])
	PY
	[ -s refused ]
	while read -r name; do
		echo "case: $name"
		run "$IMGCONV" convert -q --force -f vmdk -O raw "$WORK/crafted/$name.vmdk" out.raw
		[ "$status" = 1 ]
	done <refused
}
