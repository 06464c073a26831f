#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# An AMI whose root is XFS: what goes in on import goes by way of libguestfs; xfs_repair judges.

bats_require_minimum_version 1.5.0
load common

eval "$(declare -f make_amis | sed '1s/make_amis/make_ext4_amis/')"

make_amis() {
	local dir=$1
	make_ext4_amis "$dir"
	printf '%s\n' / '0 0' 'd--755 0 0' 'etc d--755 0 0' \
		" os-release ---644 0 0 $dir/tree/etc/os-release" '$' \
		'sbin d--755 0 0' ' init l--777 0 0 ../lib/systemd/systemd' '$' '$' >"$dir/proto"
	truncate -s 320M "$dir/xfs"
	mkfs.xfs -q -p "$dir/proto" "$dir/xfs"
	rm "$dir/ebs/disk.raw"
	truncate -s 330M "$dir/ebs/disk.raw"
	echo '2048,,83,*' | sfdisk -q "$dir/ebs/disk.raw"
	dd if="$dir/xfs" of="$dir/ebs/disk.raw" bs=1M seek=1 conv=notrunc,sparse status=none
	truncate -s 1G "$dir/ebs/disk.raw"
}

missing() {
	local x
	[ "${MODE:-}" != asan ] || { echo 'not with the sanitizer'; return; }
	for x in guestfish supermin mkfs.xfs; do
		command -v "$x" >/dev/null || { echo "no $x"; return; }
	done
	for x in /boot/vmlinuz-*; do
		[ -r "$x" ] && return
	done
	echo 'no kernel for the machine of libguestfs'
}

setup_file() {
	[ -z "$(missing)" ] || return 0
	export LIBGUESTFS_CACHEDIR=$BATS_FILE_TMPDIR
	cloud_up
}
teardown_file() { [ -z "${CLOUD:-}" ] || cloud_down; }
setup() {
	local why
	why=$(missing)
	[ -z "$why" ] || skip "$why"
	fresh_store
}

@test "an overlay is injected into XFS on the way" {
	mkdir -p "$BATS_TEST_TMPDIR/ov/etc"
	echo hello >"$BATS_TEST_TMPDIR/ov/etc/acclimate-test"
	run --separate-stderr import "$AMI_EBS" --overlay "$BATS_TEST_TMPDIR/ov"
	echo "$stderr"
	[ "$status" -eq 0 ]
	qemu-img convert -f qcow2 -O raw "$(disk "$AMI_EBS")" "$BATS_TEST_TMPDIR/raw"
	dd if="$BATS_TEST_TMPDIR/raw" of="$BATS_TEST_TMPDIR/part" bs=1M skip=1 count=320 conv=sparse status=none
	xfs_repair -n "$BATS_TEST_TMPDIR/part"
	[ "$("$BINDIR/imgconv" cat -q "$BATS_TEST_TMPDIR/part" /etc/acclimate-test)" = hello ]
}
