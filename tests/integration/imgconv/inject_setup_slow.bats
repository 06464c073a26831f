#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Changes that depend on the guest: host names, keys, scripts for the first boot; and looking inside.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_tree tree
	mkdir -p tree/home/admin
	printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'admin:x:1000:1001::/home/admin:/bin/sh' >tree/etc/passwd
	printf '127.0.0.1 localhost\n127.0.1.1 old\n' >tree/etc/hosts
	make_fs tree fs 16M -t ext4
	ssh-keygen -q -t ed25519 -N '' -C one@test -f one
	ssh-keygen -q -t ecdsa -N '' -C two@test -f two
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	cp fs image
}

guest() { "$IMGCONV" cat image "$1"; }

twice() { # ARGUMENT...: a second time there is nothing to do
	run --separate-stderr "$IMGCONV" inject "$@" image
	[ "$status" -eq 0 ] || { echo "$stderr"; return 1; }
	clean image
	[ -z "$("$IMGCONV" inject -q "$@" image)" ]
}

@test "a host name goes where the guest keeps it" {
	twice --hostname web1.example.org
	[ "$(guest /etc/hostname)" = web1.example.org ]
	[ "$(guest /etc/hosts)" = $'127.0.0.1 localhost\n127.0.1.1\tweb1.example.org web1' ]
	mkdir -p redhat/{bin,sbin,etc/sysconfig,etc/rc.d/rc3.d}
	elf redhat/bin/sh
	elf redhat/sbin/init
	touch redhat/etc/inittab redhat/etc/rc.d/rc.sysinit
	printf 'NETWORKING=yes\nHOSTNAME=localhost\n' >redhat/etc/sysconfig/network
	make_fs redhat image 8M -t ext3
	twice --hostname web1
	[ "$(guest /etc/sysconfig/network)" = $'NETWORKING=yes\nHOSTNAME=web1' ]
	mkdir -p suse/etc
	echo old >suse/etc/HOSTNAME
	make_fs suse image 8M -t ext3
	"$IMGCONV" inject -q --hostname web1 image
	[ "$(guest /etc/HOSTNAME)" = web1 ]
	for name in "" -x x- a..b "a b" "$(printf 'x%.0s' {1..64})" 'a$(id)' a_b; do
		run --separate-stderr "$IMGCONV" inject --hostname "$name" image
		[ "$status" -eq 2 ]
		has "$stderr" "is no host name"
	done
}

@test "keys are added to an account's, with its owner" {
	twice --ssh-key one.pub --ssh-key admin:two.pub
	cmp <(guest /root/.ssh/authorized_keys) one.pub
	cmp <(guest /home/admin/.ssh/authorized_keys) two.pub
	has "$(inside image 'stat /home/admin/.ssh')" 'Mode:  0700'
	has "$(inside image 'stat /home/admin/.ssh/authorized_keys')" 'User:  1000   Group:  1001'
	has "$(inside image 'stat /home/admin/.ssh/authorized_keys')" 'Mode:  0600'
	# Another one behind those that are there.
	"$IMGCONV" inject -q --ssh-key one.pub --ssh-key two.pub image
	cmp <(guest /root/.ssh/authorized_keys) <(cat one.pub two.pub)
	{ echo '# who'; echo; printf 'from="10.0.0.0/8",command="a \\"b\\" c" '; cat one.pub; } >options.pub
	"$IMGCONV" inject -q --ssh-key options.pub image
	[ "$(guest /root/.ssh/authorized_keys | wc -l)" -eq 3 ]
}

@test "what is no key, and who has no account, is refused" {
	local bad
	for bad in one 'echo ssh-ed25519 AAAA' "sed s/ed25519/rsa/ one.pub" "sed 's/\$/\r/' one.pub" "echo '# none'" \
		"printf 'x\033[m '; cat one.pub"; do
		[ "$bad" = one ] && bad="cat one"
		eval "$bad" >bad.pub
		run --separate-stderr "$IMGCONV" inject --ssh-key bad.pub image
		[ "$status" -eq 1 ]
		has "$stderr" "bad.pub'"
	done
	run --separate-stderr "$IMGCONV" inject --ssh-key nobody:one.pub image
	[ "$status" -eq 1 ]
	has "$stderr" "no account 'nobody'"
	cmp fs image
}

@test "scripts for the first boot are put in, in their order, and run once" {
	printf '#!/bin/sh\necho first >>$LOG\n' >b
	printf '#!/bin/sh\necho second >>$LOG\nexit 3\n' >a
	twice --script-first-boot b --script-first-boot a
	has "$(inside image 'stat /etc/acclimate/first-boot.d')" 'Mode:  0700'
	has "$(inside image 'stat /etc/systemd/system/multi-user.target.wants/acclimate-first-boot.service')" symlink
	rm -rf out
	mkdir out
	debugfs -R "rdump /etc/acclimate out" image
	sed -i "s,^log=.*,log=$PWD/out/log," out/acclimate/first-boot
	LOG=$PWD/out/said out/acclimate/first-boot
	LOG=$PWD/out/said out/acclimate/first-boot
	[ "$(cat out/said)" = $'first\nsecond' ]
	grep -q '0002-a ended with status 3' out/log
	[ "$(ls out/acclimate/first-boot.done)" = $'0001-b\n0002-a' ]
	echo no script >c
	run --separate-stderr "$IMGCONV" inject --script-first-boot c image
	[ "$status" -eq 1 ]
	has "$stderr" "begin with '#!'"
}

@test "ls and cat show what is inside, of any format" {
	run --separate-stderr "$IMGCONV" ls image /etc
	[ "$status" -eq 0 ]
	has "$output" "-rw-r--r--   1     0     0         10 hostname"
	[ "$("$IMGCONV" ls -o json image | jq -r '.[] | select(.name == "lib") | .target')" = usr/lib ]
	has "$("$IMGCONV" ls -R image)" " usr/lib/systemd/system/basic.target"
	head -c 3000000 /dev/urandom >big
	"$IMGCONV" inject -q --file big:/big image
	for format in raw qcow2 vmdk vdi vhd; do
		"$IMGCONV" convert --force -q -O $format image image.$format
		"$IMGCONV" cat image.$format /big | cmp - big
	done
	run --separate-stderr "$IMGCONV" cat image /etc
	[ "$status" -eq 1 ]
	[ "$stderr" = "imgconv: '/etc' is a folder" ]
	run --separate-stderr "$IMGCONV" ls image /etc/none
	[ "$status" -eq 1 ]
	run "$IMGCONV" cat image
	[ "$status" -eq 2 ]
}
