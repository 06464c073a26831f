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
	start -d instances --no-watch --listen 127.0.0.1:0
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
	start -d instances --no-watch --listen 127.0.0.1:0
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
	start --no-watch --as instances/a.yaml --listen 127.0.0.1:0
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
	start -d instances --no-watch --listen 127.0.0.1:0
	TOKEN=$(token)
	kill -HUP "$PID"
	wait_log 'loaded again'
	[ "$(get latest/meta-data/instance-id)" = i-a ]
}

@test "a changed file is served without being told, a fault in one keeps them all" {
	define b 'hostname: b1' 'identify: {interface: lo, address: 127.0.0.2}'
	start -d instances --listen 127.0.0.1:0
	sed s/one/two/ instances/a.yaml >instances/.a.new
	mv instances/.a.new instances/a.yaml
	until_get latest/meta-data/hostname two # it may be read again for the hidden file already
	wait_log 'loaded again, instances: 2'
	[ "$(curl -sf --interface 127.0.0.2 "$URL/latest/meta-data/hostname")" = b1 ]
	echo 'hostname: [' >>instances/b.yaml
	wait_log 'not loaded again: what was served before stays'
	grep -q "instances/b.yaml:5:1: " log
	define a 'hostname: three' 'identify: {interface: lo, address: 127.0.0.1}'
	sleep 0.2
	[ "$(get latest/meta-data/hostname)" = two ]
	: >log
	rm instances/b.yaml
	wait_log 'loaded again, instances: 1'
	[ "$(get latest/meta-data/hostname)" = three ]
}

@test "user-data of a file of its own is served when it changes" {
	echo first >instances/a.txt
	define a 'user-data-file: a.txt' 'identify: {interface: lo, address: 127.0.0.1}'
	start -d instances --listen 127.0.0.1:0
	[ "$(get latest/user-data)" = first ]
	echo second >instances/a.txt
	wait_log 'loaded again'
	[ "$(get latest/user-data)" = second ]
}

@test "the file of the one instance is watched, and a folder that comes back" {
	start --as instances/a.yaml --listen 127.0.0.1:0
	define a 'hostname: two'
	wait_log 'loaded again'
	[ "$(get latest/meta-data/hostname)" = two ]
	stop
	define a 'identify: {interface: lo, address: 127.0.0.1}' 'hostname: three'
	start -d instances --listen 127.0.0.1:0
	mv instances away
	wait_log 'not loaded again'
	[ "$(get latest/meta-data/hostname)" = three ]
	: >log
	sed s/three/four/ away/a.yaml >away/b && mv away/b away/a.yaml
	mv away instances
	wait_log 'loaded again'
	[ "$(get latest/meta-data/hostname)" = four ]
}
