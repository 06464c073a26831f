#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd local: the network files that each kind of guest gets, and what it had before.

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

# One NIC with all there is, one for DHCP and SLAAC, one that is not there.
many() {
	cat <<-'END'
	ETH0_ALIAS0_IP='192.168.0.6'
	ETH0_ALIAS0_MASK='255.255.255.255'
	ETH0_DNS='192.168.0.1 2001:db8::53'
	ETH0_GATEWAY='10.9.9.9'
	ETH0_IP='192.168.0.5'
	ETH0_IP6='2001:db8::5'
	ETH0_IP6_GATEWAY='fe80::1'
	ETH0_IP6_ULA='fd00::5'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_METRIC='7'
	ETH0_MTU='1450'
	ETH0_ROUTES='10.0.0.0/8 via 192.168.0.9, 2001:db8:8::/48 via 2001:db8::9'
	ETH0_SEARCH_DOMAIN='a.example b.example'
	ETH1_IP6_METHOD='auto'
	ETH1_MAC='02:00:c0:a8:01:05'
	ETH1_METHOD='dhcp'
	ETH2_IP='192.168.2.5'
	ETH2_MAC='02:00:c0:a8:02:05'
	END
}

nics() {
	nic eth0 02:00:c0:a8:00:05
	nic eth1 02:00:c0:a8:01:05
}

plain() {
	printf '%s\n' "ETH0_MAC='02:00:c0:a8:00:05'" "ETH0_IP='192.168.0.5'" \
		"ETH0_GATEWAY='192.168.0.1'" "ETH0_DNS='192.168.0.1'"
}

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

@test "profiles of NICs that are gone go away, and all of them without a context" {
	tree manager
	many | context
	local_
	plain | context
	local_
	[ "$(ls tree/run/NetworkManager/system-connections)" = ctxd-02-00-c0-a8-00-05.nmconnection ]
	rm media/*
	local_
	[ -z "$(ls tree/run/NetworkManager/system-connections)" ]
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

@test "Red Hat: what a person wrote stays" {
	tree redhat
	nics
	echo 'IPADDR=10.0.0.1' >tree/etc/sysconfig/network-scripts/ifcfg-eth0
	plain | context
	run -0 local_
	has "$output" "eth0 is described in /etc/sysconfig/network-scripts/ifcfg-eth0: left alone"
	[ "$(cat tree/etc/sysconfig/network-scripts/ifcfg-eth0)" = IPADDR=10.0.0.1 ]
	# ... and what one made of ours
	rm tree/etc/sysconfig/network-scripts/ifcfg-eth0
	local_
	echo 'BOOTPROTO=dhcp' >tree/etc/sysconfig/network-scripts/ifcfg-eth0
	run -1 local_
	has "$output" "was changed by somebody else"
	[ "$(cat tree/etc/sysconfig/network-scripts/ifcfg-eth0)" = BOOTPROTO=dhcp ]
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

@test "Alpine: a block in the one file that there is, in place of its DHCP" {
	tree alpine
	nics
	snapshot >before
	plain | context
	local_
	cat >want <<-'END'
	auto lo
	iface lo inet loopback



	auto eth0
	iface eth0 inet static
	@address 192.168.0.5
	@netmask 255.255.255.0
	@gateway 192.168.0.1
	@dns-nameservers 192.168.0.1
	END
	tail -n +3 tree/etc/network/interfaces | tr '\t' @ | diff want -
	grep -qx 'nameserver 192.168.0.1' tree/etc/resolv.conf
	snapshot >applied
	local_
	snapshot | diff applied -
	"$CTXD" undo --root tree
	snapshot | diff before -
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

@test "one backend writes: the files of another that was in use before go away" {
	tree ifupdown
	nics
	plain | context
	local_
	[ -e tree/etc/network/interfaces.d/ctxd ]
	mkdir -p tree/usr/sbin tree/etc/systemd/system/multi-user.target.wants
	touch tree/usr/sbin/NetworkManager
	ln -s x tree/etc/systemd/system/multi-user.target.wants/NetworkManager.service
	local_
	[ ! -e tree/etc/network/interfaces.d/ctxd ]
	[ -e tree/run/NetworkManager/system-connections/ctxd-02-00-c0-a8-00-05.nmconnection ]
}

# A NIC without an address, and VLAN 7 on it, as NoCloud says it.
vlan() {
	rm -rf media seed
	mkdir media seed
	echo 'instance-id: i-1' >seed/meta-data
	: >seed/user-data
	cat >seed/network-config <<-'END'
	version: 2
	ethernets:
	  lan: {match: {macaddress: "02:00:c0:a8:00:05"}}
	vlans:
	  office: {id: 7, link: lan, addresses: [10.7.0.5/24], routes: [{to: 10.8.0.0/16, via: 10.7.0.1, metric: 9}]}
	END
	xorriso -as mkisofs -quiet -V cidata -J -R -o media/seed.iso seed 2>xorriso.log || cat xorriso.log
}

@test "a VLAN is made on its NIC, by each backend" {
	vlan
	tree networkd
	local_
	cd tree/run/systemd/network
	grep -qx 'VLAN=office' 05-ctxd-02-00-c0-a8-00-05.network
	grep -qx 'Name=office' 05-ctxd-02-00-c0-a8-00-05.7.network
	grep -qx 'Address=10.7.0.5/24' 05-ctxd-02-00-c0-a8-00-05.7.network
	grep -qx 'Metric=9' 05-ctxd-02-00-c0-a8-00-05.7.network
	[ "$(tail -n +2 05-ctxd-02-00-c0-a8-00-05.7.netdev | tr '\n' ' ')" = '[NetDev] Name=office Kind=vlan  [VLAN] Id=7 ' ]
	cd -
	tree manager
	local_
	grep -qx 'parent=63747864-6e6d-8000-8000-0200c0a80005' tree/run/NetworkManager/system-connections/*.7.nmconnection
	grep -qx 'route1=10.8.0.0/16,10.7.0.1,9' tree/run/NetworkManager/system-connections/*.7.nmconnection
	tree redhat
	nics
	local_
	grep -qx 'PHYSDEV=eth0' tree/etc/sysconfig/network-scripts/ifcfg-eth0.7
	grep -qx '10.8.0.0/16 via 10.7.0.1 dev eth0.7 metric 9' tree/etc/sysconfig/network-scripts/route-eth0.7
	tree suse
	nics
	local_
	grep -qx "ETHERDEVICE='eth0'" tree/etc/sysconfig/network/ifcfg-eth0.7
	grep -qx "VLAN_ID='7'" tree/etc/sysconfig/network/ifcfg-eth0.7
	tree ifupdown
	nics
	local_
	grep -q 'pre-up ip link add link eth0 name eth0.7 type vlan id 7' tree/etc/network/interfaces.d/ctxd
}
