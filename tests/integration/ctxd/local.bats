#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd local: what a context does to a guest's files, and what it does not touch.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

@test "a context is applied once, and nothing is rewritten" {
	tree netplan
	cloud_init
	web1 | context
	run -0 local_
	has "$output" "web1.example.org"
	[ "$(cat tree/etc/hostname)" = web1 ]
	grep -qx $'127.0.1.1\tweb1.example.org web1' tree/etc/hosts
	grep -qx '127.0.0.1 localhost' tree/etc/hosts
	[ -s tree/run/ctxd/context ]
	[ "$(stat -c %a tree/run/ctxd tree/run/ctxd/context)" = $'700\n600' ]
	snapshot >before
	touch -d '2001-01-01' tree/etc/hostname tree/etc/hosts tree/etc/cloud/cloud.cfg.d/91-ctxd.cfg
	find tree -type f -newermt 2002-01-01 ! -path '*/run/ctxd/*' -exec touch -d 2001-01-01 {} +
	run -0 local_
	snapshot | diff before -
	run ! has "$output" write
	[ -z "$(find tree -type f -newermt 2002-01-01 ! -path '*/run/ctxd/*')" ]
}

@test "a context that changes changes what it said before" {
	tree networkd
	web1 | context
	local_
	web1 | sed 's/web1/web2/; s/192.168.0.5/192.168.0.6/; /AAAA/d; s/^ssh-rsa/SSH_PUBLIC_KEY='"'"'ssh-rsa/' | context
	local_
	[ "$(cat tree/etc/hostname)" = web2 ]
	[ "$(grep -c web tree/etc/hosts)" = 1 ]
	grep -qx 'Address=192.168.0.6/24' tree/run/systemd/network/05-ctxd-02-00-c0-a8-00-05.network
	[ "$(grep -v '^#' tree/root/.ssh/authorized_keys)" = 'ssh-rsa BBBB two' ]
	web1 | sed 's/c0:a8:00:05/c0:a8:00:06/; /SSH/d; /^ssh/d' | context
	local_
	[ "$(ls tree/run/systemd/network)" = 05-ctxd-02-00-c0-a8-00-06.network ]
	[ "$(grep -vc '^#' tree/root/.ssh/authorized_keys)" = 0 ]
}

@test "keys go beside a person's own, with the modes that sshd wants" {
	tree none
	mkdir tree/root/.ssh
	echo 'ssh-rsa MINE me' >tree/root/.ssh/authorized_keys
	chmod 640 tree/root/.ssh/authorized_keys
	chmod 777 tree/root/.ssh
	web1 | context
	local_
	[ "$(grep -v '^#' tree/root/.ssh/authorized_keys)" = $'ssh-rsa MINE me\nssh-ed25519 AAAA one\nssh-rsa BBBB two' ]
	[ "$(stat -c %a tree/root/.ssh tree/root/.ssh/authorized_keys)" = $'700\n640' ]
	"$CTXD" undo --root tree
	[ "$(cat tree/root/.ssh/authorized_keys)" = 'ssh-rsa MINE me' ]
}

@test "keys are the named account's, root's, or left to cloud-init" {
	tree none
	(web1 && echo "USERNAME=ops") | context
	local_
	grep -q 'ssh-rsa BBBB' tree/home/ops/.ssh/authorized_keys
	[ "$(stat -c '%a %u' tree/home/ops/.ssh)" = "700 $(id -u)" ]
	[ ! -e tree/root/.ssh ]
	tree none
	cloud_init
	web1 | context
	run -0 local_
	has "$output" "left to cloud-init"
	[ ! -e tree/root/.ssh ]
	tree none
	(web1 && echo "USERNAME=new") | context
	local_
	grep -q '^new:' tree/etc/passwd
	grep -q 'ssh-rsa BBBB' tree/home/new/.ssh/authorized_keys
	(web1 && echo "USERNAME=bad") | context
	run -1 local_
	has "$output" "malformed"
}

@test "another account's files are written as that account" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	tree none
	sed -i 's/^ops:.*/ops:x:12345:23456::\/home\/ops:\/bin\/sh/' tree/etc/passwd
	chown 12345:23456 tree/home/ops
	(web1 && echo "USERNAME=ops") | context
	chmod 711 . # the account is to reach its home
	for d in $(pwd | tr / ' '); do p=${p:-}/$d; [ "$(stat -c %A "$p" | cut -c10)" != - ] || chmod o+x "$p"; done
	local_
	[ "$(stat -c '%u %g %a' tree/home/ops/.ssh tree/home/ops/.ssh/authorized_keys)" = \
		$'12345 23456 700\n12345 23456 600' ]
	# What the account puts in our way leads nowhere that it could not go itself.
	rm -r tree/home/ops/.ssh
	mkdir elsewhere
	ln -s "$PWD/elsewhere" tree/home/ops/.ssh
	run -1 local_
	has "$output" "no folder"
	[ -z "$(ls elsewhere)" ]
	# Nor where a group of whoever runs ctxd could.
	rm tree/home/ops/.ssh
	install -d -o 12345 -g 23456 -m 700 tree/home/ops/.ssh
	install -g 4242 -m 640 /dev/null secret
	echo secret >secret
	ln -s "$PWD/secret" tree/home/ops/.ssh/authorized_keys
	run -1 setpriv --groups 4242 "$CTXD" local --root tree --dev media
	run ! grep -r secret tree/home/ops/.ssh/
	[ "$(find tree/home/ops/.ssh -type f)" = "" ]
}

@test "below netplan and with networkd each NIC gets a file that comes first" {
	cat >full <<-'END'
	ETH0_ALIAS0_IP='192.168.0.6'
	ETH0_ALIAS0_MASK='255.255.255.255'
	ETH0_DNS='192.168.0.1 2001:db8::53'
	ETH0_GATEWAY='10.9.9.9'
	ETH0_IP='192.168.0.5'
	ETH0_IP6='2001:db8::5'
	ETH0_IP6_GATEWAY='fe80::1'
	ETH0_MAC='02:00:C0:A8:00:05'
	ETH0_METRIC='7'
	ETH0_MTU='1450'
	ETH0_ROUTES='10.0.0.0/8 via 192.168.0.9'
	ETH0_SEARCH_DOMAIN='example.org'
	ETH1_MAC='02:00:c0:a8:01:05'
	ETH1_METHOD='dhcp'
	ETH2_IP='192.168.2.5'
	ETH2_MAC='02:00:c0:a8:02:05'
	ETH2_METHOD='skip'
	ETH3_IP='192.168.3.5'
	END
	for kind in netplan networkd; do
		tree $kind
		context <full
		run -0 local_
		has "$output" "NIC 3 has no hardware address"
		[ "$(ls tree/run/systemd/network)" = $'05-ctxd-02-00-c0-a8-00-05.network\n05-ctxd-02-00-c0-a8-01-05.network' ]
		cat >want <<-'END'
		[Match]
		MACAddress=02:00:c0:a8:00:05
		Type=ether

		[Link]
		MTUBytes=1450

		[Network]
		DHCP=no
		IPv6AcceptRA=no
		Address=192.168.0.5/24
		Address=2001:db8::5/64
		Address=192.168.0.6/32
		DNS=192.168.0.1
		DNS=2001:db8::53
		Domains=example.org

		[Route]
		Gateway=10.9.9.9
		GatewayOnLink=yes
		Metric=7

		[Route]
		Gateway=fe80::1
		Metric=7

		[Route]
		Destination=10.0.0.0/8
		Gateway=192.168.0.9
		END
		tail -n +2 tree/run/systemd/network/05-ctxd-02-00-c0-a8-00-05.network | diff want -
		grep -qx DHCP=yes tree/run/systemd/network/05-ctxd-02-00-c0-a8-01-05.network
	done
	# resolv.conf is made where nobody else does: there is no systemd-resolved in this tree.
	grep -qx 'nameserver 2001:db8::53' tree/etc/resolv.conf
	grep -qx 'search example.org' tree/etc/resolv.conf
}

@test "with ifupdown the interfaces are named by their hardware address" {
	tree ifupdown
	nic eth0 02:00:c0:a8:00:05
	nic eth1 02:00:c0:a8:01:05
	mkdir tree/sys/class/net/br0
	echo 02:00:c0:a8:00:05 >tree/sys/class/net/br0/address
	echo DEVTYPE=bridge >tree/sys/class/net/br0/uevent
	(web1 && cat <<-'END') | context
	ETH0_IP6='2001:db8::5'
	ETH0_IP6_GATEWAY='2001:db8::1'
	ETH0_ALIAS0_IP='192.168.0.6'
	ETH0_MTU='1450'
	ETH0_ROUTES='10.0.0.0/8 via 192.168.0.9'
	ETH1_MAC='02:00:c0:a8:01:05'
	ETH1_METHOD='dhcp'
	ETH1_IP6_METHOD='auto'
	ETH2_MAC='02:00:c0:a8:02:05'
	ETH2_IP='192.168.2.5'
	END
	run -0 local_
	has "$output" "no interface has the hardware address 02:00:c0:a8:02:05"
	cat >want <<-'END'

	auto eth0
	iface eth0 inet static
	@address 192.168.0.5
	@netmask 255.255.255.0
	@up ip addr add 192.168.0.6/24 dev $IFACE
	@gateway 192.168.0.254
	@mtu 1450
	@dns-nameservers 192.168.0.1
	@dns-search example.org
	@up ip route replace 10.0.0.0/8 via 192.168.0.9 dev $IFACE
	iface eth0 inet6 static
	@address 2001:db8::5
	@netmask 64
	@gateway 2001:db8::1

	auto eth1
	iface eth1 inet dhcp
	iface eth1 inet6 auto
	END
	tail -n +2 tree/etc/network/interfaces.d/ctxd | tr '\t' @ | diff want -
	# Without a context, nothing binds the guest to the cloud that it left.
	rm media/*
	local_
	[ ! -e tree/etc/network/interfaces.d/ctxd ]
}

@test "an interface that a person described is left alone" {
	tree ifupdown
	nic eth0 02:00:c0:a8:00:05
	cloud_init
	printf 'auto eth0\niface eth0 inet dhcp\n\tmetric 5\n' >>tree/etc/network/interfaces
	web1 | context
	run -0 local_
	has "$output" "eth0 is described in /etc/network/interfaces: left alone"
	[ ! -e tree/etc/network/interfaces.d/ctxd ]
	run ! grep -q disabled tree/etc/cloud/cloud.cfg.d/91-ctxd.cfg
}

@test "cloud-init is told in a file of its own, while there is a context" {
	tree netplan
	cloud_init
	web1 | context
	local_
	cat >want <<-'END'
	datasource:
	  Ec2:
	    strict_id: false
	    metadata_urls: ["http://169.254.169.254"]
	    max_wait: 20
	    timeout: 5
	network:
	  config: disabled
	END
	tail -n +2 tree/etc/cloud/cloud.cfg.d/91-ctxd.cfg | diff want -
	echo "SET_HOSTNAME='x'" | context
	local_
	run ! grep -q network tree/etc/cloud/cloud.cfg.d/91-ctxd.cfg
	rm media/*
	run -0 local_
	has "$output" "no context"
	[ ! -e tree/etc/cloud/cloud.cfg.d/91-ctxd.cfg ]
	[ ! -e tree/run/ctxd ]
	[ "$(cat tree/etc/hostname)" = x ]
	touch tree/etc/cloud/cloud-init.disabled
	web1 | context
	local_
	[ ! -e tree/etc/cloud/cloud.cfg.d/91-ctxd.cfg ]
	grep -q BBBB tree/root/.ssh/authorized_keys
}

@test "a person's file in our place stays, and the rest is applied" {
	tree netplan
	cloud_init
	echo '# mine' >tree/etc/cloud/cloud.cfg.d/91-ctxd.cfg
	web1 | context
	run -1 local_
	has "$output" "'/etc/cloud/cloud.cfg.d/91-ctxd.cfg' is there and is not ours"
	[ "$(cat tree/etc/cloud/cloud.cfg.d/91-ctxd.cfg)" = '# mine' ]
	[ -e tree/run/systemd/network/05-ctxd-02-00-c0-a8-00-05.network ]
}

@test "undo leaves the tree as it was, whatever happened in between" {
	tree netplan
	cloud_init
	echo old >tree/etc/hostname
	snapshot >before
	web1 | context
	local_
	web1 | sed 's/web1/web2/' | context
	local_
	"$CTXD" undo --root tree -n >said
	grep -qx 'restore /etc/hostname' said
	"$CTXD" undo --root tree
	snapshot | diff before -
	[ -z "$("$CTXD" undo --root tree)" ]
}

@test "a dry run tells all and changes nothing" {
	tree netplan
	cloud_init
	web1 | context
	snapshot >before
	run -0 --separate-stderr local_ -n
	[ "$output" = "write /etc/hostname
write /etc/hosts
write /run/systemd/network/05-ctxd-02-00-c0-a8-00-05.network
write /etc/cloud/cloud.cfg.d/91-ctxd.cfg" ]
	snapshot | diff before -
	[ ! -e tree/run/ctxd ]
}

@test "nothing in a context is ever run" {
	tree none
	context <<-'END'
	A=$(touch ran)
	B=`touch ran`
	C="$(touch ran)"
	touch ran
	D='x'; touch ran
	SET_HOSTNAME='$(touch ran)'
	SSH_PUBLIC_KEY='`touch ran`'
	PATH='/nowhere'
	LD_PRELOAD='/nowhere.so'
	END
	run -0 local_
	[ ! -e ran ]
	has "$output" "1:3: skipped"
	[ "$(cat tree/etc/hostname)" = touch-ran ]
}
