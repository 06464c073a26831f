#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd local, final: what a context changes in a guest beside its name and network.

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

hash_of() { sed -n "s/^$1:\([^:]*\):.*/\1/p" tree/etc/shadow; }

@test "an account is made as the guest's own tools would, and they find no fault" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	accounts
	reachable
	printf '%s\n' "USERNAME='ops'" "USERNAME_SUDO='YES'" "USERNAME_SHELL='/bin/bash'" "PASSWORD='secret'" \
		"SSH_PUBLIC_KEY='ssh-rsa AAAA'" | context
	local_
	[ "$(stat -c '%u %a' tree/home/ops)" = '1000 700' ]
	grep -qx 'ssh-rsa AAAA' tree/home/ops/.ssh/authorized_keys
	[ "$(hash_of ops)" = "$(openssl passwd -6 -salt "$(hash_of ops | cut -d'$' -f3)" secret)" ]
	grep -qx 'ops ALL=(ALL) NOPASSWD:ALL' tree/etc/sudoers.d/90-ctxd
	[ "$(stat -c %a tree/etc/sudoers.d/90-ctxd)" = 440 ]
	if command -v visudo >/dev/null; then visudo -cf tree/etc/sudoers.d/90-ctxd; fi
	run pwck -r -R "$PWD/tree"
	[ "$status" = 0 ] || { echo "$output"; false; }
	run grpck -r -R "$PWD/tree"
	[ "$status" = 0 ] || { echo "$output"; false; }
}

@test "a password is set when the context's changes, and one set later stays" {
	accounts
	echo "PASSWORD='secret'" | context
	local_
	first=$(hash_of root)
	[[ $first == \$6\$* ]]
	local_
	[ "$(hash_of root)" = "$first" ]
	sed -i 's/^root:[^:]*/root:mine/' tree/etc/shadow
	local_
	[ "$(hash_of root)" = mine ]
	echo "PASSWORD='another'" | context
	local_
	[ "$(hash_of root)" != mine ]
	printf '%s\n' "CRYPTED_PASSWORD='\$6\$x\$y'" | context
	local_
	[ "$(hash_of root)" = '$6$x$y' ]
	run ! grep -r secret tree
}

@test "keys of an account that the context no longer names are taken away" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	accounts
	reachable
	printf '%s\n' "USERNAME='ops'" "SSH_PUBLIC_KEY='ssh-rsa AAAA'" | context
	local_
	echo "SSH_PUBLIC_KEY='ssh-rsa AAAA'" | context
	local_
	run ! grep -q AAAA tree/home/ops/.ssh/authorized_keys
	grep -qx 'ssh-rsa AAAA' tree/root/.ssh/authorized_keys
	[ ! -e tree/etc/sudoers.d/90-ctxd ]
}

@test "#cloud-config is done where there is no cloud-init: files, users, time zone" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	accounts
	mkdir -p tree/usr/share/zoneinfo/Europe
	touch tree/usr/share/zoneinfo/Europe/Zurich
	echo UTC >tree/etc/timezone
	echo mine >tree/etc/x
	seed <<-'END'
	#cloud-config
	timezone: Europe/Zurich
	write_files:
	- {path: /etc/x, content: "ours\n", permissions: '0600'}
	- {path: /srv/a/b, content: aGk=, encoding: b64, owner: 'nobody:sudo'}
	runcmd: [echo hi]
	packages: [nginx]
	END
	run -0 local_
	has "$output" "'packages' is not something that ctxd does"
	[ "$(cat tree/etc/hostname)" = web1 ]
	[ "$(cat tree/etc/x)" = ours ] || { echo "$output"; cat tree/etc/x; false; }
	[ "$(stat -c %a tree/etc/x)" = 600 ]
	[ "$(cat tree/srv/a/b)" = hi ]
	[ "$(stat -c '%u %g' tree/srv/a/b)" = '65534 27' ]
	[ "$(readlink tree/etc/localtime)" = ../usr/share/zoneinfo/Europe/Zurich ]
	[ "$(cat tree/etc/timezone)" = Europe/Zurich ]
	# A file is written once for each content.
	echo edited >tree/etc/x
	local_
	[ "$(cat tree/etc/x)" = edited ]
	run -0 "$CTXD" final --root tree -n
	[ "$output" = "run runcmd" ]
	"$CTXD" undo --root tree
	[ "$(cat tree/etc/x)" = mine ]
	[ ! -e tree/srv/a/b ]
}

@test "lines that are appended to a file one after the other are appended once" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	accounts
	echo mine >tree/etc/x
	seed <<-'END'
	#cloud-config
	write_files:
	- {path: /etc/x, content: "one\n", append: true}
	- {path: /etc/y, content: "y\n"}
	- {path: /etc/x, content: "two\n", append: true}
	END
	for _ in 1 2 3; do
		local_
		[ "$(cat tree/etc/x)" = $'mine\none\ntwo' ]
	done
	"$CTXD" undo --root tree
	[ "$(cat tree/etc/x)" = mine ]
	[ ! -e tree/etc/y ]
}

@test "of #cloud-config what is not done is told, also inside of what is" {
	accounts
	told() { # TEXT CONFIG
		printf '#cloud-config\n%s\n' "$2" | seed
		run -0 local_ -n
		has "$output" "$1" || { echo "$output"; false; }
	}
	told "'chpasswd.list' is not something" 'chpasswd: {expire: false, list: "root:secret"}'
	told "'preserve_hostname' is not something" 'preserve_hostname: true'
	told "'growpart' is not something" 'growpart: {mode: off}'
	told "'users.hashed_passwd' is not something" 'users: [{name: joe, hashed_passwd: x}]'
	told "'joe' without more is not made" 'users: [default, joe]'
	told "of several rules for sudo the first" 'users: [{name: joe, sudo: ["ALL=(ALL) /bin/a", "ALL=(ALL) /bin/b"]}]'
	told "'write_files.source' is not something" 'write_files: [{path: /x, source: {uri: "http://x/"}}]'
	told "'rw' is not the mode" 'write_files: [{path: /x, permissions: rw}]'
	printf '#cloud-config\n%s\n' 'chpasswd: {expire: false}' 'growpart: {mode: auto}' 'resize_rootfs: true' \
		'preserve_hostname: false' 'users: [default]' | seed
	run -0 local_ -n
	run ! has "$output" 'is not'
}

@test "where there is doas, a rule that allows less than everything allows nothing" {
	accounts
	mkdir tree/etc/doas.d
	seed <<-'END'
	#cloud-config
	users:
	- {name: all, sudo: "ALL = (ALL:ALL) NOPASSWD: ALL"}
	- {name: asked, sudo: "ALL=(ALL) ALL"}
	- {name: one, sudo: "ALL=(ALL) NOPASSWD: /bin/ls"}
	- {name: other, sudo: "ALL=(www) NOPASSWD: ALL"}
	END
	local_
	[ "$(tail -n +2 tree/etc/doas.d/ctxd.conf)" = $'permit nopass all\npermit asked' ]
	[ "$(grep -c '=' tree/etc/sudoers.d/90-ctxd)" = 4 ]
	# Without sudo the others have none, which is told.
	rm -r tree/etc/sudoers.d
	run -0 local_
	has "$output" "takes the rule for sudo of 'one'"
	has "$output" "takes the rule for sudo of 'other'"
	run ! has "$output" "of 'all'"
}

@test "time servers go to what takes them, and where nothing does it is told" {
	accounts
	mkdir media
	printf '%s\n' 'instance-id: i-1' 'ntp-servers: [192.0.2.1]' >a.yaml
	"$METADATA_SERVER" iso --kind nocloud a.yaml media/a.iso
	run -0 local_
	has "$output" "nothing that takes time servers"
	mkdir -p tree/etc/chrony/sources.d
	run -0 local_
	grep -qx 'server 192.0.2.1 iburst' tree/etc/chrony/sources.d/ctxd.sources
	run ! has "$output" "nothing that takes time servers"
}

@test "where there is cloud-init, user data are left to it" {
	accounts
	cloud_init
	printf '#cloud-config\nwrite_files: [{path: /etc/x, content: y}]\n' | seed
	local_
	[ ! -e tree/etc/x ]
}

@test "scripts are run once for each machine, with the medium's files, and not with its variables' harm" {
	[ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null || skip "needs root and mount namespaces"
	cat >run.sh <<-'END'
	set -e
	mount -t tmpfs none /run
	mount -t tmpfs none /var/lib
	mkdir /run/ctxd
	"$CTXD" local --root tree --dev media -q
	cp tree/run/ctxd/context /run/ctxd/context
	for i in 1 2; do "$CTXD" final 2>&1 || echo "status $?"; done
	END
	tree none
	rm -rf media ctx
	mkdir media ctx
	cat >ctx/context.sh <<-'END'
	PATH='/nowhere'
	LD_PRELOAD='/nowhere.so'
	ROLE='web it'"'"'s'
	START_SCRIPT='echo "script: $ROLE $PATH ${LD_PRELOAD-none} $(cat extra)"'
	INIT_SCRIPTS='init.py start-script'
	FILES='x'
	END
	echo 'of the medium' >ctx/extra
	printf '#!/bin/sh\necho from a file: $0\nexit 3\n' >ctx/init.py
	echo 'echo of the same name' >ctx/start-script
	xorriso -as mkisofs -quiet -V CONTEXT -J -R -o media/context.iso ctx 2>/dev/null
	export CTXD
	run unshare -m bash run.sh
	[ "$(grep -c '^script: ' <<<"$output")" = 1 ] || { echo "$output"; false; }
	grep -qx "script: web it's /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin none of the medium" <<<"$output"
	has "$output" "from a file: /var/lib/ctxd/scripts/init.py"
	has "$output" "init.py ended with status 3"
	[ "$(grep -c '^of the same name' <<<"$output")" = 1 ] || { echo "$output"; false; }
	[ "$(grep -c '^status 1' <<<"$output")" = 1 ] # the second time there was nothing to be run
}

@test "before the end of the boot an update does nothing" {
	tree none
	echo "SET_HOSTNAME='web1'" | context
	"$CTXD" update --root tree --dev media
	[ ! -e tree/etc/hostname ]
	local_
	"$CTXD" final --root tree
	echo "SET_HOSTNAME='web2'" | context
	"$CTXD" update --root tree --dev media
	[ "$(cat tree/etc/hostname)" = web2 ]
}

@test "a medium that is exchanged is the new context; one that is taken out changes nothing" {
	tree networkd
	two() { printf '%s\n' "SET_HOSTNAME='$1'" "SSH_PUBLIC_KEY='ssh-rsa $2'" "$3" | context; }
	two web1 AAAA "$(printf '%s\n' "ETH0_MAC='02:00:c0:a8:00:05'" "ETH0_IP='192.168.0.5'")"
	local_ -q
	"$CTXD" final --root tree
	network=tree/run/systemd/network/05-ctxd-02-00-c0-a8-00-05.network
	rm media/*
	rm tree/etc/hosts # what else there is to do is done
	run -0 "$CTXD" update --root tree --dev media
	has "$output" "stays"
	grep -q web1 tree/etc/hosts
	[ -e "$network" ]
	[ -e tree/run/ctxd/context ]
	echo no medium >media/context.iso # nor does one that cannot be read
	"$CTXD" update -q --root tree --dev media
	[ -e "$network" ]
	two web2 BBBB ''
	"$CTXD" update -q --root tree --dev media
	[ "$(cat tree/etc/hostname)" = web2 ]
	[ ! -e "$network" ]
	[ "$(grep -c ssh-rsa tree/root/.ssh/authorized_keys)" = 1 ]
	grep -qx 'ssh-rsa BBBB' tree/root/.ssh/authorized_keys
}

@test "mounts are a block in fstab that keeps no boot from succeeding" {
	tree none
	printf 'UUID=x / ext4 defaults 0 1\nLABEL=y /srv ext4 defaults 0 2\n' >tree/etc/fstab
	cp tree/etc/fstab was
	printf '%s\n' "DISK1_MOUNT_TAG='share'" "DISK1_MOUNT_POINT='/mnt/share'" | context
	local_
	grep -qP '^share\t/mnt/share\tvirtiofs\tdefaults,nofail\t0\t0$' tree/etc/fstab ||
		{ cat tree/etc/fstab; false; }
	rm media/*
	echo "SET_HOSTNAME='x'" | context
	local_
	cmp was tree/etc/fstab
	printf '%s\n' 'instance-id: i-1' 'mounts: [{source: LABEL=nowhere}]' >a.yaml
	rm media/*
	"$METADATA_SERVER" iso --kind nocloud a.yaml media/a.iso
	run -0 local_
	has "$output" "LABEL=nowhere: the context does not say where to mount it"
}
