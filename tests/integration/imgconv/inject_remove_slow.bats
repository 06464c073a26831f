#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What --remove-ctxd leaves alone, and what it finds although it was moved; that the rest is as it was
# before is in inject_ctxd_slow.bats, for each init system.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	make_tree tree
}

injected() {
	make_fs tree image 16M -t ext4
	"$IMGCONV" inject -q --ctxd image
}

write_() { debugfs -w -f - image 2>/dev/null; } # < COMMANDS

refused() { # WORD
	cp image image.before
	run --separate-stderr "$IMGCONV" inject --remove-ctxd image
	[ "$status" -eq 1 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	has "$stderr" "$1"
	cmp image image.before
}

@test "a dry run writes nothing; a second run finds nothing; both ways give the same bytes" {
	injected
	cp image image.2
	cp image image.before
	run --separate-stderr "$IMGCONV" inject --remove-ctxd --dry-run -o json image
	[ "$status" -eq 0 ]
	[ "$(jq -r '[.changes[].action] | unique[]' <<<"$output")" = remove ]
	jq -e '.changes[] | select(.path == "/usr/sbin/ctxd")' <<<"$output"
	cmp image image.before
	"$IMGCONV" inject -q --remove-ctxd image
	TZ=Asia/Tokyo "$IMGCONV" inject -q --remove-ctxd image.2
	cmp image image.2
	[ -z "$("$IMGCONV" inject -q --remove-ctxd image)" ]
	cmp image image.2
	"$IMGCONV" convert -q -O qcow2 --remove-ctxd image.before out.qcow2
	run -1 "$IMGCONV" cat out.qcow2 /usr/sbin/ctxd
}

@test "what somebody has changed stays, and is told; its links go" {
	injected
	echo '[Service]' >unit
	write_ <<-END
		cd /usr/lib/systemd/system
		rm ctxd-local.service
		write unit ctxd-local.service
		cd /etc/systemd/system/sysinit.target.wants
		symlink other.service /usr/lib/systemd/system/other.service
	END
	run --separate-stderr "$IMGCONV" inject --remove-ctxd image
	[ "$status" -eq 0 ]
	has "$output" "! /usr/lib/systemd/system/ctxd-local.service"
	has "$stderr" "was changed since it was put in"
	clean image
	has "$(inside image 'cat /usr/lib/systemd/system/ctxd-local.service')" '[Service]'
	[ "$("$IMGCONV" ls -o json image /etc/systemd/system/sysinit.target.wants | jq -r '.[].name')" = other.service ]
	run -1 "$IMGCONV" cat image /usr/sbin/ctxd
}

@test "links with new numbers are found; those that made room stay if somebody came between" {
	rm tree/usr/lib/systemd/system/* tree/usr/lib/systemd/systemd tree/usr/sbin/init
	elf tree/usr/sbin/init
	mkdir -p tree/etc/init.d tree/etc/rcS.d
	touch tree/etc/inittab
	for s in mountall networking; do
		printf '%s\n' '### BEGIN INIT INFO' "# Provides: $s" "# Required-Start: " '### END INIT INFO' >tree/etc/init.d/$s
	done
	sed -i 's/Required-Start: /&mountall/' tree/etc/init.d/networking
	ln -s ../init.d/mountall tree/etc/rcS.d/S01mountall
	ln -s ../init.d/networking tree/etc/rcS.d/S02networking
	injected
	# As insserv would, with one more script of the guest's.
	write_ <<-END
		cd /etc/rcS.d
		rm S02ctxd-local
		symlink S01ctxd-local ../init.d/ctxd-local
		symlink S03new ../init.d/new
		symlink K05ctxd-imds ../init.d/ctxd-imds
	END
	"$IMGCONV" inject -q --remove-ctxd image
	clean image
	[ "$("$IMGCONV" ls -o json image /etc/rcS.d | jq -r '.[].name' | sort | xargs)" = \
		"S01mountall S03new S04networking" ]
}

@test "what ctxd wrote as it ran is taken back as by its own undo" {
	[ "$(id -u)" = 0 ] || skip "needs root, as ctxd does"
	ctxd=$(dirname "$IMGCONV")/ctxd
	mkdir -p tree/{run,sys/class/net/eth0,home/ops,etc/network,etc/cloud} media ctx tree/usr/share/zoneinfo/Etc
	chmod 700 tree/root
	touch tree/usr/share/zoneinfo/Etc/UTC tree/usr/sbin/ifup tree/usr/bin/cloud-init
	rm tree/etc/hostname
	ln -s /usr/share/zoneinfo/Etc/GMT tree/etc/localtime
	printf '%s\n' root:x:0: ops:x:1000: >tree/etc/group
	printf '%s\n' root:x:0:0::/root:/bin/sh ops:x:1000:1000::/home/ops:/bin/sh >tree/etc/passwd
	chown 1000:1000 tree/home/ops
	echo '127.0.0.1 localhost' >tree/etc/hosts
	echo 'nameserver 192.0.2.1' >tree/etc/resolv.conf
	printf '%s\n' 'auto eth0' 'iface eth0 inet dhcp' >tree/etc/network/interfaces
	printf '%s\n' /dev/vda1' / ext4 defaults 0 1' >tree/etc/fstab
	echo 02:00:c0:a8:00:05 >tree/sys/class/net/eth0/address
	echo INTERFACE=eth0 >tree/sys/class/net/eth0/uevent
	cat >ctx/context.sh <<-END
		SET_HOSTNAME='web1.example.org'
		USERNAME='ops'
		SSH_PUBLIC_KEY='ssh-rsa AAAA x'
		TIMEZONE='Etc/UTC'
		ETH0_MAC='02:00:c0:a8:00:05'
		ETH0_IP='192.168.0.5'
		ETH0_GATEWAY='192.168.0.1'
		ETH0_DNS='192.168.0.1'
		DISK1_MOUNT_TAG='share'
		DISK1_MOUNT_POINT='/srv/a'
	END
	genisoimage -quiet -V CONTEXT -R -o media/context.iso ctx
	"$ctxd" local -q --root tree --dev media
	rm -rf tree/run/*
	for kind in own block was new link; do grep -q "^$kind /" tree/var/lib/ctxd/written; done
	# Somebody else's words since stay.
	echo '192.0.2.9 other' >>tree/etc/hosts
	injected
	"$ctxd" undo -q --root tree
	rm -rf tree/run/*
	make_fs tree before 16M -t ext4
	"$IMGCONV" inject -q --remove-ctxd image
	clean image
	run -0 diff <(all before) <(all image)
	[ -z "$("$IMGCONV" inject -q --remove-ctxd image)" ]
}

@test "a link that is not root's, on the way to what ctxd wrote, is not followed" {
	injected
	printf '%s\n' '# ctxd: begin; changes up to the line '"'ctxd: end'"' are lost' x '# ctxd: end' >keys
	echo 'block /home/ops/.ssh/authorized_keys' >written
	write_ <<-END
		mkdir /var
		mkdir /var/lib
		mkdir /var/lib/ctxd
		mkdir /home
		mkdir /home/ops
		symlink /home/ops/.ssh /root
		set_inode_field /home/ops/.ssh uid 1000
		cd /var/lib/ctxd
		write written written
		cd /root
		write keys authorized_keys
	END
	run -0 --separate-stderr "$IMGCONV" inject --remove-ctxd image
	has "$output" "! /home/ops/.ssh/authorized_keys"
	cmp keys <("$IMGCONV" cat image /root/authorized_keys)
}

@test "what came otherwise, or lies is refused" {
	make_fs tree image 16M -t ext4
	[ -z "$("$IMGCONV" inject -q --remove-ctxd image)" ]
	elf tree/usr/sbin/ctxd
	make_fs tree image 16M -t ext4
	refused "'/usr/sbin/ctxd' was put in otherwise"
	rm tree/usr/sbin/ctxd
	injected
	cp image image.ran
	echo 'new /etc/../etc/passwd' >written
	printf '%s\n' 'mkdir /var' 'mkdir /var/lib' 'mkdir /var/lib/ctxd' 'cd /var/lib/ctxd' 'write written written' | write_
	refused "imgconv: 'image': "
	cp image.ran image
	seq -f 'own /etc/%g' 5000 >written
	printf '%s\n' 'mkdir /var' 'mkdir /var/lib' 'mkdir /var/lib/ctxd' 'cd /var/lib/ctxd' 'write written written' | write_
	refused "'/var/lib/ctxd/written' has more than 4096 lines"
	for line in 'file 644 0 /etc/passwd' 'dir etc' 'moved /etc/rcS.d/S01x' 'dir /etc/../usr'; do
		cp image.ran image
		printf '%s\n' "$line" >receipt
		printf '%s\n' 'cd /etc/acclimate' 'rm ctxd' 'write receipt ctxd' | write_
		refused "imgconv: 'image': "
	done
	# One that names what others own, by name or by a link, takes nothing.
	cp image.ran image
	sum=$(printf 'x%.0s' {1..64})
	printf '%s\n' "file 644 $sum /etc/passwd" 'moved /etc/passwd /etc/hostname' 'dir /etc' >receipt
	printf '%s\n' 'cd /etc/acclimate' 'rm ctxd' 'write receipt ctxd' | write_
	run -0 --separate-stderr "$IMGCONV" inject -q --remove-ctxd image
	[ "$output" = "! /etc/passwd
- /etc/acclimate/ctxd" ]
}
