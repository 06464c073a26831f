#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd local: the network files of guests whose network changes, or that somebody described before.

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

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
