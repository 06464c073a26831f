#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Layouts of NICs in an OpenNebula context: ctxd configures what cloud-init's data source derives
# from the same image. Where the two differ on purpose a test of its own says so.

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	oracle
}

# same NICS < CONTEXT: both agree about so many NICs
same() {
	run both 02:00:c0:a8:00:05=eth0 02:00:c0:a8:01:05=eth1 02:00:c0:a8:02:05=ens7 de:ad:be:ef:00:01=eth9
	[ "$status $output" = "0 $1 NIC(s) compared" ] || { echo "$output"; return 1; }
}

@test "masks of every kind" {
	for mask in 255.0.0.0 255.255.0.0 255.255.240.0 255.255.255.0 255.255.255.252 255.255.255.254 255.255.255.255; do
		printf '%s\n' "ETH0_MAC='02:00:c0:a8:00:05'" "ETH0_IP='192.168.0.5'" "ETH0_MASK='$mask'" \
			"ETH0_GATEWAY='192.168.0.1'" | same 1
	done
}

@test "IPv6: prefixes, a ULA beside or alone, gateways of both names" {
	for length in 48 56 64 127 128; do
		printf '%s\n' "ETH0_MAC='02:00:c0:a8:00:05'" "ETH0_IP='192.168.0.5'" "ETH0_IP6='2001:db8::5'" \
			"ETH0_IP6_PREFIX_LENGTH='$length'" "ETH0_IP6_GATEWAY='2001:db8::1'" | same 1
	done
	same 1 <<-'END'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	ETH0_IP6_ULA='fd00:1::5'
	END
	same 1 <<-'END'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	ETH0_IP6='2001:db8::5'
	ETH0_IP6_ULA='fd00:1::5'
	ETH0_GATEWAY6='fe80::1'
	ETH0_IP6_GATEWAY=''
	END
}

@test "several NICs, numbered with gaps, with and without gateways, names unlike the kernel's" {
	same 3 <<-'END'
	DNS='9.9.9.9'
	ETH3_MAC='02:00:C0:A8:02:05'
	ETH3_IP='192.168.2.5'
	ETH3_GATEWAY='192.168.2.1'
	ETH3_METRIC='10'
	ETH3_IP6='2001:db8:2::5'
	ETH3_IP6_GATEWAY='2001:db8:2::1'
	ETH3_IP6_METRIC='20'
	ETH0_MAC='02:00:c0:a8:01:05'
	ETH0_IP='192.168.1.5'
	ETH0_MASK='255.255.255.128'
	ETH0_MTU='9000'
	ETH10_MAC='02:00:c0:a8:00:05'
	ETH10_IP='192.168.0.5'
	ETH10_DNS='192.168.0.1 2001:db8::53'
	ETH10_SEARCH_DOMAIN='a.example b.example'
	END
	# One of them has no address: it gets none out of its MAC.
	same 1 <<-'END'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	ETH1_MAC='02:00:c0:a8:01:05'
	ETH1_IP=''
	ETH2_MAC='de:ad:be:ef:00:02'
	ETH2_IP='10.0.0.1'
	END
}

@test "name servers: of the NIC, of all, of both, twice; search domains" {
	for dns in "ETH0_DNS='192.168.0.1'" "DNS='192.168.0.1 9.9.9.9'" $'DNS=\'9.9.9.9\'\nETH0_DNS=\'192.168.0.1 9.9.9.9\'' \
		"ETH0_DNS='2001:db8::53 192.168.0.1'" "ETH0_DNS=''"; do
		printf '%s\n' "ETH0_MAC='02:00:c0:a8:00:05'" "ETH0_IP='192.168.0.5'" "$dns" \
			"ETH0_SEARCH_DOMAIN='one.example two.example'" | same 1
	done
}

@test "MTUs and values that are empty" {
	for mtu in 576 1280 1450 1500 9000; do
		printf '%s\n' "ETH0_MAC='02:00:c0:a8:00:05'" "ETH0_IP='192.168.0.5'" "ETH0_MTU='$mtu'" | same 1
	done
	same 1 <<-'END'
	ETH0_CONTEXT_FORCE_IPV4=''
	ETH0_DNS=''
	ETH0_EXTERNAL=''
	ETH0_GATEWAY='192.168.0.1'
	ETH0_GATEWAY6=''
	ETH0_IP='192.168.0.5'
	ETH0_IP6=''
	ETH0_IP6_GATEWAY=''
	ETH0_IP6_METHOD=''
	ETH0_IP6_METRIC=''
	ETH0_IP6_PREFIX_LENGTH=''
	ETH0_IP6_ULA=''
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_MASK='255.255.255.0'
	ETH0_METHOD=''
	ETH0_METRIC=''
	ETH0_MTU=''
	ETH0_NETWORK='192.168.0.0'
	ETH0_ROUTES=''
	ETH0_SEARCH_DOMAIN=''
	ETH0_VLAN_ID='100'
	ETH0_VROUTER_IP=''
	ETH0_VROUTER_IP6=''
	ETH0_VROUTER_MANAGEMENT=''
	NETWORK='YES'
	END
}

@test "aliases follow a NIC's own addresses; those that live outside or go away do not" {
	same 1 <<-'END'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	ETH0_IP6='2001:db8::5'
	ETH0_ALIAS0_MAC='02:00:c0:a8:00:06'
	ETH0_ALIAS0_IP='192.168.0.6'
	ETH0_ALIAS0_MASK='255.255.255.0'
	ETH0_ALIAS1_MAC='02:00:c0:a8:00:07'
	ETH0_ALIAS1_IP='10.1.1.7'
	ETH0_ALIAS1_IP6='2001:db8::7'
	ETH0_ALIAS1_IP6_ULA='fd00::7'
	ETH0_ALIAS2_MAC='02:00:c0:a8:00:08'
	ETH0_ALIAS2_IP='192.168.0.8'
	ETH0_ALIAS2_EXTERNAL='YES'
	ETH0_ALIAS3_MAC='02:00:c0:a8:00:09'
	ETH0_ALIAS3_IP='192.168.0.9'
	ETH0_ALIAS3_DETACH='YES'
	END
	same 2 <<-'END'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	ETH0_ALIAS0_IP='192.168.0.6'
	ETH0_ALIAS0_EXTERNAL='NO'
	ETH1_MAC='02:00:c0:a8:01:05'
	ETH1_IP='192.168.1.5'
	ETH1_ALIAS0_IP='192.168.1.6'
	ETH1_ALIAS5_IP='192.168.1.7'
	END
}

# What the other does not know: METHOD, routes, metrics; a NIC without a MAC; a mask as a number.
@test "where the two differ, ctxd does what OpenNebula's own scripts do" {
	context <<-'END'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	ETH0_METHOD='skip'
	ETH1_MAC='02:00:c0:a8:01:05'
	ETH1_IP='192.168.1.5'
	ETH1_METHOD='dhcp'
	ETH2_MAC='02:00:c0:a8:02:05'
	ETH2_IP='192.168.2.5'
	ETH2_MASK='28'
	ETH2_GATEWAY='192.168.2.1'
	ETH2_METRIC='10'
	ETH2_ROUTES='10.0.0.0/8 via 192.168.2.9, 172.16.0.0/12 via 192.168.2.8'
	ETH3_IP='192.168.3.5'
	END
	tree netplan
	local_ -q
	cd tree/run/systemd/network
	[ "$(ls)" = $'05-ctxd-02-00-c0-a8-01-05.network\n05-ctxd-02-00-c0-a8-02-05.network' ]
	grep -qx 'DHCP=yes\|DHCP=ipv4' ./*01-05.network
	run ! grep -q 192.168.1.5 ./*01-05.network
	grep -qx 'Address=192.168.2.5/28' ./*02-05.network
	[ "$(grep -c '^Gateway=' ./*02-05.network)" = 3 ]
	grep -qx 'Metric=10' ./*02-05.network
	grep -qx 'Destination=172.16.0.0/12' ./*02-05.network
}

@test "all of it together, and NICs that only one of the two takes" {
	n=0
	check() { # EXPECTED-NICS, context on stdin
		run -0 both 02:00:c0:a8:00:05=eth0 02:00:c0:a8:01:05=eth1 02:00:c0:a8:02:05=eth7
		[ "$output" = "$1 NIC(s) compared" ] || { echo "$output"; return 1; }
		n=$((n + 1))
	}
	check 1 <<-'END'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	END
	check 1 <<-'END'
	DNS='9.9.9.9 1.1.1.1'
	ETH0_DNS='1.1.1.1'
	ETH0_GATEWAY='192.168.0.1'
	ETH0_IP='192.168.0.5'
	ETH0_MAC='02:00:C0:A8:00:05'
	ETH0_MASK='255.255.0.0'
	ETH0_MTU='1450'
	ETH0_SEARCH_DOMAIN='a.example b.example'
	SET_HOSTNAME='web1'
	SSH_PUBLIC_KEY='ssh-rsa AAAA one
	# comment

	ssh-rsa BBBB two'
	USER_DATA='#cloud-config
	x: "y"
	'
	END
	check 1 <<-'END'
	ETH0_IP='192.168.0.5'
	ETH0_IP6='2001:db8::5'
	ETH0_IP6_ULA='fd00::5'
	ETH0_IP6_PREFIX_LENGTH='56'
	ETH0_IP6_GATEWAY='2001:db8::1'
	ETH0_GATEWAY6='2001:db8::2'
	ETH0_MAC='02:00:c0:a8:00:05'
	END
	check 1 <<-'END'
	ETH0_IP='192.168.0.5'
	ETH0_IP6='2001:db8::5'
	ETH0_GATEWAY6='2001:db8::2'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_MASK=''
	ETH0_GATEWAY=''
	END
	check 3 <<-'END'
	ETH0_IP='192.168.0.5'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_GATEWAY='192.168.0.1'
	ETH1_IP='192.168.2.5'
	ETH1_MAC='02:00:c0:a8:02:05'
	ETH1_MASK='255.255.255.240'
	ETH12_IP='192.168.1.5'
	ETH12_MAC='02:00:c0:a8:01:05'
	ETH12_IP6='2001:db8:1::5'
	DNS='192.168.0.1'
	END
	check 1 <<-'END'
	ETH0_IP='192.168.0.5'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH1_MAC='02:00:c0:a8:01:05'
	END
	[ $n = 6 ]
}
