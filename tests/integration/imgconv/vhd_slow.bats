#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv and VHD: the matrices.

bats_require_minimum_version 1.5.0
load common
load vhd

@test "sizes around a block, a page and a bitmap, exactly" {
	for size in 1536 4096 4608 2093056 2096640 2097152 2101248 4195840; do
		make_disk in.raw $size
		for o in dynamic fixed; do
			"$IMGCONV" convert -q -O vhd -o subformat=$o in.raw out.vhd
			same_vpc in.raw out.vhd
			"$IMGCONV" convert -q -O raw out.vhd out.raw
			cmp in.raw out.raw
			rm out.*
		done
	done
}

@test "the creator says whether the geometry counts, as for QEMU; who is not known goes by the size" {
	while read -r creator c h s size; do
		craft creator in.vhd "$creator" "$c" "$h" "$s" "$size"
		[ "$(fact '."virtual-size"' in.vhd)" = "$(virtual_size vhd in.vhd)" ] || {
			echo "$creator: $(fact '."virtual-size"' in.vhd), not $(virtual_size vhd in.vhd)"
			return 1
		}
	done <<-'EOT'
		win 100 16 63 67108864
		qem2 100 16 63 67108864
		d2v 100 16 63 67108864
		CTXS 100 16 63 67108864
		tap_ 100 16 63 67108864
		vpc 100 16 63 67108864
		qemu 100 16 63 67108864
		vpc 65535 16 255 67108864
		qemu 65535 16 255 67108864
		what 65535 16 255 67108864
	EOT
}

@test "geometry=chs makes the sizes of qemu-img" {
	for size in 512 1M 4M 17825792 64M 67108352 256M 500M 504M 535822336 535822848 1G 2G 8455200768 8G \
		33822867456 33822867968 100G 127G 136899993600 136899994112 137G 1T 2040G; do
		qemu-img create -q -f vpc in.vhd $size
		truncate -s $size in.raw
		"$IMGCONV" convert -q --force -O vhd -o geometry=chs in.raw out.vhd
		cmp <(dd if=in.vhd bs=1 skip=40 count=24 status=none) <(dd if=out.vhd bs=1 skip=40 count=24 status=none) ||
			{ echo "$size"; return 1; }
		[ "$(virtual_size vhd out.vhd)" = "$(virtual_size vhd in.vhd)" ]
		[ "$(fact '."virtual-size"' in.vhd)" = "$(virtual_size vhd in.vhd)" ]
		"$IMGCONV" convert -q --force -O vhd in.raw out.vhd
		[ "$(virtual_size vhd out.vhd)" = "$(bytes in.raw)" ]
	done
}

@test "the bits of the sector bitmaps count, in blocks of every size" {
	for block in 512 1024 2048 4096 65536 524288 1048576 2097152 4194304 16777216; do
		for step in 1 8; do
			craft bitmaps in.vhd in.raw $block $step
			"$IMGCONV" convert -q --force -O raw in.vhd out.raw
			cmp in.raw out.raw
			# libvhdi reads blocks from 512 KiB on, and runs of bits that end with a byte.
			[ $step = 1 ] || [ $block -lt 524288 ] ||
				/usr/bin/python3 "$HERE/craft_vhd" libvhdi in.vhd | cmp in.raw -
		done
	done
}

@test "a differencing image is read with the parent that is named, larger and smaller" {
	for step in 1 8; do
		craft parent in.parent.vhd in.parent.raw $step
		for size in 5244416 3145728 7340032; do
			craft child in.vhd in.raw $size $step
			"$IMGCONV" convert -q --parent in.parent.vhd -O raw in.vhd out.raw
			cmp in.raw out.raw
			rm out.raw
			[ "$step$size" != 85244416 ] ||
				/usr/bin/python3 "$HERE/craft_vhd" libvhdi in.vhd in.parent.vhd | cmp in.raw -
		done
	done
}

@test "data far behind, in a sparse disk" {
	truncate -s 2040G in.raw
	for at in 5000000000 1099511627776 2190433320959; do
		printf x | dd of=in.raw bs=1 seek=$at conv=notrunc status=none
	done
	for o in dynamic fixed; do
		"$IMGCONV" convert -q -O vhd -o subformat=$o in.raw out.$o.vhd
		for at in 5000000000 1099511627776 2190433320959; do
			off=$((at / 512 * 512))
			qemu-io -r -f vpc -c "read -v $off 512" out.$o.vhd | grep -q '78'
		done
		"$IMGCONV" compare -q -s in.raw out.$o.vhd
		"$IMGCONV" convert -q --force -O vhd -o subformat=dynamic out.$o.vhd out.again.vhd
		cmp out.dynamic.vhd out.again.vhd
	done
	[ "$(stat -c %b out.dynamic.vhd)" -lt 10000 ]
	[ "$(stat -c %b out.fixed.vhd)" -lt 100 ]
}

@test "from and to every other format" {
	"$IMGCONV" convert -q -O vhd disk.raw in.vhd
	for f in raw qcow2 vdi vhd; do
		for o in dynamic fixed; do
			"$IMGCONV" convert -q --force -O $f in.vhd out.$f
			"$IMGCONV" convert -q --force -O vhd -o subformat=$o out.$f out.again
			"$IMGCONV" compare -q -s disk.raw out.again
		done
	done
}
