#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bundles of many parts and sparse archives come back as the images that they were made of.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

make() { # NAME OPTION...: a bundle of the image in the folder NAME
	local name=$1
	shift
	"$MKBUNDLE" --image image --name disk --out "$name" --keys keys "$@"
}

@test "what the user allows to come out is all that does" {
	cd "$BATS_FILE_TMPDIR"
	make_image limited
	[ -e keys ] || keys
	"$MKBUNDLE" --image limited --name limited --out limited.d --keys keys
	refuses "over the limit" open --max-output 1M -k keys/user.key.pem limited.d/limited.manifest.xml never.raw
	"$BUNDLE" open --max-output 4M -k keys/user.key.pem limited.d/limited.manifest.xml limited.raw
	cmp limited limited.raw
}

@test "9, 10, 11 and 130 parts, named in each tool's way" {
	local n size
	make whole
	size=$(cat whole/disk.part.* | wc -c)
	for n in 9 10 11 130; do
		make "a$n" --part-size $(((size + n - 1) / n / 16 * 16 + 16))
		opens "a$n/disk.manifest.xml" image
	done
	make e130 --part-size $((size / 130)) --style euca2ools
	opens e130/disk.manifest.xml image
	[ -e a9/disk.part.8 ] && [ ! -e a9/disk.part.9 ]
	[ -e a10/disk.part.00 ] && [ -e a11/disk.part.10 ]
	[ -e e130/disk.part.00 ] && [ -e e130/disk.part.100 ]
}

@test "sparse archives: old GNU and PAX 0.0, 0.1, 1.0, with few and with many holes" {
	local v i
	truncate -s 3M holes
	for i in $(seq 0 90); do
		printf 'island %d' "$i" | dd of=holes bs=1 seek=$((i * 32768)) conv=notrunc status=none
	done
	for i in image holes; do
		tar --format=gnu -S -cf - $i | pack_tar "gnu-$i" "$(stat -c %s $i)"
		opens "gnu-$i/p.manifest.xml" $i
		for v in 0.0 0.1 1.0; do
			tar --format=pax --sparse-version=$v -S -cf - $i | pack_tar "pax-$v-$i" "$(stat -c %s $i)"
			opens "pax-$v-$i/p.manifest.xml" $i
		done
	done
	# Extended headers were needed.
	[ "$(dd if=gnu-holes.tar bs=1 skip=482 count=1 status=none | od -An -tu1 | tr -d ' ')" = 1 ]
}
