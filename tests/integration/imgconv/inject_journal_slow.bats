#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Journals that were not written back, as debugfs makes them: our replay is e2fsck's.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	make_tree tree
	echo x >f
}

# dirty MKE2FS-OPTION...: transactions that write blocks, revoke some, and write some of these again
dirty() {
	make_fs tree image 32M -t ext4 "$@"
	for n in 1 2 3 4; do head -c 12288 /dev/urandom >data$n; done
	# What looks like the journal's own block is kept escaped.
	printf '\300\073\071\230 and so on' | dd of=data1 conv=notrunc status=none
	{
		echo "jo $checksums"
		printf 'jw -b 7000,7001,7002 data1\n'
		printf 'jw -b 7002,7003,7004 data2\n'
		printf 'jw -r 7000,7003\n'
		printf 'jw -b 7003,7005,7006 data3\n'
		echo jc
	} >script
	debugfs -w -f script image >log 2>&1
	dumpe2fs -h image 2>/dev/null | grep -q needs_recovery
}

@test "a replay gives the blocks that e2fsck's gives" {
	local options
	for options in "" "-O ^metadata_csum" "-O metadata_csum,64bit" "-O ^64bit,^metadata_csum" "-b 4096" "-O ^extent,^64bit"; do
	for checksums in "" -c; do
		# Without metadata_csum debugfs makes checksums that e2fsck does not take.
		[ -z "$checksums" ] || [ "$options" = "-O metadata_csum,64bit" ] || continue
		# shellcheck disable=SC2086
		dirty $options
		cp image theirs
		e2fsck -fp -E journal_only theirs || [ $? -le 1 ]
		run --separate-stderr "$IMGCONV" inject --file f:/f image
		[ "$status" -eq 1 ]
		has "$stderr" "--replay-journal"
		run --separate-stderr "$IMGCONV" inject --replay-journal --file f:/f image
		[ "$status" -eq 0 ] || { echo "$options: $stderr"; return 1; }
		bs=$(dumpe2fs -h image 2>/dev/null | sed -n 's/^Block size: *//p')
		cmp <(dd if=image bs="$bs" skip=7000 count=7 status=none) <(dd if=theirs bs="$bs" skip=7000 count=7 status=none)
		run ! cmp -s <(dd if=image bs="$bs" skip=7001 count=1 status=none) <(head -c "$bs" /dev/zero)
		clean image
		[ "$("$IMGCONV" cat image /f)" = x ]
	done
	done
}

@test "a damaged journal is refused, or ends earlier, and nothing is changed" {
	checksums=-c dirty -b 1024 -O metadata_csum
	journal=$(debugfs -R 'bmap <8> 0' image 2>/dev/null)
	for at in 12 20 40 300; do
		cp image bad
		printf '\377' | dd of=bad bs=1 seek=$((journal * 1024 + at)) conv=notrunc status=none
		cp bad before
		run --separate-stderr "$IMGCONV" inject --replay-journal --file f:/f bad
		[ "$status" -eq 1 ] || { echo "$journal $at: $stderr"; return 1; }
		has "$stderr" journal
		cmp bad before
	done
}

@test "a file system that is clean needs no replay" {
	make_fs tree image 16M -t ext4
	cp image other
	"$IMGCONV" inject -q --file f:/f image
	"$IMGCONV" inject -q --replay-journal --file f:/f other
	cmp image other
}
