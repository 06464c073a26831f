#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd local: the network files that each kind of guest gets, and what it had before.

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

@test "NetworkManager gets a profile for each NIC, that it alone may read" {
	tree manager
	many | context
	local_
	cd tree/run/NetworkManager/system-connections
	[ "$(stat -c %a ctxd-02-00-c0-a8-00-05.nmconnection)" = 600 ]
	[ "$(ls | wc -l)" = 3 ]
	cat >want <<-'END'

	[connection]
	id=ctxd 02-00-c0-a8-00-05
	uuid=63747864-6e6d-8000-8000-0200c0a80005
	type=ethernet
	autoconnect-priority=900

	[ethernet]
	mac-address=02:00:c0:a8:00:05
	mtu=1450

	[ipv4]
	method=manual
	address1=192.168.0.5/24
	address2=192.168.0.6/32
	gateway=10.9.9.9
	route-metric=7
	dns=192.168.0.1;
	dns-search=a.example;b.example;
	route1=10.0.0.0/8,192.168.0.9

	[ipv6]
	method=manual
	address1=2001:db8::5/64
	address2=fd00::5/64
	gateway=fe80::1
	route-metric=7
	dns=2001:db8::53;
	dns-search=a.example;b.example;
	route1=2001:db8:8::/48,2001:db8::9
	END
	tail -n +2 ctxd-02-00-c0-a8-00-05.nmconnection | diff want -
	sed -n '/ipv4/,$p' ctxd-02-00-c0-a8-01-05.nmconnection | tr '\n' ' ' >got
	[ "$(cat got)" = "[ipv4] method=auto  [ipv6] method=auto " ]
}

@test "Red Hat's network scripts" {
	tree redhat
	nics
	many | context
	run -0 local_
	has "$output" "no interface has the hardware address 02:00:c0:a8:02:05"
	cd tree/etc/sysconfig/network-scripts
	cat >want <<-'END'
	DEVICE=eth0
	ONBOOT=yes
	USERCTL=no
	TYPE=Ethernet
	HWADDR=02:00:c0:a8:00:05
	BOOTPROTO=none
	IPADDR=192.168.0.5
	NETMASK=255.255.255.0
	IPADDR1=192.168.0.6
	NETMASK1=255.255.255.255
	METRIC=7
	IPV6INIT=yes
	IPV6_AUTOCONF=no
	IPV6ADDR=2001:db8::5/64
	IPV6ADDR_SECONDARIES="fd00::5/64"
	IPV6_DEFAULTGW=fe80::1
	MTU=1450
	DNS1=192.168.0.1
	DNS2=2001:db8::53
	DOMAIN="a.example b.example"
	END
	tail -n +2 ifcfg-eth0 | diff want -
	[ "$(tail -n +2 route-eth0)" = 'default via 10.9.9.9 dev eth0 metric 7 onlink
10.0.0.0/8 via 192.168.0.9 dev eth0' ]
	[ "$(tail -n +2 route6-eth0)" = '2001:db8:8::/48 via 2001:db8::9 dev eth0' ]
	grep -qx BOOTPROTO=dhcp ifcfg-eth1
	grep -qx IPV6_AUTOCONF=yes ifcfg-eth1
	[ ! -e ifcfg-eth2 ]
	# A shell reads them.
	sh -euc '. ./ifcfg-eth0; [ "$IPV6ADDR_SECONDARIES" = fd00::5/64 ]'
}

@test "Red Hat: a description that says no more than DHCP gives way, and comes back" {
	tree redhat
	nics
	printf 'DEVICE="eth0"\nBOOTPROTO="dhcp"\nONBOOT="yes"\nTYPE="Ethernet"\nPEERDNS="yes"\n' \
		>tree/etc/sysconfig/network-scripts/ifcfg-eth0
	snapshot >before
	plain | context
	local_
	grep -qx IPADDR=192.168.0.5 tree/etc/sysconfig/network-scripts/ifcfg-eth0
	snapshot >applied
	local_
	snapshot | diff applied -
	rm media/*
	local_
	[ "$(snapshot | grep -v var/lib/ctxd)" = "$(cat before)" ]
}

@test "SUSE's files, name servers in netconfig's settings" {
	tree suse
	nics
	printf "BOOTPROTO='dhcp'\nSTARTMODE='auto'\nIPADDR=''\n" >tree/etc/sysconfig/network/ifcfg-eth0
	cp tree/etc/sysconfig/network/ifcfg-eth0 was
	many | context
	local_
	cd tree/etc/sysconfig/network
	cat >want <<-'END'
	STARTMODE='auto'
	BOOTPROTO='static'
	IPADDR='192.168.0.5/24'
	IPADDR_1='2001:db8::5/64'
	IPADDR_2='fd00::5/64'
	IPADDR_3='192.168.0.6/32'
	MTU='1450'
	END
	tail -n +2 ifcfg-eth0 | sort | diff <(sort want) -
	cat >want <<-'END'
	10.9.9.9/32 - - eth0
	default 10.9.9.9 - eth0 unicast metric 7
	default fe80::1 - eth0 unicast metric 7
	10.0.0.0/8 192.168.0.9 - eth0
	2001:db8:8::/48 2001:db8::9 - eth0
	END
	tail -n +2 ifroute-eth0 | diff want -
	grep -qx "BOOTPROTO='dhcp4+auto6'" ifcfg-eth1
	sh -euc '. ./config; [ "$NETCONFIG_DNS_STATIC_SERVERS" = "192.168.0.1 2001:db8::53" ]
		[ "$NETCONFIG_DNS_STATIC_SEARCHLIST" = "a.example b.example" ]'
	cd ../../../..
	"$CTXD" undo --root tree
	cmp was tree/etc/sysconfig/network/ifcfg-eth0
	[ "$(cat tree/etc/sysconfig/network/config)" = 'NETCONFIG_DNS_STATIC_SERVERS=""' ]
}

@test "ifupdown without a folder, and nothing in the way: a block" {
	tree alpine
	nic eth1 02:00:c0:a8:00:05
	cp tree/etc/network/interfaces was
	plain | context
	local_
	head -n "$(wc -l <was)" tree/etc/network/interfaces | diff was -
	grep -q '^iface eth1 inet static' tree/etc/network/interfaces
	[ "$(grep -c 'ctxd: begin' tree/etc/network/interfaces)" = 1 ]
	local_
	[ "$(grep -c 'ctxd: begin' tree/etc/network/interfaces)" = 1 ]
	rm media/*
	local_
	cmp was tree/etc/network/interfaces
}
