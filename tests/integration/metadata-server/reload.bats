#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# SIGHUP: the folder is read again as a whole, or not at all.
# shellcheck disable=SC2034 # TOKEN is for get

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	define a 'hostname: one' 'identify: {interface: lo, address: 127.0.0.1}'
}
teardown() { stop; }

@test "a change is served after SIGHUP, on open connections too" {
	start -d instances --listen 127.0.0.1:0
	[ "$(get latest/meta-data/hostname)" = one ]
	exec 5<>"/dev/tcp/127.0.0.1/$PORT"
	define a 'hostname: two' 'identify: {interface: lo, address: 127.0.0.1}'
	[ "$(get latest/meta-data/hostname)" = one ]
	kill -HUP "$PID"
	wait_log 'loaded again'
	printf 'GET /latest/meta-data/hostname HTTP/1.0\r\n\r\n' >&5
	[ "$(tail -n 1 <&5)" = two ]
	exec 5>&-
	rm instances/a.yaml
	kill -HUP "$PID"
	wait_log 'loaded again, instances: 0'
	[ "$(status GET /latest/meta-data/hostname)" = 404 ]
}

@test "a fault keeps what was served, and says why" {
	start -d instances --listen 127.0.0.1:0
	define a 'hostname: two' 'identify: {interface: lo, address: 127.0.0.1}'
	define b 'hostname: b_b'
	kill -HUP "$PID"
	wait_log 'not loaded again: what was served before stays'
	grep -q "instances/b.yaml:2:1: 'hostname': is not a host name" log
	[ "$(get latest/meta-data/hostname)" = one ]
	mv instances away
	kill -HUP "$PID"
	wait_log "folder 'instances': No such file"
	[ "$(get latest/meta-data/hostname)" = one ]
}

@test "a server for one instance reads its file again" {
	start --as instances/a.yaml --listen 127.0.0.1:0
	define a 'hostname: two'
	kill -HUP "$PID"
	wait_log 'loaded again, instances: 1'
	[ "$(get latest/meta-data/hostname)" = two ]
	echo x >instances/a.yaml
	kill -HUP "$PID"
	wait_log 'not loaded again'
	[ "$(get latest/meta-data/hostname)" = two ]
}

@test "a token outlives a reload" {
	define a 'identify: {interface: lo, address: 127.0.0.1}' 'imds: {tokens: required}'
	start -d instances --listen 127.0.0.1:0
	TOKEN=$(token)
	kill -HUP "$PID"
	wait_log 'loaded again'
	[ "$(get latest/meta-data/instance-id)" = i-a ]
}
