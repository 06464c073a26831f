#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The rules for nftables: nft takes them, and the kernel does what they say. Needs root.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	command -v nft >/dev/null || skip "needs nftables"
	ip netns add "mr$$" 2>/dev/null || skip "needs root and network namespaces"
	NS=mr$$
}
teardown() {
	stop
	[ -z "${NS:-}" ] || for n in "$NS" "$NS-a" "$NS-b"; do ip netns del "$n" 2>/dev/null || true; done
}
host() { ip netns exec "$NS" "$@"; }

@test "all kinds of identity make rules that nft takes" {
	define a 'identify: {interface: br0, address: 10.0.0.2, mac: "02:00:0a:00:00:02"}'
	define b 'identify: {interface: br0, address: 10.0.0.3}'
	define c 'identify: {interface: br0, address: "fd00::3", mac: "02:00:0a:00:00:02"}'
	define d 'identify: {interface: br1, address: "fd00::4"}'
	define e 'identify: {interface: tap-e}'
	define f 'identify: {interface: tap-f, mac: "02:00:0a:00:00:02"}'
	define g 'identify: {vsock: 7}'
	define h 'identify: {netns: other, interface: tap-h}'
	define i 'identify: {address: 10.0.0.9, trust: address}'
	define j
	"$MS" rules -d instances >rules
	host nft -c -f rules || skip "nft and the kernel here do not know all of these rules"
	host nft -f rules
	host nft -f rules # again
	[ "$(host nft list ruleset | grep -c '"br0" . 02:00:0a:00:00:02 . 10.0.0.2')" -eq 1 ]
	run ! grep -q -e tap-h -e vsock -e 10.0.0.9 rules
	"$MS" rules -d instances -n other --port 8080 | grep -q tap-h
	define k "identify: {interface: 'a\"b'}"
	run --separate-stderr "$MS" rules -d instances
	[ "$status" -eq 1 ]
	has "$stderr" "cannot be written in a rule"
}

@test "a guest with a neighbour's address does not reach the service, nor takes its address" {
	host ip link set lo up
	host ip link add br0 type bridge
	host ip addr add 10.0.0.1/24 dev br0
	host ip addr add 169.254.169.254/32 dev br0
	host ip link set br0 up
	local i=2
	for g in a b; do
		ip netns add "$NS-$g"
		host ip link add "tap-$g" type veth peer name eth0 netns "$NS-$g"
		host ip link set "tap-$g" master br0 up
		ip -n "$NS-$g" link set eth0 address "02:00:0a:00:00:0$i" up
		ip -n "$NS-$g" addr add "10.0.0.$i/24" dev eth0
		ip -n "$NS-$g" route add 169.254.169.254 dev eth0
		i=$((i + 1))
	done
	define a 'identify: {interface: br0, address: 10.0.0.2, mac: "02:00:0a:00:00:02"}'
	define b 'identify: {interface: br0, address: 10.0.0.3}'
	"$MS" rules -d instances >rules
	host nft -f rules || skip "nft and the kernel here do not know all of these rules"
	local plain=$MS
	host_ms() { exec ip netns exec "$NS" "$plain" "$@"; }
	MS=host_ms start -d instances -l 169.254.169.254:80
	ask() { ip netns exec "$NS-$1" curl -s -m 30 "${@:2}" http://169.254.169.254/latest/meta-data/instance-id; }
	[ "$(ask a)" = i-a ]
	[ "$(ask b)" = i-b ]
	# b takes a's address: its MAC address is not a's
	ip -n "$NS-a" link set eth0 down
	ip -n "$NS-b" addr add 10.0.0.2/24 dev eth0
	run ask b --interface 10.0.0.2 -m 2
	[ "$status" -ne 0 ]
	# the service's own address: who asks for it is answered by the host alone
	ip -n "$NS-a" link set eth0 up
	ip -n "$NS-a" route replace 169.254.169.254 dev eth0
	ip -n "$NS-b" addr flush dev eth0
	ip -n "$NS-b" addr add 10.0.0.3/24 dev eth0
	ip -n "$NS-b" addr add 169.254.169.254/32 dev eth0
	ip netns exec "$NS-b" sysctl -qw net.ipv4.conf.eth0.arp_announce=0
	ip -n "$NS-a" neigh flush all
	[ "$(ask a)" = i-a ]
	[ "$(host nft list table bridge acclimate | sed -n 's/.*arp saddr ip.*packets \([0-9]*\).*/\1/p')" -gt 0 ]
}
