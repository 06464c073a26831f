#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# By which names the service may be asked.

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	define web1
}
teardown() { stop; }

@test "who was led here by another's name is refused, addresses and the service's own names are not" {
	by() { curl -s -o /dev/null -w '%{http_code}' -H "Host: $1" "$URL/latest/"; }
	start -d instances --as web1 -l 127.0.0.1:0 --host Imds.example.org
	local good
	for good in 169.254.169.254 169.254.169.254:80 '[fd00:ec2::254]' '[fe80::a9fe:a9fe%25eth0]:80' localhost:80 \
		metadata.google.internal instance-data.:8773 data-server. imds.EXAMPLE.org; do
		echo "$good"
		[ "$(by "$good")" = 200 ]
	done
	for bad in evil.example.org 169.254.169.254.example.org '[evil]' fd00:ec2::254 '[10.0.0.1]' localhost.example 1.2.3; do
		echo "$bad"
		[ "$(by "$bad")" = 403 ]
	done
	stop
	define only 'identify: {interface: lo, address: 127.0.0.1}'
	start -d instances -l 127.0.0.1:0
	[ "$(by evil.example.org)" = 403 ]
	stop
	start -d instances -l 127.0.0.1:0 --host any
	[ "$(by evil.example.org)" = 200 ]
	run "$MS" serve -d instances -l 127.0.0.1:0 --host 'a b'
	[ "$status" -eq 2 ]
}
