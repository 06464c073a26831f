#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv and VDI: the matrices.

bats_require_minimum_version 1.5.0
load common
load vdi

@test "sizes around a block and a page, exactly" {
	for size in 1536 4096 4608 1044480 1048064 1048576 1052672 2098176; do
		make_disk in.raw $size
		for o in dynamic static; do
			"$IMGCONV" convert -q -O vdi -o subformat=$o in.raw out.vdi
			same_vdi in.raw out.vdi
			"$IMGCONV" convert -q -O raw out.vdi out.raw
			cmp in.raw out.raw
			rm out.*
			qemu-img convert -f raw -O vdi -o "static=$([ $o = static ] && echo on || echo off)" in.raw in.vdi
			"$IMGCONV" compare -q -s in.raw in.vdi
		done
	done
}

@test "data far behind, in a sparse disk whose map is written in pieces" {
	truncate -s 6T in.raw
	for at in 5000000000 17179869183 17179869184 1099511627776 6597069766655; do
		printf x | dd of=in.raw bs=1 seek=$at conv=notrunc status=none
	done
	for o in dynamic static; do
		"$IMGCONV" convert -q -O vdi -o subformat=$o in.raw out.$o
		qemu-img check -q -f vdi out.$o
		for at in 5000000000 17179869183 17179869184 1099511627776 6597069766655; do
			qemu-io -r -f vdi -c "read -v $((at / 512 * 512)) 512" out.$o | grep -q '78'
		done
		"$IMGCONV" compare -q -s in.raw out.$o
		"$IMGCONV" convert -q --force -O vdi out.$o out.again
		cmp out.dynamic out.again
		[ "$(stat -c %b out.$o)" -lt 60000 ]
	done
}

@test "an image that qemu-img wrote to at random" {
	qemu-img create -q -f vdi in.vdi 64M
	for n in 1 2 3 4 5 6 7 8; do
		qemu-io -f vdi -c "write -P $n $((n * 7919 % 64))M 1536k" -c "write -z $((n * 104729 % 64))M 64k" in.vdi >/dev/null || true
	done
	qemu-img convert -f vdi -O raw in.vdi in.raw
	"$IMGCONV" compare -q -s in.raw in.vdi
	"$IMGCONV" convert -q -O vdi in.vdi out.vdi
	same_vdi in.raw out.vdi
}

@test "from and to every other format" {
	"$IMGCONV" convert -q -O vdi disk.raw in.vdi
	for f in raw qcow2 vdi vhd; do
		for o in dynamic static; do
			"$IMGCONV" convert -q --force -O $f in.vdi out.$f
			"$IMGCONV" convert -q --force -O vdi -o subformat=$o out.$f out.again
			"$IMGCONV" compare -q -s disk.raw out.again
		done
	done
}
