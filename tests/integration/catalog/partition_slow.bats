#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bare partitions that come as plain files: made bootable, by processes that can open nothing.

bats_require_minimum_version 1.5.0
load common
load ../imgconv/watched

setup_file() {
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
	export BINDIR=${BINDIR:-$PWD/bin}
	make_root "$BATS_FILE_TMPDIR"
}

setup() {
	tools
	export ACCLIMATE_STORE=$BATS_TEST_TMPDIR/store XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	ROOT=$BATS_FILE_TMPDIR/root.img
	cd "$BATS_TEST_TMPDIR" || return 1
}

# The store's disk is a partition table, GRUB, and the file system as it was.
holds_root() {
	qemu-img check -q "$(disk "$1")"
	qemu-img convert -f qcow2 -O raw "$(disk "$1")" raw
	[ "$(sfdisk --json raw | jq -c '[.partitiontable.label, (.partitiontable.partitions | length),
		.partitiontable.partitions[0].start]')" = '["dos",1,2048]' ]
	cmp -i 1048576:0 -n "$(stat -c %s "$ROOT")" raw "$ROOT"
	grub-fstest raw ls '(loop0,msdos1)/boot/' | grep -q vmlinuz-6.1.0-test
}

@test "a raw file that is a file system gets a disk around it" {
	catalog import -q "$ROOT" --name x
	holds_root x
	run -0 catalog show x -o json
	[ "$(jq -r '.layout, ."made-bootable".kernel' <<<"$output")" = "partition at 1 MiB
/boot/vmlinuz-6.1.0-test" ]
}

@test "so does one in another format, and a compressed disk is one afterwards" {
	qemu-img convert -f raw -O vmdk "$ROOT" root.vmdk
	catalog import -q ./root.vmdk --name x --compress zstd
	holds_root x
	[ "$(stat -Lc %s "$(disk x)")" -lt 12000000 ]
}

@test "--no-bootable leaves it as it is" {
	catalog import -q "$ROOT" --name x --no-bootable
	qemu-img compare -q -f raw -F qcow2 "$ROOT" "$(disk x)"
	run -0 catalog show x -o json
	[ "$(jq -r '.layout' <<<"$output")" = partition ]
}

@test "a file system without a kernel is refused, and leaves nothing" {
	mke2fs -q -t ext4 empty.img 8M
	refused "empty.img. .--no-bootable keeps it as it is.: making .* bootable: no kernel" catalog import -q ./empty.img --name x
}

@test "nothing is opened or run in a sandbox; GRUB's programs are run outside of it" {
	may_watch
	IMGCONV=$BINDIR/catalog watched import -q "$ROOT" --name x
	[ ! -s after ]
	# Two make the disk, two look at it.
	[ "$(cat confined)" = 4 ]
	grep -q 'execve(".*/grub-mkimage"' outside
	holds_root x
}
