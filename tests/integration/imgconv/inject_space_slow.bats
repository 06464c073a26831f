#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Guests that are full, protected, or were repaired: changes fit as a whole or not at all.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	make_tree tree
	make_fs tree fs 24M -t ext4
	mkdir -p overlay/etc/app
	echo setting >overlay/etc/app/conf
	echo new-host >overlay/etc/hostname
}

@test "a journal that e2fsck has replayed is fine again" {
	cp fs image
	# A transaction in the journal that was never written back.
	printf 'jo -c\njw -b 900 /dev/zero\njc\n' >image.script
	debugfs -w -f image.script image
	refused "journal" --overlay overlay
	e2fsck -fp -E journal_only image || [ $? -le 1 ]
	e2fsck -fp image || [ $? -le 1 ]
	"$IMGCONV" inject --overlay overlay image
	clean image
}

@test "no space, no inodes, and protected targets leave the image as it was" {
	head -c 15000000 /dev/urandom >big
	make_fs tree image 16M -t ext4 -J size=1
	refused "is full" --file big:/big
	make_fs tree image 16M -t ext4 -N 64
	mkdir -p many
	(cd many && seq 100 | xargs touch)
	refused "inode" --overlay many
	cp fs image
	debugfs -w -R 'sif /etc/hostname flags 0x80010' image
	refused "immutable" --overlay overlay
}
