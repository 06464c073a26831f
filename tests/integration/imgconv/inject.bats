#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Files go into images of every kind and come out again; e2fsck, debugfs and qemu-img judge.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_tree tree
	make_fs tree fs 24M -t ext4
	mkdir -p overlay/etc/app overlay/usr/lib/app
	echo setting >overlay/etc/app/conf
	echo new-host >overlay/etc/hostname
	ln -s ../../../etc/app/conf overlay/usr/lib/app/conf
	chmod 600 overlay/etc/app/conf
	mkdir -p data/guest/systemd
	elf data/guest/ctxd
	printf '[Install]\nWantedBy=sysinit.target\n' >data/guest/systemd/ctxd-local.service
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	rm -f image image.* part
	export ACCLIMATE_DATADIR=$BATS_FILE_TMPDIR/data
}

@test "an overlay, a file and a removal are applied to a bare file system" {
	cp fs image
	echo data >file
	run --separate-stderr "$IMGCONV" inject --overlay overlay --file file:/opt/x/file:4750:70000:8 \
		--delete /etc/passwd image
	[ "$status" -eq 0 ]
	[ "$output" = "+ /etc/app
+ /etc/app/conf
~ /etc/hostname
+ /usr/lib/app
+ /usr/lib/app/conf
+ /opt
+ /opt/x
+ /opt/x/file
- /etc/passwd" ]
	has "$stderr" "Test Linux 1, init: systemd"
	clean image
	has "$(inside image 'cat /etc/hostname')" new-host
	has "$(inside image 'stat /etc/app/conf')" 'Mode:  0600'
	has "$(inside image 'stat /opt/x/file')" 'Mode:  04750'
	has "$(inside image 'stat /opt/x/file')" 'User: 70000'
	has "$(inside image 'stat /usr/lib/app/conf')" 'Type: symlink'
	run ! has "$(inside image 'ls /etc')" passwd
}

@test "the same input gives the same bytes, and a second run changes nothing" {
	cp fs image
	cp fs image.2
	"$IMGCONV" inject -q --overlay overlay image
	TZ=Asia/Tokyo E2FSPROGS_FAKE_TIME=1 "$IMGCONV" inject -q --overlay overlay image.2
	cmp image image.2
	run --separate-stderr env SOURCE_DATE_EPOCH=1800000000 "$IMGCONV" inject --overlay overlay image
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	cmp image image.2
}

@test "a dry run says what would happen and writes nothing" {
	cp fs image
	chmod a-w image
	run --separate-stderr "$IMGCONV" inject --dry-run -o json --overlay overlay --ctxd image
	[ "$status" -eq 0 ]
	[ "$(jq -r '.init, .distribution, .["dry-run"], .partition' <<<"$output" | xargs)" = \
		"systemd Test Linux 1 true 0" ]
	[ "$(jq -r '.changes[] | select(.path == "/etc/hostname") | .action' <<<"$output")" = replace ]
	cmp fs image
}

@test "the root is found on a GPT disk in a qcow2" {
	make_disk fs disk gpt
	"$IMGCONV" convert -q -O qcow2 disk image
	run --separate-stderr "$IMGCONV" inject -o json --overlay overlay image
	[ "$status" -eq 0 ]
	[ "$(jq .partition <<<"$output")" = 2 ]
	[ "$("$IMGCONV" cat image /etc/hostname)" = new-host ]
	rm disk
}

@test "ctxd goes where the guest has its units, enabled by a link" {
	cp fs image
	"$IMGCONV" inject --ctxd image
	clean image
	has "$(inside image 'stat /usr/sbin/ctxd')" 'Mode:  0755'
	has "$(inside image 'cat /usr/lib/systemd/system/ctxd-local.service')" sysinit
	has "$(inside image 'stat /etc/systemd/system/sysinit.target.wants/ctxd-local.service')" \
		'Fast link dest: "/usr/lib/systemd/system/ctxd-local.service"'
	has "$(inside image 'stat /lib')" 'Type: symlink'
}

@test "a tar archive keeps owners and attributes" {
	cp fs image
	tar --owner=u:1234 --group=g:5678 -czf image.tar.gz -C overlay .
	"$IMGCONV" inject --overlay image.tar.gz image
	clean image
	has "$(inside image 'stat /etc/app/conf')" 'User:  1234   Group:  5678'
}

@test "list and cat show what is inside" {
	cp fs image
	run --separate-stderr "$IMGCONV" inject --list /etc image
	[ "$status" -eq 0 ]
	has "$output" "-rw-r--r--   1     0     0         10 hostname"
	[ "$("$IMGCONV" inject --cat /etc/hostname image)" = localhost ]
	[ "$("$IMGCONV" inject -o json --list / image | jq -r '.[] | select(.name == "lib") | .target')" = usr/lib ]
	run --separate-stderr "$IMGCONV" inject --cat /etc image
	[ "$status" -eq 1 ]
	[ "$stderr" = "imgconv: '/etc' is a folder" ]
	cmp fs image
}

@test "a file system that is not clean is refused, with what to do" {
	cp fs image
	debugfs -w -R 'feature needs_recovery' image
	refused "run e2fsck -fp" --overlay overlay
	"$IMGCONV" inject --cat /etc/hostname image
	cp fs image
	debugfs -w -R 'ssv state 2' image
	refused "having errors" --overlay overlay
	cp fs image
	debugfs -w -R 'ssv last_orphan 14' image
	refused "orphan list" --overlay overlay
}

@test "hostile and missing names are refused" {
	cp fs image
	echo x >file
	run --separate-stderr "$IMGCONV" inject --file file:/etc/../../x image
	[ "$status" -eq 2 ]
	has "$stderr" "'..'"
	tar -P --transform 's,^,../,' -cf image.tar file
	refused "'..'" --overlay image.tar
	refused "not a folder" --file file:/etc/hostname/x
	refused "is a folder" --file file:/etc
	mkfifo pipe
	mkdir -p odd
	mv pipe odd
	refused "neither file" --overlay odd
	refused "no-such" --overlay no-such
	refused "no partition 3" --partition 3 --file file:/x
	rm -rf odd
}

@test "other file systems are named" {
	truncate -s 32M image
	mkswap -q image
	refused "swap" --overlay overlay
	rm image
	truncate -s 1M image
	refused "no file system for a root (none" --overlay overlay
}

@test "wrong use is told apart from failure" {
	cp fs image
	for args in "" "--ctxd --list /" "--cat / --list /" "--file x" "--file x:/y:999" "--ctxd -o xml" \
		"--file a:/b:644:1" "--partition 0 --ctxd" "--dry-run --list /" \
		"--replay-journal --cat /etc/hostname"; do
		# shellcheck disable=SC2086
		run --separate-stderr "$IMGCONV" inject $args image
		[ "$status" -eq 2 ]
		has "$stderr" "--help"
	done
	run "$IMGCONV" inject --help
	[ "$status" -eq 0 ]
	has "$output" "--overlay DIR|TAR"
}

@test "an image with holes keeps them, and grows by little" {
	qemu-img convert -O qcow2 fs image
	before=$(stat -c %s image)
	"$IMGCONV" inject --overlay overlay image
	[ "$(stat -c %s image)" -lt $((before + 1048576)) ]
	qemu-img check image
}
