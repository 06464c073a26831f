#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # run --separate-stderr sets stderr
# Who asks, with guests as network namespaces: two on a bridge, two whose networks overlap on
# interfaces of their own, and what is seen of the hop limit behind a router. Needs root.

bats_require_minimum_version 1.5.0
load common

# All of the host's side is in a namespace too, so that nothing of this machine is touched.
setup_file() {
	local works
	[ "$(id -u)" -eq 0 ] && ip netns add "ms$$" 2>/dev/null || return 0
	works=$(ip netns exec "ms$$" echo yes 2>/dev/null)
	ip netns del "ms$$"
	[ -n "$works" ] || return 0
	export NS=ms$$
	cd "$BATS_FILE_TMPDIR" || return
	ip netns add "$NS-host"
	for g in a b c d f r; do ip netns add "$NS-$g"; done
	# addresses are there at once, without a second of detecting duplicates
	for g in host a b c d f r; do
		ip netns exec "$NS-$g" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	done
	host ip link set lo up
	host ip link add br0 type bridge
	host ip addr add 10.0.0.1/24 dev br0
	host ip addr add 169.254.169.254/32 dev br0
	host ip link set br0 up
	plug a br0 02:00:0a:00:00:02 10.0.0.2/24
	plug b br0 02:00:0a:00:00:03 10.0.0.3/24
	plug c '' 02:00:0a:00:00:04 10.0.1.2/24
	plug d '' 02:00:0a:00:00:05 10.0.1.2/24
	for g in c d; do
		host ip addr add 10.0.1.1/32 dev "tap-$g"
		host sysctl -qw "net.ipv4.conf.tap-$g.rp_filter=0"
	done
	# f is behind r, which is on the bridge
	plug r br0 02:00:0a:00:00:06 10.0.0.6/24
	ip -n "$NS-r" link add link-f type veth peer name eth0 netns "$NS-f"
	ip -n "$NS-r" addr add 10.0.2.1/24 dev link-f
	ip -n "$NS-r" link set link-f up
	ip netns exec "$NS-r" sysctl -qw net.ipv4.ip_forward=1
	ip -n "$NS-f" addr add 10.0.2.2/24 dev eth0
	ip -n "$NS-f" link set eth0 up
	ip -n "$NS-f" route add default via 10.0.2.1
	host ip route add 10.0.2.0/24 via 10.0.0.6
}

teardown_file() {
	[ -n "${NS:-}" ] || return 0
	for g in host a b c d f r; do ip netns del "$NS-$g"; done
}

setup() {
	[ -n "${NS:-}" ] || skip "needs root and network namespaces"
	cd "$BATS_TEST_TMPDIR" || return
}
teardown() { stop; }

host() { ip netns exec "$NS-host" "$@"; }
# plug GUEST BRIDGE MAC ADDRESS: a cable from the host; on the host its end is named tap-GUEST
plug() {
	host ip link add "tap-$1" type veth peer name eth0 netns "$NS-$1"
	[ -z "$2" ] || host ip link set "tap-$1" master "$2"
	host ip link set "tap-$1" up
	ip -n "$NS-$1" link set eth0 address "$3"
	ip -n "$NS-$1" addr add "$4" dev eth0
	ip -n "$NS-$1" link set eth0 up
	if [ -z "$2" ]; then
		ip -n "$NS-$1" route add 169.254.169.254 dev eth0
	else
		ip -n "$NS-$1" route add 169.254.169.254 via 10.0.0.1
	fi
}
serve() { # OPTION...
	local plain=$MS
	MS="host_ms"
	host_ms() { exec ip netns exec "$NS-host" "$plain" "$@"; }
	start "$@"
	MS=$plain
}
# ask GUEST [CURL-OPTION...]: the name of the instance that it is taken for, or the status
ask() {
	local guest=$1
	shift
	ip netns exec "$NS-$guest" curl -s -m 20 "$@" -w ' %{http_code}' \
		http://169.254.169.254/latest/meta-data/instance-id |
		sed 's/^\(i-.*\) 200$/\1/; t; s/.* //' | tail -n 1
}

@test "guests on a bridge are told apart by address, on links of their own by interface" {
	define a 'identify: {interface: br0, address: 10.0.0.2}'
	define b 'identify: {interface: br0, address: 10.0.0.3}'
	define c 'identify: {interface: tap-c, address: 10.0.1.2}'
	define d 'identify: {interface: tap-d, address: 10.0.1.2}'
	serve -d instances -l 0.0.0.0:80
	# the way back to each of two equal addresses is that of its own interface
	for g in a b c d; do
		case $g in c | d) host ip route replace 10.0.1.2/32 dev "tap-$g" ;; esac
		[ "$(ask "$g")" = "i-$g" ]
	done
	[ "$(ask r)" = 404 ]
	wait_log "no instance is known by interface 'br0', address 10.0.0.6"
}

@test "an address of another interface is nobody's" {
	define a 'identify: {interface: br0, address: 10.0.1.2}'
	serve -d instances -l 0.0.0.0:80
	host ip route replace 10.0.1.2/32 dev tap-c
	[ "$(ask c)" = 404 ]
	wait_log "no instance is known by interface 'tap-c', address 10.0.1.2"
}

@test "an interface alone, and an address that is trusted, are enough" {
	define c 'identify: {interface: tap-c}'
	define a 'identify: {address: 10.0.0.2, trust: address}'
	serve -d instances -l 0.0.0.0:80
	host ip route replace 10.0.1.2/32 dev tap-c
	[ "$(ask c)" = i-c ]
	[ "$(ask a)" = i-a ]
	[ "$(ask b)" = 404 ]
}

@test "a guest with a neighbour's address and its own MAC address is nobody" {
	define a 'identify: {interface: br0, address: 10.0.0.2, mac: "02:00:0a:00:00:02"}'
	define b 'identify: {interface: br0, address: 10.0.0.3, mac: "02:00:0a:00:00:03"}'
	serve -d instances -l 0.0.0.0:80
	[ "$(ask a)" = i-a ]
	[ "$(ask b)" = i-b ]
	# a goes away, b takes its address
	ip -n "$NS-a" link set eth0 down
	ip -n "$NS-b" addr add 10.0.0.2/24 dev eth0
	host ip neigh flush dev br0
	[ "$(ask b --interface 10.0.0.2)" = 404 ]
	[ "$(ask b --interface 10.0.0.3)" = i-b ]
	ip -n "$NS-b" addr del 10.0.0.2/24 dev eth0
	ip -n "$NS-a" link set eth0 up
	ip -n "$NS-a" route add 169.254.169.254 via 10.0.0.1
	[ "$(ask a)" = i-a ]
}

@test "two that a guest could be are none, and nobody is the first" {
	define c 'identify: {interface: tap-c}'
	define x 'identify: {address: 10.0.1.2, trust: address}'
	serve -d instances -l 0.0.0.0:80
	host ip route replace 10.0.1.2/32 dev tap-c
	[ "$(ask c)" = 404 ]
	wait_log "2 instances are known by interface 'tap-c', address 10.0.1.2"
}

@test "what a client says of itself does not count" {
	define a 'identify: {interface: br0, address: 10.0.0.2}'
	serve -d instances -l 0.0.0.0:80
	[ "$(ask b -H 'X-Forwarded-For: 10.0.0.2' -H 'X-Instance-ID: i-a' -H 'Host: 10.0.0.2')" = 404 ]
}

@test "the host's own programs are not its guests, whatever they bind to" {
	define a 'identify: {interface: br0, address: 10.0.0.1}'
	define c 'identify: {interface: tap-c}'
	serve -d instances -l 0.0.0.0:80
	[ "$(ask host --interface 10.0.0.1)" = 404 ]
	wait_log "interface 'lo', address 10.0.0.1"
	[ "$(host curl -s -m 20 -o /dev/null -w '%{http_code}' --interface 'if!tap-c' http://10.0.1.1/latest/)" = 404 ]
	wait_log "interface 'lo', address 10.0.1.1"
}

@test "--interface takes nothing from elsewhere" {
	define a 'identify: {interface: br0, address: 10.0.0.2}'
	serve -d instances -l 0.0.0.0:80 --interface br0
	host ip route replace 10.0.1.2/32 dev tap-c
	[ "$(ask a)" = i-a ]
	[ "$(ask c)" = 000 ]
}

@test "IPv6 guests are known by their link-local address on their interface" {
	address=$(ip -n "$NS-a" -6 addr show dev eth0 scope link | awk '/inet6/{print $2}')
	define a "identify: {interface: br0, address: '${address%/*}', mac: '02:00:0a:00:00:02'}"
	host ip -6 addr replace fe80::a9fe:a9fe/64 dev br0 nodad
	serve -d instances -l '[fe80::a9fe:a9fe]:80' --interface br0
	[ "$(ip netns exec "$NS-a" curl -s -m 20 'http://[fe80::a9fe:a9fe%25eth0]/latest/meta-data/instance-id')" = i-a ]
	[ "$(ip netns exec "$NS-b" curl -s -m 20 -o /dev/null -w '%{http_code}' 'http://[fe80::a9fe:a9fe%25eth0]/latest/')" = 404 ]
}

@test "a token's answer goes as many hops as its limit, others go on" {
	define f 'identify: {interface: br0, address: 10.0.2.2}' 'imds: {hop-limit: 1}'
	serve -d instances -l 0.0.0.0:80
	token() {
		ip netns exec "$NS-f" curl -s -m "$1" -o /dev/null -w '%{http_code}' -X PUT \
			-H "$TTL: 60" http://169.254.169.254/latest/api/token
	}
	[ "$(ask f)" = i-f ]
	run token 1 # one hop is the router: its answer never comes
	[ "$output" = 000 ]
	define f 'identify: {interface: br0, address: 10.0.2.2}' 'imds: {hop-limit: 2}'
	kill -HUP "$PID"
	wait_log 'loaded again'
	[ "$(token 20)" = 200 ]
	define f 'identify: {interface: br0, address: 10.0.0.6}' 'imds: {hop-limit: 1}'
	kill -HUP "$PID"
	for ((i = 0; i < 200; i++)); do # until it is loaded
		got=$(ip netns exec "$NS-r" curl -s -m 20 -o /dev/null -w '%{http_code}' -X PUT \
			-H "$TTL: 60" http://169.254.169.254/latest/api/token)
		[ "$got" != 200 ] || break
		sleep 0.05
	done
	[ "$got" = 200 ]
}

@test "guests of a network namespace are known there, as EC2's IPv6 address is" {
	local r=$NS-r
	define f "identify: {netns: $r, interface: link-f, address: 10.0.2.2}"
	define g "identify: {netns: $r, interface: link-f, address: 'fd00:2::2'}"
	define h "identify: {interface: link-f, address: 10.0.2.2}"
	ip -n "$r" addr add 169.254.169.254/32 dev link-f
	ip -n "$r" addr add fd00:2::1/64 dev link-f nodad
	ip -n "$r" addr add fd00:ec2::254/128 dev link-f nodad
	ip -n "$NS-f" addr add fd00:2::2/64 dev eth0 nodad
	ip -n "$NS-f" route add fd00:ec2::254/128 via fd00:2::1
	serve -d instances -l "169.254.169.254:80,netns=$r" -l "[fd00:ec2::254]:80,netns=$r,interface=link-f"
	[ "$(ask f)" = i-f ]
	[ "$(ip netns exec "$NS-f" curl -s -m 20 'http://[fd00:ec2::254]/latest/meta-data/instance-id')" = i-g ]
	# nobody listens outside of it
	[ "$(ask a)" = 000 ]
	ip -n "$r" addr del 169.254.169.254/32 dev link-f
	ip -n "$r" addr del fd00:ec2::254/128 dev link-f
	stop
	run --separate-stderr timeout 20 "$MS" serve -d instances -l 127.0.0.1:0,netns=nosuch
	[ "$status" -eq 1 ]
	grep -q "network namespace 'nosuch': No such file" <<<"$stderr"
	run --separate-stderr timeout 20 "$MS" serve -d instances -l 127.0.0.1:0,nets=x
	grep -q "there may be interface=NAME and netns=NAME" <<<"$stderr"
}
