#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv and VDI: qemu-img and 7-Zip as the other side; crafted images.

bats_require_minimum_version 1.5.0
load common
load vdi

@test "what imgconv writes others read, to the byte" {
	others_read vdi dynamic static
	"$IMGCONV" convert -q -O vdi -o subformat=fixed disk.raw out.vdi
	[ "$(fact '."format-specific".subformat' out.vdi)" = static ]
}

@test "sizes from a sector on, exactly" {
	any_size vdi 1049088 same_vdi dynamic static
}

@test "a disk that is all zeros takes no block, and a full one all" {
	truncate -s 6M in.raw
	"$IMGCONV" convert -q -O vdi in.raw out.vdi
	[ "$(bytes out.vdi)" = 2097152 ]
	[ "$(stat -c %b out.vdi)" -le 16 ]
	same_vdi in.raw out.vdi
	openssl enc -aes-128-ctr -K 0 -iv 0 -in in.raw 2>/dev/null >in.full
	"$IMGCONV" convert -q -O vdi in.full out2.vdi
	same_vdi in.full out2.vdi
	[ "$(bytes out2.vdi)" = $((8 << 20)) ]
}

@test "what is zero in a block is a hole of the file" {
	truncate -s 8M in.raw
	for at in 100 5000000; do printf x | dd of=in.raw bs=1 seek=$at conv=notrunc status=none; done
	for o in dynamic static; do
		"$IMGCONV" convert -q -O vdi -o subformat=$o in.raw out.$o
		[ "$(stat -c %b out.$o)" -le 64 ]
		same_vdi in.raw out.$o
	done
}

@test "images of qemu-img are read as it reads them" {
	for o in static=on static=off; do
		qemu-img convert -f raw -O vdi -o $o disk.raw in.vdi
		"$IMGCONV" convert -q -O raw in.vdi out.raw
		cmp disk.raw out.raw
		"$IMGCONV" convert -q --force -O raw - out.raw <in.vdi
		cmp disk.raw out.raw
		[ "$(fact '."virtual-size"' in.vdi)" = "$(virtual_size vdi in.vdi)" ]
		rm in.* out.*
	done
	qemu-img create -q -f vdi in.vdi 0
	[ "$(fact '."virtual-size"' in.vdi)" = 0 ]
}

@test "blocks in any order, zeros that are said to be, other block sizes" {
	for name in shuffled zeros small large odd; do
		"$HERE/craft_vdi" sound $name in.vdi in.raw
		"$IMGCONV" convert -q -O raw in.vdi out.raw
		cmp in.raw out.raw
		case $name in shuffled | zeros) qemu-img compare -q -f raw -F vdi in.raw in.vdi ;; esac
		case $name in shuffled | zeros | odd) 7zz x -so in.vdi 2>/dev/null | head -c $((7 << 20)) | cmp -n $((7 << 20)) in.raw - ;; esac
		rm out.raw
	done
}

@test "a disk of odd size has zeros up to the next sector, and says so" {
	"$HERE/craft_vdi" sound odd in.vdi in.raw
	[ "$(fact '."virtual-size"' in.vdi)" = "$(virtual_size vdi in.vdi)" ]
	[ "$(fact '."format-specific"."disk-size"' in.vdi)" = $((7 * 1048576 + 100)) ]
	"$IMGCONV" info in.vdi | grep "warning: *the disk has 7340132 bytes, no multiple of 512"
}

@test "it cannot be written to a pipe" {
	run "$IMGCONV" convert -O vdi disk.raw - >/dev/null
	[ "$status" = 2 ]
	[[ $output == *"tables are known only at the end"* ]]
}

@test "the same disk gives the same bytes; the UUID follows from it, or is given" {
	same_bytes vdi dynamic static
	uuid=01234567-89ab-cdef-0123-456789abcdef
	"$IMGCONV" convert -q -O vdi -o uuid=$uuid disk.raw out.vdi
	[ "$(fact '."format-specific".uuid' out.vdi)" = $uuid ]
	# The first three fields are in little-endian order.
	[ "$(xxd -s 392 -l 16 -p out.vdi)" = 67452301ab89efcd0123456789abcdef ]
	fails "uuid: " convert -O vdi -o uuid=1 disk.raw out2.vdi
}

@test "crafted images are refused, each with its line; info shows them nevertheless" {
	crafted_are_refused vdi 10
	jq -e 'any(.warnings | any(contains("extra bytes before each block")))' out
	jq -e 'any(."format-specific".subformat == "differencing")' out
	run "$IMGCONV" check -f vdi crafted/block_twice.vdi
	[ "$status" = 3 ]
	[[ $output == *"error at 0x210: block 4 at 0x10400 is in use twice"* ]]
}

@test "an empty disk of 8 TiB takes no time" {
	nothing_is_quick vdi 8T
}
