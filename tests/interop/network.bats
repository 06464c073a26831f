#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The network files that ctxd writes, as the programs that read them in guests take them: the same
# NIC is configured in a network namespace, or read back.

bats_require_minimum_version 1.5.0
load ../integration/ctxd/common
TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
CTXD=${BINDIR:-$TOP/bin}/ctxd

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	cat >nic.sh <<-'END'
	ETH0_ALIAS0_IP='192.168.0.6'
	ETH0_ALIAS0_MASK='255.255.255.255'
	ETH0_DNS='192.168.0.1'
	ETH0_GATEWAY='10.9.9.9'
	ETH0_IP='192.168.0.5'
	ETH0_IP6='2001:db8::5'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_METRIC='7'
	ETH0_MTU='1450'
	ETH0_ROUTES='10.0.0.0/8 via 192.168.0.9'
	END
}

namespaces() { [ "$(id -u)" = 0 ] && unshare -n -m true 2>/dev/null || skip "needs root and namespaces"; }

# What the interface is to have in the end, whoever configures it.
check_interface() {
	cat >>run.sh <<-'END'
	configured() {
	ip -o -4 addr show dev eth0 | grep -q 'inet 192.168.0.5/24 ' &&
	ip -o -4 addr show dev eth0 | grep -q 'inet 192.168.0.6/32 ' &&
	ip -o -6 addr show dev eth0 | grep -q 'inet6 2001:db8::5/64 ' &&
	ip -o link show dev eth0 | grep -q 'mtu 1450 ' &&
	ip -o link show dev eth0 | grep -q '[<,]UP[,>]' &&
	ip route show default | grep -q 'via 10.9.9.9 dev eth0 .*metric 7 .*onlink\|via 10.9.9.9 dev eth0 .*onlink.*metric 7\|via 10.9.9.9 dev eth0 metric 7 onlink' &&
	ip route show 10.0.0.0/8 | grep -q 'via 192.168.0.9 dev eth0'
	}
	# A daemon does one after the other.
	for i in $(seq 300); do configured && break; sleep 0.1; done
	ip addr show dev eth0
	ip route
	configured && echo configured
	END
	run timeout 120 unshare -n -m bash run.sh
	[ "${lines[-1]}" = configured ] || { echo "$output"; cat daemon.log; false; }
}

# networkd: writes a run.sh in which it runs on the tree's files
networkd() {
	cat >run.sh <<-'END'
	mount -t sysfs -o ro none /sys # as in a container: there is no udev to wait for
	mount -t tmpfs none /run
	mkdir -p /run/systemd/netif/{links,leases,lldp}
	cp -r tree/run/systemd/network /run/systemd
	chown -R systemd-network: /run/systemd/netif
	ip link add eth0 address 02:00:c0:a8:00:05 type veth peer name peer0
	ip link set peer0 up
	SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-networkd >daemon.log 2>&1 &
	pid=$!
	trap 'kill $pid' EXIT
	END
}

@test "systemd-networkd configures what the context says" {
	namespaces
	[ -x /lib/systemd/systemd-networkd ] || skip "no systemd-networkd here"
	tree networkd
	context <nic.sh
	local_
	networkd
	check_interface
}

@test "ifupdown configures what the context says, from a folder and from a block" {
	namespaces
	dir=$("$TOP"/tests/interop/fetch-network 2>/dev/null) || skip "the package cannot be had"
	for kind in ifupdown alpine; do
		tree $kind
		nic eth0 02:00:c0:a8:00:05
		context <nic.sh
		local_
		cat >run.sh <<-END
		mkdir -p tree/etc/network/if-{pre-up,up,down,post-down}.d
		mount --bind tree/etc /etc
		ip link set lo up
		ip link add eth0 address 02:00:c0:a8:00:05 type veth peer name peer0
		ip link set peer0 up
		rm -rf state && mkdir state
		$dir/sbin/ifup --state-dir="\$PWD/state" -i "\$PWD/tree/etc/network/interfaces" eth0
		END
		check_interface
	done
}

@test "Alpine's ifupdown-ng configures what the context says" {
	namespaces
	dir=$("$TOP"/tests/interop/fetch-network 2>/dev/null) || skip "the packages cannot be had"
	alpine=${dir%/root}/alpine
	tree alpine
	nic eth0 02:00:c0:a8:00:05
	context <nic.sh
	local_
	cat >run.sh <<-END
	mkdir -p tree/etc/network/if-{pre-up,up,down,post-down}.d
	mount --bind tree/etc /etc
	ip link set lo up
	ip link add eth0 address 02:00:c0:a8:00:05 type veth peer name peer0
	ip link set peer0 up
	LD_LIBRARY_PATH=$dir/usr/lib/x86_64-linux-gnu $alpine/sbin/ifup -E $alpine/usr/libexec/ifupdown-ng \
		-S "\$PWD/state" -i "\$PWD/tree/etc/network/interfaces" eth0
	END
	check_interface
}

@test "netplan's own files for the NIC come behind ours" {
	namespaces
	[ -x /lib/systemd/systemd-networkd ] || skip "no systemd-networkd here"
	dir=$("$TOP"/tests/interop/fetch-network 2>/dev/null) || skip "the packages cannot be had"
	tree netplan
	# As cloud-init or a maker of images leaves it.
	cat >tree/etc/netplan/50-cloud-init.yaml <<-'END'
	network:
	  version: 2
	  ethernets:
	    eth0:
	      dhcp4: true
	      addresses: [10.99.99.99/8]
	      match: {macaddress: "02:00:c0:a8:00:05"}
	      set-name: eth0
	END
	chmod 600 tree/etc/netplan/*
	context <nic.sh
	local_
	LD_LIBRARY_PATH=$dir/usr/lib/x86_64-linux-gnu "$dir/usr/libexec/netplan/generate" --root-dir tree
	grep -q 'Address=10.99.99.99/8' tree/run/systemd/network/10-netplan-eth0.network
	networkd
	check_interface
	[[ $output != *10.99.99.99* ]]
}

@test "NetworkManager reads what the context says" {
	dir=$("$TOP"/tests/interop/fetch-network 2>/dev/null) || skip "the package cannot be had"
	tree manager
	context <nic.sh
	local_
	LD_LIBRARY_PATH=$dir/usr/lib/x86_64-linux-gnu "$dir/usr/bin/nmcli" --offline connection modify \
		connection.zone "" <tree/run/NetworkManager/system-connections/ctxd-02-00-c0-a8-00-05.nmconnection >got
	grep -qi '^mac-address=02:00:c0:a8:00:05$' got
	grep -qx 'mtu=1450' got
	grep -qx 'address1=192.168.0.5/24,10.9.9.9' got
	grep -qx 'address2=192.168.0.6/32' got
	grep -qx 'route1=10.0.0.0/8,192.168.0.9' got
	grep -qx 'address1=2001:db8::5/64' got
	grep -qx 'dns=192.168.0.1;' got
	[ "$(grep -cx 'method=manual' got)" = 2 ]
	[ "$(grep -cx 'route-metric=7' got)" = 2 ]
}
