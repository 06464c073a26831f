#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands that need no server: check, list, show, get; and wrong uses of all.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

@test "a folder of good definitions is checked in silence on stdout" {
	define a
	define b 'hostname: b.example.org'
	echo 'not an instance' >instances/README
	mkdir instances/sub.d
	echo bad >instances/.hidden.yaml
	run --separate-stderr "$MS" check instances
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$stderr" = "metadata-server: 2 instances, no faults" ]
	run --separate-stderr "$MS" check -q instances/a.yaml instances
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
}

@test "all faults of all files are told with file, line and column" {
	define a 'hostname: a_b' 'hostnam: x'
	define b 'nics: [{mac: x}]'
	define c 'identify: {interface: br0}'
	printf 'instance-id: i-c\nidentify: {interface: br0, address: 10.0.0.1}\n' >instances/d.yaml
	printf 'a: [\n' >instances/e.yaml
	run --separate-stderr "$MS" check instances
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	echo "$stderr"
	has "$stderr" "instances/a.yaml:2:1: 'hostname': is not a host name"
	has "$stderr" "instances/a.yaml:3:1: 'hostnam': unknown key (did you mean 'hostname'?)"
	has "$stderr" "instances/b.yaml:2:9: 'nics[0].mac': is not a MAC address"
	has "$stderr" "instances/d.yaml:1:1: 'instance-id': is that of 'c' too (instances/c.yaml)"
	has "$stderr" "instances/d.yaml:2:1: 'identify': a guest could be this or 'c' (instances/c.yaml)"
	has "$stderr" "instances/e.yaml:2:1: "
	[ "$(wc -l <<<"$stderr")" -eq 6 ]
}

@test "what no guest would be given is a fault" {
	fault() {
		define a "$2"
		run --separate-stderr "$MS" check instances
		echo "$stderr"
		[ "$status" -eq 1 ]
		has "$stderr" "$1"
	}
	fault 'spot: needs an action and a time' 'spot: {action: stop}'
	fault 'spot: needs an action and a time' 'spot: {time: "2030-01-01T00:00:00Z"}'
	fault 'iam-role: access-key-id and secret-access-key belong together' 'iam-role: {name: r, access-key-id: AK}'
	fault 'iam-role: credentials need a name' 'iam-role: {credential-process: /bin/true}'
	fault "'maintenance[0].state': is not one of: active, completed, canceled" \
		'maintenance: [{id: e1, code: system-reboot, state: cancelled}]'
}

@test "what cannot be read is one line" {
	for f in none none.yaml; do
		run --separate-stderr "$MS" check "$f"
		[ "$status" -eq 1 ]
		[ "$stderr" = "metadata-server: '$f': No such file or directory" ]
	done
	define a
	mv instances/a.yaml instances/a.conf
	run --separate-stderr "$MS" check instances/a.conf
	[ "$status" -eq 1 ]
	has "$stderr" "is not named NAME.yaml"
}

@test "instances are listed as text and as JSON" {
	define web1 'hostname: web1.example.org' \
		'identify: {interface: br0, address: 10.0.0.1, mac: "02:00:00:00:00:01"}'
	define db
	run --separate-stderr "$MS" list --instances instances
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 3 ]
	[[ ${lines[1]} =~ ^db\ +i-db ]]
	[[ ${lines[2]} =~ ^web1\ +i-web1\ +web1.example.org\ +br0\ +10.0.0.1\ +02:00:00:00:00:01 ]]
	"$MS" list -d instances -o json | /usr/bin/python3 -c '
import json, sys
db, web = json.load(sys.stdin)
assert db["name"] == "db" and db["identify"]["interface"] is None, db
assert web["instance-id"] == "i-web1" and web["identify"]["mac"] == "02:00:00:00:00:01", web'
}

@test "an instance is shown as its guest sees it, and as a definition that is read again" {
	define a 'hostname: a.example.org' 'user-data: "x\ny\u2028"' 'tags: {k: v}'
	run --separate-stderr "$MS" show -d instances a
	[ "$status" -eq 0 ]
	has "$output" 'meta-data/hostname '
	grep -qE '^user-data +x\\ny' <<<"$output"
	mkdir again
	"$MS" show -d instances -o json a >again/a.yaml
	"$MS" show -o json again/a.yaml | cmp - again/a.yaml
	"$MS" get again/a.yaml latest/user-data | cmp - <("$MS" get instances/a.yaml latest/user-data)
}

@test "get prints what a guest gets, without a token" {
	define a 'imds: {tokens: required}' 'user-data-base64: AAEC/w=='
	[ "$("$MS" get -d instances a latest/meta-data/instance-id)" = i-a ]
	[ "$("$MS" get instances/a.yaml /2009-04-04/meta-data/instance-id/)" = i-a ]
	[ "$("$MS" get instances/a.yaml latest/user-data | od -An -tx1)" = " 00 01 02 ff" ]
	run --separate-stderr "$MS" get -d instances a latest/nothing
	[ "$status" -eq 1 ]
	[ "$stderr" = "metadata-server: 'latest/nothing': 404 Not Found" ]
	run --separate-stderr "$MS" get -d instances b latest/
	[ "$status" -eq 1 ]
	has "$stderr" "'instances/b.yaml': No such file or directory"
	run --separate-stderr "$MS" get -d instances .. latest/
	[ "$status" -eq 1 ]
	run --separate-stderr "$MS" get a latest/
	[ "$status" -eq 1 ]
	has "$stderr" "without --instances there is no folder to find it in"
}

@test "a full disk is not success" {
	define a
	run --separate-stderr bash -c '"$0" get -d instances a latest/ >/dev/full' "$MS"
	[ "$status" -eq 1 ]
	has "$stderr" "No space left on device"
}

@test "wrong uses exit 2 and point to --help" {
	define a
	wrong() {
		run --separate-stderr "$MS" "$@"
		echo "$*: $status $stderr"
		[ "$status" -eq 2 ]
		has "$stderr" "--help"
	}
	wrong
	wrong nothing
	wrong --nothing
	wrong serve
	wrong serve --listen 127.0.0.1:0
	wrong serve --instances instances
	wrong serve --stdio a --as a -d instances
	wrong serve --stdio a --listen 127.0.0.1:0 -d instances
	wrong serve --stdio a --interface lo -d instances
	wrong serve --instances instances --listen 127.0.0.1:0 more
	wrong serve --nothing
	wrong serve --instances instances --listen 127.0.0.1:0 --interface ''
	wrong serve --instances instances --listen 127.0.0.1:0 --access-log-format json
	wrong check
	wrong list
	wrong list -d instances -o xml
	wrong show
	wrong get a
	wrong convert -o json instances/a.yaml out.yaml
	wrong convert -o json --to yaml instances/a.yaml -
	wrong event a --at 2030-01-01T00:00:00Z
	wrong event a clear --in 5
	wrong event a clear maintenance --id e1
	wrong event a spot stop --until 2030-01-01T00:00:00Z
	wrong event a rebalance --state active
	wrong event a lifecycle Terminated --in 5
	[ ! -e out.yaml ]
	for c in serve check list show get iso; do
		run --separate-stderr "$MS" "$c" --help
		[ "$status" -eq 0 ]
		[ -n "$output" ]
		[ -z "$stderr" ]
	done
}

@test "a server that cannot be started says why" {
	define a
	fails() {
		run --separate-stderr timeout 20 "$MS" serve "${@:2}"
		echo "$stderr"
		[ "$status" -eq 1 ]
		has "$stderr" "$1"
	}
	fails "'localhost:80': 'localhost' is not a numeric address" -d instances -l localhost:80
	fails "Cannot assign requested address" -d instances -l 192.0.2.1:0
	fails "there is no name behind a '='" -d instances -l 127.0.0.1:0,interface=
	fails "vsock comes in by no interface" -d instances -l vsock:80,interface=lo
	fails "interface 'nosuch'" -d instances -l 127.0.0.1:0 --interface nosuch
	fails "No such file or directory" -d nowhere -l 127.0.0.1:0
	fails "'instances/b.yaml': No such file" -d instances -l 127.0.0.1:0 --as b
	fails "--stdio needs --token-key FILE where XDG_RUNTIME_DIR is not set" --stdio instances/a.yaml
	echo short >key
	fails "token key 'key': is not a file of 32 bytes" --stdio instances/a.yaml --token-key key
}
